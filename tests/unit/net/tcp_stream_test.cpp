#include <podproxy/net/tcp_stream.hpp>

#include <unit/support/poll_until.hpp>
#include <unit/support/spawned.hpp>

#include <asio/basic_socket_acceptor.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>

using namespace podproxy;
using asio::ip::tcp;

namespace {

tcp::endpoint any_loopback_port() { return {asio::ip::address_v4::loopback(), 0}; }

/// Two ends of a connection over the loopback.
struct connection {
    explicit connection(asio::io_context& ctx) : peer(ctx), ours(ctx)
    {
        asio::basic_socket_acceptor<tcp, net::executor> listening(ctx, any_loopback_port());
        peer.connect(listening.local_endpoint());
        listening.accept(ours);
    }
    net::tcp_socket peer;
    net::tcp_socket ours;
};

} // namespace

TEST_CASE("tcp stream: reads, writes, half-closes and tells the end from a reset")
{
    asio::io_context ctx(1);
    connection c(ctx);
    auto& peer = c.peer;
    net::tcp_stream s(std::move(c.ours));
    CHECK(s.plain_socket() != nullptr);
    CHECK_FALSE(s.lends_views());

    std::array<std::uint8_t, 64> buf{};
    CHECK(s.try_read(buf).error() == podproxy::errc::would_block);
    CHECK(*s.try_write(as_bytes("hello")) == 5);
    std::array<char, 5> got{};
    asio::read(peer, asio::buffer(got));
    CHECK(std::string_view(got.data(), got.size()) == "hello");

    asio::write(peer, asio::buffer(std::string_view("abc")));
    test::spawned<result<std::size_t>> read(ctx, net::read_some(s, buf));
    REQUIRE(test::poll_until(ctx, [&] { return read.done(); }));
    CHECK(*read.value() == 3);

    SECTION("end of stream after the peer's half-close, and our direction still works")
    {
        peer.shutdown(net::tcp_socket::shutdown_send);
        test::spawned<result<std::size_t>> end(ctx, net::read_some(s, buf));
        REQUIRE(test::poll_until(ctx, [&] { return end.done(); }));
        CHECK(end.error() == podproxy::errc::end_of_stream);
        CHECK(*s.try_write(as_bytes("x")) == 1);
        CHECK(s.shutdown_send());
    }
    SECTION("our reset is a reset for the peer")
    {
        s.reset();
        std::error_code ec;
        peer.read_some(asio::buffer(got), ec);
        CHECK(ec == asio::error::connection_reset);
        CHECK_FALSE(s.try_read(buf));
    }
}

TEST_CASE("tcp stream: a socket that blocks is made non-blocking, which splicing needs")
{
    asio::io_context ctx(1);
    connection c(ctx);
    int const fd = c.ours.native_handle();
    CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
    net::tcp_stream s(std::move(c.ours));
    CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
}

TEST_CASE("tcp stream: a write that finds no room says so, and goes on when there is some")
{
    asio::io_context ctx(1);
    connection c(ctx);
    net::tcp_stream s(std::move(c.ours));
    std::vector<std::uint8_t> const block(256 * 1024, 0x61);
    std::size_t sent = 0;
    result<std::size_t> n = std::size_t{0};
    while ((n = s.try_write(block))) sent += *n;
    CHECK(n.error() == podproxy::errc::would_block);
    test::spawned<result<void>> rest(ctx, net::write_all(s, bytes_view(block)));
    CHECK_FALSE(rest.run().done());
    std::size_t got = 0;
    c.peer.non_blocking(true);
    std::vector<std::uint8_t> into(256 * 1024);
    CHECK(test::poll_until(ctx, [&] {
        std::error_code ec;
        got += c.peer.read_some(asio::buffer(into), ec);
        return rest.done() && got == sent + block.size();
    }));
    CHECK(rest.value());
}

TEST_CASE("tcp stream: writing to a peer that has closed is an error, not a signal")
{
    asio::io_context ctx(1);
    connection c(ctx);
    net::tcp_stream s(std::move(c.ours));
    c.peer.close();
    result<std::size_t> n = std::size_t{0};
    CHECK(test::poll_until(ctx, [&] { return !(n = s.try_write(as_bytes("x"))) && n.error() != podproxy::errc::would_block; }));
    CHECK(n.error() == cond::unavailable);
}

TEST_CASE("tcp stream: closing ends a wait, and nothing works afterwards")
{
    asio::io_context ctx(1);
    connection c(ctx);
    auto s = std::make_unique<net::tcp_stream>(std::move(c.ours));
    std::array<std::uint8_t, 8> buf{};
    test::spawned<result<std::size_t>> read(ctx, net::read_some(*s, buf));
    read.run();
    s->close();
    REQUIRE(test::poll_until(ctx, [&] { return read.done(); }));
    CHECK(read.error() == asio::error::operation_aborted);
    CHECK_FALSE(s->try_read(buf));
    CHECK_FALSE(s->try_write(as_bytes("x")));
    CHECK_FALSE(s->shutdown_send());
    s->reset();
    s->close();
}

TEST_CASE("tcp stream: a read that is cancelled loses nothing")
{
    asio::io_context ctx(1);
    connection c(ctx);
    net::tcp_stream s(std::move(c.ours));
    std::array<std::uint8_t, 8> buf{};
    test::spawned<result<std::size_t>> read(ctx, net::read_some(s, buf));
    read.run();
    read.cancel().run();
    CHECK(read.error() == asio::error::operation_aborted);
    asio::write(c.peer, asio::buffer(std::string_view("abc")));
    test::spawned<result<std::size_t>> again(ctx, net::read_some(s, buf));
    REQUIRE(test::poll_until(ctx, [&] { return again.done(); }));
    CHECK(*again.value() == 3);
}
