#ifndef PODPROXY_NET_UNIX_STREAM_HPP
#define PODPROXY_NET_UNIX_STREAM_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/detail/socket_calls.hpp>
#include <podproxy/net/dialer.hpp>
#include <podproxy/net/stream.hpp>
#include <asio/error.hpp>
#include <asio/local/stream_protocol.hpp>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace podproxy::net {

using unix_socket = asio::basic_stream_socket<asio::local::stream_protocol, executor>;

/// A connected UNIX socket as a `stream`.
class unix_stream final : public stream {
public:
    explicit unix_stream(unix_socket socket) : socket_(std::move(socket)) {}

    executor get_executor() const override { return const_cast<unix_socket&>(socket_).get_executor(); }
    result<std::size_t> try_read(std::span<std::uint8_t> out) override { return detail::receive_now(fd(), out); }
    result<std::size_t> try_write(bytes_view in) override { return detail::send_now(fd(), in); }

    void async_wait(wait_kind kind, wait_handler handler) override
    {
        socket_.async_wait(kind == wait_kind::read ? unix_socket::wait_read : unix_socket::wait_write, std::move(handler));
    }

    result<void> shutdown_send() override
    {
        std::error_code ec;
        socket_.shutdown(unix_socket::shutdown_send, ec);
        return ec;
    }

    void close() noexcept override
    {
        std::error_code ignored;
        socket_.close(ignored);
    }

    unix_socket& socket() noexcept { return socket_; }

private:
    int fd() const noexcept { return const_cast<unix_socket&>(socket_).native_handle(); }

    unix_socket socket_;
};

/** The address of a UNIX socket.
    @param path A path, or `@name` for a name in Linux's abstract namespace.
    @return `std::errc::filename_too_long` for more than about a hundred bytes, `std::errc::invalid_argument` for an empty one. */
inline result<asio::local::stream_protocol::endpoint> unix_endpoint(std::string_view path)
{
    if (path.empty() || path == "@" || path.find('\0') != std::string_view::npos) return std::make_error_code(std::errc::invalid_argument);
    if (path.size() >= sizeof(::sockaddr_un::sun_path)) return std::make_error_code(std::errc::filename_too_long);
    std::string name(path);
    if (name.front() == '@') name.front() = '\0';
    return asio::local::stream_protocol::endpoint(name);
}

namespace detail {

/// A new socket, non-blocking and not inherited by child processes.
inline std::error_code open_unix_socket(unix_socket& socket)
{
    std::error_code ec;
#if defined(__linux__)
    int const fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return {errno, std::system_category()};
    socket.assign(asio::local::stream_protocol(), fd, ec);
    if (ec) ::close(fd);
#else
    socket.open(asio::local::stream_protocol(), ec);
    if (!ec) socket.native_non_blocking(true, ec);
    if (!ec && ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC) != 0) ec.assign(errno, std::system_category());
#endif
    return ec;
}

} // namespace detail

/** Connect to a UNIX socket.

    A listener whose queue is full is tried again every few milliseconds.
    @par Lifetime `why` is borrowed until completion.
    @par Cancel   terminal; no descriptor is left open.
    @return a socket that does not block; or the system's error: `no_such_file_or_directory` (`cond::not_found`), `connection_refused` when
            nobody listens there any more, `permission_denied` (`cond::unauthorized`). There is no deadline inside: use `with_deadline`. */
inline awaitable<result<unix_socket>> connect_unix(std::string path, diagnostics& why)
{
    executor const ex = co_await asio::this_coro::executor;
    auto const where = unix_endpoint(path);
    std::error_code ec = where.error();
    while (!ec) {
        unix_socket socket(ex);
        ec = detail::open_unix_socket(socket);
        if (ec) break;
        if (::connect(socket.native_handle(), where->data(), static_cast<socklen_t>(where->size())) == 0) co_return socket;
        if (errno != EAGAIN && errno != EINTR) {
            ec.assign(errno, std::system_category());
            break;
        }
        // There is nothing to wait for: a UNIX socket is connected at once or not at all.
        timer pause(ex, std::chrono::milliseconds(5));
        auto [waited] = co_await pause.async_wait(asio::as_tuple(use_awaitable));
        if (waited) co_return waited;
    }
    why.message = "can't connect to " + path + ": " + ec.message();
    co_return ec;
}

/// Leads to one UNIX socket, whatever the destination.
class unix_dialer final : public dialer {
public:
    explicit unix_dialer(std::string path) : path_(std::move(path)) {}

    awaitable<result<any_stream>> dial(host_port, diagnostics& why) override
    {
        auto socket = co_await connect_unix(path_, why);
        if (!socket) co_return socket.error();
        co_return result<any_stream>(std::make_unique<unix_stream>(std::move(*socket)));
    }

private:
    std::string path_;
};

} // namespace podproxy::net

#endif
