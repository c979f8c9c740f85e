#include <podproxy/route/errc.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string_view>
#include <system_error>

using namespace podproxy;

TEST_CASE("route errors: they are malformed input, with a sentence each")
{
    for (auto const e : {route::errc::bad_host, route::errc::too_many_parts, route::errc::bad_part}) {
        std::error_code const ec = e;
        CHECK(ec == cond::malformed);
        CHECK(ec.message().size() > 20);
        CHECK(std::string_view(ec.category().name()) == "podproxy.route");
    }
}
