#include <podproxy/net/receive_queue.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

using namespace podproxy;
using net::receive_queue;

namespace {
receive_queue::block block_of(char c, std::size_t n)
{
    auto b = std::make_shared_for_overwrite<std::uint8_t[]>(n);
    std::fill_n(b.get(), n, static_cast<std::uint8_t>(c));
    return b;
}
} // namespace

TEST_CASE("receive queue: a long run is lent from its block, a short one is copied")
{
    receive_queue q;
    auto block = block_of('a', 10000);
    q.push(block, {block.get(), receive_queue::copy_below});
    CHECK(block.use_count() == 2);
    CHECK(q.front().data() == block.get());
    q.push(block, {block.get() + 5000, 10});
    CHECK(block.use_count() == 2);
    q.consume(receive_queue::copy_below);
    CHECK(block.use_count() == 1);
    CHECK(as_text(q.front()) == std::string(10, 'a'));
}

TEST_CASE("receive queue: short runs are gathered, and what was lent before does not move")
{
    receive_queue q;
    auto block = block_of('x', 100);
    q.push(block, {block.get(), 10});
    bytes_view const first = q.front();
    for (int i = 0; i < 300; ++i) q.push(block, {block.get(), 50});
    CHECK(q.front().data() == first.data());
    CHECK(q.size() == 10 + 300 * 50);
    std::vector<std::uint8_t> out(20000);
    CHECK(q.read(out) == 15010);
    CHECK(q.empty());
    CHECK(q.size() == 0);
    CHECK(q.front().empty());
}

TEST_CASE("receive queue: order is kept over long and short runs and partial reads")
{
    receive_queue q;
    std::string expected;
    for (int i = 0; i < 20; ++i) {
        std::size_t const n = i % 3 == 0 ? 5000 : 7;
        auto block = block_of(static_cast<char>('a' + i), n);
        q.push(block, {block.get(), n});
        expected.append(n, static_cast<char>('a' + i));
    }
    std::string got;
    std::vector<std::uint8_t> piece(1234);
    while (!q.empty()) got.append(as_text({piece.data(), q.read(piece)}));
    CHECK(got == expected);
}
