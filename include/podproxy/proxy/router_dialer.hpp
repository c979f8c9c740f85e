#ifndef PODPROXY_PROXY_ROUTER_DIALER_HPP
#define PODPROXY_PROXY_ROUTER_DIALER_HPP

#include <podproxy/kube/cluster_dialer.hpp>
#include <podproxy/kube/errc.hpp>
#include <podproxy/net/dialer.hpp>
#include <podproxy/route/address.hpp>
#include <podproxy/route/cluster_names.hpp>
#include <cstdint>
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
    [[nodiscard]] bool add(std::shared_ptr<kube::cluster_dialer> cluster)
    {
        std::string const name = cluster->name();
        if (clusters_.contains(name) || !names_.add(name)) return false;
        clusters_.emplace(name, std::move(cluster));
        return true;
    }

    /// One more name for a cluster. @return false when there is no such cluster, or the name can't be one or is taken.
    [[nodiscard]] bool add_alias(std::string_view alias, std::string const& cluster) { return clusters_.contains(cluster) && names_.add(alias, cluster); }

    /// The cluster of names such as `web.shop.svc.cluster.local`; empty for none. @return false when there is no such cluster.
    bool set_default_cluster(std::string const& cluster)
    {
        names_.set_default(cluster);
        return cluster.empty() || clusters_.contains(cluster);
    }

    /// Take a cluster away with its names; connections into it go on while somebody keeps it. @return the cluster, or null.
    std::shared_ptr<kube::cluster_dialer> remove(std::string const& cluster)
    {
        names_.remove(cluster);
        auto node = clusters_.extract(cluster);
        return node ? std::move(node.mapped()) : nullptr;
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
        if (is_ip_literal(destination.host)) return direct_.dial(std::move(destination), why);
        auto const target = route::parse_address(destination.host, names_);
        if (!target) return refuse(target.error(), destination, why);
        if (auto const* service = std::get_if<route::service_target>(&*target)) return dial_service(cluster(service->cluster), *service, destination.port, why);
        if (auto const* pod = std::get_if<route::pod_target>(&*target)) return dial_pod(cluster(pod->cluster), *pod, destination.port, why);
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
    using cluster_ptr = std::shared_ptr<kube::cluster_dialer>;

    /// Null for a default cluster that is not there.
    cluster_ptr cluster(std::string const& name) const
    {
        auto const it = clusters_.find(name);
        return it == clusters_.end() ? nullptr : it->second;
    }

    // They keep the cluster: it may be taken away in the meantime.
    static net::awaitable<result<net::any_stream>> dial_service(cluster_ptr c, route::service_target to, std::uint16_t port, diagnostics& why)
    {
        if (!c) co_return unknown(to.cluster, why);
        std::string ns = to.ns ? std::move(*to.ns) : c->default_namespace(); // inside of the co_await GCC 12 would destroy it twice
        co_return co_await c->dial_service(std::move(ns), std::move(to.service), port, why);
    }
    static net::awaitable<result<net::any_stream>> dial_pod(cluster_ptr c, route::pod_target to, std::uint16_t port, diagnostics& why)
    {
        if (!c) co_return unknown(to.cluster, why);
        co_return co_await c->dial_pod(std::move(to.ns), std::move(to.pod), port, why);
    }

    static std::error_code unknown(std::string const& cluster, diagnostics& why)
    {
        why.message = "there is no cluster " + cluster + ", the default for names that end in .svc.cluster.local";
        return kube::errc::unknown_cluster;
    }

    static net::awaitable<result<net::any_stream>> refuse(std::error_code ec, host_port destination, diagnostics& why)
    {
        why.message = destination.host + ": " + ec.message();
        co_return ec;
    }

    net::dialer& direct_;
    route::cluster_names names_;
    std::map<std::string, cluster_ptr> clusters_;
};

} // namespace podproxy::proxy

#endif
