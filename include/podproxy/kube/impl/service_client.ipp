#include <podproxy/net/timeout.hpp>
#include <asio/error.hpp>
#include <algorithm>

namespace podproxy::kube {

inline net::awaitable<result<std::vector<pod_port>>> service_client::resolve(std::string ns, std::string name, std::uint16_t port, diagnostics& why)
{
    key const k(ns, name);
    for (;;) {
        auto& place = (*entries_)[k];
        if (!place) {
            place = std::make_shared<entry>();
            place->ns = ns;
            place->name = name;
        }
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
        std::vector<endpoint_slice> slices;
        slices.reserve(e->slices.size());
        for (auto const& [slice_name, slice] : e->slices) slices.push_back(slice);
        auto pods = select_pods(e->svc, slices, port, ns + "/" + name, why);
        if (pods) std::rotate(pods->begin(), pods->begin() + static_cast<std::ptrdiff_t>(e->turn++ % pods->size()), pods->end());
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
                e->forgotten = true;
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
        e->service_read = net::clock::now();
        if (!e->svc.external_name.empty()) {
            e->loaded = true;
            e->listed = net::clock::now();
            co_return result<void>{};
        }
    }
    auto const listed = co_await list(*e, why);
    if (!listed) co_return listed.error();
    e->loaded = true;
    if (!std::exchange(e->watch_started, true)) watches_.spawn(keep_watching(e));
    co_return result<void>{};
}

inline net::awaitable<result<void>> service_client::list(entry& e, diagnostics& why)
{
    auto const text = co_await api_.get(slices_path(e), why);
    if (!text) co_return text.error();
    auto slices = parse_endpoint_slice_list(*text);
    if (!slices) co_return slices.error();
    e.slices.clear();
    for (auto& s : slices->slices) {
        std::string slice_name = s.name;
        e.slices.insert_or_assign(std::move(slice_name), std::move(s));
    }
    e.resource_version = slices->resource_version;
    e.listed = net::clock::now();
    co_return result<void>{};
}

inline net::awaitable<void> service_client::refresh_service(std::shared_ptr<entry> e)
{
    diagnostics why;
    auto const text = co_await api_.get("/api/v1/namespaces/" + e->ns + "/services/" + e->name, why);
    e->refreshing = false;
    e->service_read = net::clock::now();
    if (text) {
        if (auto svc = parse_service(*text)) e->svc = std::move(*svc);
    } else if (text.error() == errc::not_found) {
        e->forgotten = true;
        // Trimmed and used again meanwhile, the place may be another one's.
        if (auto const it = entries_->find(key(e->ns, e->name)); it != entries_->end() && it->second == e) entries_->erase(it);
    }
}

inline net::awaitable<void> service_client::keep_watching(std::shared_ptr<entry> e)
{
    auto backoff = config_.first_backoff;
    bool expired = false; // was the last end a 410?
    while (!e->forgotten) {
        auto const started = net::clock::now();
        auto const ec = co_await watch_once(*e);
        auto const ended = net::clock::now();
        if (std::exchange(e->watched, false)) e->listed = ended; // it was true until now
        if (e->forgotten || ec == asio::error::operation_aborted) co_return; // `close`
        if (ec == errc::forbidden) {
            log_.info("watching EndpointSlices is not allowed; they are listed when they are needed",
                      {{"cluster", api_.config().name}, {"namespace", e->ns}});
            co_return;
        }
        bool const lasted = ended - started >= config_.first_backoff;
        if (!ec && lasted) { // the server ended it as asked
            backoff = config_.first_backoff;
            expired = false;
            continue;
        }
        if (ended - started > config_.most_backoff) backoff = config_.first_backoff;
        bool const expired_again = std::exchange(expired, ec == errc::resource_expired) && !lasted;
        if (ec == errc::resource_expired && !expired_again) { // once at once; a server that always says so is not asked without a pause
            diagnostics why;
            if (co_await list(*e, why)) continue;
        }
        log_.debug("watch lost",
                   {{"cluster", api_.config().name}, {"service", e->ns + "/" + e->name}, {"error", ec ? ec : make_error_code(podproxy::errc::end_of_stream)}});
        jitter_ = jitter_ * 1664525u + 1013904223u; // many watches lose their server at the same moment
        auto const wait = backoff / 2 + backoff / 2 * (jitter_ >> 24) / 255;
        backoff = std::min(backoff * 2, config_.most_backoff);
        net::timer t(executor_, std::chrono::duration_cast<net::clock::duration>(wait));
        co_await t.async_wait(net::use_awaitable);
        diagnostics why;
        (void)co_await list(*e, why); // what happened meanwhile
    }
}

inline net::awaitable<std::error_code> service_client::watch_once(entry& e)
{
    constexpr std::size_t most_line = 4 * 1024 * 1024;
    diagnostics why;
    auto c = co_await api_.watch(slices_path(e) + "&watch=true&allowWatchBookmarks=true&timeoutSeconds=" +
                                     std::to_string(config_.watch_length.count()) + "&resourceVersion=" + e.resource_version,
                                 why);
    if (!c) co_return c.error();
    e.watched = true;
    while (!e.forgotten) {
        // The server ends the watch itself; a path that died without a word is found a little later.
        auto const line = co_await net::with_deadline((*c)->read_line(most_line), config_.watch_length + std::chrono::seconds(15));
        if (!line) co_return line.error() == podproxy::errc::end_of_stream ? std::error_code() : line.error();
        auto event = parse_watch_event(*line);
        if (!event) co_return event.error();
        switch (event->what) {
        case watch_event::kind::changed: {
            std::string slice_name = event->slice.name;
            e.slices.insert_or_assign(std::move(slice_name), std::move(event->slice));
            break;
        }
        case watch_event::kind::deleted: e.slices.erase(event->slice.name); break;
        case watch_event::kind::bookmark: break;
        case watch_event::kind::error: co_return event->code == 410 ? errc::resource_expired : errc::api_error;
        }
        if (!event->resource_version.empty()) e.resource_version = event->resource_version;
    }
    co_return std::error_code();
}

inline void service_client::trim(net::clock::time_point now)
{
    for (auto it = entries_->begin(); it != entries_->end();) {
        auto const& e = it->second;
        if (e->loaded && !e->loading && now - e->used > config_.forget_after) {
            e->forgotten = true; // its watch ends with the next event, or when the server ends it
            it = entries_->erase(it);
        } else {
            ++it;
        }
    }
}

} // namespace podproxy::kube
