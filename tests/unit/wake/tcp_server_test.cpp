#include <podproxy/wake/tcp_server.hpp>

#include "wake_ports.hpp"

#include <podproxy/proxy_protocol/header.hpp>

#include <asio/error.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace podproxy;
using namespace std::chrono_literals;
using test::end_point;
using test::late_server;
using wake::group_state;
using wake::refusal;

namespace {

/// A port in front of one server of the group.
struct scene : test::wake_scene {
    explicit scene(wake::port_config p = {}, wake::group_config g = {}) : wake_scene(std::move(g)), server(ctx), listening(open()) { make(std::move(p)); }

    net::listener open() { return std::move(*net::listener::open(ctx.get_executor(), {asio::ip::address_v4::loopback(), 0})); }
    void make(wake::port_config p)
    {
        if (p.targets.empty()) {
            wake::target_config t;
            t.group = "shop";
            t.address = host_port("127.0.0.1", server.port());
            p.targets.push_back(t);
        }
        std::vector<std::shared_ptr<wake::port_group>> const groups(p.targets.size(), shared);
        port = std::make_shared<wake::tcp_server>(commons, std::move(p), groups);
        serving.emplace(ctx, served(port, listening));
        run();
    }
    static net::awaitable<result<void>> served(std::shared_ptr<wake::tcp_server> p, net::listener& l)
    {
        (void)co_await p->serve(l);
        co_return result<void>{};
    }
    ~scene()
    {
        listening.close();
        CHECK(until([&] { return serving->done(); }));
    }

    end_point connect() { return end_point(ctx, listening.local_endpoint()); }
    bool waiting(std::size_t n)
    {
        return until([&] { return counts().waiting == n; });
    }
    /// The group runs, and its port is known to be open.
    void warm_up()
    {
        server.listen();
        end_point c = connect();
        c.send("warm");
        end_point s = server.accept();
        REQUIRE(s.read(4) == "warm");
        c.close();
        s.read_to_end();
        s.close();
        REQUIRE(until([&] { return counts().open == 0; }));
    }

    late_server server;
    net::listener listening;
    std::shared_ptr<wake::tcp_server> port;
    std::optional<test::spawned<result<void>>> serving;
};

wake::port_config with(std::function<void(wake::port_config&)> const& edit)
{
    wake::port_config p;
    edit(p);
    return p;
}

std::string const browser = "GET / HTTP/1.1\r\nHost: shop.example\r\nAccept: text/html\r\n\r\n";

} // namespace

TEST_CASE("tcp server: a client starts the group, waits, and loses nothing")
{
    scene s;
    s.start_by_hand();
    end_point c = s.connect();
    c.send("early ");
    REQUIRE(s.waiting(1));
    CHECK(s.state() == group_state::starting);
    s.finish_start();
    c.send("and late");
    s.server.listen();
    end_point up = s.server.accept();
    CHECK(up.read(14) == "early and late");
    up.send("an answer");
    CHECK(c.read(9) == "an answer");
    CHECK(s.counts().waiting == 0);
    CHECK(s.counts().open == 1);
    CHECK(s.counts().waits.count() == 1);
    CHECK(s.state() == group_state::running);
    c.close();
    CHECK(up.read_to_end().empty());
    up.close();
    CHECK(s.until([&] { return s.counts().open == 0; }));
    CHECK(s.counts().to_server == 14);
    CHECK(s.counts().to_client == 9);
    CHECK(s.until([&] { return s.state() == group_state::idle; }));
}

TEST_CASE("tcp server: a server that speaks first is heard by a client that is silent")
{
    scene s;
    if (GENERATE(false, true)) s.warm_up();
    s.server.listen();
    end_point c = s.connect();
    end_point up = s.server.accept();
    up.send("220 hello\r\n");
    CHECK(c.read(11) == "220 hello\r\n");
}

TEST_CASE("tcp server: a client's half-close is kept, on a cold and on a warm group")
{
    scene s;
    bool const warm = GENERATE(false, true);
    if (warm) s.warm_up();
    end_point c = s.connect();
    c.send("question");
    c.end();
    if (!warm) {
        REQUIRE(s.waiting(1));
        s.run();
        s.server.listen();
    }
    end_point up = s.server.accept();
    CHECK(up.read_to_end() == "question");
    CHECK(*up.ended == asio::error::eof);
    up.send("answer");
    up.end();
    CHECK(c.read_to_end() == "answer");
    CHECK(*c.ended == asio::error::eof);
}

TEST_CASE("tcp server: 200 clients at once on a group at rest make one start, and all are served")
{
    scene s;
    s.start_by_hand();
    std::list<end_point> clients;
    for (int i = 0; i < 200; ++i) {
        clients.push_back(s.connect());
        clients.back().send("client " + std::to_string(i));
    }
    REQUIRE(s.waiting(200));
    s.finish_start();
    s.run();
    CHECK(s.counts().waiting == 200); // the port counts, too
    s.server.listen();
    std::list<end_point> ups;
    std::vector<std::string> seen;
    REQUIRE(s.until([&] {
        while (auto up = s.server.accept_now()) ups.push_back(std::move(*up));
        return ups.size() == 200;
    }));
    for (auto& up : ups) {
        seen.push_back(up.read(8));
        up.send(seen.back());
    }
    for (auto& c : clients) CHECK(c.read(8).starts_with("client "));
    std::sort(seen.begin(), seen.end());
    CHECK(std::unique(seen.begin(), seen.end()) == seen.end());
    CHECK(s.engine.count("start web") == 1);
    CHECK(s.counts().waits.count() == 200);
    CHECK(s.counts().refused_in_all() == 0);
}

TEST_CASE("tcp server: a client that leaves while it waits is noticed")
{
    scene s;
    s.start_by_hand();
    end_point c = s.connect();
    SECTION("it ends the connection without having sent anything")
    {
        REQUIRE(s.waiting(1));
        c.close();
    }
    SECTION("it resets the connection")
    {
        c.send("something");
        REQUIRE(s.waiting(1));
        c.reset();
    }
    SECTION("it resets the connection after it had ended its side")
    {
        c.send("something");
        c.end();
        REQUIRE(s.waiting(1));
        s.run();
        c.reset();
    }
    CHECK(s.waiting(0));
    CHECK(s.until([&] { return s.counts().left == 1; }));
    s.finish_start();
    s.server.listen();
    CHECK(s.until([&] { return s.state() == group_state::idle; })); // nobody is connected to it
    CHECK_FALSE(s.server.accept_now());
}

TEST_CASE("tcp server: of a client that waits no more is kept than allowed, and nothing is lost")
{
    wake::group_config g;
    g.most_early_bytes = 32 * 1024;
    scene s({}, g);
    s.start_by_hand();
    end_point c = s.connect();
    std::string text;
    for (int i = 0; text.size() < 32 * 1024 * 1024; ++i) text += "line " + std::to_string(i) + "\n";
    std::size_t sent = 0;
    int idle_rounds = 0;
    REQUIRE(s.until([&] { // the kernel's buffers fill up
        std::size_t const n = c.send_now(std::string_view(text).substr(sent));
        sent += n;
        idle_rounds = n == 0 ? idle_rounds + 1 : 0;
        return idle_rounds > 20;
    }));
    CHECK(sent < text.size());
    CHECK(s.counts().waiting == 1);
    s.finish_start();
    s.server.listen();
    end_point up = s.server.accept();
    std::string got;
    REQUIRE(s.until([&] {
        sent += c.send_now(std::string_view(text).substr(sent));
        got += up.read(1);
        return got.size() == text.size();
    }));
    CHECK(got == text);
}

TEST_CASE("tcp server: a client that resets while nothing more of it is read is noticed")
{
    wake::group_config g;
    g.most_early_bytes = 1024;
    scene s({}, g);
    s.start_by_hand();
    end_point c = s.connect();
    c.send(std::string(4096, 'x'));
    REQUIRE(s.waiting(1));
    s.run();
    c.reset();
    CHECK(s.waiting(0));
}

TEST_CASE("tcp server: clients wait for a port that opens late, with one of them trying it")
{
    scene s;
    end_point a = s.connect();
    end_point b = s.connect();
    a.send("a");
    b.send("b");
    REQUIRE(s.waiting(2));
    REQUIRE(s.until([&] { return s.state() == group_state::running; }));
    CHECK(a.quiet());
    SECTION("who tries is served, and so is the other")
    {
        s.server.listen();
        end_point x = s.server.accept();
        end_point y = s.server.accept();
        std::string const both = x.read(1) + y.read(1);
        CHECK((both == "ab" || both == "ba"));
    }
    SECTION("who tries leaves, and the other takes over")
    {
        a.reset();
        REQUIRE(s.waiting(1));
        s.server.listen();
        end_point y = s.server.accept();
        CHECK(y.read(1) == "b");
    }
}

TEST_CASE("tcp server: a port that never opens refuses who waits at the end of the limit, and the next one tries anew")
{
    wake::group_config g;
    g.start_limit = 60ms;
    scene s({}, g);
    end_point plain = s.connect();
    plain.send("hello");
    end_point web = s.connect();
    web.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    std::string const answer = web.read_to_end();
    CHECK(answer.starts_with("HTTP/1.1 503 "));
    CHECK(answer.find("It was not ready in time.") != std::string::npos);
    plain.read_to_end();
    CHECK(*plain.ended == asio::error::connection_reset);
    CHECK(s.refused(refusal::start_timed_out) == 2);

    s.server.listen();
    end_point c = s.connect();
    c.send("now");
    std::optional<end_point> up;
    REQUIRE(s.until([&] { return (up = s.server.accept_now()).has_value(); }));
    CHECK(up->read(3) == "now");
}

TEST_CASE("tcp server: something that accepts and closes at once before the server listens is not taken for it")
{
    scene s;
    s.server.listen();
    end_point c = s.connect();
    bool const silent = GENERATE(false, true);
    if (!silent) c.send("question");
    for (int i = 0; i < 3; ++i) {
        end_point front = s.server.accept();
        if (i == 1) front.reset();
        else front.close();
    }
    std::optional<end_point> up(s.server.accept());
    up->send("hello");
    CHECK(c.read(5) == "hello");
    if (!silent) CHECK(up->read(8) == "question");
    c.send(" once");
    CHECK(up->read(5) == " once");
}

TEST_CASE("tcp server: a connection over which something was sent is never made a second time")
{
    scene s;
    s.server.listen();
    end_point c = s.connect();
    c.send("pay 10");
    end_point up = s.server.accept();
    CHECK(up.read(6) == "pay 10");
    up.close();
    c.read_to_end();
    CHECK(*c.ended == asio::error::eof);
    s.run();
    CHECK_FALSE(s.server.accept_now());
}

TEST_CASE("tcp server: a port that was open and is closed is waited for again")
{
    scene s;
    s.warm_up();
    s.server.stop_listening();
    end_point c = s.connect();
    c.send("again");
    REQUIRE(s.waiting(1));
    s.server.listen();
    end_point up = s.server.accept();
    CHECK(up.read(5) == "again");
}

TEST_CASE("tcp server: a group that ends before its port opens is started again for who waits")
{
    wake::group_config g;
    g.first_backoff = 1ms;
    g.start_attempts = 3;
    scene s({}, g);
    end_point c = s.connect();
    c.send("still here");
    REQUIRE(s.until([&] { return s.state() == group_state::running; }));
    SECTION("and serves it then")
    {
        s.engine.end("web", 1);
        REQUIRE(s.until([&] { return s.engine.count("start web") == 2; }));
        s.server.listen();
        end_point up = s.server.accept();
        CHECK(up.read(10) == "still here");
    }
    SECTION("and when it ends each time, it refuses")
    {
        s.engine.exits["web"] = 3;
        s.engine.last_lines["web"] = "no such database";
        s.engine.end("web", 3);
        c.read_to_end();
        CHECK(*c.ended == asio::error::connection_reset);
        CHECK(s.refused(refusal::start_failed) == 1);
        CHECK(s.engine.count("start web") <= 4);
    }
}

TEST_CASE("tcp server: an engine that can't be reached refuses, and who speaks HTTP is told so")
{
    wake::group_config g;
    g.start_limit = 50ms;
    scene s({}, g);
    s.engine.lose();
    s.run();
    end_point c = s.connect();
    c.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    std::string const answer = c.read_to_end();
    CHECK(answer.starts_with("HTTP/1.1 503 "));
    CHECK(answer.find("Retry-After: ") != std::string::npos);
    CHECK(answer.ends_with("\r\n\r\n")); // HEAD: no content
    CHECK(s.refused(refusal::engine_unreachable) == 1);
}

TEST_CASE("tcp server: no more clients wait than allowed")
{
    wake::group_config g;
    g.most_waiting = 2;
    scene s({}, g);
    s.start_by_hand();
    end_point a = s.connect();
    end_point b = s.connect();
    REQUIRE(s.waiting(2));
    end_point c = s.connect();
    c.read_to_end();
    CHECK(*c.ended == asio::error::connection_reset);
    CHECK(s.refused(refusal::too_many_waiting) == 1);
    s.finish_start();
    s.run();
    CHECK(s.counts().waiting == 2); // for the port now
    end_point d = s.connect();
    d.read_to_end();
    CHECK(s.refused(refusal::too_many_waiting) == 2);
}

TEST_CASE("tcp server: sources that are not allowed are closed at once")
{
    scene s(with([](auto& p) { p.filter.allow = {*parse_cidr("192.0.2.0/24")}; }));
    end_point c = s.connect();
    c.read_to_end();
    CHECK(s.commons->unrouted.refused[static_cast<std::size_t>(refusal::source)] == 1);
    CHECK(s.state() == group_state::stopped);

    scene open(with([](auto& p) { p.filter.allow = {*parse_cidr("192.0.2.0/24"), *parse_cidr("127.0.0.0/8")}; }));
    open.server.listen();
    end_point d = open.connect();
    end_point up = open.server.accept();
}

TEST_CASE("tcp server: clients that must not wake the group are served while it runs, and do not keep it awake")
{
    bool const by_source = GENERATE(false, true);
    scene s(with([&](auto& p) {
        if (by_source) p.filter.no_wake_sources = {*parse_cidr("127.0.0.1")};
        else p.filter.no_wake_agents = {"checker"};
    }));
    std::string const check = "GET /health HTTP/1.1\r\nHost: a\r\nUser-Agent: a checker\r\n\r\n";
    end_point early = s.connect();
    early.send(check);
    std::string const answer = early.read_to_end();
    if (!by_source) { // it has sent its request before it was refused
        CHECK(answer.starts_with("HTTP/1.1 503 "));
    }
    CHECK(s.refused(refusal::not_for_this_client) == 1);
    CHECK(s.state() == group_state::stopped);
    CHECK(s.engine.commands.empty());

    s.server.listen();
    s.it->wake_now("test");
    REQUIRE(s.until([&] { return s.state() == group_state::idle; }));
    end_point late = s.connect();
    late.send(check);
    end_point up = s.server.accept();
    CHECK(up.read(check.size()) == check);
    CHECK(s.counts().open == 1);
    CHECK(s.state() == group_state::idle);
}

TEST_CASE("tcp server: a client that says nothing does not wake a group whose clients speak first")
{
    scene s(with([](auto& p) {
        p.filter.need_first_bytes = true;
        p.first_bytes_limit = 20ms;
    }));
    end_point c = s.connect();
    c.read_to_end();
    CHECK(s.refused(refusal::not_for_this_client) == 1);
    s.server.listen();
    end_point d = s.connect();
    d.send("x");
    end_point up = s.server.accept();
    CHECK(up.read(1) == "x");
}

TEST_CASE("tcp server: names lead to targets, on a cold and on a warm group")
{
    late_server* shop = nullptr;
    late_server* blog = nullptr;
    scene s;
    late_server one(s.ctx);
    late_server two(s.ctx);
    shop = &one;
    blog = &two;
    s.listening.close();
    REQUIRE(s.until([&] { return s.serving->done(); }));
    s.listening = s.open();
    wake::port_config p;
    for (auto const& [name, at] : {std::pair{"shop.example", shop}, std::pair{"*.blog.example", blog}}) {
        wake::target_config t;
        t.names = {name};
        t.group = "shop";
        t.address = host_port("127.0.0.1", at->port());
        p.targets.push_back(t);
    }
    p.first_bytes_limit = 20ms;
    s.make(p);
    one.listen();
    two.listen();
    for (int round = 0; round < 2; ++round) { // cold, then warm
        std::string const to_blog = "GET / HTTP/1.1\r\nHost: my.blog.example\r\n\r\n";
        end_point a = s.connect();
        a.send(to_blog.substr(0, 20));
        s.run();
        a.send(to_blog.substr(20));
        end_point up = blog->accept();
        CHECK(up.read(to_blog.size()) == to_blog);

        std::string const to_shop = "POST /x HTTP/1.1\r\nHost: SHOP.example:80\r\nContent-Length: 2\r\n\r\nhi";
        end_point b = s.connect();
        b.send(to_shop);
        end_point up2 = shop->accept();
        CHECK(up2.read(to_shop.size()) == to_shop);
    }
    end_point c = s.connect();
    c.send("GET / HTTP/1.1\r\nHost: other.example\r\n\r\n");
    CHECK(c.read_to_end().find("Nothing is served here under that name.") != std::string::npos);
    end_point silent = s.connect();
    silent.read_to_end();
    CHECK(s.commons->unrouted.refused[static_cast<std::size_t>(refusal::no_target)] == 2);
    end_point gone = s.connect();
    gone.close();
    CHECK(s.until([&] { return s.commons->unrouted.left == 1; }));
}

TEST_CASE("tcp server: a browser gets a page while the group starts, others are held")
{
    scene s(with([](auto& p) { p.wait_page = true; }));
    s.start_by_hand();
    end_point c = s.connect();
    c.send(browser);
    std::string const page = c.read_to_end();
    CHECK(page.starts_with("HTTP/1.1 503 "));
    CHECK(page.find("http-equiv=\"refresh\"") != std::string::npos);
    CHECK(page.find("shop") != std::string::npos);
    CHECK(s.counts().wait_pages == 1);
    REQUIRE(s.until([&] { return s.state() == group_state::starting; }));
    end_point again = s.connect();
    again.send(browser);
    CHECK(again.read_to_end().find("It is being started.") != std::string::npos);
    CHECK(s.engine.count("start web") == 1);

    end_point api = s.connect();
    std::string const call = "GET /api HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n";
    api.send(call);
    REQUIRE(s.waiting(1));
    s.finish_start();
    s.server.listen();
    std::list<end_point> ups; // the one that tried the port for the browser, and the one of the client
    std::string got;
    REQUIRE(s.until([&] {
        if (auto up = s.server.accept_now()) ups.push_back(std::move(*up));
        for (auto& up : ups)
            if (!up.quiet() && !up.ended) got = up.read(call.size());
        return got == call && !s.shared->page_wakes;
    }));

    end_point last = s.connect();
    last.send(browser);
    std::optional<end_point> up;
    REQUIRE(s.until([&] {
        if (auto next = s.server.accept_now()) up.emplace(std::move(*next));
        return up && !up->quiet() && !up->ended;
    }));
    CHECK(up->read(browser.size()) == browser);
    CHECK(s.counts().wait_pages == 2);
}

TEST_CASE("tcp server: a browser is told once that a start has failed, instead of loading for ever")
{
    wake::group_config g;
    g.first_backoff = 1ms;
    g.start_attempts = 1;
    scene s(with([](auto& p) { p.wait_page = true; }), g);
    s.engine.exits["web"] = 1;
    end_point c = s.connect();
    c.send(browser);
    CHECK(c.read_to_end().find("refresh") != std::string::npos);
    REQUIRE(s.until([&] { return s.shared->page_error.has_value(); }));
    end_point d = s.connect();
    d.send(browser);
    std::string const told = d.read_to_end();
    CHECK(told.find("It could not be started.") != std::string::npos);
    CHECK(told.find("refresh") == std::string::npos);
}

TEST_CASE("tcp server: the server is told who its client is, in front of everything else")
{
    bool const v2 = GENERATE(false, true);
    scene s(with([&](auto& p) { p.send_proxy = v2 ? wake::proxy_header::v2 : wake::proxy_header::v1; }));
    s.server.listen();
    for (int round = 0; round < 2; ++round) { // cold, then warm
        end_point c = s.connect();
        c.send("hello");
        end_point up = s.server.accept();
        std::string got = up.read(28);
        auto const h = proxy_protocol::parse_header(as_bytes(got));
        REQUIRE(h.done());
        CHECK(h.value().source.port == c.port());
        CHECK(h.value().destination.port == s.listening.local_endpoint().port());
        got.erase(0, h.consumed());
        while (got.size() < 5) got += up.read(1);
        CHECK(got == "hello");
    }
}

TEST_CASE("tcp server: connections that do not count as use are cut when the group is put to rest")
{
    wake::group_config g;
    g.use = wake::use_rule::bytes;
    scene s({}, g);
    s.warm_up();
    end_point c = s.connect();
    end_point up = s.server.accept();
    s.it->stop_now();
    c.read_to_end();
    CHECK(*c.ended == asio::error::connection_reset);
}

TEST_CASE("tcp server: a target without a host is the group's own container")
{
    wake::port_config p;
    scene s;
    late_server own(s.ctx, {asio::ip::make_address_v4("127.0.0.9"), 0});
    s.engine.change("web", [](wake::member& m) { m.address = "127.0.0.9"; });
    s.listening.close();
    REQUIRE(s.until([&] { return s.serving->done(); }));
    s.listening = s.open();
    wake::target_config t;
    t.group = "shop";
    t.address.port = own.port();
    t.member = GENERATE("", "web");
    p.targets.push_back(t);
    s.make(p);
    own.listen();
    for (int round = 0; round < 2; ++round) {
        end_point c = s.connect();
        c.send("to you");
        end_point up = own.accept();
        CHECK(up.read(6) == "to you");
    }
    CHECK(s.counts().waits.count() == 1);
}

TEST_CASE("tcp server: a name is asked for with each connection")
{
    wake::port_config p;
    scene s;
    s.listening.close();
    REQUIRE(s.until([&] { return s.serving->done(); }));
    s.listening = s.open();
    wake::target_config t;
    t.group = "shop";
    t.address = host_port(GENERATE("localhost", "LOCALHOST"), s.server.port()); // the first one is known, the other is asked for
    p.targets.push_back(t);
    s.make(p);
    s.server.listen();
    for (int round = 0; round < 2; ++round) {
        end_point c = s.connect();
        c.send("hello");
        end_point up = s.server.accept();
        CHECK(up.read(5) == "hello");
    }
}

TEST_CASE("tcp server: a client that waits for a group that is replaced waits for the new one")
{
    scene s;
    s.start_by_hand();
    end_point c = s.connect();
    c.send("hello");
    REQUIRE(s.waiting(1));
    auto const before = s.it;
    wake::group_config g = s.it->config();
    g.idle = 5s;
    s.it = std::make_shared<wake::group>(s.ctx.get_executor(), s.engine, g, logger());
    std::vector<wake::member> all;
    for (auto const& [id, m] : s.engine.members()) all.push_back(m);
    s.it->members_are(all);
    s.shared->replace(s.it);
    before->shut_down();
    s.engine.by_hand.clear();
    s.engine.finish("start web");
    s.run();
    s.engine.at("web").state = wake::member_state::running;
    s.it->member_changed(s.engine.at("web"));
    s.server.listen();
    end_point up = s.server.accept();
    CHECK(up.read(5) == "hello");
}
