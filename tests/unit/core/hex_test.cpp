#include <podproxy/core/hex.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <vector>

using namespace podproxy;

TEST_CASE("hex: bytes become two digits each")
{
    std::vector<std::uint8_t> const bytes{0x00, 0x0f, 0xa5, 0xff};
    CHECK(encode_hex(bytes) == "000fa5ff");
    CHECK(encode_hex(bytes, hex_case::upper) == "000FA5FF");
    CHECK(encode_hex({}).empty());
}

TEST_CASE("hex: digits of either case are read")
{
    CHECK(*decode_hex("000fA5Ff") == std::vector<std::uint8_t>{0x00, 0x0f, 0xa5, 0xff});
    CHECK(decode_hex("")->empty());
}

TEST_CASE("hex: every byte survives")
{
    std::vector<std::uint8_t> bytes;
    for (unsigned b = 0; b < 256; ++b) bytes.push_back(static_cast<std::uint8_t>(b));
    CHECK(*decode_hex(encode_hex(bytes)) == bytes);
    CHECK(*decode_hex(encode_hex(bytes, hex_case::upper)) == bytes);
}

TEST_CASE("hex: odd lengths and other characters are refused")
{
    auto const text = GENERATE(std::string_view("0"), "000", "0g", "g0", "0x", " 00", "0 ", "-1", "\xff\xff");
    CHECK(decode_hex(text).error() == errc::malformed);
}

TEST_CASE("hex: hex_value knows exactly the 22 digits")
{
    int digits = 0;
    for (int c = 0; c < 256; ++c) digits += hex_value(static_cast<char>(c)) >= 0 ? 1 : 0;
    CHECK(digits == 22);
    CHECK(hex_value('0') == 0);
    CHECK(hex_value('9') == 9);
    CHECK(hex_value('a') == 10);
    CHECK(hex_value('F') == 15);
    CHECK(hex_value('/') == -1);
    CHECK(hex_value(':') == -1);
    CHECK(hex_value('`') == -1);
    CHECK(hex_value('@') == -1);
}
