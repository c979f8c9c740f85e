#include <podproxy/wake/use_meter.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>

using namespace podproxy::wake;
using namespace std::chrono_literals;

static use_meter::time_point const start{};

TEST_CASE("use meter: connections are not counted here")
{
    use_meter m(use_rule::connections, {}, 10s);
    m.add(1000, 1000);
    m.open(start);
    CHECK_FALSE(m.is_open());
    CHECK_FALSE(m.counts());
    CHECK_FALSE(m.roll(start + 1h));
}

TEST_CASE("use meter: any byte counts, in windows of a twentieth of the idle time")
{
    use_meter m(use_rule::bytes, {}, 10s);
    CHECK(m.window() == 500ms);
    m.open(start);
    REQUIRE(m.is_open());
    CHECK(m.ends() == start + 500ms);
    CHECK_FALSE(m.counts());
    m.add(1, 1);
    CHECK(m.counts());
    CHECK_FALSE(m.roll(start + 499ms)); // not over yet
    CHECK(m.is_open());
    CHECK(m.roll(start + 500ms));
    CHECK_FALSE(m.is_open());

    m.open(start + 600ms);
    CHECK(m.ends() == start + 1100ms);
    m.open(start + 700ms); // is open already
    CHECK(m.ends() == start + 1100ms);
    CHECK_FALSE(m.roll(start + 2s)); // silent: what moved before does not count again
}

TEST_CASE("use meter: windows for bytes have bounds")
{
    CHECK(use_meter(use_rule::bytes, {}, 1ms).window() == 50ms);
    CHECK(use_meter(use_rule::bytes, {}, 0ms).window() == 50ms);
    CHECK(use_meter(use_rule::bytes, {}, 24h).window() == 5s);
}

TEST_CASE("use meter: a threshold is reached when both figures are")
{
    use_threshold t;
    t.bytes = 100;
    t.packets = 3;
    t.window = 30s;
    use_meter m(use_rule::threshold, t, 10s);
    CHECK(m.window() == 30s);
    m.open(start);
    m.add(99, 3);
    CHECK_FALSE(m.counts());
    m.add(1, 0);
    CHECK(m.counts());
    CHECK(m.roll(start + 30s));
    m.open(start + 30s);
    m.add(100, 2);
    CHECK_FALSE(m.counts());
    CHECK_FALSE(m.roll(start + 60s));
}

TEST_CASE("use meter: a threshold of nothing still needs something to move")
{
    use_threshold t;
    t.packets = 0;
    t.window = 0s;
    use_meter m(use_rule::threshold, t, 10s);
    CHECK(m.window() == 1s);
    m.open(start);
    CHECK_FALSE(m.counts());
    m.add(0, 1);
    CHECK(m.counts());
}
