#ifndef PODPROXY_SOCKS5_REPLY_HPP
#define PODPROXY_SOCKS5_REPLY_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/error.hpp>
#include <podproxy/core/parse_result.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/socks5/address.hpp>
#include <podproxy/socks5/errc.hpp>
#include <podproxy/socks5/message.hpp>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <utility>

namespace podproxy::socks5 {

/// REP of RFC 1928 section 6.
enum class reply_code : std::uint8_t {
    succeeded = 0x00,
    general_failure = 0x01,
    not_allowed = 0x02,
    network_unreachable = 0x03,
    host_unreachable = 0x04,
    connection_refused = 0x05,
    ttl_expired = 0x06,
    command_not_supported = 0x07,
    address_type_not_supported = 0x08,
};

/// What a server answers. `bound` is its side of the new connection, or all zeros where that means nothing.
struct reply {
    reply_code code = reply_code::succeeded;
    address bound;
};

/** Read a reply, RFC 1928 section 6: VER (0x05), REP, RSV (0x00), address and port (see `parse_address`).
    @return the reply, whose code may have a value without a name, or the errors of `parse_request`. */
inline parse_result<reply> parse_reply(bytes_view in)
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
    return {reply{static_cast<reply_code>(in[1]), std::move(a.value())}, consumed};
}

/// A reply of ten bytes with the bound address 0.0.0.0:0, as every failure has.
inline message<10> encode_reply(reply_code code)
{
    message<10> out;
    out.u8(version).u8(static_cast<std::uint8_t>(code)).u8(0x00);
    out.u8(static_cast<std::uint8_t>(address_type::ipv4)).u16(0).u16(0).u16(0);
    return out;
}

/// The counterpart of `parse_reply`. @return the message, or `errc::host_not_encodable`.
inline result<message<max_reply_bytes>> encode_reply(reply_code code, address const& bound)
{
    message<max_reply_bytes> out;
    out.u8(version).u8(static_cast<std::uint8_t>(code)).u8(0x00);
    if (auto const done = append_address(out, bound); !done) return done.error();
    return out;
}

/** The reply that tells a client why dialling failed.

    | cause | reply |
    |---|---|
    | none | 0x00 |
    | `socks5::errc` that stands for a reply (a proxy behind this one) | the same |
    | ECONNREFUSED, `cond::refused` | 0x05 |
    | ENETUNREACH, ENETDOWN, EAFNOSUPPORT (no route of that family) | 0x03 |
    | EHOSTUNREACH, EHOSTDOWN, a name that is not found or not resolvable now, and `cond::not_found` and `cond::unavailable` of any domain but the system | 0x04 |
    | EACCES, EPERM (a local firewall), `cond::unauthorized` (the far side forbids it) | 0x02 |
    | ETIMEDOUT, `cond::timed_out` | 0x06 |
    | anything else: out of descriptors, a connection lost, cancelled, malformed data | 0x01 |

    A timeout is 0x06: of all the codes only "TTL expired" says that time ran out, so a client can tell it from 0x04, where the
    network or the name service has given an answer. Tor and microsocks read it the same way. */
inline reply_code reply_code_for(std::error_code ec) noexcept
{
    if (!ec) return reply_code::succeeded;
    if (ec.category() == category_of<errc>()) {
        switch (static_cast<errc>(ec.value())) {
        case errc::general_failure: return reply_code::general_failure;
        case errc::not_allowed: return reply_code::not_allowed;
        case errc::network_unreachable: return reply_code::network_unreachable;
        case errc::host_unreachable: return reply_code::host_unreachable;
        case errc::connection_refused: return reply_code::connection_refused;
        case errc::ttl_expired: return reply_code::ttl_expired;
        case errc::command_not_supported:
        case errc::unsupported_command: return reply_code::command_not_supported;
        case errc::address_type_not_supported:
        case errc::bad_address_type: return reply_code::address_type_not_supported;
        default: return reply_code::general_failure;
        }
    }
    if (is_system_error(ec, std::errc::network_unreachable) || is_system_error(ec, std::errc::network_down) ||
        is_system_error(ec, std::errc::address_family_not_supported))
        return reply_code::network_unreachable;
    if (is_system_error(ec, std::errc::host_unreachable) || is_system_error(ec, static_cast<std::errc>(EHOSTDOWN))) return reply_code::host_unreachable;
    if (ec == cond::refused) return reply_code::connection_refused;
    if (ec == cond::timed_out) return reply_code::ttl_expired; // before "unavailable", which a timeout is as well
    if (ec == cond::unauthorized) return reply_code::not_allowed;
    if (is_from_system(ec)) return reply_code::general_failure;
    if (ec == cond::not_found || ec == cond::unavailable) return reply_code::host_unreachable;
    return reply_code::general_failure;
}

/// The error that a reply stands for; empty for `succeeded`.
inline std::error_code error_for(reply_code code) noexcept
{
    switch (code) {
    case reply_code::succeeded: return {};
    case reply_code::general_failure: return errc::general_failure;
    case reply_code::not_allowed: return errc::not_allowed;
    case reply_code::network_unreachable: return errc::network_unreachable;
    case reply_code::host_unreachable: return errc::host_unreachable;
    case reply_code::connection_refused: return errc::connection_refused;
    case reply_code::ttl_expired: return errc::ttl_expired;
    case reply_code::command_not_supported: return errc::command_not_supported;
    case reply_code::address_type_not_supported: return errc::address_type_not_supported;
    }
    return errc::unknown_reply;
}

} // namespace podproxy::socks5

#endif
