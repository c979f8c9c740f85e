#ifndef PODPROXY_KUBE_CLUSTER_DIALER_HPP
#define PODPROXY_KUBE_CLUSTER_DIALER_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/log.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/kube/api_client.hpp>
#include <podproxy/kube/balance.hpp>
#include <podproxy/kube/cluster_settings.hpp>
#include <podproxy/kube/kubeconfig.hpp>
#include <podproxy/kube/pod_session.hpp>
#include <podproxy/kube/second_try_stream.hpp>
#include <podproxy/kube/service_client.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/stream.hpp>
#include <podproxy/net/task_group.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace podproxy::kube {

/// What carries the SPDY frames of port forwarding.
enum class carrier {
    automatic, ///< WebSocket (Kubernetes 1.31 and newer); SPDY where that fails, remembered per cluster for ten minutes.
    websocket,
    spdy,
};

struct cluster_config {
    api_config api;
    std::string default_namespace = "default"; ///< For addresses without a namespace.
    kube::carrier carrier = kube::carrier::automatic;
    pod_session_config sessions;
    spdy::session_config session;
    service_client_config services;
};

/** The settings of a kubeconfig context as a cluster's.
    @return the settings; or `errc::bad_context` or a file's error, with `why` saying what can't be used and what to do. */
result<cluster_config> make_cluster_config(cluster_context const& context, config::file_source& files, diagnostics& why);

/** Connections into the pods of one cluster, through the port-forward API.

    @par Lifetime Outlives its dials. `close`, then `join`, end what runs in the background. */
class cluster_dialer {
public:
    static result<std::unique_ptr<cluster_dialer>> create(net::executor ex, net::dialer& out, cluster_config config, logger log, diagnostics& why);

    std::string const& name() const noexcept { return api_->config().name; }
    std::string const& default_namespace() const noexcept { return default_namespace_; }

    /** Connect to a ready pod behind a Service: of the next in turn and one at random, the one with fewer open connections. One that turns
        out to be gone or refuses is followed by another, as nothing has been exchanged yet; see `second_try_stream` for refusals that
        come late.
        @par Cancel terminal; nothing is left open.
        @param why On success its `message` names the pod. */
    net::awaitable<result<net::any_stream>> dial_service(std::string ns, std::string service, std::uint16_t port, diagnostics& why);

    /// Connect to a port of one pod, used as it is. Otherwise as `dial_service`.
    net::awaitable<result<net::any_stream>> dial_pod(std::string ns, std::string pod, std::uint16_t port, diagnostics& why);

    /// Connections into pods that are open.
    std::size_t connections() const noexcept
    {
        std::size_t n = 0;
        for (auto const& [pod, sessions] : pods_) n += sessions->connections();
        return n;
    }
    /// Pods that connections are open to, or were a while ago, and the ready sessions to them.
    std::size_t pods() const noexcept { return pods_.size(); }

    void close();
    net::awaitable<void> join();

private:
    cluster_dialer(net::executor ex, std::unique_ptr<api_client> api, cluster_config config, logger log);

    using session_result = result<std::shared_ptr<spdy::session>>;

    std::size_t load_of(pod_port const& p) const;
    using pods_tried = std::shared_ptr<std::vector<pod_port>>;
    net::awaitable<result<net::any_stream>> dial_untried(std::string ns, std::string service, std::uint16_t port, pods_tried tried, diagnostics& why);
    net::awaitable<void> dial_again(std::string ns, std::string service, std::uint16_t port, pods_tried tried, second_try_stream::done_handler done);
    std::shared_ptr<pod_sessions> sessions_of(std::string const& ns, std::string const& pod);
    net::awaitable<session_result> open_session(std::string path, diagnostics& why);
    net::awaitable<session_result> open_over_websocket(std::string path, diagnostics& why);
    net::awaitable<session_result> open_over_spdy(std::string path, diagnostics& why);
    net::awaitable<void> trim_now_and_then();

    net::executor executor_;
    std::unique_ptr<api_client> api_;
    logger log_;
    std::string default_namespace_;
    kube::carrier carrier_;
    net::clock::time_point spdy_until_{}; ///< WebSocket has failed where SPDY worked: it is not tried again until then
    pod_session_config pool_config_;
    spdy::session_config session_config_;
    service_client services_;
    std::map<std::pair<std::string, std::string>, std::shared_ptr<pod_sessions>> pods_;
    std::vector<std::shared_ptr<pod_sessions>> closing_; ///< closed, until they are joined
    std::minstd_rand draw_; ///< which endpoint is compared with the next in turn
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true); ///< until `close`: whether streams may dial again
    net::task_group background_;
};

} // namespace podproxy::kube

#include <podproxy/kube/impl/cluster_dialer.ipp>

#endif
