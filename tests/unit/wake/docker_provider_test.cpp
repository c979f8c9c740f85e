#include <podproxy/wake/docker_provider.hpp>

#include <fakes/fake_docker_server.hpp>
#include <unit/support/poll_until.hpp>
#include <unit/support/spawned.hpp>

#include <asio/error.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

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
using namespace std::chrono_literals;
using test::docker_fault;
using test::fake_container;
using test::poll_until;
using test::spawned;
using wake::member_state;

namespace {

/// Keeps what it is told.
struct notes final : wake::member_observer {
    void on_snapshot(std::vector<wake::member> all) override
    {
        ++snapshots;
        members = std::move(all);
        log += "snapshot";
        for (auto const& m : members) log += " " + text(m);
        log += "\n";
    }
    void on_member(wake::member m) override
    {
        log += "member " + text(m) + "\n";
        std::erase_if(members, [&](auto const& o) { return o.id == m.id; });
        members.push_back(std::move(m));
    }
    void on_removed(std::string_view id) override
    {
        log += "removed " + std::string(id) + "\n";
        std::erase_if(members, [&](auto const& o) { return o.id == id; });
    }
    void on_lost(std::error_code ec, diagnostics const& why) override
    {
        ++lost;
        error = ec;
        error_text = why.text();
        log += "lost\n";
    }

    static std::string text(wake::member const& m)
    {
        std::string out = m.id + ":" + std::string(to_string(m.state));
        if (m.health != wake::health_state::none) out += "/" + std::string(to_string(m.health));
        if (!m.address.empty()) out += "@" + m.address;
        return out;
    }
    wake::member const* find(std::string_view id) const
    {
        auto const it = std::ranges::find(members, id, &wake::member::id);
        return it == members.end() ? nullptr : &*it;
    }
    bool is(std::string_view id, member_state state) const
    {
        auto const* const m = find(id);
        return m && m->state == state;
    }
    std::string take() { return std::exchange(log, {}); }

    std::vector<wake::member> members;
    std::string log;
    int snapshots = 0;
    int lost = 0;
    std::error_code error;
    std::string error_text;
};

struct fixture {
    explicit fixture(wake::docker_provider_config c = {}) : engine(ctx), config(std::move(c))
    {
        config.first_backoff = 2ms;
        config.most_backoff = 20ms;
        config.hostname = config.hostname.value_or("");
    }
    ~fixture() { stop(); }

    void begin()
    {
        docker::endpoint where;
        where.sockets = {engine.socket()};
        client = std::move(*docker::client::create(ctx.get_executor(), where, why, settings));
        provider = std::make_unique<wake::docker_provider>(ctx.get_executor(), *client, logger(), config);
        running = std::make_unique<spawned<int>>(ctx, run(*provider, seen));
    }
    /// With a first snapshot.
    void follow()
    {
        begin();
        REQUIRE(poll_until(ctx, [&] { return seen.snapshots == 1; }));
    }
    void stop()
    {
        if (!running) return;
        running->cancel();
        poll_until(ctx, [&] { return running->done(); });
        running.reset();
        provider.reset();
        client.reset();
        ctx.restart();
        ctx.poll();
    }
    static net::awaitable<int> run(wake::docker_provider& p, notes& n)
    {
        co_await p.run(n);
        co_return 0;
    }

    template <class Condition>
    bool until(Condition c)
    {
        bool const held = poll_until(ctx, c, 5s);
        if (!held) UNSCOPED_INFO("told so far:\n" << seen.log);
        return held;
    }
    /// Run what is ready, and what that makes ready, until nothing comes any more.
    void settle()
    {
        for (int quiet = 0, most = 50; quiet < 5 && most > 0; --most) {
            ctx.restart();
            quiet = ctx.run_for(1ms) == 0 ? quiet + 1 : 0;
        }
    }
    template <class T>
    T finish(net::awaitable<T> work)
    {
        spawned<T> s(ctx, std::move(work));
        REQUIRE(until([&] { return s.done(); }));
        return std::move(s.value());
    }
    wake::member member(std::string_view id) const
    {
        auto const* const m = seen.find(id);
        REQUIRE(m);
        return *m;
    }

    asio::io_context ctx{1};
    test::fake_docker_server engine;
    wake::docker_provider_config config;
    docker::client_config settings;
    notes seen;
    diagnostics why;
    std::unique_ptr<docker::client> client;
    std::unique_ptr<wake::docker_provider> provider;
    std::unique_ptr<spawned<int>> running;
};

fake_container web(std::string id = "web", std::string status = "exited")
{
    fake_container c;
    c.id = id;
    c.name = id;
    c.labels = {{"podproxy.wake.group", "shop"}};
    c.status = std::move(status);
    c.networks = {{"bridge", "172.17.0.2"}};
    return c;
}

fake_container service(std::string const& name, std::string const& depends_on = "", bool labelled = false)
{
    fake_container c = web(name);
    c.labels = {{"com.docker.compose.project", "p"}, {"com.docker.compose.service", name}};
    if (!depends_on.empty()) c.labels["com.docker.compose.depends_on"] = depends_on;
    if (labelled) c.labels["podproxy.wake.listen"] = "80";
    return c;
}

} // namespace

TEST_CASE("docker provider: events are followed before containers are listed, and members are inspected", "[wake][docker]")
{
    fixture f;
    f.engine.add(web());
    fake_container other = web("other", "running");
    other.labels.clear();
    f.engine.add(other);
    f.follow();
    CHECK(f.seen.take() == "snapshot web:stopped\n");
    std::vector<std::string> const expected{"GET /_ping", "GET /v1.41/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%7D",
                                            "GET /v1.41/containers/json?all=1", "GET /v1.41/containers/web/json"};
    CHECK(f.engine.requests == expected);
    CHECK(f.provider->name() == "docker");
    auto const m = f.member("web");
    CHECK(m.group == "shop");
    CHECK(m.exit_code == 0);
}

TEST_CASE("docker provider: an engine without members gives an empty snapshot at once", "[wake][docker]")
{
    fixture f;
    f.follow();
    CHECK(f.seen.take() == "snapshot\n");
}

TEST_CASE("docker provider: a start is told after one inspection", "[wake][docker]")
{
    fixture f;
    f.engine.add(web());
    f.follow();
    auto const before = f.engine.count("/json");
    CHECK(f.finish(f.provider->start(f.member("web"), f.why)));
    REQUIRE(f.until([&] { return f.seen.is("web", member_state::running); }));
    f.settle();
    CHECK(f.engine.count("/json") == before + 1);
    CHECK(f.seen.take() == "snapshot web:stopped\nmember web:running@172.17.0.2\n");
    // And once more: it runs already.
    CHECK(f.finish(f.provider->start(f.member("web"), f.why)));
    f.settle();
    CHECK(f.seen.take().empty());
}

TEST_CASE("docker provider: in the network of the machine the event alone is enough", "[wake][docker]")
{
    fixture f;
    auto c = web();
    c.network_mode = "host";
    c.networks.clear();
    c.health = "unhealthy";
    f.engine.add(c);
    f.follow();
    docker_fault slow;
    slow.match = "/web/json";
    slow.what = docker_fault::kind::stall;
    f.engine.faults.push_back(slow);
    f.engine.become("web", "running", "start");
    REQUIRE(f.until([&] { return f.seen.is("web", member_state::running); }));
    CHECK(f.member("web").address == "127.0.0.1");
    CHECK(f.member("web").health == wake::health_state::starting);
}

TEST_CASE("docker provider: what an inspection says again is not told again", "[wake][docker]")
{
    fixture f;
    auto c = web();
    c.network_mode = "host";
    c.networks.clear();
    f.engine.add(c);
    f.follow();
    f.seen.take();
    CHECK(f.finish(f.provider->start(f.member("web"), f.why)));
    f.settle();
    CHECK(f.seen.take() == "member web:running@127.0.0.1\n");
    f.engine.emit("update", "web");
    f.settle();
    CHECK(f.seen.take().empty());
    // A start that is told late, as by Podman, does not make a healthy container one that starts.
    f.engine["web"].health = "healthy";
    f.engine.emit("health_status: healthy", "web");
    f.settle();
    CHECK(f.seen.take() == "member web:running/healthy@127.0.0.1\n");
    f.engine.emit("start", "web");
    f.settle();
    CHECK(f.seen.take().empty());
}

TEST_CASE("docker provider: events that come late are not waited for after a command of ours", "[wake][docker]")
{
    fixture f;
    f.engine.add(web());
    f.follow();
    f.engine.event_piece = SIZE_MAX;
    f.engine.end_events(); // the stream is gone; what is left is the command's own success
    CHECK(f.finish(f.provider->start(f.member("web"), f.why)));
    CHECK(f.until([&] { return f.seen.is("web", member_state::running); }));
}

TEST_CASE("docker provider: a container's life from outside, events cut anywhere", "[wake][docker]")
{
    auto const piece = GENERATE(std::size_t{1}, std::size_t{7}, std::size_t{100}, SIZE_MAX);
    auto const between = GENERATE(std::string("\n"), std::string(), std::string("\r\n\x1e"));
    fixture f;
    f.engine.event_piece = piece;
    f.engine.between_events = between;
    auto c = web();
    c.health = "starting";
    f.engine.add(c);
    f.follow();
    auto const expect = [&](char const* line) {
        INFO("piece " << piece << ", expected " << line);
        CHECK(f.until([&] { return f.seen.log == line; }));
        f.settle();
        CHECK(f.seen.take() == line);
    };
    expect("snapshot web:stopped/starting\n");
    f.engine.become("web", "running", "start");
    expect("member web:running/starting@172.17.0.2\n");
    f.engine["web"].health = "healthy";
    f.engine.emit("health_status: healthy", "web");
    expect("member web:running/healthy@172.17.0.2\n");
    f.engine.emit("exec_start: /bin/check", "web");
    f.engine.become("web", "paused", "pause");
    expect("member web:paused/healthy@172.17.0.2\n");
    f.engine.become("web", "running", "unpause");
    expect("member web:running/healthy@172.17.0.2\n");
    f.engine.become("web", "restarting", "die", 1);
    expect("member web:starting/healthy\n");
    f.engine.become("web", "exited", "die", 137);
    expect("member web:stopped/healthy\n");
    CHECK(f.member("web").exit_code == 137);
    f.engine.remove("web");
    expect("removed web\n");
    f.engine.add(web("again"));
    expect("member again:stopped\n");
    f.engine["again"].networks["bridge"] = "172.17.0.9";
    f.engine.become("again", "running", "start");
    expect("member again:running@172.17.0.9\n");
    f.engine["again"].networks["bridge"] = "172.17.0.10";
    f.engine.emit("connect", "again", "network");
    expect("member again:running@172.17.0.10\n");
    f.engine.become("again", "dead", "die");
    expect("member again:dead\n");
}

TEST_CASE("docker provider: names count, also when they change", "[wake][docker]")
{
    wake::docker_provider_config c;
    c.rules.groups["mine"] = {"chosen"};
    fixture f(c);
    auto one = web("one");
    one.labels.clear();
    f.engine.add(one);
    f.follow();
    CHECK(f.seen.take() == "snapshot\n");
    f.engine["one"].name = "chosen";
    f.engine.emit("rename", "one");
    REQUIRE(f.until([&] { return f.seen.log == "member one:stopped\n"; }));
    f.seen.take();
    f.engine["one"].name = "two";
    f.engine.emit("rename", "one");
    REQUIRE(f.until([&] { return f.seen.log == "removed one\n"; }));
}

TEST_CASE("docker provider: events of strangers cost nothing", "[wake][docker]")
{
    fixture f;
    f.engine.add(web());
    auto stranger = web("stranger");
    stranger.labels.clear();
    f.engine.add(stranger);
    f.follow();
    auto const before = f.engine.requests.size();
    f.engine.become("stranger", "running", "start");
    f.engine.emit("connect", "stranger", "network");
    f.engine.become("stranger", "exited", "die");
    f.engine.remove("stranger");
    f.settle();
    CHECK(f.engine.requests.size() == before);
    f.engine.emit("start", "never-heard-of"); // may have been made between two events
    f.settle();
    CHECK(f.engine.requests.size() == before + 1);
    CHECK(f.seen.take() == "snapshot web:stopped\n");
}

TEST_CASE("docker provider: many events of one container lead to few inspections", "[wake][docker]")
{
    fixture f;
    f.engine.add(web("web", "running"));
    f.follow();
    auto const before = f.engine.requests.size();
    for (int i = 0; i < 100; ++i) f.engine.emit("health_status: healthy", "web");
    f.settle();
    CHECK(f.engine.requests.size() <= before + 10);
}

TEST_CASE("docker provider: commands go to the container, and failures name it", "[wake][docker]")
{
    fixture f;
    f.engine.add(web("web", "running"));
    f.follow();
    auto& p = *f.provider;
    auto const m = f.member("web");
    CHECK(f.finish(p.pause(m, f.why)));
    REQUIRE(f.until([&] { return f.seen.is("web", member_state::paused); }));
    CHECK(f.finish(p.pause(m, f.why))); // already
    CHECK(f.finish(p.unpause(m, f.why)));
    REQUIRE(f.until([&] { return f.seen.is("web", member_state::running); }));
    CHECK(f.finish(p.unpause(m, f.why)));
    wake::resources limits;
    limits.memory_bytes = 1 << 20;
    limits.nano_cpus = 5;
    CHECK(f.finish(p.set_resources(m, limits, f.why)));
    CHECK(f.engine.bodies.back() == R"({"Memory":1048576,"MemorySwap":-1,"NanoCpus":5})");
    CHECK(f.finish(p.stop(m, 7s, f.why)));
    CHECK(f.engine.count("POST /v1.41/containers/web/stop?t=7") == 1);
    REQUIRE(f.until([&] { return f.seen.is("web", member_state::stopped); }));
    CHECK(f.finish(p.stop(m, std::nullopt, f.why)));
    CHECK(f.engine.requests.back() == "POST /v1.41/containers/web/stop");
    f.engine["web"].log = "x\nlast words\n";
    CHECK(f.finish(p.last_line(m)) == "last words");

    f.engine["web"].start_error = "no such file";
    CHECK(f.finish(p.start(m, f.why)).error() == docker::errc::engine_error);
    CHECK(f.why.text() == "can't start web: the container engine answered 400: no such file");
    f.engine.faults.push_back({.match = "POST "});
    CHECK_FALSE(f.finish(p.stop(m, std::nullopt, f.why)));
    CHECK(f.why.message.starts_with("can't stop web: "));
    CHECK_FALSE(f.finish(p.pause(m, f.why)));
    CHECK(f.why.message.starts_with("can't pause web: "));
    CHECK_FALSE(f.finish(p.set_resources(m, limits, f.why)));
    CHECK(f.why.message.starts_with("can't change the limits of web: "));
    f.engine.faults.push_back({.match = "/logs", .code = 403});
    CHECK(f.finish(p.last_line(m)).empty());
}

TEST_CASE("docker provider: a slow start holds up nobody", "[wake][docker]")
{
    fixture f;
    auto slow = web("slow");
    slow.start_takes = 1h;
    f.engine.add(slow);
    f.engine.add(web("quick"));
    f.follow();
    diagnostics ignored;
    spawned<result<void>> hanging(f.ctx, f.provider->start(f.member("slow"), ignored)); // the member is a temporary
    REQUIRE(f.until([&] { return f.engine.count("/slow/start") == 1; }));
    f.engine.emit("update", "slow"); // its inspection waits for the start, as in Docker
    CHECK(f.finish(f.provider->start(f.member("quick"), f.why)));
    CHECK(f.until([&] { return f.seen.is("quick", member_state::running); }));
    CHECK_FALSE(hanging.done());
    hanging.cancel();
    f.settle();
    CHECK(hanging.error() == asio::error::operation_aborted);
}

TEST_CASE("docker provider: a container that can't be inspected in time does not hold up the snapshot", "[wake][docker]")
{
    wake::docker_provider_config c;
    c.snapshot_limit = 20ms;
    fixture f(c);
    f.engine.add(web("a", "running"));
    f.engine.add(web("b")).starting = true;
    f.follow();
    CHECK(f.seen.take() == "snapshot a:running@172.17.0.2 b:stopped\n");
    f.engine["b"].starting = false;
    f.engine["b"].status = "running";
    CHECK(f.until([&] { return f.seen.log == "member b:running@172.17.0.2\n"; }));
}

TEST_CASE("docker provider: an inspection that fails is tried again", "[wake][docker]")
{
    auto const what = GENERATE(docker_fault::kind::status, docker_fault::kind::close, docker_fault::kind::truncate, docker_fault::kind::garbage,
                               docker_fault::kind::plain, docker_fault::kind::huge);
    fixture f;
    f.engine.add(web());
    f.engine.faults.push_back({.match = "/web/json", .what = what, .code = what == docker_fault::kind::huge ? 9 : 500, .times = 3});
    f.follow();
    CHECK(f.seen.take() == "snapshot web:stopped\n");
    CHECK(f.engine.count("/web/json") == 4);
    CHECK(f.seen.lost == 0);
}

TEST_CASE("docker provider: a filter that forbids what is needed is told", "[wake][docker]")
{
    auto const path = GENERATE(std::string("/events"), std::string("/containers/json"), std::string("/web/json"));
    fixture f;
    f.engine.add(web());
    f.engine.faults.push_back({.match = path, .code = 403, .text = "Forbidden"});
    f.begin();
    REQUIRE(f.until([&] { return f.seen.lost == 1; }));
    CHECK(f.seen.error == docker::errc::forbidden);
    CHECK(f.seen.error_text.find("does not allow it (403): Forbidden") != std::string::npos);
    auto const asked = f.engine.requests.size();
    REQUIRE(f.until([&] { return f.engine.requests.size() > asked + 6; }));
    CHECK(f.seen.lost == 1); // once is enough
    f.engine.faults.clear();
    CHECK(f.until([&] { return f.seen.snapshots == 1; }));
}

TEST_CASE("docker provider: without _ping requests have no version", "[wake][docker]")
{
    fixture f;
    f.engine.add(web());
    SECTION("forbidden") { f.engine.faults.push_back({.match = "/_ping", .code = 403}); }
    SECTION("no version in it") { f.engine.version.clear(); }
    SECTION("nonsense in it") { f.engine.version = "1.4/../x"; }
    f.follow();
    CHECK(f.engine.requests.back() == "GET /containers/web/json");
}

TEST_CASE("docker provider: an engine that goes and comes back", "[wake][docker]")
{
    fixture f;
    f.engine.add(web("web", "running"));
    f.follow();
    SECTION("its events end")
    {
        f.engine.end_events();
        REQUIRE(f.until([&] { return f.seen.snapshots == 2; }));
        CHECK(f.seen.lost == 1);
        CHECK(f.seen.error == podproxy::errc::truncated);
        CHECK(f.seen.error_text.find("has ended its events") != std::string::npos);
    }
    SECTION("it is gone for a while")
    {
        f.engine.down();
        REQUIRE(f.until([&] { return f.seen.lost >= 2; }));
        CHECK(f.seen.error == docker::errc::unreachable);
        CHECK_FALSE(f.finish(f.provider->start(f.member("web"), f.why)));
        CHECK(f.why.message.starts_with("can't start web: can't reach the container engine at unix://"));
        f.engine["web"].status = "exited";
        f.engine.add(web("new"));
        f.engine.up();
        REQUIRE(f.until([&] { return f.seen.snapshots == 2; }));
        CHECK(f.seen.lost == 2);
        CHECK(f.seen.is("web", member_state::stopped));
        CHECK(f.seen.is("new", member_state::stopped));
    }
    SECTION("its events are no JSON")
    {
        f.engine.send_events("<html>");
        REQUIRE(f.until([&] { return f.seen.snapshots == 2; }));
        CHECK(f.seen.error == cond::malformed);
    }
    SECTION("an event is larger than any should be")
    {
        f.engine.send_events("{\"x\":\"" + std::string(docker::max_event_bytes, 'x'));
        REQUIRE(f.until([&] { return f.seen.snapshots == 2; }));
        CHECK(f.seen.error == cond::too_large);
    }
    SECTION("what is no event is passed over")
    {
        f.engine.send_events("{}{\"a\":1}\n");
        f.engine.become("web", "paused", "pause");
        CHECK(f.until([&] { return f.seen.is("web", member_state::paused); }));
        CHECK(f.seen.lost == 0);
    }
    f.engine.emit("oom", "web");
    f.settle();
    CHECK(f.engine.event_streams() == 1);
}

TEST_CASE("docker provider: an engine that hangs is found by asking, one that is quiet is left alone", "[wake][docker]")
{
    fixture f;
    f.config.check_every = 5ms;
    f.settings.answer_limit = 30ms;
    f.engine.add(web());
    f.follow();
    REQUIRE(f.until([&] { return f.engine.count("/_ping") > 4; }));
    CHECK(f.seen.lost == 0);
    CHECK(f.seen.snapshots == 1);
    docker_fault hang;
    hang.what = docker_fault::kind::stall;
    f.engine.faults.push_back(hang);
    REQUIRE(f.until([&] { return f.seen.lost == 1; }));
    CHECK(f.seen.error == podproxy::errc::timed_out);
    CHECK(f.seen.error_text.find("within 30ms") != std::string::npos);
    f.engine.faults.clear();
    CHECK(f.until([&] { return f.seen.snapshots == 2; }));
}

TEST_CASE("docker provider: answers that are broken in every way lead to another try", "[wake][docker]")
{
    auto const path = GENERATE(std::string("/_ping"), std::string("/events"), std::string("/containers/json"));
    auto const what = GENERATE(docker_fault::kind::close, docker_fault::kind::truncate, docker_fault::kind::garbage, docker_fault::kind::status);
    fixture f;
    f.engine.add(web());
    f.engine.faults.push_back({.match = path, .what = what, .times = 2});
    f.begin();
    INFO(path << " " << static_cast<int>(what));
    CHECK(f.until([&] { return f.seen.snapshots >= 1 && f.seen.is("web", member_state::stopped); }));
}

TEST_CASE("docker provider: in a container, addresses of shared networks count, and our own container is left alone", "[wake][docker]")
{
    wake::docker_provider_config c;
    c.hostname = "0123456789ab";
    fixture f(c);
    auto us = web("0123456789abcdef", "running");
    us.networks = {{"back", "10.1.0.9"}};
    f.engine.add(us);
    auto m = web("web", "running");
    m.networks = {{"alpha", "10.0.0.2"}, {"back", "10.1.0.2"}};
    f.engine.add(m);
    f.follow();
    CHECK(f.seen.take() == "snapshot web:running@10.1.0.2\n");
    f.engine["0123456789abcdef"].networks = {{"alpha", "10.0.0.9"}};
    f.engine.emit("disconnect", "0123456789abcdef", "network");
    CHECK(f.until([&] { return f.seen.log == "member web:running@10.0.0.2\n"; }));
}

TEST_CASE("docker provider: a dependency comes along when a member that needs it appears", "[wake][docker]")
{
    fixture f;
    f.engine.add(service("db"));
    f.follow();
    CHECK(f.seen.take() == "snapshot\n");
    f.engine.become("db", "running", "start"); // nobody's affair yet: not looked at
    f.engine.add(service("web", "db:service_started:false", true));
    REQUIRE(f.until([&] { return f.seen.find("db") && f.seen.find("web"); }));
    CHECK(f.seen.is("db", member_state::running));
    CHECK(f.member("db").group == "web");
    f.settle();
    f.seen.take();
    f.engine.remove("web");
    REQUIRE(f.until([&] { return f.seen.members.empty(); }));
}

TEST_CASE("docker provider: what two groups depend on is stopped when the second lets it go", "[wake][docker]")
{
    fixture f;
    f.engine.add(service("a", "db", true));
    f.engine.add(service("b", "db", true));
    f.engine.add(service("db"));
    f.follow();
    auto& p = *f.provider;
    auto const both = [&](member_state in_a, member_state in_b) {
        return f.until([&] { return f.seen.is("db@a", in_a) && f.seen.is("db@b", in_b); });
    };
    CHECK(both(member_state::stopped, member_state::stopped));
    CHECK(f.finish(p.start(f.member("db@a"), f.why)));
    CHECK(both(member_state::running, member_state::stopped));
    CHECK(f.finish(p.start(f.member("a"), f.why)));
    CHECK(f.finish(p.start(f.member("db@b"), f.why))); // runs already
    CHECK(both(member_state::running, member_state::running));
    CHECK(f.finish(p.start(f.member("b"), f.why)));
    REQUIRE(f.until([&] { return f.seen.is("a", member_state::running) && f.seen.is("b", member_state::running); }));
    wake::resources limits;
    limits.nano_cpus = 1;
    CHECK(f.finish(p.set_resources(f.member("db@a"), limits, f.why)));
    CHECK(f.engine.bodies.empty()); // not under the other's feet

    SECTION("stopped")
    {
        CHECK(f.finish(p.stop(f.member("a"), std::nullopt, f.why)));
        REQUIRE(f.until([&] { return f.seen.is("a", member_state::stopped); }));
        CHECK(f.finish(p.stop(f.member("db@a"), std::nullopt, f.why)));
        CHECK(both(member_state::stopped, member_state::running));
        CHECK(f.engine["db"].status == "running");
        CHECK(f.finish(p.stop(f.member("b"), std::nullopt, f.why)));
        CHECK(f.finish(p.stop(f.member("db@b"), std::nullopt, f.why)));
        CHECK(both(member_state::stopped, member_state::stopped));
        CHECK(f.engine["db"].status == "exited");
        // And again from the start.
        CHECK(f.finish(p.start(f.member("db@b"), f.why)));
        CHECK(both(member_state::stopped, member_state::running));
    }
    SECTION("paused")
    {
        CHECK(f.finish(p.pause(f.member("a"), f.why)));
        REQUIRE(f.until([&] { return f.seen.is("a", member_state::paused); }));
        CHECK(f.finish(p.pause(f.member("db@a"), f.why)));
        CHECK(both(member_state::paused, member_state::running));
        CHECK(f.engine["db"].status == "running");
        CHECK(f.finish(p.unpause(f.member("db@a"), f.why)));
        CHECK(both(member_state::running, member_state::running));
        CHECK(f.finish(p.pause(f.member("db@a"), f.why)));
        CHECK(f.finish(p.pause(f.member("b"), f.why)));
        CHECK(f.finish(p.pause(f.member("db@b"), f.why)));
        CHECK(f.engine["db"].status == "paused");
        CHECK(both(member_state::paused, member_state::paused));
        CHECK(f.finish(p.unpause(f.member("db@b"), f.why)));
        CHECK(f.engine["db"].status == "running");
        CHECK(both(member_state::paused, member_state::running));
    }
}

TEST_CASE("docker provider: may be cancelled at every point, and leaves no connection behind", "[wake][docker]")
{
    for (std::size_t n = 0;; ++n) {
        INFO(n);
        fixture f;
        f.engine.add(web());
        f.begin();
        for (std::size_t i = 0; i < n && f.seen.snapshots == 0; ++i) {
            f.ctx.restart();
            f.ctx.run_one_for(100ms);
        }
        bool const ready = f.seen.snapshots != 0;
        f.running->cancel();
        REQUIRE(f.until([&] { return f.running->done(); }));
        auto const before = f.seen.log;
        f.engine.emit("start", "web");
        f.settle();
        CHECK(f.seen.log == before);
        CHECK(f.engine.event_streams() == 0);
        if (ready) {
            CHECK(n > 5);
            break;
        }
    }
}
