#ifndef PODPROXY_PROXY_ROUTER_DIALER_HPP
#define PODPROXY_PROXY_ROUTER_DIALER_HPP

#include <podproxy/kube/cluster_dialer.hpp>
#include <podproxy/net/dialer.hpp>
#include <podproxy/route/address.hpp>
#include <podproxy/route/cluster_names.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace podproxy::proxy {

/** Sends names that end in a cluster into that cluster, and everything else on directly.

    @par Lifetime `direct` is borrowed and outlives it. */
class router_dialer final : public net::dialer {
public:
    explicit router_dialer(net::dialer& direct) : direct_(direct) {}

    /// Add a cluster under its own name. @return false when that can't be a name in an address, or is taken.
    [[nodiscard]] bool add(std::unique_ptr<kube::cluster_dialer> cluster)
    {
        std::string const name = cluster->name();
        if (clusters_.contains(name) || !names_.add(name)) return false;
        clusters_.emplace(name, std::move(cluster));
        return true;
    }

    route::cluster_names const& names() const noexcept { return names_; }

    /// Where a destination would go: "direct", the name of the cluster, or "nowhere" for a name that `dial` refuses.
    std::string way_of(host_port const& destination) const
    {
        auto const target = route::parse_address(destination.host, names_);
        if (!target) return "nowhere";
        if (std::holds_alternative<route::direct_target>(*target)) return "direct";
        if (auto const* service = std::get_if<route::service_target>(&*target)) return service->cluster;
        return std::get<route::pod_target>(*target).cluster;
    }

    /// @param why On success it names the pod, or is empty for a direct connection.
    net::awaitable<result<net::any_stream>> dial(host_port destination, diagnostics& why) override
    {
        if (names_.empty() || is_ip_literal(destination.host)) return direct_.dial(std::move(destination), why);
        auto const target = route::parse_address(destination.host, names_);
        if (!target) return refuse(target.error(), destination, why);
        if (auto const* service = std::get_if<route::service_target>(&*target)) {
            kube::cluster_dialer& cluster = *clusters_.find(service->cluster)->second;
            return cluster.dial_service(service->ns.value_or(cluster.default_namespace()), service->service, destination.port, why);
        }
        if (auto const* pod = std::get_if<route::pod_target>(&*target))
            return clusters_.find(pod->cluster)->second->dial_pod(pod->ns, pod->pod, destination.port, why);
        return direct_.dial(std::move(destination), why);
    }

    void close()
    {
        for (auto const& [name, cluster] : clusters_) cluster->close();
    }
    net::awaitable<void> join()
    {
        for (auto const& [name, cluster] : clusters_) co_await cluster->join();
    }

private:
    static net::awaitable<result<net::any_stream>> refuse(std::error_code ec, host_port destination, diagnostics& why)
    {
        why.message = destination.host + ": " + ec.message();
        co_return ec;
    }

    net::dialer& direct_;
    route::cluster_names names_;
    std::map<std::string, std::unique_ptr<kube::cluster_dialer>> clusters_;
};

} // namespace podproxy::proxy

#endif
