#include <podproxy/wake/port_group.hpp>

#include "wake_ports.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

using namespace podproxy;
using namespace std::chrono_literals;
using wake::port_gate;
using pass = wake::port_gate::pass;

namespace {

net::awaitable<result<pass>> entered(std::shared_ptr<port_gate> gate, wake::group_use const& use) { co_return co_await gate->enter(use); }

/// A group that runs, and a gate of it.
struct scene : test::wake_scene {
    scene() : gate(shared->gate("tcp localhost:80")) { wake_up(); }
    void wake_up()
    {
        it->wake_now("test");
        REQUIRE(until([&] { return (use = it->try_acquire()).has_value(); }));
    }
    test::spawned<result<pass>> enter() { return {ctx, entered(gate, *use)}; }

    std::shared_ptr<port_gate> gate;
    std::optional<wake::group_use> use;
};

} // namespace

TEST_CASE("port gate: the first to come tries the port, the others wait and are let in")
{
    scene s;
    auto first = s.enter();
    auto second = s.enter();
    auto third = s.enter();
    s.run();
    REQUIRE(first.done());
    CHECK(*first.value() == pass::probe);
    CHECK_FALSE(second.done());
    CHECK_FALSE(s.gate->open_in(s.use->life()));

    SECTION("through")
    {
        s.gate->opened(s.use->life());
        s.run();
        CHECK(*second.value() == pass::open);
        CHECK(*third.value() == pass::open);
        CHECK(s.gate->open_in(s.use->life()));
        CHECK_FALSE(s.gate->open_in(s.use->life() + 1));
        auto later = s.enter();
        s.run();
        CHECK(*later.value() == pass::open);
        s.gate->shut(s.use->life());
        auto again = s.enter();
        s.run();
        CHECK(*again.value() == pass::probe);
    }
    SECTION("the one that tried has left: one of the others tries")
    {
        s.gate->left();
        s.run();
        CHECK(second.done() != third.done());
        CHECK(*(second.done() ? second : third).value() == pass::probe);
    }
    SECTION("not open in time: all are told, and who comes later tries anew")
    {
        s.gate->failed("nobody listens");
        s.run();
        CHECK(*second.value() == pass::failed);
        CHECK(*third.value() == pass::failed);
        CHECK(s.gate->failure() == "nobody listens");
        auto later = s.enter();
        s.run();
        CHECK(*later.value() == pass::probe);
    }
    SECTION("the group's life ends")
    {
        s.engine.end("web", 1);
        s.run();
        s.gate->left(); // as the one that tried does
        s.run();
        CHECK(*second.value() == pass::over);
        CHECK(*third.value() == pass::over);
    }
    SECTION("a client that waits leaves")
    {
        second.cancel();
        s.run();
        CHECK(second.threw());
        CHECK_FALSE(third.done());
    }
}

TEST_CASE("port gate: what was learned in one life does not hold in the next")
{
    scene s;
    auto first = s.enter();
    s.run();
    s.gate->opened(s.use->life());
    auto const life = s.use->life();
    s.use.reset();
    s.engine.end("web", 0);
    s.run();
    s.wake_up();
    CHECK(s.use->life() != life);
    CHECK_FALSE(s.gate->open_in(s.use->life()));
    auto next = s.enter();
    s.run();
    CHECK(*next.value() == pass::probe);
    s.gate->opened(life); // somebody who is late
    CHECK_FALSE(s.gate->open_in(s.use->life()));
}

TEST_CASE("port gate: something in front of the server is watched longer where it is slow")
{
    asio::io_context ctx;
    port_gate gate(ctx.get_executor());
    CHECK_FALSE(gate.has_front());
    CHECK(gate.settle_time() == 5ms);
    gate.note_front(1ms);
    CHECK(gate.has_front());
    CHECK(gate.settle_time() == 5ms);
    gate.note_front(3ms);
    CHECK(gate.settle_time() == 12ms);
    gate.note_front(1s);
    CHECK(gate.settle_time() == 50ms);
}

TEST_CASE("port group: a replaced group's gates are shut, and the same server has the same gate")
{
    scene s;
    CHECK(s.shared->gate("tcp localhost:80") == s.gate);
    CHECK(s.shared->gate("udp localhost:80") != s.gate);
    auto first = s.enter();
    s.run();
    s.gate->opened(s.use->life());
    wake::group_config g = s.it->config();
    g.idle = 1s;
    s.shared->replace(std::make_shared<wake::group>(s.ctx.get_executor(), s.engine, g, logger()));
    CHECK(s.shared->now().config().idle == 1s);
    CHECK_FALSE(s.gate->open_in(s.use->life()));
}

TEST_CASE("port group: who waits is counted up to the limit")
{
    wake::group_config g;
    g.most_waiting = 1;
    test::wake_scene s(g);
    CHECK_FALSE(s.shared->full());
    {
        wake::waiting_place const a(s.shared);
        CHECK(s.shared->full());
    }
    CHECK_FALSE(s.shared->full());
}

TEST_CASE("line limit: at most one line a second, with the number of those left out")
{
    wake::line_limit l;
    auto const now = net::clock::now();
    CHECK(l.next(now) == 0u);
    CHECK(l.next(now + 1ms) == std::nullopt);
    CHECK(l.next(now + 999ms) == std::nullopt);
    CHECK(l.next(now + 1s) == 2u);
    CHECK(l.next(now + 3s) == 0u);
}

TEST_CASE("errors of connecting that waiting does not change are told apart")
{
    CHECK(wake::detail::is_final(std::make_error_code(std::errc::too_many_files_open)));
    CHECK_FALSE(wake::detail::is_final(std::make_error_code(std::errc::connection_refused)));
    CHECK_FALSE(wake::detail::is_final(std::make_error_code(std::errc::host_unreachable)));
    CHECK_FALSE(wake::detail::is_final(errc::timed_out));
}
