#include <podproxy/kube/watch_client.hpp>
#include <podproxy/proxy/direct_dialer.hpp>

#include <fakes/fake_kube_server.hpp>
#include <unit/support/poll_until.hpp>
#include <unit/support/spawned.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

// How a watch goes on through every kind of end is told by the tests of service_client, which is made of one.

using namespace podproxy;
using namespace std::chrono_literals;
using test::kube_fault;
using test::poll_until;
using test::spawned;

namespace {

struct book final : kube::watch_observer {
    std::error_code on_list(json::value list) override
    {
        said.push_back("list of " + std::to_string(list["items"].items().size()));
        return std::exchange(refuse, {});
    }
    std::error_code on_event(kube::watch_line const& event) override
    {
        bool const gone = event.what == kube::watch_event::kind::deleted;
        said.push_back((gone ? "gone " : "changed ") + std::string(event.object["metadata"]["name"].text_or("?")));
        return std::exchange(refuse, {});
    }
    void on_watching() override { said.push_back("watching"); }
    void on_gap(std::error_code ec, diagnostics const&) override { said.push_back("gap " + (ec ? ec.message() : std::string("in order"))); }

    bool has(std::string const& what) const { return std::find(said.begin(), said.end(), what) != said.end(); }
    std::vector<std::string> said;
    std::error_code refuse; ///< the answer to the next
};

/// What the coroutine returned, as the error of a result.
net::awaitable<result<void>> outcome(net::awaitable<std::error_code> work)
{
    co_return co_await std::move(work);
}

struct fixture {
    fixture()
    {
        put("a");
        kube::api_config a;
        a.name = "kube";
        a.server = host_port("127.0.0.1", server.port());
        a.tls = false;
        diagnostics why;
        api = std::move(*kube::api_client::create(ctx.get_executor(), direct, std::move(a), why));
        kube::watch_config c;
        c.first_backoff = 1ms;
        c.most_backoff = 10ms;
        watch = std::make_unique<kube::watch_client>(ctx.get_executor(), *api, "/api/v1/namespaces/shop/pods", seen, c);
    }
    ~fixture()
    {
        if (!running) return;
        running->cancel();
        poll_until(ctx, [&] { return running->done(); });
    }
    void begin() { running.emplace(ctx, outcome(watch->run())); }
    bool until(std::string const& what)
    {
        return poll_until(ctx, [&] { return seen.has(what); });
    }
    void put(std::string const& name)
    {
        server.put_object("pods", "shop", name, "", R"({"kind":"Pod","metadata":{"name":")" + name + R"(","namespace":"shop","resourceVersion":"%RV%"}})");
    }
    void fail(std::string verb, int code, int times = -1)
    {
        kube_fault f;
        f.verb = std::move(verb);
        f.code = code;
        f.times = times;
        server.fail(std::move(f));
    }

    test::fake_kube_server server;
    asio::io_context ctx{1};
    proxy::direct_dialer direct;
    book seen;
    std::unique_ptr<kube::api_client> api;
    std::unique_ptr<kube::watch_client> watch;
    std::optional<spawned<result<void>>> running;
};

} // namespace

TEST_CASE("watch client: a list, then every change", "[kube][watch_client]")
{
    fixture f;
    f.begin();
    REQUIRE(f.until("watching"));
    f.put("b");
    REQUIRE(f.until("changed b"));
    f.server.delete_object("pods", "shop", "a");
    REQUIRE(f.until("gone a"));
    CHECK(f.seen.said == std::vector<std::string>{"list of 1", "watching", "changed b", "gone a"});
}

TEST_CASE("watch client: a list that fails is tried again", "[kube][watch_client]")
{
    fixture f;
    f.fail("list", 500, 3);
    f.begin();
    REQUIRE(f.until("watching"));
    CHECK(f.seen.said.front().starts_with("gap the API server answered with an error"));
    CHECK(f.seen.said.size() == 5);
}

TEST_CASE("watch client: what is not allowed ends it", "[kube][watch_client]")
{
    for (auto const& [verb, code] : {std::pair("list", 403), std::pair("list", 404), std::pair("watch", 403)}) {
        fixture f;
        f.fail(verb, code);
        f.begin();
        REQUIRE(poll_until(f.ctx, [&] { return f.running->done(); }));
        CHECK(f.running->error() == (code == 403 ? kube::errc::forbidden : kube::errc::not_found));
    }
}

TEST_CASE("watch client: an observer that does not understand has it told anew", "[kube][watch_client]")
{
    fixture f;
    f.begin();
    REQUIRE(f.until("watching"));
    f.seen.refuse = kube::errc::bad_answer;
    f.put("b");
    REQUIRE(f.until("list of 2"));
    CHECK(f.seen.has("gap the API server's answer could not be understood"));
}

TEST_CASE("watch client: forgotten, it ends with the next event", "[kube][watch_client]")
{
    fixture f;
    f.begin();
    REQUIRE(f.until("watching"));
    f.watch->forget();
    f.put("b");
    REQUIRE(poll_until(f.ctx, [&] { return f.running->done(); }));
    CHECK_FALSE(f.running->error());
}

TEST_CASE("watch client: cancelled, it ends without a word", "[kube][watch_client]")
{
    fixture f;
    f.begin();
    REQUIRE(f.until("watching"));
    f.running->cancel();
    REQUIRE(poll_until(f.ctx, [&] { return f.running->done(); }));
    CHECK(f.running->error() == asio::error::operation_aborted);
    CHECK_FALSE(f.seen.said.back().starts_with("gap"));
}
