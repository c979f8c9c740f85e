#include <podproxy/core/utf8.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string_view>

using namespace podproxy;

TEST_CASE("utf8: characters of every length")
{
    struct line {
        std::string_view bytes;
        char32_t code;
    };
    auto const [bytes, code] = GENERATE(line{"a", 'a'}, line{"\x7f", 0x7f}, line{"\xc2\x80", 0x80}, line{"\xdf\xbf", 0x7ff},
                                        line{"\xe0\xa0\x80", 0x800}, line{"\xed\x9f\xbf", 0xd7ff}, line{"\xee\x80\x80", 0xe000},
                                        line{"\xef\xbf\xbf", 0xffff}, line{"\xf0\x90\x80\x80", 0x10000}, line{"\xf4\x8f\xbf\xbf", 0x10ffff});
    auto const c = first_utf8(bytes);
    CHECK(c.valid);
    CHECK(c.code == code);
    CHECK(c.size == bytes.size());
}

TEST_CASE("utf8: one wrong byte is taken at a time")
{
    auto const bytes = GENERATE(std::string_view("\x80"), "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2 ", "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80",
                                "\xf0\x8f\xbf\xbf", "\xf0\x90\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff");
    auto const c = first_utf8(bytes);
    CHECK_FALSE(c.valid);
    CHECK(c.code == 0xfffd);
    CHECK(c.size == 1);
}
