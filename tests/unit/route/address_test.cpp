#include <podproxy/route/address.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <optional>
#include <string>
#include <string_view>

using namespace podproxy;
using route::direct_target;
using route::pod_target;
using route::service_target;

namespace {

route::cluster_names names(std::initializer_list<std::string_view> clusters)
{
    route::cluster_names out;
    for (auto const c : clusters) REQUIRE(out.add(c));
    return out;
}

/// One line per answer, so that a table can hold it: "direct", "service [ns/]name in cluster", "pod ns/name in cluster", "error".
std::string told(std::string_view host, route::cluster_names const& clusters)
{
    auto const r = route::parse_address(host, clusters);
    if (!r) return r.error().message();
    if (auto const* s = std::get_if<service_target>(&*r))
        return "service " + (s->ns ? *s->ns + "/" : std::string()) + s->service + " in " + s->cluster;
    if (auto const* p = std::get_if<pod_target>(&*r)) return "pod " + p->ns + "/" + p->pod + " of " + p->service + " in " + p->cluster;
    return "direct";
}

std::string const too_many = route::make_error_code(route::errc::too_many_parts).message();
std::string const bad_part = route::make_error_code(route::errc::bad_part).message();
std::string const bad_host = route::make_error_code(route::errc::bad_host).message();

struct line {
    std::string_view host;
    std::string expected;
};

} // namespace

TEST_CASE("address: the three forms")
{
    auto const clusters = names({"staging", "production"});
    CHECK(*route::parse_address("redis.staging", clusters) == route::target(service_target{"staging", std::nullopt, "redis"}));
    CHECK(*route::parse_address("postgres.db.staging", clusters) == route::target(service_target{"staging", "db", "postgres"}));
    CHECK(*route::parse_address("redis-0.redis.cache.staging", clusters) == route::target(pod_target{"staging", "cache", "redis", "redis-0"}));
    CHECK(*route::parse_address("github.com", clusters) == route::target(direct_target{}));
}

TEST_CASE("address: a table of hosts with the clusters staging and production")
{
    auto const clusters = names({"staging", "production"});
    auto const [host, expected] = GENERATE_COPY(
        // suffixes of cluster DNS are dropped once each
        line{"redis.default.production.svc.cluster.local", "service default/redis in production"},
        line{"redis.production.svc", "service redis in production"}, line{"redis.production.svc.cluster.local", "service redis in production"},
        line{"redis-0.redis.cache.staging.svc.cluster.local", "pod cache/redis-0 of redis in staging"},
        line{"redis.staging.svc.svc.cluster.local", "service redis in staging"}, line{"redis.staging.svc.svc.svc", "direct"},
        // a suffix in the middle is a part like any other
        line{"web.shop.svc.staging", "pod svc/web of shop in staging"},
        // no known cluster at the end
        line{"github.com", "direct"}, line{"web.shop.svc.cluster.local", "direct"}, line{"web.shop.svc", "direct"},
        line{"staging.example.com", "direct"}, line{"redis.stagingx", "direct"}, line{"redis.xstaging", "direct"},
        line{"_dmarc.example.com", "direct"}, line{"a.b.c.d.e.f.example.com", "direct"}, line{"x..y", "direct"},
        line{"b\xc3\xbc" "cher.example", "direct"},
        // one part never matches
        line{"staging", "direct"}, line{"localhost", "direct"}, line{"staging.", "direct"}, line{"staging.svc", "direct"},
        line{"staging.svc.cluster.local", "direct"}, line{"svc", "direct"}, line{".", "direct"}, line{"..", "direct"}, line{".svc", "direct"},
        // addresses never match
        line{"10.0.0.5", "direct"}, line{"127.0.0.1", "direct"}, line{"::1", "direct"}, line{"fe80::1%eth0", "direct"},
        line{"2001:db8::1", "direct"},
        // the case of letters means nothing
        line{"Redis.Staging", "service redis in staging"}, line{"REDIS.CACHE.STAGING.SVC.CLUSTER.LOCAL", "service cache/redis in staging"},
        line{"redis.production.Svc", "service redis in production"},
        // a dot at the end is the root of DNS
        line{"redis.staging.", "service redis in staging"}, line{"redis.cache.staging.svc.cluster.local.", "service cache/redis in staging"},
        line{"redis.staging..", "direct"},
        // under a known cluster, but not an address
        line{"a.b.c.d.staging", too_many}, line{"a.b.c.d.e.f.g.staging", too_many}, line{"a.b.c.d.staging.svc", too_many},
        line{".staging", bad_part}, line{"redis..staging", bad_part}, line{"..staging", bad_part}, line{".redis.staging", bad_part},
        line{"...staging", bad_part}, line{"....staging", too_many}, line{"red_is.staging", bad_part}, line{"-redis.staging", bad_part},
        line{"redis-.staging", bad_part}, line{"redis.-db.staging", bad_part}, line{"a/b.staging", bad_part}, line{"..%2f.staging", bad_part},
        line{"*.staging", bad_part}, line{"b\xc3\xbc" "cher.staging", bad_part}, line{"redis@x.staging", bad_part},
        line{"redis?x.staging", bad_part},
        // not even a host
        line{"", bad_host}, line{"re dis.staging", bad_host}, line{"redis.staging\n", bad_host}, line{"redis\t.staging", bad_host});
    INFO(host);
    CHECK(told(host, clusters) == expected);
}

TEST_CASE("address: a NUL byte is refused")
{
    auto const clusters = names({"staging"});
    CHECK(told(std::string_view("redis\0.staging", 14), clusters) == bad_host);
}

TEST_CASE("address: a cluster whose name is a number does not catch IPv4 addresses")
{
    auto const clusters = names({"5", "1"});
    CHECK(told("10.0.0.5", clusters) == "direct");
    CHECK(told("192.168.1.1", clusters) == "direct");
    CHECK(told("redis.5", clusters) == "service redis in 5");
    CHECK(told("10.5", clusters) == "service 10 in 5"); // no IPv4 address to us: four numbers are
}

TEST_CASE("address: cluster names may hold dots, and the longest match wins")
{
    auto const clusters = names({"eu", "prod.eu", "me@prod.eu-west-1.eksctl.io", "example.com"});
    auto const [host, expected] = GENERATE_COPY(
        line{"web.prod.eu", "service web in prod.eu"}, line{"web.shop.prod.eu", "service shop/web in prod.eu"},
        line{"web-0.web.shop.prod.eu", "pod shop/web-0 of web in prod.eu"}, line{"a.web-0.web.shop.prod.eu", too_many},
        line{"web.other.eu", "service other/web in eu"},
        // the cluster's own name and nothing before it: the next shorter name gets it, or nobody
        line{"prod.eu", "service prod in eu"}, line{"example.com", "direct"}, line{"www.example.com", "service www in example.com"},
        line{"web.shop.me@prod.eu-west-1.eksctl.io", "service shop/web in me@prod.eu-west-1.eksctl.io"},
        line{"WEB.Me@Prod.EU-WEST-1.eksctl.io", "service web in me@prod.eu-west-1.eksctl.io"},
        line{"me@prod.eu-west-1.eksctl.io", "direct"});
    INFO(host);
    CHECK(told(host, clusters) == expected);
}

TEST_CASE("address: awkward context names are no obstacle")
{
    auto const clusters = names({"arn:aws:eks:eu-west-1:123456789012:cluster/prod", "Kind_Local"});
    CHECK(told("web.shop.arn:aws:eks:eu-west-1:123456789012:cluster/prod", clusters) ==
          "service shop/web in arn:aws:eks:eu-west-1:123456789012:cluster/prod");
    CHECK(told("web.kind_local", clusters) == "service web in Kind_Local");
}

TEST_CASE("address: a cluster called svc, local or cluster.local can be reached")
{
    auto const clusters = names({"svc", "local", "cluster.local", "prod"});
    CHECK(told("redis.svc", clusters) == "service redis in svc");
    CHECK(told("redis.prod.svc", clusters) == "service redis in prod"); // the suffix goes first
    CHECK(told("redis.svc.svc.cluster.local", clusters) == "service redis in svc");
    CHECK(told("redis.cache.svc", clusters) == "service cache/redis in svc");
    CHECK(told("redis.local", clusters) == "service redis in local");
    CHECK(told("redis.cluster.local", clusters) == "service redis in cluster.local");
}

TEST_CASE("address: an alias leads to the cluster it stands for")
{
    route::cluster_names clusters;
    REQUIRE(clusters.add("prod", "arn:aws:eks:eu-west-1:123456789012:cluster/prod"));
    CHECK(told("web.PROD", clusters) == "service web in arn:aws:eks:eu-west-1:123456789012:cluster/prod");
}

TEST_CASE("address: without clusters everything is direct")
{
    CHECK(told("redis.staging", {}) == "direct");
    CHECK(told("", {}) == bad_host);
}

TEST_CASE("address: lengths at their limits")
{
    auto const clusters = names({"c"});
    std::string const s63(63, 'a');
    std::string const s64(64, 'a');
    CHECK(told(s63 + ".c", clusters) == "service " + s63 + " in c");
    CHECK(told(s64 + ".c", clusters) == bad_part);
    CHECK(told("s." + s63 + ".c", clusters) == "service " + s63 + "/s in c");
    CHECK(told("s." + s64 + ".c", clusters) == bad_part);
    CHECK(told(s64 + ".s.n.c", clusters) == "pod n/" + s64 + " of s in c"); // a pod's name may be longer than a label
    std::string const longest(255 - 6, 'p');
    CHECK(told(longest + ".s.n.c", clusters) == "pod n/" + longest + " of s in c");
    CHECK(told(longest + "p.s.n.c", clusters) == bad_host);
}

TEST_CASE("address: names as pods use them belong to the default cluster, if there is one")
{
    auto clusters = names({"staging", "prod"});
    clusters.set_default("prod");
    CHECK(told("web.shop.svc.cluster.local", clusters) == "service shop/web in prod");
    CHECK(told("WEB.shop.SVC", clusters) == "service shop/web in prod");
    CHECK(told("db-0.db.shop.svc.cluster.local.", clusters) == "pod shop/db-0 of db in prod");
    CHECK(told("redis.default.staging.svc.cluster.local", clusters) == "service default/redis in staging");
    CHECK(told("web.svc.cluster.local", clusters) == "direct"); // no namespace
    CHECK(told("web.shop", clusters) == "direct");
    CHECK(told("github.com", clusters) == "direct");
    CHECK(told("a.b.c.d.svc.cluster.local", clusters) == told("a.b.c.d.prod", clusters));
    clusters.remove("prod");
    CHECK(clusters.default_cluster().empty());
    CHECK(told("web.shop.svc.cluster.local", clusters) == "direct");
    CHECK(told("web.shop.staging", clusters) == "service shop/web in staging");
    CHECK(told("web.shop.prod", clusters) == "direct");
}
