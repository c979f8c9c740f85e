#include <podproxy/core/base64.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>
#include <vector>

using namespace podproxy;

namespace {

std::string decoded(std::string_view text, base64_form form = base64_form::standard)
{
    auto const r = decode_base64(text, form);
    REQUIRE(r);
    return std::string(as_text(*r));
}

} // namespace

TEST_CASE("base64: the vectors of RFC 4648 section 10 in both directions")
{
    struct vector {
        std::string_view plain, coded;
    };
    auto const v = GENERATE(vector{"", ""}, vector{"f", "Zg=="}, vector{"fo", "Zm8="}, vector{"foo", "Zm9v"}, vector{"foob", "Zm9vYg=="},
                            vector{"fooba", "Zm9vYmE="}, vector{"foobar", "Zm9vYmFy"});
    CHECK(encode_base64(as_bytes(v.plain)) == v.coded);
    CHECK(decoded(v.coded) == v.plain);
    CHECK(encode_base64(as_bytes(v.plain), base64_form::url) == v.coded);
    std::string const unpadded(v.coded.substr(0, v.coded.find('=')));
    CHECK(encode_base64(as_bytes(v.plain), base64_form::url_unpadded) == unpadded);
    CHECK(decoded(unpadded, base64_form::url_unpadded) == v.plain);
}

TEST_CASE("base64: the two alphabets differ in two characters")
{
    std::vector<std::uint8_t> const bytes{0xfb, 0xff, 0xbf};
    CHECK(encode_base64(bytes) == "+/+/");
    CHECK(encode_base64(bytes, base64_form::url) == "-_-_");
    CHECK(*decode_base64("+/+/") == bytes);
    CHECK(*decode_base64("-_-_", base64_form::url) == bytes);
    CHECK(decode_base64("-_-_").error() == errc::malformed);
    CHECK(decode_base64("+/+/", base64_form::url).error() == errc::malformed);
    CHECK(decode_base64("+/+/", base64_form::url_unpadded).error() == errc::malformed);
}

TEST_CASE("base64: every byte value survives at every length modulo three")
{
    std::vector<std::uint8_t> bytes;
    for (unsigned n = 0; n <= 258; ++n) {
        for (auto const form : {base64_form::standard, base64_form::url, base64_form::url_unpadded}) {
            auto const r = decode_base64(encode_base64(bytes, form), form);
            REQUIRE(r);
            REQUIRE(*r == bytes);
        }
        bytes.push_back(static_cast<std::uint8_t>(n));
    }
}

TEST_CASE("base64: what is not exactly the padded form is refused")
{
    auto const text = GENERATE(std::string_view("Z"), "Zg", "Zg=", "Zg===", "Zm9", "Zm8", "====", "A===", "=", "==", "Zg==Zg==", "Zm=v", "Z=9v",
                               "Zm9v\n", " Zm9v", "Zm9 ", "Zm9*", "Zm9vYg==\n", "Zm\xc3\xa9");
    INFO(text);
    CHECK(decode_base64(text).error() == errc::malformed);
    CHECK(decode_base64(text, base64_form::url).error() == errc::malformed);
}

TEST_CASE("base64: the unpadded form takes no padding and no impossible length")
{
    auto const text = GENERATE(std::string_view("Zg=="), "Zm8=", "Z", "Zm9vZ", "=");
    INFO(text);
    CHECK(decode_base64(text, base64_form::url_unpadded).error() == errc::malformed);
}

TEST_CASE("base64: left-over bits must be zero, so that every byte string has one spelling")
{
    CHECK(decoded("Zg==") == "f");
    CHECK(decode_base64("Zh==").error() == errc::malformed);
    CHECK(decode_base64("Zv==").error() == errc::malformed);
    CHECK(decode_base64("Zm9=").error() == errc::malformed);
    CHECK(decode_base64("Zh", base64_form::url_unpadded).error() == errc::malformed);
}

TEST_CASE("base64: a NUL byte is data in the output and an error in the input")
{
    CHECK(decoded("AAAA") == std::string(3, '\0'));
    CHECK(decode_base64(std::string_view("Zm9\0", 4)).error() == errc::malformed);
}
