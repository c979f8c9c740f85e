#include <podproxy/kube/forwarded_stream.hpp>

#include <catch2/catch_test_macros.hpp>
#include <fakes/fake_kube_spdy.hpp>
#include <fakes/fake_stream.hpp>
#include <unit/support/poll_until.hpp>
#include <unit/support/spawned.hpp>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace podproxy::kube {
namespace {

using test::fake_stream;
using test::poll_until;
using test::run_ready;
using test::spawned;
using test::fake_kube::control_frame;
using test::fake_kube::data_frame;
using test::fake_kube::u32;
using std::chrono::milliseconds;

constexpr std::string_view refused_text = "error forwarding port 4444 to pod 0123, uid : failed to execute portforward in network namespace "
                                          "\"/var/run/netns/cni-0\": failed to connect to localhost:4444 inside namespace \"0123\", IPv4: dial tcp4 "
                                          "127.0.0.1:4444: connect: connection refused IPv6 dial tcp6: address localhost: no suitable address found";
constexpr std::string_view reset_text = "error forwarding port 9004 to pod 0123, uid : failed to execute portforward in network namespace "
                                        "\"/var/run/netns/cni-0\": read tcp4 127.0.0.1:46988->127.0.0.1:9004: read: connection reset by peer";

/// A session over a fake carrier, with one forwarded connection: error stream 1, data stream 11, both in lane 1.
struct fixture {
    asio::io_context ctx;
    test::fake_kube::header_zlib pack{test::fake_kube::header_zlib::direction::pack};
    fake_stream* carrier = nullptr;
    std::shared_ptr<spdy::session> session;
    std::unique_ptr<forwarded_stream> stream;
    int ends = 0;
    std::error_code end_code;
    std::string end_text;

    explicit fixture(forwarded_stream_config config = {}, spdy::session_config session_config = no_pings())
    {
        auto owned = std::make_unique<fake_stream>(ctx.get_executor());
        carrier = owned.get();
        session = spdy::session::start(std::move(owned), {}, session_config);
        std::array<spdy::header_view, 3> fields{{{"streamtype", "error"}, {"port", "80"}, {"requestid", "0"}}};
        auto error = session->open(fields, 1, spdy::session::upload::none);
        fields[0].value = "data";
        auto data = session->open(fields, 1, spdy::session::upload::yes);
        REQUIRE(error->id() == 1);
        REQUIRE(data->id() == 11);
        stream = std::make_unique<forwarded_stream>(ctx.get_executor(), std::move(error), std::move(data), config,
                                                    [this](std::error_code ec, std::string const& text) {
                                                        ++ends;
                                                        end_code = ec;
                                                        end_text = text;
                                                    });
        carrier->take_written();
    }
    ~fixture()
    {
        stream.reset();
        session->close();
        run_ready(ctx);
    }

    static spdy::session_config no_pings()
    {
        spdy::session_config c;
        c.ping_interval = milliseconds(0);
        return c;
    }

    void receive(std::string const& bytes)
    {
        carrier->provide(bytes);
        run_ready(ctx);
    }
    void reply(std::uint32_t id) { receive(control_frame(2, 0, u32(id) + pack.run(u32(0)))); }
    void reply_both()
    {
        reply(11);
        reply(1);
    }
    void error_says(std::string_view text)
    {
        receive(data_frame(11, true, ""));
        receive(data_frame(1, false, text));
        receive(data_frame(1, true, ""));
    }
    /// Everything that can be read now, and why no more.
    std::string read_all()
    {
        std::string out;
        std::array<std::uint8_t, 7> some{};
        for (;;) {
            auto const n = stream->try_read(some);
            if (!n) return n.error() == podproxy::errc::would_block ? out : out + "|" + n.error().message();
            out += as_text(bytes_view(some).first(*n));
        }
    }
};

std::string end_of(std::string_view before, std::error_code ec) { return std::string(before) + "|" + ec.message(); }
std::error_code const clean_end = podproxy::errc::end_of_stream;

} // namespace

TEST_CASE("kube forwarded stream: established when both streams are taken and nothing is refused for the grace time", "[kube]")
{
    fixture f;
    diagnostics why;
    spawned<result<void>> s(f.ctx, f.stream->established(milliseconds(20), why));
    f.reply(11);
    CHECK_FALSE(s.run().done());
    f.reply(1);
    CHECK_FALSE(s.run().done());
    CHECK(poll_until(f.ctx, [&] { return s.done(); }));
    CHECK(s.value());
    CHECK_FALSE(f.stream->proven());
}

TEST_CASE("kube forwarded stream: without a grace time the replies are enough", "[kube]")
{
    fixture f;
    diagnostics why;
    spawned<result<void>> s(f.ctx, f.stream->established(milliseconds(0), why));
    CHECK_FALSE(s.run().done());
    f.reply_both();
    CHECK(s.run().value());
}

TEST_CASE("kube forwarded stream: a first byte from the pod proves the connection", "[kube]")
{
    fixture f;
    diagnostics why;
    spawned<result<void>> s(f.ctx, f.stream->established(std::chrono::hours(1), why));
    f.reply_both();
    CHECK_FALSE(s.run().done());
    f.receive(data_frame(11, false, "220 hello"));
    CHECK(s.run().value());
    CHECK(f.stream->proven());
    CHECK(f.read_all() == "220 hello");
}

TEST_CASE("kube forwarded stream: a refusal within the grace time is the answer, with the runtime's text", "[kube]")
{
    fixture f;
    diagnostics why;
    spawned<result<void>> s(f.ctx, f.stream->established(std::chrono::hours(1), why));
    f.reply_both();
    f.receive(data_frame(11, true, ""));
    CHECK_FALSE(s.run().done());
    f.receive(data_frame(1, false, refused_text.substr(0, 100)));
    CHECK_FALSE(s.run().done());
    f.receive(data_frame(1, false, refused_text.substr(100)));
    f.receive(data_frame(1, true, ""));
    CHECK(s.run().error() == errc::port_refused);
    CHECK(why.server_text == refused_text);
    CHECK(f.session->usable());
    f.stream->close();
    CHECK(f.ends == 1);
    CHECK(f.end_code == errc::port_refused);
    CHECK(f.end_text == refused_text);
}

TEST_CASE("kube forwarded stream: a pod that closes without a word was connected", "[kube]")
{
    fixture f;
    diagnostics why;
    spawned<result<void>> s(f.ctx, f.stream->established(std::chrono::hours(1), why));
    f.reply_both();
    f.receive(data_frame(11, true, "") + data_frame(1, true, ""));
    CHECK(s.run().value());
    CHECK(f.read_all() == end_of("", clean_end));
}

TEST_CASE("kube forwarded stream: not established when the session or the stream fails", "[kube]")
{
    fixture f;
    diagnostics why;
    spawned<result<void>> s(f.ctx, f.stream->established(std::chrono::hours(1), why));
    s.run();
    std::error_code expected;
    SECTION("the session ends")
    {
        f.carrier->close_remote();
        expected = spdy::errc::session_closed;
    }
    SECTION("the data stream is reset")
    {
        f.carrier->provide(control_frame(3, 0, u32(11) + u32(5)));
        expected = spdy::errc::stream_reset;
    }
    SECTION("the error stream is reset")
    {
        f.carrier->provide(control_frame(3, 0, u32(1) + u32(5)));
        expected = spdy::errc::stream_reset;
    }
    SECTION("the server goes away")
    {
        f.carrier->provide(control_frame(7, 0, u32(0) + u32(0)));
        expected = spdy::errc::going_away;
    }
    CHECK(s.run().error() == expected);
}

TEST_CASE("kube forwarded stream: waiting for it can be cancelled at every point", "[kube]")
{
    for (int point = 0; point < 3; ++point) {
        INFO("point " << point);
        fixture f;
        diagnostics why;
        spawned<result<void>> s(f.ctx, f.stream->established(std::chrono::hours(1), why));
        if (point == 0) {
            s.cancel(); // before it has begun
        } else {
            s.run();
            if (point == 2) f.reply_both();
            s.cancel();
        }
        CHECK(s.run().done());
        CHECK(s.error() == asio::error::operation_aborted);
    }
}

TEST_CASE("kube forwarded stream: the pod's end is clean when the error stream ends without a text", "[kube]")
{
    fixture f;
    f.reply_both();
    f.receive(data_frame(11, false, "answer") + data_frame(11, true, ""));
    CHECK(f.read_all() == "answer"); // the verdict is still out
    f.receive(data_frame(1, true, ""));
    CHECK(f.read_all() == end_of("", clean_end));
    f.stream->close();
    CHECK_FALSE(f.end_code);
}

TEST_CASE("kube forwarded stream: without a verdict the end counts as clean after a while", "[kube]")
{
    forwarded_stream_config config;
    config.verdict_wait = milliseconds(20);
    fixture f(config);
    f.receive(data_frame(11, true, "answer"));
    CHECK(f.read_all() == "answer");
    std::string end;
    CHECK(poll_until(f.ctx, [&] { return !(end = f.read_all()).empty(); }));
    CHECK(end == end_of("", clean_end));
}

TEST_CASE("kube forwarded stream: what the pod has sent is read before its reset", "[kube]")
{
    fixture f;
    f.reply_both();
    f.receive(data_frame(11, false, "partial"));
    f.error_says(reset_text);
    CHECK(f.read_all() == end_of("partial", make_error_code(errc::pod_reset)));
    CHECK(f.stream->try_write(as_bytes(std::string_view("x"))).error() == errc::pod_reset);
}

TEST_CASE("kube forwarded stream: an error text fails a connection whose data stream is still open", "[kube]")
{
    fixture f;
    f.receive(data_frame(1, true, "(conn=0xc0, request=1) timed out waiting for streams"));
    CHECK(f.read_all() == end_of("", make_error_code(errc::forward_failed)));
}

TEST_CASE("kube forwarded stream: an endless error text is cut", "[kube]")
{
    fixture f;
    for (int i = 0; i < 100; ++i) f.receive(data_frame(1, false, std::string(1000, 'x')));
    f.receive(data_frame(1, true, ""));
    f.stream->close();
    CHECK(f.end_text == std::string(1024, 'x'));
}

TEST_CASE("kube forwarded stream: waits end when there is something to do", "[kube]")
{
    spdy::session_config config = fixture::no_pings();
    config.send_buffer = 10;
    config.frame_size = 10;
    fixture f({}, config);
    std::optional<std::error_code> read;
    std::optional<std::error_code> write;
    f.stream->async_wait(net::wait_kind::read, [&](std::error_code ec) { read = ec; });
    f.stream->async_wait(net::wait_kind::write, [&](std::error_code ec) { write = ec; });
    CHECK_FALSE(write); // never from inside
    run_ready(f.ctx);
    CHECK(write == std::error_code());
    CHECK_FALSE(read);

    f.carrier->write_room(0);
    std::string const bulk(100, 'x');
    CHECK(*f.stream->try_write(as_bytes(bulk)) == 10);
    CHECK(f.stream->try_write(as_bytes(bulk)).error() == podproxy::errc::would_block);
    write.reset();
    f.stream->async_wait(net::wait_kind::write, [&](std::error_code ec) { write = ec; });
    f.receive(data_frame(11, false, "x"));
    CHECK(read == std::error_code());
    CHECK_FALSE(write); // what comes makes no room
    f.carrier->write_room(fake_stream::unlimited);
    run_ready(f.ctx);
    CHECK(write == std::error_code());

    CHECK(f.read_all() == "x");
    read.reset();
    f.stream->async_wait(net::wait_kind::read, [&](std::error_code ec) { read = ec; });
    f.carrier->close_remote();
    run_ready(f.ctx);
    CHECK(read == std::error_code());
    CHECK(f.read_all() == end_of("", make_error_code(spdy::errc::session_closed)));
}

TEST_CASE("kube forwarded stream: lends what it has received", "[kube]")
{
    fixture f;
    CHECK(f.stream->lends_views());
    f.receive(data_frame(11, false, "abc"));
    CHECK(as_text(*f.stream->view()) == "abc");
    f.stream->consume(2);
    CHECK(as_text(*f.stream->view()) == "c");
    f.stream->consume(1);
    CHECK(f.stream->view().error() == podproxy::errc::would_block);
}

TEST_CASE("kube forwarded stream: the client's end is passed on when the pod has been quiet for a while", "[kube]")
{
    forwarded_stream_config config;
    config.finish_after = milliseconds(20);
    fixture f(config);
    f.reply_both();
    CHECK(f.stream->shutdown_send());
    run_ready(f.ctx);
    CHECK(f.carrier->written().empty());
    f.receive(data_frame(11, false, "still talking"));
    CHECK(poll_until(f.ctx, [&] { return !f.carrier->written().empty(); }));
    CHECK(f.carrier->written() == data_frame(11, true, ""));
    CHECK(f.stream->shutdown_send()); // once is enough
    CHECK(f.read_all() == "still talking");
}

TEST_CASE("kube forwarded stream: after an answer to the last bytes, the client's end is passed on sooner", "[kube]")
{
    forwarded_stream_config config;
    config.finish_after = std::chrono::hours(1);
    config.finish_after_answer = milliseconds(1);
    fixture f(config);
    CHECK(f.stream->try_write(as_bytes(std::string_view("question"))));
    f.receive(data_frame(11, false, "answer"));
    CHECK(f.stream->shutdown_send());
    f.carrier->take_written();
    CHECK(poll_until(f.ctx, [&] { return !f.carrier->written().empty(); }));
    CHECK(f.carrier->written().starts_with(data_frame(11, true, "")));
}

TEST_CASE("kube forwarded stream: closing resets the data stream before the error stream, and ends waits", "[kube]")
{
    fixture f;
    std::optional<std::error_code> read;
    std::string const bulk(100, 'x');
    f.stream->async_wait(net::wait_kind::read, [&](std::error_code ec) { read = ec; });
    SECTION("close") { f.stream->close(); }
    SECTION("reset") { f.stream->reset(); }
    SECTION("destruction") { f.stream.reset(); }
    run_ready(f.ctx);
    CHECK(f.carrier->take_written() == control_frame(3, 0, u32(11) + u32(5)) + control_frame(3, 0, u32(1) + u32(5)));
    CHECK(read == asio::error::make_error_code(asio::error::operation_aborted));
    CHECK(f.ends == 1);
    if (f.stream) {
        f.stream->close();
        CHECK(f.ends == 1);
        CHECK(f.stream->try_write(as_bytes(bulk)).error() == spdy::errc::stream_cancelled);
        std::array<std::uint8_t, 8> some{};
        CHECK(f.stream->try_read(some).error() == spdy::errc::stream_cancelled);
    }
}

TEST_CASE("kube forwarded stream: after both sides have ended, closing sends nothing", "[kube]")
{
    forwarded_stream_config config;
    config.finish_after = milliseconds(1);
    fixture f(config);
    CHECK(f.stream->shutdown_send());
    CHECK(poll_until(f.ctx, [&] { return !f.carrier->written().empty(); }));
    f.receive(data_frame(11, true, "") + data_frame(1, true, ""));
    f.carrier->take_written();
    f.stream.reset();
    CHECK(f.carrier->written().empty());
    CHECK(f.session->streams() == 0);
}

TEST_CASE("kube forwarded stream: may outlive its session and the work of the context", "[kube]")
{
    fixture f;
    f.stream->async_wait(net::wait_kind::read, [](std::error_code) {});
    SECTION("the session closes first")
    {
        f.session->close();
        run_ready(f.ctx);
    }
    SECTION("the context stops first") { f.ctx.stop(); }
    f.stream.reset();
}

} // namespace podproxy::kube
