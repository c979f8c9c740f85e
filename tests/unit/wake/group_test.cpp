#include <podproxy/core/error.hpp>
#include <podproxy/core/log.hpp>
#include <podproxy/net/task_group.hpp>
#include <podproxy/wake/group.hpp>

#include <fakes/fake_wake_provider.hpp>
#include <unit/support/poll_until.hpp>
#include <unit/support/spawned.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace podproxy;
using namespace podproxy::test;
using namespace std::chrono_literals;
using wake::group_state;
using wake::group_use;

namespace {

class kept_log final : public log_sink {
public:
    bool wants(log_level level) const noexcept override { return level >= log_level::info; }
    void write(log_event const& e) noexcept override { lines.push_back(format_log_text(e, std::nullopt)); }
    std::size_t count(std::string_view text) const
    {
        return static_cast<std::size_t>(std::count_if(lines.begin(), lines.end(), [&](std::string const& l) { return l.find(text) != std::string::npos; }));
    }
    std::vector<std::string> lines;
};

wake::group_config config_of()
{
    wake::group_config c;
    c.name = "shop";
    c.idle = 0ms;
    c.first_backoff = 1ms;
    c.most_backoff = 2ms;
    return c;
}

/// A group of an engine that is connected.
struct scene {
    explicit scene(wake::group_config c = config_of(), std::vector<wake::member> all = {fake_member("web", "shop")})
        : engine(ctx.get_executor()), tasks(ctx.get_executor())
    {
        g = std::make_unique<wake::group>(ctx.get_executor(), engine, std::move(c), logger(log, "wake"));
        observer = std::make_unique<group_observer>(*g);
        for (auto& m : all) engine.put(std::move(m));
        tasks.spawn(engine.run(*observer));
        run();
    }
    ~scene()
    {
        tasks.cancel();
        run();
    }

    void run()
    {
        ctx.restart();
        ctx.poll();
    }
    group_state state() const { return g->status().state; }

    asio::io_context ctx;
    kept_log log;
    fake_wake_provider engine;
    net::task_group tasks;
    std::unique_ptr<wake::group> g;
    std::unique_ptr<group_observer> observer;
};

/// A client that comes to a group.
struct client {
    explicit client(scene& s, std::string who = "10.9.8.7:6543") : wait(s.ctx, s.g->acquire(std::move(who), why)) { wait.run(); }
    explicit client(scene& s, group_use&) : wait(s.ctx, s.g->acquire_again("back", why)) { wait.run(); }
    bool served() { return wait.done() && wait.value().has_value(); }
    group_use& use() { return *wait.value(); }
    std::error_code error() { return wait.error(); }

    diagnostics why;
    spawned<result<group_use>> wait;
};

} // namespace

TEST_CASE("group: a client is held until its group runs, then has a hold on it")
{
    scene s;
    s.engine.by_hand.insert("start web");
    CHECK(s.state() == group_state::stopped);
    client c(s);
    CHECK_FALSE(c.wait.done());
    CHECK(s.g->status().waiting == 1);
    CHECK(s.state() == group_state::starting);
    CHECK_FALSE(s.g->try_acquire());

    s.engine.finish("start web");
    s.run();
    REQUIRE(c.served());
    CHECK(c.use().alive());
    CHECK(c.use().address() == "10.0.0.1");
    CHECK(c.use().address("web") == "10.0.0.1");
    CHECK(c.use().address("db").empty());

    auto const st = s.g->status();
    CHECK(st.name == "shop");
    CHECK(st.engine == "docker");
    CHECK(st.engine_reachable);
    CHECK(st.state == group_state::running);
    CHECK(st.waiting == 0);
    CHECK(st.in_use == 1);
    REQUIRE(st.members.size() == 1);
    CHECK(st.members[0].state == wake::member_state::running);
    REQUIRE(st.last_starts.size() == 1);
    CHECK(st.last_starts[0].reason == "10.9.8.7:6543");
    CHECK(st.last_starts[0].error.empty());
    CHECK(st.starts == 1);
    CHECK(st.failed_starts == 0);
    CHECK(st.start_times.count() == 1);
    CHECK(s.log.count("group shop: starting was=stopped for=10.9.8.7:6543") == 1);
    CHECK(s.log.count("group shop: running was=starting took=") == 1);
}

TEST_CASE("group: who comes to a ready group does not wait")
{
    scene s;
    client first(s);
    client second(s);
    REQUIRE(second.served());
    auto const third = s.g->try_acquire();
    REQUIRE(third);
    CHECK(third->alive());
    CHECK(third->life() == second.use().life());
    CHECK(s.g->status().in_use == 3);
    CHECK(s.engine.commands == std::vector<std::string>{"start web"});
}

TEST_CASE("group: the engine is told when clients come and when the last has gone")
{
    scene s;
    CHECK(s.engine.uses.empty());
    {
        client first(s);
        client second(s);
        REQUIRE(second.served());
        CHECK(s.engine.uses == std::vector<std::string>{"shop used"});
    }
    s.run();
    CHECK(s.engine.uses == std::vector<std::string>{"shop used", "shop unused"});
}
TEST_CASE("group: a crowd at a cold group causes one start")
{
    scene s;
    s.engine.by_hand.insert("start web");
    std::vector<std::unique_ptr<client>> all;
    for (int i = 0; i < 200; ++i) all.push_back(std::make_unique<client>(s));
    CHECK(s.g->status().waiting == 200);
    s.engine.finish("start web");
    s.run();
    CHECK(std::all_of(all.begin(), all.end(), [](auto const& c) { return c->served(); }));
    CHECK(s.g->status().in_use == 200);
    CHECK(s.engine.count("start web") == 1);
    all.clear();
    CHECK(s.g->status().in_use == 0);
}

TEST_CASE("group: a hold is small, and ten thousand of them cost nothing but their counting")
{
    scene s;
    client c(s);
    static_assert(sizeof(group_use) <= 96);
    std::vector<group_use> all;
    for (int i = 0; i < 10'000; ++i) all.push_back(*s.g->try_acquire());
    CHECK(s.g->status().in_use == 10'001);
    for (auto& u : all) u.moved(1);
    std::reverse(all.begin(), all.end()); // moved about, they keep their places
    all.erase(all.begin(), all.begin() + 5'000);
    CHECK(s.g->status().in_use == 5'001);
    int told = 0;
    for (auto& u : all) u.on_end([&told] { ++told; });
    s.engine.end("web", 1);
    s.run();
    CHECK(told == 5'000);
    CHECK(s.g->status().in_use == 0);
    CHECK(std::none_of(all.begin(), all.end(), [](group_use const& u) { return u.alive(); }));
}

TEST_CASE("group: why it can't be started is told with the member's last line, to the client and once to the log")
{
    scene s;
    s.engine.by_hand.insert("start web");
    s.engine.last_lines["web"] = "no such file: /etc/web.conf\x1b[0m";
    client c(s);
    for (int i = 0; i < 3; ++i) {
        REQUIRE(poll_until(s.ctx, [&] { return s.engine.waits("start web"); }));
        s.engine.fail("start web", podproxy::errc::unavailable, "oci runtime error");
    }
    REQUIRE(poll_until(s.ctx, [&] { return c.wait.done(); }));
    CHECK(c.error() == wake::errc::start_failed);
    CHECK(c.why.text() == "group shop: container web can't be started: oci runtime error (3 attempts)");
    CHECK(s.log.count("group shop: container web can't be started: oci runtime error") == 3); // for each attempt
    CHECK(s.state() == group_state::failed);
    auto const st = s.g->status();
    CHECK(st.refused == 1);
    CHECK(st.failed_starts == 1);
    REQUIRE(st.last_starts.size() == 1);
    CHECK(st.last_starts[0].error == "container web can't be started: oci runtime error (3 attempts)");
}

TEST_CASE("group: a container that ends at once is reported with its exit code and its last line")
{
    scene s;
    s.engine.last_lines["web"] = "no such file: /etc/web.conf";
    s.engine.exits_unseen["web"] = 127; // the engine has only its end to tell
    client c(s);
    REQUIRE(poll_until(s.ctx, [&] { return c.wait.done(); }));
    CHECK(c.error() == wake::errc::start_failed);
    CHECK(c.why.message == "group shop: container web exited with code 127 (3 attempts)");
    CHECK(c.why.server_text == "no such file: /etc/web.conf");
    CHECK(s.log.count("group shop: container web exited with code 127: no such file: /etc/web.conf") == 3);
    CHECK(s.engine.count("start web") == 3);
}

TEST_CASE("group: who came up and ended at once is told to those who come back")
{
    scene s;
    s.engine.last_lines["web"] = "bad settings";
    s.engine.exits["web"] = 2;
    client c(s);
    for (int i = 0; i < 3; ++i) {
        REQUIRE(poll_until(s.ctx, [&] { return c.wait.done(); }));
        if (!c.served()) break;
        s.run();
        CHECK_FALSE(c.use().alive());
        group_use old = std::move(c.use());
        std::destroy_at(&c);
        std::construct_at(&c, s, old);
    }
    REQUIRE(poll_until(s.ctx, [&] { return c.wait.done(); }));
    CHECK(c.error() == wake::errc::start_failed);
    CHECK(c.why.text() == "group shop: container web exited with code 2 (3 attempts): bad settings");
    CHECK(s.engine.count("start web") == 3);
}

TEST_CASE("group: clients beyond the limit are refused at once, others at the end of the time")
{
    auto c = config_of();
    c.most_waiting = 1;
    c.start_limit = 20ms;
    scene s(c);
    s.engine.by_hand.insert("start web");
    client first(s);
    client second(s);
    REQUIRE(second.wait.done());
    CHECK(second.error() == wake::errc::too_many_waiting);
    CHECK(second.why.text() == "group shop: 1 clients are waiting already");
    REQUIRE(poll_until(s.ctx, [&] { return first.wait.done(); }));
    CHECK(first.error() == wake::errc::start_timed_out);
    CHECK(first.error() == cond::timed_out);
    CHECK(first.why.text() == "group shop: the engine has not answered to the start of container web");
    CHECK(s.g->status().refused == 2);
}

TEST_CASE("group: nobody uses it for long enough: it is put to rest, and the next client is served by another start")
{
    auto c = config_of();
    c.idle = 5ms;
    c.stop_timeout = 3s;
    scene s(c);
    {
        client one(s);
        REQUIRE(one.served());
    }
    CHECK(s.state() == group_state::idle);
    REQUIRE(poll_until(s.ctx, [&] { return s.state() == group_state::stopped; }));
    CHECK(s.engine.commands == std::vector<std::string>{"start web", "stop web"});
    REQUIRE(s.engine.stop_timeouts.size() == 1);
    CHECK(s.engine.stop_timeouts[0] == 3s);
    CHECK(s.g->status().stops == 1);
    CHECK(s.log.count("group shop: stopping was=idle") == 1);
    CHECK(s.log.count("group shop: stopped was=stopping") == 1);
    client two(s);
    CHECK(two.served());
    CHECK(s.engine.count("start web") == 2);
    CHECK(two.use().life() == 2);
}

TEST_CASE("group: a client that comes while it stops is served by the start that follows")
{
    auto c = config_of();
    c.idle = 1ms;
    scene s(c);
    s.engine.by_hand.insert("stop web");
    {
        client one(s);
    }
    REQUIRE(poll_until(s.ctx, [&] { return s.engine.waits("stop web"); }));
    client two(s);
    CHECK_FALSE(two.wait.done());
    s.engine.finish("stop web");
    s.run();
    CHECK(two.served());
    CHECK(two.use().alive());
}

TEST_CASE("group: holds are told when the members have ended, each once")
{
    scene s;
    client c(s);
    int told = 0;
    SECTION("the hold is moved in between")
    {
        c.use().on_end([&] { ++told; });
        group_use other = std::move(c.use());
        CHECK_FALSE(c.use().alive());
        CHECK(other.alive());
        s.engine.end("web", 0);
        s.run();
        CHECK(told == 1);
        CHECK_FALSE(other.alive());
    }
    SECTION("it is told late")
    {
        s.engine.end("web", 0);
        s.run();
        c.use().on_end([&] { ++told; });
        CHECK(told == 0); // never from inside
        s.run();
        CHECK(told == 1);
    }
    SECTION("the hold goes before it is told")
    {
        group_use other = std::move(c.use());
        other.on_end([&] { ++told; });
        s.g->member_removed("id-of-web");
        CHECK_FALSE(other.alive());
        other = group_use();
        s.run();
        CHECK(told == 0);
    }
    SECTION("what is called does away with its hold, and with another one")
    {
        auto a = std::make_unique<group_use>(std::move(c.use()));
        auto b = std::make_unique<group_use>(*s.g->try_acquire());
        a->on_end([&] {
            ++told;
            b.reset();
            a.reset();
        });
        b->on_end([&] { told += 10; });
        s.engine.end("web", 0);
        s.run();
        CHECK(told == 1);
        CHECK_FALSE(a);
    }
    SECTION("nothing is to be called any more")
    {
        c.use().on_end([&] { ++told; });
        c.use().on_end({});
        s.engine.end("web", 0);
        s.run();
        CHECK(told == 0);
    }
    SECTION("what is called comes back for another hold")
    {
        std::optional<client> again;
        c.use().on_end([&] { again.emplace(s); });
        s.engine.end("web", 1);
        s.run();
        REQUIRE(again);
        s.run();
        CHECK(again->served());
        CHECK(again->use().alive());
        CHECK_FALSE(c.use().alive());
        c.use() = group_use(); // the old hold does not count for the new run
        CHECK(s.g->status().in_use == 1);
    }
}

TEST_CASE("group: a client may leave at any point, and leaves nothing behind")
{
    for (int steps = 0;; ++steps) {
        scene s;
        s.engine.by_hand.insert("start web");
        bool finished = false;
        {
            diagnostics why;
            spawned<result<group_use>> wait(s.ctx, s.g->acquire("x", why));
            int left = steps;
            while (left > 0) {
                if (wait.step()) {
                    --left;
                } else if (!finished && s.engine.waits("start web")) {
                    s.engine.finish("start web");
                    finished = true;
                } else {
                    break;
                }
            }
            bool const whole_run = wait.done();
            wait.cancel();
            wait.run();
            REQUIRE(wait.done());
            if (whole_run) {
                CHECK(wait.value().has_value());
                break;
            }
            if (wait.threw() || !wait.value()) CHECK((wait.error() == asio::error::operation_aborted));
        }
        CHECK(s.g->status().waiting == 0);
        CHECK(s.g->status().in_use == 0);
        if (!finished && s.engine.waits("start web")) s.engine.finish("start web");
        s.run();
        client next(s);
        if (s.engine.waits("start web")) s.engine.finish("start web"); // the first one had left before it had come
        s.run();
        CHECK(next.served());
        CHECK(s.engine.count("start web") == 1); // the start in progress went on
        REQUIRE(steps < 100);
    }
}

TEST_CASE("group: the end refuses who waits, and commands nothing any more")
{
    auto c = config_of();
    c.idle = 1ms;
    scene s(c);
    s.engine.by_hand.insert("start web");
    client waits(s);
    spawned<bool> joined(s.ctx, [](wake::group& g) -> net::awaitable<bool> {
        g.shut_down();
        co_await g.join();
        co_return true;
    }(*s.g));
    joined.run();
    REQUIRE(joined.done());
    REQUIRE(waits.wait.done());
    CHECK(waits.error() == wake::errc::shutting_down);
    CHECK(waits.why.text() == "group shop: wake-proxy is ending");
    client late(s);
    CHECK(late.error() == wake::errc::shutting_down);
    s.g->wake_now("status page");
    s.g->stop_now();
    s.run();
    CHECK(s.engine.commands == std::vector<std::string>{"start web"});
    CHECK_FALSE(s.g->try_acquire());
}

TEST_CASE("group: shutting down leaves those who are connected alone")
{
    scene s;
    client c(s);
    s.g->shut_down();
    s.run();
    CHECK(c.use().alive());
    CHECK(s.engine.commands == std::vector<std::string>{"start web"});
}

TEST_CASE("group: it may go away under clients that wait and under holds")
{
    scene s;
    SECTION("one waits, a command is in flight")
    {
        s.engine.by_hand.insert("start web");
        client waits(s);
        s.observer.reset();
        s.tasks.cancel();
        s.g.reset();
        s.run();
        REQUIRE(waits.wait.done());
        CHECK(waits.error() == wake::errc::shutting_down);
    }
    SECTION("one holds it")
    {
        client c(s);
        int told = 0;
        c.use().on_end([&] { ++told; });
        s.tasks.cancel();
        s.run();
        s.g.reset();
        CHECK_FALSE(c.use().alive());
        c.use().moved(1);
        CHECK(c.use().address() == "10.0.0.1");
        c.use().on_end([&] { ++told; });
        s.run();
        CHECK(told == 0);
    }
    SECTION("what runs at its end is not told any more")
    {
        client c(s);
        int told = 0;
        c.use().on_end([&] { ++told; });
        s.g->member_removed("id-of-web");
        s.tasks.cancel();
        s.g.reset();
        s.run();
        CHECK(told == 0);
    }
}

TEST_CASE("group: an empty hold is harmless")
{
    group_use u;
    CHECK_FALSE(u.alive());
    u.moved(1, 2);
    u.on_end([] {});
    CHECK(u.address().empty());
    CHECK(u.life() == 0);
    group_use v = std::move(u);
    auto& same = v;
    v = std::move(same);
    CHECK_FALSE(v.alive());
}

TEST_CASE("group: members start in their order and stop in reverse")
{
    auto c = config_of();
    c.idle = 1ms;
    scene s(c, {fake_member("web", "shop", {{"db", wake::dependency_condition::healthy, true}}), fake_member("db", "shop")});
    s.engine.health_after_start = wake::health_state::starting;
    s.engine.become("db", wake::health_state::starting);
    s.run();
    {
        client one(s);
        CHECK(s.engine.commands == std::vector<std::string>{"start db"});
        s.engine.become("db", wake::health_state::healthy);
        s.run();
        CHECK(one.served());
        CHECK(one.use().address() == "10.0.0.1");
    }
    REQUIRE(poll_until(s.ctx, [&] { return s.state() == group_state::stopped; }));
    CHECK(s.engine.commands == std::vector<std::string>{"start db", "start web", "stop web", "stop db"});
}

TEST_CASE("group: a health check that never passes is named with the last line")
{
    auto c = config_of();
    c.start_limit = 10ms;
    scene s(c);
    s.engine.health_after_start = wake::health_state::unhealthy;
    s.engine.become("web", wake::health_state::starting);
    s.engine.last_lines["web"] = "waiting for db";
    client one(s);
    REQUIRE(poll_until(s.ctx, [&] { return one.wait.done(); }));
    CHECK(one.error() == wake::errc::start_timed_out);
    CHECK(one.why.text() == "group shop: container web never became healthy: its health check fails: waiting for db");
    CHECK(s.log.count("group shop: container web never became healthy: its health check fails: waiting for db") == 1);
}

TEST_CASE("group: the engine goes and comes back under a client that waits")
{
    scene s;
    s.engine.lose("connection refused");
    s.run();
    CHECK_FALSE(s.g->status().engine_reachable);
    client one(s);
    CHECK_FALSE(one.wait.done());
    s.engine.come_back();
    s.run();
    CHECK(one.served());
    CHECK(s.g->status().engine_reachable);

    // And under one that is connected.
    s.engine.lose("connection refused");
    s.run();
    CHECK(one.use().alive());
    s.engine.come_back();
    s.run();
    CHECK(one.use().alive());
}

TEST_CASE("group: an engine that stays away is the reason that is told")
{
    auto c = config_of();
    c.start_limit = 5ms;
    scene s(c);
    s.engine.lose("/var/run/docker.sock: permission denied");
    s.run();
    client one(s);
    REQUIRE(poll_until(s.ctx, [&] { return one.wait.done(); }));
    CHECK(one.error() == wake::errc::engine_unreachable);
    CHECK(one.why.text() == "group shop: the engine can't be reached: /var/run/docker.sock: permission denied");
    CHECK(s.log.count("group shop: the engine can't be reached: /var/run/docker.sock: permission denied") == 1);
}

TEST_CASE("group: a member that is made anew is started under a client that waits")
{
    scene s;
    s.engine.by_hand.insert("start web");
    client one(s);
    s.engine.recreate("web");
    s.run();
    CHECK(s.engine.count("start web") == 2);
    s.engine.fail("start web", podproxy::errc::unavailable, "no such container");
    s.engine.finish("start web");
    s.run();
    CHECK(one.served());
}

TEST_CASE("group: a port that does not open is told once, until one does")
{
    scene s;
    client one(s);
    s.g->port_failed("container web runs, but 10.0.0.1:80 refuses connections");
    s.g->port_failed("container web runs, but 10.0.0.1:80 refuses connections");
    CHECK(s.log.count("group shop: container web runs, but 10.0.0.1:80 refuses connections") == 1);
    CHECK(s.g->status().failed_starts == 1);
    CHECK(s.g->status().last_starts[0].error == "container web runs, but 10.0.0.1:80 refuses connections");
    CHECK(one.use().alive());
    s.g->port_failed("");
    s.g->port_failed("closed again");
    CHECK(s.log.count("group shop: closed again") == 1);
}

TEST_CASE("group: it is woken and stopped by hand")
{
    scene s;
    s.g->wake_now("status page");
    s.run();
    CHECK(s.state() == group_state::running);
    CHECK(s.g->status().last_starts[0].reason == "status page");
    client one(s);
    int told = 0;
    one.use().on_end([&] { ++told; });
    s.g->stop_now();
    CHECK_FALSE(one.use().alive());
    s.run();
    CHECK(told == 1);
    CHECK(s.state() == group_state::stopped);
    CHECK(s.engine.commands == std::vector<std::string>{"start web", "stop web"});
}

TEST_CASE("group: what is found running needs no start, and is told as such")
{
    auto m = fake_member("web", "shop");
    m.state = wake::member_state::running;
    m.address = "10.1.1.1";
    scene s(config_of(), {m});
    CHECK(s.state() == group_state::running);
    REQUIRE(s.g->status().last_starts.size() == 1);
    CHECK(s.g->status().last_starts[0].reason == "found running");
    CHECK(s.g->status().starts == 0);
    client one(s);
    CHECK(one.served());
    CHECK(s.engine.commands.empty());
}

TEST_CASE("group: the last ten starts are kept")
{
    scene s;
    for (int i = 0; i < 12; ++i) {
        s.g->wake_now("status page " + std::to_string(i));
        s.run();
        s.g->stop_now();
        s.run();
    }
    auto const st = s.g->status();
    REQUIRE(st.last_starts.size() == 10);
    CHECK(st.last_starts[0].reason == "status page 11");
    CHECK(st.starts == 12);
    CHECK(st.stops == 12);
}

TEST_CASE("group: silence is cut where bytes are use, and traffic is not")
{
    auto c = config_of();
    c.idle = 200ms;
    c.use = wake::use_rule::bytes;
    scene s(c);
    client one(s);
    int told = 0;
    one.use().on_end([&] { ++told; });
    auto const until = net::clock::now() + 600ms;
    REQUIRE(poll_until(s.ctx, [&] {
        one.use().moved(1);
        return net::clock::now() >= until;
    }));
    CHECK(one.use().alive());
    CHECK(told == 0);
    REQUIRE(poll_until(s.ctx, [&] { return told == 1; }));
    CHECK_FALSE(one.use().alive());
    REQUIRE(poll_until(s.ctx, [&] { return s.state() == group_state::stopped; }));
}

TEST_CASE("group: traffic on a connection gives a throttled group its resources back")
{
    auto c = config_of();
    c.idle = 1ms;
    c.use = wake::use_rule::bytes;
    c.action = wake::idle_action::throttle;
    c.idle_resources.nano_cpus = 1;
    c.active_resources.nano_cpus = 2;
    scene s(c);
    client one(s);
    REQUIRE(one.served());
    REQUIRE(poll_until(s.ctx, [&] { return s.state() == group_state::stopped; }));
    CHECK(s.engine.limits["web"].nano_cpus == 1);
    CHECK(one.use().alive());
    one.use().moved(1);
    s.run();
    CHECK(s.engine.limits["web"].nano_cpus == 2);
    CHECK(s.g->status().last_starts[0].reason == "traffic");
}

TEST_CASE("group: members are called what their engine has")
{
    for (auto const& [engine, noun] : {std::pair{"kubernetes cluster staging", "workload"}, std::pair{"systemd", "unit"}, std::pair{"podman", "container"}}) {
        asio::io_context ctx;
        fake_wake_provider provider(ctx.get_executor());
        provider.engine_name = engine;
        auto c = config_of();
        c.start_attempts = 1;
        wake::group g(ctx.get_executor(), provider, c, {});
        provider.failing["start web"] = {podproxy::errc::unavailable, "no"};
        g.members_are({fake_member("web", "shop")});
        diagnostics why;
        spawned<result<group_use>> one(ctx, g.acquire("x", why));
        one.run();
        REQUIRE(one.done());
        CHECK(one.error() == wake::errc::start_failed);
        CHECK(why.text() == "group shop: " + std::string(noun) + " web can't be started: no");
    }
}
