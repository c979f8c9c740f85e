#include <podproxy/net/dialer.hpp>
#include <podproxy/net/timeout.hpp>

#include <support/scripted_dialer.hpp>
#include <support/spawned.hpp>

#include <asio/error.hpp>
#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <system_error>

using namespace podproxy;
using namespace std::chrono_literals;
using test::spawned;

TEST_CASE("dialer: gives a stream to the destination, or an error and words for a person")
{
    asio::io_context ctx(1);
    test::scripted_dialer scripted(ctx);
    net::dialer& out = scripted;
    diagnostics why;
    spawned<result<net::any_stream>> good(ctx, out.dial(host_port("web", 80), why));
    REQUIRE(good.run().done());
    REQUIRE(good.value());
    CHECK(scripted.asked.back() == host_port("web", 80));
    CHECK(*(*good.value())->try_write(as_bytes("hello")) == 5);
    CHECK(scripted.last().take() == "hello");

    scripted.failures = {make_error_code(asio::error::connection_refused)};
    scripted.say = "nobody is there";
    spawned<result<net::any_stream>> bad(ctx, out.dial(host_port("web", 81), why));
    CHECK(bad.run().error() == cond::refused);
    CHECK(why.message == "nobody is there");
}

TEST_CASE("dialer: its caller sets the limit")
{
    asio::io_context ctx(1);
    test::scripted_dialer scripted(ctx);
    scripted.hold = true;
    diagnostics why;
    spawned<result<net::any_stream>> s(ctx, net::with_deadline(scripted.dial(host_port("web", 80), why), 1ms));
    ctx.run();
    CHECK(s.error() == podproxy::errc::timed_out);
    CHECK(scripted.peers.empty());
}
