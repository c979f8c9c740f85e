#ifndef PODPROXY_WAKE_SERVER_HPP
#define PODPROXY_WAKE_SERVER_HPP

#include <podproxy/core/host_port.hpp>
#include <podproxy/core/log.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/dialer.hpp>
#include <podproxy/net/listener.hpp>
#include <podproxy/net/relay.hpp>
#include <podproxy/net/udp_socket.hpp>
#include <podproxy/wake/group.hpp>
#include <podproxy/wake/member.hpp>
#include <podproxy/wake/provider.hpp>
#include <podproxy/wake/settings.hpp>
#include <podproxy/wake/traffic.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::wake {

struct server_config {
    net::relay_config relay;
    /// TCP clients at the same time; the next ones wait in the kernel's queue. Zero: what the descriptor limit has room for.
    std::size_t most_clients = 0;
    /** The settings, and what the labels of all members add to them. Called whenever members have come, gone or got other labels;
        whatever it has to say about labels, it says each thing once. Empty: labels add nothing. */
    std::function<settings(std::span<member const> all, settings known)> with_labels;
    /// Groups and ports of labels stay for so long after their last member has gone: compose removes a container and makes it anew.
    std::chrono::milliseconds labels_stay{60'000};
    /// Reaches targets whose host is a name. None: resolved and connected to by this machine.
    net::dialer* dialer = nullptr;
};

/// One port, for the status page.
struct port_status {
    port_protocol protocol = port_protocol::tcp;
    host_port listen;                ///< With the port that it got, where any was asked for.
    std::vector<std::string> groups; ///< Of its targets, each once, in their order.
    bool from_labels = false;
    std::string error;               ///< Why it can't be listened on; empty when it is open.
};

/** wake-proxy: groups, the ports that wake them, and the engines that run them.

    Groups and ports come from the settings, and from labels of members as they appear. Where a port is wanted twice, who had it first
    keeps it.

        wake::server s(ex, settings, {&docker}, log, config);
        for (std::string const& line : s.open()) ...;
        co_await s.run();          // until cancelled
        co_await s.drain(30s);

    @par Lifetime The engines, the dialer and the log's sink outlive it. `drain` comes before the end. */
class server {
public:
    server(net::executor ex, settings known, std::vector<provider*> engines, logger log, server_config config = {});
    server(server const&) = delete;
    server& operator=(server const&) = delete;
    ~server();

    /// Take a socket that somebody else listens on for the port of the same protocol and address, before `open`; or for one that comes later.
    void adopt(net::listener listening);
    void adopt(net::udp_socket bound);

    /** Listen on the ports of the settings.
        @return a line for each one that could not be opened. The others are open. */
    std::vector<std::string> open();

    /// Follow the engines. @par Cancel terminal.
    net::awaitable<void> run();

    /// Stop listening. Who is connected or waits stays.
    void close();

    /** Close, wait until nobody waits and all connections have ended, at most for `limit`; then refuse who waits and end the rest.
        Nothing is put to rest any more: a successor may be in charge already. */
    net::awaitable<void> drain(std::chrono::milliseconds limit);

    /// All groups, in the order of their names.
    std::vector<group_status> status() const;
    std::vector<port_status> ports() const;
    /// Of all groups, with the clients that were turned away before a group was chosen.
    traffic total() const;
    /// Of one group; none when there is no such group.
    traffic const* traffic_of(std::string_view group) const;

    /// @return false when there is no such group.
    bool wake_now(std::string_view group, std::string who);
    bool stop_now(std::string_view group);

private:
    class state;
    std::shared_ptr<state> state_;
};

} // namespace podproxy::wake

#include <podproxy/wake/impl/server.ipp>


#endif
