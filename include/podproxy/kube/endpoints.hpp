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

/// What is needed of a Service.
struct service {
    std::vector<service_port> ports;
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
    std::string pod;           ///< `targetRef.name` where its kind is Pod; else empty.
    std::string pod_namespace; ///< `targetRef.namespace`; where there is none, the slice's own.
    std::string hostname;      ///< The pod's stable name behind a headless Service.
    bool ready = true;
    bool serving = true;
    bool terminating = false;
};

struct endpoint_slice {
    std::string name;
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
    - Ready endpoints are taken; when there are none, those that are terminating but still serve, as kube-proxy does.

    @param name For the texts of errors: `namespace/service`.
    @return at least one, in the order of the slices; or `external_name`, `no_endpoints` (none ready: `why` says how many are not),
            `no_pods`.
    @par Source discovery.k8s.io/v1 EndpointSlice; KEP-1669 (terminating endpoints) */
result<std::vector<pod_port>> select_pods(service const& svc, std::span<endpoint_slice const> slices, std::uint16_t port, std::string const& name,
                                          diagnostics& why);

} // namespace podproxy::kube

#include <podproxy/kube/impl/endpoints.ipp>

#endif
