#include <podproxy/net/resolve.hpp>
#include <podproxy/net/timeout.hpp>
#include <unit/support/spawned.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

using namespace podproxy;
using namespace podproxy::test;
using addresses = result<std::vector<asio::ip::address>>;

namespace {

/// Runs until the coroutine has ended: the answer comes from another thread.
addresses finish(asio::io_context& ctx, spawned<addresses>& s)
{
    ctx.restart();
    while (!s.done() && ctx.run_one() != 0) {}
    return s.value();
}

} // namespace

TEST_CASE("resolve: an address is its own answer, without a resolver")
{
    for (char const* text : {"127.0.0.1", "::1", "192.0.2.7", "2001:db8::1"}) {
        asio::io_context ctx;
        diagnostics why;
        spawned<addresses> s(ctx, net::resolve(text, why));
        s.run(); // never blocks: nothing was asked
        REQUIRE(s.done());
        REQUIRE(s.value()->size() == 1);
        CHECK(s.value()->front() == asio::ip::make_address(text));
    }
}

TEST_CASE("resolve: localhost is known everywhere, each address once")
{
    asio::io_context ctx;
    diagnostics why;
    spawned<addresses> s(ctx, net::resolve("localhost", why));
    auto const found = finish(ctx, s);
    REQUIRE(found);
    REQUIRE_FALSE(found->empty());
    for (std::size_t i = 0; i < found->size(); ++i) {
        CHECK((*found)[i].is_loopback());
        for (std::size_t j = 0; j < i; ++j) CHECK((*found)[i] != (*found)[j]);
    }
}

TEST_CASE("resolve: a name that can't exist is refused, and the text names it")
{
    for (std::string const& host : {std::string("does-not-exist.invalid"), std::string(), std::string("a\0b", 3), std::string(300, 'a')}) {
        asio::io_context ctx;
        diagnostics why;
        spawned<addresses> s(ctx, net::resolve(host, why));
        auto const found = finish(ctx, s);
        REQUIRE_FALSE(found);
        CHECK((found.error() == cond::not_found || found.error() == cond::unavailable)); // without a name server it is the latter
        CHECK_FALSE(why.message.empty());
    }
}

TEST_CASE("resolve: cancelling takes effect at once, the answer is dropped")
{
    asio::io_context ctx;
    diagnostics why;
    spawned<addresses> s(ctx, net::resolve("localhost", why));
    s.cancel();
    ctx.restart();
    ctx.run();
    REQUIRE(s.done());
    CHECK(s.error() == asio::error::operation_aborted);
}
