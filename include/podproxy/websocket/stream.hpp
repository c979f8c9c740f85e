#ifndef PODPROXY_WEBSOCKET_STREAM_HPP
#define PODPROXY_WEBSOCKET_STREAM_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/crypto/random.hpp>
#include <podproxy/net/stream.hpp>
#include <podproxy/websocket/errc.hpp>
#include <podproxy/websocket/frame.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace podproxy::websocket {

struct stream_config {
    /// Which side we are: a client masks what it sends. Default client.
    role own = role::client;
    /// Most bytes that one frame carries, and that are kept when the connection takes no more. Default 64 KiB.
    std::size_t max_frame = 64 * 1024;
};

/** The binary messages of a WebSocket as a stream of bytes, over another stream whose handshake is done.

    Borders of messages mean nothing: a write becomes one or more messages, and reads take what there is of one or many. Pings
    are answered while somebody reads. This is how SPDY frames travel in Kubernetes' tunnel.

    What `try_write` accepted is sent without further calls. Reading uses only the caller's memory, and writing keeps
    bytes (at most one frame) only while the connection takes no more: an idle stream has no buffer.

    The end: a close frame with 1000, 1001 or without a code is `errc::end_of_stream`, any other `websocket::errc::closed_abnormally`
    (`close_status` tells the code); the connection's end without one is `websocket::errc::no_close_frame`, inside a frame
    `errc::truncated`. A text message, or anything that RFC 6455 forbids, is answered with a close frame that says so,
    and reading and writing fail with the `websocket::errc`.

    WebSocket has no half-close: `shutdown_send` sends the close frame (1000), and most peers answer with theirs and stop sending.
    `close` sends it too if the connection takes it at once; then it closes the connection.

    @par Overlap   One wait of each kind.
    @par Lifetime  As `net::stream`. */
class stream final : public net::stream {
public:
    /** @param lower     The connection, on the same executor.
        @param leftover  Bytes that were read behind the handshake's end.
        @param random    Where masks come from; not called by a server. */
    explicit stream(net::any_stream lower, stream_config config = {}, std::vector<std::uint8_t> leftover = {},
                    crypto::random_source random = crypto::random);
    ~stream() override;

    net::executor get_executor() const override;
    result<std::size_t> try_read(std::span<std::uint8_t> out) override;
    result<std::size_t> try_write(bytes_view in) override;
    void async_wait(net::wait_kind kind, wait_handler handler) override;
    result<void> shutdown_send() override;
    void close() noexcept override;
    void reset() noexcept override;
    net::ready_socket* transport() noexcept override;

    /// The code of the peer's close frame; `abnormal` as long as there was none.
    close_code close_status() const noexcept;
    /// Bytes of frames that the connection has not taken yet.
    std::size_t unsent() const noexcept;

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace podproxy::websocket

#include <podproxy/websocket/impl/stream.ipp>

#endif
