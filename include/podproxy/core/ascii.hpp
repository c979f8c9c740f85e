#ifndef PODPROXY_CORE_ASCII_HPP
#define PODPROXY_CORE_ASCII_HPP

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace podproxy {

/// Small letters for A to Z; every other byte stays, whatever the locale says.
constexpr char ascii_lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

inline std::string ascii_lower(std::string_view text)
{
    std::string out(text);
    for (char& c : out) c = ascii_lower(c);
    return out;
}

/// Equal but for the case of A to Z?
constexpr bool ascii_iequals(std::string_view a, std::string_view b) noexcept
{
    return std::ranges::equal(a, b, [](char x, char y) { return ascii_lower(x) == ascii_lower(y); });
}

/// `text` without the blanks, tabs and line ends at both ends.
constexpr std::string_view ascii_trim(std::string_view text) noexcept
{
    constexpr std::string_view blanks = " \t\r\n";
    std::size_t const first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

} // namespace podproxy

#endif
