#include <podproxy/wake/start_plan.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace podproxy::wake;
using cond = dependency_condition;
using p = start_progress;

namespace {

member service(std::string name, std::vector<dependency> needs = {})
{
    member m;
    m.id = m.name = m.service = std::move(name);
    m.depends_on = std::move(needs);
    return m;
}

start_verdict ask(start_plan const& plan, std::size_t i, std::vector<p> const& progress)
{
    return plan.may_start(i, [&](std::size_t j) { return progress[j]; });
}

bool may_stop(start_plan const& plan, std::size_t i, std::vector<bool> const& active)
{
    return plan.may_stop(i, [&](std::size_t j) { return bool(active[j]); });
}

} // namespace

TEST_CASE("start plan: members without dependencies start and stop at any time")
{
    start_plan const plan({service("a"), service("b")});
    CHECK(plan.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK(ask(plan, i, {p::not_yet, p::not_yet}) == start_verdict::now);
        CHECK(may_stop(plan, i, {true, true}));
        CHECK_FALSE(plan.is_optional(i));
        CHECK_FALSE(plan.is_job(i));
    }
    CHECK(plan.cycles().empty());
}

TEST_CASE("start plan: each condition is met by what compose says")
{
    struct {
        cond wanted;
        start_verdict not_yet, started, healthy, completed, failed;
    } const rows[] = {
        {cond::started, start_verdict::later, start_verdict::now, start_verdict::now, start_verdict::now, start_verdict::never},
        {cond::healthy, start_verdict::later, start_verdict::later, start_verdict::now, start_verdict::never, start_verdict::never},
        {cond::completed, start_verdict::later, start_verdict::later, start_verdict::later, start_verdict::now, start_verdict::never},
    };
    for (auto const& row : rows) {
        start_plan const plan({service("db"), service("web", {{"db", row.wanted, true}})});
        CHECK(ask(plan, 1, {p::not_yet, p::not_yet}) == row.not_yet);
        CHECK(ask(plan, 1, {p::started, p::not_yet}) == row.started);
        CHECK(ask(plan, 1, {p::healthy, p::not_yet}) == row.healthy);
        CHECK(ask(plan, 1, {p::completed, p::not_yet}) == row.completed);
        CHECK(ask(plan, 1, {p::failed, p::not_yet}) == row.failed);
        CHECK(plan.is_job(0) == (row.wanted == cond::completed));
        CHECK(plan.has_to_be_healthy(0) == (row.wanted == cond::healthy));

        // Not required: its failure does not matter, its start is waited for all the same.
        start_plan const optional({service("db"), service("web", {{"db", row.wanted, false}})});
        CHECK(optional.is_optional(0));
        CHECK(ask(optional, 1, {p::failed, p::not_yet}) == start_verdict::now);
        CHECK(ask(optional, 1, {p::not_yet, p::not_yet}) == start_verdict::later);
    }
}

TEST_CASE("start plan: one that somebody requires is not optional")
{
    start_plan const plan({service("db"), service("web", {{"db", cond::started, false}}), service("worker", {{"db", cond::started, true}})});
    CHECK_FALSE(plan.is_optional(0));
}

TEST_CASE("start plan: what is depended on stops last")
{
    start_plan const plan({service("db"), service("web", {{"db", cond::started, true}}), service("front", {{"web", cond::healthy, true}})});
    CHECK_FALSE(may_stop(plan, 0, {true, true, true}));
    CHECK_FALSE(may_stop(plan, 1, {true, true, true}));
    CHECK(may_stop(plan, 2, {true, true, true}));
    CHECK(may_stop(plan, 1, {true, true, false}));
    CHECK_FALSE(may_stop(plan, 0, {true, true, false}));
    CHECK(may_stop(plan, 0, {true, false, false}));
}

TEST_CASE("start plan: a service stands for all of its members")
{
    auto second = service("db");
    second.name = second.id = "db-2";
    start_plan const plan({service("db"), second, service("web", {{"db", cond::healthy, true}})});
    CHECK(ask(plan, 2, {p::healthy, p::started, p::not_yet}) == start_verdict::later);
    CHECK(ask(plan, 2, {p::healthy, p::healthy, p::not_yet}) == start_verdict::now);
    CHECK(ask(plan, 2, {p::healthy, p::failed, p::not_yet}) == start_verdict::never);
}

TEST_CASE("start plan: services outside of the group are taken as met, those that have gone are waited for")
{
    std::vector<member> const web{service("web", {{"db", cond::healthy, true}})};
    start_plan const outside(web);
    CHECK(ask(outside, 0, {p::not_yet}) == start_verdict::now);
    CHECK(outside.outside() == std::set<std::string>{"db"});
    CHECK(outside.missing().empty());

    start_plan const gone(web, {"web", "db"});
    CHECK(ask(gone, 0, {p::not_yet}) == start_verdict::later);
    CHECK(gone.outside().empty());
    CHECK(gone.missing() == std::set<std::string>{"db"});

    start_plan const not_required({service("web", {{"db", cond::healthy, false}})}, {"web", "db"});
    CHECK(ask(not_required, 0, {p::not_yet}) == start_verdict::now);
    CHECK(not_required.missing().empty());
}

TEST_CASE("start plan: circles are reported and left out, other dependencies of their members stay")
{
    start_plan const plan({service("a", {{"b", cond::started, true}, {"db", cond::started, true}}), service("b", {{"c", cond::started, true}}),
                           service("c", {{"a", cond::started, true}}), service("db"), service("self", {{"self", cond::started, true}})});
    REQUIRE(plan.cycles().size() == 2);
    CHECK(plan.cycles()[0] == std::vector<std::string>{"a", "b", "c"});
    CHECK(plan.cycles()[1] == std::vector<std::string>{"self"});
    std::vector<p> const nothing(5, p::not_yet);
    CHECK(ask(plan, 0, nothing) == start_verdict::later); // for db
    CHECK(ask(plan, 1, nothing) == start_verdict::now);
    CHECK(ask(plan, 2, nothing) == start_verdict::now);
    CHECK(ask(plan, 4, nothing) == start_verdict::now);
    CHECK(may_stop(plan, 1, {true, true, true, true, true}));
    CHECK_FALSE(may_stop(plan, 3, {true, true, true, true, true}));
}

TEST_CASE("start plan: two that depend on each other beside a third one")
{
    start_plan const plan({service("a", {{"b", cond::healthy, true}}), service("b", {{"a", cond::healthy, true}}), service("c", {{"a", cond::started, true}})});
    REQUIRE(plan.cycles().size() == 1);
    CHECK(ask(plan, 2, {p::not_yet, p::not_yet, p::not_yet}) == start_verdict::later);
    CHECK(ask(plan, 2, {p::started, p::not_yet, p::not_yet}) == start_verdict::now);
}
