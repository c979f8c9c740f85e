#include <podproxy/kube/errc.hpp>
#include <podproxy/net/tcp_stream.hpp>
#include <podproxy/proxy/server.hpp>

#include <fakes/stream_pair.hpp>
#include <unit/support/poll_until.hpp>
#include <unit/support/scripted_dialer.hpp>
#include <unit/support/spawned.hpp>

#include <asio/error.hpp>
#include <asio/post.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

using namespace podproxy;
using namespace std::chrono_literals;
using namespace std::string_literals;
using proxy::port_kind;
using test::poll_until;
using test::spawned;

namespace {

/// A client on a real socket.
class client {
public:
    client(asio::io_context& ctx, asio::ip::tcp::endpoint const& where) : ctx_(&ctx), socket_(ctx)
    {
        socket_.connect(where);
        socket_.non_blocking(true);
    }
    std::uint16_t port() const { return socket_.local_endpoint().port(); }
    /// As much as goes through until the other side has closed.
    void send(std::string_view text)
    {
        std::error_code ec;
        poll_until(*ctx_, [&] {
            if (!ec || ec == asio::error::would_block) text.remove_prefix(socket_.write_some(asio::buffer(text), ec));
            return text.empty() || (ec && ec != asio::error::would_block);
        });
    }
    void end() { socket_.shutdown(net::tcp_socket::shutdown_send); }
    void reset()
    {
        socket_.set_option(asio::socket_base::linger(true, 0));
        socket_.close();
    }
    void close() { socket_.close(); }

    /// Everything up to the end of the connection; `ended` tells how it ended.
    std::string read_to_end()
    {
        poll_until(*ctx_, [&] { return take(), ended.has_value(); });
        return std::exchange(got_, {});
    }
    /// At least `n` bytes.
    std::string read(std::size_t n)
    {
        poll_until(*ctx_, [&] { return take(), got_.size() >= n || ended; });
        return std::exchange(got_, {});
    }
    /// Up to and with `stop`, and what has come behind it.
    std::string read_until(std::string_view stop)
    {
        poll_until(*ctx_, [&] { return take(), got_.find(stop) != std::string::npos || ended; });
        return std::exchange(got_, {});
    }
    /// Whether something has come, or the end, after all that could run has run.
    bool quiet()
    {
        ctx_->restart();
        ctx_->poll();
        take();
        return got_.empty() && !ended;
    }

    std::optional<std::error_code> ended; ///< `eof`, or the error

private:
    void take()
    {
        if (ended) return;
        std::array<char, 8192> buf;
        for (;;) {
            std::error_code ec;
            std::size_t const n = socket_.read_some(asio::buffer(buf), ec);
            if (ec == asio::error::would_block) return;
            if (ec) {
                ended = ec;
                return;
            }
            got_.append(buf.data(), n);
        }
    }

    asio::io_context* ctx_;
    net::tcp_socket socket_;
    std::string got_;
};

net::awaitable<result<void>> drained(proxy::server& s, std::chrono::milliseconds limit)
{
    co_await s.drain(limit);
    co_return result<void>{};
}

struct fixture {
    explicit fixture(port_kind kind = port_kind::mixed, proxy::server_config config = {})
        : out(ctx), listener(std::move(*net::listener::open(ctx.get_executor(), {asio::ip::address_v4::loopback(), 0}))),
          server(std::in_place, ctx.get_executor(), out, logger(), std::move(config)), serving(ctx, server->serve(listener, kind))
    {
        run();
    }
    ~fixture()
    {
        listener.close();
        if (!server) return;
        spawned<result<void>> d(ctx, drained(*server, 0ms));
        poll_until(ctx, [&] { return d.done(); });
        poll_until(ctx, [&] { return serving.done(); });
        server.reset();
    }

    void run()
    {
        ctx.restart();
        ctx.poll();
    }
    client& connect() { return clients.emplace_back(ctx, listener.local_endpoint()); }
    std::string us() const { return "127.0.0.1:" + std::to_string(listener.local_endpoint().port()); }
    /// Wait until the n-th connection to a destination is there.
    test::dialed_peer& upstream(std::size_t n = 0)
    {
        REQUIRE(poll_until(ctx, [&] { return out.peers.size() > n; }));
        return *out.peers[n];
    }
    std::string taken(test::dialed_peer& p, std::size_t at_least)
    {
        std::string text;
        poll_until(ctx, [&] { return text += p.take(), text.size() >= at_least; });
        return text;
    }

    asio::io_context ctx{1};
    test::scripted_dialer out;
    net::listener listener;
    std::optional<proxy::server> server;
    spawned<std::error_code> serving;
    std::list<client> clients;
};

/// A whole SOCKS5 handshake for a name, sent at once as clients do that know what the answer will be.
std::string socks_to(std::string const& name, std::uint16_t port)
{
    std::string out = "\x05\x01\x00"s;                                      // version 5, one method: none
    out += "\x05\x01\x00\x03"s + static_cast<char>(name.size()) + name;     // CONNECT to a name
    return out + static_cast<char>(port >> 8) + static_cast<char>(port & 255);
}
std::string const no_authentication = "\x05\x00"s;
std::string socks_reply(int code) { return "\x05"s + static_cast<char>(code) + "\x00\x01\x00\x00\x00\x00\x00\x00"s; }

/// Passwords are their own hashes.
struct guarded {
    guarded()
    {
        auth::user_table users;
        users.emplace("ann", secret("sesame"));
        access.set_users(std::move(users));
    }
    static auth::verifier_config plain()
    {
        auth::verifier_config c;
        c.verify = [](std::string_view password, secret const& hash) -> result<bool> { return password == hash.reveal(); };
        return c;
    }
    proxy::server_config config()
    {
        proxy::server_config c;
        c.access = &access;
        return c;
    }
    proxy::access_control access{{}, plain()};
};
std::string const ann = "Proxy-Authorization: Basic " + encode_base64(as_bytes("ann:sesame")) + "\r\n";
std::string const eve = "Proxy-Authorization: Basic " + encode_base64(as_bytes("ann:open")) + "\r\n";

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

} // namespace

TEST_CASE("proxy server: SOCKS5 on a mixed port", "[proxy][server]")
{
    fixture f;
    auto& c = f.connect();
    c.send(socks_to("web.shop.kube", 8080));
    auto& up = f.upstream();
    CHECK(f.out.asked == std::vector{host_port("web.shop.kube", 8080)});
    CHECK(c.read(12) == no_authentication + socks_reply(0));
    CHECK(f.server->clients() == 1);
    c.send("ping");
    CHECK(f.taken(up, 4) == "ping");
    up.send("pong");
    CHECK(c.read(4) == "pong");
    SECTION("the destination ends")
    {
        up.end();
        CHECK(c.read_to_end().empty());
        CHECK(c.ended == asio::error::eof);
        c.end();
    }
    SECTION("the client ends")
    {
        c.end();
        CHECK(poll_until(f.ctx, [&] { return up.closed(); }));
        up.send("last words");
        up.end();
        CHECK(c.read_to_end() == "last words");
    }
    SECTION("the client is gone") { c.reset(); }
    SECTION("the destination is gone")
    {
        up.reset();
        c.read_to_end();
        CHECK(c.ended == asio::error::connection_reset);
    }
    CHECK(poll_until(f.ctx, [&] { return f.server->clients() == 0; }));
}

TEST_CASE("proxy server: data that a client sends before it knows goes to the destination", "[proxy][server]")
{
    fixture f;
    auto& c = f.connect();
    SECTION("SOCKS5") { c.send(socks_to("web", 80) + "early"); }
    SECTION("CONNECT") { c.send("CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\nearly"); }
    CHECK(f.taken(f.upstream(), 5) == "early");
}

TEST_CASE("proxy server: CONNECT on a mixed port and on an HTTP port", "[proxy][server]")
{
    fixture f(GENERATE(port_kind::mixed, port_kind::http));
    auto& c = f.connect();
    c.send("CONNECT web.shop.kube:443 HTTP/1.1\r\nHost: web.shop.kube:443\r\n\r\n");
    auto& up = f.upstream();
    CHECK(f.out.asked == std::vector{host_port("web.shop.kube", 443)});
    CHECK(c.read_until("\r\n\r\n") == "HTTP/1.1 200 Connection Established\r\n\r\n");
    c.send("\x16\x03\x01");
    CHECK(f.taken(up, 3) == "\x16\x03\x01");
    up.send("\x15");
    CHECK(c.read(1) == "\x15");
}

TEST_CASE("proxy server: a forwarded request on a mixed port and on an HTTP port", "[proxy][server]")
{
    fixture f(GENERATE(port_kind::mixed, port_kind::http));
    auto& c = f.connect();
    c.send("GET http://web.shop.kube/a?b HTTP/1.1\r\nHost: web.shop.kube\r\n\r\n");
    auto& up = f.upstream();
    CHECK(f.out.asked == std::vector{host_port("web.shop.kube", 80)});
    CHECK(f.taken(up, 20).starts_with("GET /a?b HTTP/1.1\r\nHost: web.shop.kube\r\n"));
    up.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    std::string const answer = c.read_until("hi");
    CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(answer.ends_with("\r\n\r\nhi"));
}

TEST_CASE("proxy server: a WebSocket through a forwarded request", "[proxy][server]")
{
    fixture f;
    auto& c = f.connect();
    c.send("GET http://web/ws HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    auto& up = f.upstream();
    CHECK(has(f.taken(up, 100), "GET /ws HTTP/1.1\r\n"));
    up.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello");
    std::string const answer = c.read_until("hello");
    CHECK(answer.starts_with("HTTP/1.1 101 "));
    CHECK(answer.ends_with("\r\n\r\nhello"));
    c.send("frames");
    CHECK(f.taken(up, 6) == "frames");
    c.reset();
    CHECK(poll_until(f.ctx, [&] { return f.server->clients() == 0; }));
}

TEST_CASE("proxy server: the first byte may come alone, and late", "[proxy][server]")
{
    fixture f;
    auto& c = f.connect();
    CHECK(c.quiet());
    std::string const all = GENERATE(socks_to("web", 80), "CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\n"s);
    for (char const byte : all) {
        c.send(std::string_view(&byte, 1));
        f.run();
    }
    if (all[0] == 5) CHECK(c.read(12) == no_authentication + socks_reply(0));
    else CHECK(c.read_until("\r\n\r\n").starts_with("HTTP/1.1 200 "));
}

TEST_CASE("proxy server: SOCKS4 and SOCKS4a", "[proxy][server]")
{
    fixture f;
    auto& c = f.connect();
    std::string const granted = "\x00\x5a\x00\x00\x00\x00\x00\x00"s;
    SECTION("an address")
    {
        c.send("\x04\x01\x00\x50\x7f\x00\x00\x01jane\x00"s);
        CHECK(c.read(8) == granted);
        CHECK(f.out.asked == std::vector{host_port("127.0.0.1", 80)});
    }
    SECTION("a name, byte by byte, with early data")
    {
        for (char const byte : "\x04\x01\x1f\x90\x00\x00\x00\x01\x00web.shop.kube\x00" "early"s) {
            c.send(std::string_view(&byte, 1));
            f.run();
        }
        CHECK(c.read(8) == granted);
        CHECK(f.out.asked == std::vector{host_port("web.shop.kube", 8080)});
        auto& up = f.upstream();
        CHECK(f.taken(up, 5) == "early");
        up.send("answer");
        CHECK(c.read(6) == "answer");
        up.end();
        CHECK(c.read_to_end().empty());
    }
    SECTION("a destination that does not answer")
    {
        f.out.failures.push_back(make_error_code(std::errc::connection_refused));
        c.send("\x04\x01\x00\x50\x7f\x00\x00\x01\x00"s);
        CHECK(c.read_to_end() == "\x00\x5b\x00\x00\x00\x00\x00\x00"s);
        CHECK(c.ended == asio::error::eof);
    }
    SECTION("a command that is not CONNECT")
    {
        c.send("\x04\x02\x00\x50\x7f\x00\x00\x01\x00"s);
        CHECK(c.read_to_end() == "\x00\x5b\x00\x00\x00\x00\x00\x00"s);
        CHECK(f.out.asked.empty());
    }
    SECTION("a client that goes in the middle")
    {
        c.send("\x04\x01\x00\x50"s);
        c.end();
        CHECK(c.read_to_end().empty());
        CHECK(f.out.asked.empty());
    }
}

TEST_CASE("proxy server: SOCKS4 can't send a password", "[proxy][server]")
{
    guarded g;
    fixture f(port_kind::mixed, g.config());
    auto& c = f.connect();
    c.send("\x04\x01\x00\x50\x7f\x00\x00\x01" "ann\x00"s);
    CHECK(c.read(8) == "\x00\x5d\x00\x00\x00\x00\x00\x00"s);
    CHECK(c.read_to_end().empty());
    CHECK(c.ended == asio::error::eof);
    CHECK(f.out.asked.empty());
}

TEST_CASE("proxy server: a client that speaks something else is reset", "[proxy][server]")
{
    struct row {
        port_kind kind;
        std::string bytes;
    };
    row const r = GENERATE(row{port_kind::mixed, "\x16\x03\x01\x02\x00"s}, row{port_kind::mixed, "\x00"s}, row{port_kind::mixed, "\xff\xff"s},
                           row{port_kind::mixed, "\r\n"s}, row{port_kind::http, "\x05\x01\x00"s}, row{port_kind::http, "\x04\x01"s},
                           row{port_kind::pac, "\x05\x01\x00"s}, row{port_kind::pac, "\x16\x03\x01"s});
    fixture f(r.kind);
    auto& c = f.connect();
    c.send(r.bytes);
    CHECK(c.read_to_end().empty());
    CHECK(c.ended == asio::error::connection_reset);
    CHECK(poll_until(f.ctx, [&] { return f.server->clients() == 0; }));
    CHECK(f.out.asked.empty());
}

TEST_CASE("proxy server: text that is no HTTP gets an answer that says so", "[proxy][server]")
{
    fixture f(GENERATE(port_kind::mixed, port_kind::http, port_kind::pac));
    auto& c = f.connect();
    c.send("SSH-2.0-OpenSSH_9.2\r\n\r\n");
    CHECK(c.read_to_end().starts_with("HTTP/1.1 400 "));
    CHECK(c.ended == asio::error::eof);
}

TEST_CASE("proxy server: a header of 1 MiB is refused", "[proxy][server]")
{
    fixture f;
    auto& c = f.connect();
    c.send("GET http://web/ HTTP/1.1\r\nX: " + std::string(1024 * 1024, 'x'));
    CHECK(c.read_until("\r\n\r\n").starts_with("HTTP/1.1 431 "));
    CHECK(f.out.asked.empty());
}

TEST_CASE("proxy server: a client that ends without a word is let go", "[proxy][server]")
{
    fixture f;
    auto& c = f.connect();
    CHECK(poll_until(f.ctx, [&] { return f.server->clients() == 1; }));
    SECTION("at once") { c.close(); }
    SECTION("inside of a handshake")
    {
        c.send("\x05\x01"s);
        f.run();
        c.close();
    }
    SECTION("inside of a request head")
    {
        c.send("GET http"s);
        f.run();
        c.close();
    }
    SECTION("by a reset") { c.reset(); }
    CHECK(poll_until(f.ctx, [&] { return f.server->clients() == 0; }));
}

TEST_CASE("proxy server: silence is cut by the handshake limit, and a dial that takes too long gets its reply", "[proxy][server]")
{
    proxy::server_config config;
    config.handshake_limit = 0s; // looked at about every second
    config.dial_limit = 1s;
    fixture f(port_kind::mixed, config);
    f.out.hold = true;
    auto& silent = f.connect();
    auto& slow = f.connect();
    slow.send("\x05\x01"s);
    auto& dialing = f.connect();
    dialing.send(socks_to("web", 80));
    auto& tunnel = f.connect();
    tunnel.send("CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\n");
    CHECK(silent.read_to_end().empty());
    CHECK(silent.ended == asio::error::eof);
    CHECK(slow.read_to_end().empty());
    CHECK(dialing.read_to_end() == no_authentication + socks_reply(6));
    CHECK(dialing.ended == asio::error::eof);
    CHECK(tunnel.read_to_end().starts_with("HTTP/1.1 504 "));
    CHECK(poll_until(f.ctx, [&] { return f.server->clients() == 0; }));
}

TEST_CASE("proxy server: a CONNECT that takes too long gets its answer, whichever limit ends it", "[proxy][server]")
{
    proxy::server_config config;
    SECTION("that of the handshake") { config.handshake_limit = config.dial_limit = 1s; }
    SECTION("the shorter one for dialing") { config.dial_limit = 1s; }
    SECTION("the only one, for dialing")
    {
        config.handshake_limit = 0s;
        config.dial_limit = 1s;
    }
    fixture f(port_kind::mixed, config);
    f.out.hold = true;
    auto& c = f.connect();
    c.send("CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\n");
    auto const answer = c.read_to_end();
    CHECK(answer.starts_with("HTTP/1.1 504 "));
    CHECK(answer.find("error=connection_timeout") != std::string::npos);
    CHECK(c.ended == asio::error::eof);
    CHECK(poll_until(f.ctx, [&] { return f.server->clients() == 0; }));
}

TEST_CASE("proxy server: a CONNECT is the same in one piece and in several", "[proxy][server]")
{
    std::string const head = "CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\n";
    std::size_t const cut = GENERATE(0u, 1u, 9u, 30u);
    fixture f(GENERATE(port_kind::mixed, port_kind::http));
    auto& c = f.connect();
    if (cut != 0) {
        c.send(head.substr(0, cut));
        f.run();
    }
    c.send(head.substr(cut) + "early");
    CHECK(c.read_until("\r\n\r\n") == "HTTP/1.1 200 Connection Established\r\n\r\n");
    REQUIRE(f.out.asked.size() == 1);
    CHECK(f.out.asked.front() == host_port("web", 80));
}

TEST_CASE("proxy server: what a client is told for each failure", "[proxy][server]")
{
    struct row {
        std::error_code error;
        int socks;
        int http;
    };
    auto const system = [](std::errc e) { return std::error_code(static_cast<int>(e), std::system_category()); };
    std::vector<row> const rows{
        {system(std::errc::connection_refused), 5, 502},
        {asio::error::connection_refused, 5, 502},
        {kube::errc::port_refused, 5, 502},
        {system(std::errc::network_unreachable), 3, 502},
        {system(std::errc::host_unreachable), 4, 502},
        {asio::error::host_not_found, 4, 502},
        {kube::errc::not_found, 4, 502},
        {kube::errc::no_endpoints, 4, 502},
        {kube::errc::external_name, 4, 502},
        {kube::errc::unreachable, 4, 502},
        {kube::errc::pod_gone, 4, 502},
        {kube::errc::forbidden, 2, 502},
        {kube::errc::unauthorized, 2, 502},
        {system(std::errc::permission_denied), 2, 403},
        {system(std::errc::timed_out), 6, 504},
        {podproxy::errc::timed_out, 6, 504},
        {system(std::errc::too_many_files_open), 1, 502},
        {kube::errc::bad_answer, 1, 502},
    };
    fixture f;
    f.out.say = "because of the test";
    for (auto const& r : rows) {
        INFO(r.error.category().name() << ": " << r.error.message());
        f.out.failures = {r.error};
        auto& s = f.connect();
        s.send(socks_to("web", 80));
        CHECK(s.read_to_end() == no_authentication + socks_reply(r.socks));
        CHECK(s.ended == asio::error::eof);
        s.close();

        f.out.failures = {r.error};
        auto& h = f.connect();
        h.send("CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\n");
        std::string const answer = h.read_to_end();
        CHECK(answer.starts_with("HTTP/1.1 " + std::to_string(r.http) + " "));
        CHECK(has(answer, "podproxy can't reach web:80: because of the test.\n"));
        h.close();
    }
    CHECK(poll_until(f.ctx, [&] { return f.server->clients() == 0; }));
}

TEST_CASE("proxy server: the reply arrives although the client has sent more", "[proxy][server]")
{
    fixture f;
    auto& c = f.connect();
    f.out.failures = {kube::errc::port_refused};
    // More than one read takes: closing with the rest unread would reset the connection.
    c.send(socks_to("web", 80) + std::string(100'000, 'x'));
    CHECK(c.read(12) == no_authentication + socks_reply(5));
    c.end();
    CHECK(c.read_to_end().empty());
    CHECK(c.ended == asio::error::eof);
}

TEST_CASE("proxy server: a client that the SOCKS handshake refuses reads why", "[proxy][server]")
{
    fixture f;
    auto& c = f.connect();
    SECTION("no method that we have")
    {
        c.send("\x05\x01\x02"s); // only user and password
        CHECK(c.read_to_end() == "\x05\xff"s);
    }
    SECTION("BIND")
    {
        c.send("\x05\x01\x00\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50"s);
        CHECK(c.read_to_end() == no_authentication + socks_reply(7));
    }
    SECTION("UDP ASSOCIATE")
    {
        c.send("\x05\x01\x00\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00"s);
        CHECK(c.read_to_end() == no_authentication + socks_reply(7));
    }
    CHECK(c.ended == asio::error::eof);
    CHECK(f.out.asked.empty());
}

TEST_CASE("proxy server: the PAC file names the port that it was fetched from", "[proxy][server]")
{
    proxy::server_config config;
    config.cluster_names = [] { return std::vector<std::string>{"kube", "prod"}; };
    auto const get = [](fixture& f, std::string const& path, std::string const& host) {
        auto& c = f.connect();
        c.send("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n");
        return c.read_to_end();
    };
    SECTION("a mixed port")
    {
        fixture f(port_kind::mixed, config);
        for (char const* path : {"/proxy.pac", "/wpad.dat", "/proxy.pac?x=1"}) {
            std::string const answer = get(f, path, "proxy.test:9080");
            CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
            CHECK(has(answer, "Content-Type: application/x-ns-proxy-autoconfig\r\n"));
            CHECK(has(answer, "*.kube"));
            CHECK(has(answer, "*.prod"));
            CHECK(has(answer, "PROXY proxy.test:9080; SOCKS5 proxy.test:9080"));
            CHECK(has(answer, "X-Content-Type-Options: nosniff\r\n"));
        }
        CHECK_FALSE(has(get(f, "/proxy.pac", "a;DIRECT:80"), "DIRECT:80")); // no way to add a directive
    }
    SECTION("an HTTP port")
    {
        config.mixed_port = std::uint16_t{9080};
        fixture f(port_kind::http, config);
        CHECK(has(get(f, "/proxy.pac", "proxy.test:8080"), "PROXY proxy.test:8080; SOCKS5 proxy.test:9080"));
    }
    SECTION("an HTTP port alone")
    {
        fixture f(port_kind::http, config);
        CHECK(has(get(f, "/proxy.pac", "proxy.test:8080"), "\"PROXY proxy.test:8080\""));
    }
    SECTION("a PAC port")
    {
        config.mixed_port = std::uint16_t{9080};
        fixture f(port_kind::pac, config);
        CHECK(has(get(f, "/", "proxy.test:9082"), "PROXY proxy.test:9080; SOCKS5 proxy.test:9080"));
        CHECK(has(get(f, "/whatever", "[::1]:9082"), "PROXY [::1]:9080; SOCKS5 [::1]:9080"));
    }
    SECTION("a PAC port beside an HTTP port")
    {
        config.mixed_port = std::uint16_t{9080};
        config.http_port = std::uint16_t{9081};
        fixture f(port_kind::pac, config);
        CHECK(has(get(f, "/", "proxy.test:9082"), "PROXY proxy.test:9081; SOCKS5 proxy.test:9080"));
    }
    SECTION("a PAC port proxies nothing")
    {
        fixture f(port_kind::pac, config);
        auto& c = f.connect();
        c.send("GET http://web/ HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
        (void)c.read_to_end();
        CHECK(f.out.asked.empty());
    }
    SECTION("what is no PAC file is explained")
    {
        fixture f(port_kind::mixed, config);
        std::string const answer = get(f, "/", "proxy.test:9080");
        CHECK(answer.starts_with("HTTP/1.1 4"));
        CHECK(f.out.asked.empty());
    }
    SECTION("a file of that name behind us is somebody else's")
    {
        fixture f(port_kind::mixed, config);
        auto& c = f.connect();
        c.send("GET http://web/proxy.pac HTTP/1.1\r\nHost: web\r\n\r\n");
        f.upstream();
        CHECK(f.out.asked == std::vector{host_port("web", 80)});
    }
}

TEST_CASE("proxy server: more clients than allowed wait until others have left", "[proxy][server]")
{
    proxy::server_config config;
    config.most_clients = 2;
    fixture f(port_kind::mixed, config);
    auto& a = f.connect();
    auto& b = f.connect();
    auto& waits = f.connect();
    for (auto* c : {&a, &b, &waits}) c->send(socks_to("web", 80));
    CHECK(a.read(12) == no_authentication + socks_reply(0));
    CHECK(b.read(12) == no_authentication + socks_reply(0));
    CHECK(waits.quiet());
    CHECK(f.server->clients() == 2);
    a.close();
    f.upstream(0).end();
    CHECK(waits.read(12) == no_authentication + socks_reply(0));
    CHECK(f.server->clients() == 2);
}

TEST_CASE("proxy server: a crowd of new clients leaves turns to others", "[proxy][server]")
{
    fixture f;
    for (int i = 0; i < 100; ++i) f.connect();
    std::size_t largest = 0;
    for (std::size_t before = 0; f.server->clients() < 100; before = f.server->clients()) {
        f.ctx.restart();
        REQUIRE(f.ctx.run_one_for(5s) == 1);
        largest = std::max(largest, f.server->clients() - before);
    }
    CHECK(largest <= 32);
    for (auto& c : f.clients) c.close();
}

TEST_CASE("proxy server: one client's fault ends no other", "[proxy][server]")
{
    fixture f;
    auto& good = f.connect();
    good.send(socks_to("web", 80));
    CHECK(good.read(12) == no_authentication + socks_reply(0));
    auto& up = f.upstream();
    for (int i = 0; i < 20; ++i) {
        auto& bad = f.connect();
        if (i % 4 == 0) bad.send("\x16\x03");
        if (i % 4 == 1) bad.send(socks_to("web", 80));
        if (i % 4 == 2) bad.send("GET /\r\n\r\n");
        f.run();
        bad.reset();
    }
    up.send("still here");
    CHECK(good.read(10) == "still here");
    CHECK(poll_until(f.ctx, [&] { return f.server->clients() == 1; }));
}

TEST_CASE("proxy server: draining waits for connections to end", "[proxy][server]")
{
    fixture f;
    auto& c = f.connect();
    c.send(socks_to("web", 80));
    CHECK(c.read(12) == no_authentication + socks_reply(0));
    auto& up = f.upstream();
    f.listener.close();
    spawned<result<void>> d(f.ctx, drained(*f.server, 1h));
    d.run();
    CHECK_FALSE(d.done());
    CHECK(f.serving.done());
    CHECK(f.serving.value() == asio::error::operation_aborted);
    c.send("more");
    CHECK(f.taken(up, 4) == "more");
    up.send("bye");
    up.end();
    c.end();
    CHECK(c.read_to_end() == "bye");
    CHECK(poll_until(f.ctx, [&] { return d.done(); }));
    CHECK(f.server->clients() == 0);
}

TEST_CASE("proxy server: draining ends what has not ended in time, in every phase", "[proxy][server]")
{
    fixture f;
    auto& relayed = f.connect();
    relayed.send(socks_to("web", 80));
    CHECK(relayed.read(12) == no_authentication + socks_reply(0));
    f.out.hold = true;
    auto& silent = f.connect();
    auto& dialing = f.connect();
    dialing.send(socks_to("web", 80));
    auto& tunnel = f.connect();
    tunnel.send("CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\n");
    auto& head = f.connect();
    head.send("GET http://");
    auto& forwarding = f.connect();
    forwarding.send("GET http://web/ HTTP/1.1\r\nHost: web\r\n\r\n");
    CHECK(poll_until(f.ctx, [&] { return f.server->clients() == 6 && f.out.asked.size() == 4; }));
    f.listener.close();
    spawned<result<void>> d(f.ctx, drained(*f.server, 1ms));
    CHECK(poll_until(f.ctx, [&] { return d.done(); }));
    CHECK(f.server->clients() == 0);
    f.server.reset(); // nothing of it runs any more
    for (auto* c : {&relayed, &silent, &dialing, &tunnel, &head, &forwarding}) {
        (void)c->read_to_end();
        CHECK(c->ended);
    }
}

TEST_CASE("proxy server: a dial that succeeds while draining ends it is not relayed", "[proxy][server]")
{
    /// Is through a few turns of the loop later, whatever happens meanwhile.
    class dialer_that_succeeds final : public net::dialer {
    public:
        net::awaitable<result<net::any_stream>> dial(host_port, diagnostics&) override
        {
            auto const ex = co_await asio::this_coro::executor;
            asked = true;
            for (int turn = 0; turn < 4; ++turn) co_await asio::post(ex, net::use_awaitable);
            test::stream_pair pair(ex);
            far = std::move(pair.b);
            co_return result<net::any_stream>(std::move(pair.a));
        }
        bool asked = false;
        net::any_stream far;
    };
    asio::io_context ctx{1};
    dialer_that_succeeds out;
    auto listener = std::move(*net::listener::open(ctx.get_executor(), {asio::ip::address_v4::loopback(), 0}));
    proxy::server server(ctx.get_executor(), out, logger());
    spawned<std::error_code> serving(ctx, server.serve(listener, port_kind::mixed));
    client c(ctx, listener.local_endpoint());
    c.send(socks_to("web", 80));
    while (!out.asked) {
        ctx.restart();
        ctx.run_one();
    }
    listener.close();
    spawned<result<void>> d(ctx, drained(server, 0ms));
    CHECK(poll_until(ctx, [&] { return d.done(); }));
    CHECK(server.clients() == 0);
    CHECK(c.read_to_end() == no_authentication + socks_reply(6));
    c.close();
    CHECK(poll_until(ctx, [&] { return serving.done() && d.done(); }));
}

TEST_CASE("proxy server: SOCKS5 with user and password", "[proxy][server]")
{
    guarded g;
    fixture f(port_kind::mixed, g.config());
    std::string const request = socks_to("web", 80).substr(3);
    SECTION("the right one")
    {
        auto& c = f.connect();
        c.send("\x05\x02\x00\x02\x01\x03"s + "ann\x06sesame" + request);
        CHECK(c.read(14) == "\x05\x02\x01\x00"s + socks_reply(0));
        CHECK(f.out.asked == std::vector{host_port("web", 80)});
    }
    SECTION("the wrong one")
    {
        auto& c = f.connect();
        c.send("\x05\x01\x02\x01\x03"s + "ann\x04open" + request);
        CHECK(c.read_to_end() == "\x05\x02\x01\x01"s);
        CHECK(f.out.asked.empty());
    }
    SECTION("none")
    {
        auto& c = f.connect();
        c.send(socks_to("web", 80));
        CHECK(c.read_to_end() == "\x05\xff");
        CHECK(f.out.asked.empty());
    }
    SECTION("users who come and go while it runs")
    {
        g.access.set_users(std::nullopt);
        auto& c = f.connect();
        c.send(socks_to("web", 80));
        CHECK(c.read(12) == no_authentication + socks_reply(0));
    }
}

TEST_CASE("proxy server: HTTP with user and password", "[proxy][server]")
{
    guarded g;
    auto const kind = GENERATE(port_kind::mixed, port_kind::http);
    fixture f(kind, g.config());
    auto& c = f.connect();
    std::string const connect = "CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n";
    SECTION("CONNECT: right at once")
    {
        c.send(connect + ann + "\r\n");
        CHECK(c.read_until("\r\n\r\n").starts_with("HTTP/1.1 200 "));
        CHECK(f.out.asked == std::vector{host_port("web", 80)});
    }
    SECTION("CONNECT: asked first, then wrong, then right, on one connection")
    {
        c.send(connect + "\r\n");
        std::string const asked = c.read_until("password.\n");
        CHECK(asked.starts_with("HTTP/1.1 407 "));
        CHECK(has(asked, "Proxy-Authenticate: Basic realm="));
        c.send(connect + eve + "\r\n");
        CHECK(c.read_until("password.\n").starts_with("HTTP/1.1 407 "));
        CHECK(f.out.asked.empty());
        c.send(connect + ann + "\r\n");
        CHECK(c.read_until("\r\n\r\n").starts_with("HTTP/1.1 200 "));
    }
    SECTION("a forwarded request, which goes on without the password")
    {
        c.send("GET http://web/ HTTP/1.1\r\nHost: web\r\n\r\n");
        CHECK(c.read_until("password.\n").starts_with("HTTP/1.1 407 "));
        CHECK(f.out.asked.empty());
        c.send("GET http://web/ HTTP/1.1\r\nHost: web\r\n" + ann + "\r\n");
        std::string const sent = f.taken(f.upstream(), 20);
        CHECK(sent.starts_with("GET / HTTP/1.1\r\n"));
        CHECK_FALSE(has(sent, "Authorization"));
    }
    SECTION("the PAC file is for everybody")
    {
        c.send("GET /proxy.pac HTTP/1.1\r\nHost: " + f.us() + "\r\n\r\n");
        CHECK(c.read_until("FindProxyForURL").starts_with("HTTP/1.1 200 "));
    }
}

TEST_CASE("proxy server: loopback may come whatever is allowed", "[proxy][server]")
{
    guarded g;
    g.access.set_users(std::nullopt);
    g.access.set_allowed(std::vector{*parse_cidr("192.0.2.0/24")});
    fixture f(port_kind::mixed, g.config());
    auto& c = f.connect();
    c.send(socks_to("web", 80));
    CHECK(c.read(12) == no_authentication + socks_reply(0));
}
