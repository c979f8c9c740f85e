#include <podproxy/proxy/direct_dialer.hpp>
#include <podproxy/wake/errc.hpp>
#include <podproxy/wake/kube_provider.hpp>

#include <fakes/fake_kube_server.hpp>
#include <unit/support/poll_until.hpp>
#include <unit/support/spawned.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace podproxy;
using namespace std::chrono_literals;
using test::kube_fault;
using test::poll_until;
using test::spawned;
using test::fake_kube::workload_json;

namespace {

/// Keeps what it was told last.
struct book final : wake::member_observer {
    void on_snapshot(std::vector<wake::member> all) override
    {
        ++snapshots;
        lost = false;
        members.clear();
        for (auto& m : all) on_member(std::move(m));
    }
    void on_member(wake::member m) override
    {
        std::string name = m.name;
        members.insert_or_assign(std::move(name), std::move(m));
    }
    void on_removed(std::string_view id) override
    {
        std::erase_if(members, [&](auto const& m) { return m.second.id == id; });
    }
    void on_lost(std::error_code ec, diagnostics const& text) override
    {
        lost = true;
        error = ec;
        why = text;
    }

    std::map<std::string, wake::member> members;
    int snapshots = 0;
    bool lost = false;
    std::error_code error;
    diagnostics why;
};

net::awaitable<result<void>> ended(net::awaitable<void> work)
{
    co_await std::move(work);
    co_return result<void>{};
}
net::awaitable<result<std::string>> text_of(net::awaitable<std::string> work)
{
    co_return co_await std::move(work);
}

struct fixture {
    explicit fixture(wake::kube_provider_config config = {}) : setup(std::move(config))
    {
        setup.watch.first_backoff = 1ms;
        setup.watch.most_backoff = 20ms;
        setup.lease.duration = 1s;
        setup.lease.renew_every = 50ms;
        if (setup.members.empty() && setup.namespaces.empty()) setup.namespaces = {"shop"};
        kube::api_config a;
        a.name = "staging";
        a.server = host_port("127.0.0.1", kube.port());
        a.tls = false;
        api = std::move(*kube::api_client::create(ctx.get_executor(), direct, std::move(a), why));
        provider.emplace(ctx.get_executor(), *api, setup, logger());
    }
    ~fixture()
    {
        if (running) {
            running->cancel();
            poll_until(ctx, [&] { return running->done(); });
        }
        provider->close();
        spawned<result<void>> joined(ctx, ended(provider->join()));
        poll_until(ctx, [&] { return joined.done(); });
        provider.reset();
        ctx.restart();
        ctx.poll();
    }

    void begin()
    {
        running.emplace(ctx, ended(provider->run(seen)));
        REQUIRE(until([&] { return seen.snapshots > 0; }));
    }
    template <class Condition>
    bool until(Condition condition)
    {
        return poll_until(ctx, condition, 10s);
    }
    wake::member& web() { return seen.members.at("shop/web"); }
    std::error_code start(wake::member m) { return finish(provider->start(m, why)); }
    std::error_code stop(wake::member m) { return finish(provider->stop(m, std::nullopt, why)); }
    std::error_code finish(net::awaitable<result<void>> work)
    {
        why.clear();
        spawned<result<void>> s(ctx, std::move(work));
        REQUIRE(until([&] { return s.done(); }));
        return s.error();
    }
    std::string last_line(wake::member m)
    {
        spawned<result<std::string>> s(ctx, text_of(provider->last_line(m)));
        REQUIRE(until([&] { return s.done(); }));
        return *s.value();
    }
    void put(std::string const& name, int replicas, std::string const& more = "{}", std::string const& kind = "Deployment")
    {
        kube.put_object(kind == "Deployment" ? "deployments" : "statefulsets", "shop", name, "", workload_json(kind, "shop", name, replicas, more));
    }
    nlohmann::json deployment(std::string const& name) { return nlohmann::json::parse(kube.object_json("deployments", "shop", name)); }

    test::fake_kube_server kube;
    asio::io_context ctx{1};
    proxy::direct_dialer direct;
    diagnostics why;
    wake::kube_provider_config setup;
    std::unique_ptr<kube::api_client> api;
    book seen;
    std::optional<wake::kube_provider> provider;
    std::optional<spawned<result<void>>> running;
};

std::string const in_group = R"({"metadata":{"labels":{"podproxy.wake/group":"shop"}}})";

kube_fault refusal(std::string verb, std::string resource, int code, int times = -1)
{
    kube_fault f;
    f.verb = std::move(verb);
    f.resource = std::move(resource);
    f.code = code;
    f.times = times;
    return f;
}

} // namespace

TEST_CASE("kube provider: members are what carries the label", "[wake][kube_provider]")
{
    fixture f;
    f.put("web", 0, R"({"metadata":{"labels":{"podproxy.wake/group":"shop"},"annotations":{"podproxy.wake/idle":"5m","podproxy.wake/service":"front",
        "podproxy.wake/replicas":"3","podproxy.wake/depends-on":"db, cache:started","other":"x"}}})");
    f.put("db", 2, in_group, "StatefulSet");
    f.put("other", 1);
    f.begin();
    CHECK(f.provider->name() == "kubernetes cluster staging");
    REQUIRE(f.seen.members.size() == 2);
    auto const& web = f.web();
    CHECK(web.group == "shop");
    CHECK(web.service == "web");
    CHECK(web.state == wake::member_state::stopped);
    CHECK(web.address == "front.shop.svc");
    CHECK(web.labels == std::map<std::string, std::string>{{"podproxy.wake.group", "shop"}, {"podproxy.wake.idle", "5m"}});
    REQUIRE(web.depends_on.size() == 2);
    CHECK(web.depends_on[0] == wake::dependency{"db", wake::dependency_condition::healthy, true});
    CHECK(web.depends_on[1] == wake::dependency{"cache", wake::dependency_condition::started, true});
    auto const& db = f.seen.members.at("shop/db");
    CHECK(db.state == wake::member_state::running);
    CHECK(db.health == wake::health_state::healthy);
    CHECK(db.address == "db.shop.svc");
}

TEST_CASE("kube provider: members by name, which count before labels", "[wake][kube_provider]")
{
    wake::kube_provider_config c;
    c.members = {{"mine", kube::workload_kind::deployment, "shop", "web"}, {"mine", kube::workload_kind::stateful_set, "shop", "db"}};
    c.namespaces = {""};
    c.address_suffix = "staging";
    fixture f(std::move(c));
    f.put("web", 0, in_group);
    f.put("db", 0, "{}", "StatefulSet");
    f.put("third", 0, in_group);
    f.begin();
    REQUIRE(f.seen.members.size() == 3);
    CHECK(f.web().group == "mine");
    CHECK(f.web().address == "web.shop.staging");
    CHECK(f.seen.members.at("shop/db").group == "mine");
    CHECK(f.seen.members.at("shop/third").group == "shop");
    f.put("web", 1, in_group);
    CHECK(f.until([&] { return f.web().state == wake::member_state::running; }));
    CHECK(f.web().group == "mine");
}

TEST_CASE("kube provider: states follow the workload", "[wake][kube_provider]")
{
    fixture f;
    f.put("web", 0, in_group);
    f.begin();
    auto const becomes = [&](std::string const& more, wake::member_state state, wake::health_state health) {
        auto base = nlohmann::json::parse(in_group);
        base.merge_patch(nlohmann::json::parse(more));
        f.put("web", 0, base.dump());
        return f.until([&] { return f.web().state == state && f.web().health == health; });
    };
    using s = wake::member_state;
    using h = wake::health_state;
    CHECK(becomes(R"({"spec":{"replicas":2},"status":{"replicas":0}})", s::running, h::starting));
    CHECK(becomes(R"({"spec":{"replicas":2},"status":{"replicas":2,"readyReplicas":1}})", s::running, h::healthy));
    CHECK(becomes(R"({"spec":{"replicas":0},"status":{"replicas":1}})", s::stopping, h::none));
    CHECK(becomes(R"({"spec":{"replicas":0},"status":{"replicas":0}})", s::stopped, h::none));
    CHECK(becomes(R"({"metadata":{"generation":5},"spec":{"replicas":0},"status":{"replicas":0}})", s::stopping, h::none)); // not seen yet
    CHECK(becomes(R"({"spec":{"replicas":1},"status":{"conditions":[{"type":"ReplicaFailure","status":"True","reason":"FailedCreate"}]}})", s::running, h::unhealthy));
    CHECK(becomes(R"({"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"},"spec":{"replicas":1}})", s::stopping, h::none));
    f.kube.delete_object("deployments", "shop", "web");
    CHECK(f.until([&] { return f.seen.members.empty(); }));
    f.put("web", 0, in_group);
    CHECK(f.until([&] { return f.seen.members.size() == 1; }));
    CHECK(f.seen.snapshots == 1);
}

TEST_CASE("kube provider: a label that goes takes the member along", "[wake][kube_provider]")
{
    wake::kube_provider_config c;
    c.members = {{"", kube::workload_kind::deployment, "shop", "web"}}; // by name, and the label tells its group
    fixture f(std::move(c));
    f.put("web", 0, in_group);
    f.begin();
    REQUIRE(f.seen.members.size() == 1);
    f.put("web", 0);
    CHECK(f.until([&] { return f.seen.members.empty(); }));
}

TEST_CASE("kube provider: pods tell early that nothing will come of a start", "[wake][kube_provider]")
{
    fixture f;
    f.kube.configure([](auto& c) { c.follow_scale = false; });
    f.put("web", 0, in_group);
    f.begin();
    CHECK_FALSE(f.start(f.web()));
    CHECK(f.until([&] { return f.web().health == wake::health_state::starting; }));
    auto const pod = [&](std::string const& status) {
        f.kube.put_object("pods", "shop", "web-1", "", R"({"kind":"Pod","metadata":{"name":"web-1","namespace":"shop","resourceVersion":"%RV%","labels":{"app":"web"}},"status":)" + status + "}");
    };
    pod(R"({"containerStatuses":[{"name":"c","state":{"waiting":{"reason":"ImagePullBackOff","message":"no such image"}}}]})");
    CHECK(f.until([&] { return f.web().health == wake::health_state::unhealthy; }));
    CHECK(f.last_line(f.web()) == "container c: ImagePullBackOff: no such image");
    pod(R"({"containerStatuses":[{"name":"c","state":{"running":{}}}]})");
    CHECK(f.until([&] { return f.web().health == wake::health_state::starting; }));
}

TEST_CASE("kube provider: a start gives a workload what it had", "[wake][kube_provider]")
{
    auto const [annotation, replicas] = GENERATE(table<std::string, int>({{"3", 3}, {"", 1}, {"0", 1}, {"-2", 1}, {"many", 1}, {"3x", 1}, {"99999999", 1}}));
    INFO(annotation);
    fixture f;
    auto more = nlohmann::json::parse(in_group);
    if (!annotation.empty()) more["metadata"]["annotations"]["podproxy.wake/replicas"] = annotation;
    f.put("web", 0, more.dump());
    f.begin();
    CHECK_FALSE(f.start(f.web()));
    CHECK(f.until([&] { return f.web().health == wake::health_state::healthy; }));
    CHECK(f.deployment("web")["spec"]["replicas"] == replicas);
    CHECK(f.kube.counters().by_request["patch deployments/scale"] == 1);
    CHECK_FALSE(f.start(f.web())); // it runs already
    CHECK(f.kube.counters().by_request["patch deployments/scale"] == 1);
}

TEST_CASE("kube provider: a stop remembers the replicas", "[wake][kube_provider]")
{
    fixture f;
    f.put("web", 4, in_group);
    f.begin();
    CHECK_FALSE(f.stop(f.web()));
    CHECK(f.until([&] { return f.web().state == wake::member_state::stopped; }));
    CHECK(f.deployment("web")["metadata"]["annotations"]["podproxy.wake/replicas"] == "4");
    CHECK_FALSE(f.stop(f.web()));
    CHECK(f.kube.counters().by_request["patch deployments"] == 1);
    CHECK_FALSE(f.start(f.web()));
    CHECK(f.deployment("web")["spec"]["replicas"] == 4);
}

TEST_CASE("kube provider: where only the scale may be changed, the replicas are remembered in memory", "[wake][kube_provider]")
{
    fixture f;
    f.put("web", 4, in_group);
    f.begin();
    f.kube.fail(refusal("patch", "deployments", 403));
    CHECK_FALSE(f.stop(f.web()));
    REQUIRE(f.until([&] { return f.web().state == wake::member_state::stopped; }));
    CHECK_FALSE(f.deployment("web")["metadata"].contains("annotations"));
    CHECK_FALSE(f.start(f.web()));
    CHECK(f.deployment("web")["spec"]["replicas"] == 4);
}

TEST_CASE("kube provider: nobody's change is lost", "[wake][kube_provider]")
{
    fixture f;
    f.put("web", 2, in_group);
    f.begin();
    auto const stale = [&](int replicas) { // the change comes while no watch tells of it
        f.kube.fail(refusal("watch", "", 500));
        f.kube.drop_connections();
        f.put("web", replicas, in_group);
    };
    SECTION("a stop remembers what somebody has set just before")
    {
        stale(5);
        CHECK_FALSE(f.stop(f.web()));
        CHECK(f.deployment("web")["metadata"]["annotations"]["podproxy.wake/replicas"] == "5");
        CHECK(f.deployment("web")["spec"]["replicas"] == 0);
    }
    SECTION("a start leaves what somebody has started already")
    {
        CHECK_FALSE(f.stop(f.web()));
        REQUIRE(f.until([&] { return f.web().state == wake::member_state::stopped; }));
        stale(7);
        CHECK_FALSE(f.start(f.web()));
        CHECK(f.deployment("web")["spec"]["replicas"] == 7);
    }
    SECTION("a conflict that does not end is told")
    {
        f.kube.fail(refusal("patch", "", 409));
        CHECK(f.stop(f.web()) == kube::errc::conflict);
        CHECK(f.deployment("web")["spec"]["replicas"] == 2);
    }
}

TEST_CASE("kube provider: what it can't do", "[wake][kube_provider]")
{
    fixture f;
    f.put("web", 1, in_group);
    f.begin();
    auto const web = f.web();
    CHECK(f.finish(f.provider->pause(web, f.why)) == podproxy::errc::unavailable);
    CHECK(f.why.message.find("can't pause") != std::string::npos);
    CHECK(f.finish(f.provider->unpause(web, f.why)) == podproxy::errc::unavailable);
    CHECK(f.finish(f.provider->set_resources(web, {}, f.why)) == podproxy::errc::unavailable);
    f.kube.fail(refusal("patch", "", 403));
    CHECK(f.stop(web) == kube::errc::forbidden);
    CHECK_FALSE(f.why.text().empty());
    wake::member unknown;
    unknown.id = "gone";
    unknown.name = "shop/gone";
    CHECK(f.start(unknown) == wake::errc::no_members);
    CHECK_FALSE(f.stop(unknown));
    CHECK(f.last_line(unknown).empty());
}

TEST_CASE("kube provider: only the leader stops, and only what nobody uses", "[wake][kube_provider]")
{
    wake::kube_provider_config c;
    c.namespaces = {"shop"};
    c.lease.ns = "shop";
    c.lease.name = "wake";
    c.lease.identity = "one";
    fixture f(c);
    f.put("web", 1, in_group);
    auto const held_by = [&](std::string const& name, std::string const& who, std::string const& annotations) {
        f.kube.put_object("leases", "shop", name, "", R"({"kind":"Lease","metadata":{"name":")" + name + R"(","namespace":"shop","resourceVersion":"%RV%","labels":{"podproxy.wake/lease":"wake"},)" +
                              R"("annotations":)" + annotations + R"(},"spec":{"holderIdentity":")" + who + R"(","leaseDurationSeconds":1,"renewTime":")" + kube::format_micro_time(wall_now()) + "\"}}");
    };
    SECTION("not the leader")
    {
        held_by("wake", "two", "{}");
        f.begin();
        CHECK(f.stop(f.web()) == podproxy::errc::unavailable);
        CHECK(f.why.message.find("is not stopped by this wake-proxy") != std::string::npos);
        CHECK(f.deployment("web")["spec"]["replicas"] == 1);
        CHECK(f.until([&] { return f.provider->leading(); })); // `two` is silent
        CHECK_FALSE(f.stop(f.web()));
        CHECK_FALSE(f.start(f.web()));
    }
    SECTION("another one has clients")
    {
        f.begin();
        REQUIRE(f.until([&] { return f.provider->leading(); }));
        held_by("wake-two", "two", R"({"podproxy.wake/note":"blog\nshop"})");
        CHECK(f.stop(f.web()) == podproxy::errc::unavailable);
        CHECK(f.why.message.find("wake-proxy two has clients of the group") != std::string::npos);
        held_by("wake-two", "two", R"({"podproxy.wake/note":"blog\nshoppers"})");
        CHECK_FALSE(f.stop(f.web()));
    }
    SECTION("it tells the others what it uses")
    {
        f.begin();
        f.provider->note_use("shop", 2);
        f.provider->note_use("blog", 1);
        f.provider->note_use("shop", 1);
        CHECK(f.until([&] {
            auto const text = f.kube.object_json("leases", "shop", "wake-one");
            return !text.empty() && nlohmann::json::parse(text)["metadata"]["annotations"]["podproxy.wake/note"] == "blog\nshop";
        }));
        auto const note = [&] {
            auto const text = f.kube.object_json("leases", "shop", "wake-one");
            return text.empty() ? std::string() : nlohmann::json::parse(text)["metadata"]["annotations"].value("podproxy.wake/note", "");
        };
        f.provider->note_use("shop", 0); // its own idle time has to pass first
        f.provider->note_use("other", 1);
        CHECK(f.until([&] { return note() == "blog\nother\nshop"; }));
        REQUIRE(f.until([&] { return f.provider->leading(); }));
        CHECK_FALSE(f.stop(f.web()));
        CHECK(f.until([&] { return note() == "blog\nother"; }));
    }
}

TEST_CASE("kube provider: a lost API server is told once, and a new snapshot when it is back", "[wake][kube_provider]")
{
    fixture f;
    f.put("web", 1, in_group);
    f.begin();
    SECTION("one connection that ends is no loss")
    {
        f.kube.drop_connections();
        f.put("web", 0, in_group);
        CHECK(f.until([&] { return f.web().state == wake::member_state::stopped; }));
        CHECK_FALSE(f.seen.error);
    }
    SECTION("a server that goes on refusing is one")
    {
        f.kube.fail(refusal("", "", 500));
        f.kube.drop_connections();
        CHECK(f.until([&] { return f.seen.lost; }));
        CHECK(f.seen.error == kube::errc::api_error);
        int const before = f.seen.snapshots;
        f.put("web", 0, in_group);
        f.kube.heal();
        CHECK(f.until([&] { return f.seen.snapshots > before; }));
        CHECK(f.until([&] { return f.web().state == wake::member_state::stopped; }));
    }
    SECTION("a watch that is too old is begun anew")
    {
        f.kube.compact();
        f.put("web", 0, in_group);
        f.kube.end_watches();
        CHECK(f.until([&] { return f.web().state == wake::member_state::stopped; }));
    }
}

TEST_CASE("kube provider: what is not allowed is left out", "[wake][kube_provider]")
{
    fixture f;
    f.put("web", 1, in_group);
    f.put("db", 1, in_group, "StatefulSet");
    SECTION("one kind")
    {
        f.kube.fail(refusal("list", "statefulsets", 403));
        f.begin();
        CHECK(f.seen.members.size() == 1);
        CHECK_FALSE(f.seen.lost);
    }
    SECTION("everything")
    {
        f.kube.fail(refusal("list", "", 403));
        f.running.emplace(f.ctx, ended(f.provider->run(f.seen)));
        CHECK(f.until([&] { return f.seen.lost; }));
        CHECK(f.seen.error == kube::errc::forbidden);
        CHECK_FALSE(f.seen.why.text().empty());
    }
}

TEST_CASE("kube provider: the last line", "[wake][kube_provider]")
{
    fixture f;
    f.put("web", 1, in_group);
    f.begin();
    auto const pod = [&](std::string const& status) {
        f.kube.put_object("pods", "shop", "web-1", "", R"({"kind":"Pod","metadata":{"name":"web-1","namespace":"shop","resourceVersion":"%RV%","labels":{"app":"web"}},"status":)" + status + "}");
    };
    SECTION("of a pod that runs is the one of its log")
    {
        pod(R"({"containerStatuses":[{"name":"c","state":{"running":{}}}]})");
        f.kube.put_object("pods/log", "shop", "web-1", "", "listening on 8080\n");
        CHECK(f.last_line(f.web()) == "listening on 8080");
    }
    SECTION("of a pod that has crashed is behind the reason")
    {
        pod(R"({"containerStatuses":[{"name":"c","state":{"terminated":{"exitCode":3,"reason":"Error"}}}]})");
        CHECK(f.last_line(f.web()) == "container c: Error (exit code 3)"); // the log may not be read
        f.kube.put_object("pods/log", "shop", "web-1", "", "no database\n");
        CHECK(f.last_line(f.web()) == "container c: Error (exit code 3): no database");
    }
    SECTION("without pods is the newest warning")
    {
        CHECK(f.last_line(f.web()).empty());
        auto const event = [&](std::string const& name, std::string const& when, std::string const& message) {
            f.kube.put_object("events", "shop", name, "", R"({"kind":"Event","metadata":{"name":")" + name + R"("},"lastTimestamp":")" + when + R"(","reason":"FailedCreate","message":")" + message + "\"}");
        };
        event("a", "2026-01-01T00:00:02Z", "exceeded\\nquota");
        event("b", "2026-01-01T00:00:01Z", "older");
        CHECK(f.last_line(f.web()) == "FailedCreate: exceeded quota");
    }
}
