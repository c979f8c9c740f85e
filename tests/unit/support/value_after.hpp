#ifndef PODPROXY_TESTS_UNIT_SUPPORT_VALUE_AFTER_HPP
#define PODPROXY_TESTS_UNIT_SUPPORT_VALUE_AFTER_HPP

#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <stdexcept>

namespace podproxy::test {

/// A coroutine that ends with `value` after `d`, with the error of its wait when it is cancelled, and by an exception for a negative
/// value. Counts its ends in `ended`, whichever it was.
inline net::awaitable<result<int>> value_after(net::clock::duration d, int value, int& ended)
{
    struct counter {
        int& n;
        ~counter() { ++n; }
    } count{ended};
    net::timer t(co_await asio::this_coro::executor, d);
    auto [ec] = co_await t.async_wait(asio::as_tuple(net::use_awaitable));
    if (ec) co_return ec;
    if (value < 0) throw std::runtime_error("negative");
    co_return value;
}

} // namespace podproxy::test

#endif
