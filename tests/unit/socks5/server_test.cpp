#include <podproxy/socks5/server.hpp>

#include "octets.hpp"
#include <catch2/catch_test_macros.hpp>
#include <fakes/fake_stream.hpp>
#include <unit/support/spawned.hpp>
#include <asio/error.hpp>

using namespace podproxy;
using namespace podproxy::socks5;
using namespace podproxy::test;

namespace {

using answer = result<accepted_request>;

octets const greeting_both{0x05, 0x02, 0x00, 0x02};
octets const auth_anna{0x01, 0x04, 'a', 'n', 'n', 'a', 0x02, 'p', 'w'};
octets const connect_web{0x05, 0x01, 0x00, 0x03, 0x03, 'w', 'e', 'b', 0x00, 0x50};

struct fixture {
    asio::io_context ctx;
    fake_stream client{ctx.get_executor()};
    flat_buffer in{4096};
    server_config config;

    explicit fixture(bool with_auth = false)
    {
        if (with_auth)
            config.check_credentials = [](std::string_view user, std::string_view password) { return user == "anna" && password == "pw"; };
    }
    spawned<answer> accept() { return {ctx, accept_request(client, in, config)}; }
    std::string sent() { return client.take_written(); }
};

} // namespace

TEST_CASE("socks5 accept: the story of a client with credentials", "[socks5]")
{
    fixture f(true);
    auto s = f.accept();
    CHECK_FALSE(s.run().done());
    CHECK(f.client.waiting(net::wait_kind::read));
    f.client.provide(greeting_both);
    CHECK_FALSE(s.run().done());
    CHECK(f.sent() == "\x05\x02");
    f.client.provide(auth_anna);
    CHECK_FALSE(s.run().done());
    CHECK(f.sent() == std::string("\x01\x00", 2));
    f.client.provide(connect_web);
    REQUIRE(s.run().done());
    REQUIRE(s.value());
    CHECK(s.value()->destination == host_port("web", 80));
    CHECK(s.value()->user == "anna");
    CHECK(f.in.empty());
    CHECK(f.sent().empty());
}

TEST_CASE("socks5 accept: everything at once leaves the early data in the buffer", "[socks5]")
{
    for (std::size_t const read_max : {1u, 2u, 5u, 4096u}) {
        fixture f(true);
        f.client.read_max(read_max);
        f.client.write_max(1);
        f.client.provide(cat({greeting_both, auth_anna, connect_web, "GET /"_b}));
        auto s = f.accept();
        REQUIRE(s.run().done());
        CHECK(s.value()->destination == host_port("web", 80));
        CHECK(std::string_view("GET /").starts_with(as_text(f.in.data())));
        CHECK(f.in.size() + f.client.unread() == 5);
        CHECK(f.sent() == std::string("\x05\x02\x01\x00", 4));
    }
}

TEST_CASE("socks5 accept: bytes that somebody has read before come first", "[socks5]")
{
    fixture f;
    REQUIRE(f.in.append(octets{0x05}));
    f.client.provide({0x01, 0x00});
    f.client.provide(connect_web);
    auto s = f.accept();
    REQUIRE(s.run().done());
    CHECK(s.value()->destination == host_port("web", 80));
    CHECK(f.sent() == std::string("\x05\x00", 2));
}

TEST_CASE("socks5 accept: a refused client has been told", "[socks5]")
{
    fixture f;
    f.client.provide({0x05, 0x01, 0x00, 0x05, 0x03, 0x00, 0x01, 0, 0, 0, 0, 0, 0});
    auto s = f.accept();
    CHECK(s.run().error() == socks5::errc::unsupported_command);
    CHECK(f.sent() == std::string("\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00", 12));
}

TEST_CASE("socks5 accept: a client that leaves between messages ended, inside one it was cut off", "[socks5]")
{
    octets const all = cat({greeting_both, auth_anna, connect_web});
    for (std::size_t n = 0; n < all.size(); ++n) {
        fixture f(true);
        f.client.provide(bytes_view(all).first(n));
        f.client.close_remote();
        auto s = f.accept();
        INFO("after " << n << " bytes");
        bool const boundary = n == 0 || n == greeting_both.size() || n == greeting_both.size() + auth_anna.size();
        CHECK(s.run().error() == (boundary ? podproxy::errc::end_of_stream : podproxy::errc::truncated));
    }
}

TEST_CASE("socks5 accept: a buffer that is too small says so", "[socks5]")
{
    asio::io_context ctx;
    fake_stream client(ctx.get_executor());
    flat_buffer in(6);
    server_config const config;
    client.provide({0x05, 0x07, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06});
    spawned<answer> s(ctx, accept_request(client, in, config));
    CHECK(s.run().error() == podproxy::errc::buffer_full);
}

TEST_CASE("socks5 accept: a client that does not read is waited for", "[socks5]")
{
    fixture f;
    f.client.write_room(1);
    f.client.provide({0x05, 0x01, 0x00});
    f.client.provide(connect_web);
    auto s = f.accept();
    CHECK_FALSE(s.run().done());
    CHECK(f.client.waiting(net::wait_kind::write));
    f.client.write_room(1);
    CHECK(s.run().value());
}

TEST_CASE("socks5 accept: every operation may fail", "[socks5]")
{
    for (std::size_t n = 0;; ++n) {
        fixture f(true);
        fail_count fail(n);
        f.client.fail_with(fail);
        f.client.read_max(3);
        auto s = f.accept();
        s.run();
        for (octets const& part : {greeting_both, auth_anna, connect_web}) {
            f.client.provide(part);
            s.run();
        }
        REQUIRE(s.done());
        INFO("operation " << n);
        CHECK(s.error() == (fail.hit() ? std::error_code(fake_errc::injected) : std::error_code()));
        if (!fail.hit()) break;
        REQUIRE(n < 100);
    }
}

TEST_CASE("socks5 accept: a refusal is reported although the answer can't be sent", "[socks5]")
{
    fixture f;
    f.client.provide({0x05, 0x01, 0x02});
    fail_count fail(1); // the read succeeds, the write does not
    f.client.fail_with(fail);
    auto s = f.accept();
    CHECK(s.run().error() == socks5::errc::no_acceptable_method);
    CHECK(fail.hit());
}

TEST_CASE("socks5 accept: it can be cancelled wherever it waits", "[socks5]")
{
    octets const all = cat({greeting_both, auth_anna, connect_web});
    for (std::size_t n = 0; n < all.size(); ++n) {
        fixture f(true);
        auto s = f.accept();
        s.run();
        f.client.provide(bytes_view(all).first(n));
        CHECK_FALSE(s.run().done());
        CHECK(s.cancel().run().error() == asio::error::operation_aborted);
        CHECK_FALSE(f.client.waiting(net::wait_kind::read));
    }
    fixture f(true); // while it waits for room to write
    f.client.write_room(0);
    f.client.provide(all);
    auto s = f.accept();
    CHECK_FALSE(s.run().done());
    CHECK(s.cancel().run().error() == asio::error::operation_aborted);
}

TEST_CASE("socks5 accept: it may start cancelled", "[socks5]")
{
    fixture f;
    auto s = f.accept();
    s.cancel();
    CHECK(s.run().error() == asio::error::operation_aborted);
}

TEST_CASE("socks5 reply to a client: with and without a bound address", "[socks5]")
{
    auto const send = [](reply_code code, host_port bound) {
        asio::io_context ctx;
        fake_stream client(ctx.get_executor());
        client.write_max(3);
        spawned<result<void>> s(ctx, send_reply(client, code, std::move(bound)));
        CHECK(s.run().value());
        return to_octets(client.written_bytes());
    };
    octets const zero{0x05, 0x00, 0x00, 0x01, 0, 0, 0, 0, 0, 0};
    CHECK(send(reply_code::succeeded, {}) == zero);
    CHECK(send(reply_code::succeeded, {"a b", 80}) == zero);
    CHECK(send(reply_code::succeeded, {"10.0.0.7", 7}) == octets{0x05, 0x00, 0x00, 0x01, 10, 0, 0, 7, 0, 7});
    CHECK(send(reply_code::host_unreachable, {}) == octets{0x05, 0x04, 0x00, 0x01, 0, 0, 0, 0, 0, 0});
}

TEST_CASE("socks5 reply to a client: failure, cancellation and a temporary address inside co_await", "[socks5]")
{
    asio::io_context ctx;
    fake_stream client(ctx.get_executor());
    client.write_room(4);
    auto const work = [](fake_stream& s) -> net::awaitable<result<void>> {
        co_return co_await send_reply(s, reply_code::succeeded, host_port{"2001:db8:1111:2222:3333:4444:5555:6666", 7});
    };
    spawned<result<void>> s(ctx, work(client));
    CHECK_FALSE(s.run().done());
    CHECK(s.cancel().run().error() == asio::error::operation_aborted);

    fake_stream lost(ctx.get_executor());
    lost.break_remote();
    spawned<result<void>> t(ctx, work(lost));
    CHECK(t.run().error() == asio::error::connection_reset);
}
