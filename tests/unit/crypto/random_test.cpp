#include <podproxy/crypto/random.hpp>

#include <catch2/catch_test_macros.hpp>
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

using namespace podproxy;

TEST_CASE("random: two fillings differ, and nothing around them is touched")
{
    std::array<std::uint8_t, 34> a{};
    std::array<std::uint8_t, 34> b{};
    crypto::random(std::span(a).subspan(1, 32));
    crypto::random(std::span(b).subspan(1, 32));
    CHECK(a != b);
    CHECK((a.front() == 0 && a.back() == 0 && b.front() == 0 && b.back() == 0));
    crypto::random({});
}

TEST_CASE("random: long fillings have no part left out")
{
    std::vector<std::uint8_t> out(200'000);
    crypto::random(out);
    for (std::size_t at = 0; at < out.size(); at += 1000)
        CHECK(std::any_of(out.begin() + static_cast<std::ptrdiff_t>(at), out.begin() + static_cast<std::ptrdiff_t>(at + 1000), [](auto v) { return v != 0; }));
}
