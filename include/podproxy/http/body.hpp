#ifndef PODPROXY_HTTP_BODY_HPP
#define PODPROXY_HTTP_BODY_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/http/chunked.hpp>
#include <podproxy/http/errc.hpp>
#include <podproxy/http/message.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>

namespace podproxy::http {

/// How the end of a message's content is found.
enum class framing_kind {
    none,        ///< There is no content.
    length,      ///< `body_framing::length` bytes, at least 1.
    chunked,     ///< The chunked coding tells.
    until_close, ///< Everything until the connection ends. Responses only.
};

struct body_framing {
    framing_kind kind = framing_kind::none;
    std::uint64_t length = 0;
    friend bool operator==(body_framing const&, body_framing const&) = default;
};

/** Read a Content-Length: one decimal number below 2^63, or a list of the same number repeated (RFC 9110 section 8.6).
    @return nothing where there is no such field; `errc::bad_content_length` for signs, blanks, empty values and overflow;
            `errc::conflicting_lengths` for values that differ. */
result<std::optional<std::uint64_t>> content_length(fields const& f);

/** Whether the fields say `Transfer-Encoding: chunked`, alone and once.
    @return false where there is no such field; `errc::bad_transfer_encoding`, `errc::unsupported_coding`,
            `errc::encoding_in_http10` or, beside a Content-Length, `errc::length_and_encoding`. */
result<bool> is_chunked(fields const& f, version v);

/** The framing of a request's content, RFC 9112 section 6.3.
    @return none, length or chunked; the errors of `content_length` and `is_chunked`; `errc::content_not_allowed` for CONNECT and
            TRACE with content. */
result<body_framing> request_framing(request_head const& head);

/** The framing of a response's content, RFC 9112 section 6.3.
    @param method of the request: the answer to HEAD and a 2xx to CONNECT have none.
    @return any kind; the errors of `content_length` and `is_chunked`. */
result<body_framing> response_framing(response_head const& head, std::string_view method);

/// Decodes the content of one message, whatever its framing.
class body_decoder {
public:
    /// Nothing to decode: the first `next` reports `done`.
    body_decoder() = default;
    explicit body_decoder(body_framing f, chunk_limits limits = {}) noexcept : framing_(f), left_(f.length), chunks_(limits) {}

    /// Take the next piece of input and report at most one event. For bodies that have an end of their own, `done` comes with the
    /// last byte or after it; a body `until_close` never reports it: see `at_end_of_stream`.
    body_step next(bytes_view in)
    {
        switch (framing_.kind) {
        case framing_kind::none: done_ = true; return {body_status::done, 0, {}, {}};
        case framing_kind::length: {
            if (left_ == 0) {
                done_ = true;
                return {body_status::done, 0, {}, {}};
            }
            std::size_t const n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size()));
            left_ -= n;
            if (n == 0) return {};
            return {body_status::data, n, in.first(n), {}};
        }
        case framing_kind::chunked: {
            body_step const step = chunks_.next(in);
            if (step.status == body_status::done) done_ = true;
            return step;
        }
        case framing_kind::until_close:
            if (in.empty() || done_) return {};
            return {body_status::data, in.size(), in, {}};
        }
        return {};
    }

    /// The connection has ended: `end_of_stream` where that is the proper end of the content, else `truncated`.
    std::error_code at_end_of_stream() noexcept
    {
        if (framing_.kind == framing_kind::until_close || done()) {
            done_ = true;
            return podproxy::errc::end_of_stream;
        }
        return podproxy::errc::truncated;
    }

    /// Whether all content has been reported.
    bool done() const noexcept { return done_ || framing_.kind == framing_kind::none || (framing_.kind == framing_kind::length && left_ == 0); }
    body_framing framing() const noexcept { return framing_; }
    fields const& trailers() const noexcept { return chunks_.trailers(); }

private:
    body_framing framing_;
    std::uint64_t left_ = 0;
    bool done_ = false;
    chunked_decoder chunks_;
};

} // namespace podproxy::http

#include <podproxy/http/impl/body.ipp>
#endif
