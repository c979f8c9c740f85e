#ifndef PODPROXY_NET_FIRST_OF_HPP
#define PODPROXY_NET_FIRST_OF_HPP

#include <podproxy/net/asio.hpp>
#include <asio/deferred.hpp>
#include <asio/experimental/parallel_group.hpp>
#include <array>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>
#include <variant>

namespace podproxy::net {

/** Run two coroutines and take the one that ends first, whether with a value, an error value or an exception.

    The other is cancelled and has ended before this returns, so nothing of it is left behind. (`operator||` of Asio waits for the
    first *success*, which is not what a proxy wants.)
    @par Cancel reaches both.
    @return a variant that holds the winner's value at its index.
    @throws what the winner throws. */
template <class A, class B>
awaitable<std::variant<A, B>> first_of(awaitable<A> a, awaitable<B> b)
{
    auto ex = co_await asio::this_coro::executor;
    auto [order, ex_a, val_a, ex_b, val_b] =
        co_await asio::experimental::make_parallel_group(asio::co_spawn(ex, std::move(a), asio::deferred),
                                                         asio::co_spawn(ex, std::move(b), asio::deferred))
            .async_wait(asio::experimental::wait_for_one(), use_awaitable);
    if (order[0] == 0) {
        if (ex_a) std::rethrow_exception(ex_a);
        co_return std::variant<A, B>(std::in_place_index<0>, std::move(val_a));
    }
    if (ex_b) std::rethrow_exception(ex_b);
    co_return std::variant<A, B>(std::in_place_index<1>, std::move(val_b));
}

} // namespace podproxy::net

#endif
