#ifndef PODPROXY_UPSTREAM_ERRC_HPP
#define PODPROXY_UPSTREAM_ERRC_HPP

#include <podproxy/core/error.hpp>
#include <string_view>
#include <system_error>

namespace podproxy::upstream {

/// Why another proxy did not give a tunnel. The connection to it is of no use any more.
enum class errc {
    bad_url = 1,      ///< A text is no URL of a proxy. A mistake in the settings.
    unreachable,      ///< The proxy itself can't be connected to.
    credentials,      ///< It wants other credentials (407).
    refused,          ///< It will not connect there (403 and other answers of 4xx).
    failed,           ///< It could not connect there (5xx).
    bad_answer,       ///< It does not speak HTTP as a proxy.
};

inline std::string_view errc_domain(errc) noexcept { return "podproxy.upstream"; }

inline std::string_view describe(errc e) noexcept
{
    switch (e) {
    case errc::bad_url: return "not a URL such as http://user:password@host:port, https://host:port or socks5://host:port";
    case errc::unreachable: return "the upstream proxy can't be reached";
    case errc::credentials: return "the upstream proxy does not accept the credentials";
    case errc::refused: return "the upstream proxy does not allow this destination";
    case errc::failed: return "the upstream proxy could not connect";
    case errc::bad_answer: return "the upstream proxy's answer could not be understood";
    }
    return "unknown error";
}

inline cond condition(errc e) noexcept
{
    switch (e) {
    case errc::credentials:
    case errc::refused: return cond::unauthorized;
    case errc::bad_url:
    case errc::bad_answer: return cond::malformed;
    case errc::unreachable:
    case errc::failed: return cond::unavailable;
    }
    return cond::unavailable;
}

inline std::error_code make_error_code(errc e) noexcept { return make_domain_error(e); }

} // namespace podproxy::upstream

template <>
struct std::is_error_code_enum<podproxy::upstream::errc> : std::true_type {};

#endif
