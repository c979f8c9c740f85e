#include <podproxy/net/task_group.hpp>
#include <podproxy/core/result.hpp>
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

TEST_CASE("task group: the timer for deadlines outlives the last child a little, and ends with cancel")
{
    asio::io_context ctx(1);
    net::task_group group(ctx.get_executor());
    auto const nothing = []() -> net::awaitable<void> { co_return; };
    group.spawn(nothing(), 5s);
    ctx.poll();
    CHECK(group.size() == 0);
    CHECK_FALSE(ctx.stopped());
    group.cancel();
    ctx.poll();
    CHECK(ctx.stopped());
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
