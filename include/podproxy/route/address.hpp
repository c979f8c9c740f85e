#ifndef PODPROXY_ROUTE_ADDRESS_HPP
#define PODPROXY_ROUTE_ADDRESS_HPP

#include <podproxy/core/result.hpp>
#include <podproxy/route/cluster_names.hpp>
#include <podproxy/route/errc.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace podproxy::route {

/// The host belongs to no cluster: connect to it as it is.
struct direct_target {
    friend bool operator==(direct_target const&, direct_target const&) = default;
};

/// Any ready pod behind a Service.
struct service_target {
    std::string cluster;           ///< As it was given to `cluster_names`, not as the client wrote it.
    std::optional<std::string> ns; ///< None: the namespace of the cluster's context.
    std::string service;

    friend bool operator==(service_target const&, service_target const&) = default;
};

/// One pod by its name.
struct pod_target {
    std::string cluster;
    std::string ns;
    std::string service; ///< Part of the address, as in DNS, but a pod's name alone is enough to find it.
    std::string pod;

    friend bool operator==(pod_target const&, pod_target const&) = default;
};

using target = std::variant<direct_target, service_target, pod_target>;

/** Decide where a host belongs.

        <service>.<cluster>                       a Service in the namespace of the cluster's context
        <service>.<namespace>.<cluster>           a Service
        <pod>.<service>.<namespace>.<cluster>     a pod (of a StatefulSet, for instance)

    One dot at the end is dropped, then `.svc.cluster.local`, then `.svc`. What then ends in a dot and the name of a known cluster
    belongs to that cluster; where several match, the longest name wins. If none matches, a dropped suffix is put back and it is
    tried again, so that a cluster called `svc` can be reached. Letters of either case mean the same; the parts of an address come back
    in small letters, as Kubernetes has them.

    Where there is a default cluster, `<service>.<namespace>.svc[.cluster.local]` and `<pod>.<service>.<namespace>.svc[.cluster.local]` that end in
    no known cluster belong to it.

    IP addresses and names of a single part belong to no cluster, and neither does a host that is a cluster's name and nothing more.

    @param host  Without a port, an IPv6 address without brackets.
    @return `direct_target` for a host that belongs to no cluster, or an `errc`: a name under a known cluster is a destination
            in that cluster or an error, never a name for DNS. */
result<target> parse_address(std::string_view host, cluster_names const& clusters);

} // namespace podproxy::route

#include <podproxy/route/impl/address.ipp>

#endif
