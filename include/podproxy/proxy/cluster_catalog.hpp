#ifndef PODPROXY_PROXY_CLUSTER_CATALOG_HPP
#define PODPROXY_PROXY_CLUSTER_CATALOG_HPP

#include <podproxy/config/files.hpp>
#include <podproxy/core/log.hpp>
#include <podproxy/kube/cluster_dialer.hpp>
#include <podproxy/kube/kubeconfig.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/dialer.hpp>
#include <podproxy/net/task_group.hpp>
#include <podproxy/proxy/router_dialer.hpp>
#include <chrono>
#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace podproxy::proxy {

/// What all clusters have in common.
struct cluster_catalog_config {
    kube::carrier carrier = kube::carrier::automatic;
    kube::session_use sessions = kube::session_use::automatic;
    std::chrono::milliseconds connect_grace{50};
    std::chrono::milliseconds keep_alive{30'000}; ///< See `spdy::session_config`.
    /// From an alias to the context that it stands for.
    std::map<std::string, std::string> aliases{};
    /// The context of names that end in `.svc.cluster.local`. Empty: none.
    std::string default_cluster{};
    /// Whether exec plugins may use our standard input.
    bool terminal = false;
};

/// A context and what became of it.
struct catalog_entry {
    std::string context;
    std::string file;    ///< The kubeconfig that it is written in.
    std::string server;  ///< As it is written there.
    std::string ns;      ///< For addresses without a namespace.
    std::vector<std::string> names{}; ///< By which it can be addressed, its own first where that can be typed.
    std::string problem{}; ///< Why it can't be used; empty when it can.
};

/** The clusters of the kubeconfigs, kept in step with them: added to a router, taken away, made anew.

    What has not changed is left alone, with its sessions. A cluster that is gone or changed takes no new connections; those that are open go on
    until they end by themselves.
    @par Lifetime `out` and `router` are borrowed and outlive it. `close`, then `join`, before the end. */
class cluster_catalog {
public:
    cluster_catalog(net::executor ex, net::dialer& out, router_dialer& router, logger log)
        : executor_(ex), out_(out), router_(router), log_(log), retirement_(ex)
    {
    }

    /** Take over what was found.

        Each context has its own name; where that is no host label, also an alias that is (`route::cluster_alias`); and the aliases of the
        settings, which win over those. What can't be used is logged and stays in `entries`. */
    void apply(std::vector<kube::cluster_context> const& contexts, cluster_catalog_config const& config, config::file_source& files);

    std::vector<catalog_entry> const& entries() const noexcept { return entries_; }
    /// Clusters that are gone and still have connections.
    std::size_t retired() const noexcept { return retired_.size(); }
    /// A cluster that can be used, or null.
    std::shared_ptr<kube::cluster_dialer> find(std::string const& context) const
    {
        auto const it = clusters_.find(context);
        return it == clusters_.end() ? nullptr : it->second.dialer;
    }

    void close();
    net::awaitable<void> join();

private:
    struct known_cluster {
        std::shared_ptr<kube::cluster_dialer> dialer;
        std::string fingerprint; ///< of everything that it was made from
    };

    void retire(std::shared_ptr<kube::cluster_dialer> gone);
    net::awaitable<void> end_retired();
    void name_all(cluster_catalog_config const& config);

    net::executor executor_;
    net::dialer& out_;
    router_dialer& router_;
    logger log_;
    std::map<std::string, known_cluster> clusters_;
    std::vector<catalog_entry> entries_;
    std::list<std::shared_ptr<kube::cluster_dialer>> retired_;
    bool ending_retired_ = false;
    bool closed_ = false;
    net::task_group retirement_;
};

} // namespace podproxy::proxy

#include <podproxy/proxy/impl/cluster_catalog.ipp>

#endif
