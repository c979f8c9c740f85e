#ifndef PODPROXY_KUBE_ENDPOINTS_HPP
#define PODPROXY_KUBE_ENDPOINTS_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/kube/errc.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace podproxy::kube {

/// One port of a Service, `spec.ports[]`. Only TCP ports are kept.
struct service_port {
    std::string name; ///< Empty where the Service has one port without a name.
    std::uint16_t port = 0;
};

/// What the addresses of a slice are.
enum class address_family : std::uint8_t { ipv4, ipv6, other };

/// What is needed of a Service.
struct service {
    std::vector<service_port> ports;
    std::vector<address_family> families; ///< `spec.ipFamilies`. Empty: every one.
    bool headless = false;     ///< `spec.clusterIP: None`
    std::string external_name; ///< For `spec.type: ExternalName`.
    std::string resource_version;
};

/// One port of an EndpointSlice, `ports[]`: the number that the pods listen on. Only TCP ports are kept.
struct endpoint_port {
    std::string name;                  ///< The Service port's name.
    std::optional<std::uint16_t> port; ///< None: every port of the endpoints is meant.
};

/// One endpoint of an EndpointSlice. Absent conditions mean what discovery.k8s.io/v1 says: ready and serving, not terminating.
struct endpoint {
    std::string address;       ///< The first of `addresses`: the others mean nothing to consumers.
    std::string pod;           ///< `targetRef.name` where its kind is Pod; else empty.
    std::string pod_namespace; ///< `targetRef.namespace`; where there is none, the slice's own.
    std::string hostname;      ///< The pod's stable name behind a headless Service.
    bool ready = true;
    bool serving = true;
    bool terminating = false;
};

struct endpoint_slice {
    std::string name;
    address_family family = address_family::ipv4;
    std::vector<endpoint> endpoints;
    std::vector<endpoint_port> ports;
};

/// A port of a pod: where a connection goes.
struct pod_port {
    std::string pod_namespace;
    std::string pod;
    std::uint16_t port = 0;

    friend bool operator==(pod_port const&, pod_port const&) = default;
};

/** The pods that a connection to `port` of a Service may go to, each pod once.

    - A port of the Service is mapped to the target port that each slice gives under the same name, numeric or named alike.
    - A number that is no port of the Service is used as it is, if an endpoint can listen there: what the pods listen on is
      not always listed.
    - Behind a headless Service names resolve to pods and nothing maps ports, so a number that the pods listen on is used as it is.
    - Ready endpoints are taken; when there are none, those that are terminating but still serve.
    - Slices of a family that the Service does not have, and of names (FQDN), count for nothing.
    - Of two endpoints with one address and port, one that is not terminating is meant: the address of a pod that ends may be given anew
      before the pod has gone.

    The result is what kube-proxy would send connections to, without its rules about nodes and zones (it runs on a node, we don't).
    Where a Service port is none of kube-proxy's (headless, a port without a number in the slice, a number that is no port of the
    Service) the rules above go on from what it does.

    @param name For the texts of errors: `namespace/service`.
    @return at least one, in the order of the slices; or `external_name`, `no_endpoints` (none ready: `why` says how many are not),
            `no_pods`.
    @par Source discovery.k8s.io/v1 EndpointSlice; KEP-1669 (terminating endpoints) */
result<std::vector<pod_port>> select_pods(service const& svc, std::span<endpoint_slice const> slices, std::uint16_t port, std::string const& name,
                                          diagnostics& why);

} // namespace podproxy::kube

#include <podproxy/kube/impl/endpoints.ipp>

#endif
