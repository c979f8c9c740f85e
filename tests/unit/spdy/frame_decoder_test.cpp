#include <podproxy/spdy/frame_decoder.hpp>

#include <catch2/catch_test_macros.hpp>
#include <podproxy/core/bytes.hpp>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>
#include <unit/support/splits.hpp>

using namespace podproxy;
using bytes = std::vector<std::uint8_t>;

namespace {

std::string hex(bytes_view in)
{
    std::string out;
    for (std::uint8_t const b : in) {
        out += "0123456789abcdef"[b >> 4];
        out += "0123456789abcdef"[b & 15];
    }
    return out;
}

template <class Enum>
std::uint32_t number(Enum e)
{
    return static_cast<std::uint32_t>(e);
}

/// Events as text. Pieces of one DATA frame are joined, since splits change them.
struct transcript {
    std::string text;
    bool inside_data = false;

    void operator()(spdy::data_piece const& p)
    {
        if (!inside_data) text += "data " + std::to_string(p.stream.value) + " of " + std::to_string(p.length) + ":";
        text += as_text(p.payload);
        inside_data = p.remaining != 0;
        if (!inside_data) text += p.fin ? " fin\n" : "\n";
    }
    void operator()(spdy::syn_stream const& f)
    {
        text += "syn " + std::to_string(f.stream.value) + " for " + std::to_string(f.associated.value) + " priority " + std::to_string(f.priority) +
                " slot " + std::to_string(f.slot) + (f.fin ? " fin" : "") + (f.unidirectional ? " one-way " : " ") + hex(f.header_block) + "\n";
    }
    void operator()(spdy::syn_reply const& f) { text += "reply " + std::to_string(f.stream.value) + (f.fin ? " fin " : " ") + hex(f.header_block) + "\n"; }
    void operator()(spdy::headers const& f) { text += "headers " + std::to_string(f.stream.value) + (f.fin ? " fin " : " ") + hex(f.header_block) + "\n"; }
    void operator()(spdy::rst_stream const& f) { text += "rst " + std::to_string(f.stream.value) + " " + std::to_string(number(f.status)) + "\n"; }
    void operator()(spdy::settings const& f)
    {
        text += f.clear ? "settings clear" : "settings";
        for (std::size_t i = 0; i < f.size(); ++i) {
            auto const s = f.at(i);
            text += " " + std::to_string(number(s.id)) + "=" + std::to_string(s.value) + "/" + std::to_string(s.flags);
        }
        text += "\n";
    }
    void operator()(spdy::ping const& f) { text += "ping " + std::to_string(f.id) + "\n"; }
    void operator()(spdy::goaway const& f) { text += "goaway " + std::to_string(f.last_good.value) + " " + std::to_string(number(f.status)) + "\n"; }
    void operator()(spdy::window_update const& f) { text += "window " + std::to_string(f.stream.value) + " +" + std::to_string(f.delta) + "\n"; }
    void operator()(spdy::unknown_frame const& f) { text += "unknown " + std::to_string(f.type) + " of " + std::to_string(f.length) + "\n"; }
};

std::string decode(std::span<bytes_view const> parts, spdy::frame_decoder_config config = {})
{
    spdy::frame_decoder decoder(config);
    transcript t;
    for (bytes_view in : parts) {
        for (;;) {
            auto const step = decoder.next(in);
            REQUIRE(step.consumed <= in.size());
            in = in.subspan(step.consumed);
            if (step.status == spdy::step_status::failed) return t.text + "error " + step.error.message();
            if (step.status == spdy::step_status::event) {
                std::visit(t, step.event);
                continue;
            }
            REQUIRE(in.empty());
            break;
        }
    }
    if (!decoder.at_boundary()) t.text += "cut";
    return t.text;
}

std::string decode_everywhere(bytes const& in)
{
    return test::check_all_splits(in, [](std::span<bytes_view const> parts) { return decode(parts); });
}

std::string failure(spdy::errc e) { return "error " + std::string(describe(e)); }

} // namespace

TEST_CASE("spdy decoder: every frame type is read, at every split")
{
    bytes const in{
        0x80, 0x03, 0x00, 0x01, 0x01, 0x00, 0x00, 0x0d, // SYN_STREAM, FIN, length 13
        0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x03, // Stream 5, associated 3
        0x60, 0x07, 0x01, 0x02, 0x03,                   // Priority 3, slot 7, block
        0x80, 0x03, 0x00, 0x02, 0x00, 0x00, 0x00, 0x05, // SYN_REPLY, length 5
        0x00, 0x00, 0x00, 0x05, 0xaa,                   // Stream 5, block
        0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x05, // DATA, stream 5, length 5
        'h',  'e',  'l',  'l',  'o',                    //
        0x80, 0x03, 0x00, 0x08, 0x01, 0x00, 0x00, 0x04, // HEADERS, FIN, length 4
        0x00, 0x00, 0x00, 0x05,                         // Stream 5, no block
        0x80, 0x03, 0x00, 0x04, 0x01, 0x00, 0x00, 0x0c, // SETTINGS, CLEAR_SETTINGS, length 12
        0x00, 0x00, 0x00, 0x01,                         // Count 1
        0x02, 0x00, 0x00, 0x07, 0x00, 0x01, 0x00, 0x00, // Flags 2, id 7, value 65536
        0x80, 0x03, 0x00, 0x09, 0x00, 0x00, 0x00, 0x08, // WINDOW_UPDATE, length 8
        0x00, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, // Stream 0 (the connection), delta
        0x80, 0x03, 0x00, 0x06, 0x00, 0x00, 0x00, 0x04, // PING, length 4
        0x00, 0x00, 0x00, 0x02,                         // Id 2
        0x00, 0x00, 0x00, 0x05, 0x01, 0x00, 0x00, 0x00, // DATA, stream 5, FIN, length 0
        0x80, 0x03, 0x00, 0x03, 0x00, 0x00, 0x00, 0x08, // RST_STREAM, length 8
        0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x03, // Stream 7, REFUSED_STREAM
        0x80, 0x03, 0x00, 0x07, 0x00, 0x00, 0x00, 0x08, // GOAWAY, length 8
        0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00, // Last good 5, OK
    };
    CHECK(decode_everywhere(in) == "syn 5 for 3 priority 3 slot 7 fin 010203\n"
                                   "reply 5 aa\n"
                                   "data 5 of 5:hello\n"
                                   "headers 5 fin \n"
                                   "settings clear 7=65536/2\n"
                                   "window 0 +2147483647\n"
                                   "ping 2\n"
                                   "data 5 of 0: fin\n"
                                   "rst 7 3\n"
                                   "goaway 5 0\n");
}

TEST_CASE("spdy decoder: what the encoders write is read back")
{
    std::uint8_t const block[] = {1, 2, 3, 4};
    spdy::setting const entries[] = {{spdy::setting_id::round_trip_time, 7, 1}, {spdy::setting_id::current_cwnd, 8, 0}};
    bytes out;
    spdy::encode_syn_stream(out, {.stream = {1}, .priority = 7, .unidirectional = true, .header_block = block});
    spdy::encode_syn_reply(out, {.stream = {1}, .fin = true, .header_block = block});
    spdy::encode_headers(out, {.stream = {1}, .header_block = block});
    spdy::encode_settings(out, entries);
    spdy::encode_rst_stream(out, {{1}, spdy::rst_status::internal_error});
    spdy::encode_window_update(out, {{1}, 1});
    spdy::encode_ping(out, {0xffffffff});
    spdy::encode_goaway(out, {{0}, spdy::goaway_status::internal_error});
    auto const data = spdy::encode_data_header({1}, 2, spdy::data_flags::fin);
    out.insert(out.end(), data.begin(), data.end());
    out.insert(out.end(), {'o', 'k'});
    CHECK(decode_everywhere(out) == "syn 1 for 0 priority 7 slot 0 one-way 01020304\n"
                                    "reply 1 fin 01020304\n"
                                    "headers 1 01020304\n"
                                    "settings 3=7/1 5=8/0\n"
                                    "rst 1 6\n"
                                    "window 1 +1\n"
                                    "ping 4294967295\n"
                                    "goaway 0 2\n"
                                    "data 1 of 2:ok fin\n");
}

TEST_CASE("spdy decoder: what the Kubernetes side's library writes is read")
{
    // Recorded from moby/spdystream 0.5.1.
    bytes const in{0x80, 0x03, 0x00, 0x02, 0x00, 0x00, 0x00, 0x0e,                                     // SYN_REPLY, length 14
                   0x00, 0x00, 0x00, 0x01, 0x62, 0x60, 0x60, 0x60, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, // Stream 1, no headers
                   0x80, 0x03, 0x00, 0x03, 0x00, 0x00, 0x00, 0x08,                                     // RST_STREAM
                   0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x05,                                     // Stream 3, CANCEL
                   0x80, 0x03, 0x00, 0x04, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x02,             // SETTINGS, 2 entries
                   0x01, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x64,                                     // id 4: 100
                   0x00, 0x00, 0x00, 0x07, 0x00, 0x01, 0x00, 0x00,                                     // id 7: 65536
                   0x00, 0x00, 0x00, 0x03, 0x01, 0x00, 0x00, 0x05, 'h',  'e',  'l',  'l',  'o'};       // DATA, FIN
    CHECK(decode_everywhere(in) == "reply 1 6260606000000000ffff\n"
                                   "rst 3 5\n"
                                   "settings 4=100/1 7=65536/0\n"
                                   "data 3 of 5:hello fin\n");
}

TEST_CASE("spdy decoder: payload comes as views into the input, with what is still missing")
{
    spdy::frame_decoder decoder;
    bytes const first{0x00, 0x00, 0x00, 0x03, 0x01, 0x00, 0x00, 0x05, 'h', 'e'};
    auto step = decoder.next(first);
    REQUIRE(step.status == spdy::step_status::event);
    auto piece = std::get<spdy::data_piece>(step.event);
    CHECK(piece.payload.data() == first.data() + 8);
    CHECK(piece.payload.size() == 2);
    CHECK(piece.remaining == 3);
    CHECK(piece.length == 5);
    CHECK_FALSE(piece.fin); // the flag belongs to the last piece
    CHECK_FALSE(decoder.at_boundary());
    bytes const second{'l', 'l', 'o', 0x00};
    step = decoder.next(second);
    piece = std::get<spdy::data_piece>(step.event);
    CHECK(step.consumed == 3);
    CHECK(piece.payload.data() == second.data());
    CHECK(piece.remaining == 0);
    CHECK(piece.fin);
    CHECK(decoder.at_boundary());
}

TEST_CASE("spdy decoder: unknown control frames are skipped and reported, whatever their size")
{
    bytes in{0x80, 0x03, 0x00, 0x05, 0xff, 0x00, 0x00, 0x00,  // NOOP of SPDY/2, any flags
             0x80, 0x03, 0x12, 0x34, 0x00, 0x01, 0x00, 0x00}; // 65536 bytes, above the limit for known ones
    in.insert(in.end(), 65536, 0xcc);
    in.insert(in.end(), {0x80, 0x03, 0x00, 0x06, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x01}); // PING
    for (std::size_t const step : {std::size_t{1}, std::size_t{1000}, in.size()}) {
        test::pieces p(in);
        while (!p.empty()) p.cut(step);
        CHECK(decode(p.views()) == "unknown 5 of 0\nunknown 4660 of 65536\nping 1\n");
    }
}

TEST_CASE("spdy decoder: what breaks the protocol is refused, at every split")
{
    struct named_case {
        char const* name;
        bytes in;
        spdy::errc expected;
    };
    named_case const cases[] = {
        {"version 2", {0x80, 0x02, 0x00, 0x06, 0, 0, 0, 4, 0, 0, 0, 1}, spdy::errc::bad_version},
        {"version 4 of an unknown type", {0x80, 0x04, 0x00, 0x77, 0, 0, 0, 0}, spdy::errc::bad_version},
        {"an HTTP answer", {'H', 'T', 'T', 'P', '/', '1', '.', '1', ' '}, spdy::errc::bad_flags},
        {"data on stream 0", {0, 0, 0, 0, 0, 0, 0, 0}, spdy::errc::zero_stream_id},
        {"data with an undefined flag", {0, 0, 0, 1, 0x02, 0, 0, 0}, spdy::errc::bad_flags},
        {"SYN_STREAM too short", {0x80, 0x03, 0x00, 0x01, 0, 0, 0, 9}, spdy::errc::bad_length},
        {"SYN_STREAM with an undefined flag", {0x80, 0x03, 0x00, 0x01, 4, 0, 0, 10}, spdy::errc::bad_flags},
        {"SYN_STREAM on stream 0", {0x80, 0x03, 0x00, 0x01, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, spdy::errc::zero_stream_id},
        {"SYN_STREAM with a reserved bit", {0x80, 0x03, 0x00, 0x01, 0, 0, 0, 10, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0}, spdy::errc::reserved_bit},
        {"SYN_STREAM with a reserved bit behind", {0x80, 0x03, 0x00, 0x01, 0, 0, 0, 10, 0, 0, 0, 1, 0x80, 0, 0, 0, 0, 0}, spdy::errc::reserved_bit},
        {"SYN_REPLY too short", {0x80, 0x03, 0x00, 0x02, 0, 0, 0, 3}, spdy::errc::bad_length},
        {"SYN_REPLY on stream 0", {0x80, 0x03, 0x00, 0x02, 0, 0, 0, 4, 0, 0, 0, 0}, spdy::errc::zero_stream_id},
        {"SYN_REPLY one-way", {0x80, 0x03, 0x00, 0x02, 2, 0, 0, 4, 0, 0, 0, 1}, spdy::errc::bad_flags},
        {"RST_STREAM too short", {0x80, 0x03, 0x00, 0x03, 0, 0, 0, 7}, spdy::errc::bad_length},
        {"RST_STREAM too long", {0x80, 0x03, 0x00, 0x03, 0, 0, 0, 9}, spdy::errc::bad_length},
        {"RST_STREAM with FIN", {0x80, 0x03, 0x00, 0x03, 1, 0, 0, 8}, spdy::errc::bad_flags},
        {"RST_STREAM on stream 0", {0x80, 0x03, 0x00, 0x03, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1}, spdy::errc::zero_stream_id},
        {"RST_STREAM without a status", {0x80, 0x03, 0x00, 0x03, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0}, spdy::errc::bad_status},
        {"SETTINGS with fewer entries than counted", {0x80, 0x03, 0x00, 0x04, 0, 0, 0, 4, 0, 0, 0, 1}, spdy::errc::bad_length},
        {"SETTINGS with more bytes than counted", {0x80, 0x03, 0x00, 0x04, 0, 0, 0, 5, 0, 0, 0, 0, 0}, spdy::errc::bad_length},
        {"SETTINGS with a count that overflows", {0x80, 0x03, 0x00, 0x04, 0, 0, 0, 4, 0x20, 0, 0, 0}, spdy::errc::bad_length},
        {"SETTINGS without a count", {0x80, 0x03, 0x00, 0x04, 0, 0, 0, 3}, spdy::errc::bad_length},
        {"PING of 8 bytes", {0x80, 0x03, 0x00, 0x06, 0, 0, 0, 8}, spdy::errc::bad_length},
        {"PING with a flag", {0x80, 0x03, 0x00, 0x06, 1, 0, 0, 4}, spdy::errc::bad_flags},
        {"GOAWAY of SPDY/2", {0x80, 0x03, 0x00, 0x07, 0, 0, 0, 4}, spdy::errc::bad_length},
        {"GOAWAY with a reserved bit", {0x80, 0x03, 0x00, 0x07, 0, 0, 0, 8, 0x80, 0, 0, 0, 0, 0, 0, 0}, spdy::errc::reserved_bit},
        {"HEADERS too short", {0x80, 0x03, 0x00, 0x08, 0, 0, 0, 0}, spdy::errc::bad_length},
        {"HEADERS on stream 0", {0x80, 0x03, 0x00, 0x08, 0, 0, 0, 4, 0, 0, 0, 0}, spdy::errc::zero_stream_id},
        {"WINDOW_UPDATE too short", {0x80, 0x03, 0x00, 0x09, 0, 0, 0, 4}, spdy::errc::bad_length},
        {"WINDOW_UPDATE of nothing", {0x80, 0x03, 0x00, 0x09, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0}, spdy::errc::bad_window_delta},
        {"WINDOW_UPDATE with a reserved bit", {0x80, 0x03, 0x00, 0x09, 0, 0, 0, 8, 0, 0, 0, 1, 0x80, 0, 0, 1}, spdy::errc::reserved_bit},
    };
    for (named_case const& c : cases) {
        INFO(c.name);
        CHECK(decode_everywhere(c.in) == failure(c.expected));
        CHECK(std::error_code(c.expected) == cond::malformed);
    }
}

TEST_CASE("spdy decoder: a control frame may be as long as the limit and no longer")
{
    for (std::uint32_t const length : {19u, 20u, 21u}) {
        CAPTURE(length);
        bytes in{0x80, 0x03, 0x00, 0x02, 0, 0, 0, static_cast<std::uint8_t>(length), 0, 0, 0, 1};
        in.insert(in.end(), length - 4, 0xab);
        auto const seen = test::check_all_splits(in, [](std::span<bytes_view const> parts) { return decode(parts, {.max_control_frame = 20}); });
        if (length <= 20)
            CHECK(seen.starts_with("reply 1 abab"));
        else
            CHECK(seen == failure(spdy::errc::frame_too_large)); // said at the header, before the payload
    }
    CHECK(std::error_code(spdy::errc::frame_too_large) == cond::too_large);
}

TEST_CASE("spdy decoder: an error stays, and reset starts over")
{
    spdy::frame_decoder decoder;
    bytes const bad{0x80, 0x02, 0, 0, 0, 0, 0, 0};
    bytes const good{0x80, 0x03, 0x00, 0x06, 0, 0, 0, 4, 0, 0, 0, 1};
    CHECK(decoder.next(bad).error == spdy::errc::bad_version);
    auto const again = decoder.next(good);
    CHECK(again.error == spdy::errc::bad_version);
    CHECK(again.consumed == 0);
    CHECK_FALSE(decoder.at_boundary());
    decoder.reset();
    CHECK(decoder.at_boundary());
    CHECK(decoder.next(good).status == spdy::step_status::event);
}
