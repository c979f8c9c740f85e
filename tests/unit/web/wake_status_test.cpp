#include <podproxy/web/wake_status.hpp>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>
#include <podproxy/metrics/exposition.hpp>
#include <algorithm>
#include <chrono>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <fakes/fake_wake_provider.hpp>
#include <unit/metrics/text_parser.hpp>
#include <unit/support/poll_until.hpp>

using namespace podproxy;
using namespace std::chrono_literals;

namespace {

wall_time const now = parse_rfc3339("2026-11-21T13:52:08Z").value();

wake::member member(std::string name, wake::member_state state, wake::health_state health = wake::health_state::none)
{
    wake::member m;
    m.id = "id-" + name;
    m.name = std::move(name);
    m.state = state;
    m.health = health;
    m.labels = {{"podproxy.wake.group", "sh3cret"}};
    return m;
}

/// A group in each interesting state, and traffic of two of them.
web::wake_view view()
{
    web::wake_view v;
    wake::group_status shop;
    shop.name = "shop";
    shop.engine = "docker";
    shop.engine_reachable = true;
    shop.state = wake::group_state::idle;
    shop.idle_left = 252'400ms;
    shop.members = {member("shop-db-1", wake::member_state::running, wake::health_state::healthy), member("shop-web-1", wake::member_state::running)};
    shop.members[0].address = "172.17.0.2";
    shop.last_starts = {{now - 90s, 628ms, "192.0.2.7", ""}, {now - 26h, 2'000ms, "192.0.2.8", "shop-db-1: exit code 1: no space left"}};
    shop.starts = 2;
    shop.failed_starts = 1;
    shop.stops = 1;
    shop.start_times.add(628ms);
    wake::group_status blog;
    blog.name = "blog";
    blog.engine = "docker";
    blog.engine_reachable = true;
    blog.state = wake::group_state::waiting_for_health;
    blog.waiting = 2;
    blog.members = {member("blog", wake::member_state::running, wake::health_state::starting)};
    blog.last_starts = {{now - 3s, 0ms, "192.0.2.9", ""}};
    blog.starts = 1;
    wake::group_status old;
    old.name = "old";
    old.engine = "docker";
    old.engine_reachable = true;
    old.state = wake::group_state::failed;
    old.members = {member("old", wake::member_state::stopped)};
    old.members[0].exit_code = 137;
    old.last_starts = {{now - 3h, 10ms, "status page", "the image is gone"}};
    v.groups = {blog, old, shop};

    wake::traffic t;
    t.connections = 12;
    t.open = 1;
    t.to_client = 5'400'000;
    t.to_server = 900;
    t.count(wake::refusal::too_many_waiting);
    t.waits.add(640ms);
    v.by_group["shop"] = t;
    v.total = t;
    v.total.count(wake::refusal::source);
    v.total.count(wake::refusal::source);

    wake::port_status tcp;
    tcp.listen = host_port("", 8080);
    tcp.groups = {"shop", "blog"};
    wake::port_status udp;
    udp.protocol = wake::port_protocol::udp;
    udp.listen = host_port("127.0.0.1", 53);
    udp.groups = {"old"};
    udp.from_labels = true;
    v.ports = {tcp, udp};
    return v;
}

web::cell const& cell_at(web::page_content const& page, std::size_t section, std::size_t row, std::size_t column) { return page.sections.at(section).rows.at(row).cells.at(column); }

} // namespace

TEST_CASE("wake status: health is about wake-proxy, not about groups")
{
    auto v = view();
    CHECK(web::wake_health(v).ok);
    CHECK(web::wake_health(v).sentence == "3 groups, 1 of them awake.");
    v.ports[1].error = "address in use";
    CHECK_FALSE(web::wake_health(v).ok);
    CHECK(web::wake_health(v).sentence == "The port 127.0.0.1:53 is not open: address in use.");
    v = view();
    v.groups[1].engine_reachable = false;
    CHECK(web::wake_health(v).sentence == "The engine docker of the group old can't be reached.");
    CHECK(web::wake_health({}).sentence == "0 groups, 0 of them awake.");
}

TEST_CASE("wake status: the page tells what groups do")
{
    auto const page = web::wake_page(view(), now);
    for (auto const& s : page.sections)
        for (auto const& r : s.rows) CHECK(r.cells.size() == s.columns.size());
    CHECK(page.figures[0].value.text == "1 of 3");
    CHECK(page.figures[1].value.text == "2");
    CHECK(page.figures[4].value.text == "5.1 MiB");
    CHECK(page.figures[5].value.text == "3");

    CHECK(cell_at(page, 0, 2, 0).text == "shop");
    CHECK(cell_at(page, 0, 2, 1).text == "idle");
    CHECK(cell_at(page, 0, 2, 1).hint == "put to rest in 4m12s");
    CHECK(cell_at(page, 0, 2, 4).text == "12");
    CHECK(cell_at(page, 0, 2, 4).hint == "1 open");
    CHECK(cell_at(page, 0, 0, 1).tone == web::tone::busy);
    CHECK(cell_at(page, 0, 1, 1).tone == web::tone::bad);
    CHECK(cell_at(page, 0, 1, 1).hint == "the image is gone");

    auto lost = view();
    lost.groups[2].engine_reachable = false;
    CHECK(cell_at(web::wake_page(lost, now), 0, 2, 1).hint == "last known: docker can't be reached");
}

TEST_CASE("wake status: buttons fit the state of a group")
{
    auto v = view();
    auto const buttons = [&](wake::group_state s, std::size_t in_use = 0) {
        v.groups[0].state = s;
        v.groups[0].in_use = in_use;
        auto const page = web::wake_page(v, now);
        std::string out;
        for (auto const& b : page.sections[0].rows[0].buttons) out += b.action + (b.question.empty() ? " " : "? ");
        return out;
    };
    CHECK(buttons(wake::group_state::stopped) == "wake ");
    CHECK(buttons(wake::group_state::starting) == "stop ");
    CHECK(buttons(wake::group_state::waiting_for_health) == "stop ");
    CHECK(buttons(wake::group_state::running, 2) == "stop? ");
    CHECK(buttons(wake::group_state::idle) == "stop ");
    CHECK(buttons(wake::group_state::stopping) == "wake ");
    CHECK(buttons(wake::group_state::failed) == "wake stop ");
}

TEST_CASE("wake status: last starts of all groups, the newest first")
{
    auto const page = web::wake_page(view(), now);
    auto const& rows = page.sections[1].rows;
    REQUIRE(rows.size() == 4);
    auto const line = [&](std::size_t i) {
        std::string out;
        for (auto const& c : rows[i].cells) out += c.text + (c.hint.empty() ? "" : " (" + c.hint + ")") + " | ";
        return out;
    };
    CHECK(line(0) == "3s ago (13:52:05 UTC) | blog | 192.0.2.9 |  | under way | ");
    CHECK(line(1) == "1m30s ago (13:50:38 UTC) | shop | 192.0.2.7 | 628ms | ready | ");
    CHECK(line(2) == "3h ago (10:52:08 UTC) | old | status page | 10ms | failed (the image is gone) | ");
    CHECK(line(3) == "26h ago (2026-11-20 11:52:08 UTC) | shop | 192.0.2.8 | 2s | failed (shop-db-1: exit code 1: no space left) | ");

    web::wake_view many;
    for (int i = 0; i < 5; ++i) {
        wake::group_status g;
        g.name = std::to_string(i);
        for (int n = 0; n < 10; ++n) g.last_starts.push_back({now - std::chrono::days(3 + n), 1ms, "x", ""});
        many.groups.push_back(g);
    }
    CHECK(web::wake_page(many, now).sections[1].rows.size() == 20);
    CHECK(web::wake_page(many, now).sections[1].rows[0].cells[0].text == "3 days ago");
}

TEST_CASE("wake status: members and ports")
{
    auto const page = web::wake_page(view(), now);
    CHECK(cell_at(page, 2, 1, 2).hint == "exit code 137");
    CHECK(cell_at(page, 2, 1, 3).text == "no check");
    CHECK(cell_at(page, 2, 0, 3).text == "starting");
    CHECK(cell_at(page, 2, 2, 4).text == "172.17.0.2");
    CHECK(cell_at(page, 3, 0, 0).text == "*:8080/tcp");
    CHECK(cell_at(page, 3, 0, 1).text == "shop, blog");
    CHECK(cell_at(page, 3, 1, 0).text == "127.0.0.1:53/udp");
    CHECK(cell_at(page, 3, 1, 2).text == "labels");
    auto const empty = web::wake_page({}, now);
    for (auto const& s : empty.sections) {
        CHECK(s.rows.empty());
        CHECK_FALSE(s.when_empty.empty());
    }
}

TEST_CASE("wake status: JSON for programs, without labels")
{
    auto const told = web::wake_json(view());
    CHECK(told["groups"].size() == 3);
    auto const& shop = told["groups"][2];
    CHECK(shop["state"] == "idle");
    CHECK(shop["idleLeftSeconds"] == 252.4);
    CHECK(shop["members"][0]["health"] == "healthy");
    CHECK(shop["lastStarts"][0]["tookSeconds"] == 0.628);
    CHECK_FALSE(shop["lastStarts"][0].contains("error"));
    CHECK(shop["lastStarts"][1]["error"] == "shop-db-1: exit code 1: no space left");
    CHECK(shop["traffic"]["bytesToClient"] == 5'400'000);
    CHECK(shop["traffic"]["refused"]["too_many_waiting"] == 1);
    CHECK(told["groups"][0]["state"] == "waiting_for_health");
    CHECK(told["groups"][1]["members"][0]["exitCode"] == 137);
    CHECK(told["ports"][1]["protocol"] == "udp");
    CHECK(told["ports"][0]["groups"][1] == "blog");
    CHECK(told["total"]["refused"]["source"] == 2);
    CHECK(told.dump().find("sh3cret") == std::string::npos);
}

TEST_CASE("wake status: metrics hold in both formats, also without any group")
{
    for (auto const f : {metrics::format::prometheus, metrics::format::openmetrics}) {
        for (auto const& v : {web::wake_view{}, view()}) {
            metrics::exposition_writer w(f);
            web::write_wake_metrics(w, v);
            auto const read = test::parse_exposition(std::move(w).finish(), f);
            INFO(read.problem);
            CHECK(read.problem.empty());
            if (v.groups.empty()) continue;
            CHECK(read.value("podproxy_wake_group_state{group=\"shop\",state=\"idle\"}") == 1);
            CHECK(read.value("podproxy_wake_group_state{group=\"shop\",state=\"running\"}") == 0);
            CHECK(read.value("podproxy_wake_group_state{group=\"blog\",state=\"waiting_for_health\"}") == 1);
            CHECK(read.value("podproxy_wake_engine_up{engine=\"docker\"}") == 1);
            CHECK(read.value("podproxy_wake_port_open{protocol=\"udp\",address=\"127.0.0.1:53\"}") == 1);
            CHECK(read.value("podproxy_wake_waiting_clients{group=\"blog\"}") == 2);
            CHECK(read.value("podproxy_wake_starts_total{group=\"shop\",result=\"ready\"}") == 1);
            CHECK(read.value("podproxy_wake_starts_total{group=\"shop\",result=\"failed\"}") == 1);
            CHECK(read.value("podproxy_wake_start_duration_seconds_count{group=\"shop\"}") == 1);
            CHECK(read.value("podproxy_wake_start_duration_seconds_sum{group=\"shop\"}") == 0.628);
            CHECK(read.value("podproxy_wake_client_wait_seconds_count{group=\"shop\"}") == 1);
            CHECK(read.value("podproxy_wake_connections_total{group=\"shop\"}") == 12);
            CHECK(read.value("podproxy_wake_bytes_total{group=\"shop\",direction=\"to_client\"}") == 5'400'000);
            CHECK(read.value("podproxy_wake_refused_total{group=\"shop\",reason=\"too_many_waiting\"}") == 1);
            CHECK(read.value("podproxy_wake_refused_total{group=\"\",reason=\"source\"}") == 2);
            CHECK_FALSE(read.value("podproxy_wake_refused_total{group=\"\",reason=\"too_many_waiting\"}"));
        }
    }
}

TEST_CASE("wake status: of a server with an engine, from the first moment to a group that a button has woken and stopped")
{
    asio::io_context ctx;
    test::fake_wake_provider engine(ctx.get_executor());
    engine.put(test::fake_member("web", "shop"));
    wake::settings settings;
    settings.groups.emplace_back().name = "shop";
    wake::server server(ctx.get_executor(), settings, {&engine}, logger());
    web::wake_status status(server);
    CHECK(server.open().empty());
    CHECK_FALSE(status.check_health().ok); // nothing is known of the engine yet
    CHECK(status.status()["groups"][0]["engineReachable"] == false);

    asio::cancellation_signal stop;
    bool ended = false;
    asio::co_spawn(ctx, server.run(), asio::bind_cancellation_slot(stop.slot(), [&ended](std::exception_ptr) { ended = true; }));
    CHECK(test::poll_until(ctx, [&] { return status.check_health().ok; }));
    CHECK(status.check_health().sentence == "1 group, 0 of them awake.");
    CHECK(status.act("groups", "nobody", "wake") == web::action_result::no_such_thing);
    CHECK(status.act("groups", "shop", "paint") == web::action_result::no_such_thing);
    CHECK(status.act("clusters", "shop", "wake") == web::action_result::no_such_thing);
    CHECK(status.act("groups", "shop", "wake") == web::action_result::done);
    CHECK(test::poll_until(ctx, [&] { return status.status()["groups"][0]["state"] == "idle"; }));
    REQUIRE(status.page().sections[1].rows.size() == 1);
    CHECK(status.page().sections[1].rows[0].cells[2].text == "status page");
    metrics::exposition_writer w(metrics::format::prometheus);
    status.collect(w);
    auto const read = test::parse_exposition(std::move(w).finish(), metrics::format::prometheus);
    CHECK(read.problem.empty());
    CHECK(read.value("podproxy_wake_starts_total{group=\"shop\",result=\"ready\"}") == 1);
    CHECK(status.act("groups", "shop", "stop") == web::action_result::done);
    CHECK(test::poll_until(ctx, [&] { return status.status()["groups"][0]["state"] == "stopped"; }));

    stop.emit(asio::cancellation_type::terminal);
    CHECK(test::poll_until(ctx, [&] { return ended; }));
    bool drained = false;
    asio::co_spawn(ctx, server.drain(0ms), [&drained](std::exception_ptr) { drained = true; });
    CHECK(test::poll_until(ctx, [&] { return drained; }));
}
