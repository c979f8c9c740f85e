#ifndef PODPROXY_HTTP_CLIENT_HPP
#define PODPROXY_HTTP_CLIENT_HPP

#include <podproxy/core/flat_buffer.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/http/body.hpp>
#include <podproxy/http/detail/message_stream.hpp>
#include <podproxy/http/message.hpp>
#include <podproxy/http/parser.hpp>
#include <podproxy/net/stream.hpp>
#include <cstddef>
#include <span>
#include <string>
#include <utility>

namespace podproxy::http {

struct client_config {
    /// Put into Host where a request has none: `name[:port]`.
    std::string host;
    head_limits head;
    chunk_limits chunks;
    /// Longest wait for the peer at one time, reading or writing. Zero: none, and the caller gives an end to each call.
    net::clock::duration idle{};
    /// How many 1xx responses may come before the final one.
    std::size_t max_interim_responses = 16;
    /// Most bytes that are held of what the server has sent.
    std::size_t buffer_bytes = 64 * 1024;
};

/// What is left of a connection after a switch of protocols.
struct upgraded_stream {
    net::any_stream stream;
    flat_buffer early; ///< Bytes of the new protocol that came together with the response.
};

/** One HTTP/1.1 connection to a server, used for one request after the other.

        http::client c(std::move(stream), std::move(config));
        auto head = co_await c.request("GET", "/api/v1/pods?watch=1", std::move(fields), "");
        while (auto line = co_await c.read_line(1 << 20)) use(*line);      // ends with end_of_stream
        if (c.reusable()) ... the next request ...

    The whole of a request is sent by `request`; `send_head`, `send_body` and `end_body` send one piece by piece, and
    `read_response` reads the answer, possibly at the same time.

    @par Overlap   One sending and one receiving call at a time.
    @par Cancel    A receiving call that is cancelled has lost nothing and may be repeated. After a cancelled sending call (`request`
                   included) the connection is not `reusable`. Deadlines are the callers': `net::with_deadline(c.read_all(n), 5s)`.
    @par Errors    `end_of_stream`: the server closed before a response, the request may not have been seen; `truncated`: inside of a
                   message; `http::errc`: the server broke the protocol; else the stream's. After any of them nothing more can be done
                   but to close. */
class client {
public:
    explicit client(net::any_stream s, client_config config = {})
        : config_(std::move(config)), stream_(std::move(s)), buf_(config_.buffer_bytes), in_(*stream_, buf_), out_(*stream_), decoder_(config_.head)
    {
    }
    client(client const&) = delete;
    client& operator=(client const&) = delete;

    /** Send a request with all its content and read the head of the final response (or of 101).

        Host and Content-Length are added where needed. When the server answers and closes before it has taken everything, the
        answer still counts.
        @return the head; content is to be read with `read_body` and its kin. */
    net::awaitable<result<response_head>> request(std::string method, std::string target, fields f = {}, std::string body = {});

    // ---- piece by piece ----

    /** Send a request's head. The framing of the content is what the fields say: Content-Length, Transfer-Encoding or none.
        @param head is sent as it is, but for Host.
        @param first Content that is there already; goes out with the head. */
    net::awaitable<result<void>> send_head(request_head head, std::string first = {});
    /// Send content. @par Lifetime `content` is borrowed until completion.
    net::awaitable<result<void>> send_body(bytes_view content) { return out_.write(content, config_.idle); }
    /// Add content to what is sent next, if there is room to do so. @return false when it has to be sent with `send_body`.
    bool gather_body(bytes_view content) { return out_.gather(content); }
    /// Send what was gathered.
    net::awaitable<result<void>> flush_body() { return out_.flush(config_.idle); }
    /// The content is complete. Trailers are sent where it is chunked.
    net::awaitable<result<void>> end_body(fields trailers = {});
    /// Whether a request was sent with all its content.
    bool request_complete() const noexcept { return out_.complete(); }

    /// Read the head of the final response, or of 101; interim ones before it are dropped.
    net::awaitable<result<response_head>> read_response();
    /// Read the head of the next response, which may be an interim one: then call again.
    net::awaitable<result<response_head>> read_any_response();
    /// How the content of the final response is framed.
    body_framing response_body() const noexcept { return in_.body().framing(); }

    // ---- the content of a response ----

    /// Lend the next piece of content, valid until the next call. @return `end_of_stream` behind the last piece.
    net::awaitable<result<bytes_view>> read_body_view();
    /// The next piece of content if it has arrived already; empty when one has to wait or nothing more comes.
    bytes_view buffered_body();
    /// Copy out at least one byte. @par Lifetime `out` is borrowed until completion. @return `end_of_stream` behind the last byte.
    net::awaitable<result<std::size_t>> read_body(std::span<std::uint8_t> out);
    /** Read one line, without its LF or CRLF. A last line without an end counts.
        @return `end_of_stream` behind the last line, `errc::body_too_large` for a line longer than `limit`. */
    net::awaitable<result<std::string>> read_line(std::size_t limit);
    /// Read all content. @return `errc::body_too_large` when there are more than `limit` bytes.
    net::awaitable<result<std::string>> read_all(std::size_t limit);
    /// Trailers, once the content has ended.
    fields const& trailers() const noexcept { return in_.body().trailers(); }

    // ---- the connection ----

    /// Whether another request may be sent: the last exchange is complete and both sides keep the connection.
    bool reusable() const noexcept
    {
        return stream_ && !broken_ && keep_alive_ && !awaiting_response_ && out_.complete() && in_.body_done() && rest_.empty();
    }
    /// Whether an idle connection still looks open: nothing has arrived, no end either. Ask before a request that must not be lost.
    bool looks_alive();
    /// Whether a byte of the current response has arrived.
    bool response_started() const noexcept { return got_bytes_; }
    /// After 101 (or 2xx to CONNECT): give the stream away, with what has arrived already. The client is of no use afterwards.
    upgraded_stream take_stream();
    /// Close at once.
    void close() noexcept
    {
        broken_ = true;
        if (stream_) stream_->close();
    }

private:
    client_config config_;
    net::any_stream stream_;
    flat_buffer buf_;
    detail::message_input in_;
    detail::message_output out_;
    response_decoder decoder_;
    std::string method_;
    std::string line_;    ///< the part of a line that has been read
    bytes_view rest_;     ///< the part of the last view that has not been used
    std::size_t interim_ = 0;
    bool upgrade_asked_ = false;
    bool awaiting_response_ = false;
    bool keep_alive_ = true;
    bool broken_ = false;
    bool got_bytes_ = false;
};

} // namespace podproxy::http

#include <podproxy/http/impl/client.ipp>
#endif
