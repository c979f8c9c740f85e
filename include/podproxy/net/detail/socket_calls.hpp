#ifndef PODPROXY_NET_DETAIL_SOCKET_CALLS_HPP
#define PODPROXY_NET_DETAIL_SOCKET_CALLS_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/result.hpp>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

#include <sys/socket.h>
#include <sys/types.h>

/// What stream sockets of every family do alike. They are tried before anybody waits, and Asio would add system calls of its own.
namespace podproxy::net::detail {

#if defined(MSG_NOSIGNAL)
inline constexpr int no_signal = MSG_NOSIGNAL;
#else
inline constexpr int no_signal = 0; // Asio has set SO_NOSIGPIPE on the socket
#endif

inline std::error_code last_socket_error() noexcept
{
    if (errno == EAGAIN || errno == EWOULDBLOCK) return errc::would_block;
    return {errno, std::system_category()};
}

/// As `stream::try_read`.
inline result<std::size_t> receive_now(int fd, std::span<std::uint8_t> out)
{
    ssize_t n;
    do n = ::recv(fd, out.data(), out.size(), MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 0) return static_cast<std::size_t>(n);
    if (n == 0) return errc::end_of_stream;
    return last_socket_error();
}

/// As `stream::try_write`.
inline result<std::size_t> send_now(int fd, bytes_view in)
{
    ssize_t n;
    do n = ::send(fd, in.data(), in.size(), MSG_DONTWAIT | no_signal);
    while (n < 0 && errno == EINTR);
    if (n >= 0) return static_cast<std::size_t>(n);
    return last_socket_error();
}

} // namespace podproxy::net::detail

#endif
