#ifndef PODPROXY_NET_TIMEOUT_HPP
#define PODPROXY_NET_TIMEOUT_HPP

#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <asio/error.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>

namespace podproxy::net {

/** Tell a timeout from a cancellation.

    `asio::cancel_after` ends an operation with `operation_aborted`, exactly like a cancelled coroutine; the difference is that
    the coroutine's own cancellation state is still clean:

        auto [ec, n] = co_await s.async_read_some(buf, asio::cancel_after(cfg.idle, asio::as_tuple));
        ec = net::timeout_or(ec, co_await asio::this_coro::cancellation_state); */
inline std::error_code timeout_or(std::error_code ec, asio::cancellation_state const& state) noexcept
{
    if (ec == asio::error::operation_aborted && state.cancelled() == asio::cancellation_type::none) return errc::timed_out;
    return ec;
}

namespace detail {

/// Give a whole coroutine an end: its result, or `errc::timed_out` when the limit passed first.
template <class T>
awaitable<result<T>> with_deadline(awaitable<result<T>> work, clock::duration limit)
{
    auto ex = co_await asio::this_coro::executor;
    std::optional<result<T>> out;
    std::exception_ptr thrown;
    try {
        out.emplace(co_await asio::co_spawn(ex, std::move(work), asio::cancel_after(limit, use_awaitable)));
        if (*out || out->error() != asio::error::operation_aborted) co_return *std::move(out);
    } catch (std::system_error const& e) {
        if (e.code() != asio::error::operation_aborted) throw;
        thrown = std::current_exception();
    }
    // The work was cancelled, and told so by a value or by an exception: by the limit, or by whoever cancels us?
    auto const state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() == asio::cancellation_type::none) co_return errc::timed_out;
    if (thrown) std::rethrow_exception(thrown);
    co_return *std::move(out);
}

} // namespace detail

/** Run `work` for at most `limit`.
    @par Cancel as `work`.
    @return what `work` returns, or `errc::timed_out` after it was cancelled and has ended. A limit of zero means none. */
template <class T>
awaitable<result<T>> with_deadline(awaitable<result<T>> work, clock::duration limit)
{
    if (limit == clock::duration::zero()) return work;
    return detail::with_deadline(std::move(work), limit);
}

} // namespace podproxy::net

#endif
