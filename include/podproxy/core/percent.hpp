#ifndef PODPROXY_CORE_PERCENT_HPP
#define PODPROXY_CORE_PERCENT_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/error.hpp>
#include <podproxy/core/hex.hpp>
#include <podproxy/core/result.hpp>
#include <cstddef>
#include <string>
#include <string_view>

namespace podproxy {

/// Letters, digits and `-._~`: what never needs an escape in a URI. @par Source RFC 3986 section 2.3
constexpr bool is_unreserved(char c) noexcept
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

/** Escape every byte that is not unreserved as `%XX` with capital letters.
    @par Source  RFC 3986 section 2.1
    @param keep  Further characters that stay as they are, such as "/" for a path of several segments. */
inline std::string encode_percent(std::string_view in, std::string_view keep = {})
{
    std::string out;
    out.reserve(in.size());
    for (char const& c : in) {
        if (is_unreserved(c) || keep.find(c) != std::string_view::npos) {
            out += c;
        } else {
            out += '%';
            out += encode_hex(as_bytes({&c, 1}), hex_case::upper);
        }
    }
    return out;
}

/** Undo `encode_percent`. Only `%` is special; a `+` stays a plus sign.
    The result may hold any byte, also NUL, line ends and text that is not UTF-8.
    @return the bytes, or `errc::malformed` for a `%` that two hexadecimal digits do not follow. */
inline result<std::string> decode_percent(std::string_view in)
{
    std::string out;
    out.reserve(in.size());
    for (std::size_t i = 0; i < in.size(); ++i) {
        if (in[i] != '%') {
            out += in[i];
            continue;
        }
        if (in.size() - i < 3) return errc::malformed;
        int const high = hex_value(in[i + 1]);
        int const low = hex_value(in[i + 2]);
        if (high < 0 || low < 0) return errc::malformed;
        out += static_cast<char>(static_cast<unsigned char>(high << 4 | low));
        i += 2;
    }
    return out;
}

} // namespace podproxy

#endif
