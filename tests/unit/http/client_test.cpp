#include <podproxy/http/client.hpp>

#include <catch2/catch_test_macros.hpp>
#include <fakes/fake_stream.hpp>
#include <podproxy/net/timeout.hpp>
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

struct fixture {
    asio::io_context ctx;
    fake_stream* stream = nullptr;
    std::unique_ptr<http::client> client;

    explicit fixture(client_config config = {})
    {
        auto s = std::make_unique<fake_stream>(ctx.get_executor());
        stream = s.get();
        if (config.host.empty()) config.host = "api:6443";
        client = std::make_unique<http::client>(std::move(s), std::move(config));
    }
    ~fixture()
    {
        client->close(); // ends what still waits
        test::run_ready(ctx);
    }

    spawned<result<response_head>> request(std::string method, std::string target, fields f = {}, std::string body = {})
    {
        spawned<result<response_head>> s(ctx, client->request(std::move(method), std::move(target), std::move(f), std::move(body)));
        s.run();
        return s;
    }
};

/// Everything that a caller sees of one exchange.
net::awaitable<result<std::string>> exchange(http::client& c, std::string method, std::string body)
{
    auto const head = co_await c.request(std::move(method), "/x", fields(), std::move(body));
    if (!head) co_return head.error();
    auto const content = co_await c.read_all(1000);
    if (!content) co_return content.error();
    co_return std::to_string(head->status) + " " + *content + (c.reusable() ? " reusable" : " used up");
}

} // namespace

TEST_CASE("http client: a request and its answer, then another one on the same connection", "[http]")
{
    fixture f;
    spawned<result<std::string>> first(f.ctx, exchange(*f.client, "GET", ""));
    first.run();
    CHECK(f.stream->take_written() == "GET /x HTTP/1.1\r\nHost: api:6443\r\n\r\n");
    CHECK(f.stream->writes() == 1);
    f.stream->provide("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    CHECK_FALSE(first.run().done());
    CHECK_FALSE(f.client->reusable());
    f.stream->provide("llo");
    CHECK(first.run().value().value() == "200 hello reusable");
    CHECK(f.client->looks_alive());

    spawned<result<std::string>> second(f.ctx, exchange(*f.client, "POST", "body"));
    second.run();
    CHECK(f.stream->take_written() == "POST /x HTTP/1.1\r\nHost: api:6443\r\nContent-Length: 4\r\n\r\nbody");
    f.stream->provide("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n");
    CHECK(second.run().value().value() == "201 ok reusable");
    CHECK(f.client->trailers() == fields{{"X-T", "1"}});
}

TEST_CASE("http client: what is done to a request", "[http]")
{
    fixture f;
    auto r = f.request("PUT", "/", {{"Host", "own"}}, "");
    CHECK(f.stream->take_written() == "PUT / HTTP/1.1\r\nHost: own\r\nContent-Length: 0\r\n\r\n");
    CHECK(f.request("GET", "/").error() == errc::not_ready); // the first is not answered yet

    fixture g;
    CHECK(g.request("GET", "/", {{"X", "a\r\nY: b"}}).error() == errc::unsafe_head);
    CHECK(g.request("GET", "/a b").error() == errc::unsafe_head);
    CHECK(g.stream->written().empty());
    CHECK(g.client->reusable()); // nothing has happened
}

TEST_CASE("http client: a large body is sent in whole, also where writing stalls", "[http]")
{
    fixture f;
    std::string const body(100'000, 'x');
    f.stream->write_room(10);
    auto r = f.request("POST", "/", {}, body);
    f.stream->write_room(50'000);
    r.run();
    f.stream->write_room(fake_stream::unlimited);
    r.run();
    CHECK(f.stream->written() == "POST / HTTP/1.1\r\nHost: api:6443\r\nContent-Length: 100000\r\n\r\n" + body);
    f.stream->provide("HTTP/1.1 204 No Content\r\n\r\n");
    CHECK(r.run().value().value().status == 204);
    CHECK(f.client->reusable());
}

TEST_CASE("http client: framing of answers, and what it means for the connection", "[http]")
{
    struct good_case {
        char const* method;
        std::string wire;
        bool close;
        std::string expected;
    };
    std::vector<good_case> const cases = {
        {"GET", "HTTP/1.1 200 OK\r\n\r\nuntil close", true, "200 until close used up"},
        {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", false, "200 x used up"},
        {"GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", false, "200 x reusable"},
        {"GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", false, "200 x used up"},
        {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", false, "200  reusable"},
        {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", false, "304  reusable"},
        {"GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", false, "204  reusable"},
        {"GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, "200 ok reusable"},
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", false, "200 ok reusable"}, // looks_alive sees it
    };
    for (good_case const& c : cases) {
        INFO(c.wire);
        test::check_all_splits(as_bytes(c.wire), [&](std::span<bytes_view const> pieces) {
            fixture f;
            spawned<result<std::string>> s(f.ctx, exchange(*f.client, c.method, ""));
            for (bytes_view const p : pieces) {
                s.run();
                if (!p.empty()) f.stream->provide(p);
            }
            if (c.close) f.stream->close_remote();
            CHECK(s.run().value().value() == c.expected);
            return s.value().value();
        });
    }
}

TEST_CASE("http client: answers that break the protocol", "[http]")
{
    struct bad_case {
        std::string wire;
        std::error_code expected;
    };
    std::vector<bad_case> const cases = {
        {"", podproxy::errc::end_of_stream},
        {"HTTP/1.1 200", podproxy::errc::truncated},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", podproxy::errc::truncated},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", podproxy::errc::truncated},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", errc::bad_chunk_size},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", errc::unexpected_upgrade},
        {"SSH-2.0\r\n", errc::bad_status_line},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + std::string(2000, 'x'), errc::body_too_large},
    };
    for (bad_case const& c : cases) {
        INFO(c.wire.substr(0, 80));
        fixture f;
        f.stream->provide(c.wire);
        f.stream->close_remote();
        spawned<result<std::string>> s(f.ctx, exchange(*f.client, "GET", ""));
        CHECK(s.run().error() == c.expected);
        CHECK_FALSE(f.client->reusable());
    }
    client_config config;
    config.max_interim_responses = 2;
    fixture f(config);
    auto s = f.request("GET", "/");
    f.stream->provide("HTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 B\r\n\r\nHTTP/1.1 100 C\r\n\r\n");
    CHECK(s.run().error() == errc::loop_limit);
}

TEST_CASE("http client: an endless answer is read line by line", "[http]")
{
    std::string const wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "4\r\n{\"a\"\r\n8\r\n:1}\n{}\r\n\r\n1\r\n\n\r\n4\r\nlast\r\n0\r\n\r\n";
    auto const lines = test::check_all_splits(as_bytes(wire), [](std::span<bytes_view const> pieces) {
        fixture f;
        auto r = f.request("GET", "/watch");
        std::size_t fed = 0;
        auto feed = [&] {
            if (fed == pieces.size()) return false;
            if (!pieces[fed].empty()) f.stream->provide(pieces[fed]);
            ++fed;
            return true;
        };
        while (!r.run().done() && feed()) {}
        REQUIRE(r.value());
        std::vector<std::string> out;
        for (;;) {
            spawned<result<std::string>> line(f.ctx, f.client->read_line(20));
            while (!line.run().done() && feed()) {}
            if (!line.value()) {
                CHECK(line.error() == podproxy::errc::end_of_stream);
                break;
            }
            out.push_back(*line.value());
        }
        CHECK(f.client->reusable());
        return out;
    });
    CHECK(lines == std::vector<std::string>{"{\"a\":1}", "{}", "", "last"});
}

TEST_CASE("http client: a line has a limit", "[http]")
{
    for (std::size_t const limit : {4u, 5u, 6u}) {
        fixture f;
        auto r = f.request("GET", "/");
        f.stream->provide("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n12345\nabcdef");
        REQUIRE(r.run().value());
        spawned<result<std::string>> line(f.ctx, f.client->read_line(limit));
        if (limit < 5) CHECK(line.run().error() == errc::body_too_large);
        else CHECK(line.run().value().value() == "12345");
    }
}

TEST_CASE("http client: content is copied out in any sizes", "[http]")
{
    fixture f;
    auto r = f.request("GET", "/");
    f.stream->provide("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789");
    REQUIRE(r.run().value());
    std::string all;
    std::array<std::uint8_t, 3> out{};
    for (;;) {
        spawned<result<std::size_t>> n(f.ctx, f.client->read_body(out));
        n.run();
        if (!n.value()) {
            CHECK(n.error() == podproxy::errc::end_of_stream);
            break;
        }
        all += as_text(bytes_view(out).first(*n.value()));
    }
    CHECK(all == "0123456789");
    CHECK(f.client->reusable());
}

TEST_CASE("http client: an upgrade gives back the stream and what has arrived", "[http]")
{
    fixture f;
    auto r = f.request("POST", "/portforward", {{"Connection", "Upgrade"}, {"Upgrade", "SPDY/3.1"}});
    f.stream->provide("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n\x80\x03");
    REQUIRE(r.run().value());
    CHECK(r.value()->status == 101);
    CHECK_FALSE(f.client->reusable());
    auto up = f.client->take_stream();
    CHECK(up.stream.get() == f.stream);
    CHECK(as_text(up.early.data()) == "\x80\x03");

    fixture g; // refused with an ordinary answer: the connection goes on
    auto q = g.request("GET", "/", {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}});
    g.stream->provide("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    CHECK(q.run().value()->status == 403);
    CHECK(g.client->reusable());
}

TEST_CASE("http client: content goes out piece by piece", "[http]")
{
    fixture f;
    spawned<result<void>> head(f.ctx, f.client->send_head(request_head("POST", "/", {{"Transfer-Encoding", "chunked"}})));
    REQUIRE(head.run().value());
    spawned<result<void>> one(f.ctx, f.client->send_body(as_bytes("hello")));
    REQUIRE(one.run().value());
    CHECK(f.client->gather_body(as_bytes("a")));
    CHECK(f.client->gather_body(as_bytes("b")));
    CHECK_FALSE(f.client->request_complete());
    spawned<result<void>> end(f.ctx, f.client->end_body({{"X-T", "1"}}));
    REQUIRE(end.run().value());
    CHECK(f.client->request_complete());
    CHECK(f.stream->written() == "POST / HTTP/1.1\r\nHost: api:6443\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 "5\r\nhello\r\n1\r\na\r\n1\r\nb\r\n0\r\nX-T: 1\r\n\r\n");

    fixture g; // too much, too little
    spawned<result<void>> h(g.ctx, g.client->send_head(request_head("POST", "/", {{"Content-Length", "3"}}), "ab"));
    REQUIRE(h.run().value());
    spawned<result<void>> short_end(g.ctx, g.client->end_body());
    CHECK(short_end.run().error() == errc::not_ready);
    spawned<result<void>> much(g.ctx, g.client->send_body(as_bytes("cd")));
    CHECK(much.run().error() == errc::not_ready);
}

TEST_CASE("http client: the answer counts even if the server does not take the request", "[http]")
{
    fixture f;
    f.stream->write_room(20);
    auto r = f.request("POST", "/", {}, std::string(100'000, 'x'));
    CHECK_FALSE(r.done());
    // The server has answered and stopped reading: the rest can't be written.
    f.stream->provide("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    spawned<result<void>> shut(f.ctx, net::shutdown_send(*f.stream)); // makes further writes fail
    f.stream->write_room(fake_stream::unlimited);
    r.run();
    CHECK(r.value().value().status == 413);
    CHECK_FALSE(f.client->reusable());
}

TEST_CASE("http client: an idle connection that got bytes or ended is not alive", "[http]")
{
    for (bool const end : {false, true}) {
        fixture f;
        auto r = f.request("GET", "/");
        f.stream->provide("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        REQUIRE(r.run().value());
        REQUIRE(f.client->looks_alive());
        if (end) f.stream->close_remote();
        else f.stream->provide("HTTP/1.1 408 Request Timeout\r\n\r\n");
        CHECK_FALSE(f.client->looks_alive());
        CHECK_FALSE(f.client->reusable());
    }
}

TEST_CASE("http client: every failure point gives an error and no reusable connection", "[http]")
{
    std::size_t n = 0;
    for (;; ++n) {
        test::fail_count fail(n);
        fixture f;
        f.stream->fail_with(fail);
        f.stream->read_max(7);
        f.stream->write_max(30);
        f.stream->provide("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
        spawned<result<std::string>> s(f.ctx, exchange(*f.client, "POST", "hello"));
        s.run();
        REQUIRE(s.done());
        if (!fail.hit()) {
            CHECK(s.value().value() == "200 ok reusable");
            break;
        }
        INFO(n);
        CHECK(s.error() == test::fake_errc::injected);
        CHECK_FALSE(f.client->reusable());
    }
    CHECK(n > 5);
}

TEST_CASE("http client: a cancelled read has lost nothing", "[http]")
{
    std::string const wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nab\ncd\ne\r\n0\r\n\r\n";
    for (std::size_t cut = 0; cut < wire.size(); ++cut) {
        INFO(cut);
        fixture f;
        spawned<result<void>> sent(f.ctx, f.client->send_head(request_head("GET", "/")));
        REQUIRE(sent.run().value());
        if (cut != 0) f.stream->provide(as_bytes(wire).first(cut));
        std::vector<std::string> lines;
        bool have_head = false;
        for (bool fed = false;;) {
            auto attempt = [&](auto work, auto take) {
                spawned<typename decltype(work)::value_type> s(f.ctx, std::move(work));
                if (!s.run().done()) {
                    s.cancel().run();
                    REQUIRE(s.done());
                    CHECK(s.error() == cond::cancelled);
                    REQUIRE_FALSE(std::exchange(fed, true));
                    f.stream->provide(as_bytes(wire).subspan(cut));
                    return true;
                }
                if (!s.value()) {
                    CHECK(s.error() == podproxy::errc::end_of_stream);
                    return false;
                }
                take(*s.value());
                return true;
            };
            bool const more = have_head ? attempt(f.client->read_line(100), [&](std::string const& l) { lines.push_back(l); })
                                        : attempt(f.client->read_response(), [&](response_head const&) { have_head = true; });
            if (!more) break;
        }
        CHECK(lines == std::vector<std::string>{"ab", "cd", "e"});
        CHECK(f.client->reusable());
    }
}

TEST_CASE("http client: cancelling at every point leaves nothing behind", "[http]")
{
    for (std::size_t steps = 0;; ++steps) {
        fixture f;
        f.stream->read_max(5);
        f.stream->write_max(9);
        f.stream->wake_early(3);
        f.stream->provide("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        spawned<result<std::string>> s(f.ctx, exchange(*f.client, "POST", "hello"));
        std::size_t i = 0;
        while (i < steps && s.step()) ++i;
        bool const finished = s.done();
        s.cancel().run();
        REQUIRE(s.done());
        if (finished) {
            CHECK(s.value().value() == "200 ok reusable");
            break;
        }
    }
}

TEST_CASE("http client: a wait has the end that the config gives it", "[http]")
{
    client_config config;
    config.idle = std::chrono::milliseconds(1);
    fixture f(config);
    auto r = f.request("GET", "/");
    while (!r.done()) {
        f.ctx.restart();
        f.ctx.run_one();
    }
    CHECK(r.error() == podproxy::errc::timed_out);
    CHECK_FALSE(f.client->reusable());
}

} // namespace podproxy::http
