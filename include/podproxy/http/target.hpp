#ifndef PODPROXY_HTTP_TARGET_HPP
#define PODPROXY_HTTP_TARGET_HPP

#include <podproxy/core/host_port.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/http/errc.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace podproxy::http {

/// `host [":" port]` taken apart. A view into the parsed text.
struct host_view {
    std::string_view host;             ///< A name or an address as it was written, an IPv6 address without its brackets. Not empty.
    std::optional<std::uint16_t> port; ///< Where one was given; 1 to 65535.
    bool ipv6 = false;                 ///< The host stood in brackets.
    friend bool operator==(host_view const&, host_view const&) = default;

    /// As a destination, with a port for the case that none was given.
    host_port with_default_port(std::uint16_t fallback) const { return {std::string(host), port.value_or(fallback)}; }
};

/** Take a Host field or the authority of a target apart, RFC 3986 section 3.2.

    A name holds letters, digits, `-._~`, sub-delims and percent triplets, which are left as they are; an IPv6 address stands in
    brackets, without a zone. An empty port (`host:`) counts as none.
    @return the parts, `errc::userinfo_in_target` for an `@`, or `errc::bad_host`. */
result<host_view> parse_host(std::string_view text);

/// The forms of a request target, RFC 9112 section 3.2.
enum class target_form {
    origin,    ///< `/path?query`, to a server.
    absolute,  ///< `http://host/path?query`, to a proxy.
    authority, ///< `host:port`, CONNECT only.
    asterisk,  ///< `*`, OPTIONS only.
};

/// A request target taken apart. Views into the parsed text.
struct request_target {
    target_form form = target_form::origin;
    std::string_view scheme;         ///< Absolute form only, without `:`; compare with `iequals`.
    host_view authority;             ///< Absolute and authority form.
    std::string_view path_and_query; ///< Origin and absolute form. Absolute form: may be empty or begin with `?`.
};

/** Take a request target apart. Percent triplets are left alone.

    @param method decides about the form: CONNECT wants `host:port`, only OPTIONS may have `*`.
    @return the parts, or `errc::bad_target`, `errc::bad_host`, `errc::userinfo_in_target`. */
result<request_target> parse_target(std::string_view method, std::string_view target);

} // namespace podproxy::http

#include <podproxy/http/impl/target.ipp>
#endif
