#ifndef PODPROXY_NET_TCP_STREAM_HPP
#define PODPROXY_NET_TCP_STREAM_HPP

#include <podproxy/net/ready_socket.hpp>
#include <podproxy/net/stream.hpp>
#include <utility>

namespace podproxy::net {

/// A connected TCP socket as a `stream`. The only kind whose `plain_socket` is not null.
class tcp_stream final : public stream {
public:
    explicit tcp_stream(ready_socket socket) : reader_(socket.get_executor()), writer_(socket.get_executor()), socket_(std::move(socket)) {}
    /// The same for Asio's socket, which is taken over.
    explicit tcp_stream(tcp_socket socket) : tcp_stream(ready_socket(std::move(socket))) {}

    executor get_executor() const override { return socket_.get_executor(); }
    result<std::size_t> try_read(std::span<std::uint8_t> out) override { return socket_.try_read(out); }
    result<std::size_t> try_write(bytes_view in) override { return socket_.try_write(in); }

    void async_wait(wait_kind kind, wait_handler handler) override
    {
        (kind == wait_kind::read ? reader_ : writer_).start(socket_, kind, std::move(handler));
    }

    result<void> shutdown_send() override { return socket_.shutdown_send(); }
    void close() noexcept override { socket_.close(); }
    void reset() noexcept override { socket_.reset(); }
    ready_socket* plain_socket() noexcept override { return &socket_; }

private:
    ready_wait reader_; // before the socket, whose end they are told
    ready_wait writer_;
    ready_socket socket_;
};

} // namespace podproxy::net

#endif
