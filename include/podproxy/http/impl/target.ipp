#ifndef PODPROXY_HTTP_IMPL_TARGET_IPP
#define PODPROXY_HTTP_IMPL_TARGET_IPP

#include <podproxy/http/detail/chars.hpp>
#include <podproxy/http/target.hpp>
#include <algorithm>
#include <cstddef>

namespace podproxy::http {

namespace detail {

/// Unreserved, sub-delims, and `%` only before two hexadecimal digits.
inline bool valid_name(std::string_view text) noexcept
{
    if (text.empty() || text.size() > max_host_bytes || !all(text, host_char)) return false;
    for (std::size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 1))
        if (text.size() - at < 3 || !is(text[at + 1], hex_char) || !is(text[at + 2], hex_char)) return false;
    return true;
}

} // namespace detail

inline result<host_view> parse_host(std::string_view text)
{
    if (text.find('@') != std::string_view::npos) return errc::userinfo_in_target;
    host_view out;
    std::string_view rest;
    if (text.starts_with('[')) {
        std::size_t const close = text.find(']');
        if (close == std::string_view::npos) return errc::bad_host;
        out.host = text.substr(1, close - 1);
        out.ipv6 = true;
        rest = text.substr(close + 1);
        if (!parse_ipv6(out.host)) return errc::bad_host;
    } else {
        out.host = text.substr(0, text.find(':'));
        rest = text.substr(out.host.size());
        if (!detail::valid_name(out.host)) return errc::bad_host;
    }
    if (rest.empty()) return out;
    if (rest[0] != ':') return errc::bad_host;
    rest.remove_prefix(1);
    if (rest.empty()) return out;
    out.port = parse_port(rest);
    if (out.port.value_or(0) == 0) return errc::bad_host;
    return out;
}

inline result<request_target> parse_target(std::string_view method, std::string_view target)
{
    request_target out;
    if (target.empty() || !detail::all(target, detail::target_char)) return errc::bad_target;
    if (method == "CONNECT") {
        out.form = target_form::authority;
        auto const host = parse_host(target);
        if (!host) return host.error();
        if (!host->port) return errc::bad_target;
        out.authority = *host;
        return out;
    }
    if (target == "*") {
        if (method != "OPTIONS") return errc::bad_target;
        out.form = target_form::asterisk;
        return out;
    }
    if (target[0] == '/') {
        out.path_and_query = target;
        return out;
    }
    out.form = target_form::absolute;
    std::size_t const colon = target.find(':');
    if (colon == std::string_view::npos || target.substr(colon, 3) != "://") return errc::bad_target;
    out.scheme = target.substr(0, colon);
    auto const letter = [](char c) { return detail::lower(c) >= 'a' && detail::lower(c) <= 'z'; };
    auto const scheme_char = [&](char c) { return letter(c) || detail::is_digit(c) || c == '+' || c == '-' || c == '.'; };
    if (out.scheme.empty() || !letter(out.scheme[0]) || !std::all_of(out.scheme.begin(), out.scheme.end(), scheme_char)) return errc::bad_target;
    std::string_view const rest = target.substr(colon + 3);
    std::string_view const authority = rest.substr(0, rest.find_first_of("/?"));
    auto const host = parse_host(authority);
    if (!host) return host.error();
    out.authority = *host;
    out.path_and_query = rest.substr(authority.size());
    return out;
}

} // namespace podproxy::http

#endif
