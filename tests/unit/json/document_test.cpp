#include <podproxy/json/document.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

using namespace podproxy;

TEST_CASE("json: a path is followed without checks")
{
    json::parser parser;
    auto const root = parser.parse(R"({"metadata":{"name":"web","labels":{"a.b/c":"x"}},"items":[{"port":80},{"port":null}],"ready":true,"t":1.5})");
    REQUIRE(root);
    json::value const v = *root;
    CHECK(v["metadata"]["name"].text() == "web");
    CHECK(v["metadata"]["labels"]["a.b/c"].text() == "x");
    CHECK(v["ready"].boolean() == true);
    CHECK(v["t"].number() == 1.5);
    CHECK(v["metadata"]["name"].text_or("-") == "web");
    CHECK(v["metadata"]["absent"].text_or("-") == "-");

    // what is not there, or is of another type, is an empty answer
    CHECK_FALSE(v["absent"]);
    CHECK_FALSE(v["absent"]["deeper"]["still"].text());
    CHECK_FALSE(v["ready"]["x"]);
    CHECK_FALSE(v["ready"].text());
    CHECK_FALSE(v["metadata"].text());
    CHECK_FALSE(v["metadata"]["name"].integer());
    CHECK_FALSE(v["metadata"]["name"].boolean());
    CHECK_FALSE(v["t"].integer());
    CHECK_FALSE(json::value().is_null());
    CHECK(v["items"].is_array());
    CHECK(v["metadata"].is_object());
    CHECK_FALSE(v["absent"].is_object());
    CHECK_FALSE(v["absent"].is_array());
}

TEST_CASE("json: arrays and objects are walked in their order")
{
    json::parser parser;
    auto const root = parser.parse(R"({"items":[1,"two",[3],null],"object":{"b":1,"a":2,"b":3},"none":null,"empty":[],"eo":{}})");
    REQUIRE(root);
    json::value const v = *root;
    std::vector<std::string> types;
    for (json::value const item : v["items"].items())
        types.push_back(item.integer() ? "integer" : item.text() ? "text" : item.is_array() ? "array" : item.is_null() ? "null" : "?");
    CHECK(types == std::vector<std::string>{"integer", "text", "array", "null"});
    CHECK(v["items"].items().size() == 4);
    std::string keys;
    for (auto const [key, value] : v["object"].members()) keys += std::string(key) + std::to_string(*value.integer()) + " ";
    CHECK(keys == "b1 a2 b3 ");
    CHECK(v["object"].members().size() == 3);
    CHECK(v["object"]["b"].integer() == 1); // the first of a name
    for (std::string_view const key : {"object", "none", "absent", "empty"}) {
        CHECK(v[key].items().empty());
        CHECK(v[key].items().size() == 0);
    }
    for (std::string_view const key : {"items", "none", "absent", "eo"}) CHECK(v[key].members().empty());
}

TEST_CASE("json: numbers keep their meaning")
{
    json::parser parser;
    auto const root = parser.parse("[9223372036854775807, -9223372036854775808, 9223372036854775808, 1e3, 0.5, -0]");
    REQUIRE(root);
    std::vector<json::value> v;
    for (auto const item : root->items()) v.push_back(item);
    CHECK(v[0].integer() == std::numeric_limits<std::int64_t>::max());
    CHECK(v[1].integer() == std::numeric_limits<std::int64_t>::min());
    CHECK_FALSE(v[2].integer()); // does not fit
    CHECK(v[2].number() == 9223372036854775808.0);
    CHECK_FALSE(v[3].integer());
    CHECK(v[3].number() == 1000.0);
    CHECK(v[0].number().has_value());
    CHECK(v[5].integer() == 0);
}

TEST_CASE("json: escapes are undone")
{
    json::parser parser;
    auto const root = parser.parse(R"(["a\n\"\\\/\u00e9\ud83d\ude00", "x\u0000y"])");
    REQUIRE(root);
    auto at = root->items().begin();
    CHECK((*at).text() == "a\n\"\\/\xc3\xa9\xf0\x9f\x98\x80");
    ++at;
    CHECK((*at).text() == std::string_view("x\0y", 3));
}

TEST_CASE("json: what is no document is refused")
{
    json::parser parser;
    auto const text = GENERATE(std::string_view("{"), "[1,]", "{\"a\":}", "{'a':1}", "nul", "1 2", "{} x", "\"\xff\"", "\"a\nb\"", "01", "+1", "[1", "]",
                               "\"\\ud800\"", "// x", "NaN", "\xef\xbb");
    INFO(text);
    CHECK(parser.parse(text).error() == json::errc::malformed);
    CHECK(*parser.parse("1")->integer() == 1); // the parser goes on
}

TEST_CASE("json: an empty text has an error of its own")
{
    json::parser parser;
    CHECK(parser.parse("").error() == json::errc::empty);
    CHECK(parser.parse(" \n\t ").error() == json::errc::empty);
    CHECK(parser.parse(std::string_view()).error() == json::errc::empty);
}

TEST_CASE("json: a document of one value is one")
{
    json::parser parser;
    CHECK(*parser.parse("\"x\"")->text() == "x");
    CHECK(parser.parse("null")->is_null());
    CHECK(parser.parse(" true ")->boolean() == true);
}

TEST_CASE("json: size at the limit and around it")
{
    json::parser parser(16);
    CHECK(parser.parse("[1,2,3,4,5,6,78]"));
    CHECK(parser.parse("[1,2,3,4,5,6,7]"));
    CHECK(parser.parse("[1,2,3,4,5,6,789]").error() == json::errc::too_large);
}

TEST_CASE("json: depth has a limit, and no recursion of ours")
{
    auto const nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
    json::parser parser;
    CHECK(parser.parse(nested(1000)));
    CHECK(parser.parse(nested(2000)).error() == json::errc::too_deep);
    CHECK(parser.parse(nested(100'000)).error() == json::errc::too_deep);
}

TEST_CASE("json: the text is copied, and read no further than its end")
{
    // Exactly as long as the text, so that a sanitizer sees a read behind it.
    std::string_view const source = R"({"k":"value"})";
    auto heap = std::make_unique<char[]>(source.size());
    source.copy(heap.get(), source.size());
    json::parser parser;
    auto const root = parser.parse({heap.get(), source.size()});
    heap.reset();
    REQUIRE(root);
    CHECK((*root)["k"].text() == "value");
}
