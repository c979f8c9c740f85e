#include <podproxy/kube/second_try_stream.hpp>

#include <fakes/fake_stream.hpp>
#include <unit/support/poll_until.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace podproxy::kube {
namespace {

using test::fake_stream;
using test::run_ready;

/// A stream whose second pod is in the test's hands.
struct fixture {
    asio::io_context ctx;
    std::unique_ptr<fake_stream> owned = std::make_unique<fake_stream>(ctx.get_executor());
    fake_stream* first = owned.get();
    fake_stream* second = nullptr;
    int dials = 0;
    bool may_dial = true;
    second_try_stream::done_handler done;
    std::unique_ptr<second_try_stream> stream = std::make_unique<second_try_stream>(std::move(owned), [this](second_try_stream::done_handler d) {
        ++dials;
        if (!may_dial) return false;
        done = std::move(d);
        return true;
    });

    ~fixture()
    {
        stream.reset();
        run_ready(ctx);
    }
    std::string read()
    {
        std::array<std::uint8_t, 64> buf;
        auto const n = stream->try_read(buf);
        return n ? std::string(as_text(bytes_view(buf.data(), *n))) : "error: " + n.error().message();
    }
    bool blocked() { return stream->try_read(one).error() == podproxy::errc::would_block; }
    /// Waits once. @return whether the wait ends at once.
    void wait(net::wait_kind kind, std::optional<std::error_code>& out)
    {
        stream->async_wait(kind, [&out](std::error_code ec) { out = ec; });
        run_ready(ctx);
    }
    void refuse() { first->break_remote(make_error_code(errc::port_refused)); }
    void answer()
    {
        auto next = std::make_unique<fake_stream>(ctx.get_executor());
        second = next.get();
        std::exchange(done, nullptr)(net::any_stream(std::move(next)));
        run_ready(ctx);
    }
    std::array<std::uint8_t, 1> one{};
};

} // namespace

TEST_CASE("second try: what was sent to a pod that refused goes to the next, for readers and writers that wait", "[kube]")
{
    fixture f;
    CHECK(*f.stream->try_write(as_bytes("hello")) == 5);
    CHECK(f.blocked());
    std::optional<std::error_code> readable;
    f.wait(net::wait_kind::read, readable);
    CHECK_FALSE(readable);
    f.refuse();
    run_ready(f.ctx);
    REQUIRE(readable);
    CHECK(f.blocked()); // the refusal is kept from the reader
    CHECK(f.dials == 1);
    CHECK(f.stream->try_write(as_bytes("x")).error() == podproxy::errc::would_block);
    std::optional<std::error_code> again;
    std::optional<std::error_code> writable;
    f.wait(net::wait_kind::read, again);
    f.wait(net::wait_kind::write, writable);
    CHECK_FALSE(again);
    CHECK_FALSE(writable);
    CHECK(f.stream->shutdown_send());
    f.answer();
    CHECK(again == std::error_code());
    CHECK(writable == std::error_code());
    CHECK(f.second->written() == "hello");
    CHECK(f.second->send_was_shut_down());
    f.second->provide("answer");
    CHECK(f.read() == "answer");
}

TEST_CASE("second try: after the first byte of an answer, and for other errors, there is none", "[kube]")
{
    fixture f;
    CHECK(f.stream->try_write(as_bytes("hello")));
    SECTION("an answer")
    {
        f.first->provide("y");
        CHECK(f.read() == "y");
        f.refuse();
        CHECK(f.read() == "error: " + make_error_code(errc::port_refused).message());
    }
    SECTION("another error")
    {
        f.first->break_remote(make_error_code(errc::pod_gone));
        CHECK(f.read() == "error: " + make_error_code(errc::pod_gone).message());
    }
    SECTION("the end")
    {
        f.first->close_remote();
        CHECK(f.read() == "error: " + make_error_code(podproxy::errc::end_of_stream).message());
    }
    SECTION("too much was sent")
    {
        std::string const much(second_try_stream::most_kept, 'x');
        CHECK(*f.stream->try_write(as_bytes(much)) == much.size());
        f.refuse();
        CHECK(f.read() == "error: " + make_error_code(errc::port_refused).message());
    }
    CHECK(f.dials == 0);
}

TEST_CASE("second try: where it fails too, its failure is what is read", "[kube]")
{
    fixture f;
    std::optional<std::error_code> readable;
    SECTION("the dial fails")
    {
        f.refuse();
        CHECK(f.blocked());
        f.wait(net::wait_kind::read, readable);
        std::exchange(f.done, nullptr)(errc::no_endpoints);
        run_ready(f.ctx);
        CHECK(readable);
        CHECK(f.read() == "error: " + make_error_code(errc::no_endpoints).message());
        CHECK(f.stream->try_write(as_bytes("x")).error() == errc::no_endpoints);
    }
    SECTION("nobody dials any more")
    {
        f.may_dial = false;
        f.refuse();
        CHECK(f.blocked());
        f.wait(net::wait_kind::read, readable);
        CHECK(readable);
        CHECK(f.read() == "error: " + make_error_code(errc::port_refused).message());
    }
    SECTION("it was closed meanwhile")
    {
        f.refuse();
        CHECK(f.blocked());
        f.wait(net::wait_kind::read, readable);
        f.stream->close();
        run_ready(f.ctx);
        CHECK(readable == asio::error::operation_aborted);
        f.answer(); // the stream that came too late is closed with its owner
    }
    SECTION("it has gone meanwhile")
    {
        f.refuse();
        CHECK(f.blocked());
        f.stream.reset();
        f.answer();
    }
}

TEST_CASE("second try: what is sent again waits for room, before anything new", "[kube]")
{
    fixture f;
    CHECK(f.stream->try_write(as_bytes("hello")));
    f.refuse();
    CHECK(f.blocked());
    auto next = std::make_unique<fake_stream>(f.ctx.get_executor());
    f.second = next.get();
    next->write_room(2);
    std::exchange(f.done, nullptr)(net::any_stream(std::move(next)));
    run_ready(f.ctx);
    CHECK(f.second->written() == "he");
    CHECK(f.stream->try_write(as_bytes(" again")).error() == podproxy::errc::would_block);
    std::optional<std::error_code> writable;
    f.wait(net::wait_kind::write, writable);
    CHECK_FALSE(writable);
    f.second->write_room(fake_stream::unlimited);
    run_ready(f.ctx);
    CHECK(writable == std::error_code());
    CHECK(*f.stream->try_write(as_bytes(" again")) == 6);
    CHECK(f.second->written() == "hello again");
}

} // namespace podproxy::kube
