#ifndef PODPROXY_HTTP_DETAIL_CHARS_HPP
#define PODPROXY_HTTP_DETAIL_CHARS_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace podproxy::http::detail {

/// Where one field lies in a text.
struct field_span {
    std::uint32_t name = 0;
    std::uint32_t name_size = 0;
    std::uint32_t value = 0;
    std::uint32_t value_size = 0;
};

enum char_class : std::uint8_t {
    tchar = 1,       ///< part of a token, RFC 9110 section 5.6.2
    field_char = 2,  ///< part of a field value: VCHAR, obs-text, SP, HTAB
    target_char = 4, ///< part of a request target: VCHAR but `#`
    host_char = 8,   ///< part of a registered name: unreserved, sub-delims and `%`, RFC 3986 section 3.2.2
    hex_char = 16,
};

inline constexpr auto char_table = [] {
    std::array<std::uint8_t, 256> t{};
    auto mark = [&](std::string_view set, unsigned bits) {
        for (char const c : set) {
            auto& slot = t[static_cast<std::uint8_t>(c)];
            slot = static_cast<std::uint8_t>(slot | bits);
        }
    };
    for (unsigned c = 0x21; c < 0x7f; ++c) t[c] = field_char | target_char;
    for (unsigned c = 0x80; c < 0x100; ++c) t[c] = field_char;
    t[' '] = t['\t'] = field_char;
    t['#'] = field_char;
    std::string_view const alnum = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    mark(alnum, tchar | host_char);
    mark("!#$%&'*+-.^_`|~", tchar);
    mark("-._~!$&'()*+,;=%", host_char);
    mark("0123456789abcdefABCDEF", hex_char);
    return t;
}();

constexpr bool is(char c, char_class cls) noexcept { return (char_table[static_cast<std::uint8_t>(c)] & cls) != 0; }

constexpr bool all(std::string_view text, char_class cls) noexcept
{
    std::uint8_t bits = cls; // without a branch per byte: heads are nearly always right
    for (char const c : text) bits = static_cast<std::uint8_t>(bits & char_table[static_cast<std::uint8_t>(c)]);
    return bits != 0;
}

constexpr bool is_token(std::string_view text) noexcept { return !text.empty() && all(text, tchar); }

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Without optional white space at either end.
constexpr std::string_view trim(std::string_view text) noexcept
{
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

/// A hexadecimal digit's value, or 16.
constexpr unsigned hex_value(char c) noexcept
{
    if (is_digit(c)) return static_cast<unsigned>(c - '0');
    char const l = lower(c);
    return l >= 'a' && l <= 'f' ? static_cast<unsigned>(l - 'a' + 10) : 16;
}

} // namespace podproxy::http::detail

#endif
