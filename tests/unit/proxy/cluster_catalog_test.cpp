#include <podproxy/proxy/cluster_catalog.hpp>

#include <fakes/fake_files.hpp>
#include <unit/support/poll_until.hpp>
#include <unit/support/scripted_dialer.hpp>
#include <unit/support/spawned.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace podproxy;
using test::poll_until;
using test::spawned;
using names = std::vector<std::string>;

namespace {

kube::cluster_context context(std::string name, std::string server = "http://api.test:80")
{
    kube::cluster_context c;
    c.name = std::move(name);
    c.cluster.server = std::move(server);
    c.ns = "shop";
    c.file = "/k/config";
    return c;
}

struct fixture {
    fixture() : direct(ctx), router(direct), catalog(ctx.get_executor(), direct, router, logger()) {}
    ~fixture()
    {
        router.close();
        catalog.close();
        spawned<result<void>> j(ctx, joined());
        poll_until(ctx, [&] { return j.done(); });
    }
    net::awaitable<result<void>> joined()
    {
        co_await catalog.join();
        co_await router.join();
        co_return result<void>{};
    }
    void apply(std::vector<kube::cluster_context> contexts, proxy::cluster_catalog_config config = {}) { catalog.apply(contexts, config, files); }
    proxy::catalog_entry const& entry(std::string const& name)
    {
        auto const it = std::ranges::find(catalog.entries(), name, &proxy::catalog_entry::context);
        REQUIRE(it != catalog.entries().end());
        return *it;
    }
    std::string way(std::string host) const { return router.way_of(host_port(std::move(host), 80)); }

    asio::io_context ctx{1};
    test::fake_files files;
    test::scripted_dialer direct;
    proxy::router_dialer router;
    proxy::cluster_catalog catalog;
};

} // namespace

TEST_CASE("catalog: contexts become clusters, with what is known of them")
{
    fixture f;
    f.apply({context("staging"), context("prod", "ftp://x")});
    REQUIRE(f.catalog.entries().size() == 2);
    CHECK(f.entry("staging").names == names{"staging"});
    CHECK(f.entry("staging").file == "/k/config");
    CHECK(f.entry("staging").server == "http://api.test:80");
    CHECK(f.entry("staging").ns == "shop");
    CHECK(f.entry("staging").problem.empty());
    CHECK(f.entry("prod").names.empty());
    CHECK(f.entry("prod").problem == "the server 'ftp://x' is not an http:// or https:// URL");
    CHECK(f.way("web.staging") == "staging");
    CHECK(f.way("web.prod") == "direct");
    CHECK(f.catalog.find("staging"));
    CHECK_FALSE(f.catalog.find("prod"));
}

TEST_CASE("catalog: names that are no host labels get aliases, and settings may give more")
{
    fixture f;
    std::string const arn = "arn:aws:eks:eu:1:cluster/prod";
    proxy::cluster_catalog_config config;
    config.aliases = {{"prod", arn}, {"staging", arn}, {"x", "nowhere"}, {"bad name", arn}};
    f.apply({context(arn), context("staging")}, config);
    CHECK(f.entry(arn).names == names{"prod", "arn-aws-eks-eu-1-cluster-prod", arn});
    CHECK(f.entry("staging").names == names{"staging"});
    CHECK(f.way("web.prod") == arn);
    CHECK(f.way("web.shop.arn-aws-eks-eu-1-cluster-prod") == arn);
    CHECK(f.way("web.staging") == "staging");
}

TEST_CASE("catalog: aliases that would be the same have a hash, in whatever order they come")
{
    fixture f;
    f.apply({context("a:b"), context("a/b"), context("c@d")});
    auto const first = f.entry("a:b").names, second = f.entry("a/b").names;
    CHECK(first != second);
    CHECK(f.way("web.a-b") == "direct");
    CHECK(f.entry("c@d").names.front() == "c-d");
    f.apply({context("a/b"), context("a:b")});
    CHECK(f.entry("a:b").names == first);
    CHECK(f.entry("a/b").names == second);
}

TEST_CASE("catalog: what has not changed keeps its cluster; what has changed gets a new one; what is gone goes")
{
    fixture f;
    f.files.files["/k/token"] = "t";
    f.apply({context("a"), context("b"), context("c")});
    auto const a = f.catalog.find("a").get();
    auto const b = f.catalog.find("b").get();
    auto changed = context("b");
    changed.user.token = secret("new");
    f.apply({changed, context("a"), context("d")});
    CHECK(f.catalog.find("a").get() == a);
    CHECK(f.catalog.find("b").get() != b);
    CHECK_FALSE(f.catalog.find("c"));
    CHECK(f.catalog.find("d"));
    CHECK(f.way("x.c") == "direct");
    CHECK(f.way("x.d") == "d");
    CHECK(f.catalog.retired() == 2);
    CHECK(poll_until(f.ctx, [&] { return f.catalog.retired() == 0; }));
}

TEST_CASE("catalog: each setting that a cluster is made from is seen to change")
{
    fixture f;
    auto const original = context("a", "https://api.test");
    auto const same_after = [&](auto edit) {
        f.apply({original});
        auto const before = f.catalog.find("a");
        auto edited = original;
        edit(edited);
        f.apply({edited});
        return f.catalog.find("a") == before;
    };
    CHECK(same_after([](auto&) {}));
    CHECK(same_after([](auto& c) { c.file = "/elsewhere"; }));
    CHECK_FALSE(same_after([](auto& c) { c.cluster.server = "https://other.test"; }));
    CHECK_FALSE(same_after([](auto& c) { c.cluster.tls_server_name = "x"; }));
    CHECK_FALSE(same_after([](auto& c) { c.cluster.insecure_skip_tls_verify = true; }));
    CHECK_FALSE(same_after([](auto& c) { c.cluster.proxy_url = secret("http://p"); }));
    CHECK_FALSE(same_after([](auto& c) { c.ns = "other"; }));
    CHECK_FALSE(same_after([](auto& c) { c.user.token = secret("x"); }));
    CHECK_FALSE(same_after([](auto& c) { c.user.token_file = "/t"; }));
    CHECK_FALSE(same_after([](auto& c) { c.user.username = "x"; }));
    CHECK_FALSE(same_after([](auto& c) { c.user.password = secret("x"); }));
    CHECK_FALSE(same_after([](auto& c) { c.user.as.user = "x"; }));
    CHECK_FALSE(same_after([](auto& c) { c.user.as.uid = "x"; }));
    CHECK_FALSE(same_after([](auto& c) { c.user.as.groups = {"x"}; }));
    CHECK_FALSE(same_after([](auto& c) { c.user.as.extra = {{"x", {"y"}}}; }));
    CHECK_FALSE(same_after([](auto& c) { c.user.exec.emplace().command = "x"; }));
}

TEST_CASE("catalog: a cluster whose new settings are broken stays as it was, and says so")
{
    fixture f;
    f.apply({context("a")});
    auto const before = f.catalog.find("a");
    f.apply({context("a", "nonsense://")});
    CHECK(f.catalog.find("a") == before);
    CHECK_FALSE(f.entry("a").problem.empty());
    CHECK(f.way("web.a") == "a");
}

TEST_CASE("catalog: a new context gets its own name even if it was an alias before")
{
    fixture f;
    proxy::cluster_catalog_config config;
    config.aliases = {{"prod", "a"}};
    f.apply({context("a")}, config);
    CHECK(f.way("web.prod") == "a");
    f.apply({context("a"), context("prod")}, config);
    CHECK(f.way("web.prod") == "prod");
    CHECK(f.way("web.a") == "a");
}

TEST_CASE("catalog: the default cluster is a context's")
{
    fixture f;
    proxy::cluster_catalog_config config;
    config.default_cluster = "a";
    f.apply({context("a")}, config);
    CHECK(f.way("web.shop.svc.cluster.local") == "a");
    f.apply({context("a")});
    CHECK(f.way("web.shop.svc.cluster.local") == "direct");
}

TEST_CASE("catalog: a cluster that is gone is kept until its last dial has ended")
{
    fixture f;
    f.apply({context("a")});
    diagnostics why;
    spawned<result<net::any_stream>> dial(f.ctx, f.router.dial(host_port("web.a", 80), why));
    dial.run();
    REQUIRE(f.direct.peers.size() == 1);
    f.apply({});
    CHECK(f.catalog.retired() == 1);
    f.direct.last().send(404, test::status_json(404, "no"));
    CHECK(poll_until(f.ctx, [&] { return dial.done() && f.catalog.retired() == 0; }));
    CHECK(dial.error() == kube::errc::not_found);
}
