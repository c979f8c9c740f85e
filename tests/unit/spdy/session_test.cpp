#include <podproxy/spdy/session.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fakes/fake_kube_spdy.hpp>
#include <fakes/fake_stream.hpp>
#include <unit/support/poll_until.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace podproxy::spdy {
namespace {

using test::fake_stream;
using test::run_ready;
using test::fake_kube::control_frame;
using test::fake_kube::data_frame;
using test::fake_kube::u32;
using test::fake_kube::u32_at;

/// One frame that we have sent.
struct sent_frame {
    std::string head;    ///< 8 bytes
    std::string payload;

    bool is_data() const { return (static_cast<std::uint8_t>(head[0]) & 0x80) == 0; }
    bool is_ping() const { return head.starts_with(std::string_view("\x80\x03\x00\x06", 4)); }
    bool is_reset() const { return head.starts_with(std::string_view("\x80\x03\x00\x03", 4)); }
};

std::vector<sent_frame> cut(std::string_view bytes)
{
    std::vector<sent_frame> out;
    while (bytes.size() >= 8) {
        std::size_t const size = u32_at(bytes, 4) & 0xffffff;
        REQUIRE(bytes.size() >= 8 + size);
        out.push_back({std::string(bytes.substr(0, 8)), std::string(bytes.substr(8, size))});
        bytes.remove_prefix(8 + size);
    }
    CHECK(bytes.empty());
    return out;
}

session_config quiet()
{
    session_config c;
    c.ping_interval = std::chrono::milliseconds(0);
    return c;
}

struct fixture {
    asio::io_context ctx;
    test::fake_kube::header_zlib pack{test::fake_kube::header_zlib::direction::pack};
    test::fake_kube::header_zlib unpack{test::fake_kube::header_zlib::direction::unpack};
    std::unique_ptr<fake_stream> owned = std::make_unique<fake_stream>(ctx.get_executor());
    fake_stream* carrier = owned.get();
    std::shared_ptr<spdy::session> session;

    explicit fixture(session_config config = quiet(), std::string_view early = {})
    {
        session = spdy::session::start(std::move(owned), as_bytes(early), config);
    }
    ~fixture()
    {
        if (session) {
            session->on_change = nullptr; // it may refer to what the test had
            session->close();
        }
        run_ready(ctx);
    }

    std::unique_ptr<session_stream> open(std::uint32_t lane = lane_count, session::upload kind = session::upload::yes)
    {
        std::array<header_view, 2> const fields{{{"streamtype", "data"}, {"port", "80"}}};
        auto s = session->open(fields, lane, kind);
        run_ready(ctx);
        return s;
    }
    void receive(std::string const& bytes)
    {
        carrier->provide(bytes);
        run_ready(ctx);
    }
    /// Call in the order of sending: all blocks are one zlib stream.
    std::string reply(std::uint32_t id) { return control_frame(2, 0, u32(id) + pack.run(u32(0))); }
    /// Answer all PINGs among what was written.
    std::string pongs(std::string_view written)
    {
        std::string out;
        for (auto const& f : cut(written))
            if (f.is_ping()) out += f.head + f.payload;
        return out;
    }
};

std::string text_of(result<bytes_view> const& bytes) { return bytes ? std::string(as_text(*bytes)) : "error: " + bytes.error().message(); }

std::size_t data_frames(std::string_view written)
{
    auto const all = cut(written);
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [](auto const& f) { return f.is_data(); }));
}

/// Everything that a stream's owner has seen.
std::string read_all(session_stream& s)
{
    std::string out;
    for (;;) {
        auto const bytes = s.view();
        if (!bytes) return bytes.error() == podproxy::errc::would_block ? out : out + "|" + bytes.error().message();
        out += as_text(*bytes);
        s.consume(bytes->size());
    }
}

} // namespace

TEST_CASE("spdy session: opening a stream sends SYN_STREAM, and data follows without waiting", "[spdy]")
{
    fixture f;
    auto const s = f.open();
    REQUIRE(s);
    CHECK(s->id() == 1);
    std::string const hello = "hi";
    CHECK(*s->try_write(as_bytes(hello)) == 2);
    s->finish();

    auto const sent = cut(f.carrier->take_written());
    REQUIRE(sent.size() == 5);
    CHECK(sent[0].head.substr(0, 5) == std::string("\x80\x03\x00\x01" // Control, version 3, SYN_STREAM
                                                   "\x00",            // Flags: none
                                                   5));
    CHECK(sent[0].payload.substr(0, 10) == std::string("\x00\x00\x00\x01" // Stream: 1
                                                       "\x00\x00\x00\x00" // Associated: none
                                                       "\x00"             // Priority: 0, so that PINGs (0) do not overtake its data
                                                       "\x00",            // Slot
                                                       10));
    CHECK(f.unpack.run(std::string_view(sent[0].payload).substr(10)) == u32(2) + u32(10) + "streamtype" + u32(4) + "data" + u32(4) + "port" + u32(2) + "80");
    CHECK(sent[1].head + sent[1].payload == std::string("\x00\x00\x00\x01" // Stream: 1
                                                        "\x00"             // Flags: none
                                                        "\x00\x00\x02"     // Length: 2
                                                        "hi",
                                                        10));
    CHECK(sent[2].head + sent[2].payload == std::string("\x00\x00\x00\x01" // Stream: 1
                                                        "\x01"             // Flags: FIN
                                                        "\x00\x00\x00",    // Length: 0
                                                        8));
    // No more will come: worker 1 is asked whether it has handled it, and worker 0 is before it in turn.
    CHECK(sent[3].is_ping());
    CHECK(sent[4].is_ping());
    CHECK(s->try_write(as_bytes(hello)).error() == std::errc::broken_pipe);
}

TEST_CASE("spdy session: a stream without upload ends our direction at once, with the next thing that is sent", "[spdy]")
{
    fixture f;
    auto const error = f.open(lane_count, session::upload::none);
    CHECK(f.carrier->writes() == 0);
    auto const data = f.open();
    CHECK(f.carrier->writes() == 1);
    auto const sent = cut(f.carrier->take_written());
    REQUIRE(sent.size() == 2);
    CHECK(sent[0].head.substr(0, 5) == std::string("\x80\x03\x00\x01" // Control, version 3, SYN_STREAM
                                                   "\x01",            // Flags: FIN
                                                   5));
    CHECK(u32_at(sent[0].payload, 0) == 1);
    CHECK(u32_at(sent[1].payload, 0) == 3);
    CHECK(sent[1].head[4] == 0);
    CHECK_FALSE(error->try_write(as_bytes(std::string_view("x"))));
    CHECK(f.session->lane_free(1));
    CHECK_FALSE(f.session->lane_free(3));
}

TEST_CASE("spdy session: reply, data and end arrive at their stream", "[spdy]")
{
    fixture f;
    auto const a = f.open();
    auto const b = f.open();
    int changes = 0;
    b->on_change = [&] { ++changes; };
    CHECK_FALSE(b->replied());
    f.receive(f.reply(3));
    f.receive(f.reply(1));
    CHECK(a->replied());
    CHECK(b->replied());
    CHECK(b->view().error() == podproxy::errc::would_block);

    f.receive(std::string("\x00\x00\x00\x03" // Stream: 3
                          "\x00"             // Flags: none
                          "\x00\x00\x03"     // Length: 3
                          "one",
                          11) +
              std::string("\x00\x00\x00\x03" // Stream: 3
                          "\x01"             // Flags: FIN
                          "\x00\x00\x03"     // Length: 3
                          "two",
                          11));
    CHECK(changes == 3);
    CHECK(b->received() == 6);
    CHECK(b->remote_ended());
    CHECK_FALSE(b->was_reset());
    CHECK(read_all(*b) == "onetwo|the peer has ended its side of the connection");
    CHECK(read_all(*a).empty());
    CHECK(*b->try_write(as_bytes(std::string_view("x"))) == 1); // half-closed
}

TEST_CASE("spdy session: try_read copies as much as fits", "[spdy]")
{
    fixture f;
    auto const s = f.open();
    f.receive(data_frame(1, true, "abcdef"));
    std::array<std::uint8_t, 4> out{};
    CHECK(*s->try_read(out) == 4);
    CHECK(*s->try_read(out) == 2);
    CHECK(s->try_read(out).error() == podproxy::errc::end_of_stream);
}

TEST_CASE("spdy session: a reset ends one stream and leaves what it has received readable", "[spdy]")
{
    fixture f;
    auto const a = f.open();
    auto const b = f.open();
    f.receive(data_frame(1, false, "last words") + control_frame(3, 0, u32(1) + u32(5)));
    CHECK(a->was_reset());
    CHECK(read_all(*a) == "last words|" + make_error_code(errc::stream_reset).message());
    CHECK(a->try_write(as_bytes(std::string_view("x"))).error() == errc::stream_reset);
    f.receive(data_frame(3, false, "fine"));
    CHECK(text_of(b->view()) == "fine");
    CHECK(f.session->usable());
}

TEST_CASE("spdy session: destroying an open stream resets it, an ended one it leaves", "[spdy]")
{
    fixture f;
    {
        auto const s = f.open();
        f.carrier->take_written();
    }
    CHECK(f.carrier->take_written() == std::string("\x80\x03\x00\x03" // Control, version 3, RST_STREAM
                                                   "\x00\x00\x00\x08" // Flags: none, length: 8
                                                   "\x00\x00\x00\x01" // Stream: 1
                                                   "\x00\x00\x00\x05", // Status: CANCEL
                                                   16));
    {
        auto const s = f.open();
        s->finish();
        f.receive(data_frame(3, true, "bye"));
        f.carrier->take_written();
    }
    CHECK(f.carrier->take_written().empty());
    CHECK(f.session->streams() == 0);
    f.receive(data_frame(1, false, "still on its way")); // for nobody
    CHECK(f.session->usable());
}

TEST_CASE("spdy session: the server's PINGs are sent back, strange answers to ours are ignored", "[spdy]")
{
    fixture f;
    f.receive(control_frame(6, 0, u32(2)) + control_frame(6, 0, u32(77)));
    CHECK(f.carrier->take_written() == std::string("\x80\x03\x00\x06" // Control, version 3, PING
                                                   "\x00\x00\x00\x04" // Flags: none, length: 4
                                                   "\x00\x00\x00\x02", // Id: 2
                                                   12));
    CHECK(f.session->usable());
}

TEST_CASE("spdy session: at most a window of DATA frames goes to a worker before its PING is answered", "[spdy]")
{
    session_config config = quiet();
    config.frame_size = 10;
    fixture f(config);
    auto const s = f.open(); // id 1, lane 1
    auto const other = f.open(2); // somebody else who sends: alone it would have no window
    f.carrier->take_written();
    int changes = 0;
    s->on_change = [&] { ++changes; };

    std::string const bulk(1000, 'x');
    CHECK(*s->try_write(as_bytes(bulk)) == 320); // 32 frames of 10 bytes
    CHECK(s->try_write(as_bytes(bulk)).error() == podproxy::errc::would_block);
    CHECK(s->waits_for_room());
    CHECK_FALSE(s->delivered());
    std::string const sent = f.carrier->take_written();
    CHECK(data_frames(sent) == 32);
    CHECK_FALSE(f.session->lane_free(1));

    // PINGs go to the workers in turn: 0, 1, and then five for every further question to worker 1.
    auto frames = cut(sent);
    std::erase_if(frames, [](auto const& x) { return !x.is_ping(); });
    REQUIRE(frames.size() == 2 + 5 + 5 + 5);
    CHECK(u32_at(frames[0].payload, 0) == 1);
    CHECK(u32_at(frames[1].payload, 0) == 3);

    f.receive(frames[0].head + frames[0].payload); // worker 0 has nothing to tell about lane 1
    CHECK(s->waits_for_room());
    f.receive(frames[1].head + frames[1].payload); // worker 1 has handled 8 frames
    CHECK_FALSE(s->waits_for_room());
    CHECK(changes == 1);
    CHECK(s->delivered());
    CHECK(*s->try_write(as_bytes(bulk)) == 80);

    f.receive(f.pongs(sent));
    CHECK(*s->try_write(as_bytes(bulk)) == 240); // all 32 of the first turn are known to be handled, 8 are on the way
    f.receive(f.pongs(f.carrier->take_written()));
    CHECK(f.session->usable());
}

TEST_CASE("spdy session: a stream that is alone has no window, and others keep off the session meanwhile", "[spdy]")
{
    session_config config = quiet();
    config.frame_size = 10;
    fixture f(config);
    auto const s = f.open(1);
    f.carrier->take_written();
    std::string const bulk(1000, 'x');
    CHECK(f.session->shareable());
    CHECK(*s->try_write(as_bytes(bulk)) == 1000);
    CHECK_FALSE(f.session->shareable());
    std::string const sent = f.carrier->take_written();
    CHECK(data_frames(sent) == 100);
    f.receive(f.pongs(sent));
    CHECK(f.session->shareable());

    auto const second = f.open(2); // now both have one
    CHECK(*s->try_write(as_bytes(bulk)) <= 320);
    CHECK(s->try_write(as_bytes(bulk)).error() == podproxy::errc::would_block);
    second->finish();
    CHECK(*s->try_write(as_bytes(bulk)) == 1000);
}

TEST_CASE("spdy session: a lane is free when its stream has gone and the worker has handled what was sent", "[spdy]")
{
    fixture f;
    auto s = f.open(2);
    REQUIRE(s->id() % lane_count == 2);
    CHECK_FALSE(f.session->lane_free(2));
    CHECK(*s->try_write(as_bytes(std::string_view("x"))) == 1);
    f.carrier->take_written();
    int changes = 0;
    f.session->on_change = [&] { ++changes; };
    s.reset();
    run_ready(f.ctx);
    CHECK_FALSE(f.session->lane_free(2));
    CHECK(changes == 1);
    f.receive(f.pongs(f.carrier->take_written())); // it was asked when the stream went
    CHECK(f.session->lane_free(2));
    CHECK(changes == 2);
}

TEST_CASE("spdy session: a lane is free too when its stream has only its end to come", "[spdy]")
{
    fixture f;
    auto const s = f.open(2);
    CHECK(f.session->busy() == 1);
    CHECK(*s->try_write(as_bytes(std::string_view("x"))) == 1);
    f.carrier->take_written();
    s->finish();
    CHECK(f.session->busy() == 0);
    CHECK_FALSE(f.session->lane_free(2));
    f.receive(f.pongs(f.carrier->take_written()));
    CHECK(f.session->lane_free(2));
    CHECK(f.session->streams() == 1);
    f.receive(data_frame(s->id(), true, "bye"));
    CHECK(read_all(*s) == "bye|" + make_error_code(podproxy::errc::end_of_stream).message());
}

TEST_CASE("spdy session: an idle session ends with the server's GOAWAY", "[spdy]")
{
    fixture f;
    f.receive(control_frame(7, 0, u32(0) + u32(0)));
    CHECK(f.session->error() == errc::session_closed);
}

TEST_CASE("spdy session: stuck when a PING has no answer for longer than the limit", "[spdy]")
{
    session_config config = quiet();
    config.ping_timeout = std::chrono::milliseconds(1);
    fixture f(config);
    auto const s = f.open(0);
    CHECK_FALSE(f.session->stuck());
    CHECK(s->try_write(as_bytes(std::string_view("x"))));
    f.carrier->take_written();
    s->finish();
    CHECK(test::poll_until(f.ctx, [&] { return f.session->stuck(); }));
    f.receive(f.pongs(f.carrier->take_written()));
    CHECK_FALSE(f.session->stuck());
}

TEST_CASE("spdy session: every lane can be chosen, and ids only grow", "[spdy]")
{
    fixture f;
    std::vector<std::unique_ptr<session_stream>> all;
    std::uint32_t last = 0;
    for (std::uint32_t const lane : {4u, 0u, 3u, 1u, 2u, 2u}) {
        all.push_back(f.open(lane));
        CHECK(all.back()->id() % lane_count == lane);
        CHECK(all.back()->id() % 2 == 1);
        CHECK(all.back()->id() > last);
        last = all.back()->id();
    }
}

TEST_CASE("spdy session: with a stuck worker the others are not held to windows that nobody can tell about", "[spdy]")
{
    session_config config = quiet();
    config.frame_size = 1;
    fixture f(config);
    auto const stuck = f.open(0);
    auto const other = f.open(1);
    f.carrier->take_written();
    std::string const bulk(100, 'x');
    CHECK(*stuck->try_write(as_bytes(bulk)) == 32);

    // Worker 0 never answers, the others do. Its PINGs stay few: with 32 DATA frames its queue of 50 must not overflow.
    std::size_t to_stuck = 0;
    std::size_t turn = 0;
    std::size_t taken = 0;
    std::vector<std::string> kept;
    for (int round = 0; round < 100; ++round) {
        auto const n = other->try_write(as_bytes(bulk));
        if (n) taken += *n;
        for (auto const& x : cut(f.carrier->take_written()))
            if (x.is_ping()) {
                if (turn++ % lane_count == 0) {
                    ++to_stuck;
                    kept.push_back(x.head + x.payload);
                } else {
                    f.carrier->provide(x.head + x.payload);
                }
            }
        run_ready(f.ctx);
    }
    CHECK(to_stuck <= 13);
    CHECK(taken > 3000);
    CHECK(stuck->try_write(as_bytes(bulk)).error() == podproxy::errc::would_block);

    // It heals: both go on, within their windows.
    for (auto const& answer : kept) f.carrier->provide(answer);
    run_ready(f.ctx);
    CHECK(*stuck->try_write(as_bytes(bulk)) == 32);
    CHECK(other->try_write(as_bytes(bulk)).error() == podproxy::errc::would_block); // and asks what it could not ask before
    f.receive(f.pongs(f.carrier->take_written()));
    CHECK_FALSE(other->waits_for_room());
    CHECK(*other->try_write(as_bytes(bulk)) == 32);
}

TEST_CASE("spdy session: a writer waits while the carrier takes nothing, and is told when there is room", "[spdy]")
{
    session_config config = quiet();
    config.send_buffer = 100;
    config.frame_size = 40;
    fixture f(config);
    auto const s = f.open();
    f.carrier->take_written();
    f.carrier->write_room(0);
    int changes = 0;
    s->on_change = [&] { ++changes; };
    std::string const bulk(1000, 'x');
    CHECK(*s->try_write(as_bytes(bulk)) == 120); // full at 100
    CHECK(s->try_write(as_bytes(bulk)).error() == podproxy::errc::would_block);
    s->finish(); // fits always
    f.carrier->write_max(7);
    f.carrier->write_room(fake_stream::unlimited);
    run_ready(f.ctx);
    CHECK(changes >= 1);
    CHECK(data_frames(f.carrier->take_written()) == 4);
}

TEST_CASE("spdy session: GOAWAY fails streams that were not taken and lets the others end", "[spdy]")
{
    fixture f;
    auto a = f.open();
    auto b = f.open();
    int changes = 0;
    f.session->on_change = [&] { ++changes; };
    f.receive(f.reply(1) + std::string("\x80\x03\x00\x07" // Control, version 3, GOAWAY
                                       "\x00\x00\x00\x08" // Flags: none, length: 8
                                       "\x00\x00\x00\x01" // Last good stream: 1
                                       "\x00\x00\x00\x00", // Status: OK
                                       16));
    CHECK(changes == 1);
    CHECK_FALSE(f.session->usable());
    CHECK_FALSE(f.session->error());
    CHECK(b->error() == errc::going_away);
    CHECK_FALSE(a->error());
    CHECK(f.open() == nullptr);
    f.receive(data_frame(1, false, "rest"));
    CHECK(text_of(a->view()) == "rest");
    b.reset();
    CHECK_FALSE(f.carrier->is_closed());
    a.reset();
    CHECK(f.session->error() == errc::session_closed); // a WebSocket would stay open for ever
}

TEST_CASE("spdy session: the end of the carrier fails all streams but those that had ended", "[spdy]")
{
    fixture f;
    auto const a = f.open();
    auto const b = f.open();
    f.receive(data_frame(1, false, "part") + data_frame(3, true, "whole"));
    SECTION("an end") { f.carrier->close_remote(); }
    SECTION("a failure") { f.carrier->break_remote(); }
    std::error_code const why = [&] {
        run_ready(f.ctx);
        return f.session->error();
    }();
    CHECK(why);
    CHECK(a->error() == why);
    CHECK(read_all(*a) == "part|" + why.message());
    CHECK(read_all(*b) == "whole|" + make_error_code(podproxy::errc::end_of_stream).message());
    CHECK(b->try_write(as_bytes(std::string_view("x"))).error() == why);
    b->finish();
    b->reset();
    CHECK(f.open() == nullptr);
}

TEST_CASE("spdy session: a stream that is alone stops the reading of the session at its limit", "[spdy]")
{
    session_config config = quiet();
    config.receive_limit = 1000;
    fixture f(config);
    auto const s = f.open();
    f.receive(data_frame(1, false, std::string(999, 'a')));
    CHECK(f.carrier->waiting(net::wait_kind::read));
    f.receive(data_frame(1, false, "b"));
    CHECK_FALSE(f.carrier->waiting(net::wait_kind::read));
    f.receive(data_frame(1, false, "later"));
    CHECK(s->received() == 1000);
    s->consume(s->view()->size()); // the first frame, which is one run
    run_ready(f.ctx);
    CHECK(s->received() == 1005);
    CHECK(f.carrier->waiting(net::wait_kind::read));
}

TEST_CASE("spdy session: a second stream gets the session read again", "[spdy]")
{
    session_config config = quiet();
    config.receive_limit = 10;
    fixture f(config);
    auto const s = f.open(0);
    f.receive(data_frame(s->id(), false, "0123456789"));
    CHECK_FALSE(f.carrier->waiting(net::wait_kind::read));
    auto const other = f.open(1);
    CHECK(f.carrier->waiting(net::wait_kind::read));
    f.receive(data_frame(other->id(), false, "fine"));
    CHECK(text_of(other->view()) == "fine");
}

TEST_CASE("spdy session: a paused reader's stream can be given up, and the session is read again", "[spdy]")
{
    session_config config = quiet();
    config.receive_limit = 10;
    fixture f(config);
    auto s = f.open(0);
    f.receive(data_frame(s->id(), false, "0123456789"));
    CHECK_FALSE(f.carrier->waiting(net::wait_kind::read));
    s.reset();
    run_ready(f.ctx);
    CHECK(f.carrier->waiting(net::wait_kind::read));
}

TEST_CASE("spdy session: on a shared session a stream that is not read is reset at its limit", "[spdy]")
{
    session_config config = quiet();
    config.receive_limit = 10;
    config.shared_receive_limit = 100;
    fixture f(config);
    auto const slow = f.open(0);
    auto const other = f.open(1);
    f.carrier->take_written();
    f.receive(data_frame(slow->id(), false, std::string(99, 'x')));
    CHECK_FALSE(slow->error());
    f.receive(data_frame(slow->id(), false, "y") + data_frame(slow->id(), false, "more") + data_frame(other->id(), false, "fine"));
    CHECK(slow->error() == errc::reader_too_slow);
    CHECK(slow->view().error() == errc::reader_too_slow);
    CHECK(text_of(other->view()) == "fine");
    auto const sent = cut(f.carrier->take_written());
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].is_reset());
}

TEST_CASE("spdy session: what is no SPDY/3 ends the session with its reason", "[spdy]")
{
    struct bad {
        char const* what;
        std::string bytes;
        errc why;
    };
    auto const row = GENERATE_COPY(values<bad>({
        {"an HTTP answer (read as a version)", "\xc8TTP/1.1 400 Bad Request\r\n", errc::bad_version},
        {"version 2", std::string("\x80\x02\x00\x06\x00\x00\x00\x04\x00\x00\x00\x02", 12), errc::bad_version},
        {"a header block that is no zlib", control_frame(2, 0, u32(1) + "nonsense"), errc::bad_header_compression},
        {"a control frame of 1 MiB", u32(0x80030002u) + u32(1u << 20), errc::frame_too_large},
    }));
    INFO(row.what);
    fixture f;
    auto const s = f.open();
    f.receive(row.bytes);
    CHECK(f.session->error() == row.why);
    CHECK(s->error() == row.why);
    CHECK(f.carrier->waiting(net::wait_kind::read) == false);
}

TEST_CASE("spdy session: a stream that the server opens is refused, and headers stay in step", "[spdy]")
{
    fixture f;
    auto const s = f.open();
    f.carrier->take_written();
    f.receive(control_frame(1, 0, u32(2) + u32(0) + std::string(2, '\0') + f.pack.run(u32(1) + u32(1) + "a" + u32(1) + "b")));
    f.receive(f.reply(1));
    CHECK(s->replied());
    auto const sent = cut(f.carrier->take_written());
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].is_reset());
    CHECK(sent[0].payload == u32(2) + u32(3));
}

TEST_CASE("spdy session: bytes that came with the upgrade are the first frames", "[spdy]")
{
    fixture f(quiet(), control_frame(6, 0, u32(4)));
    CHECK(f.carrier->take_written() == control_frame(6, 0, u32(4)));
    fixture broken(quiet(), "\x80\x07 oh");
    broken.receive(" no");
    CHECK(broken.session->error() == errc::bad_version);
    CHECK(broken.open() == nullptr);
}

TEST_CASE("spdy session: the same conversation in pieces of any size", "[spdy]")
{
    auto const story = [](std::size_t piece, std::size_t write) {
        fixture f;
        f.carrier->read_max(piece);
        f.carrier->write_max(write);
        auto const a = f.open(0);
        auto const b = f.open(1);
        CHECK(a->try_write(as_bytes(std::string_view("question"))));
        std::string const first = f.reply(b->id());
        f.receive(first + f.reply(a->id()) + data_frame(a->id(), false, std::string(5000, 'a')) + control_frame(6, 0, u32(2)) +
                  data_frame(b->id(), true, "") + data_frame(a->id(), true, "end") + control_frame(7, 0, u32(9) + u32(0)));
        for (int i = 0; i < 100; ++i) run_ready(f.ctx);
        std::string out = read_all(*a) + "/" + read_all(*b) + (f.session->usable() ? "/usable" : "/going");
        return out + f.carrier->take_written();
    };
    std::string const whole = story(fake_stream::unlimited, fake_stream::unlimited);
    for (std::size_t const piece : {1u, 2u, 3u, 7u, 8u, 9u, 100u}) {
        INFO("pieces of " << piece);
        CHECK(story(piece, fake_stream::unlimited) == whole);
        CHECK(story(fake_stream::unlimited, piece) == whole);
    }
}

TEST_CASE("spdy session: when the n-th operation of the carrier fails, all streams fail and nothing is left", "[spdy]")
{
    for (std::size_t n = 0;; ++n) {
        INFO("operation " << n);
        test::fail_count fail(n);
        asio::io_context ctx;
        auto owned = std::make_unique<fake_stream>(ctx.get_executor());
        auto* const carrier = owned.get();
        carrier->fail_with(fail);
        auto const session = session::start(std::move(owned), {}, quiet());
        run_ready(ctx);
        std::array<header_view, 1> const fields{{{"port", "80"}}};
        auto const s = session->open(fields, 0, session::upload::yes);
        if (s) (void)s->try_write(as_bytes(std::string_view("hello")));
        run_ready(ctx);
        if (!session->error()) carrier->provide(data_frame(5, false, "answer"));
        run_ready(ctx);
        bool const all_well = s && text_of(s->view()) == "answer";
        if (!fail.hit()) {
            CHECK(all_well);
            CHECK(n > 3);
            break;
        }
        // A failed wait is not an end: the next read or write tells.
        if (!all_well) CHECK(session->error() == test::fake_errc::injected);
        if (s && !all_well) CHECK(s->error() == test::fake_errc::injected);
    }
}

TEST_CASE("spdy session: closing sends GOAWAY and fails the streams with the reason", "[spdy]")
{
    fixture f;
    auto const s = f.open();
    auto const ended = f.open();
    ended->finish();
    f.carrier->take_written();
    std::string written;
    f.session->on_change = [&] { written += "!"; };
    f.session->close(errc::going_away);
    run_ready(f.ctx);
    CHECK(written == "!");
    CHECK(s->error() == errc::going_away);
    CHECK(ended->error() == errc::going_away);
    f.session->close();
    CHECK(f.session->error() == errc::going_away);
}

TEST_CASE("spdy session: streams may outlive the session's owner, and end in any order", "[spdy]")
{
    fixture f;
    auto a = f.open();
    auto b = f.open();
    SECTION("owner first")
    {
        f.session.reset();
        f.receive(data_frame(1, false, "x"));
        CHECK(text_of(a->view()) == "x");
        a.reset();
        b.reset();
    }
    SECTION("closed first")
    {
        f.session->close();
        b.reset();
        f.session.reset();
        a.reset();
    }
    SECTION("the session is closed from its own notice")
    {
        f.session->on_change = [&] {
            f.session->on_change = nullptr;
            f.session->close();
        };
        a.reset();
        run_ready(f.ctx);
        CHECK(b->error() == errc::session_closed);
    }
    SECTION("the context has stopped")
    {
        f.ctx.stop();
        a.reset();
        b.reset();
        f.session.reset();
    }
    run_ready(f.ctx);
}

/// Runs until the condition holds, or the time is up.
template <class Condition>
bool run_until(fixture& f, std::chrono::milliseconds limit, Condition condition)
{
    auto const until = net::clock::now() + limit;
    while (!condition() && net::clock::now() < until) f.ctx.run_one_for(std::chrono::milliseconds(5));
    return condition();
}

TEST_CASE("spdy session: silence after a PING ends the session", "[spdy]")
{
    session_config config;
    config.ping_interval = std::chrono::milliseconds(1);
    config.ping_timeout = std::chrono::milliseconds(20);
    config.keep_alive = std::chrono::milliseconds(1);
    fixture f(config);
    auto const s = f.open();
    constexpr std::chrono::seconds long_enough(10);
    // Sends back the PINGs of all workers but one.
    auto const answer_all_but = [&](std::uint32_t worker) {
        std::string out;
        for (auto const& frame : cut(f.carrier->take_written()))
            if (frame.is_ping() && (u32_at(frame.payload, 0) - 1) / 2 % lane_count != worker) out += frame.head + frame.payload;
        if (!out.empty()) f.carrier->provide(out);
        return !out.empty();
    };
    SECTION("no answer")
    {
        CHECK(run_until(f, long_enough, [&] { return bool(f.session->error()); }));
        CHECK(f.session->error() == errc::no_answer);
        CHECK(s->error() == cond::timed_out);
    }
    SECTION("no answer to data either, and none of the workers that have nothing to do")
    {
        CHECK(*s->try_write(as_bytes("for a slow reader")) == 17);
        CHECK(run_until(f, long_enough, [&] { return bool(f.session->error()); }));
        CHECK(s->error() == errc::no_answer);
    }
    SECTION("the worker of a slow reader does not answer, the others do")
    {
        CHECK(*s->try_write(as_bytes("for a slow reader")) == 17);
        int answered = 0;
        CHECK(run_until(f, long_enough, [&] {
            if (answer_all_but(s->id() % lane_count)) ++answered;
            return answered == 20 || f.session->error();
        }));
        CHECK_FALSE(f.session->error());
    }
    SECTION("so much waits for a slow reader that the peer may not read any more")
    {
        for (int i = 0; i < 60; ++i) CHECK(s->try_write(as_bytes("x")));
        CHECK_FALSE(run_until(f, std::chrono::milliseconds(100), [&] { return bool(f.session->error()); }));
    }
    SECTION("nor when the carrier takes nothing")
    {
        f.carrier->write_room(0);
        CHECK(s->try_write(as_bytes("x")));
        CHECK_FALSE(run_until(f, std::chrono::milliseconds(100), [&] { return bool(f.session->error()); }));
    }
    SECTION("answers keep it alive")
    {
        int answered = 0;
        CHECK(run_until(f, long_enough, [&] {
            if (answer_all_but(lane_count)) ++answered;
            return answered == 5 || f.session->error();
        }));
        CHECK_FALSE(f.session->error());
    }
}

TEST_CASE("spdy session: a silent session is asked rarely, one that owes an answer soon", "[spdy]")
{
    session_config config;
    config.ping_interval = std::chrono::milliseconds(1);
    config.keep_alive = std::chrono::hours(1);
    fixture f(config);
    auto const written = [&] { return f.carrier->take_written(); };
    auto const pings = [](std::string_view bytes) {
        auto const all = cut(bytes);
        return std::count_if(all.begin(), all.end(), [](auto const& x) { return x.is_ping(); });
    };
    SECTION("nothing is expected")
    {
        CHECK_FALSE(run_until(f, std::chrono::milliseconds(50), [&] { return pings(written()) != 0; }));
    }
    SECTION("a stream was opened; when its PING is answered there is silence again")
    {
        auto const s = f.open();
        std::string out;
        CHECK(run_until(f, std::chrono::seconds(10), [&] { return pings(out += written()) != 0; }));
        f.receive(f.pongs(out));
        CHECK_FALSE(run_until(f, std::chrono::milliseconds(50), [&] { return pings(written()) != 0; }));
        // Data is asked about too, with as many PINGs as it takes to come to its worker.
        CHECK(s->try_write(as_bytes("x")));
        s->finish();
        CHECK(run_until(f, std::chrono::seconds(10), [&] {
            f.receive(f.pongs(written()));
            return f.session->lane_free(s->id() % lane_count);
        }));
        CHECK_FALSE(run_until(f, std::chrono::milliseconds(50), [&] { return pings(written()) != 0; }));
    }
}

TEST_CASE("spdy session: keepalive can be switched off, the watch goes on", "[spdy]")
{
    session_config config;
    config.ping_interval = std::chrono::milliseconds(1);
    config.ping_timeout = std::chrono::milliseconds(5);
    config.keep_alive = std::chrono::milliseconds(0);
    fixture f(config);
    CHECK_FALSE(run_until(f, std::chrono::milliseconds(30), [&] { return !f.carrier->take_written().empty(); }));
    auto const s = f.open();
    CHECK(run_until(f, std::chrono::seconds(10), [&] { return bool(f.session->error()); }));
    CHECK(s->error() == errc::no_answer);
}

} // namespace podproxy::spdy
