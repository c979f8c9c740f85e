#include <podproxy/core/ascii.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace podproxy;

TEST_CASE("ascii: only A to Z change their case")
{
    std::string all;
    for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
    std::string const lower = ascii_lower(all);
    for (std::size_t i = 0; i < 256; ++i) {
        bool const capital = i >= 'A' && i <= 'Z';
        REQUIRE(static_cast<unsigned char>(lower[i]) == (capital ? i + 32 : i));
    }
}

TEST_CASE("ascii: comparison without case")
{
    CHECK(ascii_iequals("Host", "hOST"));
    CHECK(ascii_iequals("", ""));
    CHECK_FALSE(ascii_iequals("Host", "Hosts"));
    CHECK_FALSE(ascii_iequals("[", "{")); // 32 apart, like letters
    CHECK_FALSE(ascii_iequals("\xc3\x84", "\xc3\xa4"));
}

TEST_CASE("ascii: blanks are trimmed at both ends only")
{
    CHECK(ascii_trim("  a b\t\r\n") == "a b");
    CHECK(ascii_trim("a") == "a");
    CHECK(ascii_trim(" \n").empty());
    CHECK(ascii_trim("").empty());
}
