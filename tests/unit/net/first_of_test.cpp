#include <podproxy/net/first_of.hpp>
#include <podproxy/core/result.hpp>
#include <support/spawned.hpp>
#include <support/value_after.hpp>
#include <asio/error.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <variant>

using namespace podproxy;
using namespace std::chrono_literals;
using test::value_after;

namespace {

net::awaitable<result<int>> winner(net::clock::duration a, int va, net::clock::duration b, int vb, int& ended)
{
    auto r = co_await net::first_of(value_after(a, va, ended), value_after(b, vb, ended));
    if (r.index() == 0) co_return std::get<0>(r);
    co_return std::get<1>(r);
}

} // namespace

TEST_CASE("first_of: the first to end wins, and the other has ended too")
{
    asio::io_context ctx(1);
    int ended = 0;
    test::spawned<result<int>> s(ctx, winner(1h, 1, 1ms, 2, ended));
    ctx.run();
    CHECK(*s.value() == 2);
    CHECK(ended == 2);
}

TEST_CASE("first_of: an exception wins like a value does")
{
    asio::io_context ctx(1);
    int ended = 0;
    test::spawned<result<int>> s(ctx, winner(1ms, -1, 1h, 2, ended));
    ctx.run();
    CHECK(s.threw());
    CHECK(ended == 2);
}

TEST_CASE("first_of: cancelling reaches both")
{
    asio::io_context ctx(1);
    int ended = 0;
    test::spawned<result<int>> s(ctx, winner(1h, 1, 1h, 2, ended));
    s.run();
    s.cancel();
    ctx.restart();
    ctx.run();
    CHECK(s.done());
    CHECK(ended == 2);
}

TEST_CASE("first_of: an error value wins, and the other does not go on")
{
    asio::io_context ctx(1);
    int ended = 0;
    auto const fail = [](int& n) -> net::awaitable<result<int>> {
        ++n;
        co_return podproxy::errc::unavailable;
    };
    auto const both = [fail](int& n) -> net::awaitable<result<int>> {
        auto r = co_await net::first_of(fail(n), value_after(1h, 1, n));
        co_return r.index() == 0 ? std::get<0>(r) : std::get<1>(r);
    };
    test::spawned<result<int>> s(ctx, both(ended));
    ctx.run();
    CHECK(s.error() == podproxy::errc::unavailable);
    CHECK(ended == 2);
}
