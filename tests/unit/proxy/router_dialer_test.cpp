#include <podproxy/proxy/router_dialer.hpp>

#include <unit/support/poll_until.hpp>
#include <unit/support/scripted_dialer.hpp>
#include <unit/support/spawned.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

using namespace podproxy;
using test::poll_until;
using test::spawned;

namespace {

net::awaitable<result<void>> joined(proxy::router_dialer& r)
{
    co_await r.join();
    co_return result<void>{};
}

/// Clusters whose API servers can't be reached: what they are asked shows where a name went.
struct fixture {
    fixture() : direct(ctx), api(ctx), router(direct) {}
    ~fixture()
    {
        router.close();
        spawned<result<void>> j(ctx, joined(router));
        poll_until(ctx, [&] { return j.done(); });
    }
    bool add(std::string name, std::string ns = "default")
    {
        kube::cluster_config c;
        c.api.name = name;
        c.api.server = host_port(name + ".api.test", 80);
        c.api.tls = false;
        c.default_namespace = std::move(ns);
        diagnostics ignored;
        auto made = kube::cluster_dialer::create(ctx.get_executor(), api, std::move(c), logger(), ignored);
        REQUIRE(made);
        return router.add(std::move(*made));
    }
    /// Dial, and say what the API server was asked first; empty where none was asked.
    std::string asked(std::string host, std::uint16_t port = 80)
    {
        why.clear();
        dial.emplace(ctx, router.dial(host_port(std::move(host), port), why));
        dial->run();
        for (std::size_t i = 0; i < api.peers.size(); ++i) {
            std::string const text = api.peers[i]->take();
            if (text.empty()) continue;
            api.peers[i]->send(404, test::status_json(404, "no"));
            poll_until(ctx, [&] { return dial->done(); });
            return api.asked[i].host + " " + text.substr(0, text.find(" HTTP/1.1"));
        }
        return {};
    }

    asio::io_context ctx{1};
    test::scripted_dialer direct;
    test::scripted_dialer api;
    proxy::router_dialer router;
    diagnostics why;
    std::optional<spawned<result<net::any_stream>>> dial;
};

} // namespace

TEST_CASE("router dialer: without clusters everything goes on directly", "[proxy][router_dialer]")
{
    fixture f;
    for (char const* host : {"web.shop.kube", "example.com", "127.0.0.1", "::1", "localhost"}) {
        CHECK(f.asked(host).empty());
        CHECK(f.direct.asked.back() == host_port(host, 80));
        REQUIRE(f.dial->done());
        CHECK(f.dial->value());
        CHECK(f.router.way_of(host_port(host, 80)) == "direct");
    }
    CHECK(f.why.empty());
}

TEST_CASE("router dialer: names of a cluster go into it", "[proxy][router_dialer]")
{
    fixture f;
    REQUIRE(f.add("kube", "shop"));
    REQUIRE(f.add("prod.example.com"));
    CHECK(f.asked("web.kube") == "kube.api.test GET /api/v1/namespaces/shop/services/web");
    CHECK(f.why.message == "Service shop/web does not exist in cluster kube: check the name and the namespace");
    CHECK(f.dial->error() == kube::errc::not_found);
    CHECK(f.asked("web.till.kube") == "kube.api.test GET /api/v1/namespaces/till/services/web");
    CHECK(f.asked("WEB.Till.KUBE.svc.cluster.local.") == "kube.api.test GET /api/v1/namespaces/till/services/web");
    CHECK(f.asked("web.prod.example.com") == "prod.example.com.api.test GET /api/v1/namespaces/default/services/web");
    CHECK(f.asked("db-0.db.shop.kube") == "kube.api.test GET /api/v1/namespaces/shop/pods/db-0/portforward");
    CHECK(f.direct.asked.empty());
    CHECK(f.router.way_of(host_port("web.kube", 80)) == "kube");
    CHECK(f.router.way_of(host_port("db-0.db.shop.kube", 80)) == "kube");
    CHECK(f.router.way_of(host_port("a.b.prod.example.com", 80)) == "prod.example.com");
}

TEST_CASE("router dialer: everything else goes on directly", "[proxy][router_dialer]")
{
    fixture f;
    REQUIRE(f.add("kube"));
    for (char const* host : {"example.com", "kube", "kube.example.com", "webkube", "10.0.0.1", "::1", "fe80::1%eth0", "localhost"}) {
        INFO(host);
        CHECK(f.asked(host, 8080).empty());
        CHECK(f.direct.asked.back() == host_port(host, 8080));
        CHECK(f.router.way_of(host_port(host, 8080)) == "direct");
    }
    SECTION("with its errors")
    {
        f.direct.failures = {make_error_code(asio::error::host_not_found)};
        f.direct.say = "no such host";
        CHECK(f.asked("example.com").empty());
        CHECK(f.dial->error() == cond::not_found);
        CHECK(f.why.message == "no such host");
    }
}

TEST_CASE("router dialer: a bad name of a cluster is refused and asked for nowhere", "[proxy][router_dialer]")
{
    fixture f;
    REQUIRE(f.add("kube"));
    struct row {
        char const* host;
        route::errc expected;
    };
    for (row const& r : {row{"a.b.c.d.kube", route::errc::too_many_parts}, row{"we_b.shop.kube", route::errc::bad_part}, row{".kube", route::errc::bad_part},
                         row{"web..kube", route::errc::bad_part}, row{"a/b.shop.kube", route::errc::bad_part}}) {
        INFO(r.host);
        CHECK(f.asked(r.host).empty());
        REQUIRE(f.dial->done());
        CHECK(f.dial->error() == r.expected);
        CHECK(f.why.message.starts_with(std::string(r.host) + ": "));
        CHECK(f.router.way_of(host_port(r.host, 80)) == "nowhere");
    }
    CHECK(f.direct.asked.empty());
}

TEST_CASE("router dialer: a cluster whose name is taken or impossible is not added", "[proxy][router_dialer]")
{
    fixture f;
    CHECK(f.add("kube", "first"));
    CHECK_FALSE(f.add("kube", "second"));
    CHECK_FALSE(f.add("KUBE"));
    CHECK_FALSE(f.add("a b"));
    CHECK_FALSE(f.add(".kube"));
    CHECK(f.add("arn:aws:eks:eu-central-1:1:cluster/x"));
    CHECK(f.router.names().size() == 2);
    CHECK(f.asked("web.kube") == "kube.api.test GET /api/v1/namespaces/first/services/web");
    CHECK(f.asked("web.arn:aws:eks:eu-central-1:1:cluster/x").starts_with("arn:aws:eks"));
}

TEST_CASE("router dialer: aliases lead to their cluster, until it is taken away", "[proxy][router_dialer]")
{
    fixture f;
    REQUIRE(f.add("arn:aws:eks:eu:1:cluster/prod"));
    REQUIRE(f.add("staging"));
    CHECK(f.router.add_alias("prod", "arn:aws:eks:eu:1:cluster/prod"));
    CHECK_FALSE(f.router.add_alias("staging", "arn:aws:eks:eu:1:cluster/prod")); // taken
    CHECK_FALSE(f.router.add_alias("x", "nowhere"));
    CHECK(f.asked("web.shop.prod") == "arn:aws:eks:eu:1:cluster/prod.api.test GET /api/v1/namespaces/shop/services/web");
    CHECK(f.router.way_of(host_port("web.prod", 80)) == "arn:aws:eks:eu:1:cluster/prod");

    auto const gone = f.router.remove("arn:aws:eks:eu:1:cluster/prod");
    REQUIRE(gone);
    CHECK(f.router.way_of(host_port("web.prod", 80)) == "direct");
    CHECK(f.router.way_of(host_port("web.staging", 80)) == "staging");
    CHECK_FALSE(f.router.remove("arn:aws:eks:eu:1:cluster/prod"));
    CHECK(f.router.add_alias("prod", "staging"));
    gone->close();
    spawned<result<void>> j(f.ctx, [](kube::cluster_dialer& c) -> net::awaitable<result<void>> {
        co_await c.join();
        co_return result<void>{};
    }(*gone));
    CHECK(poll_until(f.ctx, [&] { return j.done(); }));
}

TEST_CASE("router dialer: a dial goes on in a cluster that is taken away meanwhile", "[proxy][router_dialer]")
{
    fixture f;
    REQUIRE(f.add("kube"));
    f.dial.emplace(f.ctx, f.router.dial(host_port("web.shop.kube", 80), f.why));
    f.dial->run();
    auto gone = f.router.remove("kube");
    REQUIRE(f.api.peers.size() == 1);
    CHECK_FALSE(f.dial->done());
    f.api.last().send(404, test::status_json(404, "no such service"));
    CHECK(poll_until(f.ctx, [&] { return f.dial->done(); }));
    CHECK(f.dial->error() == kube::errc::not_found);
    CHECK(gone.use_count() == 1);
    gone->close();
    spawned<result<void>> j(f.ctx, [](kube::cluster_dialer& c) -> net::awaitable<result<void>> {
        co_await c.join();
        co_return result<void>{};
    }(*gone));
    CHECK(poll_until(f.ctx, [&] { return j.done(); }));
}

TEST_CASE("router dialer: names as pods use them go to the default cluster", "[proxy][router_dialer]")
{
    fixture f;
    REQUIRE(f.add("prod"));
    CHECK(f.router.set_default_cluster("prod"));
    CHECK(f.asked("web.shop.svc.cluster.local") == "prod.api.test GET /api/v1/namespaces/shop/services/web");
    CHECK_FALSE(f.router.set_default_cluster("gone"));
    f.dial.emplace(f.ctx, f.router.dial(host_port("web.shop.svc.cluster.local", 80), f.why));
    f.dial->run();
    CHECK(f.dial->error() == kube::errc::unknown_cluster);
    CHECK(f.why.message == "there is no cluster gone, the default for names that end in .svc.cluster.local");
}
