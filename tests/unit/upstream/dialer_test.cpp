#include <podproxy/upstream/dialer.hpp>
#include <catch2/catch_test_macros.hpp>
#include <fakes/authority.hpp>
#include <unit/support/scripted_dialer.hpp>
#include <unit/support/spawned.hpp>
#include <array>
#include <cerrno>
#include <memory>
#include <string>

using namespace podproxy;
using test::spawned;

namespace {

struct fixture {
    explicit fixture(std::string_view url, tls::client_config tls = {}) : out(ctx)
    {
        auto made = upstream::dialer::create(out, *upstream::parse_proxy_url(url), std::move(tls), why);
        if (made) d = std::move(*made);
    }
    ~fixture()
    {
        ctx.restart();
        ctx.poll();
    }
    spawned<result<net::any_stream>> dial(std::string host = "web.example", std::uint16_t port = 443)
    {
        spawned<result<net::any_stream>> s(ctx, d->dial(host_port(std::move(host), port), why));
        s.run();
        return s;
    }

    asio::io_context ctx{1};
    test::scripted_dialer out;
    diagnostics why;
    std::unique_ptr<upstream::dialer> d;
};

std::string read_all_there(net::stream& s)
{
    std::string text;
    std::array<std::uint8_t, 7> part{};
    for (;;) {
        auto const n = s.try_read(part);
        if (!n) return text;
        text += as_text(bytes_view(part).first(*n));
    }
}

} // namespace

TEST_CASE("a tunnel through an HTTP proxy, with credentials, and bytes that came with the answer are not lost")
{
    fixture f("http://jane:secret@proxy.example:3128");
    auto s = f.dial();
    REQUIRE(f.out.asked.size() == 1);
    CHECK(f.out.asked[0] == host_port("proxy.example", 3128));
    CHECK(f.out.last().take() == "CONNECT web.example:443 HTTP/1.1\r\nHost: web.example:443\r\nProxy-Authorization: Basic amFuZTpzZWNyZXQ=\r\n\r\n");
    f.out.last().send("HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n220 hello there");
    REQUIRE(s.run().done());
    REQUIRE(s.value());
    auto& tunnel = **s.value();
    CHECK(f.why.text() == "via http://proxy.example:3128");

    bool readable = false;
    tunnel.async_wait(net::wait_kind::read, [&](std::error_code ec) { readable = !ec; });
    CHECK_FALSE(readable); // never from inside
    f.ctx.restart();
    f.ctx.poll();
    CHECK(readable);
    CHECK(read_all_there(tunnel) == "220 hello there");
    f.out.last().send("more");
    CHECK(read_all_there(tunnel) == "more");
    REQUIRE(tunnel.try_write(as_bytes("EHLO")));
    CHECK(f.out.last().take() == "EHLO");
}

TEST_CASE("a tunnel without early bytes is the connection itself")
{
    fixture f("http://proxy.example:3128");
    auto s = f.dial("2001:db8::7", 80);
    CHECK(f.out.last().take() == "CONNECT [2001:db8::7]:80 HTTP/1.1\r\nHost: [2001:db8::7]:80\r\n\r\n");
    f.out.last().send("HTTP/1.0 200 OK\r\n\r\n");
    REQUIRE(s.run().done());
    REQUIRE(s.value());
    CHECK(dynamic_cast<net::prefixed_stream*>(s.value()->get()) == nullptr);
}

TEST_CASE("an HTTP proxy that will not connect is named with what it said")
{
    fixture f("http://proxy.example:3128");
    auto s = f.dial();
    std::error_code expected;
    std::string text;
    SECTION("wants credentials")
    {
        f.out.last().send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
        expected = upstream::errc::credentials;
        text = "the proxy http://proxy.example:3128 did not connect to web.example:443: it answered 407 (it wants a user name and a password: "
               "http://user:password@host:port): Proxy Authentication Required";
    }
    SECTION("does not allow it")
    {
        f.out.last().send("HTTP/1.1 403 Forbidden by policy\r\nContent-Length: 0\r\n\r\n");
        expected = upstream::errc::refused;
        text = "the proxy http://proxy.example:3128 did not connect to web.example:443: it answered 403: Forbidden by policy";
    }
    SECTION("could not")
    {
        f.out.last().send("HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n");
        expected = upstream::errc::failed;
        text = "the proxy http://proxy.example:3128 did not connect to web.example:443: it answered 504: Gateway Timeout";
    }
    SECTION("is no HTTP proxy")
    {
        f.out.last().send("SSH-2.0-OpenSSH_9.2\r\n");
        expected = upstream::errc::bad_answer;
    }
    SECTION("closes")
    {
        f.out.last().end();
        expected = upstream::errc::bad_answer;
    }
    s.run();
    REQUIRE(s.done());
    CHECK(s.error() == expected);
    if (!text.empty()) CHECK(f.why.text() == text);
    CHECK(f.why.text().starts_with("the proxy http://proxy.example:3128 did not connect to web.example:443: "));
}

TEST_CASE("a tunnel through a SOCKS5 proxy, with credentials")
{
    fixture f("socks5://jane:secret@proxy.example");
    auto s = f.dial();
    CHECK(f.out.asked[0] == host_port("proxy.example", 1080));
    CHECK(f.out.last().take() == std::string("\x05\x02\x00\x02", 4));
    f.out.last().send(std::string("\x05\x02", 2));
    s.run();
    CHECK(f.out.last().take() == std::string("\x01\x04jane\x06secret", 13));
    f.out.last().send(std::string("\x01\x00", 2));
    s.run();
    CHECK(f.out.last().take() == std::string("\x05\x01\x00\x03\x0bweb.example\x01\xbb", 18));
    SECTION("succeeds")
    {
        f.out.last().send(std::string("\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", 10));
        REQUIRE(s.run().done());
        REQUIRE(s.value());
        CHECK(f.why.text() == "via socks5://proxy.example:1080");
    }
    SECTION("passes on what the proxy replied")
    {
        f.out.last().send(std::string("\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", 10));
        REQUIRE(s.run().done());
        CHECK(s.error() == cond::refused);
        CHECK(f.why.text().starts_with("the proxy socks5://proxy.example:1080 did not connect to web.example:443: "));
    }
}

TEST_CASE("a proxy that can't be reached is not the destination's failure")
{
    fixture f("http://proxy.example:3128");
    f.out.failures.push_back({ECONNREFUSED, std::system_category()});
    f.out.say = "connection refused";
    auto s = f.dial();
    REQUIRE(s.done());
    CHECK(s.error() == upstream::errc::unreachable);
    CHECK(s.error() != cond::refused);
    CHECK(f.why.text() == "can't reach the proxy http://proxy.example:3128: connection refused");
}

TEST_CASE("an https proxy is spoken to inside of TLS, and must prove its name")
{
    test::authority ca;
    tls::client_config settings;
    settings.roots_pem = ca.pem();
    fixture f("https://proxy.example", settings);
    REQUIRE(f.d);
    auto s = f.dial();
    CHECK(f.out.last().take().starts_with("\x16\x03\x01"));
    f.out.last().send("HTTP/1.1 400 Bad Request\r\n\r\n");
    REQUIRE(s.run().done());
    CHECK(s.error() == upstream::errc::unreachable);
    CHECK(f.why.text().starts_with("can't reach the proxy https://proxy.example:443: "));
}

TEST_CASE("bad roots for an https proxy are found at the start")
{
    tls::client_config settings;
    settings.roots_pem = "no PEM";
    fixture f("https://proxy.example", settings);
    CHECK_FALSE(f.d);
    CHECK_FALSE(f.why.text().empty());
}

TEST_CASE("a cancelled dial leaves nothing open")
{
    fixture f("http://proxy.example:3128");
    auto s = f.dial();
    s.cancel();
    s.run();
    REQUIRE(s.done());
    CHECK(s.error() == asio::error::operation_aborted);
}
