#include <podproxy/kube/workload.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <string_view>

using namespace podproxy;
using kube::workload_kind;

namespace {

result<kube::workload> read(std::string_view text, workload_kind kind = workload_kind::deployment)
{
    json::parser parser;
    auto const d = parser.parse(text);
    REQUIRE(d);
    return kube::read_workload(kind, *d);
}

kube::pod_trouble trouble(std::string const& status)
{
    json::parser parser;
    auto const d = parser.parse(R"({"metadata":{"name":"web-1"},"status":)" + status + "}");
    REQUIRE(d);
    return kube::read_pod_trouble(*d);
}

std::string container(std::string const& rest) { return R"({"containerStatuses":[{"name":"web",)" + rest + "}]}"; }

} // namespace

TEST_CASE("workload: what scaling needs of a Deployment", "[kube][workload]")
{
    auto const w = read(R"({"metadata":{"name":"web","namespace":"shop","uid":"u1","resourceVersion":"42","generation":7,"labels":{"app":"web"},
        "annotations":{"podproxy.wake/replicas":"3"}},"spec":{"replicas":2,"selector":{"matchLabels":{"app":"web","tier":"front"}}},
        "status":{"observedGeneration":7,"replicas":2,"readyReplicas":1,"terminatingReplicas":1}})");
    REQUIRE(w);
    CHECK(w->ns == "shop");
    CHECK(w->name == "web");
    CHECK(w->uid == "u1");
    CHECK(w->resource_version == "42");
    CHECK(w->labels.at("app") == "web");
    CHECK(w->annotations.at("podproxy.wake/replicas") == "3");
    CHECK(w->pod_labels.size() == 2);
    CHECK(w->replicas == 2);
    CHECK(w->existing == 3);
    CHECK(w->ready == 1);
    CHECK(w->observed);
    CHECK_FALSE(w->deleting);
    CHECK(w->failure.empty());
}

TEST_CASE("workload: what is left out is one wanted replica and none there", "[kube][workload]")
{
    auto const w = read(R"({"metadata":{"name":"web","namespace":"shop","uid":"u1","generation":1,"deletionTimestamp":"2026-01-01T00:00:00Z"},"spec":{}})",
                        workload_kind::stateful_set);
    REQUIRE(w);
    CHECK(w->kind == workload_kind::stateful_set);
    CHECK(w->replicas == 1);
    CHECK(w->existing == 0);
    CHECK_FALSE(w->observed);
    CHECK(w->deleting);
}

TEST_CASE("workload: an object without name, namespace or uid is none", "[kube][workload]")
{
    for (char const* const metadata : {R"({"namespace":"a","uid":"u"})", R"({"name":"a","uid":"u"})", R"({"name":"a","namespace":"b"})", "[]", "null"})
        CHECK(read(std::string(R"({"metadata":)") + metadata + "}").error() == kube::errc::bad_answer);
}

TEST_CASE("workload: conditions of a rollout that has failed", "[kube][workload]")
{
    auto const failure = [](std::string const& condition) {
        return read(R"({"metadata":{"name":"a","namespace":"b","uid":"u"},"status":{"conditions":[{"type":"Available","status":"True"},)" + condition + "]}}")->failure;
    };
    CHECK(failure(R"({"type":"Progressing","status":"False","reason":"ProgressDeadlineExceeded","message":"has timed out"})") ==
          "ProgressDeadlineExceeded: has timed out");
    CHECK(failure(R"({"type":"ReplicaFailure","status":"True","reason":"FailedCreate","message":"exceeded quota"})") == "FailedCreate: exceeded quota");
    CHECK(failure(R"({"type":"ReplicaFailure","status":"True"})") == "ReplicaFailure");
    CHECK(failure(R"({"type":"Progressing","status":"True","reason":"NewReplicaSetAvailable"})").empty());
}

TEST_CASE("workload: paths and selectors", "[kube][workload]")
{
    CHECK(kube::workload_path(workload_kind::deployment, "shop", "web") == "/apis/apps/v1/namespaces/shop/deployments/web");
    CHECK(kube::workload_path(workload_kind::stateful_set, "shop", "") == "/apis/apps/v1/namespaces/shop/statefulsets");
    CHECK(kube::workload_path(workload_kind::deployment, "", "") == "/apis/apps/v1/deployments");
    CHECK(kube::encode_label_selector({{"app", "web"}, {"example.com/tier", "front"}}) == "app%3Dweb%2Cexample.com%2Ftier%3Dfront");
    CHECK(kube::parse_workload_kind("Deployment") == workload_kind::deployment);
    CHECK(kube::parse_workload_kind("sts") == workload_kind::stateful_set);
    CHECK_FALSE(kube::parse_workload_kind("daemonset"));
}

TEST_CASE("workload: a patch names the version that it is for", "[kube][workload]")
{
    CHECK(kube::encode_scale_patch("42", 3) == R"({"metadata":{"resourceVersion":"42"},"spec":{"replicas":3}})");
    CHECK(kube::encode_scale_patch("42", 0, "podproxy.wake/replicas", "3") ==
          R"({"metadata":{"annotations":{"podproxy.wake/replicas":"3"},"resourceVersion":"42"},"spec":{"replicas":0}})");
}

TEST_CASE("pod trouble: none in a pod that runs or is on its way", "[kube][workload]")
{
    CHECK(trouble(container(R"("state":{"running":{}})")).text.empty());
    CHECK(trouble(container(R"("state":{"waiting":{"reason":"ContainerCreating"}})")).text.empty());
    CHECK(trouble(container(R"("state":{"waiting":{"reason":"PodInitializing"}})")).text.empty());
    CHECK(trouble(container(R"("state":{"terminated":{"exitCode":0,"reason":"Completed"}})")).text.empty());
    CHECK(trouble("{}").text.empty());
}

TEST_CASE("pod trouble: an image that can't be had", "[kube][workload]")
{
    auto const t = trouble(container(R"("state":{"waiting":{"reason":"ImagePullBackOff","message":"Back-off pulling image \"x\""}})"));
    CHECK(t.pod == "web-1");
    CHECK(t.container == "web");
    CHECK(t.text == "container web: ImagePullBackOff: Back-off pulling image \"x\"");
    CHECK(t.hopeless);
    CHECK_FALSE(t.crashed);
    CHECK_FALSE(trouble(container(R"("state":{"waiting":{"reason":"ErrImagePull"}})")).hopeless); // it is tried again
}

TEST_CASE("pod trouble: a container that ends again and again", "[kube][workload]")
{
    auto const loop = trouble(container(R"("restartCount":2,"state":{"waiting":{"reason":"CrashLoopBackOff","message":"back-off 20s"}},
        "lastState":{"terminated":{"exitCode":3,"reason":"Error"}})"));
    CHECK(loop.text == "container web: CrashLoopBackOff: Error (exit code 3)");
    CHECK(loop.hopeless);
    CHECK(loop.crashed);
    auto const once = trouble(container(R"("restartCount":0,"state":{"terminated":{"exitCode":137,"reason":"OOMKilled"}})"));
    CHECK(once.text == "container web: OOMKilled (exit code 137)");
    CHECK_FALSE(once.hopeless);
    CHECK(trouble(container(R"("restartCount":1,"state":{"terminated":{"exitCode":137,"reason":"OOMKilled"}})")).hopeless);
}

TEST_CASE("pod trouble: the hopeless container is told before others", "[kube][workload]")
{
    auto const t = trouble(R"({"initContainerStatuses":[{"name":"a","state":{"terminated":{"exitCode":1,"reason":"Error"}}}],
        "containerStatuses":[{"name":"b","state":{"waiting":{"reason":"InvalidImageName"}}},{"name":"c","state":{"waiting":{"reason":"ErrImagePull"}}}]})");
    CHECK(t.container == "b");
}

TEST_CASE("pod trouble: a pod as a whole", "[kube][workload]")
{
    auto const waiting = trouble(R"({"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":"0/1 nodes"}]})");
    CHECK(waiting.text == "Unschedulable: 0/1 nodes");
    CHECK_FALSE(waiting.hopeless);
    CHECK(trouble(R"({"phase":"Failed","reason":"Evicted","message":"low on memory"})").text == "Evicted: low on memory");
}
