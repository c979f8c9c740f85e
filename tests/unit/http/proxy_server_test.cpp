#include <podproxy/http/proxy_server.hpp>

#include <catch2/catch_test_macros.hpp>
#include <fakes/fake_stream.hpp>
#include <asio/error.hpp>
#include <unit/support/spawned.hpp>
#include <unit/support/splits.hpp>
#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::http {
namespace {

using test::fake_stream;
using test::spawned;

/// Gives out streams whose other end is the test.
class fake_dialer final : public net::dialer {
public:
    explicit fake_dialer(asio::io_context& ctx) : ctx_(ctx) {}

    net::awaitable<result<net::any_stream>> dial(host_port destination, diagnostics& why) override
    {
        dialed.push_back(format_host_port(destination));
        if (stall) {
            net::timer never(ctx_.get_executor(), net::clock::time_point::max());
            co_await never.async_wait(net::use_awaitable);
        }
        if (error) {
            why.message = reason;
            co_return error;
        }
        auto s = std::make_unique<fake_stream>(ctx_.get_executor());
        s->read_max(read_max);
        s->write_max(write_max);
        if (fail) s->fail_with(*fail);
        if (!script.empty()) {
            s->provide(script);
            if (script_closes) s->close_remote();
        }
        streams.push_back(s.get());
        net::any_stream out = std::move(s);
        co_return out;
    }

    std::vector<std::string> dialed;
    std::vector<fake_stream*> streams; ///< Those that were closed since are gone.
    std::error_code error;
    std::string reason;
    bool stall = false;
    std::string script; ///< What every new stream has to say at once.
    bool script_closes = false;
    std::size_t read_max = fake_stream::unlimited;
    std::size_t write_max = fake_stream::unlimited;
    test::fail_count* fail = nullptr;

private:
    asio::io_context& ctx_;
};

struct seen {
    proxy_event event = proxy_event::closed;
    std::string destination;
    net::any_stream upstream;
    std::string upstream_early;
};

net::awaitable<result<std::shared_ptr<seen>>> run(proxy_server& p)
{
    proxy_outcome out = co_await p.run();
    auto s = std::make_shared<seen>();
    s->event = out.event;
    s->destination = format_host_port(out.destination);
    s->upstream = std::move(out.upstream);
    s->upstream_early = as_text(out.upstream_early.data());
    co_return s;
}

struct fixture {
    asio::io_context ctx;
    fake_stream client{ctx.get_executor()};
    flat_buffer early{64 * 1024};
    fake_dialer dialer{ctx};
    proxy_config config;
    std::vector<exchange_record> log;
    std::unique_ptr<proxy_server> proxy;
    std::unique_ptr<spawned<result<std::shared_ptr<seen>>>> task;

    fixture()
    {
        config.server.send_date = false;
        config.server.linger = {};
        config.on_exchange = [this](exchange_record const& r) { log.push_back(r); };
    }
    ~fixture()
    {
        if (task && !task->done()) task->cancel().run();
    }
    fixture& start()
    {
        proxy = std::make_unique<proxy_server>(client, early, dialer, config);
        task = std::make_unique<spawned<result<std::shared_ptr<seen>>>>(ctx, podproxy::http::run(*proxy));
        task->run();
        return *this;
    }
    /// The client says something. @return what it hears.
    std::string send(std::string_view wire)
    {
        if (!task) start();
        if (!wire.empty()) client.provide(wire);
        task->run();
        return client.take_written();
    }
    fake_stream& upstream() { return *dialer.streams.back(); }
    /// What the destination got since the last time.
    std::string got()
    {
        task->run();
        return upstream().take_written();
    }
    /// The destination says something. @return what the client hears.
    std::string reply(std::string_view wire)
    {
        upstream().provide(wire);
        task->run();
        return client.take_written();
    }
    bool ended() { return task->run().done(); }
    seen& outcome() { return *task->value().value(); }
};

std::string const get_a = "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n";
std::string const got_a = "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 podproxy\r\n\r\n";

} // namespace

TEST_CASE("http proxy: CONNECT hands the tunnel to the caller, with what came early", "[http]")
{
    fixture f;
    CHECK(f.send("CONNECT web.shop.demo:443 HTTP/1.1\r\nHost: web.shop.demo:443\r\n\r\nhello").empty());
    REQUIRE(f.ended());
    CHECK(f.outcome().event == proxy_event::connect);
    CHECK(f.outcome().destination == "web.shop.demo:443");
    CHECK(as_text(f.early.data()) == "hello");
    spawned<result<void>> accepted(f.ctx, f.proxy->accept_connect());
    REQUIRE(accepted.run().value());
    CHECK(f.client.written() == "HTTP/1.1 200 Connection Established\r\n\r\n");
    CHECK_FALSE(f.client.is_closed());
    CHECK(f.dialer.dialed.empty());
}

TEST_CASE("http proxy: the first bytes may have been read by somebody else", "[http]")
{
    fixture f;
    REQUIRE(f.early.append(as_bytes("CONNECT [::1]:80 HT")));
    (void)f.send("TP/1.0\r\n\r\n");
    REQUIRE(f.ended());
    CHECK(f.outcome().destination == "[::1]:80");
}

TEST_CASE("http proxy: a tunnel that can't be had is explained", "[http]")
{
    fixture f;
    (void)f.send("CONNECT db.shop.demo:5432 HTTP/1.1\r\nHost: db.shop.demo:5432\r\n\r\n");
    REQUIRE(f.ended());
    auto refuse = [](proxy_server& p) -> net::awaitable<result<void>> {
        diagnostics why;
        why.message = "pod db-0 does not listen on port 5432";
        co_await p.refuse_connect(make_error_code(asio::error::connection_refused), host_port("db.shop.demo", 5432), std::move(why));
        co_return result<void>{};
    };
    spawned<result<void>> refused(f.ctx, refuse(*f.proxy));
    REQUIRE(refused.run().done());
    std::string const answer = f.client.take_written();
    CHECK(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\nProxy-Status: podproxy; error=connection_refused\r\n"));
    CHECK(answer.find("Connection: close\r\n") != std::string::npos);
    CHECK(answer.find("podproxy can't reach db.shop.demo:5432: pod db-0 does not listen on port 5432.\n") != std::string::npos);
    CHECK(f.client.is_closed());
}

TEST_CASE("http proxy: a request goes to its host, and the answer comes back, at every cut", "[http]")
{
    std::string const wire = "POST http://web.shop.demo/cart?x HTTP/1.1\r\nHost: web.shop.demo\r\nContent-Length: 3\r\nProxy-Connection: keep-alive\r\n\r\nabc";
    std::string const answer = "HTTP/1.1 201 Created\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 2\r\n\r\nok";
    test::check_all_splits(as_bytes(wire), [&](std::span<bytes_view const> pieces) {
        fixture f;
        for (bytes_view const p : pieces) (void)f.send(as_text(p));
        REQUIRE(f.dialer.dialed == std::vector<std::string>{"web.shop.demo:80"});
        std::string const got = f.got();
        CHECK(got == "POST /cart?x HTTP/1.1\r\nHost: web.shop.demo\r\nContent-Length: 3\r\nVia: 1.1 podproxy\r\n\r\nabc");
        std::string const back = f.reply(answer);
        CHECK(back == "HTTP/1.1 201 Created\r\nContent-Length: 2\r\nVia: 1.1 podproxy\r\n\r\nok");
        CHECK_FALSE(f.ended());
        return got + back;
    });
    test::check_all_splits(as_bytes(answer), [&](std::span<bytes_view const> pieces) {
        fixture f;
        (void)f.send(wire);
        std::string back;
        for (bytes_view const p : pieces) back += f.reply(as_text(p));
        REQUIRE(f.log.size() == 1);
        CHECK(f.log[0].status == 201);
        CHECK(f.log[0].request_bytes == 3);
        CHECK(f.log[0].response_bytes == 2);
        CHECK_FALSE(f.log[0].error);
        return back;
    });
}

TEST_CASE("http proxy: the connection to a host is kept for the next request to it", "[http]")
{
    std::string const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    fixture f;
    (void)f.send(get_a);
    CHECK(f.got() == got_a);
    CHECK(f.reply(ok).starts_with("HTTP/1.1 200 OK"));
    (void)f.send("GET http://A:80/ HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(f.dialer.dialed.size() == 1);
    CHECK(f.reply(ok).starts_with("HTTP/1.1 200 OK"));
    CHECK(f.log[1].reused);
    (void)f.send("GET http://b/ HTTP/1.1\r\nHost: b\r\n\r\n");
    CHECK(f.dialer.dialed == std::vector<std::string>{"a:80", "b:80"});
    CHECK(f.reply("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").find("close") == std::string::npos);
    (void)f.send("GET http://b/ HTTP/1.1\r\nHost: b\r\n\r\n");
    CHECK(f.dialer.dialed.size() == 3); // the server did not want to keep it
    f.client.close_remote();
    (void)f.reply(ok);
    CHECK(f.ended());
}

TEST_CASE("http proxy: requests that come at once are answered in order", "[http]")
{
    fixture f;
    (void)f.send(get_a + "GET http://a/2 HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(f.got() == got_a);
    CHECK(f.reply("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1").ends_with("\r\n\r\n1"));
    CHECK(f.got().starts_with("GET /2 "));
    CHECK(f.reply("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2").ends_with("\r\n\r\n2"));
}

TEST_CASE("http proxy: a kept connection that died is replaced, where that can't do harm", "[http]")
{
    std::string const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct retry_case {
        char const* name;
        std::string request;
        std::string partial; ///< what comes back before the end
        bool again;
    };
    std::vector<retry_case> const cases = {
        {"GET", get_a, "", true},
        {"DELETE", "DELETE http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "", true},
        {"PUT without content", "PUT http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "", true},
        {"PUT with content", "PUT http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", "", false},
        {"PUT whose content has not come", "PUT http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n", "", true},
        {"POST", "POST http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "", false},
        {"PATCH", "PATCH http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "", false},
        {"a byte of the answer has come", get_a, "H", false},
    };
    for (retry_case const& c : cases) {
        INFO(c.name);
        fixture f;
        (void)f.send(get_a);
        (void)f.reply(ok);
        (void)f.send(c.request);
        REQUIRE(f.dialer.dialed.size() == 1);
        if (!c.partial.empty()) (void)f.reply(c.partial);
        f.upstream().close_remote(); // it had closed just then
        std::string const answer = f.send("");
        CHECK(f.dialer.dialed.size() == (c.again ? 2 : 1));
        if (c.again) CHECK(f.reply(ok).starts_with("HTTP/1.1 200"));
        else CHECK(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\nProxy-Status: podproxy; error=connection_terminated"));
    }

    fixture fresh; // a new connection that dies is not tried again
    (void)fresh.send(get_a);
    fresh.upstream().close_remote();
    CHECK(fresh.send("").starts_with("HTTP/1.1 502"));
    CHECK(fresh.dialer.dialed.size() == 1);

    fixture known; // known to be closed before the request: nothing was sent on it, so any method may go
    (void)known.send(get_a);
    (void)known.reply(ok);
    known.upstream().close_remote();
    (void)known.send("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    CHECK(known.dialer.dialed.size() == 2);
    CHECK(known.got().ends_with("\r\n\r\nx"));
}

TEST_CASE("http proxy: content streams in both directions at once", "[http]")
{
    fixture f;
    (void)f.send("POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    CHECK(f.got() == "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nVia: 1.1 podproxy\r\n\r\n3\r\nabc\r\n");
    CHECK(f.reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n") ==
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 podproxy\r\n\r\n2\r\nhi\r\n");
    CHECK(f.send("1\r\nd\r\n1\r\ne\r\n").empty());
    CHECK(f.got() == "1\r\nd\r\n1\r\ne\r\n");
    CHECK(f.reply("1\r\n!\r\n") == "1\r\n!\r\n");
    CHECK(f.send("0\r\nX-Sum: 1\r\nHost: b\r\n\r\n").empty());
    CHECK(f.got() == "0\r\nX-Sum: 1\r\n\r\n");
    CHECK(f.reply("0\r\nX-T: 2\r\n\r\n") == "0\r\nX-T: 2\r\n\r\n");
    CHECK_FALSE(f.ended());
    CHECK(f.log.at(0).request_bytes == 5);
    CHECK(f.log.at(0).response_bytes == 3);
}

TEST_CASE("http proxy: a stream of events goes out as it comes, whatever its framing", "[http]")
{
    fixture f;
    (void)f.send(get_a);
    CHECK(f.reply("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").ends_with("Transfer-Encoding: chunked\r\nVia: 1.1 podproxy\r\n\r\n"));
    CHECK(f.reply("data: 1\n\n") == "9\r\ndata: 1\n\n\r\n");
    CHECK(f.reply("data: 2\n\n") == "9\r\ndata: 2\n\n\r\n");
    f.upstream().close_remote();
    CHECK(f.send("") == "0\r\n\r\n");
    CHECK_FALSE(f.ended()); // the client's connection goes on
}

TEST_CASE("http proxy: a large answer passes through a slow client without being held", "[http]")
{
    fixture f;
    f.client.write_room(1000);
    (void)f.send(get_a);
    std::string const content(300'000, 'x');
    std::string back = f.reply("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + content);
    CHECK(back.size() == 1000);
    CHECK(f.upstream().unread() > 200'000); // it stays where it is
    f.client.write_room(fake_stream::unlimited);
    back += f.send("");
    CHECK(back.ends_with("\r\n\r\n" + content));
}

TEST_CASE("http proxy: Expect: 100-continue is the destination's to answer", "[http]")
{
    fixture f;
    CHECK(f.send("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n").empty());
    CHECK(f.got().find("Expect: 100-continue\r\n") != std::string::npos);
    CHECK(f.reply("HTTP/1.1 100 Continue\r\n\r\n") == "HTTP/1.1 100 Continue\r\nVia: 1.1 podproxy\r\n\r\n");
    (void)f.send("abc");
    CHECK(f.got() == "abc");
    CHECK(f.reply("HTTP/1.1 204 No Content\r\n\r\n").starts_with("HTTP/1.1 204"));
    CHECK_FALSE(f.ended());

    fixture g; // the final answer comes at once: nobody knows whether the content will
    (void)g.send("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    CHECK(g.reply("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n").starts_with("HTTP/1.1 417"));
    CHECK(g.ended());
}

TEST_CASE("http proxy: an early answer ends the sending", "[http]")
{
    fixture f;
    (void)f.send("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc");
    CHECK(f.reply("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n").starts_with("HTTP/1.1 413"));
    // The rest is skipped up to a limit, then the connection is given up.
    for (int i = 0; i < 10; ++i) (void)f.send(std::string(10'000, 'x'));
    CHECK(f.ended());

    fixture g; // the destination takes nothing more, but has an answer
    g.dialer.write_max = 50;
    (void)g.send("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    g.upstream().write_room(0);
    (void)g.send(std::string(1000, 'x'));
    CHECK(g.reply("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").starts_with("HTTP/1.1 403"));
    (void)g.send(get_a);
    CHECK(g.dialer.dialed.size() == 2); // not over the connection that is full
}

TEST_CASE("http proxy: a switch of protocols hands both streams to the caller", "[http]")
{
    fixture f;
    (void)f.send("GET http://a/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    CHECK(f.got() == "GET /ws HTTP/1.1\r\nHost: a\r\nVia: 1.1 podproxy\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    CHECK(f.reply("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframe") ==
          "HTTP/1.1 101 Switching Protocols\r\nVia: 1.1 podproxy\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    REQUIRE(f.ended());
    CHECK(f.outcome().event == proxy_event::upgraded);
    CHECK(f.outcome().upstream.get() == f.dialer.streams[0]);
    CHECK(f.outcome().upstream_early == "frame");
    CHECK_FALSE(f.client.is_closed());

    fixture g; // nobody asked
    (void)g.send(get_a);
    CHECK(g.reply("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n").starts_with("HTTP/1.1 502"));
    CHECK(g.ended());
}

TEST_CASE("http proxy: what can't be reached is explained", "[http]")
{
    struct bad_case {
        std::error_code error;
        std::string status;
        std::string type;
    };
    std::vector<bad_case> const cases = {
        {asio::error::connection_refused, "502", "connection_refused"},
        {asio::error::timed_out, "504", "connection_timeout"},
        {podproxy::errc::timed_out, "504", "connection_timeout"},
        {asio::error::host_not_found, "502", "dns_error"},
        {asio::error::network_unreachable, "502", "destination_ip_unroutable"},
        {asio::error::host_unreachable, "502", "destination_ip_unroutable"},
        {make_error_code(std::errc::permission_denied), "403", "destination_ip_prohibited"},
        {make_error_code(std::errc::no_such_file_or_directory), "502", "destination_not_found"},
        {asio::error::connection_reset, "502", "connection_terminated"},
        {podproxy::errc::unavailable, "502", "destination_unavailable"},
        {podproxy::errc::truncated, "502", "connection_terminated"},
    };
    for (bad_case const& c : cases) {
        INFO(c.error.message());
        fixture f;
        f.dialer.error = c.error;
        f.dialer.reason = "the exact reason";
        std::string const answer = f.send(get_a);
        CHECK(answer.starts_with("HTTP/1.1 " + c.status + " "));
        CHECK(answer.find("Proxy-Status: podproxy; error=" + c.type + "\r\n") != std::string::npos);
        CHECK(answer.find("podproxy can't reach a:80: the exact reason.\n") != std::string::npos);
        CHECK(f.ended());
        REQUIRE(f.log.size() == 1);
        CHECK(f.log[0].error == c.error);
        CHECK(f.log[0].why.text() == "the exact reason");
        CHECK(std::to_string(f.log[0].status) == c.status);
    }
}

TEST_CASE("http proxy: dialing has an end", "[http]")
{
    fixture f;
    f.dialer.stall = true;
    f.config.dial_timeout = std::chrono::milliseconds(1);
    (void)f.send(get_a);
    while (!f.task->done()) {
        f.ctx.restart();
        f.ctx.run_one();
    }
    CHECK(f.client.written().starts_with("HTTP/1.1 504 Gateway Timeout\r\n"));
}

TEST_CASE("http proxy: a destination that breaks the protocol", "[http]")
{
    std::vector<std::string> const before_the_head = {"SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                                                      "HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'x')};
    for (std::string const& wire : before_the_head) {
        fixture f;
        (void)f.send(get_a);
        CHECK(f.reply(wire).starts_with("HTTP/1.1 502 Bad Gateway\r\nProxy-Status: podproxy; error=http_protocol_error\r\n"));
        CHECK(f.ended());
    }
    // Inside of the answer only a reset can tell the client.
    fixture f;
    (void)f.send(get_a);
    CHECK(f.reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nx\r\n").ends_with("2\r\nab\r\n"));
    CHECK(f.ended());
    CHECK(f.client.was_reset());
    fixture g;
    (void)g.send(get_a);
    (void)g.reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    g.upstream().close_remote();
    CHECK(g.ended());
    CHECK(g.client.was_reset());
    CHECK(g.log.at(0).error == podproxy::errc::truncated);
}

TEST_CASE("http proxy: requests that are not for a proxy", "[http]")
{
    fixture f;
    std::string const answer = f.send("GET / HTTP/1.1\r\nHost: 127.0.0.1:9080\r\n\r\n");
    CHECK(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"));
    CHECK(answer.find("This is a proxy (podproxy), not a web server") != std::string::npos);
    CHECK(f.ended());

    fixture g;
    g.config.local = [](request_head const& head) -> std::optional<local_answer> {
        if (head.target != "/proxy.pac") return std::nullopt;
        return local_answer{response_head(200, {{"Content-Type", "application/x-ns-proxy-autoconfig"}}), "text"};
    };
    CHECK(g.send("GET /proxy.pac HTTP/1.1\r\nHost: x\r\n\r\n") ==
          "HTTP/1.1 200 OK\r\nContent-Type: application/x-ns-proxy-autoconfig\r\nContent-Length: 4\r\n\r\ntext");
    CHECK_FALSE(g.ended());
    CHECK(g.send("GET /other HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 400"));
    CHECK(g.dialer.dialed.empty());

    std::vector<std::pair<std::string, std::string>> const refused = {
        {"GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
        {"GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
        {"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
        {"GET a HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
        {"GET http://a/ HTTP/2.0\r\n", "505"},
        {"GET http://a/ HTTP/1.1\r\n\r\n", "400"},
        {"GET http://a/ HTTP/1.1\r\nX: " + std::string(70'000, 'x'), "431"},
        {"GET http://a/" + std::string(9000, 'x'), "414"},
        {"\x16\x03\x01", "400"},
    };
    for (auto const& [wire, status] : refused) {
        INFO(wire.substr(0, 50));
        fixture h;
        CHECK(h.send(wire).starts_with("HTTP/1.1 " + status + " "));
        CHECK(h.ended());
        CHECK(h.dialer.dialed.empty());
    }
}

TEST_CASE("http proxy: who has no password does not get far", "[http]")
{
    fixture f;
    f.config.authorize = [](std::string_view value) { return value == "Basic dTpw"; };
    std::string const answer = f.send("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
    CHECK(answer.starts_with("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"podproxy\", charset=\"UTF-8\"\r\n"));
    CHECK_FALSE(f.ended());
    CHECK(f.send("GET http://a/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic eDp5\r\n\r\n").starts_with("HTTP/1.1 407 "));
    CHECK(f.dialer.dialed.empty());
    (void)f.send("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nProxy-Authorization: Basic dTpw\r\n\r\n");
    CHECK(f.ended());
    CHECK(f.outcome().event == proxy_event::connect);

    fixture other;
    other.config.authorize = [](std::string_view) { return false; };
    CHECK(other.send("GET / HTTP/1.1\r\nHost: us\r\n\r\n").starts_with("HTTP/1.1 400 ")); // for us: nothing to protect
}

TEST_CASE("http proxy: TRACE and OPTIONS end here when they have come far enough", "[http]")
{
    fixture f;
    CHECK(f.send("OPTIONS http://a/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\nAllow: "));
    CHECK(f.send("TRACE http://a/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n").find("\r\n\r\nTRACE / HTTP/1.1\r\n") != std::string::npos);
    CHECK(f.dialer.dialed.empty());
    (void)f.send("TRACE http://a/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\n\r\n");
    CHECK(f.got().find("Max-Forwards: 0") != std::string::npos);
}

TEST_CASE("http proxy: HTTP/1.0 clients", "[http]")
{
    fixture f;
    (void)f.send("GET http://a/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(f.got() == "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 podproxy\r\n\r\n");
    CHECK(f.reply("HTTP/1.1 100 Continue\r\n\r\n").empty());
    CHECK(f.reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n") ==
          "HTTP/1.1 200 OK\r\nVia: 1.1 podproxy\r\nConnection: close\r\n\r\nhi");
    CHECK(f.ended());
}

TEST_CASE("http proxy: a client that goes away takes the request with it", "[http]")
{
    fixture f;
    (void)f.send(get_a);
    (void)f.reply("HTTP/1.1 200 OK\r\n\r\n");
    f.client.break_remote();
    CHECK(f.ended());
    CHECK(f.outcome().event == proxy_event::closed);
    CHECK(f.log.at(0).error == asio::error::connection_reset);

    fixture g; // in the middle of its content
    (void)g.send("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    g.client.close_remote();
    CHECK(g.ended());
    CHECK(g.log.at(0).error == podproxy::errc::truncated);

    fixture h; // or sends nonsense instead of it
    (void)h.send("POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    CHECK(h.send("x\r\n").starts_with("HTTP/1.1 400"));
    CHECK(h.ended());
}

TEST_CASE("http proxy: a client that has ended its direction still gets its answer", "[http]")
{
    fixture f;
    (void)f.send(get_a);
    f.client.close_remote();
    CHECK(f.send("").empty());
    CHECK_FALSE(f.ended());
    CHECK(f.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").ends_with("ok"));
    CHECK(f.ended());

    fixture g; // but not for ever
    g.config.half_closed_timeout = std::chrono::milliseconds(1);
    (void)g.send(get_a);
    g.client.close_remote();
    while (!g.task->done()) {
        g.ctx.restart();
        g.ctx.run_one();
    }
    CHECK(g.log.at(0).error == podproxy::errc::timed_out);
}

TEST_CASE("http proxy: every failure ends it, and nothing waits for ever", "[http]")
{
    std::string const wire = "PUT http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                             "GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    std::string const answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    for (bool const client_fails : {false, true}) {
        std::size_t failures = 0;
        for (std::size_t n = 0;; ++n) {
            INFO((client_fails ? "client " : "destination ") << n);
            test::fail_count fail(n);
            fixture f;
            if (client_fails) f.client.fail_with(fail);
            else f.dialer.fail = &fail;
            f.dialer.script = answer;
            f.dialer.script_closes = true;
            f.client.read_max(60);
            f.client.write_max(60);
            f.dialer.read_max = 60;
            f.dialer.write_max = 60;
            f.client.provide(wire);
            f.start();
            REQUIRE(f.ended());
            CHECK(f.outcome().event == proxy_event::closed);
            CHECK(f.client.is_closed());
            if (!fail.hit()) break;
            ++failures;
        }
        CHECK(failures > 5);
    }
}

TEST_CASE("http proxy: it can be cancelled at every point", "[http]")
{
    std::string const wire = "PUT http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                             "GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for (std::size_t steps = 0;; ++steps) {
        fixture f;
        f.dialer.script = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
        f.dialer.script_closes = true;
        f.client.read_max(60);
        f.dialer.read_max = 60;
        f.client.wake_early(2);
        f.client.provide(wire);
        f.proxy = std::make_unique<proxy_server>(f.client, f.early, f.dialer, f.config);
        f.task = std::make_unique<spawned<result<std::shared_ptr<seen>>>>(f.ctx, run(*f.proxy));
        std::size_t i = 0;
        while (i < steps && f.task->step()) ++i;
        bool const finished = f.task->done();
        f.task->cancel().run();
        REQUIRE(f.task->done());
        if (finished) break;
        REQUIRE(steps < 500);
    }
}

TEST_CASE("http proxy: content that never makes it wait leaves turns to others", "[http]")
{
    // One handler of the loop carries no more than a turn and what was read with it.
    constexpr std::size_t most = 1024 * 1024 + 64 * 1024;
    constexpr std::size_t total = 4 * 1024 * 1024;
    std::string const content(total, 'x');
    auto most_in_one_step = [](fixture& f, fake_stream& sink) {
        std::size_t largest = 0;
        for (std::size_t before = sink.written().size(); f.task->step(); before = sink.written().size())
            largest = std::max(largest, sink.written().size() - before);
        return largest;
    };
    SECTION("of an answer")
    {
        fixture f;
        (void)f.send(get_a);
        f.upstream().provide("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(total) + "\r\n\r\n" + content);
        CHECK(most_in_one_step(f, f.client) < most);
        CHECK(f.client.written().ends_with("\r\n\r\n" + content));
    }
    SECTION("of a request")
    {
        fixture f;
        (void)f.send("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(total) + "\r\n\r\n");
        f.client.provide(content);
        CHECK(most_in_one_step(f, f.upstream()) < most);
        CHECK(f.upstream().written().ends_with("\r\n\r\n" + content));
    }
}

} // namespace podproxy::http
