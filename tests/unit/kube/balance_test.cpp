#include <podproxy/kube/balance.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

using namespace podproxy::kube;

TEST_CASE("balance: one candidate is taken without a question", "[kube][balance]")
{
    CHECK(better_of_two(1, 7, [](std::size_t) -> int { FAIL("asked"); return 0; }) == 0);
}

TEST_CASE("balance: the first is compared with the one that was drawn, and wins where they are equal", "[kube][balance]")
{
    std::vector<int> const load{2, 1, 2, 3};
    auto const of = [&](std::size_t i) { return load[i]; };
    CHECK(better_of_two(4, 0, of) == 1);
    CHECK(better_of_two(4, 1, of) == 0);
    CHECK(better_of_two(4, 2, of) == 0);
    CHECK(better_of_two(4, 3, of) == 1);
    CHECK(better_of_two(4, 0xffffffffu, of) == better_of_two(4, 0xffffffffu % 3, of));
}

TEST_CASE("balance: what is slow gets less, nothing gets far more than its share", "[kube][balance]")
{
    // Ten candidates, of which the first never finishes anything; the others finish everything after a while.
    std::minstd_rand random(5);
    std::vector<int> open(10);
    std::size_t turn = 0;
    for (int i = 0; i < 1000; ++i) {
        auto const at = [&](std::size_t n) { return (turn + n) % open.size(); };
        std::size_t const chosen = at(better_of_two(open.size(), static_cast<std::uint32_t>(random()), [&](std::size_t n) { return open[at(n)]; }));
        ++open[chosen];
        ++turn;
        if (i % 50 == 49) std::fill(open.begin() + 1, open.end(), 0);
    }
    CHECK(open[0] < 20); // in turns it would have 100

    std::fill(open.begin(), open.end(), 0);
    for (int i = 0; i < 1000; ++i) {
        auto const at = [&](std::size_t n) { return (turn + n) % open.size(); };
        ++open[at(better_of_two(open.size(), static_cast<std::uint32_t>(random()), [&](std::size_t n) { return open[at(n)]; }))];
        ++turn;
    }
    CHECK(std::accumulate(open.begin(), open.end(), 0) == 1000);
    CHECK(*std::max_element(open.begin(), open.end()) - *std::min_element(open.begin(), open.end()) <= 2);
}
