#ifndef PODPROXY_HTTP_SERIALISE_HPP
#define PODPROXY_HTTP_SERIALISE_HPP

#include <podproxy/core/result.hpp>
#include <podproxy/http/detail/chars.hpp>
#include <podproxy/http/errc.hpp>
#include <podproxy/http/message.hpp>
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>

namespace podproxy::http {

namespace detail {

inline bool safe_field(field const& f) noexcept { return is_token(f.name) && all(f.value, field_char); }

inline result<void> append_fields(std::string& out, std::size_t undo_to, fields const& list)
{
    for (field const f : list) {
        if (!safe_field(f)) {
            out.resize(undo_to);
            return errc::unsafe_head;
        }
        out.append(f.name).append(": ").append(f.value).append("\r\n");
    }
    out += "\r\n";
    return {};
}

} // namespace detail

/** Append the wire form of a request's head to `out`.

    Nothing is added or repaired: the caller has put Host and the framing fields there.
    @return `errc::unsafe_head`, with nothing appended, for a method or field name that is no token, an empty target, and for
            characters that could end a line or a word early: no text of a caller can inject a field. */
inline result<void> encode_request_head(std::string& out, request_head const& head)
{
    std::size_t const start = out.size();
    if (!detail::is_token(head.method) || head.target.empty() || !detail::all(head.target, detail::target_char)) return errc::unsafe_head;
    out.append(head.method).append(" ").append(head.target).append(" ").append(to_string(head.version)).append("\r\n");
    return detail::append_fields(out, start, head.fields);
}

/** Append the wire form of a response's head to `out`. An empty reason is replaced by the usual phrase.
    @return `errc::unsafe_head`, with nothing appended, as `encode_request_head` does, and for a status outside of 100 to 999. */
inline result<void> encode_response_head(std::string& out, response_head const& head)
{
    std::size_t const start = out.size();
    if (head.status < 100 || head.status > 999 || !detail::all(head.reason, detail::field_char)) return errc::unsafe_head;
    char digits[3];
    std::to_chars(digits, digits + 3, head.status);
    out.append(to_string(head.version)).append(" ").append(digits, 3).append(" ");
    out.append(head.reason.empty() ? reason_phrase(head.status) : std::string_view(head.reason)).append("\r\n");
    return detail::append_fields(out, start, head.fields);
}

} // namespace podproxy::http

#endif
