#ifndef PODPROXY_ROUTE_ERRC_HPP
#define PODPROXY_ROUTE_ERRC_HPP

#include <podproxy/core/error.hpp>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace podproxy::route {

/// Why a host is no destination. Always the client's mistake; its connection can be answered and used further.
enum class errc {
    bad_host = 1,   ///< Empty, longer than 255 bytes, or holds blanks or control characters.
    too_many_parts, ///< The name ends in a known cluster, but has more than three parts before it.
    bad_part,       ///< The name ends in a known cluster, but a part before it can't be the name of a Kubernetes object.
    blocked,        ///< A rule forbids it.
    not_in_cluster, ///< A rule sends it into a cluster, where it can't be: it is an address.
    bad_pattern,    ///< The text of a rule names no destinations. A mistake in the settings.
    bad_ports,      ///< The text of a rule ends in ports that are none. A mistake in the settings.
};

inline std::string_view errc_domain(errc) noexcept { return "podproxy.route"; }

inline std::string_view describe(errc e) noexcept
{
    switch (e) {
    case errc::bad_host: return "the host is empty, longer than 255 bytes or holds characters that a name can't have";
    case errc::too_many_parts:
        return "too many parts before the cluster: <service>, <service>.<namespace> or <pod>.<service>.<namespace> is expected";
    case errc::bad_part: return "a part before the cluster is empty or can't be the name of a Kubernetes object";
    case errc::blocked: return "a rule blocks this destination";
    case errc::not_in_cluster: return "an address can't be reached in a cluster: use the name of a Service";
    case errc::bad_pattern: return "a host, *.suffix, an address, a block such as 10.0.0.0/8, or * is expected";
    case errc::bad_ports: return "ports from 1 to 65535, separated by commas, are expected behind the colon";
    }
    return "unknown error";
}

inline cond condition(errc e) noexcept { return e == errc::blocked ? cond::unauthorized : cond::malformed; }
inline std::error_code make_error_code(errc e) noexcept { return make_domain_error(e); }

} // namespace podproxy::route

template <>
struct std::is_error_code_enum<podproxy::route::errc> : std::true_type {};

#endif
