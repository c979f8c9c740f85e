#include <asio/error.hpp>
#include <asio/ip/v6_only.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace podproxy::net {

namespace detail {

inline constexpr std::size_t most_datagrams_per_call = 64;

#if defined(MSG_NOSIGNAL)
inline constexpr int datagram_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
#else
inline constexpr int datagram_flags = MSG_DONTWAIT;
#endif

inline std::error_code datagram_error() noexcept
{
    if (errno == EAGAIN || errno == EWOULDBLOCK) return podproxy::errc::would_block;
    return {errno, std::system_category()};
}

/// Room for one control message with an address of either family.
struct address_message {
    alignas(cmsghdr) std::array<unsigned char, CMSG_SPACE(sizeof(in6_pktinfo))> bytes;
};

inline asio::ip::address address_of(in6_addr const& a, std::uint32_t interface)
{
    asio::ip::address_v6::bytes_type bytes;
    std::memcpy(bytes.data(), &a, bytes.size());
    asio::ip::address_v6 const v6(bytes);
    return asio::ip::address_v6(bytes, v6.is_link_local() ? interface : 0);
}

/// Which of our addresses a datagram was sent to.
inline local_address local_of(msghdr& m)
{
    local_address out;
    for (cmsghdr* c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            in6_pktinfo info;
            std::memcpy(&info, CMSG_DATA(c), sizeof info);
            out.address = address_of(info.ipi6_addr, static_cast<std::uint32_t>(info.ipi6_ifindex));
            if (out.address.to_v6().is_link_local()) out.interface = static_cast<std::uint32_t>(info.ipi6_ifindex);
        }
#if defined(IP_PKTINFO)
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            in_pktinfo info;
            std::memcpy(&info, CMSG_DATA(c), sizeof info);
            out.address = asio::ip::address_v4(ntohl(info.ipi_addr.s_addr));
        }
#endif
    }
    return out;
}

/// Ask for an answer to come from `from`. Leaves `m` without a control message where the system may choose.
inline void set_local(msghdr& m, address_message& room, local_address const& from)
{
    if (from.address.is_unspecified() || from.address.is_multicast()) return;
    if (from.address.is_v4() && from.address.to_v4() == asio::ip::address_v4::broadcast()) return;
    room = {};
    m.msg_control = room.bytes.data();
    if (from.address.is_v6()) {
        in6_pktinfo info{};
        auto const bytes = from.address.to_v6().to_bytes();
        std::memcpy(&info.ipi6_addr, bytes.data(), bytes.size());
        info.ipi6_ifindex = static_cast<decltype(info.ipi6_ifindex)>(from.interface);
        m.msg_controllen = CMSG_SPACE(sizeof info);
        cmsghdr* const c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = IPPROTO_IPV6;
        c->cmsg_type = IPV6_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof info);
        std::memcpy(CMSG_DATA(c), &info, sizeof info);
        return;
    }
#if defined(IP_PKTINFO)
    in_pktinfo info{};
    info.ipi_spec_dst.s_addr = htonl(from.address.to_v4().to_uint());
    m.msg_controllen = CMSG_SPACE(sizeof info);
    cmsghdr* const c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(c), &info, sizeof info);
#else
    m.msg_control = nullptr;
#endif
}

#if defined(__linux__)
using many_header = mmsghdr;
#else
struct many_header {
    msghdr msg_hdr;
    unsigned msg_len;
};
#endif

/// recvmmsg(2), or one datagram where there is none. @return how many, or -1.
inline int receive_many(int fd, many_header* headers, std::size_t count)
{
    int n;
#if defined(__linux__)
    do n = ::recvmmsg(fd, headers, static_cast<unsigned>(count), MSG_DONTWAIT, nullptr);
    while (n < 0 && errno == EINTR);
#else
    (void)count;
    ssize_t size;
    do size = ::recvmsg(fd, &headers[0].msg_hdr, MSG_DONTWAIT);
    while (size < 0 && errno == EINTR);
    n = size < 0 ? -1 : 1;
    if (size >= 0) headers[0].msg_len = static_cast<unsigned>(size);
#endif
    return n;
}

inline int send_many(int fd, many_header* headers, std::size_t count)
{
    int n;
#if defined(__linux__)
    do n = ::sendmmsg(fd, headers, static_cast<unsigned>(count), datagram_flags);
    while (n < 0 && errno == EINTR);
#else
    (void)count;
    ssize_t size;
    do size = ::sendmsg(fd, &headers[0].msg_hdr, datagram_flags);
    while (size < 0 && errno == EINTR);
    n = size < 0 ? -1 : 1;
#endif
    return n;
}

} // namespace detail

inline datagram_batch::datagram_batch(std::size_t most)
    : most_(std::clamp<std::size_t>(most, 1, detail::most_datagrams_per_call)),
      storage_(std::make_unique_for_overwrite<std::uint8_t[]>(most_ * max_datagram_bytes)), payloads_(most_), peers_(most_), locals_(most_)
{
}

inline std::error_code udp_socket::open(asio::ip::udp const& protocol)
{
    std::error_code ec;
#if defined(__linux__)
    int const fd = ::socket(protocol.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol.protocol());
    if (fd < 0) return {errno, std::system_category()};
    socket_.assign(protocol, fd, ec);
    if (ec) ::close(fd);
#else
    socket_.open(protocol, ec);
    if (!ec && ::fcntl(socket_.native_handle(), F_SETFD, FD_CLOEXEC) != 0) ec.assign(errno, std::system_category());
#endif
    return ec;
}

inline void udp_socket::tell_local_addresses()
{
    [[maybe_unused]] int const on = 1;
    // Without it answers may come from another address, which matters only where there are several.
    if (local_endpoint().address().is_v6()) {
#if defined(IPV6_RECVPKTINFO)
        (void)::setsockopt(socket_.native_handle(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
#endif
    } else {
#if defined(IP_PKTINFO)
        (void)::setsockopt(socket_.native_handle(), IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
#endif
    }
}

inline result<udp_socket> udp_socket::bind(executor ex, endpoint const& where)
{
    udp_socket s(ex);
    std::error_code ec = s.open(where.protocol());
    if (!ec && where.address() == asio::ip::address_v6::any()) s.socket_.set_option(asio::ip::v6_only(false), ec);
    if (!ec) s.socket_.bind(where, ec);
    if (ec) return ec;
    s.tell_local_addresses();
    return s;
}

inline result<udp_socket> udp_socket::adopt(executor ex, asio::ip::udp const& protocol, native_handle_type fd)
{
    udp_socket s(ex);
    std::error_code ec;
    s.socket_.assign(protocol, fd, ec);
    if (!ec) s.socket_.native_non_blocking(true, ec);
    if (ec) return ec;
    s.tell_local_addresses();
    return s;
}

inline result<udp_socket> udp_socket::connect(executor ex, endpoint const& peer)
{
    udp_socket s(ex);
    if (std::error_code const ec = s.open(peer.protocol())) return ec;
    if (::connect(s.socket_.native_handle(), peer.data(), static_cast<socklen_t>(peer.size())) != 0)
        return std::error_code(errno, std::system_category());
    s.connected_ = true;
    return s;
}

inline udp_socket::endpoint udp_socket::local_endpoint() const
{
    std::error_code ignored;
    return socket_.local_endpoint(ignored);
}

inline result<std::size_t> udp_socket::receive(datagram_batch& into)
{
    into.size_ = 0;
    std::array<detail::many_header, detail::most_datagrams_per_call> headers;
    std::array<iovec, detail::most_datagrams_per_call> rooms;
    std::array<detail::address_message, detail::most_datagrams_per_call> locals;
    for (std::size_t i = 0; i < into.most_; ++i) {
        rooms[i] = {into.storage_.get() + i * max_datagram_bytes, max_datagram_bytes};
        headers[i] = {};
        msghdr& m = headers[i].msg_hdr;
        m.msg_iov = &rooms[i];
        m.msg_iovlen = 1;
        if (connected_) continue; // all come from one peer to one address
        m.msg_name = into.peers_[i].data();
        m.msg_namelen = static_cast<socklen_t>(into.peers_[i].capacity());
        m.msg_control = locals[i].bytes.data();
        m.msg_controllen = locals[i].bytes.size();
    }
    int const n = detail::receive_many(socket_.native_handle(), headers.data(), into.most_);
    if (n < 0) return detail::datagram_error();
    if (n == 0) return podproxy::errc::would_block;
    into.size_ = static_cast<std::size_t>(n);
    for (std::size_t i = 0; i < into.size_; ++i) {
        into.payloads_[i] = {into.storage_.get() + i * max_datagram_bytes, headers[i].msg_len};
        if (connected_) continue;
        into.peers_[i].resize(headers[i].msg_hdr.msg_namelen);
        into.locals_[i] = detail::local_of(headers[i].msg_hdr);
    }
    return into.size_;
}

inline result<std::size_t> udp_socket::send(std::span<bytes_view const> payloads, endpoint const* peer, local_address const& from)
{
    std::array<detail::many_header, detail::most_datagrams_per_call> headers;
    std::array<iovec, detail::most_datagrams_per_call> parts;
    detail::address_message local;
    msghdr common{};
    if (peer) {
        common.msg_name = const_cast<endpoint*>(peer)->data();
        common.msg_namelen = static_cast<socklen_t>(peer->size());
        detail::set_local(common, local, from);
    }
    std::size_t const count = std::min(payloads.size(), headers.size());
    for (std::size_t i = 0; i < count; ++i) {
        parts[i] = {const_cast<std::uint8_t*>(payloads[i].data()), payloads[i].size()};
        headers[i] = {};
        headers[i].msg_hdr = common;
        headers[i].msg_hdr.msg_iov = &parts[i];
        headers[i].msg_hdr.msg_iovlen = 1;
    }
    int const n = detail::send_many(socket_.native_handle(), headers.data(), count);
    if (n < 0) return detail::datagram_error();
    return static_cast<std::size_t>(n);
}

inline std::error_code udp_socket::take_error()
{
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(socket_.native_handle(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error == 0) return {};
    return {error, std::system_category()};
}

inline void udp_socket::cancel() noexcept
{
    std::error_code ignored;
    socket_.cancel(ignored);
}

inline void udp_socket::close() noexcept
{
    std::error_code ignored;
    socket_.close(ignored);
}

} // namespace podproxy::net
