#ifndef PODPROXY_UPSTREAM_PROXY_URL_HPP
#define PODPROXY_UPSTREAM_PROXY_URL_HPP

#include <podproxy/core/ascii.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/core/percent.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/core/secret.hpp>
#include <podproxy/upstream/errc.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace podproxy::upstream {

enum class scheme : std::uint8_t {
    http,   ///< HTTP CONNECT.
    https,  ///< HTTP CONNECT inside of TLS to the proxy.
    socks5, ///< SOCKS5; names are resolved by the proxy, for `socks5://` as for `socks5h://`.
};

/// Another proxy, as its URL says.
struct proxy_url {
    upstream::scheme scheme = upstream::scheme::http;
    host_port address;
    std::string user; ///< Empty: no credentials.
    secret password;
};

/** Read `http://user:password@host:port`, `https://...`, `socks5://...` or `socks5h://...`.

    Default ports are 80, 443 and 1080. User and password may hold percent-encoded characters; a path of `/` is passed over.
    @return the parts; or `errc::bad_url` for anything else. The text may hold a password: do not show it. */
inline result<proxy_url> parse_proxy_url(std::string_view text)
{
    proxy_url out;
    std::size_t const end = text.find("://");
    if (end == std::string_view::npos) return errc::bad_url;
    std::string const scheme = ascii_lower(text.substr(0, end));
    if (scheme == "http") out.scheme = scheme::http;
    else if (scheme == "https") out.scheme = scheme::https;
    else if (scheme == "socks5" || scheme == "socks5h") out.scheme = scheme::socks5;
    else return errc::bad_url;
    text.remove_prefix(end + 3);
    if (text.ends_with('/')) text.remove_suffix(1);
    if (text.find_first_of("/?#") != std::string_view::npos) return errc::bad_url;
    if (std::size_t const at = text.rfind('@'); at != std::string_view::npos) {
        std::string_view const who = text.substr(0, at);
        std::size_t const colon = who.find(':');
        auto user = decode_percent(who.substr(0, colon));
        auto password = decode_percent(colon == std::string_view::npos ? std::string_view() : who.substr(colon + 1));
        if (!user || !password || user->empty()) return errc::bad_url;
        // They go into header fields and length-prefixed octets.
        if (user->find('\0') != std::string::npos || user->size() > 255 || password->size() > 255) return errc::bad_url;
        if (out.scheme != scheme::socks5 && user->find(':') != std::string::npos) return errc::bad_url; // RFC 7617 section 2
        out.user = std::move(*user);
        out.password = secret(std::move(*password));
        text.remove_prefix(at + 1);
    }
    host_port_rules rules;
    rules.default_port = static_cast<std::uint16_t>(out.scheme == scheme::http ? 80 : out.scheme == scheme::https ? 443 : 1080);
    auto address = parse_host_port(text, rules);
    if (!address) return errc::bad_url;
    out.address = std::move(*address);
    return out;
}

/// The URL without its credentials, for texts: `http://proxy.example:3128`.
inline std::string shown(proxy_url const& url)
{
    std::string_view const scheme = url.scheme == scheme::http ? "http://" : url.scheme == scheme::https ? "https://" : "socks5://";
    return std::string(scheme) + format_host_port(url.address);
}

} // namespace podproxy::upstream

#endif
