#include <podproxy/net/wait_slot.hpp>

#include <support/spawned.hpp>

#include <asio/error.hpp>
#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <system_error>

using namespace podproxy;

namespace {

net::awaitable<result<void>> wait_for(net::wait_slot& slot)
{
    auto [ec] = co_await slot.async_wait(asio::as_tuple(net::use_awaitable));
    co_return ec;
}

} // namespace

TEST_CASE("wait slot: completing calls who waits, through the executor")
{
    asio::io_context ctx(1);
    net::wait_slot slot(ctx.get_executor());
    CHECK_FALSE(slot.waiting());
    std::optional<std::error_code> got;
    slot.wait([&](std::error_code ec) { got = ec; });
    CHECK(slot.waiting());
    slot.complete({});
    CHECK_FALSE(slot.waiting());
    CHECK_FALSE(got); // never from inside
    ctx.run();
    REQUIRE(got);
    CHECK_FALSE(*got);
}

TEST_CASE("wait slot: completing without anybody is nothing, and is not kept for later")
{
    asio::io_context ctx(1);
    net::wait_slot slot(ctx.get_executor());
    slot.complete({});
    test::spawned<result<void>> s(ctx, wait_for(slot));
    CHECK_FALSE(s.run().done());
    slot.complete(asio::error::connection_reset);
    slot.complete({}); // the first word counts
    CHECK(s.run().done());
    CHECK(s.error() == asio::error::connection_reset);
}

TEST_CASE("wait slot: a wait may be cancelled, and another one begun")
{
    asio::io_context ctx(1);
    net::wait_slot slot(ctx.get_executor());
    test::spawned<result<void>> s(ctx, wait_for(slot));
    s.run();
    s.cancel();
    CHECK_FALSE(slot.waiting());
    CHECK(s.run().error() == asio::error::operation_aborted);

    test::spawned<result<void>> t(ctx, wait_for(slot));
    t.run();
    slot.complete({});
    t.cancel(); // too late
    CHECK(t.run().done());
    CHECK(t.value());
}

TEST_CASE("wait slot: its end ends the wait")
{
    asio::io_context ctx(1);
    auto slot = std::make_unique<net::wait_slot>(ctx.get_executor());
    test::spawned<result<void>> s(ctx, wait_for(*slot));
    s.run();
    slot.reset();
    CHECK(s.run().error() == asio::error::operation_aborted);
}

TEST_CASE("wait slot: a wait with a time limit")
{
    asio::io_context ctx(1);
    net::wait_slot slot(ctx.get_executor());
    std::optional<std::error_code> got;
    slot.async_wait(asio::cancel_after(std::chrono::milliseconds(1), [&](std::error_code ec) { got = ec; }));
    ctx.run();
    REQUIRE(got);
    CHECK(*got == asio::error::operation_aborted);
    CHECK_FALSE(slot.waiting());
}

TEST_CASE("wait slot: the handler may wait again at once")
{
    asio::io_context ctx(1);
    net::wait_slot slot(ctx.get_executor());
    int calls = 0;
    slot.wait([&](std::error_code) {
        ++calls;
        slot.wait([&](std::error_code) { ++calls; });
    });
    slot.complete({});
    ctx.run();
    CHECK(calls == 1);
    CHECK(slot.waiting());
    slot.complete({});
    ctx.restart();
    ctx.run();
    CHECK(calls == 2);
}
