#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

namespace podproxy::kube {

namespace detail {

inline bool has_family(service const& svc, endpoint_slice const& slice) noexcept
{
    if (slice.family == address_family::other) return false;
    return svc.families.empty() || std::find(svc.families.begin(), svc.families.end(), slice.family) != svc.families.end();
}

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
    struct candidate {
        endpoint const* point;
        std::uint16_t number;
    };
    std::vector<candidate> found;
    std::map<std::pair<std::string_view, std::uint16_t>, std::size_t> by_address;
    std::size_t not_ready = 0;
    std::size_t other_port = 0;
    for (auto const& slice : slices) {
        if (!detail::has_family(svc, slice)) continue;
        auto const number = detail::map_port(svc, slice, port);
        for (auto const& e : slice.endpoints) {
            if (!number) {
                ++(e.ready || (e.terminating && e.serving) ? other_port : not_ready);
                continue;
            }
            if (!e.address.empty()) {
                auto const [at, first] = by_address.try_emplace({e.address, *number}, found.size());
                if (!first) {
                    if (!e.terminating) found[at->second].point = &e;
                    continue;
                }
            }
            found.push_back({&e, *number});
        }
    }
    bool const any_ready = std::any_of(found.begin(), found.end(), [](auto const& c) { return c.point->ready; });
    std::vector<pod_port> chosen;
    std::set<std::tuple<std::string_view, std::string_view, std::uint16_t>> seen; // dual stack: a pod is in two slices
    std::size_t not_pods = 0;
    for (auto const& [point, number] : found) {
        auto const& e = *point;
        if (any_ready ? !e.ready : !(e.terminating && e.serving)) {
            ++not_ready;
        } else if (e.pod.empty()) {
            ++not_pods;
        } else if (seen.emplace(e.pod_namespace, e.pod, number).second) {
            chosen.push_back({e.pod_namespace, e.pod, number});
        }
    }
    if (!chosen.empty()) return chosen;
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
