#include <podproxy/metrics/exposition.hpp>

#include <catch2/catch_test_macros.hpp>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

using namespace podproxy;
using metrics::exposition_writer;
using metrics::format;
using metrics::kind;

namespace {

std::string one(format f, double value)
{
    exposition_writer w(f);
    w.family("x", kind::gauge, "X.");
    w.sample({}, value);
    std::string const text = std::move(w).finish();
    auto const at = text.find("\nx ") + 3;
    return text.substr(at, text.find('\n', at) - at);
}

std::string label_value(std::string_view value)
{
    exposition_writer w(format::prometheus);
    w.family("x", kind::gauge, "X.");
    w.sample({{"l", value}}, std::uint64_t{1});
    std::string const text = std::move(w).finish();
    auto const at = text.find("l=\"") + 3;
    return text.substr(at, text.rfind('"') - at);
}

} // namespace

TEST_CASE("exposition: the same families in both formats")
{
    auto const write = [](format f) {
        exposition_writer w(f);
        w.family("podproxy_requests_total", kind::counter, "Requests \"all\" of them.");
        w.sample({{"code", "200"}, {"method", "GET"}}, std::uint64_t{17});
        w.sample({{"code", "404"}, {"method", "GET"}}, std::uint64_t{0});
        w.family("podproxy_temperature", kind::gauge, "A \\ and\na line.");
        w.sample({}, -1.5);
        w.family("podproxy_wait_seconds", kind::histogram, "Waits.");
        std::array const bounds{0.05, 1.0, 2.5};
        std::array<std::uint64_t, 4> const counts{1, 2, 0, 3};
        w.histogram(std::array<metrics::label, 1>{{{"group", "a"}}}, bounds, counts, 12.25);
        return std::move(w).finish();
    };
    CHECK(write(format::prometheus) == R"(# HELP podproxy_requests_total Requests "all" of them.
# TYPE podproxy_requests_total counter
podproxy_requests_total{code="200",method="GET"} 17
podproxy_requests_total{code="404",method="GET"} 0
# HELP podproxy_temperature A \\ and\na line.
# TYPE podproxy_temperature gauge
podproxy_temperature -1.5
# HELP podproxy_wait_seconds Waits.
# TYPE podproxy_wait_seconds histogram
podproxy_wait_seconds_bucket{group="a",le="0.05"} 1
podproxy_wait_seconds_bucket{group="a",le="1"} 3
podproxy_wait_seconds_bucket{group="a",le="2.5"} 3
podproxy_wait_seconds_bucket{group="a",le="+Inf"} 6
podproxy_wait_seconds_sum{group="a"} 12.25
podproxy_wait_seconds_count{group="a"} 6
)");
    CHECK(write(format::openmetrics) == R"(# HELP podproxy_requests Requests \"all\" of them.
# TYPE podproxy_requests counter
podproxy_requests_total{code="200",method="GET"} 17
podproxy_requests_total{code="404",method="GET"} 0
# HELP podproxy_temperature A \\ and\na line.
# TYPE podproxy_temperature gauge
podproxy_temperature -1.5
# HELP podproxy_wait_seconds Waits.
# TYPE podproxy_wait_seconds histogram
# UNIT podproxy_wait_seconds seconds
podproxy_wait_seconds_bucket{group="a",le="0.05"} 1
podproxy_wait_seconds_bucket{group="a",le="1.0"} 3
podproxy_wait_seconds_bucket{group="a",le="2.5"} 3
podproxy_wait_seconds_bucket{group="a",le="+Inf"} 6
podproxy_wait_seconds_sum{group="a"} 12.25
podproxy_wait_seconds_count{group="a"} 6
# EOF
)");
}

TEST_CASE("exposition: nothing measured is an empty text, which OpenMetrics ends too")
{
    CHECK(exposition_writer(format::prometheus).finish().empty());
    CHECK(exposition_writer(format::openmetrics).finish() == "# EOF\n");
}

TEST_CASE("exposition: numbers are exact and short")
{
    CHECK(one(format::prometheus, 0.1) == "0.1");
    CHECK(one(format::prometheus, 1e21) == "1e+21");
    CHECK(one(format::prometheus, 3.0) == "3");
    CHECK(one(format::prometheus, std::numeric_limits<double>::infinity()) == "+Inf");
    CHECK(one(format::openmetrics, -std::numeric_limits<double>::infinity()) == "-Inf");
    CHECK(one(format::openmetrics, std::nan("")) == "NaN");
    exposition_writer w(format::prometheus);
    w.family("x_total", kind::counter, "X.");
    w.sample({}, std::numeric_limits<std::uint64_t>::max());
    CHECK(std::move(w).finish().find("x_total 18446744073709551615\n") != std::string::npos);
}

TEST_CASE("exposition: values of labels can't break out of their quotes or their line")
{
    CHECK(label_value("plain") == "plain");
    CHECK(label_value("") == "");
    CHECK(label_value("a\"} 1\nevil 2") == "a\\\"} 1\\nevil 2");
    CHECK(label_value("back\\slash") == "back\\\\slash");
    CHECK(label_value("\xc3\xa9\xe2\x82\xac") == "\xc3\xa9\xe2\x82\xac");
    CHECK(label_value("a\xff\xc3") == "a\xef\xbf\xbd\xef\xbf\xbd");
    CHECK(label_value("a\rb") == "a\rb");
}

TEST_CASE("exposition: names that may not be, and families that come twice, are refused")
{
    using metrics::is_label_name;
    using metrics::is_metric_name;
    for (std::string_view const good : {"a", "A_b:c", "_x1", ":x"}) CHECK(is_metric_name(good));
    for (std::string_view const bad : {"", "1a", "a-b", "a b", "a.b", "\xc3\xa9"}) CHECK_FALSE(is_metric_name(bad));
    for (std::string_view const good : {"a", "_a1", "group"}) CHECK(is_label_name(good));
    for (std::string_view const bad : {"", "1a", "__a", "a:b", "le", "a-b"}) CHECK_FALSE(is_label_name(bad));

    exposition_writer w(format::prometheus);
    CHECK_THROWS_AS(w.sample({}, 1.0), std::invalid_argument);
    CHECK_THROWS_AS(w.family("a-b", kind::gauge, ""), std::invalid_argument);
    CHECK_THROWS_AS(w.family("a", kind::counter, ""), std::invalid_argument);
    CHECK_THROWS_AS(w.family("a_total", kind::gauge, ""), std::invalid_argument);
    w.family("a_total", kind::counter, "");
    CHECK_THROWS_AS(w.family("a_total", kind::counter, ""), std::invalid_argument);
    CHECK_THROWS_AS(w.family("a", kind::gauge, ""), std::invalid_argument); // the same in OpenMetrics
    CHECK_THROWS_AS(w.sample({{"__name__", "b"}}, 1.0), std::invalid_argument);
    std::array const bounds{1.0};
    std::array<std::uint64_t, 2> const counts{};
    CHECK_THROWS_AS(w.histogram({}, bounds, counts, 0), std::invalid_argument);
    w.family("h", kind::histogram, "");
    CHECK_THROWS_AS(w.sample({}, 1.0), std::invalid_argument);
    CHECK_THROWS_AS(w.histogram({}, bounds, std::span(counts).first(1), 0), std::invalid_argument);
}

TEST_CASE("exposition: OpenMetrics is written for those that ask for it")
{
    using metrics::choose_format;
    for (std::string_view const open : {
             "application/openmetrics-text",
             "application/openmetrics-text; version=1.0.0; charset=utf-8",
             "Application/OpenMetrics-Text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
             "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5",
             "*/*;q=0.1 , application/openmetrics-text;q=0.2",
             "application/openmetrics-text;q=0.8,text/plain;q=0.7,*/*",
         }) {
        INFO(open);
        CHECK(choose_format(open) == format::openmetrics);
    }
    for (std::string_view const plain : {
             "", "*/*", "text/plain", "text/html,application/xhtml+xml,*/*;q=0.8", "application/openmetrics-text;version=0.0.1", "application/openmetrics-text;q=0",
             "application/openmetrics-text;q=0.0", "application/openmetrics-text;q=nonsense", "application/openmetrics-text;q=0.3,text/plain;q=0.4", ",;,=;q",
             "application/openmetrics-text;q=0.3,*/*;q=0.4", "application/openmetrics-textual", "image/png",
         }) {
        INFO(plain);
        CHECK(choose_format(plain) == format::prometheus);
    }
    CHECK(metrics::content_type(format::prometheus) == "text/plain; version=0.0.4; charset=utf-8");
    CHECK(metrics::content_type(format::openmetrics) == "application/openmetrics-text; version=1.0.0; charset=utf-8");
}
