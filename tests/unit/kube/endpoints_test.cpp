#include <podproxy/kube/endpoints.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

using namespace podproxy;
using namespace podproxy::kube;

namespace {

endpoint pod(std::string name, bool ready = true, bool serving = true, bool terminating = false)
{
    endpoint e;
    e.pod = std::move(name);
    e.pod_namespace = "shop";
    e.ready = ready;
    e.serving = serving;
    e.terminating = terminating;
    return e;
}

/// An address that is no pod, as in a slice that a person has written.
endpoint address() { return endpoint(); }

service web()
{
    service s;
    s.ports = {{"http", 80}, {"metrics", 9100}};
    return s;
}

endpoint_slice slice(std::vector<endpoint> endpoints, std::vector<endpoint_port> ports = {{"metrics", 9100}, {"http", 8080}})
{
    endpoint_slice s;
    s.name = "web-abcde";
    s.endpoints = std::move(endpoints);
    s.ports = std::move(ports);
    return s;
}

struct outcome {
    std::vector<pod_port> pods;
    std::error_code error;
    std::string message;
};

outcome select(service const& svc, std::vector<endpoint_slice> const& slices, std::uint16_t port)
{
    diagnostics why;
    auto const r = select_pods(svc, slices, port, "shop/web", why);
    CHECK(why.server_text.empty());
    if (!r) return {{}, r.error(), why.message};
    CHECK(why.empty());
    CHECK_FALSE(r->empty());
    return {*r, {}, {}};
}

std::vector<pod_port> pods(std::initializer_list<std::pair<char const*, std::uint16_t>> list)
{
    std::vector<pod_port> out;
    for (auto const& [name, port] : list) out.push_back({"shop", name, port});
    return out;
}

} // namespace

TEST_CASE("endpoints: a port of the Service becomes the port of the same name in the slice", "[kube][endpoints]")
{
    auto const s = slice({pod("web-1"), pod("web-2")});
    CHECK(select(web(), {s}, 80).pods == pods({{"web-1", 8080}, {"web-2", 8080}}));
    CHECK(select(web(), {s}, 9100).pods == pods({{"web-1", 9100}, {"web-2", 9100}}));
}

TEST_CASE("endpoints: a Service with one port without a name", "[kube][endpoints]")
{
    service svc;
    svc.ports = {{"", 80}};
    CHECK(select(svc, {slice({pod("web-1")}, {{"", 8080}})}, 80).pods == pods({{"web-1", 8080}}));
}

TEST_CASE("endpoints: a named target port may differ from pod to pod, each slice has its own number", "[kube][endpoints]")
{
    auto const slices = std::vector{slice({pod("old-1")}, {{"http", 8080}}), slice({pod("new-1"), pod("new-2")}, {{"http", 9090}})};
    CHECK(select(web(), slices, 80).pods == pods({{"old-1", 8080}, {"new-1", 9090}, {"new-2", 9090}}));
}

TEST_CASE("endpoints: pods without the named port are left out, the others still serve", "[kube][endpoints]")
{
    auto const slices = std::vector{slice({pod("a")}, {{"metrics", 9100}}), slice({pod("b")}, {{"http", 8080}})};
    CHECK(select(web(), slices, 80).pods == pods({{"b", 8080}}));
    auto const none = select(web(), {slices[0]}, 80);
    CHECK(none.error == kube::errc::no_endpoints);
    CHECK(none.message == "Service shop/web has no endpoint with port 80: its targetPort names a port that the pods don't have");
}

TEST_CASE("endpoints: a number that is no port of the Service is used as it is", "[kube][endpoints]")
{
    auto const s = slice({pod("web-1")});
    SECTION("listed as a target port") { CHECK(select(web(), {s}, 8080).pods == pods({{"web-1", 8080}})); }
    SECTION("not listed anywhere") { CHECK(select(web(), {s}, 5005).pods == pods({{"web-1", 5005}})); }
    SECTION("the Service and its slice have no ports at all") { CHECK(select(service(), {slice({pod("web-1")}, {})}, 4711).pods == pods({{"web-1", 4711}})); }
}

TEST_CASE("endpoints: a Service port wins over a target port with the same number", "[kube][endpoints]")
{
    service svc;
    svc.ports = {{"a", 80}, {"b", 8080}};
    auto const s = slice({pod("web-1")}, {{"a", 8080}, {"b", 80}}); // crossed over
    CHECK(select(svc, {s}, 80).pods == pods({{"web-1", 8080}}));
    CHECK(select(svc, {s}, 8080).pods == pods({{"web-1", 80}}));
}

TEST_CASE("endpoints: a port without a number in the slice means every port", "[kube][endpoints]")
{
    CHECK(select(web(), {slice({pod("web-1")}, {{"http", std::nullopt}})}, 80).pods == pods({{"web-1", 80}}));
}

TEST_CASE("endpoints: behind a headless Service nothing maps what the pods listen on", "[kube][endpoints]")
{
    service svc;
    svc.headless = true;
    svc.ports = {{"http", 8080}, {"postgres", 5432}, {"admin", 9000}};
    auto const s = slice({pod("db-0"), pod("db-1")}, {{"http", 8080}, {"postgres", 9000}, {"admin", 9001}});
    SECTION("a number that the pods listen on is used as it is") { CHECK(select(svc, {s}, 9000).pods == pods({{"db-0", 9000}, {"db-1", 9000}})); }
    SECTION("another port of the Service is mapped") { CHECK(select(svc, {s}, 5432).pods == pods({{"db-0", 9000}, {"db-1", 9000}})); }
    SECTION("any other number is used as it is") { CHECK(select(svc, {s}, 22).pods == pods({{"db-0", 22}, {"db-1", 22}})); }
}

TEST_CASE("endpoints: which endpoints are taken", "[kube][endpoints]")
{
    struct row {
        char const* what;
        std::vector<endpoint> endpoints;
        std::vector<pod_port> expected;
    };
    // pod(name, ready, serving, terminating)
    std::vector<row> const rows{
        {"all ready", {pod("a"), pod("b")}, pods({{"a", 8080}, {"b", 8080}})},
        {"some ready", {pod("a", false, false), pod("b")}, pods({{"b", 8080}})},
        {"ready goes before terminating", {pod("a", false, true, true), pod("b")}, pods({{"b", 8080}})},
        {"only terminating ones that still serve", {pod("a", false, true, true), pod("b", false, false, true)}, pods({{"a", 8080}})},
        {"terminating although ready, as with publishNotReadyAddresses", {pod("a", true, true, true), pod("b")}, pods({{"a", 8080}, {"b", 8080}})},
        {"ready goes before serving", {pod("a", true, false), pod("b", false, true, true)}, pods({{"a", 8080}})},
        {"serving but neither ready nor terminating is not ready", {pod("a", false, true), pod("b")}, pods({{"b", 8080}})},
        {"one address is no pod", {address(), pod("b")}, pods({{"b", 8080}})},
    };
    for (auto const& r : rows) {
        INFO(r.what);
        CHECK(select(web(), {slice(r.endpoints)}, 80).pods == r.expected);
    }
}

TEST_CASE("endpoints: a pod of both families is in two slices and counts once", "[kube][endpoints]")
{
    auto const v4 = slice({pod("a"), pod("b")});
    auto const v6 = slice({pod("b"), pod("a"), pod("c")});
    CHECK(select(web(), {v4, v6}, 80).pods == pods({{"a", 8080}, {"b", 8080}, {"c", 8080}}));
}

TEST_CASE("endpoints: ready in one slice and leaving in another is ready", "[kube][endpoints]")
{
    CHECK(select(web(), {slice({pod("a", false, true, true)}), slice({pod("a")})}, 80).pods == pods({{"a", 8080}}));
}

TEST_CASE("endpoints: slices of families that the Service does not have count for nothing", "[kube][endpoints]")
{
    auto const v4 = slice({pod("a")});
    auto v6 = slice({pod("b")});
    v6.family = address_family::ipv6;
    auto names = slice({pod("c")});
    names.family = address_family::other;
    auto svc = web();
    CHECK(select(svc, {v4, v6, names}, 80).pods == pods({{"a", 8080}, {"b", 8080}}));
    svc.families = {address_family::ipv6};
    CHECK(select(svc, {v4, v6, names}, 80).pods == pods({{"b", 8080}}));
    svc.families = {address_family::ipv4};
    CHECK(select(svc, {v6, names}, 80).error == kube::errc::no_endpoints);
}

TEST_CASE("endpoints: an address that was given anew belongs to the pod that is not terminating", "[kube][endpoints]")
{
    auto old = pod("old", true, true, true);
    auto young = pod("new");
    old.address = young.address = "10.0.0.1";
    auto expected = pods({{"new", 8080}});
    CHECK(select(web(), {slice({old, young})}, 80).pods == expected);
    CHECK(select(web(), {slice({young}), slice({old})}, 80).pods == expected);
    young.ready = false;
    CHECK(select(web(), {slice({old, young})}, 80).error == kube::errc::no_endpoints);
    young.address = "10.0.0.2";
    CHECK(select(web(), {slice({old, young})}, 80).pods == pods({{"old", 8080}}));
}

TEST_CASE("endpoints: a pod of the same name in another namespace is another pod", "[kube][endpoints]")
{
    auto other = pod("a");
    other.pod_namespace = "till";
    auto const all = select(web(), {slice({pod("a"), other})}, 80).pods;
    REQUIRE(all.size() == 2);
    CHECK(all[1] == pod_port{"till", "a", 8080});
}

TEST_CASE("endpoints: why there is none", "[kube][endpoints]")
{
    struct row {
        char const* what;
        std::vector<endpoint_slice> slices;
        kube::errc error;
        char const* message;
    };
    std::vector<row> const rows{
        {"no slice", {}, kube::errc::no_endpoints, "Service shop/web has no endpoints: does its selector match any pod?"},
        {"an empty slice", {slice({}, {})}, kube::errc::no_endpoints, "Service shop/web has no endpoints: does its selector match any pod?"},
        {"none ready", {slice({pod("a", false, false), pod("b", false, false)})}, kube::errc::no_endpoints,
         "Service shop/web has no ready endpoint: 2 not ready; look at its pods"},
        {"terminating and not serving", {slice({pod("a", false, false, true)})}, kube::errc::no_endpoints,
         "Service shop/web has no ready endpoint: 1 not ready; look at its pods"},
        {"serving only", {slice({pod("a", false, true)})}, kube::errc::no_endpoints, "Service shop/web has no ready endpoint: 1 not ready; look at its pods"},
        {"addresses that are no pods", {slice({address()})}, kube::errc::no_pods,
         "the endpoints of Service shop/web are not pods (no targetRef): port-forward can't reach them"},
    };
    for (auto const& r : rows) {
        INFO(r.what);
        auto const o = select(web(), r.slices, 80);
        CHECK(o.error == r.error);
        CHECK(o.message == r.message);
    }
}

TEST_CASE("endpoints: an ExternalName has no pods, whatever the slices say", "[kube][endpoints]")
{
    service svc;
    svc.external_name = "db.example.com";
    auto const o = select(svc, {slice({pod("a")})}, 80);
    CHECK(o.error == kube::errc::external_name);
    CHECK(o.message == "Service shop/web is an ExternalName for db.example.com: use that name instead");
}
