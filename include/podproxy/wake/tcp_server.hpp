#ifndef PODPROXY_WAKE_TCP_SERVER_HPP
#define PODPROXY_WAKE_TCP_SERVER_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/flat_buffer.hpp>
#include <podproxy/core/ip_address.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/connect.hpp>
#include <podproxy/net/listener.hpp>
#include <podproxy/net/relay.hpp>
#include <podproxy/net/stream.hpp>
#include <podproxy/wake/first_bytes.hpp>
#include <podproxy/wake/port_group.hpp>
#include <podproxy/wake/settings.hpp>
#include <podproxy/wake/traffic.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace podproxy::wake {

/** A TCP port that wakes groups: accepts clients, chooses their target, holds them until its server listens, and relays.

    - A group that is ready costs a client nothing: no coroutine, no timer, no wait. Only where first bytes decide (several targets by name,
      rules about bytes) they are waited for, at most `first_bytes_limit` and `most_first_bytes`.
    - A client that waits is watched: what it sends is kept up to `most_early_bytes`, the rest stays in the kernel. When it resets the
      connection, or ends it without having sent anything, it has left. When it ends its side after it has sent something, it gets
      its answer.
    - When the group is ready its server may not listen yet. The first client tries the port every few milliseconds, the others wait for it;
      see `port_gate`. A refused or unreachable port, one that does not answer, and a name that is not known yet all mean: not yet.
      A target with a host of its own may have something in front of the server that accepts at once and, as long as the server
      does not listen, closes at once (docker-proxy). So a first connection is watched for some milliseconds before anything is sent over
      it; closed by then, it means: not yet. Once a byte has been sent to a server nothing is ever sent a second time.
    - When the group's life ends before a client is connected, it waits for the next one, `start_attempts` times at most.
    - A client that must not wake the group is served when the group is ready, without keeping it awake.
    - Who is refused gets a reset, or an answer in HTTP when it has sent the line of a request.

    @par Lifetime Held by its clients: made by `make_shared`. */
class tcp_server : public std::enable_shared_from_this<tcp_server> {
public:
    /// @param groups One for each of the targets, in their order.
    tcp_server(std::shared_ptr<port_commons> commons, port_config config, std::vector<std::shared_ptr<port_group>> groups);
    tcp_server(tcp_server const&) = delete;
    tcp_server& operator=(tcp_server const&) = delete;

    port_config const& config() const noexcept { return config_; }

    /** Serve the clients of a listener until it is closed.
        @par Lifetime The listener is borrowed; several may be served at the same time.
        @return why the listener ended: `operation_aborted` after `close`. */
    net::awaitable<std::error_code> serve(net::listener& from);

private:
    class connection;
    struct target;
    struct held;
    struct upstream;
    using endpoints = std::vector<asio::ip::tcp::endpoint>;
    using held_ptr = std::unique_ptr<held>;
    enum class sign : std::uint8_t { none, spoke, closed };
    enum class waking : std::uint8_t { allowed, forbidden };

    void take(net::ready_socket socket);
    bool serve_now(target& t, net::any_stream& client, client_place& place, bytes_view early);
    endpoints const* known_endpoints(target& t, group_use const& use);
    void relay(target& t, net::any_stream client, net::any_stream server, group_use use, bytes_view early, client_place place);

    static net::awaitable<void> finish(std::shared_ptr<tcp_server> self, target& t, held_ptr c, net::ready_socket server,
                                       asio::ip::tcp::endpoint where, group_use use);
    static net::awaitable<void> look(std::shared_ptr<tcp_server> self, held_ptr c);
    static net::awaitable<void> hold(std::shared_ptr<tcp_server> self, target& t, held_ptr c);
    static net::awaitable<void> serve_without_hold(std::shared_ptr<tcp_server> self, target& t, held_ptr c);
    static net::awaitable<void> wake_for_page(std::shared_ptr<tcp_server> self, target& t, held_ptr c);

    net::awaitable<bool> read_first(held& c, first_bytes_decoder& d);
    net::awaitable<void> give_page(target& t, held_ptr c);
    net::awaitable<bool> watch(held& c, std::size_t most);
    net::awaitable<result<upstream>> connect_held(target& t, held& c);
    net::awaitable<result<net::any_stream>> connect_in_life(target& t, held& c, group_use const& use, net::clock::time_point deadline);
    net::awaitable<result<net::any_stream>> probe(target& t, held& c, group_use const& use, net::clock::time_point deadline);
    net::awaitable<result<net::any_stream>> connect_once(target& t, std::string own_address, net::clock::duration limit, diagnostics& why);
    net::awaitable<sign> settle(net::stream& s, held& c, net::clock::duration least, net::clock::duration most);
    net::awaitable<void> refuse(held_ptr c, port_group* g, refusal r);
    static net::awaitable<void> answer(held_ptr c, std::string text);

    std::shared_ptr<port_commons> commons_;
    port_config config_;
    std::vector<target> targets_;
    std::size_t most_held_ = 0; ///< Room for the bytes of one client.
    bool asks_source_ = false;
    bool looks_first_ = false;
    bool by_name_ = false;
};

} // namespace podproxy::wake

#include <podproxy/wake/impl/tcp_server.ipp>

#endif
