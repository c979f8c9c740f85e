#ifndef PODPROXY_NET_PATH_HPP
#define PODPROXY_NET_PATH_HPP

#include <chrono>

#include <sys/socket.h>

#if defined(__linux__)
#include <netinet/in.h> // IPPROTO_TCP
#include <netinet/tcp.h>
#endif

namespace podproxy::net {

/** Whether the other end of a TCP connection seems to be out of reach: for `limit` it has acknowledged nothing, and what was sent to it
    again, or asked about its closed window, had no answer. A peer that merely does not read answers such questions.
    @return false too for what is no TCP socket, and where the system does not tell. */
inline bool path_is_silent([[maybe_unused]] int fd, [[maybe_unused]] std::chrono::milliseconds limit) noexcept
{
#if defined(__linux__)
    ::tcp_info info{};
    ::socklen_t size = sizeof info;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
    bool const sent_again = info.tcpi_unacked != 0 && info.tcpi_retransmits != 0;
    bool const asked_again = info.tcpi_probes >= 2;
    return (sent_again || asked_again) && std::chrono::milliseconds(info.tcpi_last_ack_recv) >= limit;
#else
    return false;
#endif
}

} // namespace podproxy::net

#endif
