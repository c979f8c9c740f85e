#ifndef PODPROXY_NET_IMPL_CONNECT_IPP
#define PODPROXY_NET_IMPL_CONNECT_IPP

#include <podproxy/core/ip_address.hpp>
#include <podproxy/net/connect.hpp>
#include <podproxy/net/happy_eyeballs_fsm.hpp>
#include <podproxy/net/resolve.hpp>
#include <podproxy/net/timeout.hpp>
#include <asio/error.hpp>
#include <asio/ip/address.hpp>
#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace podproxy::net {

namespace detail {

/// A new socket, non-blocking and not inherited by child processes.
inline std::error_code open_socket(ready_socket& socket, asio::ip::tcp const& protocol)
{
    std::error_code ec;
#if defined(__linux__)
    int const fd = ::socket(protocol.family(), protocol.type() | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol.protocol());
    if (fd < 0) return {errno, std::system_category()};
    socket.assign(fd);
#else
    tcp_socket opened(socket.get_executor());
    opened.open(protocol, ec);
    if (!ec) opened.native_non_blocking(true, ec);
    if (!ec && ::fcntl(opened.native_handle(), F_SETFD, FD_CLOEXEC) != 0) ec.assign(errno, std::system_category());
    if (!ec) socket.assign(opened.release());
#endif
    return ec;
}

/// What became of a connection attempt after a while: nothing yet (`asio::error::in_progress`), success (no error) or a failure.
inline std::error_code check_connect(ready_socket& socket, [[maybe_unused]] asio::ip::tcp::endpoint const& endpoint)
{
#if defined(__linux__)
    // Asked again, connect(2) tells all in one call: through, still on its way, or what went wrong.
    if (::connect(socket.native_handle(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0 || errno == EISCONN) return {};
    if (errno == EALREADY || errno == EINPROGRESS) return asio::error::in_progress;
    return {errno, std::system_category()};
#else
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) return {error, std::system_category()};
    return socket.remote_endpoint().port() == 0 ? std::error_code(asio::error::in_progress) : std::error_code(); // woken too early?
#endif
}

/// The same, for the beginning.
inline std::error_code begin_connect(ready_socket& socket, asio::ip::tcp::endpoint const& endpoint, connect_config const& config)
{
    std::error_code ec = open_socket(socket, endpoint.protocol());
    if (!ec && config.prepare) ec = config.prepare(socket);
    if (ec) return ec;
    (void)socket.set_option(asio::ip::tcp::no_delay(true)); // before the data; without it only slower
    if (::connect(socket.native_handle(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0) return {};
    if (errno != EINPROGRESS && errno != EINTR) return {errno, std::system_category()};
    // On the same machine it is often through by now: asking costs less than a turn through the event loop.
    return check_connect(socket, endpoint);
}

inline std::string endpoint_text(asio::ip::tcp::endpoint const& endpoint)
{
    return format_host_port(endpoint.address().to_string(), endpoint.port());
}

inline std::error_code explain_connect(std::string const& whom, std::error_code ec, diagnostics& why)
{
    why.message = "can't connect to " + whom + ": " + ec.message();
    return ec;
}

/** Several attempts at once. Attempts report by setting their outcome and waking the coroutine that races them, which sleeps on
    `wake`. Shared, since the handler of a closed socket is called after the race is over. */
struct race {
    struct attempt {
        attempt(executor ex, asio::ip::tcp::endpoint const& where) : writable(ex), socket(ex), endpoint(where) {}
        ready_wait writable;
        ready_socket socket;
        asio::ip::tcp::endpoint endpoint;
        std::error_code outcome = asio::error::in_progress;
        bool counted = false; ///< the machine knows that it failed
    };

    explicit race(executor ex) : wake(ex) {}

    static void watch(std::shared_ptr<race> const& self, std::size_t i)
    {
        attempt& waiting = *self->attempts[i];
        waiting.writable.async_wait(waiting.socket, wait_kind::write, [self, i](std::error_code ec) {
            if (self->over) return;
            attempt& a = *self->attempts[i];
            a.outcome = ec ? ec : check_connect(a.socket, a.endpoint);
            if (a.outcome == asio::error::in_progress) watch(self, i);
            else self->wake.cancel();
        });
    }

    /// Close all sockets that are still here.
    void end()
    {
        over = true;
        for (auto& a : attempts) a->socket.close();
    }

    timer wake;
    std::vector<std::unique_ptr<attempt>> attempts;
    bool over = false;
};

/// Ends the race however the coroutine is left.
struct race_guard {
    std::shared_ptr<race> const& it;
    explicit race_guard(std::shared_ptr<race> const& r) noexcept : it(r) {}
    race_guard(race_guard const&) = delete;
    race_guard& operator=(race_guard const&) = delete;
    ~race_guard() { it->end(); }
};

/// Endpoints in the order of `interleave`, at most `max` of them.
inline std::vector<asio::ip::tcp::endpoint> in_turns(std::vector<asio::ip::tcp::endpoint> const& endpoints, std::size_t max)
{
    std::vector<address_family> families;
    for (auto const& e : endpoints) families.push_back(e.address().is_v4() ? address_family::v4 : address_family::v6);
    std::vector<asio::ip::tcp::endpoint> out;
    for (std::size_t const i : interleave(families)) {
        if (out.size() == max) break;
        out.push_back(endpoints[i]);
    }
    return out;
}

inline awaitable<result<ready_socket>> race_endpoints(std::vector<asio::ip::tcp::endpoint> endpoints, std::string whom, connect_config const& config, diagnostics& why)
{
    using kind = happy_eyeballs_fsm::action::kind;
    executor const ex = co_await asio::this_coro::executor;
    auto const all = in_turns(endpoints, config.max_addresses);
    happy_eyeballs_fsm machine(all.size(), std::max(config.attempt_delay, std::chrono::milliseconds(1)));
    auto const state = std::make_shared<race>(ex);
    race_guard const guard(state);

    for (;;) {
        for (auto& a : state->attempts) { // what has come in
            if (!a->outcome) co_return std::move(a->socket);
            if (a->outcome == asio::error::in_progress || a->counted) continue;
            a->counted = true;
            machine.failed(a->outcome, clock::now());
            a->socket.close();
        }
        auto const next = machine.resume(clock::now());
        if (next.what == kind::fail) {
            if (all.size() > 1) whom += " (" + std::to_string(all.size()) + " addresses tried)";
            co_return explain_connect(whom, next.error, why);
        }
        if (next.what == kind::start) {
            auto& a = *state->attempts.emplace_back(std::make_unique<race::attempt>(ex, all[next.address]));
            a.outcome = begin_connect(a.socket, a.endpoint, config);
            if (a.outcome == asio::error::in_progress) race::watch(state, state->attempts.size() - 1);
            continue;
        }
        state->wake.expires_at(next.until.value_or(clock::time_point::max()));
        // Ends with the next event, at the latest with the system's time limit. Why it ended, the outcomes and the clock tell.
        (void)co_await state->wake.async_wait(asio::as_tuple(use_awaitable));
        auto const cancelled = co_await asio::this_coro::cancellation_state;
        if (cancelled.cancelled() != asio::cancellation_type::none) co_return std::error_code(asio::error::operation_aborted);
    }
}

} // namespace detail

inline std::optional<asio::ip::tcp::endpoint> literal_endpoint(host_port const& destination)
{
    if (auto const v4 = parse_ipv4(destination.host)) return asio::ip::tcp::endpoint(asio::ip::address_v4(*v4), destination.port);
    std::error_code no_literal;
    asio::ip::address const address = asio::ip::make_address(destination.host, no_literal);
    if (no_literal) return std::nullopt;
    return asio::ip::tcp::endpoint(address, destination.port);
}

inline result<void> start_connect(ready_socket& socket, asio::ip::tcp::endpoint const& endpoint, connect_config const& config, diagnostics* why)
{
    std::error_code const ec = detail::begin_connect(socket, endpoint, config);
    if (ec == asio::error::in_progress) return errc::would_block;
    if (ec && why) detail::explain_connect(detail::endpoint_text(endpoint), ec, *why);
    return ec;
}

inline awaitable<result<ready_socket>> finish_connect(ready_socket socket, asio::ip::tcp::endpoint endpoint, diagnostics& why)
{
    ready_wait writable(socket.get_executor());
    std::error_code ec = asio::error::in_progress;
    while (ec == asio::error::in_progress) { // ends at the latest with the system's time limit
        auto [waited] = co_await writable.async_wait(socket, wait_kind::write, asio::as_tuple(use_awaitable));
        if (waited == asio::error::operation_aborted) co_return waited;
        ec = waited ? waited : detail::check_connect(socket, endpoint);
    }
    if (ec) co_return detail::explain_connect(detail::endpoint_text(endpoint), ec, why);
    co_return std::move(socket);
}

inline awaitable<result<ready_socket>> connect_one(asio::ip::tcp::endpoint endpoint, connect_config const& config, diagnostics& why)
{
    ready_socket socket(co_await asio::this_coro::executor);
    auto const begun = start_connect(socket, endpoint, config, &why);
    if (begun) co_return std::move(socket);
    if (begun.error() != errc::would_block) co_return begun.error();
    co_return co_await finish_connect(std::move(socket), endpoint, why);
}

inline awaitable<result<ready_socket>> connect_any(std::vector<asio::ip::tcp::endpoint> endpoints, connect_config const& config, diagnostics& why)
{
    if (endpoints.empty()) {
        why.message = "there is no address to connect to";
        co_return errc::unavailable;
    }
    if (endpoints.size() == 1) co_return co_await connect_one(endpoints.front(), config, why);
    std::string whom = detail::endpoint_text(endpoints.front());
    co_return co_await detail::race_endpoints(std::move(endpoints), std::move(whom), config, why);
}

namespace detail {

inline awaitable<result<ready_socket>> connect_name(host_port destination, connect_config const& config, diagnostics& why)
{
    auto const addresses = co_await resolve(destination.host, why);
    if (!addresses) co_return addresses.error();
    std::string whom = format_host_port(destination);
    if (addresses->size() == 1) {
        asio::ip::tcp::endpoint const endpoint(addresses->front(), destination.port);
        auto socket = co_await connect_one(endpoint, config, why);
        if (!socket && socket.error() != asio::error::operation_aborted) explain_connect(whom, socket.error(), why);
        co_return socket;
    }
    std::vector<asio::ip::tcp::endpoint> endpoints;
    for (auto const& address : *addresses) endpoints.emplace_back(address, destination.port);
    co_return co_await race_endpoints(std::move(endpoints), std::move(whom), config, why);
}

} // namespace detail

inline awaitable<result<ready_socket>> connect(host_port destination, connect_config const& config, diagnostics& why)
{
    // No coroutine of its own: the usual case has one frame.
    if (auto const literal = literal_endpoint(destination)) return connect_one(*literal, config, why);
    return detail::connect_name(std::move(destination), config, why);
}

} // namespace podproxy::net

#endif
