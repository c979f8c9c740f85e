#ifndef PODPROXY_SOCKS5_REQUEST_HPP
#define PODPROXY_SOCKS5_REQUEST_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/parse_result.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/socks5/address.hpp>
#include <podproxy/socks5/errc.hpp>
#include <podproxy/socks5/message.hpp>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace podproxy::socks5 {

/// CMD of RFC 1928 section 4.
enum class command : std::uint8_t { connect = 0x01, bind = 0x02, udp_associate = 0x03 };

/// What a client asks for. `cmd` may have a value without a name: it is for the server to answer that.
struct request {
    command cmd = command::connect;
    address destination;
};

/** Read a request, RFC 1928 section 4: VER (0x05), CMD, RSV (0x00), address and port (see `parse_address`).
    @return the request, or `errc::bad_version`, `bad_reserved`, and the errors of `parse_address`. */
inline parse_result<request> parse_request(bytes_view in)
{
    constexpr std::size_t shortest_start = 5; // up to a name's length, or the first byte of an address
    if (in.empty()) return need_more{shortest_start};
    if (in[0] != version) return errc::bad_version;
    if (in.size() < 3) return need_more{shortest_start};
    if (in[2] != 0x00) return errc::bad_reserved;
    auto a = parse_address(in.subspan(3));
    if (a.failed()) return a.error();
    if (a.needs_more()) return need_more{in.size() < 4 ? shortest_start : 3 + a.at_least()};
    std::size_t const consumed = 3 + a.consumed();
    return {request{static_cast<command>(in[1]), std::move(a.value())}, consumed};
}

/// The counterpart of `parse_request`. @return the message, or `errc::host_not_encodable`.
inline result<message<max_request_bytes>> encode_request(request const& r)
{
    message<max_request_bytes> out;
    out.u8(version).u8(static_cast<std::uint8_t>(r.cmd)).u8(0x00);
    if (auto const done = append_address(out, r.destination); !done) return done.error();
    return out;
}

} // namespace podproxy::socks5

#endif
