#include <fakes/fake_stream.hpp>

#include <catch2/catch_test_macros.hpp>
#include <unit/support/spawned.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <memory>

using namespace podproxy;
using test::fail_count;
using test::fake_errc;
using test::fake_stream;
using test::run_ready;
using test::spawned;

namespace {

struct fixture {
    asio::io_context ctx;
    fake_stream stream{ctx.get_executor()};
};

} // namespace

TEST_CASE("fake stream: reads what was provided, then the end", "[support]")
{
    fixture f;
    std::array<std::uint8_t, 8> buf{};
    CHECK(f.stream.try_read(buf).error() == errc::would_block);
    f.stream.provide("abc");
    f.stream.provide({0x64});
    f.stream.close_remote();
    f.stream.read_max(3);
    CHECK(f.stream.try_read(buf).value() == 3);
    CHECK(as_text(bytes_view(buf).first(3)) == "abc");
    CHECK(f.stream.try_read(buf).value() == 1);
    CHECK(f.stream.try_read(buf).error() == errc::end_of_stream);
    CHECK(f.stream.try_write(as_bytes("still open")).value() == 10);
}

TEST_CASE("fake stream: writes stop at the room and go on with the same bytes", "[support]")
{
    fixture f;
    f.stream.write_room(5);
    f.stream.write_max(3);
    CHECK(f.stream.try_write(as_bytes("abcdef")).value() == 3);
    CHECK(f.stream.try_write(as_bytes("def")).value() == 2);
    CHECK(f.stream.try_write(as_bytes("f")).error() == errc::would_block);
    CHECK_THROWS_AS(f.stream.try_write(as_bytes("g")), std::logic_error);
    f.stream.write_room(fake_stream::unlimited);
    CHECK(f.stream.try_write(as_bytes("fg")).value() == 2);
    CHECK(f.stream.take_written() == "abcdefg");
    CHECK(f.stream.written().empty());
}

TEST_CASE("fake stream: a wait completes through the executor when there is something to do", "[support]")
{
    fixture f;
    std::array<std::uint8_t, 8> buf{};
    spawned<result<std::size_t>> read(f.ctx, net::read_some(f.stream, buf));
    CHECK_FALSE(read.run().done());
    CHECK(f.stream.waiting(net::wait_kind::read));
    f.stream.provide("x");
    CHECK_FALSE(read.done()); // not from inside
    CHECK(read.run().value().value() == 1);

    f.stream.write_room(2);
    spawned<result<void>> write(f.ctx, net::write_all(f.stream, as_bytes("12345")));
    CHECK_FALSE(write.run().done());
    CHECK(f.stream.waiting(net::wait_kind::write));
    f.stream.write_room(3);
    CHECK(write.run().value());
    CHECK(f.stream.written() == "12345");
}

TEST_CASE("fake stream: an early wake-up is only an early wake-up", "[support]")
{
    fixture f;
    f.stream.wake_early(2);
    std::array<std::uint8_t, 8> buf{};
    spawned<result<std::size_t>> read(f.ctx, net::read_some(f.stream, buf));
    CHECK_FALSE(read.run().done());
    CHECK(f.stream.reads() == 3);
    CHECK(f.stream.waiting(net::wait_kind::read));
    CHECK(read.cancel().run().error() == asio::error::operation_aborted);
    CHECK_FALSE(f.stream.waiting(net::wait_kind::read));
}

TEST_CASE("fake stream: cancellation, close and destruction end a wait", "[support]")
{
    asio::io_context ctx;
    auto stream = std::make_unique<fake_stream>(ctx.get_executor());
    std::error_code seen;
    auto const start = [&](asio::cancellation_signal& signal) {
        seen = {};
        stream->async_wait(net::wait_kind::read, asio::bind_cancellation_slot(signal.slot(), [&seen](std::error_code ec) { seen = ec; }));
    };
    asio::cancellation_signal signal;
    start(signal);
    signal.emit(asio::cancellation_type::total);
    CHECK_FALSE(seen);
    run_ready(ctx);
    CHECK(seen == asio::error::operation_aborted);
    signal.emit(asio::cancellation_type::terminal); // nothing is left to cancel

    SECTION("the stream stays usable, and a lost connection ends the next wait")
    {
        start(signal);
        stream->break_remote();
        run_ready(ctx);
        CHECK_FALSE(seen); // the reason comes from the next try
        std::array<std::uint8_t, 1> buf{};
        CHECK(stream->try_read(buf).error() == asio::error::connection_reset);
        CHECK(stream->try_write(buf).error() == asio::error::connection_reset);
    }
    SECTION("close")
    {
        start(signal);
        stream->close();
        run_ready(ctx);
        CHECK(seen == asio::error::operation_aborted);
        CHECK(stream->is_closed());
    }
    SECTION("destructor")
    {
        start(signal);
        stream.reset();
        signal.emit(asio::cancellation_type::terminal);
        run_ready(ctx);
        CHECK(seen == asio::error::operation_aborted);
    }
}

TEST_CASE("fake stream: misuse is reported", "[support]")
{
    fixture f;
    f.stream.async_wait(net::wait_kind::read, [](std::error_code) {});
    CHECK_THROWS_AS(f.stream.async_wait(net::wait_kind::read, [](std::error_code) {}), std::logic_error);
    CHECK_THROWS_AS(f.stream.try_read({}), std::logic_error);
    CHECK_THROWS_AS(f.stream.try_write({}), std::logic_error);
}

TEST_CASE("fake stream: every operation can be made to fail", "[support]")
{
    std::vector<bool> ok;
    for (std::size_t n = 0;; ++n) {
        fixture f;
        fail_count fail(n);
        f.stream.fail_with(fail);
        f.stream.provide("x");
        std::array<std::uint8_t, 1> buf{};
        bool good = f.stream.try_read(buf).has_value();
        good = good && f.stream.try_write(as_bytes("y")).has_value();
        std::error_code waited = fake_errc::injected;
        f.stream.async_wait(net::wait_kind::write, [&waited](std::error_code ec) { waited = ec; });
        run_ready(f.ctx);
        good = good && !waited;
        good = good && f.stream.shutdown_send().has_value();
        ok.push_back(good);
        CHECK(good == !fail.hit());
        if (!fail.hit()) break;
    }
    CHECK(ok == std::vector<bool>{false, false, false, false, true});
}

TEST_CASE("fake stream: two connected ones carry bytes, half-close, reset and back pressure", "[support]")
{
    asio::io_context ctx;
    fake_stream a(ctx.get_executor());
    fake_stream b(ctx.get_executor());
    fake_stream::connect(a, b);
    std::array<std::uint8_t, 8> buf{};
    b.capacity(3);
    CHECK(a.try_write(as_bytes("hello")).value() == 3);
    CHECK(a.try_write(as_bytes("lo")).error() == errc::would_block);
    bool writable = false;
    a.async_wait(net::wait_kind::write, [&writable](std::error_code ec) { writable = !ec; });
    run_ready(ctx);
    CHECK_FALSE(writable);
    CHECK(b.try_read(buf).value() == 3);
    run_ready(ctx);
    CHECK(writable);
    CHECK(a.try_write(as_bytes("lo")).value() == 2);
    CHECK(a.shutdown_send());
    CHECK(b.try_read(buf).value() == 2);
    CHECK(b.try_read(buf).error() == errc::end_of_stream);
    CHECK(b.try_write(as_bytes("answer")).value() == 6);
    CHECK(a.try_read(buf).value() == 6);
    b.reset();
    CHECK(b.was_reset());
    CHECK(a.try_read(buf).error() == asio::error::connection_reset);
}

TEST_CASE("fake stream: lends views of what was provided", "[support]")
{
    fixture f;
    CHECK(f.stream.view().error() == errc::unavailable);
    f.stream.lend_views();
    CHECK(f.stream.view().error() == errc::would_block);
    f.stream.provide("abcdef");
    f.stream.read_max(4);
    CHECK(as_text(f.stream.view().value()) == "abcd");
    f.stream.consume(3);
    CHECK(as_text(f.stream.view().value()) == "def");
    CHECK_THROWS_AS(f.stream.consume(4), std::logic_error);
}
