#ifndef PODPROXY_NET_TCP_STREAM_HPP
#define PODPROXY_NET_TCP_STREAM_HPP

#include <podproxy/net/stream.hpp>
#include <asio/buffer.hpp>
#include <asio/error.hpp>
#include <utility>

namespace podproxy::net {

/// Turn Asio's names for "nothing now" and "the end" into ours; every other code stays what it is.
inline std::error_code stream_error(std::error_code ec) noexcept
{
    if (ec == asio::error::would_block || ec == asio::error::try_again) return errc::would_block;
    if (ec == asio::error::eof) return errc::end_of_stream;
    return ec;
}

/// A connected TCP socket as a `stream`. The only kind whose `plain_socket` is not null.
class tcp_stream final : public stream {
public:
    /// Takes the socket and makes it non-blocking.
    explicit tcp_stream(tcp_socket socket) : socket_(std::move(socket))
    {
        std::error_code ignored; // a closed socket says so at the first read
        socket_.non_blocking(true, ignored);
    }

    executor get_executor() const override { return const_cast<tcp_socket&>(socket_).get_executor(); }

    result<std::size_t> try_read(std::span<std::uint8_t> out) override
    {
        std::error_code ec;
        std::size_t const n = socket_.read_some(asio::buffer(out.data(), out.size()), ec);
        if (ec) return stream_error(ec);
        return n;
    }

    result<std::size_t> try_write(bytes_view in) override
    {
        std::error_code ec;
        std::size_t const n = socket_.write_some(asio::buffer(in.data(), in.size()), ec);
        if (ec) return stream_error(ec);
        return n;
    }

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
    tcp_socket socket_;
};

} // namespace podproxy::net

#endif
