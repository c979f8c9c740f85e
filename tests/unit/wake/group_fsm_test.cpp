#include <podproxy/core/error.hpp>
#include <podproxy/wake/group_fsm.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

using namespace podproxy;
using namespace podproxy::wake;
using namespace std::chrono_literals;
using arrival = group_fsm::arrival::kind;

namespace {

group_config config_of(std::string name = "web")
{
    group_config c;
    c.name = std::move(name);
    c.idle = 60s;
    c.start_limit = 30s;
    c.first_backoff = 1s;
    c.most_backoff = 20s;
    return c;
}

member container(std::string name, std::vector<dependency> needs = {})
{
    member m;
    m.id = "id-" + name;
    m.service = name;
    m.name = std::move(name);
    m.depends_on = std::move(needs);
    return m;
}

std::string_view verb(member_command c)
{
    switch (c) {
    case member_command::start: return "start";
    case member_command::stop: return "stop";
    case member_command::pause: return "pause";
    case member_command::unpause: return "unpause";
    case member_command::limit: return "limit";
    case member_command::none: break;
    }
    return "none";
}

/// A machine with a clock of its own and an engine that does nothing by itself. `did()` is what the machine wanted since the last call.
class scene {
public:
    explicit scene(group_config c = config_of(), std::vector<member> all = {container("web")}) : fsm(std::move(c))
    {
        for (auto const& m : all) world[m.name] = m;
        snapshot();
        did();
    }

    std::string did()
    {
        std::string out;
        for (auto& a : fsm.take_actions()) {
            using k = group_action::kind;
            std::string one;
            switch (a.what) {
            case k::command:
                one = std::string(verb(a.command)) + " " + a.target.name;
                if (a.command == member_command::limit) one += " " + std::to_string(a.limits.nano_cpus);
                break;
            case k::ask_line: one = "ask " + a.target.name; break;
            case k::release: one = "release"; break;
            case k::refuse: one = "refuse " + make_error_code(a.error).message() + " [" + a.text + (a.line.empty() ? "" : "|" + a.line) + "]"; break;
            case k::end_holds: one = "end holds"; break;
            case k::wake_begun: one = "begun"; break;
            case k::wake_done: one = a.text.empty() ? "ready" : a.text; break;
            case k::wake_failed: one = "wake failed"; break;
            case k::rested: one = "rested"; break;
            case k::report: last_report = a.text + (a.line.empty() ? "" : ": " + a.line); continue;
            }
            out += (out.empty() ? "" : ", ") + one;
        }
        return out;
    }

    void snapshot()
    {
        std::vector<member> all;
        for (auto const& [name, m] : world) all.push_back(m);
        fsm.members_are(all, now);
    }
    template <class Edit>
    void change(std::string const& name, Edit const& edit)
    {
        edit(world.at(name));
        fsm.member_changed(world.at(name), now);
    }
    void is(std::string const& name, member_state s, std::optional<int> exit_code = {})
    {
        change(name, [&](member& m) {
            m.state = s;
            if (exit_code || s == member_state::running) m.exit_code = exit_code;
        });
    }
    void runs(std::string const& name) { is(name, member_state::running); }
    void ends(std::string const& name, int code) { is(name, member_state::stopped, code); }
    void health(std::string const& name, health_state h)
    {
        change(name, [&](member& m) { m.health = h; });
    }
    void ok(member_command c, std::string const& name) { fsm.command_done(world.at(name).id, c, {}, {}, now); }
    void fails(member_command c, std::string const& name, std::string text = "no") { fsm.command_done(world.at(name).id, c, podproxy::errc::malformed, text, now); }
    void started(std::string const& name)
    {
        ok(member_command::start, name);
        runs(name);
    }
    void line(std::string const& name, std::string text = {}) { fsm.line_is(world.at(name).id, std::move(text), now); }
    arrival client() { return fsm.client_arrived(now).what; }
    void after(group_fsm::duration d)
    {
        now += d;
        fsm.tick(now);
    }
    /// Let the time go on to the next timer. @return how long that took; nothing when there is none.
    std::optional<std::chrono::milliseconds> timer()
    {
        auto const next = fsm.next_timer();
        if (!next) return std::nullopt;
        auto const d = *next - now;
        now = *next;
        fsm.tick(now);
        return std::chrono::duration_cast<std::chrono::milliseconds>(d);
    }
    /// A group that is ready, with one client that holds it.
    void up()
    {
        client();
        for (auto const& [name, m] : world) started(name);
        did();
    }

    group_fsm fsm;
    group_fsm::time_point now{std::chrono::hours(1)};
    std::map<std::string, member> world;
    std::string last_report;
};

} // namespace

TEST_CASE("group machine: a client wakes it, is served when it runs, and it rests when nobody uses it")
{
    scene s;
    CHECK(s.fsm.state() == group_state::stopped);
    CHECK_FALSE(s.fsm.next_timer());
    CHECK(s.client() == arrival::waits);
    CHECK(s.did() == "begun, start web");
    CHECK(s.fsm.state() == group_state::starting);
    CHECK(s.fsm.waiting() == 1);
    s.ok(member_command::start, "web");
    CHECK(s.did() == "");
    s.runs("web");
    CHECK(s.did() == "ready, release");
    CHECK(s.fsm.state() == group_state::running);
    CHECK(s.fsm.in_use() == 1);
    CHECK_FALSE(s.fsm.next_timer()); // in use: nothing is waited for

    s.after(1h);
    s.fsm.hold_dropped(s.now);
    CHECK(s.fsm.state() == group_state::idle);
    CHECK(s.fsm.idle_left(s.now) == 60s);
    CHECK(s.timer() == 60s);
    CHECK(s.did() == "stop web");
    CHECK(s.fsm.state() == group_state::stopping);
    s.ends("web", 0);
    s.ok(member_command::stop, "web");
    CHECK(s.did() == "rested");
    CHECK(s.fsm.state() == group_state::stopped);
    CHECK_FALSE(s.fsm.next_timer());
}

TEST_CASE("group machine: running counts before the start is confirmed")
{
    scene s;
    s.client();
    s.did();
    s.runs("web");
    CHECK(s.did() == "ready, release");
    s.ok(member_command::start, "web");
    CHECK(s.did() == "");
}

TEST_CASE("group machine: who comes when it is ready is served at once, and keeps it up")
{
    scene s;
    s.up();
    CHECK(s.client() == arrival::held);
    CHECK(s.fsm.take_hold(s.now));
    CHECK(s.fsm.in_use() == 3);
    for (int i = 0; i < 2; ++i) s.fsm.hold_dropped(s.now);
    s.after(1h); // an open, silent connection
    CHECK(s.did() == "");
    s.fsm.hold_dropped(s.now);
    CHECK(s.timer() == 60s);
    CHECK(s.did() == "stop web");
}

TEST_CASE("group machine: a new client begins the idle time anew")
{
    scene s;
    s.up();
    s.fsm.hold_dropped(s.now);
    s.after(59s);
    CHECK(s.client() == arrival::held);
    s.after(10s);
    s.fsm.hold_dropped(s.now);
    s.after(59s);
    CHECK(s.did() == "");
    s.after(1s);
    CHECK(s.did() == "stop web");
}

TEST_CASE("group machine: without an idle time it stays up")
{
    auto c = config_of();
    c.idle = 0ms;
    scene s(c);
    s.up();
    s.fsm.hold_dropped(s.now);
    CHECK(s.fsm.state() == group_state::running);
    CHECK_FALSE(s.fsm.next_timer());
}

TEST_CASE("group machine: what is found running is used as it is, and the idle time begins then")
{
    auto m = container("web");
    m.state = member_state::running;
    scene s(config_of(), {m});
    CHECK(s.fsm.state() == group_state::idle);
    CHECK(s.fsm.idle_left(s.now) == 60s);
    CHECK(s.client() == arrival::held);
    s.fsm.hold_dropped(s.now);
    CHECK(s.timer() == 60s);
    CHECK(s.did() == "stop web");
}

TEST_CASE("group machine: a client during the stop is served by the start that follows")
{
    scene s;
    s.up();
    s.fsm.hold_dropped(s.now);
    s.timer();
    CHECK(s.did() == "stop web");
    CHECK(s.client() == arrival::waits);
    CHECK(s.did() == "");
    s.after(10s);
    CHECK(s.did() == "");

    SECTION("the end is seen first")
    {
        s.ends("web", 0);
        CHECK(s.did() == "");
        s.ok(member_command::stop, "web");
        CHECK(s.did() == "begun, start web");
    }
    SECTION("the stop is confirmed first: what is still shown as running is not believed")
    {
        s.ok(member_command::stop, "web");
        CHECK(s.did() == "");
        CHECK_FALSE(s.fsm.ready());
        s.ends("web", 0);
        CHECK(s.did() == "begun, start web");
    }
    SECTION("the stop fails: it runs on")
    {
        s.fails(member_command::stop, "web");
        CHECK(s.did() == "ready, release");
        return;
    }
    s.started("web");
    CHECK(s.did() == "ready, release");
}

TEST_CASE("group machine: an engine that never shows the end of what it has stopped is believed after a while")
{
    scene s;
    s.up();
    s.fsm.hold_dropped(s.now);
    s.timer();
    s.did();
    s.client();
    s.ok(member_command::stop, "web");
    CHECK(s.timer() == 5s);
    CHECK(s.did() == "ready, release");
}

TEST_CASE("group machine: a stop that fails is tried again after a growing pause")
{
    scene s;
    s.up();
    s.fsm.hold_dropped(s.now);
    s.timer();
    for (auto const pause : {1s, 2s, 4s}) {
        CHECK(s.did() == "stop web");
        s.fails(member_command::stop, "web", "engine is busy");
        CHECK(s.last_report.empty());
        CHECK(s.did() == "");
        CHECK(s.last_report == "container web can't be stopped: engine is busy");
        s.last_report.clear();
        CHECK(s.timer() == pause);
    }
}

TEST_CASE("group machine: who leaves while waiting does not end the start")
{
    scene s;
    s.client();
    s.did();
    s.fsm.client_left(s.now);
    CHECK(s.fsm.waiting() == 0);
    s.started("web");
    CHECK(s.did() == "ready");
    CHECK(s.fsm.state() == group_state::idle);
    CHECK(s.timer() == 60s);
    CHECK(s.did() == "stop web");
}

TEST_CASE("group machine: a failed attempt is repeated only for those who wait")
{
    scene s;
    s.client();
    s.did();
    s.ok(member_command::start, "web");
    s.fsm.client_left(s.now);
    s.ends("web", 1);
    CHECK(s.did() == "ask web");
    s.line("web", "no such file");
    CHECK(s.did() == "wake failed");
    CHECK(s.last_report == "container web exited with code 1: no such file");
    CHECK(s.fsm.state() == group_state::failed);
    CHECK_FALSE(s.fsm.next_timer());
}

TEST_CASE("group machine: start attempts are limited, with pauses that double, and the clients are told why")
{
    scene s;
    s.client();
    s.client();
    CHECK(s.did() == "begun, start web");
    for (auto const pause : {1s, 2s}) {
        s.ok(member_command::start, "web");
        s.ends("web", 1);
        CHECK(s.did() == "ask web");
        s.line("web", "bad settings");
        CHECK(s.fsm.state() == group_state::failed);
        CHECK(s.did() == "");
        CHECK(s.timer() == pause);
        CHECK(s.did() == "start web");
    }
    s.ends("web", 1); // its end is seen before the start is confirmed
    CHECK(s.did() == "");
    s.ok(member_command::start, "web");
    CHECK(s.did() == "");
    s.ends("web", 1);
    CHECK(s.did() == "ask web");
    s.line("web", "bad settings");
    CHECK(s.did() == "wake failed, refuse the group could not be started [container web exited with code 1 (3 attempts)|bad settings]");
    CHECK(s.fsm.waiting() == 0);
    CHECK(s.fsm.state() == group_state::failed);

    // A client that comes now waits for the end of the pause, and the attempt is made because it waits.
    CHECK_FALSE(s.fsm.next_timer());
    CHECK(s.client() == arrival::waits);
    CHECK(s.did() == "");
    CHECK(s.timer() == 4s);
    CHECK(s.did() == "begun, start web");
    s.started("web");
    CHECK(s.did() == "ready, release");
}

TEST_CASE("group machine: an engine that tells runs apart needs no guessing")
{
    scene s;
    s.change("web", [](member& m) {
        m.run = "1";
        m.exit_code = 1;
    });
    s.client();
    CHECK(s.did() == "begun, start web");
    s.ends("web", 1); // old news
    s.ok(member_command::start, "web");
    s.ends("web", 1); // still old
    CHECK(s.did() == "");

    SECTION("its end is told after the confirmation")
    {
        s.change("web", [](member& m) { m.run = "2"; });
        CHECK(s.did() == "ask web");
    }
    SECTION("it runs")
    {
        s.change("web", [](member& m) {
            m.run = "2";
            m.state = member_state::running;
        });
        CHECK(s.did() == "ready, release");
    }
}

TEST_CASE("group machine: the end of a run that is told before the start is confirmed counts")
{
    scene s;
    s.change("web", [](member& m) { m.run = "1"; });
    s.client();
    s.did();
    SECTION("known by the run")
    {
        s.change("web", [](member& m) {
            m.run = "2";
            m.exit_code = 7;
        });
    }
    SECTION("known because it was seen running")
    {
        // Released the moment it runs; its end then is the end of the group.
        s.runs("web");
        CHECK(s.did() == "ready, release");
        s.ends("web", 7);
        CHECK(s.did() == "ask web, end holds, wake failed");
        return;
    }
    CHECK(s.did() == "");
    s.ok(member_command::start, "web");
    CHECK(s.did() == "ask web");
}

TEST_CASE("group machine: a member that is confirmed but never shown as running fails the attempt")
{
    scene s;
    s.client();
    s.did();
    s.ok(member_command::start, "web");
    CHECK(s.timer() == 5s);
    CHECK(s.did() == "");
    CHECK(s.last_report == "container web was started, but the engine shows it as stopped");
    CHECK(s.timer() == 1s);
    CHECK(s.did() == "start web");
}

TEST_CASE("group machine: a start that the engine refuses fails the attempt")
{
    scene s;
    s.client();
    s.did();
    s.fails(member_command::start, "web", "no such image");
    CHECK(s.did() == "");
    CHECK(s.last_report == "container web can't be started: no such image");
    CHECK(s.timer() == 1s);
    CHECK(s.did() == "start web");
    s.fails(member_command::start, "web", "no such image");
    s.timer();
    s.fails(member_command::start, "web", "no such image");
    CHECK(s.did() == "start web, wake failed, refuse the group could not be started [container web can't be started: no such image (3 attempts)]");
}

TEST_CASE("group machine: the last line is not waited for longer than a second")
{
    auto c = config_of();
    c.start_attempts = 1;
    scene s(c);
    s.client();
    s.did();
    s.ok(member_command::start, "web");
    s.ends("web", 1);
    CHECK(s.did() == "ask web");
    CHECK(s.timer() == 1s);
    CHECK(s.did() == "wake failed, refuse the group could not be started [container web exited with code 1]");
    s.line("web", "late");
    CHECK(s.did() == "");
}

TEST_CASE("group machine: pauses grow up to their limit, and who can't be served in time is refused at once")
{
    auto c = config_of();
    c.start_attempts = 1;
    c.start_limit = 10s;
    scene s(c);
    for (int pause : {1, 2, 4, 8, 16}) {
        CHECK(s.client() == arrival::waits);
        if (pause != 1) CHECK(s.timer() == std::chrono::seconds(pause / 2));
        s.fails(member_command::start, "web");
        CHECK(s.fsm.waiting() == 0);
        s.did();
    }
    auto const a = s.fsm.client_arrived(s.now);
    CHECK(a.what == arrival::refused);
    CHECK(a.error == wake::errc::start_failed);
    CHECK(a.text == "container web can't be started: no");
    s.after(6s); // 10 s are left: not sooner than the limit
    CHECK(s.fsm.client_arrived(s.now).what == arrival::refused);
    s.after(1ms);
    CHECK(s.client() == arrival::waits);
    CHECK(s.timer() == 9999ms);
    CHECK(s.did() == "begun, start web");
    s.fails(member_command::start, "web"); // 20 s, the limit
    s.after(10s);
    CHECK(s.fsm.client_arrived(s.now).what == arrival::refused);
}

TEST_CASE("group machine: an attempt that can't come in time is not waited for")
{
    auto c = config_of();
    c.start_limit = 2500ms;
    scene s(c);
    s.client();
    s.fails(member_command::start, "web");
    s.timer();
    s.did();
    s.fails(member_command::start, "web"); // the next one in 2 s, the limit is in 1.5 s
    CHECK(s.did() == "wake failed, refuse the group could not be started [container web can't be started: no (2 attempts)]");
}

TEST_CASE("group machine: the jitter is at most a quarter")
{
    std::chrono::milliseconds least = 1h, most = 0ms;
    for (std::uint64_t seed = 1; seed < 200; ++seed) {
        group_fsm f(config_of(), "container", seed * 0x9e3779b97f4a7c15);
        group_fsm::time_point const now{};
        f.members_are({container("web")}, now);
        f.client_arrived(now);
        f.command_done("id-web", member_command::start, podproxy::errc::malformed, "no", now);
        auto const pause = std::chrono::duration_cast<std::chrono::milliseconds>(*f.next_timer() - now);
        least = std::min(least, pause);
        most = std::max(most, pause);
    }
    CHECK(least >= 750ms);
    CHECK(least < 800ms);
    CHECK(most <= 1250ms);
    CHECK(most > 1200ms);
}

TEST_CASE("group machine: the limit counts from the first client, and refuses all")
{
    scene s;
    s.client();
    s.did();
    s.after(29s);
    CHECK(s.client() == arrival::waits);
    s.after(1s);
    CHECK(s.did() == "ask web");
    s.line("web", "");
    CHECK(s.did() == "wake failed, refuse the group was not ready in time [the engine has not answered to the start of container web]");
    s.started("web"); // late: it is there for the next one
    CHECK(s.fsm.state() == group_state::idle);
}

TEST_CASE("group machine: health is waited for, and unhealthy is not the end before the limit")
{
    scene s;
    s.health("web", health_state::starting);
    s.client();
    s.did();
    s.started("web");
    CHECK(s.did() == "");
    CHECK(s.fsm.state() == group_state::waiting_for_health);
    s.health("web", health_state::unhealthy);
    CHECK(s.did() == "");

    SECTION("it becomes healthy")
    {
        s.health("web", health_state::healthy);
        CHECK(s.did() == "ready, release");
    }
    SECTION("it never does")
    {
        CHECK(s.timer() == 30s);
        CHECK(s.did() == "ask web");
        s.line("web", "waiting for the moon");
        CHECK(s.did() == "wake failed, refuse the group was not ready in time [container web never became healthy: its health check fails|waiting for the moon]");
        CHECK(s.fsm.state() == group_state::failed);
        // It is left alone for the idle time, so that it may still get there.
        s.after(20s);
        CHECK(s.client() == arrival::waits);
        CHECK(s.did() == "");
        s.health("web", health_state::healthy);
        CHECK(s.did() == "ready, release");
    }
    SECTION("it never does, and nobody comes")
    {
        s.timer();
        s.line("web");
        s.did();
        CHECK(s.timer() == 60s);
        CHECK(s.did() == "stop web");
    }
}

TEST_CASE("group machine: without use_health running is enough")
{
    auto c = config_of();
    c.use_health = false;
    scene s(c);
    s.health("web", health_state::starting);
    s.client();
    s.did();
    s.started("web");
    CHECK(s.did() == "ready, release");
}

TEST_CASE("group machine: a ready member that becomes unhealthy makes new clients wait")
{
    scene s;
    s.health("web", health_state::starting);
    s.client();
    s.started("web");
    s.health("web", health_state::healthy);
    s.did();
    s.health("web", health_state::unhealthy);
    CHECK(s.did() == "");
    CHECK(s.last_report == "container web has become unhealthy");
    CHECK(s.fsm.state() == group_state::waiting_for_health);
    CHECK(s.fsm.in_use() == 1); // whoever is connected stays so
    CHECK(s.client() == arrival::waits);
    s.health("web", health_state::healthy);
    CHECK(s.did() == "ready, release");
}

TEST_CASE("group machine: paused members are unpaused, whatever the group does to rest")
{
    scene s;
    s.is("web", member_state::paused);
    CHECK(s.fsm.state() == group_state::stopped);
    s.client();
    CHECK(s.did() == "begun, unpause web");
    s.ok(member_command::unpause, "web");
    CHECK(s.did() == "");
    s.runs("web");
    CHECK(s.did() == "ready, release");
}

TEST_CASE("group machine: an unpause that fails is a failed attempt")
{
    scene s;
    s.is("web", member_state::paused);
    s.client();
    s.did();
    s.fails(member_command::unpause, "web", "it is frozen");
    CHECK(s.did() == "");
    CHECK(s.last_report == "container web can't be unpaused: it is frozen");
    CHECK(s.timer() == 1s);
    CHECK(s.did() == "unpause web");
}

TEST_CASE("group machine: to rest may be to pause")
{
    auto c = config_of();
    c.action = idle_action::pause;
    scene s(c);
    s.up();
    s.fsm.hold_dropped(s.now);
    s.timer();
    CHECK(s.did() == "pause web");

    SECTION("it is paused")
    {
        s.is("web", member_state::paused);
        s.ok(member_command::pause, "web");
        CHECK(s.did() == "rested");
        CHECK(s.fsm.state() == group_state::stopped);
        s.client();
        CHECK(s.did() == "begun, unpause web");
        s.runs("web");
        CHECK(s.did() == "ready, release");
    }
    SECTION("the engine can't pause: it is stopped")
    {
        s.fsm.command_done("id-web", member_command::pause, podproxy::errc::unavailable, "", s.now);
        CHECK(s.did() == "stop web");
        CHECK(s.last_report == "container web can't be paused here and is stopped instead");
        s.ends("web", 0);
        s.ok(member_command::stop, "web");
        CHECK(s.did() == "rested");
    }
}

TEST_CASE("group machine: to rest may be to get less")
{
    auto c = config_of();
    c.action = idle_action::throttle;
    c.idle_resources.nano_cpus = 10;
    c.active_resources.nano_cpus = 1000;
    scene s(c);
    s.client();
    CHECK(s.did() == "begun, start web");
    s.started("web");
    CHECK(s.did() == "limit web 1000");
    s.ok(member_command::limit, "web");
    CHECK(s.did() == "ready, release");
    s.fsm.hold_dropped(s.now);
    s.timer();
    CHECK(s.did() == "limit web 10");
    s.ok(member_command::limit, "web");
    CHECK(s.did() == "rested");
    CHECK(s.fsm.state() == group_state::stopped);
    CHECK_FALSE(s.fsm.next_timer());
    CHECK_FALSE(s.fsm.take_hold(s.now));

    s.client();
    CHECK(s.did() == "begun, limit web 1000");
    s.fails(member_command::limit, "web"); // it is used as it is
    CHECK(s.did() == "ready, release");
}

TEST_CASE("group machine: a client that comes while a group is getting less waits until it has more again")
{
    auto c = config_of();
    c.action = idle_action::throttle;
    c.idle_resources.nano_cpus = 10;
    c.active_resources.nano_cpus = 1000;
    scene s(c);
    s.client();
    s.started("web");
    s.ok(member_command::limit, "web");
    s.did();
    s.fsm.hold_dropped(s.now);
    s.timer();
    CHECK(s.did() == "limit web 10");
    s.client();
    CHECK(s.did() == "");
    s.ok(member_command::limit, "web");
    CHECK(s.did() == "begun, limit web 1000");
    s.ok(member_command::limit, "web");
    CHECK(s.did() == "ready, release");
}

TEST_CASE("group machine: traffic gives a group back what it gave up, before its window is over")
{
    auto c = config_of();
    c.action = idle_action::throttle;
    c.use = use_rule::bytes;
    c.idle_resources.nano_cpus = 10;
    c.active_resources.nano_cpus = 1000;
    scene s(c);
    s.client();
    s.started("web");
    s.ok(member_command::limit, "web");
    s.did();
    while (s.did() != "limit web 10") REQUIRE(s.timer());
    s.ok(member_command::limit, "web");
    CHECK(s.did() == "rested");
    CHECK(s.fsm.in_use() == 1); // it was silent, and is not cut
    CHECK(s.fsm.moved(1, 1));
    s.fsm.use_noticed(s.now);
    CHECK(s.did() == "begun, limit web 1000");
    s.ok(member_command::limit, "web");
    CHECK(s.did() == "ready");
    CHECK_FALSE(s.fsm.moved(1, 1));
}

TEST_CASE("group machine: what the engine restarts is waited for")
{
    scene s;
    s.client();
    s.did();
    s.ok(member_command::start, "web");
    s.is("web", member_state::starting, 1);
    CHECK(s.did() == "");
    CHECK(s.fsm.state() == group_state::starting);
    SECTION("it comes")
    {
        s.runs("web");
        CHECK(s.did() == "ready, release");
    }
    SECTION("it does not")
    {
        s.after(30s);
        s.line("web", "");
        CHECK(s.did() ==
              "ask web, wake failed, refuse the group was not ready in time [container web does not stay up: the engine restarts it (exit code 1)]");
    }
}

TEST_CASE("group machine: a dead member fails the start with a clear text")
{
    scene s;
    s.is("web", member_state::dead);
    s.client();
    CHECK(s.did() == "ask web");
    CHECK(s.timer() == 1s);
    s.line("web");
    s.timer();
    s.timer();
    s.timer();
    CHECK(s.did().ends_with(
        "refuse the group could not be started [container web is dead and can't be started: it has to be removed and created anew (3 attempts)]"));
}

TEST_CASE("group machine: a member that is made anew is adopted in any state")
{
    scene s;
    auto const anew = [&s] {
        s.fsm.member_removed(s.world["web"].id, s.now);
        s.world["web"] = container("web");
        s.world["web"].id = "another";
        s.fsm.member_changed(s.world["web"], s.now);
    };
    SECTION("at rest")
    {
        anew();
        s.client();
        CHECK(s.did() == "begun, start web");
    }
    SECTION("starting")
    {
        s.client();
        s.did();
        anew();
        CHECK(s.did() == "start web");
        s.fsm.command_done("id-web", member_command::start, podproxy::errc::malformed, "no such container", s.now); // of the old one
        CHECK(s.did() == "");
    }
    SECTION("running")
    {
        s.up();
        anew();
        CHECK(s.did() == "end holds");
        CHECK(s.fsm.state() == group_state::stopped);
        s.client();
        CHECK(s.did() == "begun, start web");
    }
    SECTION("stopping")
    {
        s.up();
        s.fsm.hold_dropped(s.now);
        s.timer();
        s.did();
        s.client();
        anew();
        CHECK(s.did() == "begun, start web");
    }
    SECTION("failed: the pause is over")
    {
        s.client();
        s.did();
        s.fails(member_command::start, "web");
        anew();
        CHECK(s.did() == "start web");
    }
    s.ok(member_command::start, "web");
    s.runs("web");
    CHECK(s.did().ends_with("ready, release"));
}

TEST_CASE("group machine: another id under the same name takes the place of the old one, told in any order")
{
    scene s;
    s.world["web"].id = "another";
    s.fsm.member_changed(s.world["web"], s.now);
    CHECK(s.fsm.members().size() == 1);
    s.fsm.member_removed("id-web", s.now);
    CHECK(s.fsm.members().size() == 1);
}

TEST_CASE("group machine: clients wait for members that appear later, and are told when none does")
{
    scene s(config_of(), {});
    s.client();
    CHECK(s.did() == "");
    CHECK(s.fsm.state() == group_state::starting);
    SECTION("one appears")
    {
        s.world["web"] = container("web");
        s.fsm.member_changed(s.world["web"], s.now);
        CHECK(s.did() == "begun, start web");
        s.started("web");
        CHECK(s.did() == "ready, release");
    }
    SECTION("none appears")
    {
        CHECK(s.timer() == 30s);
        CHECK(s.did() == "wake failed, refuse nothing belongs to the group [no container belongs to it]");
    }
}

TEST_CASE("group machine: a member that is removed and not replaced is named")
{
    scene s;
    s.client();
    s.did();
    s.fsm.member_removed("id-web", s.now);
    CHECK(s.did() == "");
    CHECK(s.timer() == 30s);
    CHECK(s.did() == "wake failed, refuse nothing belongs to the group [container web was removed, and none has taken its place]");
}

TEST_CASE("group machine: what is stopped from outside stays so until a client comes")
{
    scene s;
    s.up();
    s.after(20s);
    s.fsm.port_opened(s.now);
    s.ends("web", 143);
    s.line("web");
    CHECK(s.did() == "ask web, end holds");
    CHECK(s.fsm.in_use() == 0);
    CHECK(s.fsm.state() == group_state::stopped);
    CHECK_FALSE(s.fsm.next_timer());
    s.client();
    CHECK(s.did() == "begun, start web");
}

TEST_CASE("group machine: what is started from outside serves who waits")
{
    scene s;
    s.client();
    s.fails(member_command::start, "web");
    s.did();
    s.runs("web");
    CHECK(s.did() == "ready, release");
}

TEST_CASE("group machine: the engine goes and comes back")
{
    scene s;
    SECTION("while clients wait: they wait on")
    {
        s.client();
        s.did();
        s.fsm.engine_lost("connection refused", s.now);
        s.fails(member_command::start, "web", "connection reset"); // says nothing about the member
        CHECK(s.did() == "");
        s.after(5s);
        CHECK(s.did() == "");
        s.snapshot();
        CHECK(s.did() == "start web");
        s.started("web");
        CHECK(s.did() == "ready, release");
    }
    SECTION("for too long")
    {
        s.fsm.engine_lost("connection refused", s.now);
        CHECK_FALSE(s.fsm.engine_known());
        s.client();
        CHECK(s.timer() == 30s);
        CHECK(s.did() == "wake failed, refuse the engine can't be reached [the engine can't be reached: connection refused]");
        CHECK(s.fsm.state() == group_state::stopped);
    }
    SECTION("under open connections: they stay, and what ran is used on")
    {
        s.up();
        s.fsm.engine_lost("connection refused", s.now);
        CHECK(s.fsm.in_use() == 1);
        CHECK(s.client() == arrival::held);
        s.fsm.hold_dropped(s.now);
        s.fsm.hold_dropped(s.now);
        CHECK_FALSE(s.fsm.next_timer()); // nothing can be stopped now
        s.after(1h);
        CHECK(s.did() == "");
        s.snapshot();
        CHECK(s.did() == "stop web");
    }
    SECTION("and has ended what ran")
    {
        s.up();
        s.fsm.engine_lost("connection refused", s.now);
        s.world["web"].state = member_state::stopped;
        s.snapshot();
        CHECK(s.did() == "end holds, ask web, wake failed");
    }
    SECTION("and has started it anew: connections are for the run before")
    {
        s.client();
        s.ok(member_command::start, "web");
        s.change("web", [](member& m) {
            m.state = member_state::running;
            m.run = "1";
        });
        s.did();
        s.fsm.engine_lost("connection refused", s.now);
        s.world["web"].run = "2";
        s.snapshot();
        CHECK(s.did() == "end holds");
        CHECK(s.client() == arrival::held);
    }
    SECTION("and does not tell runs apart for once")
    {
        s.client();
        s.ok(member_command::start, "web");
        s.change("web", [](member& m) {
            m.state = member_state::running;
            m.run = "1";
        });
        s.did();
        for (std::string const run : {"", "1"}) {
            s.world["web"].run = run;
            s.snapshot();
            CHECK(s.did() == "");
        }
        CHECK(s.fsm.in_use() == 1);
    }
    SECTION("while it stops: the stop goes on")
    {
        s.up();
        s.fsm.hold_dropped(s.now);
        s.timer();
        s.did();
        s.fsm.engine_lost("connection refused", s.now);
        s.fails(member_command::stop, "web", "connection reset");
        CHECK(s.did() == "");
        s.snapshot();
        CHECK(s.did() == "stop web");
    }
}

TEST_CASE("group machine: nothing is known before the first snapshot")
{
    group_fsm f(config_of());
    group_fsm::time_point const now{};
    CHECK_FALSE(f.ready());
    CHECK(f.client_arrived(now).what == arrival::waits);
    CHECK(f.take_actions().empty());
    f.tick(now + 30s);
    auto const all = f.take_actions();
    REQUIRE(all.size() == 2);
    CHECK(all[1].what == group_action::kind::refuse);
    CHECK(all[1].error == wake::errc::engine_unreachable);
    CHECK(all[1].text == "the engine has not answered yet");
}

TEST_CASE("group machine: members start in order, those that do not need each other at the same time, and stop in reverse")
{
    using c = dependency_condition;
    scene s(config_of(), {container("cache"), container("db"), container("web", {{"db", c::healthy, true}, {"cache", c::started, true}})});
    s.health("db", health_state::starting);
    s.client();
    CHECK(s.did() == "begun, start cache, start db");
    s.started("cache");
    s.started("db");
    CHECK(s.did() == "");
    s.health("db", health_state::healthy);
    CHECK(s.did() == "start web");
    s.started("web");
    CHECK(s.did() == "ready, release");

    s.fsm.hold_dropped(s.now);
    s.timer();
    CHECK(s.did() == "stop web");
    s.ends("web", 0);
    s.ok(member_command::stop, "web");
    CHECK(s.did() == "stop cache, stop db");
    s.ends("cache", 0);
    s.ok(member_command::stop, "cache");

    // A client comes in the middle: what is down already is started, what is still running stays.
    s.client();
    CHECK(s.did() == "begun, start cache");
}

TEST_CASE("group machine: a client turns a rest round before more is stopped")
{
    scene s(config_of(), {container("db"), container("web", {{"db", dependency_condition::started, true}})});
    s.up();
    s.started("web");
    s.did();
    s.fsm.hold_dropped(s.now);
    s.timer();
    CHECK(s.did() == "stop web");
    s.client();
    s.ends("web", 0);
    s.ok(member_command::stop, "web");
    CHECK(s.did() == "begun, start web"); // db was never stopped
}

TEST_CASE("group machine: jobs that have completed do not keep a group from running, and run again with the next wake")
{
    bool const waited_for = GENERATE(true, false);
    std::vector<dependency> needs;
    if (waited_for) needs.push_back({"job", dependency_condition::completed, true});
    scene s(config_of(), {container("job"), container("web", needs)});
    for (int wake = 0; wake < 2; ++wake) {
        s.client();
        CHECK(s.did() == (waited_for ? "begun, start job" : "begun, start job, start web"));
        s.started("job");
        s.ends("job", 0);
        if (waited_for) CHECK(s.did() == "start web");
        s.started("web");
        CHECK(s.did() == "ready, release");
        CHECK(s.client() == arrival::held);
        s.fsm.hold_dropped(s.now);
        s.fsm.hold_dropped(s.now);
        s.timer();
        CHECK(s.did() == "stop web");
        s.ends("web", 0);
        s.ok(member_command::stop, "web");
        CHECK(s.did() == "rested");
    }
}

TEST_CASE("group machine: a job that ends later leaves the group ready")
{
    scene s(config_of(), {container("job"), container("web")});
    s.up();
    s.after(30s);
    s.ends("job", 0);
    CHECK(s.did() == "");
    CHECK(s.client() == arrival::held);

    SECTION("unless the port says that it was needed after all")
    {
        s.fsm.port_failed(s.now);
        CHECK(s.client() == arrival::waits);
        CHECK(s.did() == "begun, start job");
    }
    SECTION("or it fails")
    {
        s.runs("job");
        s.ends("job", 4);
        CHECK(s.did() == "ask job");
        s.line("job", "disk full");
        s.did();
        CHECK(s.last_report == "container job exited with code 4: disk full");
        CHECK(s.fsm.in_use() == 2); // web serves on
        CHECK(s.client() == arrival::waits);
        CHECK(s.did() == "begun, start job");
        s.started("job");
        CHECK(s.did() == "ready, release");
    }
}

TEST_CASE("group machine: a member with a health check is no job")
{
    scene s(config_of(), {container("db"), container("web")});
    s.health("db", health_state::healthy);
    s.client();
    s.did();
    s.started("web");
    s.ok(member_command::start, "db");
    s.is("db", member_state::starting);
    s.ends("db", 0);
    CHECK(s.did() == "ask db");
    s.line("db");
    s.did();
    CHECK(s.last_report == "container db exited with code 0");
}

TEST_CASE("group machine: when all that there is has completed, nothing serves")
{
    scene s;
    s.client();
    s.did();
    s.ok(member_command::start, "web");
    s.ends("web", 0);
    CHECK(s.did() == "ask web");
    s.line("web");
    s.did();
    CHECK(s.last_report == "nothing of the group stays up: container web exited with code 0");
    s.timer();
    CHECK(s.did() == "start web");
}

TEST_CASE("group machine: a job that fails fails the attempt, and what it was for is not started")
{
    scene s(config_of(), {container("job"), container("web", {{"job", dependency_condition::completed, true}})});
    s.client();
    s.did();
    s.started("job");
    s.ends("job", 2);
    CHECK(s.did() == "ask job");
    s.line("job");
    CHECK(s.did() == "");
    CHECK(s.timer() == 1s);
    CHECK(s.did() == "start job");
    s.started("job");
    s.ends("job", 0);
    CHECK(s.did() == "start web");
}

TEST_CASE("group machine: what is not required may fail")
{
    scene s(config_of(), {container("cache"), container("web", {{"cache", dependency_condition::healthy, false}})});
    s.client();
    CHECK(s.did() == "begun, start cache");
    SECTION("it ends")
    {
        s.started("cache");
        s.did();
        // Without a health check it is as good as healthy, so web starts; then cache ends.
        s.ends("cache", 1);
        s.started("web");
        CHECK(s.did() == "ready, release");
    }
    SECTION("it can't be started")
    {
        s.fails(member_command::start, "cache", "no image");
        CHECK(s.did() == "start web");
        CHECK(s.last_report == "container cache can't be started: no image");
        s.started("web");
        CHECK(s.did() == "ready, release");
    }
}

TEST_CASE("group machine: in an attempt that is repeated, what runs already stays")
{
    scene s(config_of(), {container("db"), container("web")});
    s.client();
    s.did();
    s.started("db");
    s.ok(member_command::start, "web");
    s.ends("web", 1);
    s.line("web");
    s.did();
    s.timer();
    CHECK(s.did() == "start web");
}

TEST_CASE("group machine: part of a group that fails is told, and its connections stay")
{
    scene s(config_of(), {container("db"), container("web")});
    s.up();
    s.after(1min);
    s.ends("web", 1);
    s.line("web", "out of luck");
    CHECK(s.did() == "ask web");
    CHECK(s.last_report == "container web exited with code 1: out of luck");
    CHECK(s.fsm.in_use() == 1);
    s.ends("db", 1);
    CHECK(s.did() == "ask db, end holds");
    CHECK(s.fsm.in_use() == 0);
}

TEST_CASE("group machine: a service that is needed and gone is named")
{
    scene s(config_of(), {container("db"), container("web", {{"db", dependency_condition::started, true}})});
    s.fsm.member_removed("id-db", s.now);
    s.client();
    CHECK(s.did() == "");
    s.timer();
    CHECK(s.did() == "wake failed, refuse nothing belongs to the group [service db is needed, and has no container any more]");
}

TEST_CASE("group machine: dependencies outside of the group and circles are told once")
{
    group_fsm f(config_of());
    group_fsm::time_point const now{};
    std::vector<member> const all{container("a", {{"b", dependency_condition::started, true}}),
                                  container("b", {{"a", dependency_condition::started, true}, {"db", dependency_condition::started, true}})};
    f.members_are(all, now);
    auto const told = f.take_actions();
    REQUIRE(told.size() == 2);
    CHECK(told[0].text == "these depend on each other in a circle, so their order is left open: a, b");
    CHECK(told[1].text == "service db is depended on but not part of the group: taken as running");
    f.members_are(all, now);
    CHECK(f.take_actions().empty());
}

TEST_CASE("group machine: waiting clients are bounded")
{
    auto c = config_of();
    c.most_waiting = 2;
    scene s(c);
    CHECK(s.client() == arrival::waits);
    CHECK(s.client() == arrival::waits);
    auto const a = s.fsm.client_arrived(s.now);
    CHECK(a.what == arrival::refused);
    CHECK(a.error == wake::errc::too_many_waiting);
    s.fsm.client_left(s.now);
    CHECK(s.client() == arrival::waits);
}

TEST_CASE("group machine: wakes are limited per window")
{
    auto c = config_of();
    c.most_wakes = 2;
    c.wake_window = 60s;
    c.idle = 1s;
    c.start_limit = 10s;
    scene s(c);
    for (int i = 0; i < 2; ++i) {
        s.up();
        s.fsm.hold_dropped(s.now);
        s.timer();
        s.ends("web", 0);
        s.ok(member_command::stop, "web");
        s.did();
    }
    auto const a = s.fsm.client_arrived(s.now); // 2 s after the first
    CHECK(a.what == arrival::refused);
    CHECK(a.error == wake::errc::too_many_wakes);
    CHECK(a.text == "it was woken 2 times within 1m already");
    s.after(49s);
    CHECK(s.client() == arrival::waits); // the window ends in time
    CHECK(s.did() == "");
    CHECK(s.timer() == 9s);
    CHECK(s.did() == "begun, start web");
}

TEST_CASE("group machine: silence under the rule of bytes is no use, and is cut")
{
    auto c = config_of();
    c.use = use_rule::bytes;
    c.idle = 20s;
    scene s(c);
    s.up();
    s.after(1s);
    CHECK_FALSE(s.fsm.moved(10, 1));
    s.after(1s); // the window ends: used
    s.after(19s);
    CHECK(s.did() == "");
    s.after(1s);
    CHECK(s.did() == "end holds, stop web");
    CHECK(s.fsm.in_use() == 0);
}

TEST_CASE("group machine: a window that is still open counts before it is too late")
{
    auto c = config_of();
    c.use = use_rule::threshold;
    c.idle = 20s;
    c.threshold.packets = 3;
    c.threshold.window = 15s;
    scene s(c);
    s.up();
    s.after(16s);
    s.fsm.moved(10, 3);
    s.after(4s); // idle for 20 s, but for what this window has seen
    CHECK(s.did() == "");
    s.after(19s);
    CHECK(s.did() == "");
}

TEST_CASE("group machine: below the threshold nothing is use, not even new connections")
{
    auto c = config_of();
    c.use = use_rule::threshold;
    c.idle = 20s;
    scene s(c);
    s.up();
    s.after(10s);
    CHECK(s.client() == arrival::held);
    s.fsm.moved(100, 5);
    s.after(10s);
    CHECK(s.did() == "end holds, stop web");
}

TEST_CASE("group machine: a group that ends at once goes on with its wake for those who come back")
{
    scene s;
    s.client();
    s.did();
    for (int attempt = 1; attempt <= 3; ++attempt) {
        s.started("web");
        CHECK(s.did() == "ready, release");
        s.ends("web", 1);
        CHECK(s.did() == "ask web, end holds, wake failed");
        s.line("web", "bad settings");
        CHECK(s.fsm.state() == group_state::failed);
        CHECK(s.fsm.client_arrived(s.now, group_fsm::client_kind::back_again).what == arrival::waits);
        if (attempt == 1) CHECK(s.did() == "begun, start web"); // once without a pause
        if (attempt == 2) {
            CHECK(s.did() == "");
            CHECK(s.timer() == 1s);
            CHECK(s.did() == "begun, start web");
        }
    }
    CHECK(s.did() == "wake failed, refuse the group could not be started [container web exited with code 1 (3 attempts)|bad settings]");
}

TEST_CASE("group machine: who comes back has what is left of the time")
{
    scene s;
    s.client();
    s.after(29s);
    s.started("web");
    s.ends("web", 1);
    s.line("web");
    s.did();
    s.fsm.client_arrived(s.now, group_fsm::client_kind::back_again);
    CHECK(s.did() == "begun, start web");
    CHECK(s.timer() == 1s);
    CHECK(s.did() == "ask web");
}

TEST_CASE("group machine: a person wakes and stops it")
{
    scene s;
    SECTION("wake")
    {
        s.fsm.wake(s.now);
        CHECK(s.did() == "begun, start web");
        s.started("web");
        CHECK(s.did() == "ready");
        CHECK(s.timer() == 60s);
        CHECK(s.did() == "stop web");
    }
    SECTION("wake without waiting for the end of a pause")
    {
        s.client();
        s.fails(member_command::start, "web");
        s.did();
        s.fsm.wake(s.now);
        CHECK(s.did() == "start web");
    }
    SECTION("a wake that fails ends, too")
    {
        s.fsm.wake(s.now);
        s.fails(member_command::start, "web");
        s.timer();
        s.fails(member_command::start, "web");
        s.timer();
        s.did();
        s.fails(member_command::start, "web");
        CHECK(s.did() == "wake failed");
        CHECK(s.fsm.state() == group_state::failed);
    }
    SECTION("stop under open connections")
    {
        s.up();
        s.fsm.stop(s.now);
        CHECK(s.did() == "end holds, stop web");
        s.client(); // is served by the next start
        CHECK(s.did() == "");
        s.ends("web", 0);
        s.ok(member_command::stop, "web");
        CHECK(s.did() == "rested, begun, start web");
    }
    SECTION("stop while it starts")
    {
        s.fsm.wake(s.now);
        s.did();
        s.fsm.stop(s.now);
        CHECK(s.did() == "");
        s.started("web");
        CHECK(s.did() == "stop web");
    }
    SECTION("stop what rests")
    {
        s.fsm.stop(s.now);
        CHECK(s.did() == "");
        CHECK(s.fsm.state() == group_state::stopped);
    }
}

TEST_CASE("group machine: clients that wait for a stop are refused at their limit")
{
    scene s;
    s.up();
    s.fsm.stop(s.now);
    s.client();
    s.did();
    CHECK(s.timer() == 30s);
    CHECK(s.did() == "refuse the group was not ready in time [it is still being put to rest]");
}

TEST_CASE("group machine: after the end nothing goes out any more")
{
    scene s;
    s.client();
    s.did();
    s.fsm.shut_down();
    CHECK(s.did() == "refuse wake-proxy is ending [wake-proxy is ending]");
    s.started("web");
    s.after(1h);
    s.fsm.wake(s.now);
    s.fsm.stop(s.now);
    CHECK(s.did() == "");
    CHECK(s.fsm.client_arrived(s.now).error == wake::errc::shutting_down);
    CHECK_FALSE(s.fsm.next_timer());
}

TEST_CASE("group machine: news of strangers and of commands that nobody gave change nothing")
{
    scene s;
    s.fsm.member_removed("nobody", s.now);
    s.fsm.command_done("nobody", member_command::start, {}, {}, s.now);
    s.fsm.command_done("id-web", member_command::stop, podproxy::errc::malformed, "no", s.now);
    s.fsm.line_is("id-web", "hello", s.now);
    s.fsm.client_left(s.now);
    s.fsm.hold_dropped(s.now);
    s.fsm.use_noticed(s.now);
    s.fsm.tick(s.now);
    CHECK(s.did() == "");
    CHECK(s.last_report.empty());
    CHECK(s.fsm.state() == group_state::stopped);
}

TEST_CASE("group machine: addresses are those of members that run")
{
    scene s(config_of(), {container("db"), container("web")});
    CHECK(s.fsm.address().empty());
    s.up();
    s.change("db", [](member& m) { m.address = "10.0.0.2"; });
    s.change("web", [](member& m) { m.address = "10.0.0.3"; });
    CHECK(s.fsm.address() == "10.0.0.2");
    CHECK(s.fsm.address("web") == "10.0.0.3");
    CHECK(s.fsm.address("other").empty());
}
