#include <podproxy/net/timeout.hpp>
#include <support/spawned.hpp>
#include <support/value_after.hpp>
#include <asio/error.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <stdexcept>
#include <system_error>
#include <utility>

using namespace podproxy;
using namespace std::chrono_literals;
using test::value_after;

TEST_CASE("with_deadline: in time, too late, cancelled")
{
    asio::io_context ctx(1);
    int ended = 0;
    SECTION("in time")
    {
        test::spawned<result<int>> s(ctx, net::with_deadline(value_after(1ms, 7, ended), 1h));
        ctx.run();
        CHECK(*s.value() == 7);
    }
    SECTION("no limit")
    {
        test::spawned<result<int>> s(ctx, net::with_deadline(value_after(1ms, 7, ended), 0s));
        ctx.run();
        CHECK(*s.value() == 7);
    }
    SECTION("too late")
    {
        test::spawned<result<int>> s(ctx, net::with_deadline(value_after(1h, 7, ended), 5ms));
        ctx.run();
        CHECK(s.error() == podproxy::errc::timed_out);
        CHECK(s.error() == cond::timed_out);
    }
    SECTION("cancelled from outside is not a timeout")
    {
        test::spawned<result<int>> s(ctx, net::with_deadline(value_after(1h, 7, ended), 1h));
        s.run();
        s.cancel();
        ctx.restart();
        ctx.run();
        CHECK(s.error() == asio::error::operation_aborted);
    }
    CHECK(ended == 1);
}

TEST_CASE("with_deadline: an exception that is no cancellation goes through")
{
    asio::io_context ctx(1);
    int ended = 0;
    test::spawned<result<int>> s(ctx, net::with_deadline(value_after(1ms, -1, ended), 1h));
    ctx.run();
    CHECK(s.threw());
    CHECK_THROWS_AS(s.value(), std::runtime_error);
    CHECK(ended == 1);
}

TEST_CASE("with_deadline: work that throws when it is cancelled is a timeout all the same")
{
    asio::io_context ctx(1);
    auto const work = []() -> net::awaitable<result<int>> {
        net::timer t(co_await asio::this_coro::executor, 1h);
        co_await t.async_wait(net::use_awaitable);
        co_return 1;
    };
    SECTION("by the limit")
    {
        test::spawned<result<int>> s(ctx, net::with_deadline(work(), 1ms));
        ctx.run();
        CHECK_FALSE(s.threw());
        CHECK(s.error() == podproxy::errc::timed_out);
    }
    SECTION("but not by a caller")
    {
        test::spawned<result<int>> s(ctx, net::with_deadline(work(), 1h));
        s.run();
        s.cancel();
        ctx.restart();
        ctx.run();
        CHECK(s.error() == asio::error::operation_aborted);
    }
}

TEST_CASE("timeout_or: an aborted operation of a coroutine that was not cancelled has timed out")
{
    asio::cancellation_state const clean;
    CHECK(net::timeout_or(asio::error::operation_aborted, clean) == podproxy::errc::timed_out);
    CHECK(net::timeout_or(asio::error::connection_reset, clean) == asio::error::connection_reset);
    CHECK_FALSE(net::timeout_or({}, clean));
    asio::cancellation_signal signal;
    asio::cancellation_state const state(signal.slot());
    signal.emit(asio::cancellation_type::terminal);
    CHECK(net::timeout_or(asio::error::operation_aborted, state) == asio::error::operation_aborted);
}
