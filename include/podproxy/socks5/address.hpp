#ifndef PODPROXY_SOCKS5_ADDRESS_HPP
#define PODPROXY_SOCKS5_ADDRESS_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/core/ip_address.hpp>
#include <podproxy/core/parse_result.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/socks5/errc.hpp>
#include <podproxy/socks5/message.hpp>
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace podproxy::socks5 {

/// ATYP of RFC 1928 section 5.
enum class address_type : std::uint8_t { ipv4 = 0x01, name = 0x03, ipv6 = 0x04 };

/** A destination or a bound address as it stands in requests and replies.

    The host is text: `192.0.2.1`, `2001:db8::1` (canonical, no brackets) or the name as it came. A name that looks like an
    address (clients that resolve nothing themselves send such) keeps the type `name`, and whoever dials treats it as an address. */
struct address {
    address_type type = address_type::ipv4;
    std::string host = "0.0.0.0";
    std::uint16_t port = 0;

    address() = default;
    address(address_type t, std::string h, std::uint16_t p) noexcept : type(t), host(std::move(h)), port(p) {}
    /// The type that fits: addresses as addresses, everything else (IPv6 with a zone too) as a name.
    explicit address(host_port hp)
        : type(parse_ipv4(hp.host)   ? address_type::ipv4
               : parse_ipv6(hp.host) ? address_type::ipv6
                                     : address_type::name),
          host(std::move(hp.host)), port(hp.port)
    {
    }

    host_port to_host_port() const& { return {host, port}; }
    host_port to_host_port() && { return {std::move(host), port}; }

    friend bool operator==(address const&, address const&) = default;
};

/** Read ATYP, address and port:

        +------+----------+----------+
        | ATYP | DST.ADDR | DST.PORT |    0x01: 4 bytes   0x03: length, then so many bytes   0x04: 16 bytes
        +------+----------+----------+
        |  1   | Variable |    2     |
        +------+----------+----------+

    @return the address, or `errc::bad_address_type`, `empty_name`, `bad_name`. */
inline parse_result<address> parse_address(bytes_view in)
{
    if (in.empty()) return need_more{1};
    byte_reader r(in);
    auto const type = static_cast<address_type>(r.u8());
    switch (type) {
    case address_type::ipv4: {
        constexpr std::size_t total = 1 + 4 + 2;
        if (in.size() < total) return need_more{total};
        ipv4_bytes ip{};
        std::copy_n(r.take(4).begin(), 4, ip.begin());
        return {address(type, format_ip(ip), r.u16()), total};
    }
    case address_type::ipv6: {
        constexpr std::size_t total = 1 + 16 + 2;
        if (in.size() < total) return need_more{total};
        ipv6_bytes ip{};
        std::copy_n(r.take(16).begin(), 16, ip.begin());
        return {address(type, format_ip(ip), r.u16()), total};
    }
    case address_type::name: {
        if (in.size() < 2) return need_more{2};
        std::size_t const length = r.u8();
        if (length == 0) return errc::empty_name;
        std::size_t const total = 1 + 1 + length + 2;
        if (in.size() < total) return need_more{total};
        std::string_view const name = as_text(r.take(length));
        if (!is_host(name)) return errc::bad_name;
        return {address(type, std::string(name), r.u16()), total};
    }
    }
    return errc::bad_address_type;
}

/// Append an address to a message. @return `errc::host_not_encodable` when the host is no address of its type, or no host name.
template <std::size_t N>
result<void> append_address(message<N>& out, address const& a)
{
    switch (a.type) {
    case address_type::ipv4:
        if (auto const ip = parse_ipv4(a.host)) {
            out.u8(0x01).put(*ip).u16(a.port);
            return {};
        }
        break;
    case address_type::ipv6:
        if (auto const ip = parse_ipv6(a.host)) {
            out.u8(0x04).put(*ip).u16(a.port);
            return {};
        }
        break;
    case address_type::name:
        if (is_host(a.host)) {
            out.u8(0x03).u8(static_cast<std::uint8_t>(a.host.size())).put(a.host).u16(a.port);
            return {};
        }
        break;
    }
    return errc::host_not_encodable;
}

/// The counterpart of `parse_address`.
inline result<message<max_address_bytes>> encode_address(address const& a)
{
    message<max_address_bytes> out;
    if (auto const r = append_address(out, a); !r) return r.error();
    return out;
}

} // namespace podproxy::socks5

#endif
