#ifndef PODPROXY_HTTP_SERVER_HPP
#define PODPROXY_HTTP_SERVER_HPP

#include <podproxy/core/flat_buffer.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/http/body.hpp>
#include <podproxy/http/detail/message_stream.hpp>
#include <podproxy/http/message.hpp>
#include <podproxy/http/parser.hpp>
#include <podproxy/net/stream.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <string>

namespace podproxy::http {

struct server_config {
    head_limits head;
    chunk_limits chunks;
    /// From the first byte of a request (for the first one: from the connection) to the end of its head. Zero: no limit.
    net::clock::duration header_timeout = std::chrono::seconds(10);
    /// How long a connection may rest between two requests. Zero: no limit.
    net::clock::duration idle_timeout = std::chrono::seconds(75);
    /// Longest wait for the client inside of a message, reading content or writing a response. Zero: no limit.
    net::clock::duration transfer_idle = std::chrono::seconds(60);
    /// How long a closing connection waits for the client to take the last answer. Zero: none.
    net::clock::duration linger = std::chrono::seconds(2);
    /// Content that nobody has read is skipped up to this size to keep the connection.
    std::size_t max_skipped_body = 64 * 1024;
    bool send_date = true;     ///< Whether final responses get a Date field.
    bool send_continue = true; ///< Whether reading content sends `100 Continue` to a client that waits for it. A proxy passes on the server's.
};

/** The server's side of one HTTP/1.1 connection.

        while (auto request = co_await c.read_request()) {
            co_await c.respond(response_head(200, {{"Content-Type", "text/plain"}}), "hello\n");
            if (!co_await c.finish()) break;
        }

    or, with less to remember, `serve`.
    @par Overlap   One reading and one writing call at a time.
    @par Lifetime  The stream and the buffer are borrowed; the buffer may hold bytes that have been read already, and holds afterwards what
                   has been read too far.
    @par Cancel    A cancelled reading call has lost nothing; after a cancelled writing call only closing is left. */
class server_connection {
public:
    server_connection(net::stream& s, flat_buffer& buf, server_config config = {})
        : config_(std::move(config)), in_(s, buf), out_(s), decoder_(config_.head)
    {
    }
    server_connection(server_connection const&) = delete;
    server_connection& operator=(server_connection const&) = delete;

    /** Read the head of the next request.
        @return `end_of_stream` when the client has left or rested too long without having begun a request: just close. Any other
                error is worth an answer: see `respond_error`. */
    net::awaitable<result<request_head>> read_request();
    /// How the content of the request is framed.
    body_framing request_body() const noexcept { return in_.body().framing(); }

    /// Lend the next piece of content. @return `end_of_stream` behind the last one. Sends `100 Continue` first where the client waits for it.
    net::awaitable<result<bytes_view>> read_body_view();
    /// Copy out at least one byte of content. @par Lifetime `out` is borrowed until completion.
    net::awaitable<result<std::size_t>> read_body(std::span<std::uint8_t> out);
    /// Read all content. @return `errc::body_too_large` when there are more than `limit` bytes.
    net::awaitable<result<std::string>> read_all(std::size_t limit);
    /// A piece of content that has arrived already; empty when one has to wait or nothing more comes.
    bytes_view buffered_body();
    bool body_done() const noexcept { return in_.body_done() && rest_.empty(); }
    fields const& trailers() const noexcept { return in_.body().trailers(); }

    /// Send a whole response. Content-Length, Date and Connection are added; content is left out in answers to HEAD.
    net::awaitable<result<void>> respond(response_head head, std::string body = {});
    /// Answer a request that can't be read or served, in plain text, and give up the connection.
    net::awaitable<result<void>> respond_error(unsigned status, std::string text, fields more = {});

    /** Begin a response whose content follows piece by piece.

        Content-Length in the fields promises a length; without one the content is chunked, or ends with the connection for an
        HTTP/1.0 client. Interim responses (1xx) may be sent before; after 101 the stream is the caller's: see `upgrade`. */
    net::awaitable<result<void>> send_head(response_head head);
    /** Send a head as it is, with the framing that the caller has put there, and the first piece of content.
        @param keep_alive whether the head promises to keep the connection. */
    net::awaitable<result<void>> send_raw_head(response_head const& head, body_framing framing, bytes_view first, bool keep_alive);
    /// Send content. @par Lifetime `content` is borrowed until completion.
    net::awaitable<result<void>> write(bytes_view content);
    /// Add content to what is sent next, if there is room to do so. @return false when it has to be sent with `write`.
    bool gather(bytes_view content) { return !head_only_ && out_.gather(content); }
    /// Send what was gathered.
    net::awaitable<result<void>> flush() { return out_.flush(config_.transfer_idle); }
    /// The content is complete.
    net::awaitable<result<void>> end(fields trailers = {});

    /** Send 101 and leave HTTP. The stream and what the buffer holds belong to the new protocol. */
    net::awaitable<result<void>> upgrade(fields f);

    /// After an exchange: skip what nobody has read. @return whether another request may be read.
    net::awaitable<bool> finish();
    /// Whether the connection is to be kept, as far as known by now.
    bool keep_alive() const noexcept { return keep_alive_; }
    /// Close after this response.
    void close_after() noexcept { keep_alive_ = false; }
    /// Whether a final response (or 101) has been begun.
    bool responded() const noexcept { return responded_; }
    /// Whether the final response was sent completely.
    bool response_complete() const noexcept { return responded_ && out_.complete(); }
    bool upgraded() const noexcept { return upgraded_; }
    version client_version() const noexcept { return version_; }

    net::stream& stream() noexcept { return in_.stream(); }
    flat_buffer& buffer() noexcept { return in_.buffer(); }
    server_config const& config() const noexcept { return config_; }

private:
    net::awaitable<result<void>> continue_if_expected();

    server_config config_;
    detail::message_input in_;
    detail::message_output out_;
    request_decoder decoder_;
    bytes_view rest_;
    version version_ = version::http_1_1;
    bool first_ = true;
    bool head_only_ = false;        ///< the request was HEAD
    bool continue_expected_ = false;
    bool keep_alive_ = true;
    bool responded_ = false;
    bool upgraded_ = false;
};

/** Say goodbye without losing the last answer: end our direction, then read and drop until the client has closed.

    Closing a socket with unread input makes the kernel send a reset, which may overtake an answer.
    @return when the client has closed, after `limit`, or after 1 MiB. @par Lifetime `s` is borrowed until completion. */
net::awaitable<void> linger_close(net::stream& s, net::clock::duration limit);

/// Serves one request: reads what it wants of the content and sends one response. An error closes the connection.
using request_handler = std::function<net::awaitable<result<void>>(server_connection&, request_head)>;

/** Serve requests on one connection until one side has enough.

    Requests that can't be read are answered with the fitting status. A handler that returns without a response is answered for with 500.
    @par Lifetime  `s` and `buf` are borrowed until completion. The stream is closed, except after `upgrade`.
    @par Cancel    terminal. */
net::awaitable<void> serve(net::stream& s, flat_buffer& buf, server_config config, request_handler handler);

} // namespace podproxy::http

#include <podproxy/http/impl/server.ipp>
#endif
