#ifndef PODPROXY_NET_STREAM_HPP
#define PODPROXY_NET_STREAM_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/flat_buffer.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <memory>
#include <span>
#include <utility>

namespace podproxy::net {

enum class wait_kind { read, write };

class ready_socket;

/** A two-way flow of bytes: the one seam between dialers, protocols and the relay.

    It speaks in readiness: `try_*` never waits, and answers `errc::would_block` when there is nothing to do now; `async_wait`
    tells when trying again makes sense (early is allowed). So whoever waits holds no buffer, and an idle stream costs nothing.

    @par Overlap   One wait of each kind may be in flight.
    @par Lifetime  The destructor closes without waiting; waits in flight complete with `operation_aborted`. */
class stream {
public:
    using wait_handler = asio::any_completion_handler<void(std::error_code)>;

    stream() = default;
    stream(stream const&) = delete;
    stream& operator=(stream const&) = delete;
    virtual ~stream() = default;

    virtual executor get_executor() const = 0;

    /** Read what is there, at most `out.size()` bytes.
        @return bytes read (> 0), or `errc::would_block`, `errc::end_of_stream`, or why the connection is lost. */
    virtual result<std::size_t> try_read(std::span<std::uint8_t> out) = 0;

    /** Take as many of `in`'s bytes as there is room for. After `would_block` the next call must begin with the same bytes
        (more may follow them).
        @return bytes taken (> 0), or `errc::would_block`, or why the connection is lost. */
    virtual result<std::size_t> try_write(bytes_view in) = 0;

    /** Complete when a `try_*` of that kind may do something, or with the error that ended the stream's life.
        @par Cancel terminal, partial and total; the stream stays usable. The handler is never called from inside. */
    virtual void async_wait(wait_kind kind, wait_handler handler) = 0;

    /** Tell the peer that nothing more will be sent; reading goes on.
        @return success, or `errc::would_block` (wait for `write`, call again), or an error. */
    virtual result<void> shutdown_send() = 0;

    /// End both directions at once, without an error for the peer where that is possible.
    virtual void close() noexcept = 0;

    /// End both directions and let the peer see that something went wrong (a TCP RST, a RST_STREAM).
    virtual void reset() noexcept { close(); }

    /// The socket itself, when reading and writing it directly is the same as using this stream; else null.
    virtual ready_socket* plain_socket() noexcept { return nullptr; }

    /// The socket under this stream, for questions to the system about the path; null where there is none, or it is not known.
    virtual ready_socket* transport() noexcept { return plain_socket(); }

    /** For streams that hold received bytes already (a multiplexer's): `view` lends them without a copy, `consume` drops bytes
        from the front. A view is valid until the next `consume`, `try_read` or wait.
        @return a non-empty view, or the errors of `try_read`. Only where `lends_views()`. */
    virtual bool lends_views() const noexcept { return false; }
    virtual result<bytes_view> view() { return errc::unavailable; }
    virtual void consume(std::size_t) {}
};

/// Owner of a stream of any kind.
using any_stream = std::unique_ptr<stream>;

namespace detail {

/// Starts a wait; knows its executor, which `asio::cancel_after` asks for.
struct initiate_wait {
    using executor_type = executor;
    stream* self;
    executor_type get_executor() const { return self->get_executor(); }

    template <class Handler>
    void operator()(Handler&& handler, wait_kind kind) const
    {
        self->async_wait(kind, std::forward<Handler>(handler));
    }
};

} // namespace detail

/// `stream::async_wait` for any completion token: `auto [ec] = co_await async_wait(s, wait_kind::read, asio::as_tuple(use_awaitable))`.
template <class Token>
auto async_wait(stream& s, wait_kind kind, Token&& token)
{
    return asio::async_initiate<Token, void(std::error_code)>(detail::initiate_wait{&s}, token, kind);
}

/** Read at least one byte.
    @par Cancel   total; nothing is lost.
    @par Lifetime `s` and `out` are borrowed until completion.
    @return bytes read, or the errors of `stream::try_read` but `would_block`. */
inline awaitable<result<std::size_t>> read_some(stream& s, std::span<std::uint8_t> out)
{
    for (;;) {
        auto n = s.try_read(out);
        if (n || n.error() != errc::would_block) co_return n;
        auto [ec] = co_await async_wait(s, wait_kind::read, asio::as_tuple(use_awaitable));
        if (ec) co_return ec;
    }
}

/** Read at least one byte into the buffer's free room (at most `chunk` bytes).
    @return bytes added, `errc::buffer_full` when `max_size` is reached, or the errors of `read_some`. */
inline awaitable<result<std::size_t>> read_some(stream& s, flat_buffer& buf, std::size_t chunk = 16 * 1024)
{
    for (;;) {
        if (buf.room() == 0) co_return errc::buffer_full;
        auto n = s.try_read(buf.prepare(chunk));
        if (n) buf.commit(*n);
        if (n || n.error() != errc::would_block) co_return n;
        auto [ec] = co_await async_wait(s, wait_kind::read, asio::as_tuple(use_awaitable));
        if (ec) co_return ec;
    }
}

/** Write all bytes.
    @par Cancel   terminal; the stream can only be closed afterwards, since part of `in` may be on its way.
    @par Lifetime `s` and `in` are borrowed until completion. */
inline awaitable<result<void>> write_all(stream& s, bytes_view in)
{
    while (!in.empty()) {
        auto n = s.try_write(in);
        if (n) {
            in = in.subspan(*n);
        } else {
            if (n.error() != errc::would_block) co_return n.error();
            auto [ec] = co_await async_wait(s, wait_kind::write, asio::as_tuple(use_awaitable));
            if (ec) co_return ec;
        }
    }
    co_return result<void>{};
}

/// `stream::shutdown_send`, waited for.
inline awaitable<result<void>> shutdown_send(stream& s)
{
    for (;;) {
        auto done = s.shutdown_send();
        if (done || done.error() != errc::would_block) co_return done;
        auto [ec] = co_await async_wait(s, wait_kind::write, asio::as_tuple(use_awaitable));
        if (ec) co_return ec;
    }
}

} // namespace podproxy::net

#endif
