#include <podproxy/core/flat_buffer.hpp>

#include <catch2/catch_test_macros.hpp>
#include <algorithm>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace podproxy;

namespace {

std::string text_of(flat_buffer const& b) { return std::string(as_text(b.data())); }

} // namespace

TEST_CASE("flat buffer: what is committed can be read and consumed")
{
    flat_buffer b(100);
    CHECK(b.empty());
    CHECK(b.capacity() == 0); // nothing until it is needed
    auto const room = b.prepare(10);
    REQUIRE(room.size() == 10);
    std::ranges::copy(as_bytes("hello"), room.begin());
    b.commit(5);
    CHECK(text_of(b) == "hello");
    b.consume(2);
    CHECK(text_of(b) == "llo");
    CHECK(b.append(as_bytes(" you")));
    CHECK(text_of(b) == "llo you");
    b.consume(7);
    CHECK(b.empty());
}

TEST_CASE("flat buffer: prepared room that is not committed is not data")
{
    flat_buffer b(100);
    (void)b.prepare(50);
    CHECK(b.empty());
    b.commit(0);
    CHECK(b.size() == 0);
}

TEST_CASE("flat buffer: the size ends at its maximum, at one below and at it")
{
    flat_buffer b(10);
    CHECK(b.append(as_bytes("123456789")));
    CHECK(b.room() == 1);
    CHECK(b.prepare(5).size() == 1);
    CHECK_FALSE(b.append(as_bytes("ab")));
    CHECK(text_of(b) == "123456789"); // nothing was added
    CHECK(b.append(as_bytes("0")));
    CHECK(b.room() == 0);
    CHECK(b.prepare(5).empty());
    CHECK_FALSE(b.append(as_bytes("x")));
    CHECK(b.append({}));
    b.consume(3);
    CHECK(b.room() == 3);
    CHECK(b.append(as_bytes("abc")));
    CHECK(text_of(b) == "4567890abc");
    CHECK(b.capacity() <= 10);
}

TEST_CASE("flat buffer: a maximum of zero holds nothing")
{
    flat_buffer b(0);
    CHECK(b.prepare(1).empty());
    CHECK_FALSE(b.append(as_bytes("x")));
    CHECK(b.append({}));
}

TEST_CASE("flat buffer: consumed room is used again before the buffer grows")
{
    flat_buffer b(1 << 20);
    REQUIRE(b.append(as_bytes(std::string(400, 'a'))));
    auto const capacity = b.capacity();
    for (int i = 0; i < 100; ++i) {
        b.consume(100);
        REQUIRE(b.append(as_bytes(std::string(100, 'b'))));
        CHECK(b.capacity() == capacity);
    }
}

TEST_CASE("flat buffer: clear keeps the memory, release gives it back")
{
    flat_buffer b(1000);
    REQUIRE(b.append(as_bytes("data")));
    b.clear();
    CHECK(b.empty());
    CHECK(b.capacity() > 0);
    REQUIRE(b.append(as_bytes("data")));
    b.release();
    CHECK(b.empty());
    CHECK(b.capacity() == 0);
    CHECK(b.append(as_bytes("again")));
    CHECK(text_of(b) == "again");
}

TEST_CASE("flat buffer: moving takes the data along")
{
    flat_buffer a(100);
    REQUIRE(a.append(as_bytes("hello")));
    a.consume(1);
    flat_buffer b = std::move(a);
    CHECK(text_of(b) == "ello");
    CHECK(a.empty()); // NOLINT: what moving leaves behind is the point
    CHECK(a.capacity() == 0);
    CHECK(a.append(as_bytes("new")));
    flat_buffer c(5);
    c = std::move(b);
    CHECK(text_of(c) == "ello");
    CHECK(c.max_size() == 100);
}

TEST_CASE("flat buffer: any order of writing and reading gives the bytes in their order")
{
    std::mt19937 random(7);
    flat_buffer b(3000);
    std::deque<std::uint8_t> expected;
    std::uint8_t next = 0;
    for (int i = 0; i < 5000; ++i) {
        auto const n = random() % 700;
        if (random() % 2 == 0) {
            auto const room = b.prepare(n);
            REQUIRE(room.size() == std::min<std::size_t>(n, 3000 - expected.size()));
            auto const used = room.empty() ? 0 : random() % (room.size() + 1);
            for (std::size_t k = 0; k < used; ++k) {
                room[k] = next;
                expected.push_back(next++);
            }
            b.commit(used);
        } else {
            auto const used = std::min<std::size_t>(n, expected.size());
            b.consume(used);
            expected.erase(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(used));
        }
        REQUIRE(std::ranges::equal(b.data(), expected));
    }
}
