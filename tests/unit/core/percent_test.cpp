#include <podproxy/core/percent.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>

using namespace podproxy;

TEST_CASE("percent: unreserved characters stay, everything else is escaped with capital digits")
{
    CHECK(encode_percent("AZaz09-._~") == "AZaz09-._~");
    CHECK(encode_percent("a b/c?d=e&f+g%") == "a%20b%2Fc%3Fd%3De%26f%2Bg%25");
    CHECK(encode_percent("\xc3\xa9\n") == "%C3%A9%0A");
    CHECK(encode_percent(std::string_view("\0", 1)) == "%00");
    CHECK(encode_percent("").empty());
}

TEST_CASE("percent: the caller can keep more characters")
{
    CHECK(encode_percent("/api/v1/a b", "/") == "/api/v1/a%20b");
    CHECK(encode_percent("a,b=c", ",=") == "a,b=c");
}

TEST_CASE("percent: decoding undoes escapes of either case and nothing else")
{
    CHECK(*decode_percent("a%20b%2fc%2F") == "a b/c/");
    CHECK(*decode_percent("a+b") == "a+b");
    CHECK(*decode_percent("%25%32%30") == "%20"); // once, not again
    CHECK(*decode_percent("%00") == std::string(1, '\0'));
    CHECK(decode_percent("")->empty());
}

TEST_CASE("percent: every byte survives")
{
    std::string bytes;
    for (int b = 0; b < 256; ++b) bytes += static_cast<char>(b);
    CHECK(*decode_percent(encode_percent(bytes)) == bytes);
}

TEST_CASE("percent: an escape without two digits is refused")
{
    auto const text = GENERATE(std::string_view("%"), "a%", "%2", "a%2", "%zz", "%2g", "%g2", "%%20", "% 20", "%-1");
    INFO(text);
    CHECK(decode_percent(text).error() == errc::malformed);
}
