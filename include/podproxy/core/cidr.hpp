#ifndef PODPROXY_CORE_CIDR_HPP
#define PODPROXY_CORE_CIDR_HPP

#include <podproxy/core/ip_address.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace podproxy {

/// An address of either family; an IPv4 address is kept as `::ffff:a.b.c.d`, so that both compare alike. RFC 4291 section 2.5.5.2
inline constexpr ipv6_bytes as_mapped(ipv4_bytes const& v4) noexcept
{
    ipv6_bytes out{};
    out[10] = out[11] = 0xff;
    std::copy(v4.begin(), v4.end(), out.begin() + 12);
    return out;
}

/// A block of addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address. RFC 4632
struct cidr {
    ipv6_bytes network{}; ///< Bits behind the prefix are zero.
    std::uint8_t prefix = 0; ///< Of the mapped form: 96 more than what was written for IPv4.

    bool contains(ipv6_bytes const& address) const noexcept
    {
        std::size_t const whole = prefix / 8;
        if (!std::equal(address.begin(), address.begin() + static_cast<std::ptrdiff_t>(whole), network.begin())) return false;
        unsigned const rest = prefix % 8;
        if (rest == 0) return true;
        auto const mask = static_cast<std::uint8_t>(0xff00u >> rest);
        return (address[whole] & mask) == network[whole];
    }
    bool contains(ipv4_bytes const& address) const noexcept { return contains(as_mapped(address)); }

    friend bool operator==(cidr const&, cidr const&) = default;
};

/// Read `address/length` or a single address. Bits behind the prefix are dropped. @return nothing for any other text.
inline std::optional<cidr> parse_cidr(std::string_view text) noexcept
{
    auto const slash = text.find('/');
    auto const host = text.substr(0, slash);
    cidr out;
    unsigned most = 128;
    if (auto const v4 = parse_ipv4(host)) {
        out.network = as_mapped(*v4);
        most = 32;
    } else if (auto const v6 = parse_ipv6(host)) {
        out.network = *v6;
    } else {
        return std::nullopt;
    }
    unsigned length = most;
    if (slash != std::string_view::npos) {
        auto const digits = text.substr(slash + 1);
        auto const [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
        if (ec != std::errc() || end != digits.data() + digits.size() || length > most) return std::nullopt;
    }
    out.prefix = static_cast<std::uint8_t>(length + (128 - most));
    for (std::size_t bit = out.prefix; bit < 128; ++bit)
        out.network[bit / 8] = static_cast<std::uint8_t>(out.network[bit / 8] & ~(0x80u >> (bit % 8)));
    return out;
}

/// Whether one of the blocks holds the address.
inline bool contains(std::span<cidr const> blocks, ipv6_bytes const& address) noexcept
{
    return std::any_of(blocks.begin(), blocks.end(), [&](cidr const& c) { return c.contains(address); });
}

} // namespace podproxy

#endif
