#include <podproxy/compress/zlib.hpp>

#include <catch2/catch_test_macros.hpp>
#include <podproxy/core/bytes.hpp>
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>
#include <unit/support/splits.hpp>

using namespace podproxy;
using compress::deflate_config;
using compress::deflater;
using compress::inflate_config;
using compress::inflater;

namespace {

std::vector<std::uint8_t> deflated(std::string_view text, compress::flush mode, deflate_config config = {})
{
    std::vector<std::uint8_t> out;
    deflater(config).write(as_bytes(text), out, mode);
    return out;
}

std::string text_of(std::vector<std::uint8_t> const& v) { return std::string(as_text(v)); }

std::string long_text(std::size_t n)
{
    std::string out;
    std::uint32_t x = 1;
    while (out.size() < n) {
        x = x * 1664525u + 1013904223u;
        out += std::to_string(x % 1000);
    }
    out.resize(n);
    return out;
}

} // namespace

TEST_CASE("zlib: a finished stream unpacks to what went in, at every split")
{
    std::string const text = "kubernetes kubernetes kubernetes: " + long_text(300);
    auto const packed = deflated(text, compress::flush::finish);
    CHECK(packed.size() < text.size());
    auto const seen = test::check_all_splits(packed, [](std::span<bytes_view const> parts) {
        inflater z;
        std::vector<std::uint8_t> out;
        for (bytes_view const part : parts)
            if (auto done = z.append(part, out, 1 << 16); !done) return done.error().message();
        CHECK_FALSE(z.active()); // a complete stream gives its memory back by itself
        return text_of(out);
    });
    CHECK(seen == text);
}

TEST_CASE("zlib: a sync flush lets everything written so far be unpacked, and the stream goes on")
{
    deflater z;
    inflater u;
    for (std::string const text : {"one", "two two two", "", "three"}) {
        std::vector<std::uint8_t> packed;
        z.write(as_bytes(text), packed, compress::flush::sync);
        std::vector<std::uint8_t> out;
        REQUIRE(u.append(packed, out, 100));
        CHECK(text_of(out) == text);
        CHECK(u.active());
    }
}

TEST_CASE("zlib: bytes held back without a flush come with the next flush")
{
    deflater z;
    std::vector<std::uint8_t> packed;
    z.write(as_bytes("first "), packed, compress::flush::none);
    z.write(as_bytes("second"), packed, compress::flush::sync);
    inflater u;
    std::vector<std::uint8_t> out;
    REQUIRE(u.append(packed, out, 100));
    CHECK(text_of(out) == "first second");
}

TEST_CASE("zlib: every window and memory level makes a stream that the default inflater reads")
{
    std::string const text = long_text(3000) + long_text(3000);
    for (int window_bits = 9; window_bits <= 15; ++window_bits) {
        for (int mem_level = 1; mem_level <= 9; mem_level += 4) {
            for (int level : {0, 1, 6, 9}) {
                CAPTURE(window_bits, mem_level, level);
                auto const packed = deflated(
                    text, compress::flush::sync, {.level = level, .window_bits = window_bits, .mem_level = mem_level, .dictionary = as_bytes("0123")});
                inflater u({.dictionary = as_bytes("0123")});
                std::vector<std::uint8_t> out;
                REQUIRE(u.append(packed, out, 10'000));
                CHECK(text_of(out) == text);
            }
        }
    }
}

TEST_CASE("zlib: a preset dictionary is needed where the stream names one")
{
    std::string const dictionary = "streamtype port requestid";
    auto const packed = deflated("streamtype", compress::flush::sync, {.dictionary = as_bytes(dictionary)});
    std::vector<std::uint8_t> out;

    CHECK(inflater({.dictionary = as_bytes(dictionary)}).append(packed, out, 100));
    CHECK(text_of(out) == "streamtype");

    inflater without;
    CHECK(without.append(packed, out, 100).error() == compress::errc::wrong_dictionary);
    CHECK(without.append(packed, out, 100).error() == compress::errc::wrong_dictionary);
    CHECK(inflater({.dictionary = as_bytes("other")}).append(packed, out, 100).error() == compress::errc::wrong_dictionary);
    CHECK(text_of(out) == "streamtype"); // nothing was added by what failed
}

TEST_CASE("zlib: the output may reach the limit but not pass it")
{
    std::string const text(1000, 'x');
    auto const packed = deflated(text, compress::flush::sync);
    for (auto [limit, good] : {std::pair{std::size_t{999}, false}, {std::size_t{1000}, true}, {std::size_t{1001}, true}}) {
        CAPTURE(limit);
        inflater u;
        std::vector<std::uint8_t> out;
        auto const done = u.append(packed, out, limit);
        CHECK(done.has_value() == good);
        if (!good) {
            CHECK(done.error() == compress::errc::too_large);
            CHECK(done.error() == cond::too_large);
            CHECK_FALSE(u.active());
            CHECK(out.size() <= limit);
        }
    }
}

TEST_CASE("zlib: a decompression bomb costs no more memory than the limit")
{
    auto const packed = deflated(std::string(50'000'000, '\0'), compress::flush::finish);
    CHECK(packed.size() < 60'000);
    inflater u;
    std::vector<std::uint8_t> out;
    CHECK(u.append(packed, out, 16 * 1024).error() == compress::errc::too_large);
    CHECK(out.capacity() <= 64 * 1024);
}

TEST_CASE("zlib: damaged data, a wrong checksum and bytes behind the end are told apart from the end")
{
    auto const packed = deflated("hello hello hello", compress::flush::finish);
    std::vector<std::uint8_t> out;

    auto garbage = packed;
    garbage[0] = 0xff;
    CHECK(inflater().append(garbage, out, 100).error() == compress::errc::bad_data);

    auto checksum = packed;
    checksum.back() ^= 1;
    inflater u;
    CHECK(u.append(checksum, out, 100).error() == compress::errc::bad_data);
    CHECK(u.append({}, out, 100).error() == compress::errc::bad_data); // an error stays
    u.reset();
    out.clear();
    CHECK(u.append(packed, out, 100));
    CHECK(text_of(out) == "hello hello hello");

    auto longer = packed;
    longer.push_back(0);
    CHECK(inflater().append(longer, out, 100).error() == compress::errc::stream_ended);
}

TEST_CASE("zlib: a small room takes the output in pieces")
{
    std::string const text = long_text(500);
    auto const packed = deflated(text, compress::flush::finish);
    inflater u;
    std::string out;
    bytes_view in = packed;
    for (int calls = 0; calls < 1000; ++calls) {
        std::uint8_t room[7];
        auto const step = u.next(in, room);
        REQUIRE(step);
        out.append(as_text({room, step->produced}));
        in = in.subspan(step->consumed);
        if (step->ended) break;
    }
    CHECK(out == text);
    CHECK(in.empty());
    CHECK(u.next({}, {})->ended);
}

TEST_CASE("zlib: state is made by the first byte and dropped by reset")
{
    deflater z;
    CHECK_FALSE(z.active());
    std::vector<std::uint8_t> a;
    z.write(as_bytes("abc"), a);
    CHECK(z.active());
    z.reset();
    CHECK_FALSE(z.active());
    std::vector<std::uint8_t> b;
    z.write(as_bytes("abc"), b);
    CHECK(a == b);

    inflater u;
    std::vector<std::uint8_t> out;
    CHECK(u.append({}, out, 10));
    CHECK_FALSE(u.active());
}
