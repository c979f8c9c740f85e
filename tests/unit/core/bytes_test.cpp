#include <podproxy/core/bytes.hpp>

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <string>
#include <vector>

using namespace podproxy;

TEST_CASE("bytes: text and bytes are two views of the same memory")
{
    std::string const text("a\0\xff", 3);
    auto const bytes = as_bytes(text);
    CHECK(std::vector<std::uint8_t>(bytes.begin(), bytes.end()) == std::vector<std::uint8_t>{'a', 0, 0xff});
    CHECK(as_text(bytes).data() == text.data());
    CHECK(as_text(bytes) == text);
    CHECK(as_bytes("").empty());
    CHECK(as_text({}).empty());
}

TEST_CASE("bytes: integers are big-endian in both directions")
{
    std::vector<std::uint8_t> out;
    byte_writer(out).u8(0x01).u16(0x0203).u24(0x040506).u32(0x0708090a).u64(0x0b0c0d0e0f101112).put("xy").put(as_bytes("z"));
    std::vector<std::uint8_t> expected;
    for (std::uint8_t b = 1; b <= 0x12; ++b) expected.push_back(b);
    for (char const c : {'x', 'y', 'z'}) expected.push_back(static_cast<std::uint8_t>(c));
    CHECK(out == expected);

    byte_reader in(out);
    CHECK(in.u8() == 0x01);
    CHECK(in.u16() == 0x0203);
    CHECK(in.u24() == 0x040506);
    CHECK(in.u32() == 0x0708090a);
    CHECK(in.u64() == 0x0b0c0d0e0f101112);
    CHECK(as_text(in.take(2)) == "xy");
    CHECK(as_text(in.rest()) == "z");
    CHECK(in.remaining() == 1);
    CHECK(in.ok());
}

TEST_CASE("bytes: extreme values survive")
{
    std::vector<std::uint8_t> out;
    byte_writer(out).u8(0xff).u16(0xffff).u24(0xffffff).u32(0xffffffff).u64(UINT64_MAX);
    byte_reader in(out);
    CHECK(in.u8() == 0xff);
    CHECK(in.u16() == 0xffff);
    CHECK(in.u24() == 0xffffff);
    CHECK(in.u32() == 0xffffffff);
    CHECK(in.u64() == UINT64_MAX);
    CHECK(in.ok());
    CHECK(in.remaining() == 0);
}

TEST_CASE("bytes: a reader stays failed after its end, and gives nothing more")
{
    std::vector<std::uint8_t> const bytes{1, 2, 3};
    byte_reader in(bytes);
    CHECK(in.u16() == 0x0102);
    CHECK(in.u16() == 0); // one byte is left, two are needed
    CHECK_FALSE(in.ok());
    CHECK(in.u8() == 0); // also what would have fitted
    CHECK(in.remaining() == 0);
    CHECK(in.take(0).empty());
    CHECK_FALSE(in.ok());
}

TEST_CASE("bytes: taking exactly all and one too many")
{
    std::vector<std::uint8_t> const bytes{1, 2, 3};
    byte_reader all(bytes);
    CHECK(all.take(3).size() == 3);
    CHECK(all.ok());
    byte_reader more(bytes);
    CHECK(more.take(4).empty());
    CHECK_FALSE(more.ok());
    byte_reader none({});
    CHECK(none.ok());
    CHECK(none.u8() == 0);
    CHECK_FALSE(none.ok());
}
