#ifndef PODPROXY_NET_CONNECT_HPP
#define PODPROXY_NET_CONNECT_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/ready_socket.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <system_error>
#include <vector>

namespace podproxy::net {

struct connect_config {
    /// How long one address may keep us waiting before the next is tried beside it (RFC 8305: 100 ms to 2 s). Never zero.
    std::chrono::milliseconds attempt_delay{250};
    /// At most this many addresses of a name are tried.
    std::size_t max_addresses = 8;
    /// Called with each new socket before it connects: to mark it (SO_MARK) or bind it to an address or a device. An error ends
    /// the attempt. Empty: nothing.
    std::function<std::error_code(ready_socket&)> prepare;
};

/** Connect to a host and port.

    An address is connected to directly, without a timer. A name is resolved, and its addresses race each other by Happy Eyeballs
    version 2 (RFC 8305): families take turns, the next attempt begins when one fails or after `attempt_delay`, the first
    success wins and the others are closed.

    @par Lifetime `config` and `why` are borrowed until completion.
    @par Cancel   terminal; no descriptor is left open.
    @return a connected socket (close-on-exec, TCP_NODELAY), or why there is none: the resolver's error (see `resolve`), or the
            most telling of the attempts' errors (refused > unreachable > timed out). There is no deadline inside but the system's
            own (minutes): use `with_deadline`. */
inline awaitable<result<ready_socket>> connect(host_port destination, connect_config const& config, diagnostics& why);

/// The same for addresses that are known already, tried in an order that takes turns between the families.
inline awaitable<result<ready_socket>> connect_any(std::vector<asio::ip::tcp::endpoint> endpoints, connect_config const& config, diagnostics& why);

/// The same for one address.
inline awaitable<result<ready_socket>> connect_one(asio::ip::tcp::endpoint endpoint, connect_config const& config, diagnostics& why);

/// The endpoint, if the host is an address.
inline std::optional<asio::ip::tcp::endpoint> literal_endpoint(host_port const& destination);

/** Begin to connect to one address, without waiting: on the same machine a connection is usually made at once.

    @param socket Closed; afterwards open, non-blocking and close-on-exec, with TCP_NODELAY.
    @param why    Gets the text of a failure, if somebody wants it.
    @return success when it is connected, `errc::would_block` when it is on its way (see `finish_connect`), or why it can't be. */
inline result<void> start_connect(ready_socket& socket, asio::ip::tcp::endpoint const& endpoint, connect_config const& config, diagnostics* why = nullptr);

/// Wait for a connection that is on its way. @par Lifetime, Cancel and result as of `connect`.
inline awaitable<result<ready_socket>> finish_connect(ready_socket socket, asio::ip::tcp::endpoint endpoint, diagnostics& why);

} // namespace podproxy::net

#include <podproxy/net/impl/connect.ipp>

#endif
