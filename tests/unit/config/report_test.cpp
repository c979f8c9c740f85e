#include <podproxy/config/report.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

using namespace podproxy;
using namespace podproxy::config;

namespace {

class list_sink final : public log_sink {
public:
    std::vector<std::string> lines;
    bool wants(log_level) const noexcept override { return true; }
    void write(log_event const& e) noexcept override { lines.push_back(std::string(to_string(e.level)) + " " + std::string(e.message)); }
};

problem about(std::string text, severity level = severity::warning) { return {level, "f", {1, 2}, std::move(text)}; }

} // namespace

TEST_CASE("report: each problem is a line of its level")
{
    list_sink sink;
    report({about("a", severity::error), about("b"), about("c", severity::note)}, logger(sink, "test"));
    CHECK(sink.lines == std::vector<std::string>{"error f:1:2: a", "warn f:1:2: b", "info f:1:2: c"});
}

TEST_CASE("report: what was told is told again only after it was gone")
{
    problem_memory memory;
    CHECK(memory.news({about("a"), about("b")}).size() == 2);
    CHECK(memory.news({about("b"), about("a")}).empty());
    CHECK(memory.news({about("a"), about("c")}) == problem_list{about("c")});
    CHECK(memory.news({about("b")}) == problem_list{about("b")});
}
