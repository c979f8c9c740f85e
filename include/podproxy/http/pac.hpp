#ifndef PODPROXY_HTTP_PAC_HPP
#define PODPROXY_HTTP_PAC_HPP

#include <podproxy/core/host_port.hpp>
#include <podproxy/http/detail/chars.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace podproxy::http {

/// The media type of a proxy auto-configuration file.
inline constexpr std::string_view pac_content_type = "application/x-ns-proxy-autoconfig";

/// Where a browser finds us. The address must be one that the *browser* can reach: best the one with which it fetched the file.
struct pac_addresses {
    std::optional<host_port> http;  ///< The port that speaks HTTP, if there is one.
    std::optional<host_port> socks; ///< The port that speaks SOCKS5, if there is one. May be the same.
};

namespace detail {

/// Append `text` so that it can stand between double quotes in JavaScript, in ASCII; what is not UTF-8 becomes U+FFFD.
inline void append_javascript_string(std::string& out, std::string_view text)
{
    static constexpr std::string_view hex = "0123456789abcdef";
    auto unit = [&](std::uint32_t u) {
        out += "\\u";
        for (int shift = 12; shift >= 0; shift -= 4) out += hex[u >> shift & 15];
    };
    for (std::size_t i = 0; i < text.size();) {
        auto const c = static_cast<std::uint8_t>(text[i++]);
        if (c < 0x80) {
            bool const plain = c >= 0x20 && c != 0x7f && std::string_view("\"\\<>&'").find(static_cast<char>(c)) == std::string_view::npos;
            if (plain) out += static_cast<char>(c);
            else unit(c);
            continue;
        }
        std::size_t const more = c >= 0xf0 && c <= 0xf4 ? 3 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xc2 && c < 0xe0 ? 1 : 0;
        std::uint32_t code = more == 3 ? c & 7u : more == 2 ? c & 15u : c & 31u;
        bool valid = more != 0 && text.size() - i >= more;
        for (std::size_t k = 0; valid && k < more; ++k) {
            auto const next = static_cast<std::uint8_t>(text[i + k]);
            valid = (next & 0xc0) == 0x80;
            code = code << 6 | (next & 0x3fu);
        }
        static constexpr std::uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        if (!valid || code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
            unit(0xfffd);
            continue;
        }
        i += more;
        if (code >= 0x10000) {
            unit(0xd800 + ((code - 0x10000) >> 10));
            unit(0xdc00 + ((code - 0x10000) & 0x3ff));
        } else {
            unit(code);
        }
    }
}

} // namespace detail

/** The text of a proxy auto-configuration file: hosts below the given names go through us, all others directly.

    A name of a cluster matches `*.name`, whatever the case. There is no `DIRECT` behind our addresses: when we are not there, the
    browser must not ask the public DNS for names of a cluster. `SOCKS5` rather than `SOCKS` makes browsers leave resolving to us.
    @param names  Cluster names, the last label(s) of a host; escaped, so that no name can break out of its string.
    @param where  Without any address nothing is sent through us. */
inline std::string pac_text(std::span<std::string const> names, pac_addresses const& where)
{
    std::string directive;
    if (where.http) directive += "PROXY " + format_host_port(*where.http);
    if (where.socks) directive += (directive.empty() ? "SOCKS5 " : "; SOCKS5 ") + format_host_port(*where.socks);
    std::string out = "function FindProxyForURL(url, host) {\n";
    if (!directive.empty() && !names.empty()) {
        out += "  host = host.toLowerCase();\n";
        for (std::string const& name : names) {
            if (name.empty()) continue;
            std::string lowered(name);
            std::transform(lowered.begin(), lowered.end(), lowered.begin(), detail::lower);
            // A name with a wildcard in it is compared as it stands, not as a pattern.
            bool const literal = lowered.find_first_of("*?[]\\") != std::string::npos;
            out += literal ? "  if (dnsDomainIs(host, \"." : "  if (shExpMatch(host, \"*.";
            detail::append_javascript_string(out, lowered);
            out += "\")) return \"";
            detail::append_javascript_string(out, directive);
            out += "\";\n";
        }
    }
    out += "  return \"DIRECT\";\n}\n";
    return out;
}

inline std::string pac_text(std::span<std::string const> names, host_port const& mixed) { return pac_text(names, pac_addresses{mixed, mixed}); }

} // namespace podproxy::http

#endif
