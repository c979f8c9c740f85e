#include "splits.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace podproxy;

TEST_CASE("check_all_splits: gives every cut to the decoder, in order and complete", "[support]")
{
    std::size_t runs = 0;
    auto const whole = test::check_all_splits(as_bytes("hello"), [&runs](std::span<bytes_view const> parts) {
        ++runs;
        std::string joined;
        for (bytes_view const part : parts) joined += as_text(part);
        return joined;
    });
    CHECK(whole == "hello");
    CHECK(runs == 1 + 4 + 6);
}

TEST_CASE("check_all_prefixes: every prefix of a message needs more", "[support]")
{
    // One length byte, then the text.
    auto const parse = [](bytes_view in) -> parse_result<std::string> {
        if (in.empty()) return need_more{1};
        std::size_t const total = 1u + in[0];
        if (in.size() < total) return need_more{total};
        return {std::string(as_text(in.subspan(1, in[0]))), total};
    };
    CHECK(test::check_all_prefixes(as_bytes("\x03one"), parse).value() == "one");
}
