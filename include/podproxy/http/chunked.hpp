#ifndef PODPROXY_HTTP_CHUNKED_HPP
#define PODPROXY_HTTP_CHUNKED_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/http/errc.hpp>
#include <podproxy/http/fields.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace podproxy::http {

/// What a chunked body may cost us beside its content.
struct chunk_limits {
    std::size_t max_line_bytes = 4096;           ///< One chunk size line with its extensions and CRLF.
    std::size_t max_extension_bytes = 16 * 1024; ///< All extensions of one body together.
    std::size_t max_trailer_bytes = 8 * 1024;    ///< The trailer section with its last CRLF.
    std::size_t max_trailer_fields = 32;
};

/// What a step of a body decoder found.
enum class body_status {
    need_more, ///< All input is consumed; there is nothing to report yet.
    data,      ///< `data` holds content, a view into the input.
    done,      ///< The message has ended; input after `consumed` belongs to the next one.
    failed,    ///< `error` says why; the connection is not usable.
};

struct body_step {
    body_status status = body_status::need_more;
    std::size_t consumed = 0;
    bytes_view data;
    std::error_code error;
};

/** Decodes the chunked coding, RFC 9112 section 7.1.

    Lines end in CRLF, sizes are hexadecimal below 2^63 without white space or prefix, extensions follow the grammar and are
    dropped, trailers are checked like header fields and kept apart. Nothing is stored but the current line. */
class chunked_decoder {
public:
    explicit chunked_decoder(chunk_limits limits = {}) noexcept : limits_(limits) {}

    /// Take the next piece of input and report at most one event. After `failed` or `done` nothing more is consumed.
    body_step next(bytes_view in);

    /// The trailer section, complete once `done` was reported. May hold fields that do not belong in trailers: see `is_allowed_trailer`.
    fields const& trailers() const noexcept { return trailers_; }
    fields take_trailers() noexcept { return std::move(trailers_); }

    void reset()
    {
        chunk_limits const limits = limits_;
        *this = chunked_decoder(limits);
    }

private:
    enum class state { size_line, content, content_end, trailer_line, done, failed };

    bool take_line(bytes_view& in, std::size_t limit, errc too_long);
    std::error_code on_size_line(std::string_view line);
    std::error_code on_trailer_line(std::string_view line);
    body_step fail(std::error_code ec)
    {
        state_ = state::failed;
        error_ = ec;
        return {body_status::failed, 0, {}, ec};
    }

    chunk_limits limits_;
    state state_ = state::size_line;
    std::uint64_t left_ = 0; ///< content bytes of this chunk still to come
    std::size_t extension_bytes_ = 0;
    std::size_t trailer_bytes_ = 0;
    std::string line_; ///< the part of the current line that came with earlier input
    fields trailers_;
    std::error_code error_;
};

/// Append `size CRLF`, the line before a chunk's content. `size` must not be 0: that would end the body.
void append_chunk_header(std::string& out, std::uint64_t size);

/// Append one whole chunk. Nothing is appended for empty content.
void append_chunk(std::string& out, bytes_view content);

/// CRLF, what follows the content of every chunk.
inline constexpr std::string_view chunk_end = "\r\n";

/** Append the end of a chunked body, with trailers.
    @return `errc::unsafe_head`, with nothing appended, when a trailer can't be written safely. */
result<void> append_last_chunk(std::string& out, fields const& trailers = {});

/// Whether a field may stand in a trailer section: not framing, routing, authentication or connection control, RFC 9110 section 6.5.1.
bool is_allowed_trailer(std::string_view name) noexcept;

} // namespace podproxy::http

#include <podproxy/http/impl/chunked.ipp>
#endif
