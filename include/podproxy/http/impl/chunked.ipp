#ifndef PODPROXY_HTTP_IMPL_CHUNKED_IPP
#define PODPROXY_HTTP_IMPL_CHUNKED_IPP

#include <podproxy/http/chunked.hpp>
#include <podproxy/http/detail/field_line.hpp>
#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cstring>

namespace podproxy::http {

namespace detail {

/// Check `*( BWS ";" BWS name [ BWS "=" BWS value ] )`, where the value is a token or a quoted string.
inline bool valid_chunk_extensions(std::string_view text) noexcept
{
    std::size_t i = 0;
    auto skip_blanks = [&] {
        while (i < text.size() && is_blank(text[i])) ++i;
    };
    auto skip_token = [&] {
        std::size_t const start = i;
        while (i < text.size() && is(text[i], tchar)) ++i;
        return i > start;
    };
    while (i < text.size()) {
        skip_blanks();
        if (i == text.size() || text[i] != ';') return false;
        ++i;
        skip_blanks();
        if (!skip_token()) return false;
        std::size_t const after_name = i;
        skip_blanks();
        if (i == text.size() || text[i] != '=') {
            i = after_name;
            continue;
        }
        ++i;
        skip_blanks();
        if (i < text.size() && text[i] == '"') {
            for (++i; i < text.size() && text[i] != '"'; ++i) {
                if (text[i] == '\\') ++i;
                if (i == text.size() || !is(text[i], field_char)) return false;
            }
            if (i == text.size()) return false;
            ++i;
        } else if (!skip_token()) {
            return false;
        }
    }
    return true;
}

} // namespace detail

/// Move bytes up to and with the next LF from `in` to `line_`. @return whether the line is complete; `error_` is set past the limit.
inline bool chunked_decoder::take_line(bytes_view& in, std::size_t limit, errc too_long)
{
    auto const* const lf = in.empty() ? nullptr : static_cast<std::uint8_t const*>(std::memchr(in.data(), '\n', in.size()));
    std::size_t const n = lf ? static_cast<std::size_t>(lf - in.data()) + 1 : in.size();
    if (line_.size() + n > limit) {
        error_ = too_long;
        return false;
    }
    line_.append(as_text(in.first(n)));
    in = in.subspan(n);
    return lf != nullptr;
}

inline body_step chunked_decoder::next(bytes_view in)
{
    if (state_ == state::failed) return {body_status::failed, 0, {}, error_};
    if (state_ == state::done) return {body_status::done, 0, {}, {}};
    std::size_t const total = in.size();
    for (;;) {
        switch (state_) {
        case state::size_line:
        case state::trailer_line: {
            bool const size = state_ == state::size_line;
            std::size_t const limit = size ? limits_.max_line_bytes : limits_.max_trailer_bytes - trailer_bytes_;
            if (!take_line(in, limit, size ? errc::chunk_line_too_long : errc::trailers_too_large)) {
                if (error_) return fail(error_);
                return {body_status::need_more, total, {}, {}};
            }
            std::string_view line = line_;
            if (!line.ends_with("\r\n")) return fail(errc::bad_line_end);
            line.remove_suffix(2);
            if (std::error_code const ec = size ? on_size_line(line) : on_trailer_line(line)) return fail(ec);
            line_.clear();
            if (state_ == state::done) return {body_status::done, total - in.size(), {}, {}};
            break;
        }
        case state::content: {
            if (in.empty()) return {body_status::need_more, total, {}, {}};
            std::size_t const n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size()));
            left_ -= n;
            if (left_ == 0) state_ = state::content_end;
            return {body_status::data, total - in.size() + n, in.first(n), {}};
        }
        case state::content_end:
            // Two bytes, which may come one at a time: line_ holds the CR once it is there.
            if (in.empty()) return {body_status::need_more, total, {}, {}};
            if (in[0] != (line_.empty() ? '\r' : '\n')) return fail(errc::bad_chunk_end);
            if (line_.empty()) {
                line_ = "\r";
            } else {
                line_.clear();
                state_ = state::size_line;
            }
            in = in.subspan(1);
            break;
        case state::done:
        case state::failed: return {body_status::failed, 0, {}, error_};
        }
    }
}

inline std::error_code chunked_decoder::on_size_line(std::string_view line)
{
    std::uint64_t size = 0;
    std::size_t digits = 0;
    while (digits < line.size() && detail::hex_value(line[digits]) < 16) {
        if (size >> 59 != 0) return errc::bad_chunk_size;
        size = size << 4 | detail::hex_value(line[digits++]);
    }
    if (digits == 0) return errc::bad_chunk_size;
    std::string_view const rest = line.substr(digits);
    if (!rest.empty()) {
        if (!detail::is_blank(rest[0]) && rest[0] != ';') return errc::bad_chunk_size;
        extension_bytes_ += rest.size();
        if (extension_bytes_ > limits_.max_extension_bytes) return errc::extensions_too_large;
        if (!detail::valid_chunk_extensions(rest)) return errc::bad_chunk_extension;
    }
    left_ = size;
    state_ = size == 0 ? state::trailer_line : state::content;
    return {};
}

inline std::error_code chunked_decoder::on_trailer_line(std::string_view line)
{
    trailer_bytes_ += line.size() + 2;
    if (line.empty()) {
        state_ = state::done;
        return {};
    }
    detail::field_span place;
    if (std::error_code const ec = detail::parse_field_line(line, 0, place)) return ec;
    if (trailers_.size() == limits_.max_trailer_fields) return errc::trailers_too_large;
    trailers_.add(line.substr(place.name, place.name_size), line.substr(place.value, place.value_size));
    return {};
}

inline void append_chunk_header(std::string& out, std::uint64_t size)
{
    assert(size != 0);
    std::array<char, 18> digits;
    auto const end = std::to_chars(digits.data(), digits.data() + digits.size(), size, 16).ptr;
    out.append(digits.data(), end).append("\r\n");
}

inline void append_chunk(std::string& out, bytes_view content)
{
    if (content.empty()) return;
    append_chunk_header(out, content.size());
    out.append(as_text(content)).append(chunk_end);
}

inline result<void> append_last_chunk(std::string& out, fields const& trailers)
{
    for (field const f : trailers)
        if (!detail::is_token(f.name) || !detail::all(f.value, detail::field_char) || detail::trim(f.value) != f.value)
            return errc::unsafe_head;
    out += "0\r\n";
    for (field const f : trailers) out.append(f.name).append(": ").append(f.value).append("\r\n");
    out += "\r\n";
    return {};
}

inline bool is_allowed_trailer(std::string_view name) noexcept
{
    static constexpr std::string_view refused[] = {
        "Transfer-Encoding", "Content-Length",      "Content-Encoding",    "Content-Type",  "Content-Range",
        "Host",              "Connection",          "Keep-Alive",          "Upgrade",       "TE",
        "Trailer",           "Expect",              "Max-Forwards",        "Cache-Control", "Range",
        "Authorization",     "Proxy-Authorization", "Proxy-Authenticate",  "Cookie",        "Set-Cookie",
        "WWW-Authenticate",  "Proxy-Connection",    "Authentication-Info", "Age",           "Date",
        "Expires",           "Location",            "Retry-After",         "Vary",          "Pragma"};
    return std::none_of(std::begin(refused), std::end(refused), [&](std::string_view r) { return iequals(r, name); });
}

} // namespace podproxy::http

#endif
