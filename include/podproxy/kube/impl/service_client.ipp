#include <asio/error.hpp>
#include <algorithm>

namespace podproxy::kube {

inline net::awaitable<result<std::vector<pod_port>>> service_client::resolve(std::string ns, std::string name, std::uint16_t port, diagnostics& why)
{
    constexpr std::size_t most_ports = 16; // that are remembered: a client may try them all
    key const k(ns, name);
    for (;;) {
        auto& place = (*entries_)[k];
        if (!place) place = std::make_shared<entry>(*this, ns, name);
        auto const e = place;
        auto const now = net::clock::now();
        e->used = now;
        if (e->loading) { // somebody else is at it
            auto const me = e->waiting.emplace(e->waiting.end(), executor_);
            auto [ec] = co_await me->async_wait(asio::as_tuple(net::use_awaitable));
            e->waiting.erase(me);
            if (ec) co_return ec;
            if (e->failure) {
                why = e->failure_why;
                co_return e->failure;
            }
            continue;
        }
        bool const has_slices = e->svc.external_name.empty();
        if (!e->loaded || (has_slices && !e->watched && now - e->listed > config_.trust_unwatched)) {
            auto const done = co_await load(e, why);
            if (!done) co_return done.error();
        }
        if (now - e->service_read > config_.trust_service && !e->refreshing) {
            e->refreshing = true;
            watches_.spawn(refresh_service(e));
        }
        auto known = e->chosen.find(port);
        if (known == e->chosen.end()) {
            std::vector<endpoint_slice> slices;
            slices.reserve(e->slices.size());
            for (auto const& [slice_name, slice] : e->slices) slices.push_back(slice);
            auto pods = select_pods(e->svc, slices, port, ns + "/" + name, why);
            if (!pods) co_return pods;
            if (e->chosen.size() >= most_ports) e->chosen.clear();
            known = e->chosen.emplace(port, *std::move(pods)).first;
        }
        auto pods = known->second;
        std::rotate(pods.begin(), pods.begin() + static_cast<std::ptrdiff_t>(e->turn++ % pods.size()), pods.end());
        co_return pods;
    }
}

inline net::awaitable<result<void>> service_client::load(std::shared_ptr<entry> e, diagnostics& why)
{
    struct ending {
        std::shared_ptr<entry_map> entries;
        std::shared_ptr<entry> e;
        ~ending()
        {
            e->loading = false;
            if (!e->loaded) {
                e->forget();
                entries->erase(key(e->ns, e->name));
            }
            for (auto& w : e->waiting) w.complete({});
        }
    } guard{entries_, e};
    e->loading = true;
    e->failure.clear();
    auto const done = co_await load_now(e, why);
    if (!done && done.error() != asio::error::operation_aborted) { // a client that goes away is its own affair
        e->failure = done.error();
        e->failure_why = why;
    }
    co_return done;
}

inline net::awaitable<result<void>> service_client::load_now(std::shared_ptr<entry> e, diagnostics& why)
{
    if (!e->loaded) {
        auto const text = co_await api_.get("/api/v1/namespaces/" + e->ns + "/services/" + e->name, why);
        if (!text) co_return text.error();
        auto svc = parse_service(*text);
        if (!svc) co_return svc.error();
        e->svc = std::move(*svc);
        e->chosen.clear();
        e->service_read = net::clock::now();
        if (!e->svc.external_name.empty()) {
            e->loaded = true;
            e->listed = net::clock::now();
            co_return result<void>{};
        }
    }
    auto const listed = co_await e->watch.list(why);
    if (!listed) co_return listed.error();
    e->loaded = true;
    if (!std::exchange(e->watch_started, true)) watches_.spawn(keep_watching(e));
    co_return result<void>{};
}

inline net::awaitable<void> service_client::refresh_service(std::shared_ptr<entry> e)
{
    diagnostics why;
    auto const text = co_await api_.get("/api/v1/namespaces/" + e->ns + "/services/" + e->name, why);
    e->refreshing = false;
    e->service_read = net::clock::now();
    if (text) {
        if (auto svc = parse_service(*text)) {
            e->svc = std::move(*svc);
            e->chosen.clear();
        }
    } else if (text.error() == errc::not_found) {
        e->forget();
        // Trimmed and used again meanwhile, the place may be another one's.
        if (auto const it = entries_->find(key(e->ns, e->name)); it != entries_->end() && it->second == e) entries_->erase(it);
    }
}

inline net::awaitable<void> service_client::keep_watching(std::shared_ptr<entry> e)
{
    auto const ec = co_await e->watch.follow();
    if (ec == errc::forbidden)
        log_.info("watching EndpointSlices is not allowed; they are listed when they are needed",
                  {{"cluster", api_.config().name}, {"namespace", e->ns}});
}

inline service_client::entry::entry(service_client& owner, std::string of_ns, std::string of_name)
    : ns(std::move(of_ns)), name(std::move(of_name)), cluster(owner.api_.config().name), log(owner.log_),
      watch(owner.executor_, owner.api_,
            "/apis/discovery.k8s.io/v1/namespaces/" + ns + "/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D" + name, *this,
            owner.config_.watch)
{
}

inline std::error_code service_client::entry::on_list(json::value list)
{
    auto found = read_endpoint_slice_list(list);
    if (!found) return found.error();
    slices.clear();
    chosen.clear();
    for (auto& s : found->slices) {
        std::string slice_name = s.name;
        slices.insert_or_assign(std::move(slice_name), std::move(s));
    }
    listed = net::clock::now();
    return {};
}

inline std::error_code service_client::entry::on_event(watch_line const& event)
{
    if (event.object["kind"].text() != "EndpointSlice") return errc::bad_answer;
    auto slice = read_endpoint_slice(event.object);
    if (!slice) return slice.error();
    std::string slice_name = slice->name;
    chosen.clear();
    if (event.what == watch_event::kind::deleted) slices.erase(slice_name);
    else slices.insert_or_assign(std::move(slice_name), std::move(*slice));
    return {};
}

inline void service_client::entry::on_gap(std::error_code ec, diagnostics const&)
{
    if (std::exchange(watched, false)) listed = net::clock::now(); // it was true until now
    if (ec && ec != errc::forbidden) log.debug("watch lost", {{"cluster", cluster}, {"service", ns + "/" + name}, {"error", ec}});
}

inline void service_client::trim(net::clock::time_point now)
{
    for (auto it = entries_->begin(); it != entries_->end();) {
        auto const& e = it->second;
        if (e->loaded && !e->loading && now - e->used > config_.forget_after) {
            e->forget(); // its watch ends with the next event, or when the server ends it
            it = entries_->erase(it);
        } else {
            ++it;
        }
    }
}

} // namespace podproxy::kube
