#include <podproxy/websocket/stream.hpp>

#include <catch2/catch_test_macros.hpp>
#include <podproxy/core/bytes.hpp>
#include <podproxy/websocket/frame.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/error.hpp>
#include <asio/io_context.hpp>
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>
#include <fakes/fake_stream.hpp>
#include <unit/support/spawned.hpp>
#include <unit/support/splits.hpp>

using namespace podproxy;
using test::run_ready;
using websocket::role;
using bytes = std::vector<std::uint8_t>;

namespace {

std::string const key = "\x01\x02\x03\x04"; // of every mask: see `known_random`

void known_random(std::span<std::uint8_t> out)
{
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(1 + i % 4);
}

void no_random(std::span<std::uint8_t>) { throw std::logic_error("a server needs no masks"); }

std::string masked(std::string_view text)
{
    std::string out(text);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<char>(out[i] ^ key[i % 4]);
    return out;
}

/// A client's short binary message.
std::string message(std::string_view text) { return std::string("\x82") + static_cast<char>(0x80 + text.size()) + key + masked(text); }
std::string pong(std::string_view text) { return std::string("\x8a") + static_cast<char>(0x80 + text.size()) + key + masked(text); }
std::string close_with(unsigned code)
{
    return std::string("\x88\x82") + key + masked(std::string{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)});
}

struct fixture {
    explicit fixture(websocket::stream_config config = {}, std::string_view leftover = {})
    {
        auto fake = std::make_unique<test::fake_stream>(ctx.get_executor());
        lower = fake.get();
        stream = std::make_unique<websocket::stream>(std::move(fake), config, bytes(leftover.begin(), leftover.end()),
                                                     config.own == role::client ? known_random : no_random);
    }
    ~fixture()
    {
        stream.reset();
        run_ready(ctx);
    }

    /// What there is to read, and then why there is no more.
    std::string read(std::size_t room = 4096)
    {
        std::string out;
        bytes buffer(room);
        for (;;) {
            auto const n = stream->try_read(buffer);
            if (!n) return out + "|" + n.error().message();
            out.append(as_text(bytes_view(buffer).first(*n)));
        }
    }
    result<std::size_t> write(std::string_view text) { return stream->try_write(as_bytes(text)); }

    struct wait {
        std::optional<std::error_code> done;
        asio::cancellation_signal signal;
    };
    std::unique_ptr<wait> start_wait(net::wait_kind kind)
    {
        auto w = std::make_unique<wait>();
        stream->async_wait(kind, asio::bind_cancellation_slot(w->signal.slot(), [p = w.get()](std::error_code ec) { p->done = ec; }));
        return w;
    }

    asio::io_context ctx;
    test::fake_stream* lower = nullptr;
    std::unique_ptr<websocket::stream> stream;
};

std::string const nothing_now = "|" + std::error_code(errc::would_block).message();
std::string ending(std::error_code ec) { return "|" + ec.message(); }
std::string server_frame(std::uint8_t first, std::string_view payload)
{
    return std::string{static_cast<char>(first), static_cast<char>(payload.size())} + std::string(payload);
}

} // namespace

TEST_CASE("websocket stream: messages of any shape are one flow of bytes")
{
    std::string const wire = server_frame(0x82, "one ") + server_frame(0x02, "two ") + server_frame(0x00, "") + server_frame(0x89, "hi") +
                             server_frame(0x80, "three ") + server_frame(0x82, "") + server_frame(0x8a, "") + server_frame(0x82, "four");
    auto const seen = test::check_all_splits(as_bytes(wire), [](std::span<bytes_view const> parts) {
        fixture f;
        std::string out;
        for (bytes_view const part : parts) {
            f.lower->provide(part);
            auto const got = f.read();
            CHECK(got.ends_with(nothing_now));
            out += got.substr(0, got.size() - nothing_now.size());
        }
        return out + "/" + f.lower->take_written();
    });
    CHECK(seen == "one two three four/" + pong("hi"));
}

TEST_CASE("websocket stream: small rooms, small reads and early wake-ups change nothing")
{
    std::string const text = "a longer text that comes in many pieces";
    for (std::size_t const room : {1u, 2u, 3u, 5u, 64u}) {
        for (std::size_t const read_max : {1u, 2u, 7u, 64u}) {
            CAPTURE(room, read_max);
            fixture f;
            f.lower->read_max(read_max);
            f.lower->provide(server_frame(0x02, text.substr(0, 10)) + server_frame(0x89, "p") + server_frame(0x80, text.substr(10)));
            CHECK(f.read(room) == text + nothing_now);
            CHECK(f.lower->take_written() == pong("p"));
        }
    }
}

TEST_CASE("websocket stream: bytes behind the handshake come first, and make a wait for reading complete")
{
    fixture f({}, server_frame(0x82, "first ").substr(0, 5));
    auto w = f.start_wait(net::wait_kind::read);
    run_ready(f.ctx);
    CHECK(w->done == std::error_code());
    f.lower->provide(server_frame(0x82, "first ").substr(5) + server_frame(0x82, "second"));
    CHECK(f.read(3) == "first second" + nothing_now);
}

TEST_CASE("websocket stream: a client masks each message with a key of its own, a server none")
{
    fixture f;
    CHECK(f.write("hello").value() == 5);
    CHECK(f.lower->take_written() == message("hello"));
    fixture server({.own = role::server});
    CHECK(server.write("hello").value() == 5);
    CHECK(server.lower->take_written() == server_frame(0x82, "hello"));

    asio::io_context ctx;
    auto fake = std::make_unique<test::fake_stream>(ctx.get_executor());
    auto* const lower = fake.get();
    websocket::stream real(std::move(fake));
    CHECK(real.try_write(as_bytes("12345678")).value() == 8);
    CHECK(real.try_write(as_bytes("12345678")).value() == 8);
    CHECK(lower->written().substr(2, 4) != lower->written().substr(16, 4)); // one in four billion
}

TEST_CASE("websocket stream: a long write is cut at the frame limit, with the right length form")
{
    for (std::size_t const size : {125u, 126u, 65535u, 65536u, 70000u}) {
        CAPTURE(size);
        fixture f;
        std::string const text(size, 'x');
        std::size_t const n = f.write(text).value();
        CHECK(n == std::min<std::size_t>(size, 65536));
        auto const header = websocket::parse_frame_header(f.lower->written_bytes());
        REQUIRE(header.done());
        CHECK(header.value().length == n);
        CHECK(f.lower->written().size() == header.consumed() + n);
        CHECK(f.lower->written().substr(header.consumed()) == masked(std::string(n, 'x')));
    }
    fixture small({.max_frame = 4});
    CHECK(small.write("123456").value() == 4);
}

TEST_CASE("websocket stream: what was accepted is sent by the stream itself when the connection takes more")
{
    fixture f;
    f.lower->write_room(3);
    CHECK(f.write("hello").value() == 5);
    CHECK(f.stream->unsent() == 11 - 3);
    CHECK(f.write("world").error() == errc::would_block);
    run_ready(f.ctx);
    CHECK(f.lower->written().size() == 3);
    f.lower->write_room(2);
    run_ready(f.ctx);
    CHECK(f.lower->written().size() == 5);
    f.lower->write_room(test::fake_stream::unlimited);
    run_ready(f.ctx);
    CHECK(f.lower->take_written() == message("hello"));
    CHECK(f.stream->unsent() == 0);
    CHECK(f.write("world").value() == 5);
    CHECK(f.lower->take_written() == message("world"));
}

TEST_CASE("websocket stream: a wait for writing completes when the frame is through, not before")
{
    fixture f;
    f.lower->write_room(0);
    CHECK(f.write("hello").value() == 5); // kept whole
    auto w = f.start_wait(net::wait_kind::write);
    run_ready(f.ctx);
    CHECK_FALSE(w->done);
    f.lower->write_room(4);
    run_ready(f.ctx);
    CHECK_FALSE(w->done);
    f.lower->write_room(test::fake_stream::unlimited);
    run_ready(f.ctx);
    CHECK(w->done == std::error_code());
    auto again = f.start_wait(net::wait_kind::write);
    run_ready(f.ctx);
    CHECK(again->done == std::error_code());
}

TEST_CASE("websocket stream: waits can be cancelled and started again, and nothing is lost")
{
    fixture f;
    f.lower->write_room(1);
    CHECK(f.write("hello").value() == 5);
    auto w = f.start_wait(net::wait_kind::write);
    auto r = f.start_wait(net::wait_kind::read);
    w->signal.emit(asio::cancellation_type::terminal);
    r->signal.emit(asio::cancellation_type::total);
    run_ready(f.ctx);
    CHECK(w->done == asio::error::make_error_code(asio::error::operation_aborted));
    CHECK(r->done == asio::error::make_error_code(asio::error::operation_aborted));
    w = f.start_wait(net::wait_kind::write);
    r = f.start_wait(net::wait_kind::read);
    f.lower->write_room(test::fake_stream::unlimited);
    f.lower->provide(server_frame(0x82, "x"));
    run_ready(f.ctx);
    CHECK(w->done == std::error_code());
    CHECK(r->done == std::error_code());
    CHECK(f.lower->take_written() == message("hello"));
    CHECK(f.read() == "x" + nothing_now);
}

TEST_CASE("websocket stream: only the latest ping is answered while the connection takes nothing")
{
    fixture f;
    f.lower->write_room(0);
    CHECK(f.write("data").value() == 4);
    std::size_t const kept = f.stream->unsent();
    for (int i = 0; i < 1000; ++i) f.lower->provide(server_frame(0x89, std::to_string(i)));
    CHECK(f.read() == nothing_now);
    CHECK(f.stream->unsent() == kept);
    f.lower->write_room(test::fake_stream::unlimited);
    run_ready(f.ctx);
    CHECK(f.lower->take_written() == message("data") + pong("999"));
    f.lower->provide(server_frame(0x89, "next"));
    CHECK(f.read() == nothing_now);
    CHECK(f.lower->take_written() == pong("next"));
}

TEST_CASE("websocket stream: a clean close frame is the end, and is answered")
{
    struct named_case {
        std::string frame;
        std::string answer;
        std::error_code error;
        websocket::close_code status;
    };
    named_case const cases[] = {
        {server_frame(0x88, "\x03\xe8"), close_with(1000), errc::end_of_stream, websocket::close_code::normal},
        {server_frame(0x88, "\x03\xe9going"), close_with(1001), errc::end_of_stream, websocket::close_code::going_away},
        {server_frame(0x88, ""), std::string("\x88\x80") + key, errc::end_of_stream, websocket::close_code::no_status},
        {server_frame(0x88, "\x03\xf3oops"), close_with(1011), websocket::errc::closed_abnormally, websocket::close_code::internal_error},
    };
    for (named_case const& c : cases) {
        fixture f;
        CHECK(f.stream->close_status() == websocket::close_code::abnormal);
        f.lower->provide(server_frame(0x82, "last words") + c.frame);
        CHECK(f.read() == "last words" + ending(c.error));
        CHECK(f.stream->close_status() == c.status);
        CHECK(f.lower->take_written() == c.answer);
        CHECK(f.write("too late").error() == websocket::errc::closed);
        auto w = f.start_wait(net::wait_kind::write);
        auto r = f.start_wait(net::wait_kind::read);
        run_ready(f.ctx);
        CHECK(w->done);
        CHECK(r->done);
        CHECK(f.stream->shutdown_send());
        CHECK(f.lower->take_written().empty());
    }
}

TEST_CASE("websocket stream: shutdown_send says goodbye once, and reading goes on")
{
    fixture f;
    CHECK(f.write("bye").value() == 3);
    CHECK(f.stream->shutdown_send());
    CHECK(f.stream->shutdown_send());
    CHECK(f.lower->take_written() == message("bye") + close_with(1000));
    CHECK(f.write("more").error() == websocket::errc::closed);
    f.lower->provide(server_frame(0x82, "still here") + server_frame(0x89, "no pong behind a close"));
    CHECK(f.read() == "still here" + nothing_now);
    f.lower->provide(server_frame(0x88, "\x03\xe8"));
    CHECK(f.read() == ending(errc::end_of_stream));
    CHECK(f.lower->take_written().empty());
    CHECK_FALSE(f.lower->is_closed());
}

TEST_CASE("websocket stream: a goodbye waits behind bytes that are still unsent")
{
    fixture f;
    f.lower->write_room(2);
    CHECK(f.write("hello").value() == 5);
    CHECK(f.stream->shutdown_send());
    f.lower->write_room(test::fake_stream::unlimited);
    run_ready(f.ctx);
    CHECK(f.lower->take_written() == message("hello") + close_with(1000));
}

TEST_CASE("websocket stream: close sends a goodbye if it can, and closes the connection")
{
    fixture f;
    f.stream->close();
    CHECK(f.lower->take_written() == close_with(1000));
    CHECK(f.lower->is_closed());
    CHECK(f.write("x").error() == websocket::errc::closed);
    bytes room(10);
    CHECK(f.stream->try_read(room).error() == asio::error::make_error_code(asio::error::bad_descriptor));

    fixture full;
    full.lower->write_room(1);
    CHECK(full.write("hello").value() == 5);
    auto w = full.start_wait(net::wait_kind::write);
    full.stream->close();
    run_ready(full.ctx);
    CHECK(full.lower->is_closed());
    CHECK(w->done == asio::error::make_error_code(asio::error::operation_aborted));

    fixture reset;
    reset.stream->reset();
    CHECK(reset.lower->was_reset());
    CHECK(reset.lower->take_written().empty());
}

TEST_CASE("websocket stream: the connection's end without a goodbye is told apart from one inside a frame")
{
    fixture f;
    f.lower->provide(server_frame(0x82, "abc"));
    f.lower->close_remote();
    CHECK(f.read() == "abc" + ending(websocket::errc::no_close_frame));
    CHECK(std::error_code(websocket::errc::no_close_frame) == cond::unavailable);

    for (std::size_t n = 1; n < 5; ++n) {
        fixture cut;
        cut.lower->provide(server_frame(0x82, "abc").substr(0, n));
        cut.lower->close_remote();
        CHECK(cut.read().ends_with(ending(errc::truncated)));
    }

    fixture broken;
    broken.lower->break_remote();
    CHECK(broken.read() == ending(asio::error::make_error_code(asio::error::connection_reset)));
    CHECK(broken.write("x").error() == asio::error::make_error_code(asio::error::connection_reset));
    CHECK(broken.write("x").error() == asio::error::make_error_code(asio::error::connection_reset));
}

TEST_CASE("websocket stream: a peer that breaks the protocol is told so")
{
    struct named_case {
        std::string frame;
        websocket::errc error;
        unsigned code;
    };
    named_case const cases[] = {
        {server_frame(0x81, "text"), websocket::errc::unexpected_text, 1003},
        {server_frame(0x83, ""), websocket::errc::bad_opcode, 1002},
        {server_frame(0x80, "x"), websocket::errc::unexpected_continuation, 1002},
        {std::string("\x82\x81\x01\x02\x03\x04x"), websocket::errc::bad_mask, 1002},
        {server_frame(0x88, "\x03\xe8\xff"), websocket::errc::bad_utf8, 1007},
    };
    for (named_case const& c : cases) {
        fixture f;
        f.lower->provide(server_frame(0x82, "good ") + c.frame + server_frame(0x82, "ignored"));
        CHECK(f.read() == "good " + ending(c.error));
        CHECK(f.lower->take_written() == close_with(c.code));
        CHECK(f.write("x").error() == websocket::errc::closed);
    }
}

TEST_CASE("websocket stream: destroyed with everything in flight, it leaves nothing behind")
{
    for (bool const wait_first : {false, true}) {
        fixture f;
        f.lower->write_room(1);
        CHECK(f.write("hello").value() == 5);
        auto w = f.start_wait(net::wait_kind::write);
        auto r = f.start_wait(net::wait_kind::read);
        if (wait_first) run_ready(f.ctx);
        f.stream.reset();
        run_ready(f.ctx);
        CHECK(w->done == asio::error::make_error_code(asio::error::operation_aborted));
        CHECK(r->done == asio::error::make_error_code(asio::error::operation_aborted));
    }
}

TEST_CASE("websocket stream: two of them carry data both ways through a narrow connection, every byte right")
{
    asio::io_context ctx;
    auto a = std::make_unique<test::fake_stream>(ctx.get_executor());
    auto b = std::make_unique<test::fake_stream>(ctx.get_executor());
    test::fake_stream::connect(*a, *b);
    a->capacity(1000);
    b->capacity(700);
    a->write_max(301);
    websocket::stream client(std::move(a), {.max_frame = 5000});
    websocket::stream server(std::move(b), {.own = role::server, .max_frame = 333}, {}, no_random);

    std::string text;
    for (int i = 0; text.size() < 50'000; ++i) text += std::to_string(i) + ' ';
    auto const send = [](net::stream& s, std::string const& what) -> net::awaitable<result<void>> {
        auto done = co_await net::write_all(s, as_bytes(what));
        if (!done) co_return done;
        co_return co_await net::shutdown_send(s);
    };
    auto const receive = [](net::stream& s) -> net::awaitable<result<std::string>> {
        std::string all;
        bytes room(1234);
        for (;;) {
            auto const n = co_await net::read_some(s, room);
            if (!n && n.error() == errc::end_of_stream) co_return all;
            if (!n) co_return n.error();
            all.append(as_text(bytes_view(room).first(*n)));
        }
    };
    test::spawned<result<std::string>> at_server(ctx, receive(server));
    test::spawned<result<std::string>> at_client(ctx, receive(client));
    test::spawned<result<void>> up(ctx, net::write_all(client, as_bytes(text)));
    test::spawned<result<void>> down(ctx, send(server, text));
    at_client.run();
    REQUIRE(down.done());
    CHECK(*at_client.value() == text);
    // The client has answered the server's goodbye: its own direction is over too, at a byte of the server's choosing.
    up.run();
    REQUIRE(at_server.done());
    REQUIRE(at_server.value());
    CHECK(text.starts_with(*at_server.value()));
}

TEST_CASE("websocket stream: every failure of the connection is reported, wherever it strikes")
{
    for (std::size_t n = 0;; ++n) {
        REQUIRE(n < 1000);
        CAPTURE(n);
        test::fail_count fail(n);
        fixture f;
        f.lower->fail_with(fail);
        f.lower->write_max(4);
        f.lower->provide(server_frame(0x82, "abc") + server_frame(0x89, "p"));
        auto const work = [](net::stream& s) -> net::awaitable<result<void>> {
            bytes room(16);
            auto got = co_await net::read_some(s, room);
            if (!got) co_return got.error();
            auto wrote = co_await net::write_all(s, as_bytes("0123456789"));
            if (!wrote) co_return wrote;
            auto [ec] = co_await net::async_wait(s, net::wait_kind::write, asio::as_tuple(net::use_awaitable));
            if (ec) co_return ec;
            co_return co_await net::shutdown_send(s);
        };
        test::spawned<result<void>> s(f.ctx, work(*f.stream));
        s.run();
        REQUIRE(s.done());
        if (!fail.hit()) {
            CHECK(s.value());
            CHECK(f.lower->take_written() == pong("p") + message("0123456789") + close_with(1000));
            break;
        }
        CHECK(s.error() == test::fake_errc::injected);
    }
}

TEST_CASE("websocket stream: every cancellation ends the work and leaves the stream whole")
{
    for (std::size_t n = 0;; ++n) {
        REQUIRE(n < 1000);
        CAPTURE(n);
        fixture f;
        f.lower->write_room(5);
        test::spawned<result<void>> s(f.ctx, net::write_all(*f.stream, as_bytes(std::string_view("0123456789abcdef"))));
        std::size_t steps = 0;
        while (steps < n && s.step()) ++steps;
        s.cancel().run();
        f.lower->write_room(test::fake_stream::unlimited);
        run_ready(f.ctx);
        CHECK(f.stream->unsent() == 0);
        auto const written = f.lower->take_written();
        CHECK((written.empty() || written == message("0123456789abcdef")));
        if (steps < n) break;
    }
}
