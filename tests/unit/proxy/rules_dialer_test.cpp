#include <podproxy/proxy/rules_dialer.hpp>

#include <podproxy/http/gateway_error.hpp>
#include <podproxy/socks5/reply.hpp>

#include <unit/support/poll_until.hpp>
#include <unit/support/scripted_dialer.hpp>
#include <unit/support/spawned.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace podproxy;
using test::poll_until;
using test::spawned;

namespace {

net::awaitable<result<void>> joined(proxy::router_dialer& r)
{
    co_await r.join();
    co_return result<void>{};
}

route::rule rule(std::string to, std::string_view via)
{
    route::rule r;
    r.to = *route::parse_destination_pattern(to);
    r.text = std::move(to);
    REQUIRE(route::read_way(via, r));
    return r;
}

struct fixture {
    fixture() : direct(ctx), passed(ctx), api(ctx), router(passed), rules(direct, router)
    {
        kube::cluster_config c;
        c.api.name = "staging";
        c.api.server = host_port("staging.api.test", 80);
        c.api.tls = false;
        diagnostics ignored;
        auto made = kube::cluster_dialer::create(ctx.get_executor(), api, std::move(c), logger(), ignored);
        REQUIRE(made);
        REQUIRE(router.add(std::move(*made)));
        REQUIRE(router.add_alias("stg", "staging"));
    }
    ~fixture()
    {
        router.close();
        spawned<result<void>> j(ctx, joined(router));
        poll_until(ctx, [&] { return j.done(); });
    }
    void set(std::vector<route::rule> list) { REQUIRE(rules.set_rules(std::move(list), why)); }
    void dial(std::string host, std::uint16_t port = 80)
    {
        why.clear();
        last.emplace(ctx, rules.dial(host_port(std::move(host), port), why));
        last->run();
    }
    /// What the API server is asked first.
    std::string asked(std::string host)
    {
        dial(std::move(host));
        for (auto& peer : api.peers) {
            std::string const text = peer->take();
            if (text.empty()) continue;
            peer->send(404, test::status_json(404, "no"));
            poll_until(ctx, [&] { return last->done(); });
            return text.substr(0, text.find(" HTTP/1.1"));
        }
        return {};
    }

    asio::io_context ctx{1};
    test::scripted_dialer direct;
    test::scripted_dialer passed; ///< what the router finds in no cluster
    test::scripted_dialer api;
    proxy::router_dialer router;
    proxy::rules_dialer rules;
    diagnostics why;
    std::optional<spawned<result<net::any_stream>>> last;
};

} // namespace

TEST_CASE("rules dialer: without rules the router decides", "[proxy]")
{
    fixture f;
    f.dial("example.com");
    CHECK(f.passed.asked == std::vector{host_port("example.com", 80)});
    CHECK(f.asked("web.shop.staging") == "GET /api/v1/namespaces/shop/services/web");
}

TEST_CASE("rules dialer: a block says which rule it was", "[proxy]")
{
    fixture f;
    f.set({rule("ok.corp.example", "direct"), rule("*.corp.example", "block"), rule("10.0.0.0/8", "block")});
    f.dial("a.corp.example", 443);
    REQUIRE(f.last->done());
    auto const ec = f.last->value().error();
    CHECK(ec == route::errc::blocked);
    CHECK(f.why.message == "rule 2 (to: *.corp.example) blocks a.corp.example:443");
    CHECK(socks5::reply_code_for(ec) == socks5::reply_code::not_allowed);
    CHECK(http::classify_gateway_error(ec).status == 403);
    CHECK(http::classify_gateway_error(ec).error == "http_request_denied");
    f.dial("10.1.2.3");
    CHECK(f.last->value().error() == route::errc::blocked);
    f.dial("ok.corp.example");
    CHECK(f.direct.asked == std::vector{host_port("ok.corp.example", 80)});
    CHECK(f.passed.asked.empty());
}

TEST_CASE("rules dialer: a proxy for everything leaves the clusters alone", "[proxy]")
{
    fixture f;
    f.set({rule("*", "http://ann:sesame@proxy.test:3128")});
    f.dial("example.com", 443);
    CHECK(f.direct.asked == std::vector{host_port("proxy.test", 3128)});
    std::string const request = f.direct.last().take();
    CHECK(request.starts_with("CONNECT example.com:443 HTTP/1.1\r\n"));
    CHECK(request.find("Proxy-Authorization: Basic ") != std::string::npos);
    // Other rules do not disturb a dial that has begun.
    f.set({rule("*", "block")});
    f.direct.last().send("HTTP/1.1 200 OK\r\n\r\n");
    REQUIRE(poll_until(f.ctx, [&] { return f.last->done(); }));
    CHECK(f.last->value());
    CHECK(f.why.message == "via http://proxy.test:3128");
    CHECK(f.asked("web.shop.staging") == "GET /api/v1/namespaces/shop/services/web");
}

TEST_CASE("rules dialer: SOCKS5", "[proxy]")
{
    fixture f;
    f.set({rule("*.onion", "socks5://proxy.test")});
    f.dial("a.onion");
    CHECK(f.direct.asked == std::vector{host_port("proxy.test", 1080)});
    CHECK(f.direct.last().take() == std::string("\x05\x01\x00", 3));
}

TEST_CASE("rules dialer: names of a cluster, when a rule says so", "[proxy]")
{
    fixture f;
    f.set({rule("*.shop.staging", "block"), rule("*.staging", "direct")});
    f.dial("web.shop.staging");
    CHECK(f.last->value().error() == route::errc::blocked);
    f.dial("web.cache.staging");
    CHECK(f.direct.asked == std::vector{host_port("web.cache.staging", 80)});
}

TEST_CASE("rules dialer: names that go into a cluster", "[proxy]")
{
    fixture f;
    f.set({rule("*.svc.cluster.local", "stg"), rule("db.shop", "staging"), rule("*.cache.staging", "stg")});
    SECTION("as pods call them") { CHECK(f.asked("web.shop.svc.cluster.local") == "GET /api/v1/namespaces/shop/services/web"); }
    SECTION("any name") { CHECK(f.asked("db.shop") == "GET /api/v1/namespaces/shop/services/db"); }
    SECTION("one that has its cluster already") { CHECK(f.asked("web.cache.staging") == "GET /api/v1/namespaces/cache/services/web"); }
    CHECK(f.rules.unknown_clusters().empty());
}

TEST_CASE("rules dialer: what can't go into a cluster", "[proxy]")
{
    fixture f;
    f.set({rule("10.0.0.0/8", "staging"), rule("*.prod", "production")});
    CHECK(f.rules.unknown_clusters() == std::vector<std::string>{"production"});
    f.dial("10.0.0.1");
    CHECK(f.last->value().error() == route::errc::not_in_cluster);
    CHECK(f.why.message == "rule 1 (to: 10.0.0.0/8) sends it to cluster staging: an address can't be reached in a cluster: use the name of a Service");
    f.dial("web.prod");
    CHECK(f.last->value().error() == kube::errc::unknown_cluster);
    CHECK(f.why.message == "rule 2 (to: *.prod) sends it to cluster production, which is not there");
}

TEST_CASE("rules dialer: a proxy that is no URL changes nothing", "[proxy]")
{
    fixture f;
    f.set({rule("*", "block")});
    CHECK(f.rules.set_rules({rule("*", "ftp://proxy")}, f.why).error() == upstream::errc::bad_url);
    CHECK(f.rules.size() == 1);
    f.dial("example.com");
    CHECK(f.last->value().error() == route::errc::blocked);
}
