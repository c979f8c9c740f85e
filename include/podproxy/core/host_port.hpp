#ifndef PODPROXY_CORE_HOST_PORT_HPP
#define PODPROXY_CORE_HOST_PORT_HPP

#include <podproxy/core/ip_address.hpp>
#include <podproxy/core/result.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace podproxy {

/** Where somebody wants to go: a name or an address, and a port.

    The host is as it was given, an IPv6 address without brackets. It has constructors on purpose: GCC 12 destroys an
    aggregate temporary twice when it is built inside a `co_await` expression. */
struct host_port {
    std::string host;
    std::uint16_t port = 0;

    host_port() = default;
    host_port(std::string h, std::uint16_t p) noexcept : host(std::move(h)), port(p) {}

    friend bool operator==(host_port const&, host_port const&) = default;
};

/// Why a text is not `host:port`. Always a mistake in the text, never in a connection.
enum class host_port_errc {
    no_port = 1,       ///< There is no `:port`, and no default was given.
    bad_port,          ///< Not a decimal number from 1 to 65535 (0 where rules allow it).
    empty_host,        ///< Nothing stands before the colon.
    bad_host,          ///< A character that a name can't have, or more than 255 of them.
    bad_ipv6,          ///< What stands in brackets is not an IPv6 address, or the bracket is not closed.
    unbracketed_ipv6,  ///< More than one colon: an IPv6 address needs brackets here.
};

inline std::string_view errc_domain(host_port_errc) noexcept { return "podproxy.host_port"; }

inline std::string_view describe(host_port_errc e) noexcept
{
    switch (e) {
    case host_port_errc::no_port: return "the port is missing: host:port is expected";
    case host_port_errc::bad_port: return "the port is not a number from 1 to 65535";
    case host_port_errc::empty_host: return "the host is missing: host:port is expected";
    case host_port_errc::bad_host: return "the host has a character that a name can't have, or is longer than 255";
    case host_port_errc::bad_ipv6: return "no IPv6 address stands between the brackets";
    case host_port_errc::unbracketed_ipv6: return "an IPv6 address with a port needs brackets: [::1]:80";
    }
    return "unknown error";
}

inline cond condition(host_port_errc) noexcept { return cond::malformed; }
inline std::error_code make_error_code(host_port_errc e) noexcept { return make_domain_error(e); }

} // namespace podproxy

template <>
struct std::is_error_code_enum<podproxy::host_port_errc> : std::true_type {};

namespace podproxy {

/// What `parse_host_port` takes beyond `host:port` with a port from 1 to 65535.
struct host_port_rules {
    std::optional<std::uint16_t> default_port; ///< Where `:port` is missing. None: it is an error.
    bool allow_port_zero = false;              ///< For listening: any free port.
    bool allow_empty_host = false;             ///< For listening: `:9080` is every address; the host stays empty.
};

/// The longest name anybody sends: SOCKS5 has one byte for the length, DNS stops at 253.
inline constexpr std::size_t max_host_bytes = 255;

/** May this be the host of a destination? From 1 to 255 bytes, none of them a blank, a control character or DEL.

    Deliberately wider than DNS: names of clusters hold `:`, `/` and `@`, and clients send UTF-8. What is refused could break
    a line of a header or of a log apart. */
inline bool is_host(std::string_view host) noexcept
{
    return !host.empty() && host.size() <= max_host_bytes &&
           std::all_of(host.begin(), host.end(), [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
}

/// The longest zone of an IPv6 address that is taken; names of interfaces have at most 15 bytes.
inline constexpr std::size_t max_zone_bytes = 63;

/** Is this an IPv4 or IPv6 address? The latter without brackets, possibly with a zone such as `%eth0`, of letters, digits and
    `- . _ ~` (RFC 6874). */
inline bool is_ip_literal(std::string_view host) noexcept
{
    std::size_t const percent = host.find('%');
    if (percent == std::string_view::npos) return parse_ipv4(host) || parse_ipv6(host);
    std::string_view const zone = host.substr(percent + 1);
    return !zone.empty() && zone.size() <= max_zone_bytes && parse_ipv6(host.substr(0, percent)) &&
           std::all_of(zone.begin(), zone.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' || c == '~';
           });
}

/// Read a decimal port without sign or blanks, at most 65535. Zero is read too.
inline std::optional<std::uint16_t> parse_port(std::string_view text) noexcept
{
    if (text.empty() || text.size() > 5) return std::nullopt;
    unsigned value = 0;
    for (char const c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + static_cast<unsigned>(c - '0');
    }
    if (value > 65535) return std::nullopt;
    return static_cast<std::uint16_t>(value);
}

/** Read `name:80`, `192.0.2.1:80` or `[2001:db8::1]:80` (RFC 3986 section 3.2.2, as in a CONNECT target or an address in a config).

    A host without brackets can't hold any of `: / ? # @ [ ] \`, blanks or control characters.
    @return host (without brackets) and port, or a `host_port_errc`. */
inline result<host_port> parse_host_port(std::string_view text, host_port_rules const& rules = {})
{
    std::string_view host;
    std::string_view rest; // empty, or from the colon on
    if (text.starts_with('[')) {
        std::size_t const end = text.find(']');
        if (end == std::string_view::npos) return host_port_errc::bad_ipv6;
        host = text.substr(1, end - 1);
        rest = text.substr(end + 1);
        if (parse_ipv4(host) || !is_ip_literal(host)) return host_port_errc::bad_ipv6;
        if (!rest.empty() && rest.front() != ':') return host_port_errc::bad_port;
    } else {
        std::size_t const colon = text.find(':');
        host = text.substr(0, colon);
        if (colon != std::string_view::npos) rest = text.substr(colon);
        if (rest.find(':', 1) != std::string_view::npos) return host_port_errc::unbracketed_ipv6;
        if (host.empty()) {
            if (!rules.allow_empty_host || rest.empty()) return host_port_errc::empty_host;
        } else if (!is_host(host) || host.find_first_of("/?#@]\\") != std::string_view::npos) {
            return host_port_errc::bad_host;
        }
    }
    if (rest.empty()) {
        if (!rules.default_port) return host_port_errc::no_port;
        return host_port{std::string(host), *rules.default_port};
    }
    auto const port = parse_port(rest.substr(1));
    if (!port || (*port == 0 && !rules.allow_port_zero)) return host_port_errc::bad_port;
    return host_port{std::string(host), *port};
}

/// `name:80`, `192.0.2.1:80`, `[2001:db8::1]:80`: brackets wherever the host holds a colon.
inline std::string format_host_port(std::string_view host, std::uint16_t port)
{
    bool const brackets = host.find(':') != std::string_view::npos;
    std::string out;
    out.reserve(host.size() + 8);
    if (brackets) out += '[';
    out += host;
    if (brackets) out += ']';
    out += ':';
    out += std::to_string(port);
    return out;
}
inline std::string format_host_port(host_port const& hp) { return format_host_port(hp.host, hp.port); }

} // namespace podproxy

#endif
