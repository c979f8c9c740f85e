#ifndef PODPROXY_NET_IMPL_ACTIVATION_IPP
#define PODPROXY_NET_IMPL_ACTIVATION_IPP

#include <podproxy/net/activation.hpp>
#include <asio/error.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/ip/udp.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace podproxy::net {

namespace detail {

inline std::optional<std::string> take_variable(char const* name)
{
    char const* const value = std::getenv(name);
    if (!value) return std::nullopt;
    std::string out = value;
    ::unsetenv(name);
    return out;
}

/// A decimal number from 0 to the most that an int has.
inline std::optional<int> parse_int(std::string_view text) noexcept
{
    int out = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (text.empty() || ec != std::errc() || end != text.data() + text.size() || out < 0) return std::nullopt;
    return out;
}

inline int socket_option(int fd, int option) noexcept
{
    int value = -1;
    ::socklen_t size = sizeof value;
    return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

template <class Protocol>
host_port local_address_of(int fd)
{
    typename Protocol::endpoint local;
    ::socklen_t size = static_cast<::socklen_t>(local.capacity());
    if (::getsockname(fd, local.data(), &size) != 0 || size > local.capacity()) return {};
    local.resize(size);
    return {local.address().to_string(), local.port()};
}

inline inherited_socket look_at(int fd)
{
    inherited_socket out;
    out.fd = fd;
    sockaddr_storage name{};
    ::socklen_t size = sizeof name;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0) return out; // no socket, or none that is open
    if (name.ss_family != AF_INET && name.ss_family != AF_INET6) return out;
    out.ipv6 = name.ss_family == AF_INET6;
    int const type = socket_option(fd, SO_TYPE);
    if (type == SOCK_STREAM && socket_option(fd, SO_ACCEPTCONN) == 1) out.kind = inherited_kind::tcp;
    else if (type == SOCK_DGRAM) out.kind = inherited_kind::udp;
    if (out.kind == inherited_kind::tcp) out.address = local_address_of<asio::ip::tcp>(fd);
    if (out.kind == inherited_kind::udp) out.address = local_address_of<asio::ip::udp>(fd);
    if (out.kind == inherited_kind::udp && out.address.port == 0) out.kind = inherited_kind::other; // nobody could send to it
    return out;
}

} // namespace detail

inline activation_environment take_activation_environment()
{
    activation_environment out;
    out.listen_pid = detail::take_variable("LISTEN_PID");
    out.listen_fds = detail::take_variable("LISTEN_FDS");
    out.listen_fdnames = detail::take_variable("LISTEN_FDNAMES");
    out.notify_socket = detail::take_variable("NOTIFY_SOCKET");
    return out;
}

inline std::vector<inherited_socket> inherited_sockets(activation_environment const& env, ::pid_t self, int first)
{
    constexpr int most = 4096; // descriptors; a larger number is a mistake
    if (!env.listen_pid || !env.listen_fds) return {};
    auto const pid = detail::parse_int(*env.listen_pid);
    auto const count = detail::parse_int(*env.listen_fds);
    if (!pid || *pid != self || !count || *count > most) return {};
    std::string_view names = env.listen_fdnames ? std::string_view(*env.listen_fdnames) : std::string_view();
    std::vector<inherited_socket> out;
    for (int fd = first; fd < first + *count; ++fd) {
        auto const colon = names.find(':');
        std::string_view const name = names.substr(0, colon);
        names = colon == std::string_view::npos ? std::string_view() : names.substr(colon + 1);
        int const flags = ::fcntl(fd, F_GETFD);
        if (flags < 0) continue;
        ::fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
        auto socket = detail::look_at(fd);
        socket.name = name;
        out.push_back(std::move(socket));
    }
    return out;
}

inline result<listener> adopt_listener(executor ex, inherited_socket const& socket)
{
    if (socket.kind != inherited_kind::tcp) return std::error_code(asio::error::operation_not_supported);
    return listener::adopt(std::move(ex), socket.ipv6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(), socket.fd);
}

inline result<udp_socket> adopt_udp_socket(executor ex, inherited_socket const& socket)
{
    if (socket.kind != inherited_kind::udp) return std::error_code(asio::error::operation_not_supported);
    return udp_socket::adopt(std::move(ex), socket.ipv6 ? asio::ip::udp::v6() : asio::ip::udp::v4(), socket.fd);
}

inline service_notifier::service_notifier(std::optional<std::string> address)
{
    if (address && address->size() > 1 && address->size() < sizeof(sockaddr_un::sun_path) && (address->front() == '/' || address->front() == '@'))
        address_ = *std::move(address);
}

inline void service_notifier::ready(std::string_view status) const { send("READY=1\nSTATUS=" + std::string(status)); }
inline void service_notifier::stopping() const { send("STOPPING=1\nSTATUS=ending; open connections may end first"); }

inline void service_notifier::reloading() const
{
    auto const now = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch());
    send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.count()));
}

inline void service_notifier::status(std::string_view text) const { send("STATUS=" + std::string(text)); }

inline void service_notifier::send(std::string const& text) const
{
    if (address_.empty()) return;
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, address_.data(), address_.size());
    if (address_.front() == '@') to.sun_path[0] = '\0';
    auto const size = static_cast<::socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size() + (address_.front() == '@' ? 0u : 1u));
    int const fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    (void)::sendto(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT, reinterpret_cast<sockaddr const*>(&to), size);
    ::close(fd);
}

} // namespace podproxy::net

#endif
