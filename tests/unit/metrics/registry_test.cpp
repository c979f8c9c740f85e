#include <podproxy/metrics/registry.hpp>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>
#include <unit/metrics/text_parser.hpp>

using namespace podproxy;
using metrics::format;

TEST_CASE("registry: what was counted is what is written, in both formats")
{
    metrics::registry r;
    auto const in = r.add_counter("bytes_total", "Bytes.", {{"direction", "in"}});
    auto const out = r.add_counter("bytes_total", "Bytes.", {{"direction", "out"}});
    auto const open = r.add_gauge("open_connections", "Open.");
    auto const waits = r.add_histogram("wait_seconds", "Waits.", {0.1, 1, 10});
    in.add();
    in.add(41);
    out.add(7);
    open.add(3);
    open.add(-1);
    waits.observe(0.1); // a bound belongs to its bucket
    waits.observe(std::chrono::milliseconds(500));
    waits.observe(100);
    waits.observe(std::nan(""));
    for (format const f : {format::prometheus, format::openmetrics}) {
        auto const read = test::parse_exposition(r.expose(f), f);
        INFO(read.problem);
        REQUIRE(read.problem.empty());
        CHECK(read.value("bytes_total{direction=\"in\"}") == 42);
        CHECK(read.value("bytes_total{direction=\"out\"}") == 7);
        CHECK(read.value("open_connections") == 2);
        std::string const one = f == format::openmetrics ? "1.0" : "1";
        CHECK(read.value("wait_seconds_bucket{le=\"0.1\"}") == 1);
        CHECK(read.value("wait_seconds_bucket{le=\"" + one + "\"}") == 2);
        CHECK(read.value("wait_seconds_bucket{le=\"+Inf\"}") == 3);
        CHECK(read.value("wait_seconds_count") == 3);
        CHECK(read.value("wait_seconds_sum") == 100.6);
    }
    CHECK(in.value() == 42);
    CHECK(open.value() == 2);
}

TEST_CASE("registry: asking again gives the same number, and numbers stay where they are")
{
    metrics::registry r;
    auto const first = r.add_counter("x_total", "X.", {{"n", "0"}});
    for (int i = 1; i < 1000; ++i) r.add_counter("x_total", "X.", {{"n", std::to_string(i)}}).add();
    for (int i = 0; i < 100; ++i) r.add_gauge("g" + std::to_string(i), "G.");
    r.add_counter("x_total", "X.", {{"n", "0"}}).add(2);
    CHECK(first.value() == 2);
}

TEST_CASE("registry: one without a registry counts nothing")
{
    metrics::counter c;
    c.add();
    CHECK(c.value() == 0);
    metrics::gauge g;
    g.set(1);
    CHECK(g.value() == 0);
    metrics::histogram h;
    h.observe(1);
    h.observe(std::chrono::seconds(1));
}

TEST_CASE("registry: a name has one form")
{
    metrics::registry r;
    r.add_counter("a_total", "A.", {{"x", "1"}});
    CHECK_THROWS_AS(r.add_gauge("a_total", "A."), std::invalid_argument);
    CHECK_THROWS_AS(r.add_counter("a_total", "A.", {{"y", "1"}}), std::invalid_argument);
    CHECK_THROWS_AS(r.add_counter("a_total", "A."), std::invalid_argument);
    CHECK_THROWS_AS(r.add_counter("b", "B."), std::invalid_argument);
    CHECK_THROWS_AS(r.add_gauge("c", "C.", {{"le", "1"}}), std::invalid_argument);
    r.add_histogram("h", "H.", {1, 2});
    CHECK_THROWS_AS(r.add_histogram("h", "H.", {1, 3}), std::invalid_argument);
    for (auto const& bounds : std::vector<std::vector<double>>{{}, {2, 1}, {1, 1}, {std::numeric_limits<double>::infinity()}, {std::nan("")}})
        CHECK_THROWS_AS(r.add_histogram("k", "K.", bounds), std::invalid_argument);
    CHECK(test::parse_exposition(r.expose(format::openmetrics), format::openmetrics).problem.empty());
}

TEST_CASE("registry: a family holds so many series, and those beyond count nothing")
{
    metrics::registry r;
    metrics::counter last;
    for (std::size_t i = 0; i <= metrics::registry::max_series; ++i) last = r.add_counter("x_total", "X.", {{"n", std::to_string(i)}});
    last.add();
    CHECK(last.value() == 0);
    r.add_counter("x_total", "X.", {{"n", "9999"}}).add(5);
    CHECK(test::parse_exposition(r.expose(format::prometheus), format::prometheus).value("x_total{n=\"9999\"}") == 5);
}

TEST_CASE("registry: collectors are asked each time, behind the families")
{
    metrics::registry r;
    int asked = 0;
    r.add_collector([&asked](metrics::exposition_writer& w) {
        w.family("asked_total", metrics::kind::counter, "Asked.");
        w.sample({}, static_cast<std::uint64_t>(++asked));
    });
    r.add_gauge("first", "First.").set(1);
    CHECK(r.expose(format::prometheus).find("asked_total 1\n") > r.expose(format::prometheus).find("first 1\n"));
    CHECK(r.expose(format::prometheus).find("asked_total 3\n") != std::string::npos);
}
