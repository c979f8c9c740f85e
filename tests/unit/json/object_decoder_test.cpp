#include <podproxy/json/object_decoder.hpp>

#include <unit/support/splits.hpp>

#include <catch2/catch_test_macros.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

using namespace podproxy;

namespace {

/// The objects, one in a line, and how the stream ended.
std::string transcript(std::span<bytes_view const> parts, std::size_t most = 64)
{
    json::object_decoder decoder(most);
    std::string out;
    for (bytes_view in : parts) {
        for (;;) {
            auto const step = decoder.next(in);
            CHECK(step.consumed <= in.size());
            in = in.subspan(step.consumed);
            if (step.status == json::object_status::object) {
                out += std::string(step.text) + "\n";
                continue;
            }
            if (step.status == json::object_status::failed) return out + step.error.message();
            CHECK(in.empty());
            break;
        }
    }
    return out + (decoder.inside() ? "(inside)" : "");
}

std::string split(std::string_view text, std::size_t most = 64)
{
    return test::check_all_splits(as_bytes(text), [most](std::span<bytes_view const> parts) { return transcript(parts, most); });
}

} // namespace

TEST_CASE("json objects: a stream is cut into its objects, whatever stands between them", "[json]")
{
    CHECK(split("") == "");
    CHECK(split("\r\n\t \x1e") == "");
    CHECK(split(R"({"a":1})") == "{\"a\":1}\n");
    CHECK(split("{}{}\n{}\r\n\x1e{} ") == "{}\n{}\n{}\n{}\n");
    CHECK(split(R"({"a":{"b":[1,{"c":[]}]}} {"d":2)") == "{\"a\":{\"b\":[1,{\"c\":[]}]}}\n(inside)");
}

TEST_CASE("json objects: braces, brackets and quotes in strings do not count", "[json]")
{
    CHECK(split(R"({"}":"{[\"]}\\"}{"x":"\\\""})") == "{\"}\":\"{[\\\"]}\\\\\"}\n{\"x\":\"\\\\\\\"\"}\n");
}

TEST_CASE("json objects: anything but an object ends it", "[json]")
{
    std::string const malformed = make_error_code(json::errc::malformed).message();
    CHECK(split("[1]") == malformed);
    CHECK(split("{}x{}") == "{}\n" + malformed);
    CHECK(split("}") == malformed);
    CHECK(split("<html>") == malformed);
}

TEST_CASE("json objects: an object may have as many bytes as the limit and no more", "[json]")
{
    std::string const too_large = make_error_code(json::errc::too_large).message();
    std::string const ten = R"({"a":"bc"})";
    CHECK(split(ten + "      " + ten, 10) == ten + "\n" + ten + "\n");
    CHECK(split(ten, 11) == ten + "\n");
    CHECK(split(ten, 9) == too_large);
}

TEST_CASE("json objects: a decoder that failed stays so until it is reset", "[json]")
{
    json::object_decoder decoder(64);
    CHECK(decoder.next(as_bytes("{\"a")).status == json::object_status::need_more);
    decoder.reset();
    CHECK_FALSE(decoder.inside());
    CHECK(decoder.next(as_bytes("x")).status == json::object_status::failed);
    auto const again = decoder.next(as_bytes("{}"));
    CHECK(again.status == json::object_status::failed);
    CHECK(again.consumed == 0);
    decoder.reset();
    CHECK(decoder.next(as_bytes("{}")).text == "{}");
}
