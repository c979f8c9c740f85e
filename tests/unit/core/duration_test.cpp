#include <podproxy/core/duration.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <string_view>

using namespace podproxy;
using namespace std::chrono_literals;

TEST_CASE("duration: whole numbers with units, from large to small")
{
    struct line {
        std::string_view text;
        std::chrono::milliseconds time;
    };
    auto const [text, time] = GENERATE(line{"0", 0ms}, line{"50ms", 50ms}, line{"2s", 2s}, line{"1m30s", 90s}, line{"2h", 2h},
                                       line{"1h1m1s1ms", 3'661'001ms}, line{"1h5ms", 3'600'005ms}, line{"90s", 90s}, line{"0s", 0ms},
                                       line{"1500ms", 1500ms}, line{"007s", 7s}, line{"9223372036854775807ms", std::chrono::milliseconds::max()});
    INFO(text);
    REQUIRE(parse_duration(text));
    CHECK(*parse_duration(text) == time);
    CHECK(*parse_duration(format_duration(time)) == time);
}

TEST_CASE("duration: everything else is refused")
{
    auto const text = GENERATE(std::string_view(""), "5", "00", "ms", "s", "-1s", "+1s", "1.5s", "1 s", " 1s", "1s ", "1S", "1d", "1us", "1s1m",
                               "1s1s", "1ms1s", "1m30", "9223372036854775808ms", "9223372036854775807s", "99999999999999999999s", "0x1s");
    INFO(text);
    CHECK(parse_duration(text).error() == errc::malformed);
}

TEST_CASE("duration: the shortest form is written")
{
    CHECK(format_duration(0ms) == "0");
    CHECK(format_duration(50ms) == "50ms");
    CHECK(format_duration(1500ms) == "1s500ms");
    CHECK(format_duration(90s) == "1m30s");
    CHECK(format_duration(25h) == "25h");
}
