#include <podproxy/kube/objects.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace podproxy;
using namespace podproxy::kube;

namespace {

// Answers of a Kubernetes 1.36 API server, without their managedFields.
constexpr std::string_view web_service = R"({"kind":"Service","apiVersion":"v1","metadata":{"name":"web","namespace":"shop",
"uid":"d5502f10-b0d6-4a14-a075-e184e746f968","resourceVersion":"272","creationTimestamp":"2026-11-21T14:39:47Z"},"spec":{"ports":[
{"name":"http","protocol":"TCP","port":80,"targetPort":"http"},{"name":"echo","protocol":"TCP","port":7,"targetPort":9000}],
"selector":{"app":"web"},"clusterIP":"10.214.13.89","clusterIPs":["10.214.13.89"],"type":"ClusterIP","sessionAffinity":"None",
"ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":"Cluster"},"status":{"loadBalancer":{}}})";

constexpr std::string_view db_service = R"({"kind":"Service","apiVersion":"v1","metadata":{"name":"db","namespace":"shop",
"uid":"5a0cff60-aa1b-4494-aa60-d3ac95a3d8da","resourceVersion":"288"},"spec":{"ports":[{"name":"http","protocol":"TCP","port":8080,
"targetPort":8080},{"name":"postgres","protocol":"TCP","port":5432,"targetPort":9000}],"selector":{"app":"db"},"clusterIP":"None",
"clusterIPs":["None"],"type":"ClusterIP"},"status":{"loadBalancer":{}}})";

constexpr std::string_view db_slice = R"({"metadata":{"name":"db-hn7fz","generateName":"db-","namespace":"shop",
"uid":"c0596e61-e1d6-45da-a9ea-a6783106acb1","resourceVersion":"1904","generation":12,"labels":{"endpointslice.kubernetes.io/managed-by":
"endpointslice-controller.k8s.io","kubernetes.io/service-name":"db","service.kubernetes.io/headless":""}},"addressType":"IPv4","endpoints":[
{"addresses":["10.213.77.16"],"conditions":{"ready":true,"serving":true,"terminating":false},"hostname":"db-0","targetRef":{"kind":"Pod",
"namespace":"shop","name":"db-0","uid":"bdd990b5-eb32-42ac-84f0-9a38642d79bb"},"nodeName":"node"},{"addresses":["10.213.77.35"],"conditions":
{"ready":false,"serving":true,"terminating":true},"hostname":"db-1","targetRef":{"kind":"Pod","namespace":"shop","name":"db-1"},
"nodeName":"node"}],"ports":[{"name":"http","protocol":"TCP","port":8080},{"name":"postgres","protocol":"TCP","port":9000}]})";

constexpr std::string_view empty_slice = R"({"metadata":{"name":"empty-xcwtj","namespace":"shop","resourceVersion":"323"},
"addressType":"IPv4","endpoints":null,"ports":null})";

constexpr std::string_view manual_slice = R"({"metadata":{"name":"manual-1","namespace":"shop","resourceVersion":"576"},"addressType":"IPv4",
"endpoints":[{"addresses":["10.213.77.17"],"conditions":{"ready":true}}],"ports":[{"name":"http","protocol":"TCP","port":8080}]})";

std::string list_of(std::string_view items)
{
    return R"({"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"2262"},"items":)" + std::string(items) + "}";
}

/// One slice with the given text for `endpoints` and `ports`.
endpoint_slice read(std::string const& endpoints, std::string const& ports = "[]")
{
    auto const l = parse_endpoint_slice_list(
        list_of(R"([{"metadata":{"name":"x","namespace":"shop"},"endpoints":)" + endpoints + R"(,"ports":)" + ports + "}]"));
    REQUIRE(l);
    REQUIRE(l->slices.size() == 1);
    return l->slices[0];
}

std::string event_of(std::string_view type, std::string_view object)
{
    return R"({"type":")" + std::string(type) + R"(","object":)" + std::string(object) + "}";
}

std::string slice_object(std::string_view slice)
{
    return R"({"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1",)" + std::string(slice.substr(1));
}

} // namespace

TEST_CASE("objects: a Service", "[kube][objects]")
{
    auto const s = parse_service(web_service);
    REQUIRE(s);
    REQUIRE(s->ports.size() == 2);
    CHECK(s->ports[0].name == "http");
    CHECK(s->ports[0].port == 80);
    CHECK(s->ports[1].name == "echo");
    CHECK(s->ports[1].port == 7);
    CHECK_FALSE(s->headless);
    CHECK(s->external_name.empty());
    CHECK(s->resource_version == "272");
}

TEST_CASE("objects: a headless Service", "[kube][objects]")
{
    auto const s = parse_service(db_service);
    REQUIRE(s);
    CHECK(s->headless);
    CHECK(s->ports.size() == 2);
}

TEST_CASE("objects: a Service of type ExternalName", "[kube][objects]")
{
    auto const s = parse_service(R"({"kind":"Service","apiVersion":"v1","metadata":{"name":"x"},"spec":{"type":"ExternalName","externalName":"db.example.com"}})");
    REQUIRE(s);
    CHECK(s->external_name == "db.example.com");
    CHECK(s->ports.empty());
}

TEST_CASE("objects: externalName counts only for type ExternalName", "[kube][objects]")
{
    auto const s = parse_service(R"({"kind":"Service","spec":{"type":"ClusterIP","externalName":"left.over","clusterIP":"10.0.0.1"}})");
    REQUIRE(s);
    CHECK(s->external_name.empty());
}

TEST_CASE("objects: ports of a Service that can't be forwarded are left out", "[kube][objects]")
{
    auto const s = parse_service(R"({"kind":"Service","spec":{"ports":[
        {"name":"dns","protocol":"UDP","port":53},{"name":"dns-tcp","protocol":"TCP","port":53},{"name":"sctp","protocol":"SCTP","port":36412},
        {"port":443},{"name":"zero","port":0},{"name":"large","port":65536},{"name":"negative","port":-1},{"name":"text","port":"80"},
        {"name":"half","port":80.5},{"name":"none"},null,7,"x",{"name":"last","port":65535}]}})");
    REQUIRE(s);
    REQUIRE(s->ports.size() == 3);
    CHECK(s->ports[0].name == "dns-tcp");
    CHECK(s->ports[0].port == 53);
    CHECK(s->ports[1].name.empty()); // the protocol is TCP where none is given
    CHECK(s->ports[1].port == 443);
    CHECK(s->ports[2].port == 65535);
}

TEST_CASE("objects: what is no Service", "[kube][objects]")
{
    for (std::string_view const text :
         {"", "{", "null", "[]", "\"Service\"", "{}", R"({"kind":"Pod"})", R"({"kind":"ServiceList","items":[]})", R"({"kind":["Service"]})",
          R"({"kind":"Status","message":"no"})", R"({"kind":"Service"} x)", "<html>502</html>", "{\"kind\":\"Service\",\"spec\":{\"clusterIP\":\"\xff\"}}"}) {
        INFO(text);
        CHECK(parse_service(text).error() == kube::errc::bad_answer);
    }
}

TEST_CASE("objects: fields of a Service with other types count as missing", "[kube][objects]")
{
    for (std::string_view const text :
         {R"({"kind":"Service"})", R"({"kind":"Service","metadata":7,"spec":null})", R"({"kind":"Service","spec":[]})",
          R"({"kind":"Service","metadata":{"resourceVersion":5},"spec":{"ports":{"a":1},"clusterIP":null,"type":1,"externalName":{}}})"}) {
        INFO(text);
        auto const s = parse_service(text);
        REQUIRE(s);
        CHECK(s->ports.empty());
        CHECK_FALSE(s->headless);
        CHECK(s->external_name.empty());
        CHECK(s->resource_version.empty());
    }
}

TEST_CASE("objects: a list of EndpointSlices", "[kube][objects]")
{
    auto const l = parse_endpoint_slice_list(list_of("[" + std::string(db_slice) + "," + std::string(empty_slice) + "," + std::string(manual_slice) + "]"));
    REQUIRE(l);
    CHECK(l->resource_version == "2262");
    REQUIRE(l->slices.size() == 3);

    auto const& db = l->slices[0];
    CHECK(db.name == "db-hn7fz");
    REQUIRE(db.endpoints.size() == 2);
    CHECK(db.endpoints[0].pod == "db-0");
    CHECK(db.endpoints[0].pod_namespace == "shop");
    CHECK(db.endpoints[0].hostname == "db-0");
    CHECK(db.endpoints[0].ready);
    CHECK(db.endpoints[0].serving);
    CHECK_FALSE(db.endpoints[0].terminating);
    CHECK_FALSE(db.endpoints[1].ready);
    CHECK(db.endpoints[1].serving);
    CHECK(db.endpoints[1].terminating);
    REQUIRE(db.ports.size() == 2);
    CHECK(db.ports[1].name == "postgres");
    CHECK(db.ports[1].port == 9000);

    // While nothing is ready both lists are null.
    CHECK(l->slices[1].name == "empty-xcwtj");
    CHECK(l->slices[1].endpoints.empty());
    CHECK(l->slices[1].ports.empty());

    // Written by hand: an address that is no pod.
    REQUIRE(l->slices[2].endpoints.size() == 1);
    CHECK(l->slices[2].endpoints[0].pod.empty());
    CHECK(l->slices[2].endpoints[0].ready);
}

TEST_CASE("objects: an empty list of EndpointSlices", "[kube][objects]")
{
    for (std::string_view const items : {"[]", "null"}) {
        auto const l = parse_endpoint_slice_list(list_of(items));
        REQUIRE(l);
        CHECK(l->slices.empty());
        CHECK(l->resource_version == "2262");
    }
}

TEST_CASE("objects: conditions that are missing or null", "[kube][objects]")
{
    struct row {
        char const* conditions;
        bool ready;
        bool serving;
        bool terminating;
    };
    row const rows[] = {
        {"null", true, true, false},
        {"{}", true, true, false},
        {R"({"ready":null,"serving":null,"terminating":null})", true, true, false},
        {R"({"ready":true})", true, true, false},
        {R"({"ready":false})", false, true, false},
        {R"({"ready":false,"serving":true,"terminating":true})", false, true, true},
        {R"({"serving":false})", true, false, false},
        {R"({"ready":"yes","serving":1,"terminating":0})", true, true, false},
    };
    for (auto const& r : rows) {
        INFO(r.conditions);
        auto const s = read(R"([{"addresses":["10.0.0.1"],"conditions":)" + std::string(r.conditions) + "}]");
        REQUIRE(s.endpoints.size() == 1);
        CHECK(s.endpoints[0].ready == r.ready);
        CHECK(s.endpoints[0].serving == r.serving);
        CHECK(s.endpoints[0].terminating == r.terminating);
    }
}

TEST_CASE("objects: the first address of an endpoint counts, and the family of its slice", "[kube][objects]")
{
    CHECK(read(R"([{"addresses":["10.0.0.1","10.0.0.2"]}])").endpoints[0].address == "10.0.0.1");
    CHECK(read(R"([{"addresses":[]}])").endpoints[0].address.empty());
    CHECK(read(R"([{}])").endpoints[0].address.empty());
    std::pair<char const*, address_family> const rows[] = {
        {R"("IPv4")", address_family::ipv4}, {R"("IPv6")", address_family::ipv6}, {R"("FQDN")", address_family::other}, {"null", address_family::ipv4}};
    for (auto const& [type, family] : rows) {
        auto const list = parse_endpoint_slice_list(R"({"kind":"EndpointSliceList","items":[{"metadata":{"name":"x"},"addressType":)" + std::string(type) + "}]}");
        REQUIRE(list);
        CHECK(list->slices[0].family == family);
    }
    auto const svc = parse_service(R"({"kind":"Service","spec":{"ipFamilies":["IPv6","IPv4"]}})");
    REQUIRE(svc);
    CHECK(svc->families == std::vector{address_family::ipv6, address_family::ipv4});
}

TEST_CASE("objects: only a targetRef of kind Pod names a pod", "[kube][objects]")
{
    CHECK(read(R"([{"targetRef":{"kind":"Pod","namespace":"till","name":"a"}}])").endpoints[0].pod == "a");
    CHECK(read(R"([{"targetRef":{"kind":"Pod","namespace":"till","name":"a"}}])").endpoints[0].pod_namespace == "till");
    CHECK(read(R"([{"targetRef":{"kind":"Node","name":"a"}}])").endpoints[0].pod.empty());
    CHECK(read(R"([{"targetRef":null}])").endpoints[0].pod.empty());
    CHECK(read(R"([{"targetRef":{"kind":"Pod"}}])").endpoints[0].pod.empty());
}

TEST_CASE("objects: a targetRef without a namespace means the slice's own", "[kube][objects]")
{
    CHECK(read(R"([{"targetRef":{"kind":"Pod","name":"a"}}])").endpoints[0].pod_namespace == "shop");
}

TEST_CASE("objects: ports of a slice", "[kube][objects]")
{
    auto const s = read("[]", R"([{"name":"dns","protocol":"UDP","port":53},{"name":"http","port":8080},{"name":null,"protocol":"TCP","port":1},
        {"name":"any","port":null},{"name":"all"},{"name":"zero","port":0},{"name":"large","port":70000},{"name":"text","port":"http"}])");
    REQUIRE(s.ports.size() == 4);
    CHECK(s.ports[0].name == "http");
    CHECK(s.ports[0].port == 8080);
    CHECK(s.ports[1].name.empty());
    CHECK(s.ports[1].port == 1);
    CHECK(s.ports[2].name == "any");
    CHECK_FALSE(s.ports[2].port);
    CHECK(s.ports[3].name == "all"); // a number that can't be one is not "every port"
    CHECK_FALSE(s.ports[3].port);
}

TEST_CASE("objects: what is no list of EndpointSlices", "[kube][objects]")
{
    for (std::string const& text : {std::string(), std::string("{"), std::string("{}"), std::string(R"({"kind":"EndpointSlice"})"),
                                    std::string(R"({"kind":"EndpointsList","items":[]})"), std::string(web_service), list_of("[{}]"), list_of("[1]"),
                                    list_of(R"([{"metadata":{"name":""}}])"), list_of("[") }) {
        INFO(text);
        CHECK(parse_endpoint_slice_list(text).error() == kube::errc::bad_answer);
    }
}

TEST_CASE("objects: an answer larger than the limit is refused", "[kube][objects]")
{
    std::string text = list_of("[]");
    text.append(max_answer_bytes - text.size(), ' ');
    CHECK(parse_endpoint_slice_list(text));
    text += ' ';
    CHECK(parse_endpoint_slice_list(text).error() == kube::errc::bad_answer);
}

TEST_CASE("objects: events of a watch", "[kube][objects]")
{
    struct row {
        char const* type;
        watch_event::kind what;
    };
    for (row const& r : {row{"ADDED", watch_event::kind::changed}, row{"MODIFIED", watch_event::kind::changed}, row{"DELETED", watch_event::kind::deleted}}) {
        INFO(r.type);
        auto const e = parse_watch_event(event_of(r.type, slice_object(db_slice)));
        REQUIRE(e);
        CHECK(e->what == r.what);
        CHECK(e->slice.name == "db-hn7fz");
        CHECK(e->slice.endpoints.size() == 2);
        CHECK(e->resource_version == "1904");
    }
}

TEST_CASE("objects: a bookmark brings only a version", "[kube][objects]")
{
    auto const e = parse_watch_event(event_of(
        "BOOKMARK", R"({"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"2500"},"addressType":"","endpoints":null,"ports":null})"));
    REQUIRE(e);
    CHECK(e->what == watch_event::kind::bookmark);
    CHECK(e->resource_version == "2500");
    CHECK(e->slice.name.empty());
}

TEST_CASE("objects: a watch that the server ends with an error", "[kube][objects]")
{
    SECTION("too old")
    {
        auto const e = parse_watch_event(event_of(
            "ERROR",
            R"j({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version: 1 (2258)","reason":"Expired","code":410})j"));
        REQUIRE(e);
        CHECK(e->what == watch_event::kind::error);
        CHECK(e->code == 410);
        CHECK(e->message == "too old resource version: 1 (2258)");
    }
    SECTION("of another kind")
    {
        auto const e = parse_watch_event(event_of(
            "ERROR",
            R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Timeout: Too large resource version: 2477, current: 2258","reason":"Timeout","code":504})"));
        REQUIRE(e);
        CHECK(e->code == 504);
    }
    SECTION("that says nothing")
    {
        auto const e = parse_watch_event(event_of("ERROR", "null"));
        REQUIRE(e);
        CHECK(e->what == watch_event::kind::error);
        CHECK(e->code == 0);
        CHECK(e->message.empty());
    }
}

TEST_CASE("objects: what is no event of a watch on EndpointSlices", "[kube][objects]")
{
    for (std::string const& text :
         {std::string(), std::string("{\"type\":\"MODIFIED\",\"obj"), std::string("{}"), std::string("[]"), event_of("RENAMED", slice_object(db_slice)),
          event_of("added", slice_object(db_slice)), event_of("ADDED", "null"), event_of("ADDED", R"({"kind":"EndpointSlice","metadata":{}})"),
          event_of("ADDED", R"({"kind":"Pod","metadata":{"name":"a"}})"), event_of("ADDED", R"({"kind":"Status","message":"x","metadata":{"name":"a"}})"),
          std::string(R"({"type":7,"object":{}})")}) {
        INFO(text);
        CHECK(parse_watch_event(text).error() == kube::errc::bad_answer);
    }
}

TEST_CASE("objects: the sentence of a Status", "[kube][objects]")
{
    CHECK(parse_status_message(
              R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"services \"web\" is forbidden: User \"nobody\" cannot get resource \"services\" in API group \"\" in the namespace \"shop\"","reason":"Forbidden","details":{"name":"web","kind":"services"},"code":403})") ==
          "services \"web\" is forbidden: User \"nobody\" cannot get resource \"services\" in API group \"\" in the namespace \"shop\"");
    CHECK(parse_status_message("{\n  \"kind\": \"Status\",\n  \"message\": \"Unauthorized\",\n  \"code\": 401\n}") == "Unauthorized");
    for (std::string_view const text : {"", "404 page not found\n", "{}", R"({"kind":"Status"})", R"({"kind":"Status","message":null})",
                                        R"({"kind":"Pod","message":"x"})", "<html>"}) {
        INFO(text);
        CHECK(parse_status_message(text).empty());
    }
}
