#ifndef PODPROXY_HTTP_IMPL_PARSER_IPP
#define PODPROXY_HTTP_IMPL_PARSER_IPP

#include <podproxy/http/detail/field_line.hpp>
#include <podproxy/http/parser.hpp>
#include <podproxy/http/target.hpp>
#include <algorithm>
#include <cstring>

namespace podproxy::http {

namespace detail {

/// Move bytes up to and with the next LF from `in` to `text_`. Limits come first, so that the answer does not depend on how the input is cut.
inline head_decoder_base::next_line head_decoder_base::take_line(bytes_view& in)
{
    auto const* const lf = in.empty() ? nullptr : static_cast<std::uint8_t const*>(std::memchr(in.data(), '\n', in.size()));
    std::size_t const n = lf ? static_cast<std::size_t>(lf - in.data()) + 1 : in.size();
    std::size_t const head_room = limits_.max_head_bytes - text_.size();
    std::size_t const line_length = text_.size() - line_start_;
    bool const start = state_ == state::start_line;
    std::size_t const room = start ? std::min(head_room, limits_.max_request_line_bytes - line_length) : head_room;
    if (n > room) {
        error_ = room < head_room ? errc::request_line_too_long : errc::head_too_large;
        if (start) text_.append(as_text(in.first(room))); // it may show that this is no HTTP at all, which says more
        return next_line::failed;
    }
    if (text_.capacity() < text_.size() + n) text_.reserve(std::max(2 * text_.capacity(), text_.size() + std::clamp<std::size_t>(in.size(), 512, 4096)));
    text_.append(as_text(in.first(n)));
    in = in.subspan(n);
    return lf ? next_line::complete : next_line::more;
}

inline std::error_code head_decoder_base::on_field_line(std::string_view line)
{
    if (spans_.size() == limits_.max_fields) return errc::too_many_fields;
    if (spans_.empty()) spans_.reserve(16);
    return parse_field_line(line, line_start_, spans_.emplace_back());
}

/// Take the version behind `HTTP/` apart. @return an empty code when it is one of ours.
inline std::error_code parse_version(std::string_view text, version& out) noexcept
{
    if (text.size() != 8 || !text.starts_with("HTTP/") || !is_digit(text[5]) || text[6] != '.' || !is_digit(text[7])) return errc::bad_version;
    if (text[5] != '1') return errc::unsupported_version;
    out = text[7] == '0' ? version::http_1_0 : version::http_1_1;
    return {};
}

} // namespace detail

inline head_step request_decoder::next(bytes_view in)
{
    if (state_ == state::failed) return {head_status::failed, 0, error_};
    if (state_ == state::done) return {head_status::done, 0, {}};
    std::size_t const total = in.size();
    for (;;) {
        next_line const got = take_line(in);
        if (state_ == state::start_line) // what is no HTTP at all is told as early as possible
            if (std::error_code const ec = check_start()) return fail(ec);
        if (got == next_line::failed) return fail(error_);
        if (got == next_line::more) return {head_status::need_more, total, {}};
        std::string_view line = std::string_view(text_).substr(line_start_);
        if (!line.ends_with("\r\n")) return fail(errc::bad_line_end);
        line.remove_suffix(2);
        if (state_ == state::start_line) {
            if (line.empty() && empty_lines_++ == 0) {
                line_start_ = scanned_ = text_.size();
                method_seen_ = false;
                continue;
            }
            if (std::error_code const ec = on_request_line(line)) return fail(ec);
            state_ = state::field_line;
        } else if (line.empty()) {
            if (std::error_code const ec = on_end()) return fail(ec);
            state_ = state::done;
            return {head_status::done, total - in.size(), {}};
        } else if (std::error_code const ec = on_field_line(line)) {
            return fail(ec);
        }
        line_start_ = text_.size();
    }
}

/// The part of the request line that is there begins with a token and a blank. Every byte is looked at once.
inline std::error_code request_decoder::check_start() noexcept
{
    for (; !method_seen_ && scanned_ < text_.size(); ++scanned_) {
        char const c = text_[scanned_];
        if (detail::is(c, detail::tchar)) continue;
        bool const blank = c == ' ' && scanned_ != line_start_;
        if (!blank && c != '\r' && c != '\n') return errc::bad_method;
        method_seen_ = true; // line ends are judged when the line is complete
    }
    return {};
}

inline std::error_code request_decoder::on_request_line(std::string_view line)
{
    std::size_t const first = line.find(' ');
    std::size_t const last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) return errc::bad_request_line;
    std::string_view const method = line.substr(0, first);
    std::string_view const target = line.substr(first + 1, last - first - 1);
    if (!detail::is_token(method)) return errc::bad_method;
    if (target.empty() || target.find(' ') != std::string_view::npos) return errc::bad_request_line;
    if (!detail::all(target, detail::target_char)) return errc::bad_target;
    if (std::error_code const ec = detail::parse_version(line.substr(last + 1), head_.version)) return ec;
    head_.method = method;
    head_.target = target;
    return {};
}

inline std::error_code request_decoder::on_end()
{
    head_.fields = fields::adopt(std::move(text_), std::move(spans_));
    text_ = "."; // `started` stays true
    line_start_ = 1;
    std::size_t hosts = 0;
    for (field const f : head_.fields) {
        if (f.name.size() != 4 || !iequals(f.name, "Host")) continue;
        if (++hosts > 1) return errc::several_hosts;
        if (!f.value.empty() && !parse_host(f.value)) return errc::bad_host;
    }
    if (hosts == 0 && head_.version == version::http_1_1) return errc::missing_host;
    auto const framing = request_framing(head_);
    if (!framing) return framing.error();
    framing_ = *framing;
    return {};
}

inline head_step response_decoder::next(bytes_view in)
{
    if (state_ == state::failed) return {head_status::failed, 0, error_};
    if (state_ == state::done) return {head_status::done, 0, {}};
    std::size_t const total = in.size();
    for (;;) {
        next_line const got = take_line(in);
        if (state_ == state::start_line)
            if (std::error_code const ec = check_start()) return fail(ec);
        if (got == next_line::failed) return fail(error_);
        if (got == next_line::more) return {head_status::need_more, total, {}};
        std::string_view line = std::string_view(text_).substr(line_start_);
        if (!line.ends_with("\r\n")) return fail(errc::bad_line_end);
        line.remove_suffix(2);
        if (state_ == state::start_line) {
            if (std::error_code const ec = on_status_line(line)) return fail(ec);
            state_ = state::field_line;
        } else if (line.empty()) {
            if (std::error_code const ec = on_end()) return fail(ec);
            state_ = state::done;
            return {head_status::done, total - in.size(), {}};
        } else if (std::error_code const ec = on_field_line(line)) {
            return fail(ec);
        }
        line_start_ = text_.size();
    }
}

/// The part of the status line that is there: `HTTP/`.
inline std::error_code response_decoder::check_start() const noexcept
{
    constexpr std::string_view begin = "HTTP/";
    std::size_t const n = std::min(text_.size(), begin.size());
    return std::string_view(text_).substr(0, n) == begin.substr(0, n) ? std::error_code{} : errc::bad_status_line;
}

inline std::error_code response_decoder::on_status_line(std::string_view line)
{
    // HTTP/1.1 SP 3DIGIT SP [reason]; the blank behind the status is required by RFC 9112 but left out by many servers.
    if (line.size() < 12 || line[8] != ' ') return errc::bad_status_line;
    if (std::error_code const ec = detail::parse_version(line.substr(0, 8), head_.version)) return ec;
    std::string_view const code = line.substr(9, 3);
    if (!std::all_of(code.begin(), code.end(), detail::is_digit) || code[0] == '0') return errc::bad_status_line;
    std::string_view reason = line.substr(12);
    if (!reason.empty()) {
        if (reason[0] != ' ') return errc::bad_status_line;
        reason.remove_prefix(1);
        if (!detail::all(reason, detail::field_char)) return errc::bad_status_line;
    }
    head_.status = static_cast<unsigned>((code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0'));
    head_.reason = reason;
    return {};
}

inline std::error_code response_decoder::on_end()
{
    head_.fields = fields::adopt(std::move(text_), std::move(spans_));
    text_ = "."; // `started` stays true
    line_start_ = 1;
    return response_framing(head_, "GET").error();
}

} // namespace podproxy::http

#endif
