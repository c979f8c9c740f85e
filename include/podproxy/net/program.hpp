#ifndef PODPROXY_NET_PROGRAM_HPP
#define PODPROXY_NET_PROGRAM_HPP

#include <podproxy/core/host_port.hpp>
#include <podproxy/core/log.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/listener.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/signal_set.hpp>
#include <chrono>
#include <optional>
#include <string_view>

// What the mains of all servers have in common.
namespace podproxy::net {

/// More connections than the soft limit of most shells allows: as many as the hard limit does.
void raise_descriptor_limit() noexcept;

/// A context for one thread. Names are resolved by threads beside it: a name server that does not answer must not hold up other names.
class program_context : public asio::io_context {
public:
    program_context();
};

/// Run until `ended`. An exception that leaves a handler is a fault of one connection: it is logged, and all others go on.
void run_until(asio::io_context& io, bool const& ended, logger const& log);

/** End the process with `code` after a second, if it has not ended by itself: a context waits for getaddrinfo calls in flight, and a silent
    name server can make them last most of a minute. */
void leave_soon(int code = 0) noexcept;
/// The process has been cleaned up in time.
void do_not_leave() noexcept;

/// SIGINT and SIGTERM, and SIGHUP where it is asked for.
class program_signals {
public:
    enum class hangup { ends, is_told };

    program_signals(executor ex, hangup how = hangup::ends);

    /// Wait for the next one. @par Cancel total. @return its number; 0 after a cancellation.
    awaitable<int> wait();

    /// From now on each of them ends the process at once: the user has asked twice.
    void end_at_next();

private:
    asio::basic_signal_set<executor> signals_;
};

/** Where to listen. An empty host is every address of this machine, IPv6 and IPv4; a name is resolved, which may block.
    @return the first address, or the resolver's reason. */
result<asio::ip::tcp::endpoint> listen_endpoint(asio::io_context& io, host_port const& address);

/** Listen, and say why not.
    @param key What the user calls this port, for the log.
    @return nothing where it can't be done; an error has been logged. */
std::optional<listener> open_listener(asio::io_context& io, host_port const& address, std::string_view key, logger const& log);

} // namespace podproxy::net

#include <podproxy/net/impl/program.ipp>

#endif
