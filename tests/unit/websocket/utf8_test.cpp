#include <podproxy/websocket/utf8.hpp>

#include <catch2/catch_test_macros.hpp>
#include <podproxy/core/bytes.hpp>
#include <string_view>

using namespace podproxy;
using namespace std::string_view_literals;

TEST_CASE("utf-8: valid text is accepted whole and cut anywhere")
{
    for (std::string_view const text : {""sv, "plain"sv, "\0"sv, "\u00e9\u20ac"sv, "\U0001f600 smile"sv, "\xed\x9f\xbf"sv /* U+D7FF */,
                                        "\xee\x80\x80"sv /* U+E000 */, "\xf4\x8f\xbf\xbf"sv /* U+10FFFF */, "\xc2\x80"sv, "\xe0\xa0\x80"sv, "\xf0\x90\x80\x80"sv}) {
        CAPTURE(text);
        CHECK(websocket::is_utf8(as_bytes(text)));
        for (std::size_t cut = 0; cut <= text.size(); ++cut) {
            websocket::utf8_checker c;
            CHECK(c.next(as_bytes(text.substr(0, cut))));
            CHECK(c.next(as_bytes(text.substr(cut))));
            CHECK(c.complete());
        }
    }
}

TEST_CASE("utf-8: long forms, surrogates, large values and loose bytes are refused for good")
{
    for (std::string_view const text : {"\x80"sv, "a\xbf"sv, "\xc0\x80"sv, "\xc1\xbf"sv, "\xe0\x9f\xbf"sv, "\xed\xa0\x80"sv /* U+D800 */, "\xf0\x8f\xbf\xbf"sv,
                                        "\xf4\x90\x80\x80"sv /* U+110000 */, "\xf5\x80\x80\x80"sv, "\xff"sv, "\xc3("sv, "\xe2\x82("sv, "\xf0\x9f\x98 "sv}) {
        CAPTURE(text);
        CHECK_FALSE(websocket::is_utf8(as_bytes(text)));
        websocket::utf8_checker c;
        CHECK_FALSE(c.next(as_bytes(text)));
        CHECK_FALSE(c.next(as_bytes("a")));
        CHECK_FALSE(c.complete());
        c.reset();
        CHECK(c.next(as_bytes("a")));
    }
}

TEST_CASE("utf-8: a character that is cut is not complete")
{
    for (std::string_view const text : {"\xc3"sv, "\xe2\x82"sv, "ok \xf0\x9f\x98"sv}) {
        websocket::utf8_checker c;
        CHECK(c.next(as_bytes(text)));
        CHECK_FALSE(c.complete());
        CHECK_FALSE(websocket::is_utf8(as_bytes(text)));
    }
}
