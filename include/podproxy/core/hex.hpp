#ifndef PODPROXY_CORE_HEX_HPP
#define PODPROXY_CORE_HEX_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/error.hpp>
#include <podproxy/core/result.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy {

/// The value of one hexadecimal digit of either case, or -1.
constexpr int hex_value(char c) noexcept
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// Which letters stand for 10 to 15.
enum class hex_case { lower, upper };

/// Two digits for each byte, the high half first. @par Source RFC 4648 section 8
inline std::string encode_hex(bytes_view in, hex_case letters = hex_case::lower)
{
    char const* const digits = letters == hex_case::lower ? "0123456789abcdef" : "0123456789ABCDEF";
    std::string out;
    out.reserve(in.size() * 2);
    for (std::uint8_t const b : in) {
        out += digits[b >> 4];
        out += digits[b & 0x0f];
    }
    return out;
}

/** Read pairs of hexadecimal digits of either case.
    @return the bytes, or `errc::malformed`: an odd number of digits, or a character that is none. */
inline result<std::vector<std::uint8_t>> decode_hex(std::string_view in)
{
    if (in.size() % 2 != 0) return errc::malformed;
    std::vector<std::uint8_t> out;
    out.reserve(in.size() / 2);
    for (std::size_t i = 0; i < in.size(); i += 2) {
        int const high = hex_value(in[i]);
        int const low = hex_value(in[i + 1]);
        if (high < 0 || low < 0) return errc::malformed;
        out.push_back(static_cast<std::uint8_t>(high << 4 | low));
    }
    return out;
}

} // namespace podproxy

#endif
