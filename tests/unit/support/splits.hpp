#ifndef PODPROXY_TESTS_UNIT_SUPPORT_SPLITS_HPP
#define PODPROXY_TESTS_UNIT_SUPPORT_SPLITS_HPP

#include <catch2/catch_test_macros.hpp>
#include <podproxy/core/bytes.hpp>
#include <podproxy/core/parse_result.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace podproxy::test {

/** The same bytes cut into pieces, each in memory of its own and of exactly its size, so that AddressSanitizer sees a decoder
    that looks past its piece or keeps a view of an earlier one for too long. */
class pieces {
public:
    explicit pieces(bytes_view bytes) : rest_(bytes) {}

    pieces& cut(std::size_t n)
    {
        n = std::min(n, rest_.size());
        auto copy = std::make_unique<std::uint8_t[]>(n);
        std::copy_n(rest_.begin(), n, copy.get());
        views_.emplace_back(copy.get(), n);
        owned_.push_back(std::move(copy));
        rest_ = rest_.subspan(n);
        return *this;
    }
    pieces& cut_rest() { return cut(rest_.size()); }

    bool empty() const noexcept { return rest_.empty(); }
    std::span<bytes_view const> views() const noexcept { return views_; }

private:
    bytes_view rest_;
    std::vector<std::unique_ptr<std::uint8_t[]>> owned_;
    std::vector<bytes_view> views_;
};

/** Decode `bytes` whole, one byte at a time, in pieces of 2, 3 and 7 bytes, and cut in two at every position, and demand the same
    transcript every time.

    `decode` gets the pieces in order (`std::span<bytes_view const>`; a piece may be empty), feeds them to a fresh decoder and
    returns its transcript: anything with `==`, best a `std::string` or a vector of them, because Catch2 shows both on a mismatch.
    @return the transcript of the whole. */
template <class Decode>
auto check_all_splits(bytes_view bytes, Decode decode)
{
    auto const expected = decode(pieces(bytes).cut_rest().views());
    for (std::size_t const step : {1u, 2u, 3u, 7u}) {
        pieces p(bytes);
        while (!p.empty()) p.cut(step);
        INFO("in pieces of " << step);
        CHECK(decode(p.views()) == expected);
    }
    for (std::size_t at = 0; at <= bytes.size(); ++at) {
        INFO("cut in two at " << at << " of " << bytes.size());
        CHECK(decode(pieces(bytes).cut(at).cut_rest().views()) == expected);
    }
    return expected;
}

/** For a `parse_x` of one message: every proper prefix of `message` needs more, asks for more than it has and never for more than
    the message is, and the whole takes exactly all of it, also when other bytes follow. `parse` is called with a `bytes_view`.
    @return the parsed message's result; views in it point into `message`. */
template <class Parse>
auto check_all_prefixes(bytes_view message, Parse parse)
{
    for (std::size_t n = 0; n < message.size(); ++n) {
        INFO("the first " << n << " of " << message.size() << " bytes");
        pieces p(message);
        auto const r = parse(p.cut(n).views().front());
        CHECK(r.needs_more());
        if (r.needs_more()) {
            CHECK(r.at_least() > n);
            CHECK(r.at_least() <= message.size());
        }
    }
    std::vector<std::uint8_t> longer(message.begin(), message.end());
    longer.insert(longer.end(), {0x00, 0xff, 0x05});
    auto const with_more = parse(bytes_view(longer));
    CHECK(with_more.done());
    if (with_more.done()) CHECK(with_more.consumed() == message.size());
    auto r = parse(message);
    CHECK(r.done());
    if (r.done()) CHECK(r.consumed() == message.size());
    return r;
}

} // namespace podproxy::test

#endif
