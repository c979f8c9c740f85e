#include <podproxy/crypto/random.hpp>
#include <podproxy/net/timeout.hpp>
#include <podproxy/websocket/handshake.hpp>
#include <podproxy/websocket/stream.hpp>
#include <algorithm>
#include <array>
#include <vector>

namespace podproxy::kube {

inline result<cluster_config> make_cluster_config(cluster_context const& context, config::file_source& files, diagnostics& why)
{
    auto url = parse_server_url(context.cluster.server);
    if (!url) {
        bool const may_hold_password = context.cluster.server.find('@') != std::string::npos;
        why.message = may_hold_password ? "the server's URL holds a user name or a password, which is not supported: put it into the user of the context"
                                        : "the server '" + context.cluster.server + "' is not an http:// or https:// URL";
        return errc::bad_context;
    }
    std::optional<upstream::proxy_url> proxy;
    if (context.cluster.proxy_url) {
        auto parsed = upstream::parse_proxy_url(context.cluster.proxy_url.reveal());
        if (!parsed) { // it may hold a password, so it is not shown
            why.message = "proxy-url of the cluster '" + context.cluster_name + "' is " + parsed.error().message();
            return errc::bad_context;
        }
        proxy = std::move(*parsed);
    }
    auto material = read_context_material(context, files, why);
    if (!material) return material.error();
    cluster_config out;
    out.default_namespace = context.ns;
    out.api.name = context.name;
    out.api.server = std::move(url->address);
    out.api.tls = url->tls;
    out.api.base_path = std::move(url->path);
    out.api.proxy = std::move(proxy);
    auto& tls = out.api.tls_settings;
    tls.roots_pem = std::move(material->roots);
    if (context.user.exec) {
        exec_plugin_config plugin;
        plugin.plugin = *context.user.exec;
        plugin.cluster = context.cluster;
        plugin.roots = tls.roots_pem;
        out.api.plugin = std::move(plugin);
    }
    tls.certificate_pem = std::move(material->certificate);
    tls.key_pem = material->key.reveal();
    tls.server_name = context.cluster.tls_server_name;
    if (context.cluster.insecure_skip_tls_verify) tls.verify = tls::verification::insecure_skip;
    auto& who = out.api.credentials;
    who.token = context.user.token;
    who.token_file = context.user.token_file;
    who.username = context.user.username;
    who.password = context.user.password;
    who.impersonate_user = context.user.as.user;
    who.impersonate_uid = context.user.as.uid;
    who.impersonate_groups = context.user.as.groups;
    who.impersonate_extra = context.user.as.extra;
    return out;
}

inline result<std::unique_ptr<cluster_dialer>> cluster_dialer::create(net::executor ex, net::dialer& out, cluster_config config, logger log,
                                                                     diagnostics& why)
{
    auto api = api_client::create(ex, out, std::move(config.api), why);
    if (!api) return api.error();
    return std::unique_ptr<cluster_dialer>(new cluster_dialer(ex, std::move(*api), std::move(config), log));
}

inline cluster_dialer::cluster_dialer(net::executor ex, std::unique_ptr<api_client> api, cluster_config config, logger log)
    : executor_(ex), api_(std::move(api)), log_(log), default_namespace_(std::move(config.default_namespace)), carrier_(config.carrier),
      pool_config_(config.sessions), session_config_(config.session), services_(ex, *api_, log, config.services), draw_(std::random_device{}()), background_(ex)
{
    background_.spawn(trim_now_and_then());
}

inline net::awaitable<void> cluster_dialer::trim_now_and_then()
{
    net::timer t(executor_);
    for (;;) { // ends when the group is cancelled
        t.expires_after(std::chrono::seconds(5));
        co_await t.async_wait(net::use_awaitable);
        auto const now = net::clock::now();
        services_.trim(now);
        std::erase_if(pods_, [&](auto const& p) { return p.second->trim(now); });
    }
}

inline void cluster_dialer::close()
{
    alive_.reset();
    background_.cancel();
    services_.close();
    for (auto const& [name, sessions] : std::exchange(pods_, {})) {
        sessions->close();
        closing_.push_back(sessions);
    }
}

inline net::awaitable<void> cluster_dialer::join()
{
    co_await background_.join();
    co_await services_.join();
    for (auto const& sessions : closing_) co_await sessions->join();
    closing_.clear();
}

/// Connections that are open or on their way to a pod.
inline std::size_t cluster_dialer::load_of(pod_port const& p) const
{
    auto const sessions = pods_.find(std::pair(p.pod_namespace, p.pod));
    return sessions == pods_.end() ? 0 : sessions->second->connections();
}

inline std::shared_ptr<pod_sessions> cluster_dialer::sessions_of(std::string const& ns, std::string const& pod)
{
    auto& place = pods_[std::pair(ns, pod)];
    if (!place || place->closed())
        place = std::make_shared<pod_sessions>(
            executor_,
            [this, path = "/api/v1/namespaces/" + ns + "/pods/" + pod + "/portforward"](diagnostics& why) { return open_session(path, why); },
            pool_config_);
    return place;
}

inline net::awaitable<result<net::any_stream>> cluster_dialer::dial_pod(std::string ns, std::string pod, std::uint16_t port, diagnostics& why)
{
    why.clear();
    auto stream = co_await sessions_of(ns, pod)->dial(port, why);
    std::string const where = "pod " + ns + "/" + pod + " port " + std::to_string(port);
    if (stream)
        why.message = where;
    else if (why.message.empty())
        why.message = stream.error().message() + " (" + where + ")";
    else
        why.message += " (" + where + ")";
    co_return stream;
}

inline net::awaitable<result<net::any_stream>> cluster_dialer::dial_service(std::string ns, std::string service, std::uint16_t port, diagnostics& why)
{
    auto const tried = std::make_shared<std::vector<pod_port>>();
    auto first = co_await dial_untried(ns, service, port, tried, why);
    if (!first) co_return first;
    second_try_stream::dial_again again = [this, alive = std::weak_ptr(alive_), ns, service, port, tried](second_try_stream::done_handler done) {
        if (alive.expired()) return false;
        background_.spawn(dial_again(ns, service, port, tried, std::move(done)));
        return true;
    };
    co_return result<net::any_stream>(std::make_unique<second_try_stream>(std::move(*first), std::move(again)));
}

/// A pod has refused after the connection was reported as open.
inline net::awaitable<void> cluster_dialer::dial_again(std::string ns, std::string service, std::uint16_t port, pods_tried tried,
                                                       second_try_stream::done_handler done)
{
    struct teller {
        explicit teller(second_try_stream::done_handler d) : done(std::move(d)) {}
        teller(teller const&) = delete;
        ~teller() { done(std::move(outcome)); }
        second_try_stream::done_handler done;
        result<net::any_stream> outcome = errc::port_refused; // when we are cancelled
    } tell(std::move(done));
    diagnostics why;
    tell.outcome = co_await dial_untried(ns, service, port, tried, why);
    log_.debug("a pod refused after all", {{"cluster", name()}, {"service", ns + "/" + service}, {"next", why.text()}});
}

inline net::awaitable<result<net::any_stream>> cluster_dialer::dial_untried(std::string ns, std::string service, std::uint16_t port, pods_tried tried,
                                                                                 diagnostics& why)
{
    constexpr std::size_t most_tries = 4;
    result<net::any_stream> last = tried->empty() ? errc::no_endpoints : errc::port_refused; // a late refusal has led here
    while (tried->size() < most_tries) {
        diagnostics unresolved;
        auto pods = co_await services_.resolve(ns, service, port, unresolved);
        if (!pods) {
            if (tried->empty()) {
                why = unresolved;
                if (pods.error() == errc::not_found)
                    why.message = "Service " + ns + "/" + service + " does not exist in cluster " + name() + ": check the name and the namespace";
                co_return pods.error();
            }
            co_return last;
        }
        std::erase_if(*pods, [&](auto const& p) { return std::find(tried->begin(), tried->end(), p) != tried->end(); });
        if (pods->empty()) co_return last;
        pod_port const next = (*pods)[better_of_two(pods->size(), static_cast<std::uint32_t>(draw_()), [&](std::size_t n) { return load_of((*pods)[n]); })];
        tried->push_back(next);
        last = co_await dial_pod(next.pod_namespace, next.pod, next.port, why);
        if (last) co_return last;
        auto const ec = last.error();
        if (ec == errc::unauthorized || ec == errc::forbidden || ec == errc::unreachable || ec == cond::cancelled) co_return last; // so would others
    }
    co_return last;
}

inline net::awaitable<cluster_dialer::session_result> cluster_dialer::open_session(std::string path, diagnostics& why)
{
    bool const known = carrier_ == kube::carrier::automatic && net::clock::now() < spdy_until_;
    if (carrier_ == kube::carrier::spdy || known) co_return co_await open_over_spdy(path, why);
    auto session = co_await open_over_websocket(path, why);
    bool const says_no = !session && (session.error() == errc::api_error || session.error() == errc::forbidden || session.error() == errc::not_upgraded ||
                                      session.error() == errc::bad_answer);
    if (carrier_ == kube::carrier::websocket || !says_no) co_return session;
    // An API server without the tunnel answers in several ways, and one with it may allow only `create`.
    auto const first = why;
    auto over_spdy = co_await open_over_spdy(path, why);
    if (over_spdy) {
        log_.info("port-forward over WebSocket is not possible, SPDY is used for the next ten minutes", {{"cluster", name()}, {"reason", first.text()}});
        spdy_until_ = net::clock::now() + std::chrono::minutes(10); // what failed may have been a passing fault
    }
    co_return over_spdy;
}

inline net::awaitable<cluster_dialer::session_result> cluster_dialer::open_over_websocket(std::string path, diagnostics& why)
{
    std::array<std::uint8_t, 16> nonce;
    crypto::random(nonce);
    websocket::client_handshake hello{websocket::make_key(nonce), {"SPDY/3.1+portforward.k8s.io"}};
    http::fields fields;
    for (auto const& f : websocket::request_fields(hello)) fields.add(f.name, f.value);
    auto switched = co_await api_->upgrade("GET", path, std::move(fields), why);
    if (!switched) co_return switched.error();
    auto const agreed = websocket::check_response(static_cast<int>(switched->first.status), switched->first.fields, hello);
    if (!agreed) co_return errc::bad_answer;
    auto const early = switched->second.early.data();
    auto carrier = std::make_unique<websocket::stream>(std::move(switched->second.stream), websocket::stream_config{},
                                                       std::vector<std::uint8_t>(early.begin(), early.end()));
    co_return spdy::session::start(std::move(carrier), {}, session_config_);
}

inline net::awaitable<cluster_dialer::session_result> cluster_dialer::open_over_spdy(std::string path, diagnostics& why)
{
    http::fields fields;
    fields.add("Connection", "Upgrade");
    fields.add("Upgrade", "SPDY/3.1");
    fields.add("X-Stream-Protocol-Version", "portforward.k8s.io");
    auto switched = co_await api_->upgrade("POST", path, std::move(fields), why);
    if (!switched) co_return switched.error();
    if (!http::iequals(switched->first.fields.get("Upgrade"), "SPDY/3.1")) co_return errc::bad_answer;
    co_return spdy::session::start(std::move(switched->second.stream), switched->second.early.data(), session_config_);
}

} // namespace podproxy::kube
