#include <podproxy/kube/lease_client.hpp>
#include <podproxy/proxy/direct_dialer.hpp>

#include <fakes/fake_kube_server.hpp>
#include <unit/support/poll_until.hpp>
#include <unit/support/spawned.hpp>

#include <catch2/catch_test_macros.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
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

namespace {

net::awaitable<result<void>> ended(net::awaitable<void> work)
{
    co_await std::move(work);
    co_return result<void>{};
}

/// One of the programs that want to lead.
struct contender {
    contender(asio::io_context& c, test::fake_kube_server& kube, std::string identity, std::string name = "wake") : ctx(c)
    {
        kube::api_config a;
        a.name = "kube";
        a.server = host_port("127.0.0.1", kube.port());
        a.tls = false;
        a.answer_limit = 2s;
        diagnostics why;
        api = std::move(*kube::api_client::create(ctx.get_executor(), direct, std::move(a), why));
        kube::lease_config l;
        l.ns = "shop";
        l.name = std::move(name);
        l.identity = std::move(identity);
        l.duration = 1s;
        l.renew_every = 50ms;
        lease = std::make_unique<kube::lease_client>(ctx.get_executor(), *api, l, logger());
    }
    ~contender() { stop(); }
    void begin() { running.emplace(ctx, ended(lease->run())); }
    void stop()
    {
        if (!running) return;
        running->cancel();
        poll_until(ctx, [&] { return running->done(); });
        running.reset();
    }
    void release()
    {
        stop();
        spawned<result<void>> s(ctx, ended(lease->release()));
        poll_until(ctx, [&] { return s.done(); });
    }
    bool leads(std::chrono::milliseconds limit = 5s)
    {
        return poll_until(ctx, [&] { return lease->leading(); }, limit);
    }
    std::vector<std::string> notes()
    {
        diagnostics why;
        spawned<result<std::vector<kube::lease_client::note>>> s(ctx, lease->notes_of_others(why));
        poll_until(ctx, [&] { return s.done(); });
        std::vector<std::string> out;
        if (s.value())
            for (auto const& n : *s.value()) out.push_back(n.identity + ": " + n.text);
        return out;
    }

    asio::io_context& ctx;
    proxy::direct_dialer direct;
    std::unique_ptr<kube::api_client> api;
    std::unique_ptr<kube::lease_client> lease;
    std::optional<spawned<result<void>>> running;
};

kube_fault refusal(int code, std::string verb = "")
{
    kube_fault f;
    f.verb = std::move(verb);
    f.resource = "leases";
    f.code = code;
    return f;
}

std::string holder(test::fake_kube_server const& kube)
{
    auto const text = kube.object_json("leases", "shop", "wake");
    return text.empty() ? "(none)" : nlohmann::json::parse(text)["spec"].value("holderIdentity", "");
}

} // namespace

TEST_CASE("lease client: without a name there is no election", "[kube][lease_client]")
{
    test::fake_kube_server kube;
    asio::io_context ctx(1);
    contender one(ctx, kube, "one", "");
    CHECK(one.lease->leading());
    one.begin();
    CHECK(poll_until(ctx, [&] { return one.running->done(); }));
    CHECK(one.lease->leading());
    CHECK(one.notes().empty());
    CHECK(kube.counters().requests == 0);
}

TEST_CASE("lease client: the first leads, and the next only when it has gone", "[kube][lease_client]")
{
    test::fake_kube_server kube;
    asio::io_context ctx(1);
    contender one(ctx, kube, "one");
    contender two(ctx, kube, "two");
    CHECK_FALSE(one.lease->leading());
    one.begin();
    REQUIRE(one.leads());
    CHECK(holder(kube) == "one");
    two.begin();
    CHECK(poll_until(ctx, [&] { return two.lease->leader() == "one"; }));
    CHECK_FALSE(two.leads(150ms));
    SECTION("giving it back")
    {
        one.release();
        CHECK_FALSE(one.lease->leading());
        CHECK(two.leads(900ms)); // sooner than the lease would have ended
    }
    SECTION("without a word")
    {
        auto const before = net::clock::now();
        one.stop();
        CHECK(two.leads());
        CHECK(net::clock::now() - before > 700ms);
        CHECK_FALSE(one.lease->leading()); // it knows by itself
    }
    CHECK(holder(kube) == "two");
    CHECK(nlohmann::json::parse(kube.object_json("leases", "shop", "wake"))["spec"]["leaseTransitions"] >= 1);
}

TEST_CASE("lease client: a leader that can't renew stops leading before another may begin", "[kube][lease_client]")
{
    test::fake_kube_server kube;
    asio::io_context ctx(1);
    contender one(ctx, kube, "one");
    one.begin();
    REQUIRE(one.leads());
    kube.fail(refusal(500, "patch"));
    auto const before = net::clock::now();
    CHECK(poll_until(ctx, [&] { return !one.lease->leading(); }, 5s));
    CHECK(net::clock::now() - before < 1s);
    kube.heal();
    CHECK(one.leads());
}

TEST_CASE("lease client: a Lease that is there without our label is used as it is", "[kube][lease_client]")
{
    test::fake_kube_server kube;
    kube.put_object("leases", "shop", "wake", "",
                    R"({"kind":"Lease","metadata":{"name":"wake","namespace":"shop","resourceVersion":"%RV%","labels":{"mine":"yes"}},"spec":{}})");
    asio::io_context ctx(1);
    contender one(ctx, kube, "one");
    one.begin();
    REQUIRE(one.leads());
    auto const labels = nlohmann::json::parse(kube.object_json("leases", "shop", "wake"))["metadata"]["labels"];
    CHECK(labels["mine"] == "yes");
    CHECK(labels["podproxy.wake/lease"] == "wake");
}

TEST_CASE("lease client: a holder that nobody has seen for hours is not waited for", "[kube][lease_client]")
{
    test::fake_kube_server kube;
    kube.put_object("leases", "shop", "wake", "",
                    R"({"kind":"Lease","metadata":{"name":"wake","namespace":"shop","resourceVersion":"%RV%","labels":{"podproxy.wake/lease":"wake"}},
                        "spec":{"holderIdentity":"old","leaseDurationSeconds":3600,"renewTime":"2020-01-01T00:00:00.000000Z"}})");
    asio::io_context ctx(1);
    contender one(ctx, kube, "one");
    one.begin();
    CHECK(one.leads(1s));
}

TEST_CASE("lease client: where Leases are not allowed it acts alone", "[kube][lease_client]")
{
    test::fake_kube_server kube;
    kube.fail(refusal(403));
    asio::io_context ctx(1);
    contender one(ctx, kube, "one");
    one.begin();
    CHECK(one.leads());
    one.lease->set_note("busy");
    CHECK(one.notes().empty());
}

TEST_CASE("lease client: what one tells the others read, until it is taken back", "[kube][lease_client]")
{
    test::fake_kube_server kube;
    asio::io_context ctx(1);
    contender one(ctx, kube, "one");
    contender two(ctx, kube, "Host_2.example");
    CHECK(two.lease->identity() == "host-2-example"); // it becomes part of a name
    one.begin();
    two.begin();
    two.lease->set_note("shop\nblog");
    REQUIRE(poll_until(ctx, [&] { return !one.notes().empty(); }));
    CHECK(one.notes() == std::vector<std::string>{"host-2-example: shop\nblog"});
    CHECK(two.notes().empty()); // its own is none of the others'
    SECTION("taken back")
    {
        two.lease->set_note("");
        CHECK(poll_until(ctx, [&] { return one.notes().empty(); }));
        CHECK(kube.object_json("leases", "shop", "wake-host-2-example").empty());
    }
    SECTION("released")
    {
        two.release();
        CHECK(one.notes().empty());
        CHECK(kube.object_json("leases", "shop", "wake-host-2-example").empty());
    }
    SECTION("gone without a word: believed until its time has passed")
    {
        two.stop();
        CHECK(one.notes().size() == 1);
        CHECK(poll_until(ctx, [&] { return one.notes().empty(); }, 5s));
    }
}

TEST_CASE("lease client: every identity that is made up is another one", "[kube][lease_client]")
{
    test::fake_kube_server kube;
    asio::io_context ctx(1);
    contender one(ctx, kube, "");
    contender two(ctx, kube, "");
    CHECK_FALSE(one.lease->identity().empty());
    CHECK(one.lease->identity() != two.lease->identity());
}
