#ifndef PODPROXY_HTTP_IMPL_BODY_IPP
#define PODPROXY_HTTP_IMPL_BODY_IPP

#include <podproxy/http/body.hpp>

namespace podproxy::http {

namespace detail {

/// A Content-Length element: digits only, below 2^63.
inline std::optional<std::uint64_t> parse_length(std::string_view text) noexcept
{
    if (text.empty()) return std::nullopt;
    std::uint64_t value = 0;
    for (char const c : text) {
        if (!is_digit(c)) return std::nullopt;
        auto const digit = static_cast<std::uint64_t>(c - '0');
        constexpr std::uint64_t limit = 0x7fffffffffffffff;
        if (value > (limit - digit) / 10) return std::nullopt;
        value = value * 10 + digit;
    }
    return value;
}

} // namespace detail

inline result<std::optional<std::uint64_t>> content_length(fields const& f)
{
    std::optional<std::uint64_t> found;
    for (field const x : f) {
        if (!iequals(x.name, "Content-Length")) continue;
        // Split by hand: an empty element is an error here, not something to skip.
        std::string_view rest = x.value;
        for (;;) {
            std::size_t const comma = rest.find(',');
            auto const value = detail::parse_length(detail::trim(rest.substr(0, comma)));
            if (!value) return errc::bad_content_length;
            if (found && *found != *value) return errc::conflicting_lengths;
            found = value;
            if (comma == std::string_view::npos) break;
            rest.remove_prefix(comma + 1);
        }
    }
    return found;
}

inline result<bool> is_chunked(fields const& f, version v)
{
    std::size_t chunked = 0;
    std::size_t others = 0;
    bool last_is_chunked = false;
    bool well_formed = true;
    bool present = false;
    for (field const x : f) {
        if (!iequals(x.name, "Transfer-Encoding")) continue;
        present = true;
        for (std::string_view const coding : list_elements(x.value)) {
            last_is_chunked = iequals(coding, "chunked");
            (last_is_chunked ? chunked : others) += 1;
            std::string_view const name = detail::trim(coding.substr(0, coding.find(';')));
            if (!detail::is_token(name) || (coding.size() != name.size() && iequals(name, "chunked"))) well_formed = false;
        }
    }
    if (!present) return false;
    if (v == version::http_1_0) return errc::encoding_in_http10;
    if (f.contains("Content-Length")) return errc::length_and_encoding;
    if (!well_formed || chunked != 1 || !last_is_chunked) return errc::bad_transfer_encoding;
    if (others != 0) return errc::unsupported_coding;
    return true;
}

inline result<body_framing> request_framing(request_head const& head)
{
    auto const chunked = is_chunked(head.fields, head.version);
    if (!chunked) return chunked.error();
    auto const length = content_length(head.fields);
    if (!length) return length.error();
    body_framing out;
    if (*chunked) out.kind = framing_kind::chunked;
    else if (length->value_or(0) != 0) out = {framing_kind::length, **length};
    if (out.kind != framing_kind::none && (head.method == "CONNECT" || head.method == "TRACE")) return errc::content_not_allowed;
    return out;
}

inline result<body_framing> response_framing(response_head const& head, std::string_view method)
{
    auto const chunked = is_chunked(head.fields, head.version);
    if (!chunked) return chunked.error();
    auto const length = content_length(head.fields);
    if (!length) return length.error();
    bool const no_content = head.status < 200 || head.status == 204 || head.status == 304 || method == "HEAD" ||
                            (method == "CONNECT" && head.status < 300);
    body_framing out;
    if (no_content) return out;
    if (*chunked) {
        out.kind = framing_kind::chunked;
    } else if (!length->has_value()) {
        out.kind = framing_kind::until_close;
    } else if (**length != 0) {
        out = {framing_kind::length, **length};
    }
    return out;
}

} // namespace podproxy::http

#endif
