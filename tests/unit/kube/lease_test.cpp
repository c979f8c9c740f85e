#include <podproxy/kube/lease.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <string>
#include <string_view>

using namespace podproxy;
using namespace std::chrono_literals;

namespace {

result<kube::lease> read(std::string_view text)
{
    json::parser parser;
    auto const d = parser.parse(text);
    REQUIRE(d);
    return kube::read_lease(*d);
}

} // namespace

TEST_CASE("lease: what is written is what is read", "[kube][lease]")
{
    kube::lease l;
    l.ns = "shop";
    l.name = "wake-proxy";
    l.labels = {{"a/b", "c"}};
    l.annotations = {{"note", "two\nlines"}};
    l.holder = "one";
    l.duration = 15s;
    l.acquire_time = l.renew_time = "2026-11-21T13:52:08.123000Z";
    l.transitions = 4;
    auto const text = kube::encode_lease(l);
    CHECK(text.find("coordination.k8s.io/v1") != std::string::npos);
    auto const r = read(text);
    REQUIRE(r);
    CHECK(r->ns == "shop");
    CHECK(r->name == "wake-proxy");
    CHECK(r->labels == l.labels);
    CHECK(r->annotations == l.annotations);
    CHECK(r->holder == "one");
    CHECK(r->duration == 15s);
    CHECK(r->acquire_time == l.acquire_time);
    CHECK(r->renew_time == l.renew_time);
    CHECK(r->transitions == 4);
}

TEST_CASE("lease: a change names its version and nothing that stays", "[kube][lease]")
{
    kube::lease l;
    l.name = "wake-proxy";
    l.resource_version = "42";
    CHECK(kube::encode_lease(l) == R"({"metadata":{"resourceVersion":"42"},"spec":{"holderIdentity":"","leaseDurationSeconds":1,"leaseTransitions":0}})");
}

TEST_CASE("lease: of one that is odd only so much is believed", "[kube][lease]")
{
    CHECK(read(R"({"metadata":{}})").error() == kube::errc::bad_answer);
    CHECK(read("[]").error() == kube::errc::bad_answer);
    auto const bare = read(R"({"metadata":{"name":"a"}})");
    REQUIRE(bare);
    CHECK(bare->holder.empty());
    CHECK(bare->duration == 0s);
    CHECK(read(R"({"metadata":{"name":"a"},"spec":{"leaseDurationSeconds":999999999}})")->duration == 24h);
    CHECK(read(R"({"metadata":{"name":"a"},"spec":{"leaseDurationSeconds":-1}})")->duration == 0s);
}

TEST_CASE("lease: a MicroTime has six digits behind the point", "[kube][lease]")
{
    CHECK(kube::format_micro_time(wall_time(1'795'269'128'123ms)) == "2026-11-21T13:52:08.123000Z");
}
