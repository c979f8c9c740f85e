#include <algorithm>
#include <cstddef>

namespace podproxy::kube {

namespace detail {

/// The number that `port` of the Service means in this slice, or nothing where the slice does not serve it.
inline std::optional<std::uint16_t> map_port(service const& svc, endpoint_slice const& slice, std::uint16_t port)
{
    bool const listened_on = std::any_of(slice.ports.begin(), slice.ports.end(), [&](auto const& p) { return p.port == port; });
    if (svc.headless && listened_on) return port;
    auto const own = std::find_if(svc.ports.begin(), svc.ports.end(), [&](auto const& p) { return p.port == port; });
    if (own == svc.ports.end()) return port;
    auto const target = std::find_if(slice.ports.begin(), slice.ports.end(), [&](auto const& p) { return p.name == own->name; });
    if (target == slice.ports.end()) return std::nullopt; // these pods have no port of that name
    return target->port.value_or(port);
}

} // namespace detail

inline result<std::vector<pod_port>> select_pods(service const& svc, std::span<endpoint_slice const> slices, std::uint16_t port,
                                                 std::string const& name, diagnostics& why)
{
    if (!svc.external_name.empty()) {
        why.message = "Service " + name + " is an ExternalName for " + svc.external_name + ": use that name instead";
        return errc::external_name;
    }
    std::vector<pod_port> ready;
    std::vector<pod_port> leaving;
    std::size_t not_ready = 0;
    std::size_t not_pods = 0;
    std::size_t other_port = 0;
    for (auto const& slice : slices) {
        auto const number = detail::map_port(svc, slice, port);
        for (auto const& e : slice.endpoints) {
            bool const is_ready = e.ready && !e.terminating;
            bool const is_leaving = e.terminating && e.serving;
            if (!is_ready && !is_leaving) {
                ++not_ready;
            } else if (e.pod.empty()) {
                ++not_pods;
            } else if (!number) {
                ++other_port;
            } else {
                auto& list = is_ready ? ready : leaving;
                pod_port p{e.pod_namespace, e.pod, *number};
                if (std::find(list.begin(), list.end(), p) == list.end()) list.push_back(std::move(p)); // dual stack: two slices
            }
        }
    }
    if (!ready.empty()) return ready;
    if (!leaving.empty()) return leaving;
    if (not_pods != 0) {
        why.message = "the endpoints of Service " + name + " are not pods (no targetRef): port-forward can't reach them";
        return errc::no_pods;
    }
    if (not_ready != 0)
        why.message = "Service " + name + " has no ready endpoint: " + std::to_string(not_ready) + " not ready; look at its pods";
    else if (other_port != 0)
        why.message = "Service " + name + " has no endpoint with port " + std::to_string(port) + ": its targetPort names a port that the pods don't have";
    else
        why.message = "Service " + name + " has no endpoints: does its selector match any pod?";
    return errc::no_endpoints;
}

} // namespace podproxy::kube
