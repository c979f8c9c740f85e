#include <podproxy/kube/errc.hpp>

#include <catch2/catch_test_macros.hpp>

#include <set>
#include <string>
#include <string_view>

using namespace podproxy;

TEST_CASE("kube errors: each has a sentence of its own and one condition", "[kube][errc]")
{
    std::set<std::string> texts;
    int n = 0;
    for (int i = 1; std::string_view(kube::describe(static_cast<kube::errc>(i))) != "unknown error"; ++i, ++n) {
        std::error_code const ec = static_cast<kube::errc>(i);
        INFO(ec.message());
        CHECK(std::string_view(ec.category().name()) == "podproxy.kube");
        CHECK(texts.insert(ec.message()).second);
        CHECK(std::string_view(ec.default_error_condition().category().name()) == "podproxy.cond");
    }
    CHECK(n >= 19);
    CHECK(kube::describe(static_cast<kube::errc>(0)) == "unknown error");
}

TEST_CASE("kube errors: what a client is told depends on the condition", "[kube][errc]")
{
    auto const is = [](kube::errc e, cond c) { return make_error_code(e) == c; };
    CHECK(is(kube::errc::not_found, cond::not_found));
    CHECK(is(kube::errc::unknown_cluster, cond::not_found));
    CHECK(is(kube::errc::forbidden, cond::unauthorized));
    CHECK(is(kube::errc::unauthorized, cond::unauthorized));
    CHECK(is(kube::errc::port_refused, cond::refused));
    // A closed port of the API server is not a closed port of the destination.
    CHECK(is(kube::errc::unreachable, cond::unavailable));
    CHECK_FALSE(is(kube::errc::unreachable, cond::refused));
    CHECK(is(kube::errc::no_endpoints, cond::unavailable));
    CHECK(is(kube::errc::bad_answer, cond::malformed));
}
