#ifndef PODPROXY_TESTS_UNIT_SOCKS5_OCTETS_HPP
#define PODPROXY_TESTS_UNIT_SOCKS5_OCTETS_HPP

#include <podproxy/core/bytes.hpp>
#include <cstdint>
#include <string_view>
#include <vector>

namespace podproxy::test {

using octets = std::vector<std::uint8_t>;

inline octets to_octets(bytes_view v) { return {v.begin(), v.end()}; }

/// Octets and texts one behind the other: `cat({octets{0x05, 0x01}, "name"_b})`.
inline octets cat(std::initializer_list<octets> parts)
{
    octets out;
    for (octets const& p : parts) out.insert(out.end(), p.begin(), p.end());
    return out;
}

inline octets operator""_b(char const* text, std::size_t n) { return to_octets(as_bytes(std::string_view(text, n))); }

} // namespace podproxy::test

#endif
