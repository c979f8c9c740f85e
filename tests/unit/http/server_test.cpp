#include <podproxy/http/server.hpp>

#include <catch2/catch_test_macros.hpp>
#include <fakes/fake_stream.hpp>
#include <unit/support/spawned.hpp>
#include <unit/support/splits.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::http {
namespace {

using test::fake_stream;
using test::spawned;

/// Answers with what it got.
net::awaitable<result<void>> echo(server_connection& c, request_head head)
{
    auto const content = co_await c.read_all(100'000);
    if (!content) co_return content.error();
    response_head answer(200, {{"Content-Type", "text/plain"}});
    co_return co_await c.respond(std::move(answer), head.method + " " + head.target + " " + *content);
}

/// A coroutine that `spawned` can watch.
net::awaitable<result<void>> run(net::stream& s, flat_buffer& buf, server_config config, request_handler handler)
{
    co_await serve(s, buf, std::move(config), std::move(handler));
    co_return result<void>{};
}

struct fixture {
    asio::io_context ctx;
    fake_stream stream{ctx.get_executor()};
    flat_buffer buf{64 * 1024};
    server_config config;
    std::unique_ptr<spawned<result<void>>> server;

    fixture()
    {
        config.send_date = false;
        config.linger = {}; // most tests look at the bytes only
    }
    ~fixture()
    {
        if (server && !server->done()) server->cancel().run();
    }
    void start(request_handler handler = echo)
    {
        server = std::make_unique<spawned<result<void>>>(ctx, run(stream, buf, config, std::move(handler)));
        server->run();
    }
    std::string send(std::string_view wire)
    {
        stream.provide(wire);
        server->run();
        return stream.take_written();
    }
    bool ended() { return server->run().done(); }
};

} // namespace

TEST_CASE("http server: requests are answered one after the other, also when they come at once", "[http]")
{
    std::string const wire = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
                             "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                             "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                             "HEAD /d HTTP/1.1\r\nHost: x\r\n\r\n"
                             "GET /e HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    auto const answers = test::check_all_splits(as_bytes(wire), [](std::span<bytes_view const> pieces) {
        fixture f;
        f.start();
        std::string out;
        for (bytes_view const p : pieces) out += f.send(as_text(p));
        CHECK(f.ended());
        CHECK(f.stream.is_closed());
        return out;
    });
    std::string const ok = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ";
    CHECK(answers == ok + "7\r\n\r\nGET /a " + ok + "11\r\n\r\nPOST /b abc" + ok + "11\r\n\r\nPOST /c abc" + ok + "8\r\n\r\n" +
                         ok + "7\r\nConnection: close\r\n\r\nGET /e ");
}

TEST_CASE("http server: a client that ends between requests is simply gone", "[http]")
{
    for (std::string const wire : {"", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"}) {
        fixture f;
        f.start();
        (void)f.send(wire);
        f.stream.close_remote();
        CHECK(f.ended());
        CHECK(f.stream.written().empty());
    }
}

TEST_CASE("http server: requests that can't be read get the fitting status, and an end", "[http]")
{
    struct bad_case {
        std::string wire;
        std::string status;
    };
    std::vector<bad_case> const cases = {
        {"GET / HTTP/1.1\r\n\r\n", "400"},
        {"{}", "400"},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},
        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501"},
        {"GET / HTTP/3.0\r\n", "505"},
        {"GET /" + std::string(9000, 'x'), "414"},
        {"GET / HTTP/1.1\r\nX: " + std::string(70'000, 'x'), "431"},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + std::string(200'000, 'x'), "413"},
        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "400"},
    };
    for (bad_case const& c : cases) {
        INFO(c.wire.substr(0, 60));
        fixture f;
        f.start();
        std::string const answer = f.send(c.wire);
        CHECK(answer.starts_with("HTTP/1.1 " + c.status + " "));
        CHECK(answer.find("Connection: close\r\n") != std::string::npos);
        CHECK(f.ended());
    }
}

TEST_CASE("http server: HTTP/1.0 clients get what they understand", "[http]")
{
    fixture f;
    f.start([](server_connection& c, request_head) -> net::awaitable<result<void>> {
        if (auto sent = co_await c.send_head(response_head(200)); !sent) co_return sent;
        if (auto sent = co_await c.write(as_bytes("piece")); !sent) co_return sent;
        co_return co_await c.end();
    });
    CHECK(f.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\npiece");
    CHECK(f.ended());
    fixture g;
    g.start();
    CHECK(g.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") ==
          "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nConnection: keep-alive\r\n\r\nGET / ");
    CHECK_FALSE(g.ended());
}

TEST_CASE("http server: content of unknown length is chunked, with trailers", "[http]")
{
    fixture f;
    f.start([](server_connection& c, request_head) -> net::awaitable<result<void>> {
        if (auto sent = co_await c.send_head(response_head(200)); !sent) co_return sent;
        if (auto sent = co_await c.write(as_bytes("piece")); !sent) co_return sent;
        fields trailers;
        trailers.add("X-T", "1");
        co_return co_await c.end(std::move(trailers));
    });
    CHECK(f.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n") ==
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\npiece\r\n0\r\nX-T: 1\r\n\r\n");
    CHECK(f.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n") == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    CHECK_FALSE(f.ended());
}

TEST_CASE("http server: 100 Continue is sent when the content is wanted, and only then", "[http]")
{
    std::string const head = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    fixture f;
    f.start();
    CHECK(f.send(head) == "HTTP/1.1 100 Continue\r\n\r\n");
    CHECK(f.send("abc").ends_with("POST / abc"));
    CHECK(f.send(head + "abc").ends_with("POST / abc")); // did not wait
    CHECK_FALSE(f.ended());

    fixture g;
    g.start([](server_connection& c, request_head) -> net::awaitable<result<void>> { co_return co_await c.respond(response_head(403)); });
    CHECK(g.send(head) == "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    CHECK(g.ended()); // whether the content comes is not known
}

TEST_CASE("http server: content that nobody read is skipped up to a limit", "[http]")
{
    for (std::size_t const limit : {9u, 10u, 11u}) {
        fixture f;
        f.config.max_skipped_body = limit;
        f.start([](server_connection& c, request_head) -> net::awaitable<result<void>> { co_return co_await c.respond(response_head(204)); });
        std::string const one = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789";
        std::string const answers = f.send(one + one);
        std::string const answer = "HTTP/1.1 204 No Content\r\n\r\n";
        CHECK(answers == (limit < 10 ? answer : answer + answer));
        CHECK(f.ended() == (limit < 10));
    }
}

TEST_CASE("http server: a handler that fails or forgets to answer", "[http]")
{
    fixture f;
    f.start([](server_connection&, request_head) -> net::awaitable<result<void>> { co_return result<void>{}; });
    CHECK(f.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 500 "));
    CHECK(f.ended());

    fixture g; // in the middle of an answer: the client must see that it is not whole
    g.start([](server_connection& c, request_head) -> net::awaitable<result<void>> {
        response_head head(200);
        head.fields.add("Content-Length", "10");
        if (auto sent = co_await c.send_head(std::move(head)); !sent) co_return sent;
        (void)co_await c.write(as_bytes("half"));
        co_return podproxy::errc::unavailable;
    });
    CHECK(g.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n") == "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    CHECK(g.ended());
    CHECK(g.stream.was_reset());
}

TEST_CASE("http server: an upgrade leaves the stream and the buffer to the handler", "[http]")
{
    fixture f;
    std::string early;
    f.start([&early](server_connection& c, request_head) -> net::awaitable<result<void>> {
        fields more;
        more.add("Upgrade", "echo");
        if (auto sent = co_await c.upgrade(std::move(more)); !sent) co_return sent;
        early = as_text(c.buffer().data());
        co_return result<void>{};
    });
    CHECK(f.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nraw") ==
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n");
    CHECK(f.ended());
    CHECK(early == "raw");
    CHECK_FALSE(f.stream.is_closed());
}

TEST_CASE("http server: a silent client is let go, a slow one is told", "[http]")
{
    auto run_until_end = [](fixture& f) {
        while (!f.server->done()) {
            f.ctx.restart();
            f.ctx.run_one();
        }
    };
    fixture f;
    f.config.header_timeout = std::chrono::milliseconds(1);
    f.start();
    run_until_end(f);
    CHECK(f.stream.written().empty());

    fixture g;
    g.config.header_timeout = std::chrono::milliseconds(1);
    g.start();
    g.stream.provide("GET / HT");
    run_until_end(g);
    CHECK(g.stream.written().starts_with("HTTP/1.1 408 Request Timeout\r\n"));

    fixture h;
    h.config.idle_timeout = std::chrono::milliseconds(1);
    h.start();
    CHECK(h.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 200"));
    run_until_end(h);
    CHECK(h.stream.written().empty());
}

TEST_CASE("http server: closing waits until the client has taken the answer", "[http]")
{
    fixture f;
    f.config.linger = std::chrono::hours(1);
    f.start();
    CHECK(f.send("{ more to come").starts_with("HTTP/1.1 400"));
    CHECK_FALSE(f.ended());
    CHECK(f.stream.send_was_shut_down());
    (void)f.send("rest of what it wanted to say");
    CHECK_FALSE(f.ended());
    f.stream.close_remote();
    CHECK(f.ended());
    CHECK(f.stream.is_closed());

    fixture g; // or until it is too much
    g.config.linger = std::chrono::hours(1);
    g.start();
    (void)g.send("{");
    for (int i = 0; i < 300 && !g.ended(); ++i) (void)g.send(std::string(4096, 'x'));
    CHECK(g.ended());
}

TEST_CASE("http server: every failure and every cancellation ends it", "[http]")
{
    std::string const wire = "POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"
                             "GET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    std::size_t failures = 0;
    for (std::size_t n = 0;; ++n) {
        test::fail_count fail(n);
        fixture f;
        f.stream.fail_with(fail);
        f.stream.read_max(20);
        f.stream.write_max(30);
        f.stream.provide(wire);
        f.start();
        REQUIRE(f.ended());
        CHECK(f.stream.is_closed());
        if (!fail.hit()) break;
        ++failures;
    }
    CHECK(failures > 10);
    for (std::size_t steps = 0; steps < 200; ++steps) {
        fixture f;
        f.stream.read_max(20);
        f.stream.write_max(30);
        f.stream.wake_early(2);
        f.stream.provide(wire);
        f.server = std::make_unique<spawned<result<void>>>(f.ctx, run(f.stream, f.buf, f.config, echo));
        std::size_t i = 0;
        while (i < steps && f.server->step()) ++i;
        bool const finished = f.server->done();
        f.server->cancel().run();
        REQUIRE(f.server->done());
        if (finished) break;
    }
}

} // namespace podproxy::http
