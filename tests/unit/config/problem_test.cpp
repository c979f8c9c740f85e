#include <podproxy/config/problem.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace podproxy::config;

TEST_CASE("problem: file, line and column stand first, as editors read them")
{
    CHECK(format({severity::error, "config.yaml", {3, 1}, "unknown key"}) == "config.yaml:3:1: unknown key");
    CHECK(format({severity::error, "config.yaml", {}, "is missing"}) == "config.yaml: is missing");
    CHECK(format({severity::error, "", {}, "nothing to read"}) == "nothing to read");
}

TEST_CASE("problem: names in messages are cut and cleaned")
{
    CHECK(quoted("staging") == "'staging'");
    CHECK(quoted("a\x1b[31m\nb\x7f") == "'a?[31m?b?'");
    CHECK(quoted(std::string(128, 'x')) == "'" + std::string(128, 'x') + "'");
    CHECK(quoted(std::string(129, 'x')) == "'" + std::string(128, 'x') + "...'");
}

TEST_CASE("problem: only errors are errors")
{
    CHECK_FALSE(has_errors({}));
    CHECK_FALSE(has_errors({{severity::note, "", {}, ""}, {severity::warning, "", {}, ""}}));
    CHECK(has_errors({{severity::note, "", {}, ""}, {severity::error, "", {}, ""}}));
}
