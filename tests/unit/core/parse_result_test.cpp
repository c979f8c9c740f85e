#include <podproxy/core/parse_result.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <system_error>

using namespace podproxy;

TEST_CASE("parse result: done, with the value and what it took")
{
    parse_result<std::string> r{"abc", 3};
    CHECK(r.done());
    CHECK_FALSE(r.needs_more());
    CHECK_FALSE(r.failed());
    CHECK(r.value() == "abc");
    CHECK(r.consumed() == 3);
    CHECK_FALSE(r.error());
    r.value() += "d";
    parse_result<std::string> const copy = r;
    CHECK(copy.value() == "abcd");
}

TEST_CASE("parse result: more is needed")
{
    parse_result<int> const r = need_more{5};
    CHECK(r.needs_more());
    CHECK_FALSE(r.done());
    CHECK_FALSE(r.failed());
    CHECK(r.at_least() == 5);
    CHECK_FALSE(r.error());
}

TEST_CASE("parse result: failed, by an enum or a code")
{
    parse_result<int> const r = errc::malformed;
    CHECK(r.failed());
    CHECK_FALSE(r.done());
    CHECK_FALSE(r.needs_more());
    CHECK(r.error() == errc::malformed);
    parse_result<int> const s = std::make_error_code(std::errc::bad_message);
    CHECK(s.error() == std::errc::bad_message);
}
