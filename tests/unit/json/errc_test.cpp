#include <podproxy/json/errc.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string_view>
#include <system_error>

using namespace podproxy;

TEST_CASE("json errors: conditions and phrases")
{
    CHECK(std::error_code(json::errc::malformed) == cond::malformed);
    CHECK(std::error_code(json::errc::empty) == cond::malformed);
    CHECK(std::error_code(json::errc::too_large) == cond::too_large);
    CHECK(std::error_code(json::errc::too_deep) == cond::too_large);
    CHECK(std::error_code(json::errc::malformed).message() == "the text is not valid JSON");
    CHECK(std::string_view(std::error_code(json::errc::empty).category().name()) == "podproxy.json");
}
