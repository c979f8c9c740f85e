#ifndef PODPROXY_SOCKS4_REQUEST_HPP
#define PODPROXY_SOCKS4_REQUEST_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/core/ip_address.hpp>
#include <podproxy/core/parse_result.hpp>
#include <podproxy/socks4/errc.hpp>
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace podproxy::socks4 {

inline constexpr std::uint8_t version = 0x04;
inline constexpr std::size_t max_user_bytes = 255;
/// Head, user id, name, and a zero behind each of both.
inline constexpr std::size_t max_request_bytes = 8 + max_user_bytes + 1 + max_host_bytes + 1;

/// A CONNECT.
struct request {
    host_port destination; ///< An IPv4 address, or the name of a SOCKS4a request.
    std::string user;      ///< What the client says; it proves nothing.
};

/** Read a request of SOCKS4 or SOCKS4a.

         0    1    2        4            8
        +----+----+--------+------------+----------+---+ . . . . . . . +- -+
        | 04 | CD |  port  | IPv4       |  user id | 0 |  host name    | 0 |
        +----+----+--------+------------+----------+---+ . . . . . . . +- -+

    The name is there when the address is 0.0.0.x and x is not zero. Only CONNECT (CD 0x01) is taken.
    @par Source "SOCKS: A protocol for TCP proxy across firewalls" (Y.-D. Lee, NEC), and "SOCKS 4A" of the same author
    @return the request, or an `errc`, as soon as the bytes that are wrong have come. */
inline parse_result<request> parse_request(bytes_view in)
{
    constexpr std::size_t head_bytes = 8;
    if (in.empty()) return need_more{head_bytes + 1};
    if (in[0] != version) return errc::bad_version;
    if (in.size() < 2) return need_more{head_bytes + 1};
    if (in[1] != 0x01) return errc::unsupported_command;
    if (in.size() < head_bytes) return need_more{head_bytes + 1};
    auto const port = static_cast<std::uint16_t>(in[2] << 8 | in[3]);
    if (port == 0) return errc::bad_port;

    // Up to the zero; a text that is too long is refused before its end is there.
    auto const text_at = [in](std::size_t from, std::size_t most) {
        auto const rest = in.subspan(from);
        auto const end = std::find(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(std::min(rest.size(), most + 1)), std::uint8_t{0});
        return as_text(rest.first(static_cast<std::size_t>(end - rest.begin())));
    };
    std::string_view const user = text_at(head_bytes, max_user_bytes);
    if (user.size() > max_user_bytes) return errc::user_too_long;
    std::size_t const behind_user = head_bytes + user.size() + 1;
    if (in.size() < behind_user) return need_more{in.size() + 1};

    ipv4_bytes const address{in[4], in[5], in[6], in[7]};
    bool const named = address[0] == 0 && address[1] == 0 && address[2] == 0 && address[3] != 0;
    if (!named) return {request{host_port(format_ip(address), port), std::string(user)}, behind_user};

    std::string_view const name = text_at(behind_user, max_host_bytes);
    if (name.size() > max_host_bytes) return errc::name_too_long;
    std::size_t const end = behind_user + name.size() + 1;
    if (in.size() < end) return need_more{in.size() + 1};
    if (name.empty()) return errc::empty_name;
    if (!is_host(name)) return errc::bad_name;
    return {request{host_port(std::string(name), port), std::string(user)}, end};
}

/// How a request is answered.
enum class reply_code : std::uint8_t {
    granted = 0x5a,
    rejected = 0x5b,   ///< Also for everything that failed.
    no_identd = 0x5c,
    wrong_user = 0x5d, ///< The client may not.
};

/// The answer: a zero, the code, and six bytes that nobody looks at.
inline constexpr std::array<std::uint8_t, 8> encode_reply(reply_code code) noexcept { return {0, static_cast<std::uint8_t>(code), 0, 0, 0, 0, 0, 0}; }

} // namespace podproxy::socks4

#endif
