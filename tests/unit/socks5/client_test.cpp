#include <podproxy/socks5/client.hpp>

#include "octets.hpp"
#include <catch2/catch_test_macros.hpp>
#include <fakes/fake_stream.hpp>
#include <podproxy/socks5/server.hpp>
#include <unit/support/spawned.hpp>
#include <asio/error.hpp>
#include <optional>

using namespace podproxy;
using namespace podproxy::socks5;
using namespace podproxy::test;

namespace {

using answer = result<host_port>;

octets const choose_password{0x05, 0x02};
octets const welcome{0x01, 0x00};
octets const success{0x05, 0x00, 0x00, 0x01, 10, 0, 0, 7, 0x00, 0x07};

struct fixture {
    asio::io_context ctx;
    fake_stream proxy{ctx.get_executor()};
    diagnostics diag;
    std::optional<credentials> creds{std::in_place, "anna", "s3cret"};

    spawned<answer> start(host_port to = {"web", 80}) { return {ctx, connect(proxy, std::move(to), creds, diag)}; }
};

} // namespace

TEST_CASE("socks5 connect: the story of a tunnel with credentials", "[socks5]")
{
    fixture f;
    auto s = f.start();
    CHECK_FALSE(s.run().done());
    CHECK(f.proxy.take_written() == std::string("\x05\x02\x00\x02", 4));
    f.proxy.provide(choose_password);
    CHECK_FALSE(s.run().done());
    CHECK(f.proxy.take_written() == "\x01\x04" "anna" "\x06s3cret");
    f.proxy.provide(welcome);
    CHECK_FALSE(s.run().done());
    CHECK(f.proxy.take_written() == std::string("\x05\x01\x00\x03\x03web\x00\x50", 10));
    f.proxy.provide(success);
    REQUIRE(s.run().done());
    CHECK(s.value().value() == host_port("10.0.0.7", 7));
    CHECK(f.diag.empty());
}

TEST_CASE("socks5 connect: not one byte of the tunnel is read", "[socks5]")
{
    for (std::size_t const read_max : {1u, 3u, 4096u}) {
        for (octets const& bound : {octets{0x01, 10, 0, 0, 7, 0, 7}, octets{0x03, 0x02, 'b', 'e', 0, 7},
                                   octets{0x04, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 7}}) {
            fixture f;
            f.proxy.read_max(read_max);
            f.proxy.write_max(2);
            f.proxy.provide(cat({choose_password, welcome, {0x05, 0x00, 0x00}, bound, "SSH-2.0-x"_b}));
            auto s = f.start();
            REQUIRE(s.run().done());
            CHECK(s.value()->port == 7);
            CHECK(f.proxy.unread() == 9);
        }
    }
}

TEST_CASE("socks5 connect: a refusal is explained without the credentials", "[socks5]")
{
    fixture f;
    f.proxy.provide(cat({choose_password, welcome, {0x05, 0x05, 0x00, 0x01, 0, 0, 0, 0, 0, 0}}));
    auto s = f.start();
    CHECK(s.run().error() == socks5::errc::connection_refused);
    CHECK(f.diag.message == "SOCKS5 proxy, connecting to web:80: the proxy replied: connection refused by the destination");

    fixture g;
    g.proxy.provide(cat({choose_password, {0x01, 0x01}}));
    auto t = g.start();
    CHECK(t.run().error() == socks5::errc::auth_failed);
    CHECK(g.diag.text().find("s3cret") == std::string::npos);
    CHECK(g.diag.text().find("anna") == std::string::npos);
}

TEST_CASE("socks5 connect: a host that can't be sent does not reach the text", "[socks5]")
{
    fixture f;
    auto s = f.start({"a\r\nb", 80});
    CHECK(s.run().error() == socks5::errc::host_not_encodable);
    CHECK(f.diag.message.find('\n') == std::string::npos);
    CHECK(f.proxy.written().empty());
}

TEST_CASE("socks5 connect: a proxy that leaves early is told from one that answers", "[socks5]")
{
    octets const all = cat({choose_password, welcome, success});
    for (std::size_t n = 0; n < all.size(); ++n) {
        fixture f;
        f.proxy.provide(bytes_view(all).first(n));
        f.proxy.close_remote();
        auto s = f.start();
        INFO("after " << n << " bytes");
        CHECK(s.run().error() == socks5::errc::proxy_closed);
        CHECK(s.error() == cond::unavailable);
    }
}

TEST_CASE("socks5 connect: a refusal of two bytes counts", "[socks5]")
{
    fixture f;
    f.proxy.provide(cat({choose_password, welcome, {0x05, 0x02}}));
    f.proxy.close_remote();
    auto s = f.start();
    CHECK(s.run().error() == socks5::errc::not_allowed);
}

TEST_CASE("socks5 connect: every operation may fail", "[socks5]")
{
    for (std::size_t n = 0;; ++n) {
        fixture f;
        fail_count fail(n);
        f.proxy.fail_with(fail);
        f.proxy.write_max(4);
        auto s = f.start();
        s.run();
        for (octets const& part : {choose_password, welcome, success}) {
            f.proxy.provide(part);
            s.run();
        }
        REQUIRE(s.done());
        INFO("operation " << n);
        CHECK(s.error() == (fail.hit() ? std::error_code(fake_errc::injected) : std::error_code()));
        CHECK(f.diag.empty() == !fail.hit());
        if (!fail.hit()) break;
        REQUIRE(n < 100);
    }
}

TEST_CASE("socks5 connect: it can be cancelled wherever it waits, and may start cancelled", "[socks5]")
{
    octets const all = cat({choose_password, welcome, success});
    for (std::size_t n = 0; n < all.size(); ++n) {
        fixture f;
        auto s = f.start();
        s.run();
        f.proxy.provide(bytes_view(all).first(n));
        CHECK_FALSE(s.run().done());
        CHECK(s.cancel().run().error() == asio::error::operation_aborted);
    }
    fixture f;
    f.proxy.write_room(0);
    auto s = f.start();
    CHECK_FALSE(s.run().done());
    CHECK(s.cancel().run().error() == asio::error::operation_aborted);

    fixture g;
    auto t = g.start();
    t.cancel();
    CHECK(t.run().error() == asio::error::operation_aborted);
}

TEST_CASE("socks5 connect: our client and our server understand each other", "[socks5]")
{
    fixture f;
    fake_stream server_side(f.ctx.get_executor());
    fake_stream::connect(f.proxy, server_side);
    server_side.capacity(3);
    f.proxy.capacity(2);
    server_config config;
    config.check_credentials = [](std::string_view user, std::string_view password) { return user == "anna" && password == "s3cret"; };
    flat_buffer in(1024);
    spawned<result<accepted_request>> server(f.ctx, accept_request(server_side, in, config));
    auto client = f.start({"2001:db8::1", 443});
    client.run();
    REQUIRE(server.done());
    CHECK(server.value()->destination == host_port("2001:db8::1", 443));
    spawned<result<void>> reply(f.ctx, send_reply(server_side, reply_code::succeeded, {"::1", 9}));
    reply.run();
    CHECK(client.value().value() == host_port("::1", 9));
}
