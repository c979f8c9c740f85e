#include <podproxy/metrics/process.hpp>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <unit/metrics/text_parser.hpp>

using namespace podproxy;

#if defined(__linux__)
TEST_CASE("process metrics: Linux tells all of them, and they are about this process")
{
    auto const before = metrics::read_process_figures();
    REQUIRE(before.cpu_seconds);
    REQUIRE(before.resident_bytes);
    REQUIRE(before.virtual_bytes);
    REQUIRE(before.open_descriptors);
    REQUIRE(before.start_time);
    CHECK(*before.resident_bytes > 100'000);
    CHECK(*before.virtual_bytes > *before.resident_bytes);
    CHECK(*before.open_descriptors >= 3);
    auto const now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    CHECK(*before.start_time <= now + 2);
    CHECK(*before.start_time > now - 3600);

    int const fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    CHECK(metrics::read_process_figures().open_descriptors == *before.open_descriptors + 1);
    ::close(fd);
}
#endif

TEST_CASE("process metrics: the moment of the start, whatever the program is called")
{
    // Field 22 of /proc/<pid>/stat is 250, and the name holds a parenthesis and blanks.
    std::string const self = "17 (a) b (c) S 1 17 17 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 1 0 250 9 9\n";
    std::string const system = "cpu  1 2 3\nintr 5\nbtime 1700000000\nprocesses 9\n";
    CHECK(metrics::detail::start_time(self, system, 100) == 1700000002.5);
    CHECK_FALSE(metrics::detail::start_time("", system, 100));
    CHECK_FALSE(metrics::detail::start_time("17 (a) S 1", system, 100));
    CHECK_FALSE(metrics::detail::start_time(self, "cpu 1\n", 100));
    CHECK_FALSE(metrics::detail::start_time(self, "\nbtime x\n", 100));
    CHECK_FALSE(metrics::detail::start_time(self, system, 0));
}

TEST_CASE("process metrics: what the system does not tell is left out")
{
    metrics::process_figures figures;
    figures.cpu_seconds = 1.5;
    metrics::exposition_writer w(metrics::format::openmetrics);
    metrics::write_process_figures(w, figures);
    auto const read = test::parse_exposition(std::move(w).finish(), metrics::format::openmetrics);
    CHECK(read.problem.empty());
    CHECK(read.samples.size() == 1);
    CHECK(read.value("process_cpu_seconds_total") == 1.5);
}

TEST_CASE("process metrics: a registry tells of the program")
{
    metrics::registry r;
    metrics::add_process_metrics(r, "wake-proxy", "1.2.3");
    for (auto const f : {metrics::format::prometheus, metrics::format::openmetrics}) {
        auto const read = test::parse_exposition(r.expose(f), f);
        INFO(read.problem);
        CHECK(read.problem.empty());
        CHECK(read.value("podproxy_build_info{program=\"wake-proxy\",version=\"1.2.3\"}") == 1);
        CHECK(read.value("process_cpu_seconds_total"));
    }
}
