#ifndef PODPROXY_ROUTE_IMPL_ADDRESS_IPP
#define PODPROXY_ROUTE_IMPL_ADDRESS_IPP

#include <podproxy/core/ascii.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/route/address.hpp>
#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace podproxy::route {

namespace detail {

/// What stands before a cluster's name, and the cluster.
struct cluster_match {
    std::string_view before;
    std::string const* cluster;
};

/// The longest known name that is a proper suffix of `host`, cut at a dot.
inline std::optional<cluster_match> match_cluster(std::string_view host, cluster_names const& clusters) noexcept
{
    for (std::size_t dot = host.find('.'); dot != std::string_view::npos; dot = host.find('.', dot + 1))
        if (auto const* cluster = clusters.find(host.substr(dot + 1))) return cluster_match{host.substr(0, dot), cluster};
    return std::nullopt;
}

/// May this be (a part of) the name of a Kubernetes object? It goes into paths of the API, so nothing else may pass.
inline bool is_object_name(std::string_view part, std::size_t max_size) noexcept
{
    if (part.empty() || part.size() > max_size || part.front() == '-' || part.back() == '-') return false;
    return std::ranges::all_of(part, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

inline result<target> target_in_cluster(cluster_match const& match)
{
    constexpr std::size_t max_label = 63;
    constexpr std::size_t max_pod_name = 253;

    std::array<std::string_view, 3> parts;
    std::size_t count = 0;
    std::string_view rest = match.before;
    for (;;) {
        if (count == parts.size()) return errc::too_many_parts;
        std::size_t const dot = rest.find('.');
        parts[count++] = rest.substr(0, dot);
        if (dot == std::string_view::npos) break;
        rest.remove_prefix(dot + 1);
    }
    for (std::size_t i = 0; i < count; ++i) {
        bool const is_pod = count == 3 && i == 0;
        if (!is_object_name(parts[i], is_pod ? max_pod_name : max_label)) return errc::bad_part;
    }
    if (count == 3)
        return target(pod_target{*match.cluster, std::string(parts[2]), std::string(parts[1]), std::string(parts[0])});
    std::optional<std::string> ns;
    if (count == 2) ns.emplace(parts[1]);
    return target(service_target{*match.cluster, std::move(ns), std::string(parts[0])});
}

} // namespace detail

inline result<target> parse_address(std::string_view host, cluster_names const& clusters)
{
    if (!is_host(host)) return errc::bad_host;
    if ((clusters.empty() && clusters.default_cluster().empty()) || is_ip_literal(host)) return target(direct_target{});

    std::string const lower = ascii_lower(host);
    std::string_view name = lower;
    if (name.ends_with('.')) name.remove_suffix(1);
    // The host without both suffixes, without the first, and as it is: the first of them that matches counts.
    std::array<std::string_view, 3> forms{name, name, name};
    if (forms[1].ends_with(".svc.cluster.local")) forms[1].remove_suffix(std::string_view(".svc.cluster.local").size());
    forms[0] = forms[1];
    if (forms[0].ends_with(".svc")) forms[0].remove_suffix(std::string_view(".svc").size());

    for (std::string_view const form : forms)
        if (auto const match = detail::match_cluster(form, clusters)) return detail::target_in_cluster(*match);
    // A name as pods use it among themselves. `local` and `svc` are no public domains, so nobody else's names are taken.
    if (!clusters.default_cluster().empty() && forms[0].size() != name.size() && forms[0].find('.') != std::string_view::npos)
        return detail::target_in_cluster({forms[0], &clusters.default_cluster()});
    return target(direct_target{});
}

} // namespace podproxy::route

#endif
