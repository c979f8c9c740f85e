// What we rely on in Asio, measured: an upgrade that changes one of these is noticed here and not in production.
#include <podproxy/net/asio.hpp>
#include <support/spawned.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <string>

using namespace podproxy;
using namespace std::chrono_literals;

namespace {

net::awaitable<std::pair<std::error_code, bool>> wait_with_timeout(net::clock::duration work, net::clock::duration limit)
{
    net::timer t(co_await asio::this_coro::executor, work);
    auto [ec] = co_await t.async_wait(asio::cancel_after(limit, asio::as_tuple));
    bool const cancelled = (co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none;
    co_return std::pair(ec, cancelled);
}

template <class T>
T run_to_end(asio::io_context& ctx, net::awaitable<T> work)
{
    test::spawned<T> s(ctx, std::move(work));
    ctx.restart();
    ctx.run();
    return s.value();
}

} // namespace

TEST_CASE("asio: a timeout by cancel_after looks like cancellation, and leaves the coroutine's own state clean")
{
    asio::io_context ctx(1);
    auto const [ec, cancelled] = run_to_end(ctx, wait_with_timeout(10s, 1ms));
    CHECK(ec == asio::error::operation_aborted);
    CHECK_FALSE(cancelled);
}

TEST_CASE("asio: cancel_after leaves an operation that is done in time alone")
{
    asio::io_context ctx(1);
    auto const [ec, cancelled] = run_to_end(ctx, wait_with_timeout(1ms, 10s));
    CHECK_FALSE(ec);
    CHECK_FALSE(cancelled);
}

TEST_CASE("asio: after terminal cancellation the next co_await throws, even with as_tuple, until the state is reset")
{
    asio::io_context ctx(1);
    std::string story;
    auto const work = [](std::string& out) -> net::awaitable<int> {
        net::timer t(co_await asio::this_coro::executor, 10s);
        auto [ec] = co_await t.async_wait(asio::as_tuple);
        out += ec == asio::error::operation_aborted ? "aborted " : "? ";
        try {
            t.expires_after(0s);
            co_await t.async_wait(asio::as_tuple);
            out += "went on ";
        } catch (std::system_error const& e) {
            out += e.code() == asio::error::operation_aborted ? "threw " : "?? ";
        }
        co_await asio::this_coro::reset_cancellation_state();
        t.expires_after(0s);
        auto [again] = co_await t.async_wait(asio::as_tuple);
        out += again ? "failed" : "usable";
        co_return 0;
    };
    test::spawned<int> s(ctx, work(story));
    s.run();
    s.cancel();
    ctx.restart();
    ctx.run();
    CHECK(story == "aborted threw usable");
}

TEST_CASE("asio: operator|| waits for the first success, so that an exception does not end it")
{
    using namespace asio::experimental::awaitable_operators;
    asio::io_context ctx(1);
    bool other_finished = false;
    auto const throws = []() -> net::awaitable<int> {
        throw std::runtime_error("first");
        co_return 1;
    };
    auto const later = [](bool& done) -> net::awaitable<int> {
        net::timer t(co_await asio::this_coro::executor, 5ms);
        co_await t.async_wait(net::use_awaitable);
        done = true;
        co_return 2;
    };
    auto const both = [&]() -> net::awaitable<int> {
        auto r = co_await (throws() || later(other_finished));
        co_return static_cast<int>(r.index());
    };
    CHECK(run_to_end(ctx, both()) == 1);
    CHECK(other_finished);
}

TEST_CASE("asio: co_spawn runs the coroutine's first part inside the call when it comes from the context")
{
    asio::io_context ctx(1);
    std::string story;
    auto const child = [](std::string& out) -> net::awaitable<void> {
        out += "child ";
        co_return;
    };
    auto const parent = [&](std::string& out) -> net::awaitable<int> {
        asio::co_spawn(co_await asio::this_coro::executor, child(out), [](std::exception_ptr) {});
        out += "parent ";
        co_return 0;
    };
    run_to_end(ctx, parent(story));
    CHECK(story == "child parent ");
}
