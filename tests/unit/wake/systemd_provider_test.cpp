#include <podproxy/wake/systemd_provider.hpp>

#include <unit/support/poll_until.hpp>
#include <unit/support/spawned.hpp>

#include <catch2/catch_test_macros.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

// A real manager is asked by the integration tests; here is what its words mean, and what holds without one.

using namespace podproxy;
using wake::member_state;
using test::spawned;
using properties = wake::detail::unit_properties;

namespace {

wake::member unit_of(properties const& p, std::string unit = "web.service") { return wake::detail::describe_unit({"shop", std::move(unit)}, p); }

net::awaitable<result<void>> ended(net::awaitable<void> work)
{
    co_await std::move(work);
    co_return result<void>{};
}

struct book final : wake::member_observer {
    void on_snapshot(std::vector<wake::member> all) override { members = std::move(all); }
    void on_member(wake::member) override {}
    void on_removed(std::string_view) override {}
    void on_lost(std::error_code, diagnostics const& text) override { lost = text.text(); }
    std::optional<std::vector<wake::member>> members;
    std::string lost;
};

} // namespace

TEST_CASE("systemd provider: a name without a type is a service", "[wake][systemd_provider]")
{
    CHECK(wake::detail::unit_name("web") == "web.service");
    CHECK(wake::detail::unit_name(" web.socket ") == "web.socket");
    CHECK(wake::detail::unit_name("web@1.service") == "web@1.service");
}

TEST_CASE("systemd provider: states of units", "[wake][systemd_provider]")
{
    struct row {
        char const* active;
        char const* freezer;
        member_state state;
    };
    for (auto const& r : {row{"active", "running", member_state::running}, row{"active", "", member_state::running}, row{"active", "frozen", member_state::paused},
                          row{"active", "freezing", member_state::paused}, row{"active", "frozen-by-parent", member_state::paused},
                          row{"active", "thawing", member_state::running}, row{"reloading", "running", member_state::running},
                          row{"refreshing", "running", member_state::running}, row{"activating", "running", member_state::starting},
                          row{"deactivating", "running", member_state::stopping}, row{"inactive", "running", member_state::stopped},
                          row{"failed", "running", member_state::stopped}, row{"maintenance", "running", member_state::stopped}}) {
        INFO(r.active << ' ' << r.freezer);
        CHECK(unit_of({{"LoadState", "loaded"}, {"ActiveState", r.active}, {"FreezerState", r.freezer}}).state == r.state);
    }
    CHECK(unit_of({}).state == member_state::stopped); // not loaded: it does not run
    for (char const* const load : {"not-found", "masked", "bad-setting", "error"}) CHECK(unit_of({{"LoadState", load}}).state == member_state::dead);
    CHECK(unit_of({{"LoadState", "masked"}, {"ActiveState", "active"}}).state == member_state::running); // until it ends
}

TEST_CASE("systemd provider: how a unit has ended", "[wake][systemd_provider]")
{
    auto const code = [](char const* active, char const* how, char const* status) {
        return unit_of({{"ActiveState", active}, {"ExecMainCode", how}, {"ExecMainStatus", status}}).exit_code;
    };
    CHECK(code("failed", "1", "3") == 3);
    CHECK(code("failed", "2", "9") == 137);
    CHECK(code("failed", "1", "0") == 1); // the process did well, the unit did not: a time limit
    CHECK(code("failed", "0", "0") == 1); // never came to run: the start limit
    CHECK(code("inactive", "1", "0") == 0);
    CHECK_FALSE(code("inactive", "0", "0"));
    CHECK_FALSE(code("active", "1", "3"));
    CHECK_FALSE(unit_of({}).exit_code);
}

TEST_CASE("systemd provider: what else a member is", "[wake][systemd_provider]")
{
    auto const m = unit_of({{"ActiveState", "active"}});
    CHECK(m.id == "web.service");
    CHECK(m.name == "web.service");
    CHECK(m.service == "web");
    CHECK(m.group == "shop");
    CHECK(m.labels.at("podproxy.wake.group") == "shop");
    CHECK(m.address == "127.0.0.1");
    CHECK(m.health == wake::health_state::none);
    CHECK(m.run.empty());
    CHECK(unit_of({{"ActiveState", "active"}, {"InactiveExitTimestampMonotonic", "123"}}).run == "123");
    CHECK(unit_of({{"ActiveState", "inactive"}, {"InactiveExitTimestampMonotonic", "0"}}).run.empty());
    CHECK(unit_of({}, "web.socket").service == "web.socket");
}

TEST_CASE("systemd provider: wherever it runs, one clear word comes of it", "[wake][systemd_provider]")
{
    asio::io_context ctx(1);
    diagnostics why;
    wake::systemd_provider_config config;
    config.units = {{"shop", "podproxy-test-no-such-unit"}};
    auto made = wake::make_systemd_provider(ctx.get_executor(), config, logger(), why);
    if (!wake::systemd_supported()) {
        CHECK(made.error() == podproxy::errc::unavailable);
        CHECK(why.message.find("libsystemd") != std::string::npos);
        return;
    }
    REQUIRE(made);
    auto& p = **made;
    CHECK(p.name() == "systemd");
    wake::member m;
    m.id = "podproxy-test-no-such-unit.service";
    spawned<result<void>> early(ctx, p.start(m, why));
    REQUIRE(test::poll_until(ctx, [&] { return early.done(); }));
    CHECK(early.error() == cond::unavailable); // nothing is connected yet
    book seen;
    spawned<result<void>> running(ctx, ended(p.run(seen)));
    REQUIRE(test::poll_until(ctx, [&] { return seen.members || !seen.lost.empty(); }));
    if (seen.members) {
        REQUIRE(seen.members->size() == 1);
        CHECK(seen.members->front().state == member_state::dead);
    } else {
        CHECK(seen.lost.find("systemd") != std::string::npos);
    }
    running.cancel();
    CHECK(test::poll_until(ctx, [&] { return running.done(); }));
}
