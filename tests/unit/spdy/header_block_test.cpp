#include <podproxy/spdy/header_block.hpp>

#include <catch2/catch_test_macros.hpp>
#include <podproxy/core/bytes.hpp>
#include <podproxy/spdy/frame_decoder.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>
#include <zlib.h>

using namespace podproxy;
using namespace std::string_view_literals;
using bytes = std::vector<std::uint8_t>;

namespace {

std::string text_of(result<spdy::header_list> const& r)
{
    if (!r) return r.error().message();
    std::string out;
    for (auto const& h : *r) out += h.name + "=" + h.value + ";";
    return out;
}

result<spdy::header_list> parse(std::string_view block, std::size_t max_headers = 100)
{
    bytes const exact(as_bytes(block).begin(), as_bytes(block).end()); // so that AddressSanitizer sees its end
    return spdy::parse_header_block(exact, max_headers);
}

bytes from_hex(std::string_view hex)
{
    bytes out;
    auto const digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) out.push_back(static_cast<std::uint8_t>(digit(hex[i]) * 16 + digit(hex[i + 1])));
    return out;
}

/// Headers of the n-th frame of a recorded conversation, all decoded by one decoder.
std::vector<std::string> decode_frames(bytes const& in)
{
    spdy::frame_decoder frames;
    spdy::header_decoder headers;
    std::vector<std::string> out;
    bytes_view rest = in;
    while (!rest.empty()) {
        auto const step = frames.next(rest);
        REQUIRE(step.status == spdy::step_status::event);
        rest = rest.subspan(step.consumed);
        if (auto const* f = std::get_if<spdy::syn_stream>(&step.event)) out.push_back(text_of(headers.decode(f->header_block)));
        if (auto const* f = std::get_if<spdy::syn_reply>(&step.event)) out.push_back(text_of(headers.decode(f->header_block)));
        if (auto const* f = std::get_if<spdy::headers>(&step.event)) out.push_back(text_of(headers.decode(f->header_block)));
    }
    return out;
}

} // namespace

TEST_CASE("spdy headers: the dictionary is the one of the specification")
{
    CHECK(spdy::detail::header_dictionary.size() == 1423);
    // Adler-32 as every peer's zlib header names it: 78 bb e3 c6 a7 c2.
    CHECK(::adler32(::adler32(0, nullptr, 0), spdy::detail::header_dictionary.data(), 1423) == 0xe3c6a7c2);
    CHECK(::crc32(::crc32(0, nullptr, 0), spdy::detail::header_dictionary.data(), 1423) == 0x4c8490e);
}

TEST_CASE("spdy headers: a plain block is a count and pairs with 32-bit lengths")
{
    spdy::header_view const list[] = {{"port", "80"}, {"x", ""}};
    bytes out;
    spdy::encode_header_block(out, list);
    CHECK(out == bytes{0x00, 0x00, 0x00, 0x02,                     // Count: 2
                       0x00, 0x00, 0x00, 0x04, 'p', 'o', 'r', 't', // Name
                       0x00, 0x00, 0x00, 0x02, '8', '0',           // Value
                       0x00, 0x00, 0x00, 0x01, 'x',                // Name
                       0x00, 0x00, 0x00, 0x00});                   // Empty value
    auto const parsed = spdy::parse_header_block(out);
    CHECK(text_of(parsed) == "port=80;x=;");
    CHECK(spdy::find_header(*parsed, "port") == "80");
    CHECK(spdy::find_header(*parsed, "x") == "");
    CHECK_FALSE(spdy::find_header(*parsed, "y"));
}

TEST_CASE("spdy headers: every cut of a block is refused")
{
    spdy::header_view const list[] = {{"port", "80"}, {"requestid", "0"}};
    bytes out;
    spdy::encode_header_block(out, list);
    for (std::size_t n = 0; n < out.size(); ++n) {
        CAPTURE(n);
        CHECK(parse(as_text(bytes_view(out).first(n))).error() == spdy::errc::bad_header_block);
    }
    out.push_back(0);
    CHECK(spdy::parse_header_block(out).error() == spdy::errc::bad_header_block);
}

TEST_CASE("spdy headers: names and values are judged as the specification says")
{
    CHECK(text_of(parse("\0\0\0\0"sv)) == "");
    CHECK(text_of(parse("\0\0\0\1\0\0\0\7:status\0\0\0\3"
                          "200"sv)) == ":status=200;");
    CHECK(text_of(parse("\0\0\0\1\0\0\0\1a\0\0\0\3b\0c"sv)) == "a=b\0c;"sv);

    CHECK(parse("\0\0\0\1\0\0\0\0\0\0\0\1b"sv).error() == spdy::errc::bad_header_name);
    CHECK(parse("\0\0\0\1\0\0\0\1:\0\0\0\1b"sv).error() == spdy::errc::bad_header_name);
    CHECK(parse("\0\0\0\1\0\0\0\4Port\0\0\0\1b"sv).error() == spdy::errc::bad_header_name);
    CHECK(parse("\0\0\0\1\0\0\0\3a b\0\0\0\1b"sv).error() == spdy::errc::bad_header_name);
    CHECK(parse("\0\0\0\1\0\0\0\3a\0b\0\0\0\1b"sv).error() == spdy::errc::bad_header_name);

    CHECK(parse("\0\0\0\1\0\0\0\1a\0\0\0\2\0b"sv).error() == spdy::errc::bad_header_value);
    CHECK(parse("\0\0\0\1\0\0\0\1a\0\0\0\2b\0"sv).error() == spdy::errc::bad_header_value);
    CHECK(parse("\0\0\0\1\0\0\0\1a\0\0\0\4b\0\0c"sv).error() == spdy::errc::bad_header_value);

    CHECK(parse("\0\0\0\2\0\0\0\1a\0\0\0\1b\0\0\0\1a\0\0\0\1c"sv).error() == spdy::errc::duplicate_header);
}

TEST_CASE("spdy headers: counts and lengths that promise too much are refused before memory is taken")
{
    CHECK(parse("\xff\xff\xff\xff"sv).error() == spdy::errc::too_many_headers);
    CHECK(parse("\0\0\0\x63"sv).error() == spdy::errc::bad_header_block);
    CHECK(parse("\0\0\0\1\xff\xff\xff\xff____"sv).error() == spdy::errc::bad_header_block);
    CHECK(parse("\0\0\0\1\0\0\0\1a\xff\xff\xff\xff"sv).error() == spdy::errc::bad_header_block);
}

TEST_CASE("spdy headers: there may be as many headers as the limit and no more")
{
    for (std::size_t const count : {2u, 3u, 4u}) {
        CAPTURE(count);
        std::vector<spdy::header_view> list;
        std::vector<std::string> names;
        for (std::size_t i = 0; i < count; ++i) names.push_back("n" + std::to_string(i));
        for (auto const& n : names) list.push_back({n, "v"});
        bytes out;
        spdy::encode_header_block(out, list);
        auto const parsed = spdy::parse_header_block(out, 3);
        CHECK(parsed.has_value() == (count <= 3));
        if (count > 3) CHECK(parsed.error() == spdy::errc::too_many_headers);
    }
}

TEST_CASE("spdy headers: what the Kubernetes side's library sends is decoded by one zlib stream")
{
    // Recorded from moby/spdystream 0.5.1: two streams, two empty replies, a HEADERS frame with two values.
    bytes const recorded = from_hex("800300010100003e0000000100000000000078f9e3c6a7c202253a703a2b294a4dcc851625aca9a0808614cb45e01c"
                                    "60616061c0c0c0c0590489c64c50f2663400000000ffff"
                                    "800300010000001a00000003000000016007826a26ac0ad57850499508000000ffff"
                                    "800300020000000e000000016260606000000000ffff"
                                    "800300020000000c00000003026100000000ffff"
                                    "8003000801000017000000030229019953a10bca5bcc860c4600000000ffff");
    CHECK(decode_frames(recorded) ==
          std::vector<std::string>{"streamtype=error;port=8080;requestid=0;", "port=8080;requestid=0;streamtype=data;", "", "", std::string("x-a=1\0002;", 8)});
}

TEST_CASE("spdy headers: blocks of one encoder are decoded in order, with any memory setting")
{
    for (spdy::header_encoder_config const config : {spdy::header_encoder_config{}, {.level = 0}, {.level = 9, .window_bits = 15, .mem_level = 9}}) {
        CAPTURE(config.level, config.window_bits, config.mem_level);
        spdy::header_encoder encoder(config);
        spdy::header_decoder decoder;
        for (int i = 0; i < 300; ++i) {
            std::string const id = std::to_string(i);
            std::string const filler(static_cast<std::size_t>(i), 'f');
            spdy::header_view const list[] = {{"streamtype", i % 2 == 0 ? "error" : "data"}, {"port", "8080"}, {"requestid", id}, {"filler", filler}};
            bytes block;
            encoder.encode(block, list);
            REQUIRE(block.size() >= 4);
            CHECK(bytes(block.end() - 4, block.end()) == bytes{0x00, 0x00, 0xff, 0xff}); // ends with a sync flush
            CHECK(text_of(decoder.decode(block)) == std::string("streamtype=") + (i % 2 == 0 ? "error" : "data") + ";port=8080;requestid=" + id + ";filler=" + filler + ";");
        }
    }
}

TEST_CASE("spdy headers: a frame is encoded in place, with the length of its block")
{
    spdy::header_encoder encoder;
    spdy::header_view const list[] = {{"streamtype", "data"}};
    bytes out{0xee, 0xee}; // a frame may stand behind another
    encoder.encode_frame(out, spdy::syn_stream{.stream = {3}, .priority = 1}, list);
    std::size_t const first = out.size();
    encoder.encode_frame(out, spdy::syn_reply{.stream = {3}, .fin = true}, {});
    encoder.encode_frame(out, spdy::headers{.stream = {3}}, list);

    CHECK(bytes(out.begin() + 2, out.begin() + 20) == bytes{0x80, 0x03, 0x00, 0x01, 0x00,                         // SYN_STREAM
                                                            0x00, 0x00, static_cast<std::uint8_t>(first - 2 - 8), // Length
                                                            0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x20, 0x00});
    CHECK(decode_frames(bytes(out.begin() + 2, out.end())) == std::vector<std::string>{"streamtype=data;", "", "streamtype=data;"});
}

TEST_CASE("spdy headers: a bad block costs the stream, and the next block is decoded")
{
    auto const compressed = [](compress::deflater& z, std::string_view plain) {
        bytes out;
        z.write(as_bytes(plain), out);
        return out;
    };
    compress::deflater z({.dictionary = spdy::detail::header_dictionary});
    spdy::header_decoder decoder;
    auto bad = decoder.decode(compressed(z, "\0\0\0\1\0\0\0\1A\0\0\0\1b"sv));
    CHECK(bad.error() == spdy::errc::bad_header_name);
    CHECK(spdy::concerns_stream(bad.error()));
    CHECK(decoder.decode(compressed(z, ""sv)).error() == spdy::errc::bad_header_block);
    CHECK(text_of(decoder.decode(compressed(z, "\0\0\0\1\0\0\0\1a\0\0\0\1b"sv))) == "a=b;");
}

TEST_CASE("spdy headers: damaged compression costs the connection")
{
    spdy::header_decoder decoder;
    bytes const garbage{1, 2, 3, 4};
    auto const bad = decoder.decode(garbage);
    CHECK(bad.error() == spdy::errc::bad_header_compression);
    CHECK_FALSE(spdy::concerns_stream(bad.error()));
    CHECK(bad.error() == cond::malformed);
    spdy::header_encoder encoder;
    bytes good;
    encoder.encode(good, {});
    CHECK(decoder.decode(good).error() == spdy::errc::bad_header_compression); // for good
    CHECK(text_of(spdy::header_decoder().decode(good)) == "");
    CHECK(spdy::header_decoder().decode({}).error() == spdy::errc::bad_header_compression);

    compress::deflater without_dictionary;
    bytes plain;
    without_dictionary.write(as_bytes("\0\0\0\0"sv), plain);
    CHECK(text_of(spdy::header_decoder().decode(plain)) == ""); // legal zlib, only larger

    compress::deflater ends({.dictionary = spdy::detail::header_dictionary});
    bytes finished;
    ends.write(as_bytes("\0\0\0\0"sv), finished, compress::flush::finish);
    CHECK(spdy::header_decoder().decode(finished).error() == spdy::errc::bad_header_compression);
}

TEST_CASE("spdy headers: a block may unpack to the limit and no further")
{
    for (std::size_t const size : {99u, 100u, 101u}) {
        CAPTURE(size);
        std::string const value(size - 13, 'v'); // count 4, lengths 8, name 1
        spdy::header_view const list[] = {{"n", value}};
        spdy::header_encoder encoder;
        bytes block;
        encoder.encode(block, list);
        spdy::header_decoder decoder({.max_block = 100});
        auto const r = decoder.decode(block);
        CHECK(r.has_value() == (size <= 100));
        if (size > 100) {
            CHECK(r.error() == spdy::errc::header_block_too_large);
            CHECK(r.error() == cond::too_large);
        }
    }
}

TEST_CASE("spdy headers: released coders refuse further blocks")
{
    spdy::header_encoder encoder;
    bytes block;
    encoder.encode(block, {});
    spdy::header_decoder decoder;
    CHECK(decoder.decode(block));
    decoder.release();
    CHECK(decoder.decode(block).error() == spdy::errc::bad_header_compression);
    encoder.release();
}
