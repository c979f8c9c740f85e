#ifndef PODPROXY_NET_TCP_STREAM_HPP
#define PODPROXY_NET_TCP_STREAM_HPP

#include <podproxy/net/detail/socket_calls.hpp>
#include <podproxy/net/stream.hpp>
#include <asio/error.hpp>
#include <system_error>
#include <utility>

namespace podproxy::net {

/** A connected TCP socket as a `stream`. The only kind whose `plain_socket` is not null.

    Reads and writes go to the system directly: they are tried before anybody waits, and Asio would add system calls of its own. */
class tcp_stream final : public stream {
public:
    /// What the caller knows about the descriptor. Splicing needs O_NONBLOCK, and setting it again costs a system call.
    enum class mode { unknown, non_blocking };

    explicit tcp_stream(tcp_socket socket, mode known = mode::unknown) : socket_(std::move(socket))
    {
        std::error_code ignored; // a closed socket says so at the first read
        if (known == mode::unknown) socket_.native_non_blocking(true, ignored);
    }

    executor get_executor() const override { return const_cast<tcp_socket&>(socket_).get_executor(); }

    result<std::size_t> try_read(std::span<std::uint8_t> out) override { return detail::receive_now(fd(), out); }
    result<std::size_t> try_write(bytes_view in) override { return detail::send_now(fd(), in); }

    void async_wait(wait_kind kind, wait_handler handler) override
    {
        socket_.async_wait(kind == wait_kind::read ? tcp_socket::wait_read : tcp_socket::wait_write, std::move(handler));
    }

    result<void> shutdown_send() override
    {
        std::error_code ec;
        socket_.shutdown(tcp_socket::shutdown_send, ec);
        return ec;
    }

    void close() noexcept override
    {
        std::error_code ignored;
        socket_.close(ignored);
    }

    void reset() noexcept override
    {
        std::error_code ignored;
        socket_.set_option(asio::socket_base::linger(true, 0), ignored);
        socket_.close(ignored);
    }

    tcp_socket* plain_socket() noexcept override { return &socket_; }

private:
    int fd() const noexcept { return const_cast<tcp_socket&>(socket_).native_handle(); }

    tcp_socket socket_;
};

} // namespace podproxy::net

#endif
