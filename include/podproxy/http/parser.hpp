#ifndef PODPROXY_HTTP_PARSER_HPP
#define PODPROXY_HTTP_PARSER_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/http/body.hpp>
#include <podproxy/http/errc.hpp>
#include <podproxy/http/message.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace podproxy::http {

/// How large a message head may be. All sizes count the line ends.
struct head_limits {
    std::size_t max_head_bytes = 64 * 1024;        ///< Start line, fields and the empty line together.
    std::size_t max_request_line_bytes = 8 * 1024; ///< The request line (or status line).
    std::size_t max_fields = 128;
};

enum class head_status {
    need_more, ///< All input is consumed; more is needed.
    done,      ///< The head is complete; input after `consumed` is content.
    failed,    ///< `error` says why; the connection is not usable.
};

struct head_step {
    head_status status = head_status::need_more;
    std::size_t consumed = 0;
    std::error_code error;
};

namespace detail {

/// What requests and responses have in common: lines, fields and limits. `Derived` reads the start line and checks the whole.
class head_decoder_base {
public:
    head_decoder_base(head_limits limits) noexcept : limits_(limits) {}

protected:
    enum class state { start_line, field_line, done, failed };
    enum class next_line { more, complete, failed };

    next_line take_line(bytes_view& in);
    std::error_code on_field_line(std::string_view line);
    head_step fail(std::error_code ec)
    {
        state_ = state::failed;
        error_ = ec;
        return {head_status::failed, 0, ec};
    }
    void clear()
    {
        state_ = state::start_line;
        text_.clear();
        spans_.clear();
        line_start_ = 0;
        empty_lines_ = 0;
        error_ = {};
    }

    head_limits limits_;
    state state_ = state::start_line;
    std::string text_; ///< everything of this head so far
    std::vector<field_span> spans_;
    std::size_t line_start_ = 0;
    std::size_t empty_lines_ = 0;
    std::error_code error_;
};

} // namespace detail

/** Reads the head of a request, RFC 9112 sections 3 and 5, piece by piece.

    Strict, so that no two readers of the same bytes can disagree about where a message ends. Refused are: lines that do not end
    in CRLF, folded fields, white space around the field name, control characters, a version other than 1.x, a missing, repeated or
    malformed Host, Content-Length beside Transfer-Encoding or with values that differ, Transfer-Encoding that is anything but one
    `chunked` or comes with HTTP/1.0. One empty line before the request line is skipped, RFC 9112 section 2.2.

    The cost is linear in the input however it is cut, and the text is stored once. A first byte that can't begin a method fails at
    once, so that a client which does not speak HTTP need not be waited for.

        request_decoder d;
        head_step s = d.next(buf.data());
        buf.consume(s.consumed);
        if (s.status == head_status::done) handle(d.take_head(), d.framing()); */
class request_decoder : private detail::head_decoder_base {
public:
    explicit request_decoder(head_limits limits = {}) noexcept : head_decoder_base(limits) {}

    /// Take the next piece of input. After `done` nothing is consumed until `reset`.
    head_step next(bytes_view in);

    /// The head, once `done` was reported. To be taken once.
    request_head take_head() noexcept { return std::move(head_); }
    /// How the content that follows is framed, once `done` was reported.
    body_framing framing() const noexcept { return framing_; }
    /// Whether a byte of a message has been seen: tells an idle connection from one that ended inside a head.
    bool started() const noexcept { return !text_.empty(); }

    /// Begin with the next message.
    void reset()
    {
        clear();
        head_ = {};
        framing_ = {};
        scanned_ = 0;
        method_seen_ = false;
    }

private:
    std::error_code check_start() noexcept;
    std::error_code on_request_line(std::string_view line);
    std::error_code on_end();

    request_head head_;
    body_framing framing_;
    std::size_t scanned_ = 0; ///< how far the request line has been looked at
    bool method_seen_ = false;
};

/** Reads the head of a response, RFC 9112 sections 4 and 5, piece by piece. As strict as `request_decoder`.

    The framing of the content depends on the request: see `response_framing`. That Content-Length and Transfer-Encoding make
    sense is checked here already. */
class response_decoder : private detail::head_decoder_base {
public:
    explicit response_decoder(head_limits limits = {}) noexcept : head_decoder_base(limits) {}

    /// Take the next piece of input. After `done` nothing is consumed until `reset`.
    head_step next(bytes_view in);

    /// The head, once `done` was reported. To be taken once.
    response_head take_head() noexcept { return std::move(head_); }
    /// Whether a byte of a message has been seen.
    bool started() const noexcept { return !text_.empty(); }

    /// Begin with the next message.
    void reset()
    {
        clear();
        head_ = {};
    }

private:
    std::error_code check_start() const noexcept;
    std::error_code on_status_line(std::string_view line);
    std::error_code on_end();

    response_head head_;
};

} // namespace podproxy::http

#include <podproxy/http/impl/parser.ipp>
#endif
