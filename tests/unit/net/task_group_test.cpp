#include <podproxy/net/task_group.hpp>
#include <podproxy/net/first_of.hpp>
#include <podproxy/net/timeout.hpp>
#include <support/spawned.hpp>
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <stdexcept>

using namespace podproxy;
using namespace std::chrono_literals;

namespace {

net::awaitable<void> sleeper(net::clock::duration d, int& ended, std::shared_ptr<int> held = {})
{
    struct counter {
        int& n;
        ~counter() { ++n; }
    } count{ended};
    (void)held;
    net::timer t(co_await asio::this_coro::executor, d);
    co_await t.async_wait(net::use_awaitable);
}

net::awaitable<void> thrower()
{
    throw std::runtime_error("a bug");
    co_return;
}

net::awaitable<result<int>> joined(net::task_group& g)
{
    co_await g.join();
    co_return 0;
}

} // namespace

TEST_CASE("task group: cancel ends all children and join waits for them")
{
    asio::io_context ctx(1);
    net::task_group group(ctx.get_executor());
    int ended = 0;
    for (int i = 0; i < 3; ++i) group.spawn(sleeper(1h, ended));
    test::spawned<result<int>> join(ctx, joined(group));
    join.run();
    CHECK(group.size() == 3);
    CHECK_FALSE(join.done());
    group.cancel();
    join.run();
    CHECK(join.done());
    CHECK(ended == 3);
    CHECK(group.size() == 0);
}

TEST_CASE("task group: join of an empty group returns at once, and a cancelled join leaves the children")
{
    asio::io_context ctx(1);
    net::task_group group(ctx.get_executor());
    test::spawned<result<int>> empty(ctx, joined(group));
    CHECK(empty.run().done());

    int ended = 0;
    group.spawn(sleeper(1h, ended));
    test::spawned<result<int>> join(ctx, joined(group));
    join.run();
    join.cancel().run();
    CHECK(join.done());
    CHECK(group.size() == 1);
    group.cancel();
    join.run();
    CHECK(ended == 1);
}

TEST_CASE("task group: a child past its deadline is cancelled, the others are not")
{
    asio::io_context ctx(1);
    net::task_group group(ctx.get_executor());
    int late = 0, patient = 0;
    group.spawn(sleeper(1h, late), 10ms);
    group.spawn(sleeper(1h, patient));
    group.spawn(sleeper(1h, patient), 1h);
    auto const until = net::clock::now() + 10s;
    while (late == 0 && net::clock::now() < until) ctx.run_one_for(100ms);
    CHECK(late == 1);
    CHECK(patient == 0);
    group.cancel();
    ctx.restart();
    ctx.poll();
    CHECK(patient == 2);
}

TEST_CASE("task group: an exception of a child leaves through run, and the group stays usable")
{
    asio::io_context ctx(1);
    net::task_group group(ctx.get_executor());
    group.spawn(thrower());
    CHECK_THROWS_AS(ctx.run(), std::runtime_error);
    CHECK(group.size() == 0);
    int ended = 0;
    group.spawn(sleeper(0s, ended));
    ctx.restart();
    ctx.run();
    CHECK(ended == 1);
}

TEST_CASE("task group: it may go away before its children, which are cancelled")
{
    asio::io_context ctx(1);
    int ended = 0;
    auto const held = std::make_shared<int>(1);
    {
        net::task_group group(ctx.get_executor());
        group.spawn(sleeper(1h, ended, held));
        ctx.poll();
    }
    ctx.restart();
    ctx.poll();
    CHECK(ended == 1);
    CHECK(held.use_count() == 1);
}

namespace {

net::awaitable<result<int>> value_after(net::clock::duration d, int value, int& ended)
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
