#ifndef PODPROXY_PROXY_PROTOCOL_HEADER_HPP
#define PODPROXY_PROXY_PROTOCOL_HEADER_HPP

#include <podproxy/core/address_port.hpp>
#include <podproxy/core/bytes.hpp>
#include <podproxy/core/parse_result.hpp>
#include <podproxy/proxy_protocol/errc.hpp>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace podproxy::proxy_protocol {

/// Whether the connection is made for somebody else.
enum class command : std::uint8_t {
    local, ///< Made by the proxy itself, a health check: the addresses mean nothing. Version 2 only.
    proxy, ///< Made for a client.
};

enum class transport : std::uint8_t {
    unknown, ///< Neither of the others, or the sender does not tell: the addresses mean nothing.
    tcp,
    udp, ///< Version 2 only.
};

/// Who has connected to a proxy, and to which address there. PROXY protocol, sections 2.1 and 2.2
struct header {
    proxy_protocol::command command = command::proxy;
    proxy_protocol::transport transport = transport::unknown;
    address_port source;      ///< The client.
    address_port destination; ///< Where the client has connected to.

    /// Whether `source` and `destination` mean anything.
    bool has_addresses() const noexcept { return command == command::proxy && transport != transport::unknown; }

    friend bool operator==(header const&, header const&) = default;
};

/// The longest version 1 header, with its line end.
inline constexpr std::size_t max_v1_bytes = 107;
/// The longest version 2 header that is parsed if nothing else is said; 65,551 is the longest that there can be.
inline constexpr std::size_t default_max_v2_bytes = 4096;

/** Append the header as a line of text: `PROXY TCP4 192.0.2.1 198.51.100.7 56324 443`.

    When one end is IPv6 and the other IPv4, both are written as IPv6. What a line can't tell (UDP, LOCAL, unknown) becomes
    `PROXY UNKNOWN`. */
void encode_v1(std::vector<std::uint8_t>& out, header const& h);

/// Append the header in binary form, without TLVs: 16 bytes, and 12 for two IPv4 or 36 for two IPv6 addresses.
void encode_v2(std::vector<std::uint8_t>& out, header const& h);

/** Parse a version 1 header. Everything behind `UNKNOWN` is skipped, as the protocol asks.
    @return the header, or `errc::no_header`, `bad_line`, `too_long`. */
parse_result<header> parse_v1(bytes_view in);

/** Parse a version 2 header:

        | 0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A | version 4, command 4 | family 4, transport 4 | length 16 | addresses, TLVs |

    TLVs are skipped, and so are the addresses of LOCAL connections and of unix sockets (`transport::unknown`). A header that gives
    IPv4 addresses in IPv6 form is as good as one of IPv4.
    @param limit Of the whole header in bytes.
    @return the header, or `errc::no_header`, `bad_version`, `bad_command`, `bad_family`, `bad_length`, `too_long`. */
parse_result<header> parse_v2(bytes_view in, std::size_t limit = default_max_v2_bytes);

/// Parse a header of either version; the first byte tells. What is no header is refused at the first byte that differs.
inline parse_result<header> parse_header(bytes_view in, std::size_t v2_limit = default_max_v2_bytes)
{
    if (in.empty()) return need_more{1};
    return in[0] == 'P' ? parse_v1(in) : parse_v2(in, v2_limit);
}

} // namespace podproxy::proxy_protocol

#include <podproxy/proxy_protocol/impl/header.ipp>

#endif
