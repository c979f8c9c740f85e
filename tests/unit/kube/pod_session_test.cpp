#include <podproxy/kube/pod_session.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fakes/fake_kube_server.hpp>
#include <fakes/fake_stream.hpp>
#include <unit/support/forward_opener.hpp>
#include <unit/support/poll_until.hpp>
#include <unit/support/spawned.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace podproxy::kube {
namespace {

using test::fake_kube_server;
using test::fake_stream;
using test::forward_carrier;
using test::poll_until;
using test::run_ready;
using test::spawned;
using std::chrono::milliseconds;
namespace programs = test::fake_kube::programs;

constexpr std::uint16_t echo_port = 7;
constexpr std::uint16_t greeter_port = 25;
constexpr std::uint16_t stall_port = 9;
constexpr std::uint16_t source_port = 19;
constexpr std::uint16_t reset_port = 9004;

test::fake_kube::pod_spec web_pod()
{
    test::fake_kube::pod_spec pod;
    pod.name = "web-1";
    pod.ports[echo_port] = programs::echo();
    pod.ports[greeter_port] = programs::greeter("220 ready\r\n");
    pod.ports[stall_port] = programs::stall();
    pod.ports[source_port] = programs::source(4 * 1024 * 1024);
    pod.ports[reset_port] = programs::reset("bye", 1);
    return pod;
}

/// A pod on a fake API server, and the sessions to it.
struct cluster {
    asio::io_context ctx;
    fake_kube_server kube;
    forward_carrier carrier;
    spdy::session_config session;
    std::shared_ptr<pod_sessions> pool;
    std::size_t openings = 0;

    explicit cluster(pod_session_config config = fast(), forward_carrier c = forward_carrier::spdy) : carrier(c)
    {
        kube.add_pod(web_pod());
        pool = std::make_shared<pod_sessions>(
            ctx.get_executor(),
            [this](diagnostics& why) {
                ++openings;
                return test::open_forward(kube.port(), carrier, "web-1", session, why);
            },
            config);
    }
    ~cluster()
    {
        pool->close();
        run_ready(ctx);
    }

    static pod_session_config fast()
    {
        pod_session_config c;
        c.use = session_use::exclusive;
        c.spare = 0;
        c.connect_grace = milliseconds(20);
        c.stream.finish_after = milliseconds(20);
        return c;
    }

    spawned<result<net::any_stream>> start_dial(std::uint16_t port, diagnostics& why)
    {
        spawned<result<net::any_stream>> s(ctx, pool->dial(port, why));
        s.run();
        return s;
    }
    result<net::any_stream> dial(std::uint16_t port, diagnostics& why)
    {
        auto s = start_dial(port, why);
        REQUIRE(poll_until(ctx, [&] { return s.done(); }));
        return std::move(s.value());
    }
    net::any_stream connect(std::uint16_t port)
    {
        diagnostics why;
        auto s = dial(port, why);
        INFO(why.text());
        REQUIRE(s);
        return std::move(*s);
    }

    /// Read until there are `n` bytes, or the end.
    std::string read(net::stream& s, std::size_t n, std::error_code* end = nullptr)
    {
        std::string out;
        std::error_code why;
        bool const done = poll_until(ctx, [&] {
            while (out.size() < n) {
                auto const bytes = s.view();
                if (!bytes) {
                    why = bytes.error();
                    return why != podproxy::errc::would_block;
                }
                std::size_t const take = std::min(n - out.size(), bytes->size());
                out += as_text(bytes->first(take));
                s.consume(take);
            }
            return true;
        });
        CHECK(done);
        if (end) *end = why;
        return out;
    }
    /// The error that a connection ends with: known to the dial already, or to the reader later.
    std::error_code dial_and_read(std::uint16_t port)
    {
        diagnostics why;
        auto s = dial(port, why);
        if (!s) return s.error();
        std::error_code end;
        read(**s, 1, &end);
        return end;
    }
    std::string echo(net::stream& s, std::string const& text)
    {
        if (!s.try_write(as_bytes(text))) return "can't write";
        return read(s, text.size());
    }
    /// Write until nothing is taken any more, however long one runs. @return bytes
    std::size_t fill(net::stream& s)
    {
        std::string const bulk(64 * 1024, 'x');
        std::size_t total = 0;
        int idle = 0;
        poll_until(ctx, [&] {
            auto const n = s.try_write(as_bytes(bulk));
            if (n) total += *n;
            idle = n ? 0 : idle + 1;
            return idle > 100;
        });
        return total;
    }
    test::fake_kube::session_counters counted() const { return kube.counters().sessions; }
};

} // namespace

TEST_CASE("kube pod sessions: a connection into the pod, over both carriers", "[kube]")
{
    auto const carrier = GENERATE(forward_carrier::spdy, forward_carrier::websocket);
    cluster c(cluster::fast(), carrier);
    auto s = c.connect(echo_port);
    CHECK(c.echo(*s, "hello") == "hello");
    std::string const big(200'000, 'b');
    std::string back;
    std::size_t sent = 0;
    CHECK(poll_until(c.ctx, [&] {
        if (sent < big.size())
            if (auto const n = s->try_write(as_bytes(std::string_view(big).substr(sent)))) sent += *n;
        while (auto const bytes = s->view()) {
            back += as_text(*bytes);
            s->consume(bytes->size());
        }
        return back.size() >= big.size();
    }));
    CHECK(back == big);
    CHECK(c.pool->connections() == 1);
    s.reset();
    CHECK(c.pool->connections() == 0);
}

TEST_CASE("kube pod sessions: a session is used again after its connection has ended", "[kube]")
{
    auto const carrier = GENERATE(forward_carrier::spdy, forward_carrier::websocket);
    cluster c(cluster::fast(), carrier);
    for (int i = 0; i < 7; ++i) {
        auto s = c.connect(echo_port);
        CHECK(c.echo(*s, "round " + std::to_string(i)) == "round " + std::to_string(i));
        s.reset();
        CHECK(poll_until(c.ctx, [&] { return c.pool->ready() == 1; }));
    }
    CHECK(c.openings == 1);
    CHECK(c.counted().opened == 1);
    CHECK(c.counted().forwards == 7);
}

TEST_CASE("kube pod sessions: reads all that the pod sends, to its end", "[kube]")
{
    cluster c;
    auto s = c.connect(source_port);
    std::error_code end;
    auto const all = c.read(*s, 5 * 1024 * 1024, &end);
    CHECK(end == podproxy::errc::end_of_stream);
    REQUIRE(all.size() == 4 * 1024 * 1024);
    bool right = true;
    for (std::size_t i = 0; i < all.size(); ++i) right = right && all[i] == static_cast<char>('a' + i % 23);
    CHECK(right);
}

TEST_CASE("kube pod sessions: a refused port is the answer to the dial, and the session goes on", "[kube]")
{
    auto const carrier = GENERATE(forward_carrier::spdy, forward_carrier::websocket);
    auto config = cluster::fast();
    config.connect_grace = std::chrono::seconds(20);
    config.use = session_use::shared;
    cluster c(config, carrier);
    auto other = c.connect(greeter_port);
    diagnostics why;
    auto const s = c.dial(4444, why);
    CHECK(s.error() == errc::port_refused);
    CHECK(why.server_text.find("connect: connection refused") != std::string::npos);
    CHECK(c.read(*other, 11) == "220 ready\r\n");
    CHECK(c.echo(*other, "still here") == "still here");
    CHECK(c.counted().opened == 1);
    CHECK_FALSE(c.pool->closed());
}

TEST_CASE("kube pod sessions: a port that has answered before needs no grace time", "[kube]")
{
    auto config = cluster::fast();
    config.connect_grace = std::chrono::seconds(60);
    cluster c(config);
    c.connect(greeter_port); // its greeting proves it
    c.kube.change_pod("default", "web-1", [](auto& pod) { pod.ports[greeter_port] = programs::echo(); });
    auto s = c.connect(greeter_port); // says nothing by itself; `connect` would not wait for a minute
    CHECK(c.echo(*s, "x") == "x");

    // A refusal takes the proof away, though not from this connection.
    c.kube.change_pod("default", "web-1", [](auto& pod) { pod.ports.erase(greeter_port); });
    CHECK(c.dial_and_read(greeter_port) == errc::port_refused);
    diagnostics why;
    CHECK(c.dial(greeter_port, why).error() == errc::port_refused);
}

TEST_CASE("kube pod sessions: a pod's reset ends one connection, after what it has sent", "[kube]")
{
    cluster c;
    auto s = c.connect(reset_port);
    CHECK(c.read(*s, 3) == "bye");
    CHECK(s->try_write(as_bytes(std::string_view("x"))));
    std::error_code end;
    CHECK(c.read(*s, 1, &end).empty());
    CHECK(end == errc::pod_reset);
    s.reset();
    auto again = c.connect(echo_port);
    CHECK(c.echo(*again, "x") == "x");
    CHECK(c.openings == 1);
}

TEST_CASE("kube pod sessions: the end of the sandbox closes the pool", "[kube]")
{
    auto config = cluster::fast();
    config.connect_grace = std::chrono::seconds(20);
    cluster c(config);
    c.connect(greeter_port);
    c.kube.change_pod("default", "web-1", [](auto& pod) { pod.gone = true; });
    diagnostics why;
    SECTION("seen by a dial")
    {
        CHECK(c.dial(echo_port, why).error() == errc::pod_gone);
        CHECK(why.server_text.find("network namespace for sandbox") != std::string::npos);
    }
    SECTION("seen after the dial, since the port had proved itself")
    {
        CHECK(c.dial_and_read(greeter_port) == errc::pod_gone);
    }
    CHECK(c.pool->closed());
    CHECK(c.pool->sessions() == 0);
    CHECK(c.dial(echo_port, why).error() == errc::pod_gone);
    CHECK(poll_until(c.ctx, [&] { return c.counted().open == 0; }));
}

TEST_CASE("kube pod sessions: up to five connections share a session, each in a lane of its own", "[kube]")
{
    auto config = cluster::fast();
    config.use = session_use::shared;
    cluster c(config);
    std::vector<net::any_stream> all;
    for (int i = 0; i < 5; ++i) all.push_back(c.connect(echo_port));
    CHECK(c.counted().opened == 1);
    all.push_back(c.connect(echo_port));
    CHECK(c.counted().opened == 2);
    for (std::size_t i = 0; i < all.size(); ++i) CHECK(c.echo(*all[i], std::to_string(i)) == std::to_string(i));
    CHECK(c.pool->sessions() == 2);
    all.clear();
    CHECK(poll_until(c.ctx, [&] { return c.pool->ready() == 2; }));
}

TEST_CASE("kube pod sessions: a stalled pod stops nobody else on the same session", "[kube]")
{
    auto const carrier = GENERATE(forward_carrier::spdy, forward_carrier::websocket);
    auto config = cluster::fast();
    config.use = session_use::shared;
    config.most = 1;
    cluster c(config, carrier);
    auto stalled = c.connect(stall_port);
    auto before = c.connect(echo_port);
    CHECK(c.fill(*stalled) >= 32 * 1024); // what the window allows, and what the pod's socket holds
    CHECK(c.echo(*before, "opened before") == "opened before");
    net::any_stream after;
    for (int i = 0; i < 10; ++i) { // ids pass through all lanes meanwhile
        after = c.connect(echo_port);
        CHECK(c.echo(*after, "opened after") == "opened after");
    }

    // Much more than a window for the others, again and again.
    std::string const bulk(32 * 1024, 'x');
    for (int i = 0; i < 100; ++i) REQUIRE(c.echo(*before, bulk) == bulk);
    CHECK(c.echo(*after, "still") == "still");
    CHECK(c.counted().opened == 1);
    CHECK(c.counted().read_stops == 0);
    CHECK(c.counted().deepest_queue < 50);

    // The stalled one can be given up; its lane is not used again while its worker is stuck.
    stalled.reset();
    CHECK(c.echo(*after, "fine") == "fine");
}

TEST_CASE("kube pod sessions: a reader of ours that stops gets a bounded amount, and on a shared session a reset", "[kube]")
{
    auto config = cluster::fast();
    config.use = session_use::shared;
    cluster c(config);
    c.session.receive_limit = 64 * 1024;
    c.session.shared_receive_limit = 1024 * 1024;
    auto slow = c.connect(source_port);
    SECTION("alone: the pod has to wait, and nothing is lost")
    {
        auto const all = c.read(*slow, 4 * 1024 * 1024);
        CHECK(all.size() == 4 * 1024 * 1024);
    }
    SECTION("shared: reset, and the other goes on")
    {
        auto other = c.connect(echo_port);
        CHECK(c.counted().opened == 1);
        CHECK(poll_until(c.ctx, [&] {
            auto const bytes = slow->view();
            return !bytes && bytes.error() == spdy::errc::reader_too_slow;
        }));
        CHECK(c.echo(*other, "fine") == "fine");
    }
}

TEST_CASE("kube pod sessions: spare sessions are made ready beside those in use", "[kube]")
{
    auto config = cluster::fast();
    config.spare = 2;
    cluster c(config);
    auto s = c.connect(echo_port);
    CHECK(poll_until(c.ctx, [&] { return c.pool->ready() == 2; }));
    CHECK(c.pool->sessions() == 3);
    auto t = c.connect(echo_port);
    CHECK(poll_until(c.ctx, [&] { return c.pool->ready() == 2; }));
    CHECK(c.openings == 4);
    s.reset();
    t.reset();
    CHECK(poll_until(c.ctx, [&] { return c.pool->ready() == 4; }));

    CHECK_FALSE(c.pool->trim(net::clock::now()));
    CHECK(c.pool->sessions() == 4);
    CHECK(c.pool->trim(net::clock::now() + std::chrono::hours(1)));
    CHECK(c.pool->sessions() == 0);
    CHECK(poll_until(c.ctx, [&] { return c.counted().open == 0; }));
    auto u = c.connect(echo_port);
    CHECK(c.echo(*u, "x") == "x");
}

TEST_CASE("kube pod sessions: beyond the limit a connection waits until a session is free", "[kube]")
{
    auto config = cluster::fast();
    config.most = 2;
    cluster c(config);
    auto a = c.connect(echo_port);
    auto b = c.connect(echo_port);
    diagnostics why;
    auto waiting = c.start_dial(echo_port, why);
    CHECK(c.echo(*a, "x") == "x");
    CHECK_FALSE(waiting.run().done());
    CHECK(c.openings == 2);
    b.reset();
    CHECK(poll_until(c.ctx, [&] { return waiting.done(); }));
    REQUIRE(waiting.value());
    CHECK(c.openings == 2);

    auto second = c.start_dial(echo_port, why);
    second.cancel();
    CHECK(poll_until(c.ctx, [&] { return second.done(); }));
    CHECK(second.error() == asio::error::operation_aborted);
    CHECK(c.pool->connections() == 2);
}

TEST_CASE("kube pod sessions: a dial survives the loss of a session that it found", "[kube]")
{
    auto const carrier = GENERATE(forward_carrier::spdy, forward_carrier::websocket);
    cluster c(cluster::fast(), carrier);
    c.kube.configure([](auto& k) { k.runtime.reply_delay = std::chrono::seconds(60); });
    diagnostics why;
    auto s = c.start_dial(echo_port, why);
    CHECK(poll_until(c.ctx, [&] { return c.counted().streams == 2; }));
    c.kube.configure([](auto& k) { k.runtime.reply_delay = milliseconds(0); });
    SECTION("closed") { c.kube.drop_connections(); }
    SECTION("reset") { c.kube.drop_connections(true); }
    SECTION("garbage") { c.kube.send_raw("\xff\xff this is no frame"); }
    CHECK(poll_until(c.ctx, [&] { return s.done(); }));
    INFO(why.text());
    REQUIRE(s.value());
    CHECK(c.echo(**s.value(), "x") == "x");
    CHECK(c.openings == 2);
}

TEST_CASE("kube pod sessions: sessions that end while they are idle are replaced", "[kube]")
{
    auto const carrier = GENERATE(forward_carrier::spdy, forward_carrier::websocket);
    cluster c(cluster::fast(), carrier);
    auto s = c.connect(echo_port);
    s.reset();
    CHECK(poll_until(c.ctx, [&] { return c.pool->ready() == 1; }));
    SECTION("the connection ends") { c.kube.drop_connections(); }
    SECTION("GOAWAY") { c.kube.send_goaway(); }
    CHECK(poll_until(c.ctx, [&] { return c.pool->sessions() == 0; }));
    s = c.connect(echo_port);
    CHECK(c.echo(*s, "x") == "x");
    CHECK(c.openings == 2);
}

TEST_CASE("kube pod sessions: when a session is lost, its connections fail and others do not", "[kube]")
{
    cluster c;
    auto a = c.connect(echo_port);
    CHECK(c.echo(*a, "x") == "x");
    c.kube.drop_connections(true);
    std::error_code end;
    c.read(*a, 1, &end);
    CHECK(end);
    CHECK_FALSE(a->try_write(as_bytes(std::string_view("x"))));
    auto b = c.connect(echo_port);
    CHECK(c.echo(*b, "x") == "x");
}

TEST_CASE("kube pod sessions: silence of a session ends it and what runs on it", "[kube]")
{
    cluster c;
    c.session.ping_interval = milliseconds(20);
    c.session.ping_timeout = milliseconds(200);
    c.session.keep_alive = milliseconds(20);
    auto s = c.connect(echo_port);
    CHECK(poll_until(c.ctx, [&] { return c.counted().pings >= 2; }));
    c.kube.freeze_sessions();
    std::error_code end;
    c.read(*s, 1, &end);
    CHECK(end == cond::timed_out);
    c.kube.freeze_sessions(false);
}

TEST_CASE("kube pod sessions: when one session's path is dead, new connections use none of the others that are idle", "[kube]")
{
    cluster c;
    c.session.ping_interval = milliseconds(20);
    c.session.ping_timeout = milliseconds(100);
    c.session.keep_alive = milliseconds(0);
    auto a = c.connect(echo_port);
    auto b = c.connect(echo_port);
    CHECK(c.echo(*b, "x") == "x");
    b.reset();
    CHECK(poll_until(c.ctx, [&] { return c.pool->ready() == 1; }));
    c.kube.freeze_sessions();
    CHECK(a->try_write(as_bytes("anybody there?")));
    std::error_code end;
    c.read(*a, 1, &end);
    CHECK(end == spdy::errc::no_answer);
    auto s = c.connect(echo_port);
    CHECK(c.echo(*s, "x") == "x");
    CHECK(c.openings == 3);
    c.kube.freeze_sessions(false);
}

TEST_CASE("kube pod sessions: closing fails what waits and what runs", "[kube]")
{
    auto config = cluster::fast();
    config.most = 1;
    cluster c(config);
    auto s = c.connect(echo_port);
    diagnostics why;
    auto waiting = c.start_dial(echo_port, why);
    c.pool->close();
    CHECK(poll_until(c.ctx, [&] { return waiting.done(); }));
    CHECK(waiting.value().error() == errc::pod_gone);
    CHECK(s->view().error() == errc::pod_gone);
    s.reset();
    CHECK(c.pool->trim(net::clock::now()));
}

// ---- openings, without a server

namespace {

using opened = result<std::shared_ptr<spdy::session>>;

spdy::session_config no_pings()
{
    spdy::session_config c;
    c.ping_interval = milliseconds(0);
    return c;
}

/// Openings that end when the test says so.
struct doors {
    explicit doors(net::executor ex) : executor(ex) {}

    net::executor executor;
    std::list<net::timer> waiting;
    std::size_t started = 0;
    std::vector<std::error_code> failures; ///< for the next ones to end; then they succeed
    std::vector<fake_stream*> carriers;

    static net::awaitable<opened> open(doors& d, diagnostics& why)
    {
        ++d.started;
        auto const me = d.waiting.emplace(d.waiting.end(), d.executor, net::clock::time_point::max());
        co_await me->async_wait(asio::as_tuple(net::use_awaitable));
        d.waiting.erase(me);
        if (!d.failures.empty()) {
            auto const failure = d.failures.front();
            d.failures.erase(d.failures.begin());
            why.set_server_text("no way");
            co_return failure;
        }
        auto carrier = std::make_unique<fake_stream>(d.executor);
        d.carriers.push_back(carrier.get());
        co_return spdy::session::start(std::move(carrier), {}, no_pings());
    }
    void let_one_end() { waiting.front().cancel(); }
};

} // namespace

TEST_CASE("kube pod sessions: no more sessions are opened at once than allowed, and one for every connection", "[kube]")
{
    asio::io_context ctx;
    doors d(ctx.get_executor());
    auto config = cluster::fast();
    config.most_opening = 3;
    auto const pool = std::make_shared<pod_sessions>(ctx.get_executor(), [&d](diagnostics& why) { return doors::open(d, why); }, config);
    std::array<diagnostics, 5> why;
    std::list<spawned<result<net::any_stream>>> dials;
    for (auto& w : why) dials.emplace_back(ctx, pool->dial(80, w)).run();
    CHECK(d.started == 3);
    for (std::size_t i = 1; i <= 5; ++i) {
        d.let_one_end();
        run_ready(ctx);
        CHECK(d.carriers.size() == i);
        CHECK(d.started == std::min<std::size_t>(3 + i, 5));
    }
    pool->close();
    run_ready(ctx);
    for (auto& s : dials) CHECK(s.done());
}

TEST_CASE("kube pod sessions: the failure of an opening is told to all who wait", "[kube]")
{
    asio::io_context ctx;
    doors d(ctx.get_executor());
    auto config = cluster::fast();
    config.most_opening = 1;
    auto const pool = std::make_shared<pod_sessions>(ctx.get_executor(), [&d](diagnostics& why) { return doors::open(d, why); }, config);
    d.failures = {make_error_code(errc::forbidden)};
    diagnostics why_a;
    diagnostics why_b;
    spawned<result<net::any_stream>> a(ctx, pool->dial(80, why_a));
    spawned<result<net::any_stream>> b(ctx, pool->dial(80, why_b));
    a.run();
    b.run();
    CHECK(d.started == 1);
    d.let_one_end();
    run_ready(ctx);
    REQUIRE(a.done());
    REQUIRE(b.done());
    CHECK(a.value().error() == errc::forbidden);
    CHECK(b.value().error() == errc::forbidden);
    CHECK(why_b.server_text == "no way");
    CHECK(d.started == 1);

    spawned<result<net::any_stream>> again(ctx, pool->dial(80, why_a)); // the next one tries anew
    again.run();
    CHECK(d.started == 2);
    d.let_one_end();
    run_ready(ctx);
    CHECK(d.carriers.size() == 1);
    pool->close();
    run_ready(ctx);
    CHECK(again.done());
}

namespace {

net::awaitable<opened> fail_at_once(std::size_t& calls)
{
    ++calls;
    co_return make_error_code(errc::unauthorized);
}

net::awaitable<opened> open_broken(net::executor ex, std::size_t& calls, bool at_once)
{
    ++calls;
    auto carrier = std::make_unique<fake_stream>(ex);
    if (!at_once) carrier->provide("garbage, not a frame");
    std::string_view const early = at_once ? "garbage, not a frame" : "";
    co_return spdy::session::start(std::move(carrier), as_bytes(early), no_pings());
}

} // namespace

TEST_CASE("kube pod sessions: openings that fail at once are not repeated for ever", "[kube]")
{
    asio::io_context ctx;
    auto config = cluster::fast();
    config.spare = 2;
    std::size_t calls = 0;
    std::error_code expected = errc::unauthorized;
    pod_sessions::opener open = [&calls](diagnostics&) { return fail_at_once(calls); };
    SECTION("an error") {}
    SECTION("a session that ends as soon as it begins")
    {
        open = [&calls, ex = ctx.get_executor()](diagnostics&) { return open_broken(ex, calls, true); };
        expected = spdy::errc::bad_flags;
    }
    SECTION("a session that ends before it has served")
    {
        open = [&calls, ex = ctx.get_executor()](diagnostics&) { return open_broken(ex, calls, false); };
        expected = spdy::errc::bad_flags;
    }
    auto const pool = std::make_shared<pod_sessions>(ctx.get_executor(), open, config);
    diagnostics why;
    spawned<result<net::any_stream>> s(ctx, pool->dial(80, why));
    for (int i = 0; i < 100 && !s.done(); ++i) run_ready(ctx);
    REQUIRE(s.done());
    CHECK(s.value().error() == expected);
    CHECK(calls <= 10);
    CHECK(pool->connections() == 0);
    pool->close();
    run_ready(ctx);
}

TEST_CASE("kube pod sessions: a dial can be cancelled at every step, and nothing of it is left", "[kube]")
{
    bool ended_by_itself = false;
    for (std::size_t steps = 0; !ended_by_itself; ++steps) {
        INFO("after " << steps << " steps");
        asio::io_context ctx;
        fake_stream* carrier = nullptr;
        auto const open = [&carrier, &ctx](diagnostics&) -> net::awaitable<opened> {
            return [](fake_stream*& out, asio::io_context& c) -> net::awaitable<opened> {
                auto own = std::make_unique<fake_stream>(c.get_executor());
                out = own.get();
                net::timer t(c.get_executor());
                t.expires_after(milliseconds(0));
                co_await t.async_wait(net::use_awaitable);
                co_return spdy::session::start(std::move(own), {}, no_pings());
            }(carrier, ctx);
        };
        auto config = cluster::fast();
        config.connect_grace = milliseconds(0);
        auto const pool = std::make_shared<pod_sessions>(ctx.get_executor(), open, config);
        diagnostics why;
        spawned<result<net::any_stream>> s(ctx, pool->dial(80, why));
        bool replied = false;
        test::fake_kube::header_zlib pack(test::fake_kube::header_zlib::direction::pack);
        for (std::size_t i = 0; i < steps && !s.done(); ++i) {
            ctx.restart();
            ctx.run_one_for(milliseconds(5));
            if (pool->sessions() == 1 && !replied && !carrier->written().empty()) {
                replied = true;
                std::uint32_t const lane = test::fake_kube::u32_at(carrier->written(), 8); // of the first frame's stream
                std::string first = test::fake_kube::control_frame(2, 0, test::fake_kube::u32(lane) + pack.run(test::fake_kube::u32(0)));
                first += test::fake_kube::control_frame(2, 0, test::fake_kube::u32(lane + 10) + pack.run(test::fake_kube::u32(0)));
                carrier->provide(first);
            }
        }
        ended_by_itself = s.done();
        s.cancel();
        run_ready(ctx);
        if (ended_by_itself) {
            CHECK(s.value());
            CHECK(steps > 3);
        } else {
            REQUIRE(s.done());
            // The last step may have been on its way already; then the connection is the caller's.
            if (s.error()) CHECK(s.error() == asio::error::operation_aborted);
            CHECK(pool->connections() == (s.error() ? 0u : 1u));
        }
        pool->close();
        run_ready(ctx);
    }
}

TEST_CASE("kube pod sessions: the n-th operation of the carrier fails, and the dial with it", "[kube]")
{
    for (std::size_t n = 0;; ++n) {
        INFO("operation " << n);
        asio::io_context ctx;
        test::fail_count fail(n);
        std::vector<fake_stream*> carriers;
        auto const open = [&](diagnostics&) -> net::awaitable<opened> {
            return [](std::vector<fake_stream*>& all, test::fail_count& f, net::executor ex) -> net::awaitable<opened> {
                auto own = std::make_unique<fake_stream>(ex);
                own->fail_with(f);
                all.push_back(own.get());
                co_return spdy::session::start(std::move(own), {}, no_pings());
            }(carriers, fail, ctx.get_executor());
        };
        auto config = cluster::fast();
        config.connect_grace = milliseconds(0);
        auto const pool = std::make_shared<pod_sessions>(ctx.get_executor(), open, config);
        diagnostics why;
        spawned<result<net::any_stream>> s(ctx, pool->dial(80, why));
        s.run();
        if (!s.done() && pool->sessions() == 1 && carriers.size() == 1) {
            test::fake_kube::header_zlib pack(test::fake_kube::header_zlib::direction::pack);
            std::uint32_t const id = test::fake_kube::u32_at(carriers.back()->written(), 8);
            std::string first = test::fake_kube::control_frame(2, 0, test::fake_kube::u32(id) + pack.run(test::fake_kube::u32(0)));
            first += test::fake_kube::control_frame(2, 0, test::fake_kube::u32(id + 10) + pack.run(test::fake_kube::u32(0)));
            carriers.back()->provide(first);
        }
        s.run();
        bool const succeeded = s.done() && s.value();
        if (s.done() && !succeeded) CHECK(s.value().error() == test::fake_errc::injected);
        pool->close();
        run_ready(ctx);
        CHECK(s.done());
        if (!fail.hit()) {
            CHECK(succeeded);
            break;
        }
    }
}

} // namespace podproxy::kube
