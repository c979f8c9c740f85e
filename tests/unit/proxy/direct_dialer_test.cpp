#include <podproxy/proxy/direct_dialer.hpp>

#include <unit/support/poll_until.hpp>
#include <unit/support/spawned.hpp>

#include <asio/basic_socket_acceptor.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>

using namespace podproxy;
using test::poll_until;
using test::spawned;
using acceptor = asio::basic_socket_acceptor<asio::ip::tcp, net::executor>;

namespace {

asio::ip::tcp::endpoint loopback() { return {asio::ip::address_v4::loopback(), 0}; }

} // namespace

TEST_CASE("direct dialer: gives a plain socket to the destination", "[proxy][direct_dialer]")
{
    asio::io_context ctx(1);
    acceptor listening(ctx, loopback());
    proxy::direct_dialer dialer;
    diagnostics why;
    spawned<result<net::any_stream>> s(ctx, dialer.dial(host_port("127.0.0.1", listening.local_endpoint().port()), why));
    REQUIRE(poll_until(ctx, [&] { return s.done(); }));
    REQUIRE(s.value());
    CHECK(why.empty());
    net::ready_socket* const socket = (*s.value())->plain_socket();
    REQUIRE(socket);
    CHECK(socket->remote_endpoint() == listening.local_endpoint());
    CHECK((::fcntl(socket->native_handle(), F_GETFL) & O_NONBLOCK) != 0);
    net::tcp_socket accepted(ctx);
    listening.accept(accepted);
    CHECK(accepted.remote_endpoint() == socket->local_endpoint());
}

TEST_CASE("direct dialer: says why there is no connection", "[proxy][direct_dialer]")
{
    asio::io_context ctx(1);
    std::uint16_t const port = [&] { return acceptor(ctx, loopback()).local_endpoint().port(); }(); // nobody listens there any more
    proxy::direct_dialer dialer;
    diagnostics why;
    spawned<result<net::any_stream>> s(ctx, dialer.dial(host_port("127.0.0.1", port), why));
    REQUIRE(poll_until(ctx, [&] { return s.done(); }));
    CHECK(s.error() == cond::refused);
    CHECK(why.message == "can't connect to 127.0.0.1:" + std::to_string(port) + ": Connection refused");
}

TEST_CASE("direct dialer: prepares its sockets as the config wants", "[proxy][direct_dialer]")
{
    asio::io_context ctx(1);
    acceptor listening(ctx, loopback());
    net::connect_config config;
    int prepared = 0;
    config.prepare = [&](net::ready_socket&) {
        ++prepared;
        return std::make_error_code(std::errc::operation_not_permitted);
    };
    proxy::direct_dialer dialer(std::move(config));
    diagnostics why;
    spawned<result<net::any_stream>> s(ctx, dialer.dial(host_port("127.0.0.1", listening.local_endpoint().port()), why));
    REQUIRE(poll_until(ctx, [&] { return s.done(); }));
    CHECK(s.error() == std::errc::operation_not_permitted);
    CHECK(prepared == 1);
}
