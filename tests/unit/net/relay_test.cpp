#include <podproxy/net/relay.hpp>
#include <podproxy/net/tcp_stream.hpp>
#include <fakes/fake_stream.hpp>
#include <support/poll_until.hpp>
#include <support/spawned.hpp>
#include <asio/connect.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace podproxy;
using podproxy::test::fake_stream;
using podproxy::test::run_ready;

namespace {

/// A relay between two fakes; the fakes stay reachable until the relay has destroyed them.
struct pair_of_fakes {
    asio::io_context ctx{1};
    net::relay_engine engine;
    fake_stream* client = nullptr;
    fake_stream* server = nullptr;
    std::optional<net::relay_end> end;
    std::string to_server_at_end;

    explicit pair_of_fakes(net::relay_config config = {}) : engine(ctx.get_executor(), config) {}

    void make(bytes_view early = {})
    {
        auto c = std::make_unique<fake_stream>(ctx.get_executor());
        auto s = std::make_unique<fake_stream>(ctx.get_executor());
        client = c.get();
        server = s.get();
        engine.start(std::move(c), std::move(s), early, [this](net::relay_end const& e) { end = e; });
    }
    void run() { run_ready(ctx); }
};

/// Two connected sockets, as a relay gets them: our end and the peer's.
struct connected {
    net::tcp_socket ours;
    net::tcp_socket peer;
    explicit connected(asio::io_context& ctx) : ours(ctx), peer(ctx)
    {
        asio::ip::tcp::acceptor acceptor(ctx, {asio::ip::address_v4::loopback(), 0});
        peer.connect(acceptor.local_endpoint());
        acceptor.accept(ours);
    }
};

std::vector<std::uint8_t> pattern(std::size_t n)
{
    std::vector<std::uint8_t> out(n);
    std::uint32_t x = 12345;
    for (auto& b : out) b = static_cast<std::uint8_t>((x = x * 1664525u + 1013904223u) >> 24);
    return out;
}

} // namespace

TEST_CASE("relay: bytes go both ways and early bytes come first")
{
    pair_of_fakes p;
    p.make(as_bytes("early "));
    p.client->provide("hello");
    p.server->provide("world");
    p.run();
    CHECK(p.server->written() == "early hello");
    CHECK(p.client->written() == "world");
    CHECK(p.engine.size() == 1);
    CHECK_FALSE(p.end);
}

TEST_CASE("relay: an end of stream is passed on and the other direction goes on")
{
    pair_of_fakes p;
    p.make();
    p.client->provide("request");
    p.client->close_remote();
    p.run();
    CHECK(p.server->written() == "request");
    CHECK(p.server->send_was_shut_down());
    CHECK_FALSE(p.end);
    p.server->provide("late answer");
    p.run();
    CHECK(p.client->written() == "late answer");
    p.server->close_remote();
    p.run();
    REQUIRE(p.end);
    CHECK(p.end->why == net::relay_end::cause::both_ended);
    CHECK_FALSE(p.end->error);
    CHECK(p.end->to_server == 7);
    CHECK(p.end->to_client == 11);
    CHECK(p.engine.size() == 0);
}

TEST_CASE("relay: a side that takes little gets everything, in order, and holds the other back")
{
    auto const write_max = GENERATE(std::size_t{1}, std::size_t{3}, std::size_t{1000});
    net::relay_config config;
    config.stream_buffer_size = 16;
    pair_of_fakes p(config);
    p.make(as_bytes("0123456789"));
    std::string sent = "0123456789";
    p.server->write_max(write_max);
    p.server->write_room(5);
    for (int i = 0; i < 50; ++i) {
        std::string const piece(static_cast<std::size_t>(i), static_cast<char>('a' + i % 26));
        if (!piece.empty()) p.client->provide(piece);
        sent += piece;
        p.run();
        if (i % 3 == 0) p.server->write_room(40);
    }
    CHECK(p.client->unread() > 0); // backpressure reached the source
    p.server->write_room(fake_stream::unlimited);
    p.run();
    CHECK(p.server->written() == sent);
}

TEST_CASE("relay: streams that lend views are written from without a copy")
{
    pair_of_fakes p;
    p.make();
    p.server->lend_views();
    p.client->write_room(4);
    p.server->provide("abcdefgh");
    p.run();
    CHECK(p.client->written() == "abcd");
    CHECK(p.server->unread() == 4); // what was not taken stays where it was received
    p.client->write_room(fake_stream::unlimited);
    p.server->close_remote();
    p.run();
    CHECK(p.client->written() == "abcdefgh");
    CHECK(p.client->send_was_shut_down());
}

TEST_CASE("relay: a failure on one side resets the other and is reported with its side")
{
    pair_of_fakes p;
    p.make();
    p.server->break_remote(asio::error::connection_reset);
    fake_stream* const client = p.client;
    (void)client;
    p.run();
    REQUIRE(p.end);
    CHECK(p.end->why == net::relay_end::cause::server_failed);
    CHECK(p.end->error == asio::error::connection_reset);
}

TEST_CASE("relay: every failure point ends the pair once, with the injected error or cleanly")
{
    for (std::size_t n = 0; n < 200; ++n) {
        test::fail_count fail(n);
        pair_of_fakes p;
        auto c = std::make_unique<fake_stream>(p.ctx.get_executor());
        auto s = std::make_unique<fake_stream>(p.ctx.get_executor());
        c->provide("some request");
        c->close_remote();
        s->provide("some answer");
        s->close_remote();
        s->write_max(5);
        c->fail_with(fail);
        s->fail_with(fail);
        int ends = 0;
        p.engine.start(std::move(c), std::move(s), as_bytes("early"), [&](net::relay_end const& e) {
            ++ends;
            p.end = e;
        });
        p.run();
        INFO("failure point " << n);
        REQUIRE(ends == 1);
        REQUIRE(p.engine.size() == 0);
        if (!fail.hit()) {
            CHECK(p.end->why == net::relay_end::cause::both_ended);
            CHECK(n > 5);
            return;
        }
    }
    FAIL("the run never succeeded");
}

TEST_CASE("relay: cancel resets both sides and reports it; destroying the engine says nothing")
{
    pair_of_fakes p;
    p.make();
    p.run();
    SECTION("cancel")
    {
        p.engine.cancel();
        p.run();
        REQUIRE(p.end);
        CHECK(p.end->why == net::relay_end::cause::cancelled);
    }
    SECTION("the engine goes away while a pair waits")
    {
        asio::io_context ctx(1);
        bool called = false;
        {
            net::relay_engine engine(ctx.get_executor());
            engine.start(std::make_unique<fake_stream>(ctx.get_executor()), std::make_unique<fake_stream>(ctx.get_executor()), {},
                         [&](net::relay_end const&) { called = true; });
            run_ready(ctx);
        }
        run_ready(ctx);
        CHECK_FALSE(called);
    }
}

namespace {

struct seen_by_observer {
    std::uint64_t to_server = 0;
    std::uint64_t to_client = 0;
    int calls = 0;
    std::optional<net::relay_end> end;
    bool gone = false;
};

class observer final : public net::relay_observer {
public:
    observer(seen_by_observer& seen, std::uint64_t cut_at) : seen_(seen), cut_at_(cut_at) {}
    ~observer() override { seen_.gone = true; }
    void moved(std::uint64_t to_server, std::uint64_t to_client) override
    {
        ++seen_.calls;
        seen_.to_server += to_server;
        seen_.to_client += to_client;
        if (seen_.to_server + seen_.to_client >= cut_at_) cut();
    }
    void ended(net::relay_end const& end) override
    {
        cut(); // there is nothing left to cut
        seen_.end = end;
    }

private:
    seen_by_observer& seen_;
    std::uint64_t cut_at_;
};

} // namespace

TEST_CASE("relay: an observer is told what moves while it moves, and the end")
{
    asio::io_context ctx(1);
    seen_by_observer seen;
    auto engine = std::make_unique<net::relay_engine>(ctx.get_executor());
    auto c = std::make_unique<fake_stream>(ctx.get_executor());
    auto s = std::make_unique<fake_stream>(ctx.get_executor());
    fake_stream* const client = c.get();
    fake_stream* const server = s.get();
    SECTION("up to the orderly end")
    {
        engine->start_observed(std::move(c), std::move(s), as_bytes("early"), std::make_unique<observer>(seen, 1000));
        run_ready(ctx);
        CHECK(seen.to_server == 5);
        CHECK(seen.to_client == 0);
        server->provide("an answer");
        run_ready(ctx);
        CHECK(seen.to_client == 9);
        CHECK(seen.calls == 2);
        client->provide("more");
        client->close_remote();
        run_ready(ctx);
        CHECK(seen.to_server == 9);
        CHECK_FALSE(seen.end);
        server->close_remote();
        run_ready(ctx);
        REQUIRE(seen.end);
        CHECK(seen.end->why == net::relay_end::cause::both_ended);
        CHECK(seen.end->to_server == 9);
        CHECK(seen.end->to_client == 9);
        CHECK(seen.calls == 3);
        CHECK(seen.gone);
    }
    SECTION("it may end the pair, also from inside")
    {
        bool const at_once = GENERATE(true, false);
        engine->start_observed(std::move(c), std::move(s), as_bytes("early"), std::make_unique<observer>(seen, at_once ? 1 : 6));
        run_ready(ctx);
        if (!at_once) {
            server->provide("x");
            run_ready(ctx);
        }
        REQUIRE(seen.end);
        CHECK(seen.end->why == net::relay_end::cause::cancelled);
        CHECK(seen.end->to_server == 5);
        CHECK(engine->size() == 0);
        CHECK(seen.gone);
    }
    SECTION("the engine goes away")
    {
        engine->start_observed(std::move(c), std::move(s), {}, std::make_unique<observer>(seen, 1000));
        run_ready(ctx);
        engine.reset();
        run_ready(ctx);
        CHECK_FALSE(seen.end);
        CHECK(seen.gone);
    }
}

TEST_CASE("relay: an observer of two sockets is told what moves while it moves")
{
    asio::io_context ctx(1);
    seen_by_observer seen;
    net::relay_engine engine(ctx.get_executor());
    connected a(ctx), b(ctx);
    engine.start_observed(std::make_unique<net::tcp_stream>(std::move(a.ours)), std::make_unique<net::tcp_stream>(std::move(b.ours)), {},
                          std::make_unique<observer>(seen, 8));
    a.peer.write_some(asio::buffer("hello", 5));
    REQUIRE(test::poll_until(ctx, [&] { return seen.to_server == 5; }));
    b.peer.write_some(asio::buffer("hi", 2));
    REQUIRE(test::poll_until(ctx, [&] { return seen.to_client == 2; }));
    CHECK_FALSE(seen.end);
    b.peer.write_some(asio::buffer("!", 1)); // and it ends the pair
    REQUIRE(test::poll_until(ctx, [&] { return seen.end.has_value(); }));
    CHECK(seen.end->why == net::relay_end::cause::cancelled);
    CHECK(engine.size() == 0);
}

TEST_CASE("relay: the io_context may be destroyed with pairs waiting on it")
{
    auto ctx = std::make_unique<asio::io_context>(1);
    auto engine = std::make_unique<net::relay_engine>(ctx->get_executor());
    connected a(*ctx), b(*ctx);
    engine->start(std::make_unique<net::tcp_stream>(std::move(a.ours)), std::make_unique<net::tcp_stream>(std::move(b.ours)), {}, {});
    run_ready(*ctx);
    CHECK(engine->size() == 1);
    engine.reset();
}

TEST_CASE("relay: an idle limit ends a silent pair and leaves a busy one")
{
    net::relay_config config;
    config.idle = std::chrono::milliseconds(80);
    pair_of_fakes quiet(config);
    quiet.make();
    auto const start = net::clock::now();
    while (!quiet.end && net::clock::now() - start < std::chrono::seconds(5)) {
        quiet.ctx.restart();
        quiet.ctx.run_one_for(std::chrono::milliseconds(50));
    }
    REQUIRE(quiet.end);
    CHECK(quiet.end->why == net::relay_end::cause::idle);
    CHECK(quiet.end->error == cond::timed_out);
    CHECK(net::clock::now() - start >= std::chrono::milliseconds(80));

    pair_of_fakes busy(config);
    busy.make();
    for (auto const until = net::clock::now() + std::chrono::milliseconds(300); net::clock::now() < until;) {
        busy.client->provide("x");
        busy.ctx.restart();
        busy.ctx.run_one_for(std::chrono::milliseconds(5));
    }
    CHECK_FALSE(busy.end);
}

TEST_CASE("relay: run as a coroutine returns the end, and cancelling it ends the pair")
{
    asio::io_context ctx(1);
    net::relay_engine engine(ctx.get_executor());
    auto c = std::make_unique<fake_stream>(ctx.get_executor());
    auto s = std::make_unique<fake_stream>(ctx.get_executor());
    SECTION("both sides end")
    {
        c->provide("abc");
        c->close_remote();
        s->close_remote();
        test::spawned<net::relay_end> relayed(ctx, engine.run(std::move(c), std::move(s)));
        relayed.run();
        REQUIRE(relayed.done());
        CHECK(relayed.value().to_server == 3);
    }
    SECTION("cancelled")
    {
        test::spawned<net::relay_end> relayed(ctx, engine.run(std::move(c), std::move(s)));
        relayed.run();
        CHECK_FALSE(relayed.done());
        relayed.cancel().run();
        CHECK(relayed.done());
        CHECK(engine.size() == 0);
    }
}

TEST_CASE("relay: bulk between two sockets is spliced, arrives whole, and the pipes go back")
{
    asio::io_context ctx(1);
    net::relay_config config;
    config.pipes.most = GENERATE(std::size_t{0}, std::size_t{8}); // copying, splicing
    net::relay_engine engine(ctx.get_executor(), config);
    connected client(ctx), server(ctx);
    std::optional<net::relay_end> end;
    engine.start(std::make_unique<net::tcp_stream>(std::move(client.ours)), std::make_unique<net::tcp_stream>(std::move(server.ours)), {},
                 [&](net::relay_end const& e) { end = e; });

    auto const data = pattern(24 * 1024 * 1024 + 17);
    std::vector<std::uint8_t> up(data.size()), down(data.size());
    // Four blocking threads: a reader and a writer at each end. The relay has to keep both directions going at once.
    auto const send = [&](net::tcp_socket& s) {
        asio::write(s, asio::buffer(data));
        s.shutdown(net::tcp_socket::shutdown_send);
    };
    auto const receive = [](net::tcp_socket& s, std::vector<std::uint8_t>& into) {
        std::error_code ec;
        asio::read(s, asio::buffer(into), ec);
        std::uint8_t more;
        std::error_code at_end;
        asio::read(s, asio::buffer(&more, 1), at_end);
        return !ec && at_end == asio::error::eof;
    };
    bool up_ok = false, down_ok = false;
    std::vector<std::thread> threads;
    threads.emplace_back([&] { send(client.peer); });
    threads.emplace_back([&] { send(server.peer); });
    threads.emplace_back([&] { up_ok = receive(server.peer, up); });
    threads.emplace_back([&] { down_ok = receive(client.peer, down); });
    while (!end) {
        ctx.restart();
        ctx.run_one_for(std::chrono::milliseconds(100));
    }
    for (auto& t : threads) t.join();
    CHECK(up_ok);
    CHECK(down_ok);
    CHECK(up == data);
    CHECK(down == data);
    CHECK(end->why == net::relay_end::cause::both_ended);
    CHECK(end->to_server == data.size());
    CHECK(end->to_client == data.size());
    CHECK(engine.pipes_in_use() == 0);
}

TEST_CASE("relay: an idle pair holds no pipe, even after bulk")
{
    if (!net::have_splice) SKIP("no splice(2) on this system");
    asio::io_context ctx(1);
    net::relay_engine engine(ctx.get_executor());
    connected client(ctx), server(ctx);
    engine.start(std::make_unique<net::tcp_stream>(std::move(client.ours)), std::make_unique<net::tcp_stream>(std::move(server.ours)), {}, {});
    auto const data = pattern(4 * 1024 * 1024);
    std::vector<std::uint8_t> got(data.size());
    std::thread writer([&] { asio::write(client.peer, asio::buffer(data)); });
    bool done = false;
    std::thread reader([&] {
        asio::read(server.peer, asio::buffer(got));
        asio::post(ctx, [&] { done = true; });
    });
    while (!done) {
        ctx.restart();
        ctx.run_one_for(std::chrono::milliseconds(100));
    }
    writer.join();
    reader.join();
    run_ready(ctx);
    CHECK(got == data);
    CHECK(engine.pipes_in_use() == 0);
    CHECK(engine.size() == 1);
}

TEST_CASE("relay: a reset by one peer reaches the other as a reset")
{
    asio::io_context ctx(1);
    net::relay_engine engine(ctx.get_executor());
    connected client(ctx), server(ctx);
    std::optional<net::relay_end> end;
    engine.start(std::make_unique<net::tcp_stream>(std::move(client.ours)), std::make_unique<net::tcp_stream>(std::move(server.ours)), {},
                 [&](net::relay_end const& e) { end = e; });
    run_ready(ctx);
    server.peer.set_option(asio::socket_base::linger(true, 0));
    server.peer.close();
    while (!end) {
        ctx.restart();
        ctx.run_one_for(std::chrono::milliseconds(100));
    }
    CHECK(end->why == net::relay_end::cause::server_failed);
    std::uint8_t b;
    std::error_code ec;
    client.peer.read_some(asio::buffer(&b, 1), ec);
    CHECK(ec == asio::error::connection_reset);
}
