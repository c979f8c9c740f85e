#include <podproxy/net/stream.hpp>

#include <fakes/fake_stream.hpp>
#include <support/spawned.hpp>

#include <asio/error.hpp>
#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

using namespace podproxy;
using test::fail_count;
using test::fake_errc;
using test::fake_stream;
using test::spawned;

namespace {

struct fixture {
    asio::io_context ctx{1};
    fake_stream stream{ctx.get_executor()};
    std::array<std::uint8_t, 16> buf{};
};

} // namespace

TEST_CASE("read_some: waits until there is something, however often it is woken for nothing")
{
    fixture f;
    f.stream.wake_early(3);
    spawned<result<std::size_t>> s(f.ctx, net::read_some(f.stream, f.buf));
    CHECK_FALSE(s.run().done());
    f.stream.provide("abc");
    REQUIRE(s.run().done());
    CHECK(*s.value() == 3);
    CHECK(as_text(bytes_view(f.buf).first(3)) == "abc");
}

TEST_CASE("read_some: ends with the stream")
{
    fixture f;
    SECTION("at its end")
    {
        f.stream.close_remote();
        spawned<result<std::size_t>> s(f.ctx, net::read_some(f.stream, f.buf));
        CHECK(s.run().error() == podproxy::errc::end_of_stream);
    }
    SECTION("when it is lost")
    {
        spawned<result<std::size_t>> s(f.ctx, net::read_some(f.stream, f.buf));
        s.run();
        f.stream.break_remote();
        CHECK(s.run().error() == asio::error::connection_reset);
    }
    SECTION("when it is closed meanwhile")
    {
        spawned<result<std::size_t>> s(f.ctx, net::read_some(f.stream, f.buf));
        s.run();
        f.stream.close();
        CHECK(s.run().error() == asio::error::operation_aborted);
    }
    SECTION("not when the wait is cancelled: nothing is lost")
    {
        spawned<result<std::size_t>> s(f.ctx, net::read_some(f.stream, f.buf));
        s.run();
        s.cancel().run();
        CHECK(s.error() == asio::error::operation_aborted);
        f.stream.provide("abc");
        spawned<result<std::size_t>> t(f.ctx, net::read_some(f.stream, f.buf));
        CHECK(*t.run().value() == 3);
    }
}

TEST_CASE("read_some into a buffer: fills what is free, and says when nothing is")
{
    fixture f;
    flat_buffer buffer(8);
    f.stream.provide("0123456789");
    spawned<result<std::size_t>> first(f.ctx, net::read_some(f.stream, buffer, 5));
    CHECK(*first.run().value() == 5);
    spawned<result<std::size_t>> second(f.ctx, net::read_some(f.stream, buffer, 5));
    CHECK(*second.run().value() == 3);
    CHECK(as_text(buffer.data()) == "01234567");
    spawned<result<std::size_t>> third(f.ctx, net::read_some(f.stream, buffer, 5));
    CHECK(third.run().error() == podproxy::errc::buffer_full);
    buffer.consume(8);
    spawned<result<std::size_t>> fourth(f.ctx, net::read_some(f.stream, buffer, 5));
    CHECK(*fourth.run().value() == 2);
    CHECK(as_text(buffer.data()) == "89");
}

TEST_CASE("write_all: writes in the pieces that the stream takes")
{
    fixture f;
    f.stream.write_max(3);
    f.stream.write_room(5);
    std::string const text = "0123456789";
    spawned<result<void>> s(f.ctx, net::write_all(f.stream, as_bytes(text)));
    CHECK_FALSE(s.run().done());
    CHECK(f.stream.written() == "01234");
    f.stream.write_room(5);
    REQUIRE(s.run().done());
    CHECK(s.value());
    CHECK(f.stream.written() == text);
}

TEST_CASE("write_all: of nothing asks nobody")
{
    fixture f;
    spawned<result<void>> s(f.ctx, net::write_all(f.stream, {}));
    CHECK(s.run().value());
    CHECK(f.stream.writes() == 0);
}

TEST_CASE("write_all: every failure ends it")
{
    std::string const text = "0123456789";
    for (std::size_t n = 0;; ++n) {
        INFO(n);
        fixture f;
        fail_count fail(n);
        f.stream.fail_with(fail);
        f.stream.write_max(3);
        f.stream.write_room(4);
        spawned<result<void>> s(f.ctx, net::write_all(f.stream, as_bytes(text)));
        s.run();
        f.stream.write_room(100);
        REQUIRE(s.run().done());
        if (!fail.hit()) {
            CHECK(s.value());
            CHECK(f.stream.written() == text);
            break;
        }
        CHECK(s.error() == fake_errc::injected);
    }
}

TEST_CASE("shutdown_send: is waited for")
{
    fixture f;
    spawned<result<void>> s(f.ctx, net::shutdown_send(f.stream));
    CHECK(s.run().value());
    CHECK(f.stream.send_was_shut_down());
    f.stream.close();
    spawned<result<void>> t(f.ctx, net::shutdown_send(f.stream));
    CHECK_FALSE(t.run().value());
}

TEST_CASE("stream: what a kind of stream does not do is said by default")
{
    fixture f;
    CHECK(f.stream.plain_socket() == nullptr);
    CHECK_FALSE(f.stream.lends_views());
    CHECK(f.stream.view().error() == podproxy::errc::unavailable);
}
