#include <podproxy/route/rules.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

using namespace podproxy;
using namespace std::string_literals;

namespace {

enum class belongs { outside, to_cluster };

bool hit(std::string_view pattern, std::string_view host, std::uint16_t port = 80, belongs where = belongs::outside)
{
    auto const p = route::parse_destination_pattern(pattern);
    INFO(pattern);
    REQUIRE(p);
    return route::matches(*p, host, port, where == belongs::to_cluster);
}

} // namespace

TEST_CASE("rules: one name, in either case and with a dot at the end", "[route]")
{
    CHECK(hit("wiki.corp.example", "wiki.corp.example"));
    CHECK(hit("Wiki.Corp.example.", "wiki.CORP.example"));
    CHECK(hit("wiki", "WIKI."));
    CHECK_FALSE(hit("wiki.corp.example", "a.wiki.corp.example"));
    CHECK_FALSE(hit("wiki.corp.example", "wiki.corp.example.org"));
    CHECK_FALSE(hit("wiki.corp.example", "wiki.corp"));
    CHECK_FALSE(hit("wiki", ""));
}

TEST_CASE("rules: names that end in something", "[route]")
{
    CHECK(hit("*.corp.example", "a.corp.example"));
    CHECK(hit("*.corp.example", "A.B.Corp.Example."));
    CHECK_FALSE(hit("*.corp.example", "corp.example"));
    CHECK_FALSE(hit("*.corp.example", ".corp.example"));
    CHECK_FALSE(hit("*.corp.example", "xcorp.example"));
    CHECK_FALSE(hit("*.1", "10.0.0.1")); // an address is no name
}

TEST_CASE("rules: addresses and blocks of them", "[route]")
{
    CHECK(hit("10.0.0.0/8", "10.255.1.2"));
    CHECK_FALSE(hit("10.0.0.0/8", "11.0.0.1"));
    CHECK_FALSE(hit("10.0.0.0/8", "10.example.com"));
    CHECK(hit("10.0.0.0/8", "::ffff:10.1.2.3")); // the same address
    CHECK(hit("192.0.2.7", "192.0.2.7"));
    CHECK_FALSE(hit("192.0.2.7", "192.0.2.8"));
    CHECK(hit("2001:db8::/32", "2001:db8:1::5"));
    CHECK(hit("2001:db8::1", "2001:DB8:0::1"));
    CHECK(hit("fe80::/10", "fe80::1%eth0"));
    CHECK_FALSE(hit("2001:db8::/32", "10.0.0.1"));
    CHECK(hit("0.0.0.0/0", "1.2.3.4"));
    CHECK_FALSE(hit("0.0.0.0/0", "2001:db8::1"));
}

TEST_CASE("rules: ports", "[route]")
{
    CHECK(hit("web:443", "web", 443));
    CHECK_FALSE(hit("web:443", "web", 80));
    CHECK(hit("*.corp.example:80, 443", "a.corp.example", 443));
    CHECK_FALSE(hit("*.corp.example:80,443", "a.corp.example", 8080));
    CHECK(hit("10.0.0.0/8:22", "10.1.1.1", 22));
    CHECK_FALSE(hit("10.0.0.0/8:22", "10.1.1.1", 23));
    CHECK(hit("[2001:db8::/32]:22", "2001:db8::9", 22));
    CHECK_FALSE(hit("[2001:db8::/32]:22", "2001:db8::9", 80));
    CHECK(hit("[2001:db8::9]", "2001:db8::9", 80));
    CHECK(hit("*:25", "anything", 25));
    CHECK_FALSE(hit("*:25", "anything", 80));
    CHECK(route::parse_destination_pattern("a:443,80,443")->ports == std::vector<std::uint16_t>{80, 443});
}

TEST_CASE("rules: everything, but for what belongs to a cluster", "[route]")
{
    CHECK(hit("*", "example.com"));
    CHECK(hit("*", "10.0.0.1"));
    CHECK(hit("*", "::1"));
    CHECK_FALSE(hit("*", "web.shop.staging", 80, belongs::to_cluster));
    CHECK(hit("*.staging", "web.shop.staging", 80, belongs::to_cluster));
}

TEST_CASE("rules: texts that name no destinations", "[route]")
{
    for (std::string const& text : {""s, " "s, "."s, "*."s, "**"s, "*example.com"s, "a.*.b"s, "*.*"s, "a..b"s, ".a"s, "*..a"s, "a b"s, "a/b"s, "10.0.0.0/33"s,
                                    "2001:db8::/129"s, "[10.0.0.1]"s, "[2001:db8::1"s, "[2001:db8::1]80"s, ":80"s, "a:1:2"s, "user@a"s, std::string(300, 'a')}) {
        CAPTURE(text);
        CHECK(route::parse_destination_pattern(text).error() == route::errc::bad_pattern);
    }
    for (char const* const text : {"http://a", "[::1]:", "a:", "a:0", "a:65536", "a:80,", "a:,80", "a:http", "a:80-90"}) {
        CAPTURE(text);
        CHECK(route::parse_destination_pattern(text).error() == route::errc::bad_ports);
    }
}

TEST_CASE("rules: ways", "[route]")
{
    route::rule r;
    REQUIRE(route::read_way("direct", r));
    CHECK(r.via == route::way::direct);
    REQUIRE(route::read_way("block", r));
    CHECK(r.via == route::way::block);
    REQUIRE(route::read_way("socks5://u:p@proxy:1080", r));
    CHECK(r.via == route::way::proxy);
    CHECK(r.proxy.reveal() == "socks5://u:p@proxy:1080");
    REQUIRE(route::read_way("arn:aws:eks:eu-west-1:123456789012:cluster/prod", r));
    CHECK(r.via == route::way::cluster);
    CHECK(r.cluster == "arn:aws:eks:eu-west-1:123456789012:cluster/prod");
    CHECK_FALSE(route::read_way("", r));
    CHECK_FALSE(route::read_way("two words", r));
}

TEST_CASE("rules: the first that matches counts", "[route]")
{
    std::vector<route::rule> rules;
    for (char const* const text : {"a.corp.example", "*.corp.example", "*"}) {
        route::rule r;
        r.text = text;
        r.to = *route::parse_destination_pattern(text);
        rules.push_back(std::move(r));
    }
    CHECK(route::find_rule(rules, "a.corp.example", 80, false) == 0u);
    CHECK(route::find_rule(rules, "b.corp.example", 80, false) == 1u);
    CHECK(route::find_rule(rules, "example.com", 80, false) == 2u);
    CHECK_FALSE(route::find_rule(rules, "web.staging", 80, true));
    CHECK_FALSE(route::find_rule({}, "web", 80, false));
}

TEST_CASE("rules: the name of a host within a cluster", "[route]")
{
    auto const [host, there] = GENERATE(table<std::string, std::string>({{"web.shop", "web.shop.prod"},
                                                                         {"web.shop.", "web.shop.prod"},
                                                                         {"web.shop.svc", "web.shop.prod"},
                                                                         {"Web.shop.SVC.cluster.local", "Web.shop.prod"},
                                                                         {"web.shop.Prod", "web.shop.Prod"},
                                                                         {"prod", "prod.prod"}}));
    CHECK(route::host_in_cluster(host, "prod") == there);
}
