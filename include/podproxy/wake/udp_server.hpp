#ifndef PODPROXY_WAKE_UDP_SERVER_HPP
#define PODPROXY_WAKE_UDP_SERVER_HPP

#include <podproxy/core/address_port.hpp>
#include <podproxy/core/bytes.hpp>
#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/udp_socket.hpp>
#include <podproxy/wake/group.hpp>
#include <podproxy/wake/port_group.hpp>
#include <podproxy/wake/settings.hpp>
#include <podproxy/wake/traffic.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

namespace podproxy::wake {

/** A UDP port that wakes a group.

    Each client, known by its address and the address that it has sent to, is a session with a socket of its own to the server, until it has been
    silent for `udp_session`. While it waits for the group it may be silent: it has nothing to say before there is an answer. A session
    counts as use of the group.

    - On a group that is not ready the first datagrams are kept, `udp_most_early` of them and `most_early_bytes` in all; what is more is dropped.
    - A server that does not listen yet refuses (ICMP, port unreachable). So the first datagram is sent alone, and again every few
      milliseconds as long as it is refused. When there is no refusal within 5 ms, or an answer comes, it has been taken; then the
      others follow in their order. What has been taken is never sent twice. Something in front of the server that takes everything
      (docker-proxy) can't be told from it: there, the first datagrams may be lost, as on any network.
    - Answers come from the address that the client has sent to.
    - When there are `udp_most_sessions`, a new client takes the place of the one that has been silent longest, if that is more than ten
      seconds (or a quarter of `udp_session`); else its datagrams are dropped.
    - Only the first target counts: there are no names to choose by. Nobody can be told of a refusal: it is counted and logged.

    @par Lifetime Held by its sessions: made by `make_shared`. `close` before the end. */
class udp_server : public std::enable_shared_from_this<udp_server> {
public:
    udp_server(std::shared_ptr<port_commons> commons, port_config config, std::shared_ptr<port_group> group, net::udp_socket socket);
    udp_server(udp_server const&) = delete;
    udp_server& operator=(udp_server const&) = delete;

    port_config const& config() const noexcept { return config_; }
    net::udp_socket::endpoint local_endpoint() const { return socket_.local_endpoint(); }

    /// Serve clients. @return why the socket's life has ended: `operation_aborted` after `stop_listening`.
    net::awaitable<std::error_code> serve();

    std::size_t sessions() const noexcept { return sessions_.size(); }

    /// Hear no client any more. Answers still go out.
    void stop_listening();
    /// End all sessions.
    void close();

private:
    struct client_key {
        address_port peer;
        ipv6_bytes local{};
        friend bool operator<(client_key const& a, client_key const& b) noexcept
        {
            return std::tie(a.peer.port, a.peer.address, a.local) < std::tie(b.peer.port, b.peer.address, b.local);
        }
    };
    struct session;
    using session_ptr = std::shared_ptr<session>;
    using payloads = std::span<bytes_view const>;
    using endpoints = std::vector<asio::ip::udp::endpoint>;

    void take(net::udp_socket::endpoint const& peer, net::local_address const& local, payloads data);
    void begin(client_key const& key, net::udp_socket::endpoint const& peer, net::local_address const& local, payloads data);
    bool make_room();
    bool open_now(session& s);
    void opened(session& s);
    bool may_begin(client_key const& key);
    void keep(session& s, payloads data);
    void to_server(session& s, payloads data);
    void to_client(session& s, payloads data);
    void touch(session& s);
    void end(session& s);
    void drop(session& s, refusal r);
    void arm();
    endpoints known_endpoints(group_use const& use) const;

    static net::awaitable<void> hold(std::shared_ptr<udp_server> self, session_ptr s);
    static net::awaitable<void> listen(std::shared_ptr<udp_server> self, session_ptr s);
    static net::awaitable<void> serve_without_hold(std::shared_ptr<udp_server> self, session_ptr s);
    net::awaitable<result<void>> connect_held(session& s);
    net::awaitable<result<void>> connect_in_life(session& s, net::clock::time_point deadline);
    net::awaitable<result<void>> probe(session& s, net::clock::time_point deadline);
    net::awaitable<endpoints> find(std::string own_address, diagnostics& why) const;

    std::shared_ptr<port_commons> commons_;
    port_config config_;
    std::shared_ptr<port_group> group_;
    std::shared_ptr<port_gate> gate_;
    net::udp_socket socket_;
    net::datagram_batch from_clients_;
    net::datagram_batch from_servers_;
    std::map<client_key, session_ptr> sessions_;
    std::list<session*> by_silence_; ///< Who has been silent longest comes first.
    net::timer silence_;
    asio::ip::udp::endpoint good_;   ///< Where the server was found, in the life of `gate_`.
    bool armed_ = false;
    bool hears_ = true;
};

} // namespace podproxy::wake

#include <podproxy/wake/impl/udp_server.ipp>

#endif
