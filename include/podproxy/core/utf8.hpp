#ifndef PODPROXY_CORE_UTF8_HPP
#define PODPROXY_CORE_UTF8_HPP

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace podproxy {

/// One character taken off the front of a text.
struct utf8_char {
    char32_t code = 0;    ///< U+FFFD where the bytes are not UTF-8.
    std::size_t size = 0; ///< Bytes it took: 1 for a byte that is not UTF-8.
    bool valid = false;
};

/** The first character of a text that is not empty. Overlong forms, surrogates and codes above U+10FFFF are not valid.
    @par Source RFC 3629 section 4 */
constexpr utf8_char first_utf8(std::string_view text) noexcept
{
    auto const byte = [text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    constexpr utf8_char wrong{0xfffd, 1, false};
    std::uint8_t const b = byte(0);
    if (b < 0x80) return {b, 1, true};
    std::size_t const size = b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : 2;
    if (b < 0xc2 || b > 0xf4 || text.size() < size) return wrong;
    char32_t code = b & (0xffu >> (size + 1));
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return wrong;
        code = code << 6 | (byte(i) & 0x3fu);
    }
    bool const overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
    if (overlong || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return wrong;
    return {code, size, true};
}

} // namespace podproxy

#endif
