#include <podproxy/wake/traffic.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <set>
#include <string_view>
#include <system_error>

using namespace podproxy;
using namespace std::chrono_literals;

TEST_CASE("traffic: errors of a group lead to refusals of the same name")
{
    CHECK(wake::refusal_for(wake::errc::no_members) == wake::refusal::no_members);
    CHECK(wake::refusal_for(wake::errc::start_timed_out) == wake::refusal::start_timed_out);
    CHECK(wake::refusal_for(wake::errc::shutting_down) == wake::refusal::shutting_down);
    CHECK(wake::refusal_for(errc::unavailable) == wake::refusal::cannot_connect);
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < wake::refusals; ++i) names.insert(to_string(static_cast<wake::refusal>(i)));
    CHECK(names.size() == wake::refusals);
}

TEST_CASE("traffic: refusals are counted by their reason")
{
    wake::traffic t;
    t.count(wake::refusal::source);
    t.count(wake::refusal::cannot_connect);
    t.count(wake::refusal::cannot_connect);
    CHECK(t.refused[static_cast<std::size_t>(wake::refusal::cannot_connect)] == 2);
    CHECK(t.refused_in_all() == 3);
}

TEST_CASE("traffic: waits go into the bucket that ends at or above them")
{
    wake::wait_histogram h;
    h.add(0us);
    h.add(50ms);
    h.add(50'001us);
    h.add(301s);
    CHECK(h.counts[0] == 2);
    CHECK(h.counts[1] == 1);
    CHECK(h.counts.back() == 1);
    CHECK(h.count() == 4);
    CHECK(h.sum == 301s + 100'001us);
}

TEST_CASE("traffic: counts of several groups add up")
{
    wake::traffic a;
    a.connections = 1;
    a.count(wake::refusal::source);
    a.to_server = 10;
    a.waits.add(40ms);
    wake::traffic b = a;
    b.open = 2;
    b += a;
    CHECK(b.connections == 2);
    CHECK(b.open == 2);
    CHECK(b.refused_in_all() == 2);
    CHECK(b.to_server == 20);
    CHECK(b.waits.count() == 2);
    CHECK(b.waits.sum == 80ms);
}
