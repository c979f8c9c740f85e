#include <podproxy/core/result.hpp>

#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

using namespace podproxy;

namespace {

result<int> half(int n)
{
    if (n % 2 != 0) return errc::malformed;
    return n / 2;
}

static_assert(!std::is_convertible_v<result<int>, bool>); // only where a condition is asked for
static_assert(std::is_constructible_v<result<std::string>, char const*>);
static_assert(std::is_nothrow_default_constructible_v<result<int>>);

} // namespace

TEST_CASE("result: a value or an error")
{
    auto const good = half(4);
    CHECK(good);
    CHECK(good.has_value());
    CHECK(*good == 2);
    CHECK_FALSE(good.error());
    auto const bad = half(3);
    CHECK_FALSE(bad);
    CHECK(bad.error() == errc::malformed);
    CHECK(bad.error() == cond::malformed);
}

TEST_CASE("result: without anything it is unavailable")
{
    CHECK(result<int>().error() == errc::unavailable);
    CHECK(result<void>());
}

TEST_CASE("result: values that only move can be taken out")
{
    result<std::unique_ptr<int>> r = std::make_unique<int>(7);
    REQUIRE(r);
    CHECK(**r == 7);
    std::unique_ptr<int> const taken = *std::move(r);
    CHECK(*taken == 7);
    result<std::unique_ptr<int>> again = std::make_unique<int>(8);
    CHECK(*std::move(again).value() == 8);
}

TEST_CASE("result: members are reached and changed through it")
{
    result<std::string> r = "abc";
    CHECK(r->size() == 3);
    r->append("d");
    *r += "e";
    CHECK(r.value() == "abcde");
    result<std::string> const constant = std::string("x");
    CHECK(constant->size() == 1);
    CHECK(constant.value() == "x");
}

TEST_CASE("result: an error code can be the value where it is the type asked for")
{
    result<errc> const r = errc::truncated;
    REQUIRE(r);
    CHECK(*r == errc::truncated);
}

TEST_CASE("result: of nothing holds success or an error")
{
    result<void> const good = std::error_code();
    CHECK(good.has_value());
    result<void> const bad = errc::timed_out;
    CHECK_FALSE(bad);
    CHECK(bad.error() == errc::timed_out);
    result<void> const system = std::make_error_code(std::errc::connection_refused);
    CHECK(system.error() == cond::refused);
}
