#include <podproxy/web/status_server.hpp>

#include <asio/co_spawn.hpp>
#include <asio/error.hpp>
#include <asio/write.hpp>
#include <catch2/catch_test_macros.hpp>
#include <podproxy/net/listener.hpp>
#include <cstddef>
#include <exception>
#include <list>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <unit/support/poll_until.hpp>
#include <unit/support/spawned.hpp>
#include <unit/web/fake_source.hpp>

using namespace podproxy;

namespace {

/// A status server on a port of its own.
struct fixture {
    asio::io_context ctx;
    test::fake_source source;
    metrics::registry measured;
    net::listener listener = std::move(net::listener::open(ctx.get_executor(), {asio::ip::address_v4::loopback(), 0}).value());
    web::status_server server{ctx.get_executor(), source, measured, logger(), config()};
    test::spawned<std::error_code> serving{ctx, server.serve(listener)};

    static web::status_config config()
    {
        web::status_config c;
        c.program = "wake-proxy";
        c.actions = web::actions::allowed;
        return c;
    }

    net::tcp_socket connect()
    {
        net::tcp_socket s(ctx);
        s.connect(listener.local_endpoint());
        s.non_blocking(true);
        return s;
    }
    static void send(net::tcp_socket& s, std::string_view text) { CHECK(asio::write(s, asio::buffer(text)) == text.size()); }
    /// Up to and with `stop`, or to the end.
    std::string read_until(net::tcp_socket& s, std::string_view stop)
    {
        std::string out;
        CHECK(test::poll_until(ctx, [&] {
            char buf[4096];
            std::error_code ec;
            std::size_t const n = s.read_some(asio::buffer(buf), ec);
            out.append(buf, n);
            return (ec && ec != asio::error::would_block) || (!stop.empty() && out.find(stop) != std::string::npos);
        }));
        return out;
    }

    ~fixture()
    {
        listener.close();
        CHECK(test::poll_until(ctx, [&] { return serving.done(); }));
        bool closed = false;
        asio::co_spawn(ctx, server.close(), [&closed](std::exception_ptr) { closed = true; });
        CHECK(test::poll_until(ctx, [&] { return closed; }));
        CHECK(server.clients() == 0);
    }
};

} // namespace

TEST_CASE_METHOD(fixture, "status server: several requests on one connection, reading and pressing")
{
    auto s = connect();
    send(s, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    auto const first = read_until(s, "All is well.\n");
    CHECK(first.starts_with("HTTP/1.1 200 OK\r\n"));
    send(s, "POST /api/groups/web/wake HTTP/1.1\r\nHost: localhost\r\nX-Podproxy-Action: 1\r\nContent-Length: 2\r\n\r\n{}");
    CHECK(read_until(s, "}\n").starts_with("HTTP/1.1 202 Accepted\r\n"));
    CHECK(source.pressed.size() == 1);
    send(s, "HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    auto const head = read_until(s, {});
    CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(head.ends_with("\r\n\r\n"));
    CHECK(head.find("Content-Security-Policy: ") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "status server: what is no HTTP gets an answer and the end")
{
    auto s = connect();
    send(s, "nonsense\r\n\r\n");
    CHECK(read_until(s, {}).starts_with("HTTP/1.1 400 "));
}

TEST_CASE_METHOD(fixture, "status server: a crowd waits its turn, and closing ends those that are silent")
{
    std::list<net::tcp_socket> silent;
    for (std::size_t i = 0; i < web::status_server::most_clients; ++i) silent.push_back(connect());
    CHECK(test::poll_until(ctx, [&] { return server.clients() == web::status_server::most_clients; }));
    auto s = connect();
    send(s, "GET /healthz HTTP/1.0\r\n\r\n");
    ctx.restart();
    ctx.poll();
    CHECK(server.clients() == web::status_server::most_clients);
    silent.pop_front();
    CHECK(read_until(s, {}).starts_with("HTTP/1.1 200 "));
}
