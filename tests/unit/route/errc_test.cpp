#include <podproxy/route/errc.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string_view>
#include <system_error>

using namespace podproxy;

TEST_CASE("route errors: they are malformed input, with a sentence each")
{
    for (auto const e : {route::errc::bad_host, route::errc::too_many_parts, route::errc::bad_part, route::errc::not_in_cluster, route::errc::bad_pattern, route::errc::bad_ports}) {
        std::error_code const ec = e;
        CHECK(ec == cond::malformed);
        CHECK(ec.message().size() > 20);
        CHECK(std::string_view(ec.category().name()) == "podproxy.route");
    }
    CHECK(std::error_code(route::errc::blocked) == cond::unauthorized);
}
