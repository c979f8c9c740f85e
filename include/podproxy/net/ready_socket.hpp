#ifndef PODPROXY_NET_READY_SOCKET_HPP
#define PODPROXY_NET_READY_SOCKET_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/detail/ready_waiter.hpp>
#include <podproxy/net/detail/socket_calls.hpp>
#include <podproxy/net/stream.hpp>
#include <asio/append.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/dispatch.hpp>
#include <asio/error.hpp>
#include <asio/post.hpp>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

#if defined(__linux__)
#include <podproxy/net/detail/epoll_watch.hpp>
#else
#include <podproxy/net/detail/asio_watch.hpp>
#endif

namespace podproxy::net {

namespace detail {
#if defined(__linux__)
using watch = epoll_watch;
#else
using watch = asio_watch;
#endif
} // namespace detail

/** A non-blocking stream socket that tells when it is ready, with as few system calls as the system allows: the socket under
    `tcp_stream`, and what listeners and connecting give. For Asio's own operations there is `net::tcp_socket`.

    It knows what its reads have found. Who reads past it (splice) says so with `set_drained`.
    @par Overlap   One wait of each kind may be in flight. A socket may be moved meanwhile.
    @par Lifetime  The destructor closes; waits in flight end with `on_closed`. */
class ready_socket {
public:
    /// No socket yet.
    explicit ready_socket(executor ex) : watch_(ex) {}
    /// Take over a descriptor: non-blocking, and set so that writing to a peer that has gone raises no signal.
    ready_socket(executor ex, int fd) : watch_(ex), fd_(fd) {}
    /// Take over Asio's socket, and make it non-blocking.
    explicit ready_socket(tcp_socket s) : watch_(s.get_executor())
    {
        std::error_code ignored; // a closed socket says so at the first read
        s.native_non_blocking(true, ignored);
        if (s.is_open()) fd_ = s.release(ignored);
    }
    /// The same for one that is closed.
    void assign(int fd)
    {
        close();
        fd_ = fd;
    }
    ready_socket(ready_socket&& o) noexcept : watch_(std::move(o.watch_)), fd_(std::exchange(o.fd_, -1)) {}
    ready_socket& operator=(ready_socket const&) = delete;
    ~ready_socket() { close(); }

    executor get_executor() const noexcept { return watch_.get_executor(); }
    bool is_open() const noexcept { return fd_ >= 0; }
    int native_handle() const noexcept { return fd_; }

    /// As `stream::try_read`.
    result<std::size_t> try_read(std::span<std::uint8_t> out)
    {
        auto const n = detail::receive_now(fd_, out);
        if (!n) {
            if (n.error() == errc::would_block) watch_.set_drained();
        } else if (*n < out.size()) {
            watch_.read_short();
        } else {
            watch_.read_full();
        }
        return n;
    }

    /// As `stream::try_write`.
    result<std::size_t> try_write(bytes_view in) { return detail::send_now(fd_, in); }

    /// A read past this object has found nothing (EAGAIN).
    void set_drained() noexcept { watch_.set_drained(); }
    /// The last read has taken all there was: waiting is cheaper than being told so.
    bool drained() const noexcept { return watch_.drained(); }

    /** Call `who` once when a try of that kind makes sense. Early is allowed.
        @par Lifetime `who` is borrowed until it is called, or `stop`.
        @return why that can't be told (no memory, too many watches): then nobody is called. */
    [[nodiscard]] std::error_code wait(wait_kind kind, ready_waiter& who)
    {
        if (fd_ < 0) return asio::error::bad_descriptor;
        return watch_.wait(fd_, kind, who);
    }

    /// End a wait without a call.
    void stop(wait_kind kind) { watch_.stop(kind); }

    std::error_code shutdown_send() noexcept { return ::shutdown(fd_, SHUT_WR) == 0 ? std::error_code() : detail::last_socket_error(); }

    void close() noexcept
    {
        if (fd_ < 0) return;
        int const fd = std::exchange(fd_, -1);
        watch_.end(fd);
        ::close(fd);
    }

    /// Close so that the peer sees a reset.
    void reset() noexcept
    {
        ::linger const at_once{1, 0};
        if (fd_ >= 0) (void)::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close();
    }

    /// Hand the descriptor over; the caller closes it.
    int release()
    {
        int const fd = std::exchange(fd_, -1);
        if (fd >= 0) watch_.end(fd, true);
        return fd;
    }

    /// Set one of Asio's socket options.
    template <class Option>
    std::error_code set_option(Option const& option)
    {
        auto const tcp = asio::ip::tcp::v4();
        if (::setsockopt(fd_, option.level(tcp), option.name(tcp), option.data(tcp), static_cast<socklen_t>(option.size(tcp))) == 0) return {};
        return detail::last_socket_error();
    }
    /// Read one of them.
    template <class Option>
    std::error_code get_option(Option& option) const
    {
        auto const tcp = asio::ip::tcp::v4();
        auto size = static_cast<socklen_t>(option.size(tcp));
        if (::getsockopt(fd_, option.level(tcp), option.name(tcp), option.data(tcp), &size) != 0) return detail::last_socket_error();
        option.resize(tcp, size);
        return {};
    }

    /// Our address; unspecified, with port 0, where there is none.
    asio::ip::tcp::endpoint local_endpoint() const { return endpoint_by(::getsockname); }
    /// The peer's address; unspecified, with port 0, where there is none.
    asio::ip::tcp::endpoint remote_endpoint() const { return endpoint_by(::getpeername); }

private:
    template <class Ask>
    asio::ip::tcp::endpoint endpoint_by(Ask ask) const
    {
        asio::ip::tcp::endpoint out;
        auto size = static_cast<socklen_t>(out.capacity());
        if (ask(fd_, out.data(), &size) != 0 || size > out.capacity()) return {};
        out.resize(size);
        return out;
    }

    detail::watch watch_;
    int fd_ = -1;
};

/** Waits for a socket with a completion handler, as `stream::async_wait` wants it: cancellation of all three types ends the wait,
    and the socket stays usable.
    @par Lifetime The socket is borrowed while a wait is in flight, and stays where it is. */
class ready_wait final : ready_waiter {
public:
    explicit ready_wait(executor ex) noexcept : executor_(ex) {}
    ready_wait(ready_wait const&) = delete;
    ready_wait& operator=(ready_wait const&) = delete;
    ~ready_wait()
    {
        if (handler_) cancel();
    }

    void start(ready_socket& s, wait_kind kind, stream::wait_handler handler)
    {
        assert(!handler_ && "one wait of each kind at a time");
        handler_ = std::move(handler);
        if (auto const ec = s.wait(kind, *this)) return post(ec);
        socket_ = &s;
        kind_ = kind;
        slot_ = asio::get_associated_cancellation_slot(handler_);
        if (slot_.is_connected()) slot_.assign([this](asio::cancellation_type) { cancel(); });
    }

    /// `start` for any completion token.
    template <class Token>
    auto async_wait(ready_socket& s, wait_kind kind, Token&& token)
    {
        return asio::async_initiate<Token, void(std::error_code)>(initiate{this}, token, &s, kind);
    }

private:
    struct initiate {
        using executor_type = executor;
        ready_wait* self;
        executor_type get_executor() const { return self->executor_; }

        template <class Handler>
        void operator()(Handler&& handler, ready_socket* s, wait_kind kind) const
        {
            self->start(*s, kind, std::forward<Handler>(handler));
        }
    };

    stream::wait_handler take() noexcept
    {
        if (slot_.is_connected()) slot_.clear();
        slot_ = {};
        return std::exchange(handler_, nullptr);
    }

    void post(std::error_code ec)
    {
        auto const ex = executor_;
        asio::post(ex, asio::append(take(), ec));
    }

    void cancel()
    {
        socket_->stop(kind_);
        post(asio::error::operation_aborted);
    }

    void on_ready() override
    {
        auto const ex = executor_;
        asio::dispatch(ex, asio::append(take(), std::error_code())); // we are called by the executor: at once
    }
    void on_closed() override { post(asio::error::operation_aborted); }
    void on_abandoned() noexcept override { auto const gone = take(); }

    executor executor_;
    ready_socket* socket_ = nullptr;
    wait_kind kind_ = wait_kind::read;
    stream::wait_handler handler_;
    asio::cancellation_slot slot_;
};

} // namespace podproxy::net

#endif
