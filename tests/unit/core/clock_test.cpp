#include <podproxy/core/clock.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <string_view>

using namespace podproxy;
using namespace std::chrono;
using namespace std::chrono_literals;

namespace {

wall_time const epoch{};

wall_time at(sys_days day, milliseconds time = 0ms) { return wall_time(day) + time; }

} // namespace

TEST_CASE("clock: a moment is written in UTC with milliseconds")
{
    CHECK(format_rfc3339(epoch) == "1970-01-01T00:00:00.000Z");
    CHECK(format_rfc3339(epoch - 1ms) == "1969-12-31T23:59:59.999Z");
    CHECK(format_rfc3339(at(2026y / 11 / 21, 13h + 52min + 8s + 7ms)) == "2026-11-21T13:52:08.007Z");
    CHECK(format_rfc3339(at(2024y / 2 / 29)) == "2024-02-29T00:00:00.000Z");
    CHECK(format_rfc3339(at(1y / 1 / 1)) == "0001-01-01T00:00:00.000Z");
}

TEST_CASE("clock: texts with any offset are read")
{
    struct line {
        std::string_view text;
        wall_time time;
    };
    auto const [text, time] = GENERATE(
        line{"1970-01-01T00:00:00Z", epoch}, line{"1970-01-01t00:00:00z", epoch}, line{"1985-04-12T23:20:50.52Z", at(1985y / 4 / 12, 84050520ms)},
        line{"1996-12-19T16:39:57-08:00", at(1996y / 12 / 20, 39min + 57s)}, line{"1937-01-01T12:00:27.87+00:20", at(1937y / 1 / 1, 43227870ms - 20min)},
        line{"1990-12-31T23:59:60Z", at(1991y / 1 / 1)}, line{"2026-01-01T00:00:00.123456789Z", at(2026y / 1 / 1, 123ms)},
        line{"2026-01-01T00:00:00.1Z", at(2026y / 1 / 1, 100ms)}, line{"2024-02-29T00:00:00-00:00", at(2024y / 2 / 29)});
    INFO(text);
    REQUIRE(parse_rfc3339(text));
    CHECK(*parse_rfc3339(text) == time);
}

TEST_CASE("clock: what is no date, no time or has no offset is refused")
{
    auto const text = GENERATE(std::string_view(""), "2026", "2026-11-21", "2026-11-21T13:52:08", "2026-11-21 13:52:08Z", "2026-02-29T00:00:00Z",
                               "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-04-31T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z",
                               "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00,5Z",
                               "2026-01-01T00:00:00+1:00", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+01:60", "2026-01-01T00:00:00+0100",
                               "2026-01-01T00:00:00ZZ", "26-01-01T00:00:00Z", "+026-01-01T00:00:00Z", "2026-1-01T00:00:00Z", "x");
    INFO(text);
    CHECK(parse_rfc3339(text).error() == errc::malformed);
}

TEST_CASE("clock: what is written can be read back")
{
    for (auto time = at(1969y / 12 / 30); time < at(1970y / 1 / 3); time += 3'600'777ms) REQUIRE(*parse_rfc3339(format_rfc3339(time)) == time);
    CHECK(wall_now() > at(2024y / 1 / 1));
}
