#include <podproxy/wake/server.hpp>

#include "wake_ports.hpp"

#include <asio/ip/udp.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace podproxy;
using namespace std::chrono_literals;
using test::end_point;
using test::fake_member;
using test::late_server;
using wake::group_state;

namespace {

net::awaitable<result<void>> ran(wake::server& s)
{
    co_await s.run();
    co_return result<void>{};
}
net::awaitable<result<void>> drained(wake::server& s, std::chrono::milliseconds limit)
{
    co_await s.drain(limit);
    co_return result<void>{};
}

wake::port_config port_for(std::string group, std::uint16_t to, wake::port_protocol protocol = wake::port_protocol::tcp)
{
    wake::port_config p;
    p.protocol = protocol;
    p.listen = host_port("127.0.0.1", 0);
    wake::target_config t;
    t.group = std::move(group);
    t.address = host_port("127.0.0.1", to);
    p.targets.push_back(t);
    return p;
}

/// Lines of the log.
struct lines final : log_sink {
    std::vector<std::string> all;
    bool wants(log_level level) const noexcept override { return level != log_level::debug; }
    void write(log_event const& e) noexcept override { all.push_back(format_log_text(e, std::nullopt)); }
    std::size_t count(std::string_view part) const
    {
        return static_cast<std::size_t>(std::ranges::count_if(all, [part](std::string const& l) { return l.find(part) != std::string::npos; }));
    }
};

/// wake-proxy with one engine or two, and one server behind it.
struct scene {
    scene() : one(ctx.get_executor()), two(ctx.get_executor()), behind(ctx) {}
    ~scene()
    {
        if (!proxy) return;
        drain(0ms);
        running->cancel();
        CHECK(until([&] { return running->done(); }));
    }

    std::vector<std::string> start(wake::settings what, wake::server_config config = {}, bool both = false)
    {
        std::vector<wake::provider*> engines{&one};
        if (both) engines.push_back(&two);
        proxy.emplace(ctx.get_executor(), std::move(what), engines, logger(log, "wake"), std::move(config));
        auto out = proxy->open();
        running.emplace(ctx, ran(*proxy));
        run();
        return out;
    }
    void drain(std::chrono::milliseconds limit)
    {
        test::spawned<result<void>> d(ctx, drained(*proxy, limit));
        CHECK(until([&] { return d.done(); }));
    }
    void run()
    {
        ctx.restart();
        ctx.poll();
    }
    template <class Condition>
    bool until(Condition c)
    {
        return test::poll_until(ctx, std::move(c));
    }
    asio::ip::tcp::endpoint at(std::size_t i = 0) const { return {asio::ip::address_v4::loopback(), proxy->ports().at(i).listen.port}; }
    end_point connect(std::size_t i = 0) { return end_point(ctx, at(i)); }
    wake::group_status status(std::string_view group) const
    {
        for (auto& s : proxy->status())
            if (s.name == group) return s;
        return {};
    }

    asio::io_context ctx{1};
    lines log;
    test::fake_wake_provider one;
    test::fake_wake_provider two;
    late_server behind;
    std::optional<wake::server> proxy;
    std::optional<test::spawned<result<void>>> running;
};

/// As labels would say: each member with the label `port` has a port of its own for its group.
wake::settings by_labels(std::span<wake::member const> all, wake::settings known, std::uint16_t to)
{
    for (wake::member const& m : all) {
        auto const port = m.labels.find("port");
        if (port == m.labels.end()) continue;
        wake::group_config g;
        g.name = m.group;
        if (auto const idle = m.labels.find("idle"); idle != m.labels.end()) g.idle = std::chrono::seconds(std::stoi(idle->second));
        known.groups.push_back(g);
        wake::port_config p = port_for(m.group, to);
        p.listen.port = static_cast<std::uint16_t>(std::stoi(port->second));
        if (m.labels.contains("closed")) p.filter.allow = {*parse_cidr("192.0.2.1")};
        known.ports.push_back(p);
    }
    return known;
}

std::uint16_t free_port(asio::io_context& ctx) { return late_server(ctx).port(); }

} // namespace

TEST_CASE("wake server: groups of the settings are woken through their ports, and all is told")
{
    scene s;
    s.one.put(fake_member("web", "shop"));
    s.one.put(fake_member("db", "data"));
    wake::settings what;
    wake::group_config g;
    g.name = "shop";
    what.groups.push_back(g);
    what.ports = {port_for("shop", s.behind.port()), port_for("data", s.behind.port())}; // data has the defaults
    CHECK(s.start(what).empty());
    s.behind.listen();

    end_point c = s.connect(0);
    c.send("hello");
    end_point up = s.behind.accept();
    CHECK(up.read(5) == "hello");
    CHECK(s.one.commands == std::vector<std::string>{"start web"});
    CHECK(s.status("shop").state == group_state::running);
    CHECK(s.status("data").state == group_state::stopped);
    CHECK(s.status("shop").last_starts.front().reason.starts_with("127.0.0.1:"));
    REQUIRE(s.proxy->traffic_of("shop"));
    CHECK(s.proxy->traffic_of("shop")->open == 1);
    CHECK(s.proxy->traffic_of("nobody") == nullptr);
    CHECK(s.proxy->total().to_server == 5);
    auto const ports = s.proxy->ports();
    REQUIRE(ports.size() == 2);
    CHECK(ports[0].groups == std::vector<std::string>{"shop"});
    CHECK(ports[0].listen.port != 0);
    CHECK_FALSE(ports[0].from_labels);
    CHECK(s.log.count("listening") == 2);

    CHECK(s.proxy->wake_now("data", "status page"));
    CHECK(s.until([&] { return s.status("data").state == group_state::idle; }));
    CHECK(s.proxy->stop_now("data"));
    CHECK(s.until([&] { return s.status("data").state == group_state::stopped; }));
    CHECK_FALSE(s.proxy->wake_now("nobody", "x"));
    CHECK_FALSE(s.proxy->stop_now("nobody"));
}

TEST_CASE("wake server: a port that can't be had is one line, and the others are open")
{
    scene s;
    late_server taken(s.ctx);
    taken.listen();
    wake::settings what;
    what.ports = {port_for("a", 1), port_for("b", 1), port_for("c", 1), port_for("d", 1)};
    what.ports[0].listen.port = taken.port();
    what.ports[1].listen.host = "not.an.address";
    what.ports[3].listen.host = "localhost";
    auto const problems = s.start(what);
    REQUIRE(problems.size() == 2);
    CHECK(problems[0].find("can't listen on 127.0.0.1:" + std::to_string(taken.port()) + "/tcp for group a: ") == 0);
    CHECK(problems[1].find("this is no address") != std::string::npos);
    auto const ports = s.proxy->ports();
    REQUIRE(ports.size() == 4);
    CHECK_FALSE(ports[0].error.empty());
    CHECK(ports[2].error.empty());
    end_point c = s.connect(2);
    end_point d = s.connect(3);
}

TEST_CASE("wake server: two groups that want one port get one clear line, and the first keeps it")
{
    scene s;
    s.one.put(fake_member("a", "a"));
    s.one.put(fake_member("b", "b"));
    wake::settings what;
    what.ports = {port_for("a", s.behind.port()), port_for("b", s.behind.port())};
    what.ports[0].listen.port = what.ports[1].listen.port = free_port(s.ctx);
    auto const problems = s.start(what);
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].find("is wanted by group a and by group b: the first one keeps it") != std::string::npos);
    s.behind.listen();
    end_point c = s.connect();
    c.send("x");
    end_point up = s.behind.accept();
    CHECK(s.one.commands == std::vector<std::string>{"start a"});
}

TEST_CASE("wake server: ports of labels come and go with their members, after a while")
{
    scene s;
    std::uint16_t const port = free_port(s.ctx);
    wake::server_config config;
    config.labels_stay = 40ms;
    config.with_labels = [&](std::span<wake::member const> all, wake::settings known) { return by_labels(all, std::move(known), s.behind.port()); };
    s.start({}, config);
    CHECK(s.proxy->ports().empty());

    wake::member m = fake_member("web", "shop");
    m.labels["port"] = std::to_string(port);
    s.one.put(m);
    s.run();
    REQUIRE(s.proxy->ports().size() == 1);
    CHECK(s.proxy->ports()[0].from_labels);
    s.behind.listen();
    end_point c = s.connect();
    c.send("hello");
    end_point up = s.behind.accept();
    CHECK(up.read(5) == "hello");

    SECTION("removed for good: the port closes, the connection stays")
    {
        s.one.remove("web");
        s.run();
        CHECK(s.proxy->ports().size() == 1);
        CHECK(s.until([&] { return s.proxy->ports().empty(); }));
        CHECK(s.proxy->status().empty());
        up.send("still");
        CHECK(c.read(5) == "still");
        CHECK(s.proxy->total().to_server == 5);
    }
    SECTION("made anew: nobody notices")
    {
        s.one.recreate("web");
        s.run();
        CHECK(s.proxy->ports().size() == 1);
        end_point d = s.connect();
        d.send("again");
        std::optional<end_point> next;
        REQUIRE(s.until([&] { return (next = s.behind.accept_now()).has_value(); }));
        CHECK(next->read(5) == "again");
        CHECK(s.one.count("start web") == 2);
        auto const until = net::clock::now() + 80ms;
        s.until([&] { return net::clock::now() >= until; });
        CHECK(s.proxy->ports().size() == 1);
    }
    SECTION("other rules for the port hold from now on")
    {
        s.one.change("web", [](wake::member& w) { w.labels["closed"] = "yes"; });
        s.run();
        end_point d = s.connect();
        d.read_to_end();
        CHECK(s.proxy->total().refused[static_cast<std::size_t>(wake::refusal::source)] == 1);
        s.one.change("web", [](wake::member& w) { w.labels.erase("closed"); });
        s.run();
        end_point e = s.connect();
        e.send("open");
        end_point next = s.behind.accept();
        CHECK(next.read(4) == "open");
    }
    SECTION("another port")
    {
        std::uint16_t const other = free_port(s.ctx);
        s.one.change("web", [&](wake::member& w) { w.labels["port"] = std::to_string(other); });
        s.run();
        REQUIRE(s.proxy->ports().size() == 1);
        CHECK(s.proxy->ports()[0].listen.port == other);
    }
}

TEST_CASE("wake server: a client that waits while its group gets other settings is served by the new one")
{
    scene s;
    std::uint16_t const port = free_port(s.ctx);
    wake::server_config config;
    config.with_labels = [&](std::span<wake::member const> all, wake::settings known) { return by_labels(all, std::move(known), s.behind.port()); };
    wake::member m = fake_member("web", "shop");
    m.labels["port"] = std::to_string(port);
    s.one.put(m);
    s.one.by_hand.insert("start web");
    s.start({}, config);
    s.behind.listen();
    end_point c = s.connect();
    c.send("hello");
    REQUIRE(s.until([&] { return s.one.waits("start web"); }));
    s.one.by_hand.clear();
    s.one.change("web", [](wake::member& w) { w.labels["idle"] = "77"; });
    end_point up = s.behind.accept();
    CHECK(up.read(5) == "hello");
    CHECK(s.log.count("a group has other settings now") == 1);
    CHECK(s.proxy->total().refused_in_all() == 0);
}

TEST_CASE("wake server: each engine runs its own members, and the loss of one is not that of the other")
{
    scene s;
    s.two.engine_name = "kubernetes cluster here";
    s.one.put(fake_member("web", "a"));
    wake::member m = fake_member("pod", "b");
    s.two.put(m);
    wake::settings what;
    what.ports = {port_for("a", s.behind.port()), port_for("b", s.behind.port())};
    s.start(what, {}, true);
    s.behind.listen();
    s.two.lose();
    s.run();
    CHECK_FALSE(s.status("b").engine_reachable);
    CHECK(s.status("a").engine_reachable);
    end_point c = s.connect(0);
    c.send("1");
    end_point up = s.behind.accept();
    CHECK(up.read(1) == "1");
    CHECK(s.one.commands == std::vector<std::string>{"start web"});
    s.two.come_back();
    end_point d = s.connect(1);
    d.send("2");
    end_point up2 = s.behind.accept();
    CHECK(up2.read(1) == "2");
    CHECK(s.two.commands == std::vector<std::string>{"start pod"});
}

TEST_CASE("wake server: members that change their group are told to both")
{
    scene s;
    s.one.put(fake_member("web", "a"));
    wake::settings what;
    what.ports = {port_for("a", s.behind.port()), port_for("b", s.behind.port())};
    s.start(what);
    CHECK(s.status("a").members.size() == 1);
    s.one.change("web", [](wake::member& m) { m.group = "b"; });
    s.run();
    CHECK(s.status("a").members.empty());
    CHECK(s.status("b").members.size() == 1);
    s.one.remove("web");
    s.run();
    CHECK(s.status("b").members.empty());
}

TEST_CASE("wake server: drain serves who waits, lets connections end, and lets nobody in")
{
    scene s;
    s.one.put(fake_member("web", "shop"));
    wake::settings what;
    what.ports = {port_for("shop", s.behind.port())};
    s.start(what);
    s.one.by_hand.insert("start web");
    end_point c = s.connect();
    c.send("hello");
    REQUIRE(s.until([&] { return s.proxy->total().waiting == 1; }));
    CHECK(s.status("shop").waiting == 1);
    auto const where = s.at();

    SECTION("in time")
    {
        test::spawned<result<void>> d(s.ctx, drained(*s.proxy, 20s));
        s.run();
        net::tcp_socket late(s.ctx);
        std::error_code refused;
        late.connect(where, refused);
        CHECK(refused == cond::refused);
        s.one.finish("start web");
        s.behind.listen();
        end_point up = s.behind.accept();
        CHECK(up.read(5) == "hello");
        up.send("bye");
        CHECK(c.read(3) == "bye");
        CHECK_FALSE(d.done());
        up.end();
        c.end();
        CHECK(s.until([&] { return d.done(); }));
    }
    SECTION("not in time: who waits is refused")
    {
        bool const at_the_port = GENERATE(false, true);
        if (at_the_port) {
            s.one.finish("start web");
            REQUIRE(s.until([&] { return s.status("shop").state == group_state::running; }));
        }
        s.drain(10ms);
        c.read_to_end();
        CHECK(*c.ended == asio::error::connection_reset);
    }
    CHECK(s.one.count("stop web") == 0);
}

TEST_CASE("wake server: sockets that somebody else has opened are taken for their ports")
{
    scene s;
    s.one.put(fake_member("web", "shop"));
    auto listening = net::listener::open(s.ctx.get_executor(), {asio::ip::address_v4::loopback(), 0});
    REQUIRE(listening);
    auto const where = listening->local_endpoint();
    auto bound = net::udp_socket::bind(s.ctx.get_executor(), {asio::ip::address_v4::loopback(), 0});
    REQUIRE(bound);
    wake::settings what;
    what.ports = {port_for("shop", s.behind.port()), port_for("shop", s.behind.port(), wake::port_protocol::udp)};
    what.ports[0].listen = host_port("localhost", where.port());
    what.ports[1].listen = host_port("127.0.0.1", bound->local_endpoint().port());
    s.proxy.emplace(s.ctx.get_executor(), what, std::vector<wake::provider*>{&s.one}, logger(), wake::server_config());
    s.proxy->adopt(std::move(*listening));
    s.proxy->adopt(std::move(*bound));
    CHECK(s.proxy->open().empty());
    s.running.emplace(s.ctx, ran(*s.proxy));
    s.behind.listen();
    end_point c(s.ctx, where);
    c.send("x");
    end_point up = s.behind.accept();
    CHECK(up.read(1) == "x");
}

TEST_CASE("wake server: without an address every one of the machine is listened on, by both families")
{
    scene s;
    wake::settings what;
    what.ports = {port_for("a", 1), port_for("a", 1, wake::port_protocol::udp)};
    what.ports[0].listen.host.clear();
    what.ports[1].listen.host.clear();
    CHECK(s.start(what).empty());
    end_point four(s.ctx, s.at());
    net::tcp_socket six(s.ctx);
    std::error_code ec;
    six.connect({asio::ip::address_v6::loopback(), s.at().port()}, ec);
    CHECK((!ec || ec != cond::refused)); // a machine may have no IPv6; a port that is closed there is another thing
}
