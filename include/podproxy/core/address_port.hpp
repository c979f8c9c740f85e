#ifndef PODPROXY_CORE_ADDRESS_PORT_HPP
#define PODPROXY_CORE_ADDRESS_PORT_HPP

#include <podproxy/core/cidr.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/core/ip_address.hpp>
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

namespace podproxy {

/// The IPv4 address in `::ffff:a.b.c.d`; nothing for any other IPv6 address. The counterpart of `as_mapped`.
inline constexpr std::optional<ipv4_bytes> unmapped(ipv6_bytes const& address) noexcept
{
    bool const mapped = std::all_of(address.begin(), address.begin() + 10, [](std::uint8_t b) { return b == 0; }) && address[10] == 0xff && address[11] == 0xff;
    if (!mapped) return std::nullopt;
    return ipv4_bytes{address[12], address[13], address[14], address[15]};
}

/// One end of a connection, without a name. IPv4 is kept as `::ffff:a.b.c.d`, so that both families compare alike.
struct address_port {
    ipv6_bytes address{};
    std::uint16_t port = 0;

    constexpr address_port() = default;
    constexpr address_port(ipv6_bytes const& a, std::uint16_t p) noexcept : address(a), port(p) {}
    constexpr address_port(ipv4_bytes const& a, std::uint16_t p) noexcept : address(as_mapped(a)), port(p) {}

    constexpr std::optional<ipv4_bytes> ipv4() const noexcept { return unmapped(address); }

    friend bool operator==(address_port const&, address_port const&) = default;
};

/// `192.0.2.1`, or the form of RFC 5952 for what is no IPv4 address.
inline std::string format_address(ipv6_bytes const& address)
{
    auto const v4 = unmapped(address);
    return v4 ? format_ip(*v4) : format_ip(address);
}

/// `192.0.2.1:80`, `[2001:db8::1]:80`.
inline std::string format_address_port(address_port const& end) { return format_host_port(format_address(end.address), end.port); }

} // namespace podproxy

#endif
