#ifndef PODPROXY_CORE_BYTES_HPP
#define PODPROXY_CORE_BYTES_HPP

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy {

/// Bytes that somebody else owns. Text is `std::string_view`, everything else on the wire is this.
using bytes_view = std::span<std::uint8_t const>;

inline bytes_view as_bytes(std::string_view text) noexcept
{
    return {reinterpret_cast<std::uint8_t const*>(text.data()), text.size()};
}

inline std::string_view as_text(bytes_view bytes) noexcept
{
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

/** Reads big-endian integers and runs of bytes, never past the end.

    Every read either succeeds or returns zero (an empty view) and makes `ok()` false for good, so that a whole header can be
    read before a single check. */
class byte_reader {
public:
    explicit byte_reader(bytes_view in) noexcept : in_(in) {}

    std::uint8_t u8() noexcept { return static_cast<std::uint8_t>(number(1)); }
    std::uint16_t u16() noexcept { return static_cast<std::uint16_t>(number(2)); }
    std::uint32_t u24() noexcept { return static_cast<std::uint32_t>(number(3)); }
    std::uint32_t u32() noexcept { return static_cast<std::uint32_t>(number(4)); }
    std::uint64_t u64() noexcept { return number(8); }

    /// The next `n` bytes as a view into the input.
    bytes_view take(std::size_t n) noexcept
    {
        if (n > in_.size()) {
            fail();
            return {};
        }
        bytes_view const out = in_.first(n);
        in_ = in_.subspan(n);
        return out;
    }

    bool ok() const noexcept { return ok_; }
    std::size_t remaining() const noexcept { return in_.size(); }
    bytes_view rest() const noexcept { return in_; }

private:
    std::uint64_t number(std::size_t n) noexcept
    {
        std::uint64_t out = 0;
        for (std::uint8_t const b : take(n)) out = (out << 8) | b;
        return out;
    }
    void fail() noexcept
    {
        ok_ = false;
        in_ = {};
    }

    bytes_view in_;
    bool ok_ = true;
};

/// Appends big-endian integers and runs of bytes to a vector that the caller owns.
class byte_writer {
public:
    explicit byte_writer(std::vector<std::uint8_t>& out) noexcept : out_(out) {}

    byte_writer& u8(std::uint8_t v) { return number(v, 1); }
    byte_writer& u16(std::uint16_t v) { return number(v, 2); }
    byte_writer& u24(std::uint32_t v)
    {
        assert(v < (1u << 24));
        return number(v, 3);
    }
    byte_writer& u32(std::uint32_t v) { return number(v, 4); }
    byte_writer& u64(std::uint64_t v) { return number(v, 8); }
    byte_writer& put(bytes_view bytes)
    {
        out_.insert(out_.end(), bytes.begin(), bytes.end());
        return *this;
    }
    byte_writer& put(std::string_view text) { return put(as_bytes(text)); }

private:
    byte_writer& number(std::uint64_t v, unsigned n)
    {
        while (n-- > 0) out_.push_back(static_cast<std::uint8_t>(v >> (8 * n)));
        return *this;
    }

    std::vector<std::uint8_t>& out_;
};

} // namespace podproxy

#endif
