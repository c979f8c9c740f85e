#ifndef PODPROXY_NET_IMPL_PROGRAM_IPP
#define PODPROXY_NET_IMPL_PROGRAM_IPP

#include <podproxy/net/program.hpp>
#if __has_include(<asio/config.hpp>)
#include <asio/config.hpp>
#endif
#include <asio/ip/address.hpp>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <string>
#include <tuple>
#include <utility>

#include <sys/resource.h>
#include <unistd.h>

namespace podproxy::net {

inline void raise_descriptor_limit() noexcept
{
    rlimit now{};
    if (::getrlimit(RLIMIT_NOFILE, &now) != 0 || now.rlim_cur >= now.rlim_max) return;
    now.rlim_cur = now.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &now);
}

#if __has_include(<asio/config.hpp>)
inline program_context::program_context() : asio::io_context(asio::config_from_string("scheduler.concurrency_hint=1\nresolver.threads=8")) {}
#else
inline program_context::program_context() : asio::io_context(1) {}
#endif

inline void run_until(asio::io_context& io, bool const& ended, logger const& log)
{
    while (!ended) {
        try {
            io.run_one();
        } catch (std::exception const& e) {
            log.error("a connection ended by an unexpected fault", {{"error", e.what()}});
        }
    }
}

namespace detail {

/// What a signal handler may use.
inline volatile std::sig_atomic_t leaving_code = 0;

} // namespace detail

inline void leave_soon(int code) noexcept
{
    detail::leaving_code = code;
    std::signal(SIGALRM, [](int) { std::_Exit(detail::leaving_code); });
    ::alarm(1);
}

inline void do_not_leave() noexcept { ::alarm(0); }

inline program_signals::program_signals(executor ex, hangup how) : signals_(std::move(ex), SIGINT, SIGTERM)
{
    if (how == hangup::is_told) signals_.add(SIGHUP);
}

inline awaitable<int> program_signals::wait()
{
    auto const [ec, number] = co_await signals_.async_wait(asio::as_tuple(use_awaitable));
    co_return ec ? 0 : number;
}

inline void program_signals::end_at_next()
{
    signals_.async_wait([this](std::error_code ec, int number) {
        if (ec) return;
        if (number == SIGINT || number == SIGTERM) std::_Exit(0); // open connections are cut
        end_at_next();
    });
}

inline result<asio::ip::tcp::endpoint> listen_endpoint(asio::io_context& io, host_port const& address)
{
    if (address.host.empty()) return asio::ip::tcp::endpoint(asio::ip::address_v6::any(), address.port);
    std::error_code ec;
    auto const ip = asio::ip::make_address(address.host, ec);
    if (!ec) return asio::ip::tcp::endpoint(ip, address.port);
    asio::ip::tcp::resolver lookup(io);
    auto const found = lookup.resolve(address.host, std::to_string(address.port), ec);
    if (ec) return ec;
    if (found.empty()) return std::error_code(asio::error::host_not_found);
    return found.begin()->endpoint();
}

inline std::optional<listener> open_listener(asio::io_context& io, host_port const& address, std::string_view key, logger const& log)
{
    auto const endpoint = listen_endpoint(io, address);
    if (!endpoint) {
        log.error("can't listen: the host of the address can't be resolved",
                  {{"key", key}, {"address", format_host_port(address)}, {"error", endpoint.error()}});
        return std::nullopt;
    }
    auto socket = listener::open(io.get_executor(), *endpoint);
    if (!socket) {
        bool const taken = is_system_error(socket.error(), std::errc::address_in_use);
        log.error(taken ? "can't listen: another program uses this port; end it or choose another address" : "can't listen",
                  {{"key", key}, {"address", format_host_port(address)}, {"error", socket.error()}});
        return std::nullopt;
    }
    return std::move(*socket);
}

} // namespace podproxy::net

#endif
