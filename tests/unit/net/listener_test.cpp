#include <podproxy/net/listener.hpp>
#include <support/spawned.hpp>
#include <catch2/catch_test_macros.hpp>

#if defined(__unix__)
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif

using namespace podproxy;
using asio::ip::tcp;

namespace {
tcp::endpoint any_loopback_port() { return {asio::ip::address_v4::loopback(), 0}; }

result<net::ready_socket> accept_one(asio::io_context& ctx, net::listener& l)
{
    test::spawned<result<net::ready_socket>> s(ctx, l.accept());
    for (int i = 0; i < 200 && !s.done(); ++i) {
        ctx.restart();
        ctx.run_one_for(std::chrono::milliseconds(50));
    }
    return std::move(s.value());
}
} // namespace

TEST_CASE("listener: accepts clients that were there before and ones that come later")
{
    asio::io_context ctx(1);
    auto l = net::listener::open(ctx.get_executor(), any_loopback_port());
    REQUIRE(l);
    net::tcp_socket early(ctx), late(ctx);
    early.connect(l->local_endpoint());
    auto first = accept_one(ctx, *l);
    REQUIRE(first);
    CHECK(first->remote_endpoint() == early.local_endpoint());

    test::spawned<result<net::ready_socket>> s(ctx, l->accept());
    s.run();
    CHECK_FALSE(s.done());
    late.connect(l->local_endpoint());
    while (!s.done()) {
        ctx.restart();
        ctx.run_one_for(std::chrono::milliseconds(50));
    }
    CHECK(s.value().has_value());
}

TEST_CASE("listener: a port that is taken is an error, and so is a foreign address")
{
    asio::io_context ctx(1);
    auto l = net::listener::open(ctx.get_executor(), any_loopback_port());
    REQUIRE(l);
    auto again = net::listener::open(ctx.get_executor(), l->local_endpoint());
    REQUIRE_FALSE(again);
    CHECK(is_system_error(again.error(), std::errc::address_in_use));
    auto foreign = net::listener::open(ctx.get_executor(), {asio::ip::make_address("192.0.2.1"), 0});
    REQUIRE_FALSE(foreign);
    CHECK(is_system_error(foreign.error(), std::errc::address_not_available));
}

TEST_CASE("listener: close and cancellation end an accept")
{
    asio::io_context ctx(1);
    auto l = net::listener::open(ctx.get_executor(), any_loopback_port());
    REQUIRE(l);
    {
        test::spawned<result<net::ready_socket>> s(ctx, l->accept());
        s.run();
        s.cancel().run();
        CHECK(s.error() == asio::error::operation_aborted);
    }
    test::spawned<result<net::ready_socket>> s(ctx, l->accept());
    s.run();
    l->close();
    s.run();
    CHECK(s.error() == asio::error::operation_aborted);
}

#if defined(__unix__)
TEST_CASE("listener: an accept after close ends as one in flight does")
{
    asio::io_context ctx(1);
    auto l = net::listener::open(ctx.get_executor(), any_loopback_port());
    REQUIRE(l);
    l->close();
    auto const late = accept_one(ctx, *l);
    REQUIRE_FALSE(late);
    CHECK(late.error() == asio::error::operation_aborted);
}

TEST_CASE("listener: without descriptors it rests, loses nobody, and goes on when there are some")
{
#if defined(UNDER_SANITIZER)
    SKIP("the sanitizer checks memory through a pipe and needs descriptors itself");
#endif
    asio::io_context ctx(1);
    net::listener_config config;
    config.exhausted_pause = std::chrono::milliseconds(5);
    auto l = net::listener::open(ctx.get_executor(), any_loopback_port(), config);
    REQUIRE(l);
    int reports = 0;
    l->on_exhausted([&](std::error_code ec) {
        ++reports;
        CHECK(is_system_error(ec, std::errc::too_many_files_open));
    });
    net::tcp_socket client(ctx);
    client.connect(l->local_endpoint());

    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    int const highest = ::dup(0);
    ::close(highest);
    rlimit few = before;
    few.rlim_cur = static_cast<rlim_t>(highest); // not one more
    ::setrlimit(RLIMIT_NOFILE, &few);
    test::spawned<result<net::ready_socket>> s(ctx, l->accept());
    for (int i = 0; i < 10 && reports == 0; ++i) {
        ctx.restart();
        ctx.run_one_for(std::chrono::milliseconds(50));
    }
    bool const rested = !s.done();
    ::setrlimit(RLIMIT_NOFILE, &before);
    CHECK(rested);
    CHECK(reports == 1);
    for (int i = 0; i < 100 && !s.done(); ++i) {
        ctx.restart();
        ctx.run_one_for(std::chrono::milliseconds(50));
    }
    REQUIRE(s.done());
    CHECK(s.value().has_value());
}
#endif

TEST_CASE("listener: accepted sockets send small pieces at once")
{
    asio::io_context ctx(1);
    auto l = net::listener::open(ctx.get_executor(), any_loopback_port());
    REQUIRE(l);
    net::tcp_socket client(ctx);
    client.connect(l->local_endpoint());
    auto accepted = accept_one(ctx, *l);
    REQUIRE(accepted);
    tcp::no_delay set;
    accepted->get_option(set);
    CHECK(set.value());
}
