#include <podproxy/docker/errc.hpp>

#include <catch2/catch_test_macros.hpp>

#include <set>
#include <string>

using namespace podproxy;

TEST_CASE("docker errors: each has its own sentence and a condition", "[docker]")
{
    std::set<std::string> texts;
    for (int i = 1; i <= static_cast<int>(docker::errc::bad_answer); ++i) {
        auto const ec = make_error_code(static_cast<docker::errc>(i));
        CHECK(texts.insert(ec.message()).second);
        CHECK(ec.message() != "unknown error");
        CHECK(std::string(ec.category().name()) == "podproxy.docker");
    }
    CHECK(make_error_code(docker::errc::unreachable) == cond::unavailable);
    CHECK(make_error_code(docker::errc::engine_error) == cond::unavailable);
    CHECK(make_error_code(docker::errc::permission_denied) == cond::unauthorized);
    CHECK(make_error_code(docker::errc::forbidden) == cond::unauthorized);
    CHECK(make_error_code(docker::errc::not_found) == cond::not_found);
    CHECK(make_error_code(docker::errc::conflict) == cond::refused);
    CHECK(make_error_code(docker::errc::bad_answer) == cond::malformed);
    CHECK(docker::describe(static_cast<docker::errc>(99)) == "unknown error");
}
