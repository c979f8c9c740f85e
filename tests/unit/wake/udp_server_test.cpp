#include <podproxy/wake/udp_server.hpp>

#include "wake_ports.hpp"

#include <asio/ip/udp.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace podproxy;
using namespace std::chrono_literals;
using asio::ip::udp;
using wake::group_state;
using wake::refusal;

namespace {

udp::endpoint loopback(std::uint16_t port = 0) { return {asio::ip::address_v4::loopback(), port}; }

/// A UDP client or server of the test.
struct peer {
    peer(asio::io_context& c, net::udp_socket s) : ctx(&c), socket(std::move(s)) {}
    static peer client(asio::io_context& c, udp::endpoint const& to) { return {c, std::move(*net::udp_socket::connect(c.get_executor(), to))}; }
    static peer server(asio::io_context& c, udp::endpoint const& at) { return {c, std::move(*net::udp_socket::bind(c.get_executor(), at))}; }

    void send(std::string_view text)
    {
        bytes_view const one = as_bytes(text);
        (void)socket.send({&one, 1});
    }
    /// To whom the last one came from.
    void answer(std::string_view text)
    {
        bytes_view const one = as_bytes(text);
        (void)socket.send_to({&one, 1}, from, {});
    }
    void take()
    {
        while (auto const n = socket.receive(batch))
            for (std::size_t i = 0; i < *n; ++i) {
                got.emplace_back(as_text(batch.payload(i)));
                from = batch.peer(i);
            }
    }
    std::vector<std::string> read(std::size_t n)
    {
        test::poll_until(*ctx, [&] { return take(), got.size() >= n; });
        return std::exchange(got, {});
    }

    asio::io_context* ctx;
    net::udp_socket socket;
    net::datagram_batch batch;
    std::vector<std::string> got;
    udp::endpoint from;
};

using strings = std::vector<std::string>;

/// A port that nobody listens on, and that a test may listen on later.
std::uint16_t free_port(asio::io_context& ctx) { return net::udp_socket::bind(ctx.get_executor(), loopback())->local_endpoint().port(); }

struct scene : test::wake_scene {
    explicit scene(std::function<void(wake::port_config&)> const& edit = {}, wake::group_config g = {}) : wake_scene(std::move(g)), server_port(free_port(ctx))
    {
        wake::port_config p;
        p.protocol = wake::port_protocol::udp;
        wake::target_config t;
        t.group = "shop";
        t.address = host_port("127.0.0.1", server_port);
        p.targets.push_back(t);
        if (edit) edit(p);
        port = std::make_shared<wake::udp_server>(commons, p, shared, std::move(*net::udp_socket::bind(ctx.get_executor(), loopback())));
        serving.emplace(ctx, served(port));
        run();
    }
    static net::awaitable<result<void>> served(std::shared_ptr<wake::udp_server> p)
    {
        (void)co_await p->serve();
        co_return result<void>{};
    }
    ~scene()
    {
        port->close();
        CHECK(until([&] { return serving->done(); }));
        CHECK(counts().open == 0);
    }

    peer connect() { return peer::client(ctx, port->local_endpoint()); }
    peer serve() { return peer::server(ctx, loopback(server_port)); }
    bool waiting(std::size_t n)
    {
        return until([&] { return counts().waiting == n; });
    }

    std::uint16_t server_port;
    std::shared_ptr<wake::udp_server> port;
    std::optional<test::spawned<result<void>>> serving;
};

} // namespace

TEST_CASE("udp server: the first datagrams wake the group, wait, and arrive once and in order")
{
    scene s;
    s.start_by_hand();
    peer c = s.connect();
    for (auto const* text : {"one", "", "three"}) c.send(text);
    REQUIRE(s.waiting(1));
    s.finish_start();
    REQUIRE(s.until([&] { return s.state() == group_state::running; }));
    bool const late = GENERATE(true, false);
    if (late) { // it is refused a few times
        auto const until = net::clock::now() + 30ms;
        s.until([&] { return net::clock::now() >= until; });
        CHECK(s.counts().waiting == 1);
    }
    peer up = s.serve();
    c.send("four");
    CHECK(up.read(4) == strings{"one", "", "three", "four"});
    CHECK(s.waiting(0));
    up.answer("an answer");
    up.answer("and another");
    CHECK(c.read(2) == strings{"an answer", "and another"});
    c.send("five");
    CHECK(up.read(1) == strings{"five"});
    up.take();
    CHECK(up.got.empty());
    CHECK(s.counts().connections == 1);
    CHECK(s.counts().waits.count() == 1);
    CHECK(s.counts().to_server == 16);
    CHECK(s.counts().to_client == 20);
    CHECK(s.counts().dropped_datagrams == 0);
}

TEST_CASE("udp server: clients have sessions of their own, and a warm group takes them at once")
{
    scene s;
    peer up = s.serve();
    peer a = s.connect();
    a.send("a1");
    CHECK(up.read(1) == strings{"a1"});
    auto const from_a = up.from;
    REQUIRE(s.until([&] { return s.counts().open == 1; }));
    peer b = s.connect();
    b.send("b1");
    CHECK(up.read(1) == strings{"b1"});
    CHECK(up.from != from_a);
    up.answer("to b");
    up.from = from_a;
    up.answer("to a");
    CHECK(b.read(1) == strings{"to b"});
    CHECK(a.read(1) == strings{"to a"});
    CHECK(s.port->sessions() == 2);
    CHECK(s.counts().open == 2);
    CHECK(s.counts().waits.count() == 1); // of the first one only
    CHECK(s.state() == group_state::running);
}

TEST_CASE("udp server: no more is kept of a waiting client than allowed, and its first datagram always")
{
    wake::group_config g;
    g.most_early_bytes = 1000;
    scene s([](auto& p) { p.udp_most_early = 3; }, g);
    s.start_by_hand();
    peer big = s.connect();
    std::string const first(1500, 'x');
    big.send(first);
    big.send("y");
    peer many = s.connect();
    for (auto const* text : {"1", "2", "3", "4"}) many.send(text);
    REQUIRE(s.waiting(2));
    REQUIRE(s.until([&] { return s.counts().dropped_datagrams == 2; }));
    peer up = s.serve();
    s.finish_start();
    auto got = up.read(4);
    CHECK(std::count(got.begin(), got.end(), first) == 1);
    std::erase(got, first);
    CHECK(got == strings{"1", "2", "3"});
}

TEST_CASE("udp server: a silent client is gone, and a new datagram begins anew")
{
    scene s([](auto& p) { p.udp_session = 30ms; });
    peer up = s.serve();
    peer c = s.connect();
    c.send("hello");
    CHECK(up.read(1) == strings{"hello"});
    auto const before = up.from;
    REQUIRE(s.until([&] { return s.port->sessions() == 0; }));
    CHECK(s.counts().open == 0);
    CHECK(s.state() == group_state::idle);
    c.send("again");
    CHECK(up.read(1) == strings{"again"});
    CHECK(s.counts().connections == 2);
    (void)before;
}

TEST_CASE("udp server: a client that is silent while it waits is served, however long the start takes")
{
    scene s([](auto& p) { p.udp_session = 10ms; });
    s.start_by_hand();
    peer up = s.serve();
    peer c = s.connect();
    c.send("hello");
    REQUIRE(s.waiting(1));
    auto const late = net::clock::now() + 35ms;
    REQUIRE(s.until([&] { return net::clock::now() > late; }));
    CHECK(s.waiting(1));
    s.finish_start();
    CHECK(up.read(1) == strings{"hello"});
    CHECK(s.counts().left == 0);
}

TEST_CASE("udp server: with as many sessions as allowed, who was silent for long makes room, and else the new one is dropped")
{
    bool const silent = GENERATE(true, false);
    scene s([&](auto& p) {
        p.udp_most_sessions = 2;
        p.udp_session = silent ? std::chrono::milliseconds(80) : std::chrono::milliseconds(60'000);
    });
    peer up = s.serve();
    peer a = s.connect();
    a.send("a");
    CHECK(up.read(1) == strings{"a"});
    peer b = s.connect();
    b.send("b");
    CHECK(up.read(1) == strings{"b"});
    if (silent) {
        auto const until = net::clock::now() + 25ms;
        s.until([&] { return net::clock::now() >= until; });
    }
    peer c = s.connect();
    c.send("c");
    if (silent) {
        CHECK(up.read(1) == strings{"c"});
        CHECK(s.port->sessions() <= 2);
    } else {
        REQUIRE(s.until([&] { return s.refused(refusal::too_many_waiting) == 1; }));
        CHECK(s.counts().dropped_datagrams == 1);
        CHECK(s.port->sessions() == 2);
    }
}

TEST_CASE("udp server: sources that are not allowed are not heard, and others wake nobody")
{
    bool const by_bytes = GENERATE(true, false);
    scene s([&](auto& p) {
        p.filter.allow = {*parse_cidr("127.0.0.1")};
        if (by_bytes) p.filter.no_wake_bytes = {"probe"};
        else p.filter.no_wake_sources = {*parse_cidr("127.0.0.0/8")};
    });
    peer checker = s.connect();
    checker.send("probe 1");
    REQUIRE(s.until([&] { return s.refused(refusal::not_for_this_client) == 1; }));
    CHECK(s.port->sessions() == 0);
    CHECK(s.engine.commands.empty());

    peer up = s.serve();
    s.it->wake_now("test");
    REQUIRE(s.until([&] { return s.state() == group_state::idle; }));
    checker.send("probe 2");
    CHECK(up.read(1) == strings{"probe 2"});
    up.answer("fine");
    CHECK(checker.read(1) == strings{"fine"});
    CHECK(s.state() == group_state::idle);

    udp::socket other(s.ctx, udp::endpoint(asio::ip::make_address_v4("127.0.0.2"), 0));
    other.connect(s.port->local_endpoint());
    other.send(asio::buffer("x", 1));
    REQUIRE(s.until([&] { return s.commons->unrouted.refused[static_cast<std::size_t>(refusal::source)] == 1; }));
}

TEST_CASE("udp server: sessions end with the group's life, and the next datagram wakes it")
{
    scene s;
    peer c = s.connect();
    {
        peer up = s.serve();
        c.send("hello");
        CHECK(up.read(1) == strings{"hello"});
        s.engine.end("web", 0);
        REQUIRE(s.until([&] { return s.port->sessions() == 0; }));
    }
    c.send("again");
    REQUIRE(s.until([&] { return s.engine.count("start web") == 2; }));
    peer up = s.serve();
    CHECK(up.read(1) == strings{"again"});
}

TEST_CASE("udp server: a server that never listens refuses who waits at the end of the limit")
{
    wake::group_config g;
    g.start_limit = 50ms;
    scene s({}, g);
    peer a = s.connect();
    peer b = s.connect();
    a.send("a");
    b.send("b");
    REQUIRE(s.until([&] { return s.refused(refusal::start_timed_out) == 2; }));
    CHECK(s.port->sessions() == 0);
    CHECK(s.counts().dropped_datagrams == 2);
}

TEST_CASE("udp server: a start that fails refuses")
{
    wake::group_config g;
    g.start_attempts = 1;
    scene s({}, g);
    s.engine.failing["start web"] = {errc::unavailable, "no such image"};
    peer a = s.connect();
    a.send("a");
    REQUIRE(s.until([&] { return s.refused(refusal::start_failed) == 1; }));
}

TEST_CASE("udp server: no more hears, and sessions go on")
{
    scene s;
    peer up = s.serve();
    peer c = s.connect();
    c.send("hello");
    CHECK(up.read(1) == strings{"hello"});
    s.port->stop_listening();
    REQUIRE(s.until([&] { return s.serving->done(); }));
    up.answer("late answer");
    CHECK(c.read(1) == strings{"late answer"});
}

TEST_CASE("udp server: localhost and the group's own container are found")
{
    bool const own = GENERATE(true, false);
    scene s([&](auto& p) { p.targets[0].address.host = own ? "" : GENERATE("localhost", "LOCALHOST"); });
    s.engine.change("web", [](wake::member& m) { m.address = "127.0.0.1"; });
    peer c = s.connect();
    c.send("hello");
    REQUIRE(s.waiting(1));
    peer up = s.serve();
    CHECK(up.read(1) == strings{"hello"});
    peer d = s.connect();
    d.send("you");
    CHECK(up.read(1) == strings{"you"});
}
