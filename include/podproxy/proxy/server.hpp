#ifndef PODPROXY_PROXY_SERVER_HPP
#define PODPROXY_PROXY_SERVER_HPP

#include <podproxy/core/log.hpp>
#include <podproxy/http/pac.hpp>
#include <podproxy/http/proxy_server.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/dialer.hpp>
#include <podproxy/net/listener.hpp>
#include <podproxy/net/relay.hpp>
#include <podproxy/net/task_group.hpp>
#include <podproxy/proxy/access.hpp>
#include <podproxy/socks5/server.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace podproxy::proxy {

/// What a port speaks.
enum class port_kind {
    mixed, ///< SOCKS5, SOCKS4 (also 4a) and HTTP; the first byte tells. Also answers `GET /proxy.pac`.
    http,  ///< HTTP only. Also answers `GET /proxy.pac`.
    pac,   ///< Answers the PAC file at every path, and proxies nothing.
};

struct server_config {
    /// From the first byte (or its absence) to the end of the handshake of SOCKS or CONNECT, connecting included.
    std::chrono::seconds handshake_limit{30};
    /// Connecting to a destination for a CONNECT or a forwarded request. Zero: no limit.
    std::chrono::seconds dial_limit{30};
    /// Clients at the same time; the next ones wait in the kernel's queue. Zero: what the descriptor limit has room for.
    std::size_t most_clients = 0;
    /// Who may use the proxy; borrowed, and may change its mind. Null: everybody. The PAC file is for everybody whose address is allowed.
    access_control* access = nullptr;
    net::relay_config relay;
    /// The ports that the PAC file names, beside the one that it is fetched from.
    std::optional<std::uint16_t> mixed_port;
    std::optional<std::uint16_t> http_port;
    /// Names of clusters for the PAC file.
    std::function<std::vector<std::string>()> cluster_names;
};

/** The proxy: takes clients from listeners, learns where they want to go, dials, relays.

    A fault of one client or destination ends that connection only.
    @par Lifetime `out` and the log's sink are borrowed and outlive it. `drain` comes before the end. */
class server {
public:
    server(net::executor ex, net::dialer& out, logger log, server_config config = {});

    /** Serve the clients of one listener until it is closed.
        @par Lifetime The listener is borrowed; several may be served at the same time.
        @return why the listener ended: `operation_aborted` after `close`. */
    net::awaitable<std::error_code> serve(net::listener& from, port_kind kind);

    /// Connections in all phases.
    std::size_t clients() const noexcept { return clients_; }

    /// Wait until all connections have ended, at most for `limit`; then end the rest. The listeners have been closed before.
    net::awaitable<void> drain(std::chrono::milliseconds limit);

private:
    class presence;

    net::awaitable<void> client(net::ready_socket socket, port_kind kind);
    std::optional<host_port> take_connect(flat_buffer& in) const;
    net::awaitable<void> refuse_connect(net::stream& client, std::error_code ec, host_port destination, diagnostics why, std::chrono::milliseconds linger);
    net::awaitable<void> serve_http(net::any_stream client, flat_buffer early, port_kind kind, presence here);
    void relay(net::any_stream client, net::any_stream upstream, bytes_view early, host_port destination, std::string via, presence here);
    std::optional<http::local_answer> answer_locally(http::request_head const& request, port_kind kind) const;
    void report_failure(std::string_view protocol, host_port const& destination, std::error_code ec, diagnostics const& why) const;
    std::size_t client_limit() const;
    bool is_admitted(net::ready_socket const& client);
    bool asks_for_password() const noexcept { return config_.access && config_.access->asks_for_password(); }
    void left();

    net::executor executor_;
    net::dialer& out_;
    logger log_;
    server_config config_;
    socks5::server_config socks_open_;
    socks5::server_config socks_with_password_;
    std::size_t limit_;
    std::size_t clients_ = 0;
    net::relay_engine relays_;
    net::task_group tasks_;
    std::uint64_t turned_away_ = 0; ///< since the last line about it
    net::clock::time_point next_turned_away_line_{};
    net::timer changed_; ///< cancelled whenever a client has left
};

} // namespace podproxy::proxy

#include <podproxy/proxy/impl/server.ipp>

#endif
