#include <podproxy/docker/objects.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace podproxy::docker;

namespace {

health_status health(std::string const& status, std::string const& said, int failed)
{
    auto const c = parse_container(R"({"Id": "a1", "Name": "/web", "State": {"Status": ")" + status + R"(", "Health": {"Status": ")" + said +
                                   R"(", "FailingStreak": )" + std::to_string(failed) + "}}}");
    REQUIRE(c);
    return c->health;
}

} // namespace

TEST_CASE("docker container: one that was paused while it was healthy is healthy, whatever the engine calls it until the next check")
{
    CHECK(health("paused", "unhealthy", 0) == health_status::healthy);
    CHECK(health("running", "unhealthy", 0) == health_status::healthy);
    CHECK(health("running", "unhealthy", 3) == health_status::unhealthy);
    CHECK(health("running", "starting", 0) == health_status::starting);
    CHECK(health("exited", "unhealthy", 0) == health_status::unhealthy);
}

TEST_CASE("docker container: a health check is known before the first start")
{
    auto const health_of = [](std::string const& test) {
        auto const c = parse_container(R"({"Id": "a1", "State": {"Status": "created"}, "Config": {"Healthcheck": )" + test + "}}");
        REQUIRE(c);
        return c->health;
    };
    CHECK(health_of(R"({"Test": ["CMD", "/healthy"]})") == health_status::starting);
    CHECK(health_of(R"({"Test": ["NONE"]})") == health_status::none);
    CHECK(health_of(R"({"Test": []})") == health_status::none);
    CHECK(health_of("{}") == health_status::none);
    CHECK(health_of("null") == health_status::none);
}
