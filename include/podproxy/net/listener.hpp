#ifndef PODPROXY_NET_LISTENER_HPP
#define PODPROXY_NET_LISTENER_HPP

#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/ready_socket.hpp>
#include <asio/basic_socket_acceptor.hpp>
#include <asio/error.hpp>
#include <asio/ip/v6_only.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <cerrno>
#include <system_error>
#include <utility>

#if defined(__linux__)
#include <sys/socket.h>
#include <unistd.h>
#endif

namespace podproxy::net {

using tcp_acceptor = asio::basic_socket_acceptor<asio::ip::tcp, executor>;

struct listener_config {
    int backlog = 4096; ///< Connections the kernel keeps for us; the system's own maximum (somaxconn) applies too.
    /// How long accepting rests when descriptors or memory run out, if no connection ends before.
    std::chrono::milliseconds exhausted_pause{100};
};

/** A listening TCP socket that survives a lack of descriptors.

    When the process or the system has no descriptor left, accepting pauses: new clients wait in the kernel's queue, those that are
    connected notice nothing. */
class listener {
public:
    /// Listen on `endpoint` (port 0: any free one). @return the listener, or the system's reason (`address_in_use`, ...).
    static result<listener> open(executor ex, asio::ip::tcp::endpoint const& endpoint, listener_config config = {})
    {
        listener l(ex, config);
        std::error_code ec;
        l.protocol_ = endpoint.protocol();
        l.acceptor_.open(endpoint.protocol(), ec);
        if (!ec) l.acceptor_.set_option(asio::socket_base::reuse_address(true), ec);
        if (!ec && endpoint.address() == asio::ip::address_v6::any()) l.acceptor_.set_option(asio::ip::v6_only(false), ec);
        if (!ec) l.acceptor_.bind(endpoint, ec);
        if (!ec) l.acceptor_.listen(config.backlog, ec);
        if (!ec) l.acceptor_.non_blocking(true, ec);
        if (ec) return ec;
        l.set_no_delay();
        return l;
    }

    /// Take over a descriptor that somebody else has bound and listens on (systemd socket activation).
    static result<listener> adopt(executor ex, asio::ip::tcp const& protocol, tcp_acceptor::native_handle_type fd, listener_config config = {})
    {
        listener l(ex, config);
        std::error_code ec;
        l.protocol_ = protocol;
        l.acceptor_.assign(protocol, fd, ec);
        if (!ec) l.acceptor_.non_blocking(true, ec);
        if (ec) return ec;
        l.set_no_delay();
        return l;
    }

    asio::ip::tcp::endpoint local_endpoint() const
    {
        std::error_code ignored;
        return acceptor_.local_endpoint(ignored);
    }

    /// Called once each time accepting has to rest, with the reason.
    void on_exhausted(std::function<void(std::error_code)> f) { on_exhausted_ = std::move(f); }

    /** Wait for the next client.
        @par Cancel total.
        @return a connected socket, or the error that ended the listener's life (`operation_aborted` after `close`). */
    awaitable<result<ready_socket>> accept()
    {
        bool reported = false;
        for (;;) {
            if (!acceptor_.is_open()) co_return std::error_code(asio::error::operation_aborted);
            auto socket = accept_now();
            if (socket) co_return socket;
            auto const ec = socket.error();
            if (is_system_error(ec, std::errc::resource_unavailable_try_again) || is_system_error(ec, std::errc::operation_would_block)) {
                auto [wait_ec] = co_await acceptor_.async_wait(tcp_acceptor::wait_read, asio::as_tuple(use_awaitable));
                if (wait_ec) co_return wait_ec;
            } else if (out_of_resources(ec)) {
                if (!std::exchange(reported, true) && on_exhausted_) on_exhausted_(ec);
                rest_.expires_after(config_.exhausted_pause);
                co_await rest_.async_wait(asio::as_tuple(use_awaitable));
            } else if (!one_client_only(ec)) {
                co_return ec;
            }
        }
    }

    /// A descriptor has become free: end a pause early.
    void resume() { rest_.cancel(); }

    /// Stop listening. An `accept` in flight completes with `operation_aborted`.
    void close()
    {
        std::error_code ignored;
        acceptor_.close(ignored);
        rest_.cancel();
    }

private:
    listener(executor ex, listener_config config) : acceptor_(ex), rest_(ex), config_(config) {}

    /// Accepted sockets inherit it: what is relayed goes out at once, and setting it costs no call for each of them.
    void set_no_delay()
    {
        std::error_code ignored;
        acceptor_.set_option(asio::ip::tcp::no_delay(true), ignored);
    }

    result<ready_socket> accept_now()
    {
#if defined(__linux__)
        // One call instead of three, and nothing that a child process could inherit.
        int const fd = ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return std::error_code(errno, std::system_category());
        return ready_socket(acceptor_.get_executor(), fd);
#else
        tcp_socket socket(acceptor_.get_executor());
        std::error_code ec;
        acceptor_.accept(socket, ec);
        if (ec) return ec;
        return ready_socket(std::move(socket));
#endif
    }

    static bool out_of_resources(std::error_code ec) noexcept
    {
        return is_system_error(ec, std::errc::too_many_files_open) || is_system_error(ec, std::errc::too_many_files_open_in_system) ||
               is_system_error(ec, std::errc::no_buffer_space) || is_system_error(ec, std::errc::not_enough_memory);
    }
    /// Errors of the connection that would have been accepted, accept(2): the next one may be fine.
    static bool one_client_only(std::error_code ec) noexcept
    {
        return is_system_error(ec, std::errc::connection_aborted) || is_system_error(ec, std::errc::connection_reset) || is_system_error(ec, std::errc::protocol_error) ||
               is_system_error(ec, std::errc::network_down) || is_system_error(ec, std::errc::network_unreachable) || is_system_error(ec, std::errc::host_unreachable) ||
               is_system_error(ec, std::errc::interrupted) || is_system_error(ec, std::errc::operation_not_permitted) || is_system_error(ec, std::errc::timed_out);
    }

    tcp_acceptor acceptor_;
    asio::ip::tcp protocol_ = asio::ip::tcp::v4();
    timer rest_;
    listener_config config_;
    std::function<void(std::error_code)> on_exhausted_;
};

} // namespace podproxy::net

#endif
