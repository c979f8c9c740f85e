#ifndef PODPROXY_KUBE_ERRC_HPP
#define PODPROXY_KUBE_ERRC_HPP

#include <podproxy/core/error.hpp>
#include <string_view>
#include <system_error>

namespace podproxy::kube {

/// What can go wrong on the way into a cluster. The API server's or the runtime's own words travel in `diagnostics`.
enum class errc {
    unknown_cluster = 1,   ///< No kubeconfig context has this name.
    bad_address,           ///< The name ends in a known cluster, but has too few or too many parts.
    bad_context,           ///< The kubeconfig context can't be used (a missing cluster, user or file).
    unreachable,           ///< The API server can't be connected to.
    unauthorized,          ///< 401: the credentials are missing, wrong or expired.
    forbidden,             ///< 403: the user may not do this; the text names the verb and the resource.
    not_found,             ///< 404: no such namespace, service or pod.
    api_error,             ///< Any other answer of the API server.
    bad_answer,            ///< The API server's answer is not what the API promises.
    resource_expired,      ///< 410: the watch is too old; list again.
    external_name,         ///< The Service is of type ExternalName: there are no pods behind it.
    no_endpoints,          ///< The Service has no ready endpoint now.
    no_pods,               ///< The Service's endpoints are not pods, port-forward can't reach them.
    port_refused,          ///< Nothing listens on that port in the pod.
    pod_reset,             ///< The pod reset the connection.
    pod_gone,              ///< The pod's sandbox is gone; its sessions are of no use any more.
    forward_failed,        ///< The runtime could not forward for another reason.
    no_session,            ///< No port-forward session to the pod could be opened.
    not_upgraded,          ///< The API server refused to switch to port forwarding.
    bad_credential,        ///< The program that gives credentials (exec plugin) failed, or gave none that can be used.
    conflict,              ///< 409: somebody else has changed or created the object meanwhile; read it again.
};

inline std::string_view errc_domain(errc) noexcept { return "podproxy.kube"; }

inline std::string_view describe(errc e) noexcept
{
    switch (e) {
    case errc::unknown_cluster: return "no kubeconfig context has this name";
    case errc::bad_address: return "not an address of the form <service>[.<namespace>].<cluster> or <pod>.<service>.<namespace>.<cluster>";
    case errc::bad_context: return "the kubeconfig context can't be used";
    case errc::unreachable: return "the API server can't be reached";
    case errc::unauthorized: return "the API server does not accept the credentials";
    case errc::forbidden: return "the API server does not allow this user to do that";
    case errc::not_found: return "the API server does not know this object";
    case errc::api_error: return "the API server answered with an error";
    case errc::bad_answer: return "the API server's answer could not be understood";
    case errc::resource_expired: return "the watch is too old to be continued";
    case errc::external_name: return "the Service is an ExternalName and has no pods";
    case errc::no_endpoints: return "the Service has no ready endpoints";
    case errc::no_pods: return "the Service's endpoints are not pods";
    case errc::port_refused: return "nothing listens on that port in the pod";
    case errc::pod_reset: return "the pod reset the connection";
    case errc::pod_gone: return "the pod is gone";
    case errc::forward_failed: return "the cluster could not forward the connection";
    case errc::no_session: return "no port-forward session could be opened";
    case errc::not_upgraded: return "the API server did not switch to port forwarding";
    case errc::bad_credential: return "no credentials could be got for the API server";
    case errc::conflict: return "somebody else has changed the object meanwhile";
    }
    return "unknown error";
}

inline cond condition(errc e) noexcept
{
    switch (e) {
    case errc::unknown_cluster:
    case errc::not_found: return cond::not_found;
    case errc::unauthorized:
    case errc::forbidden:
    case errc::bad_credential: return cond::unauthorized;
    case errc::port_refused: return cond::refused;
    case errc::bad_address:
    case errc::bad_context:
    case errc::bad_answer: return cond::malformed;
    case errc::unreachable:
    case errc::resource_expired:
    case errc::api_error:
    case errc::external_name:
    case errc::no_endpoints:
    case errc::no_pods:
    case errc::pod_reset:
    case errc::pod_gone:
    case errc::forward_failed:
    case errc::no_session:
    case errc::conflict:
    case errc::not_upgraded: return cond::unavailable;
    }
    return cond::unavailable;
}

inline std::error_code make_error_code(errc e) noexcept { return make_domain_error(e); }

} // namespace podproxy::kube

template <>
struct std::is_error_code_enum<podproxy::kube::errc> : std::true_type {};

#endif
