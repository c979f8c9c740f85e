#ifndef PODPROXY_WEBSOCKET_FRAME_HPP
#define PODPROXY_WEBSOCKET_FRAME_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/parse_result.hpp>
#include <podproxy/websocket/errc.hpp>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace podproxy::websocket {

/// Which side of the connection somebody is: clients mask what they send, servers do not.
enum class role { client, server };

/// What a frame is, RFC 6455 section 5.2.
enum class opcode : std::uint8_t {
    continuation = 0x0,
    text = 0x1,
    binary = 0x2,
    close = 0x8,
    ping = 0x9,
    pong = 0xa,
};

inline bool is_control(opcode o) noexcept { return (static_cast<std::uint8_t>(o) & 0x8u) != 0; }

/// Longest payload of a control frame, in bytes.
inline constexpr std::size_t max_control_payload = 125;
/// Longest frame header, in bytes: 2, then 8 of length, then 4 of mask.
inline constexpr std::size_t max_frame_header_bytes = 14;

/// Why a WebSocket is closed, section 7.4.1. Peers may send others.
enum class close_code : std::uint16_t {
    normal = 1000,
    going_away = 1001,
    protocol_error = 1002,
    unsupported_data = 1003,
    no_status = 1005, ///< Never sent: there was a close frame without a code.
    abnormal = 1006,  ///< Never sent: there was no close frame.
    invalid_payload = 1007,
    policy_violation = 1008,
    message_too_big = 1009,
    mandatory_extension = 1010,
    internal_error = 1011,
};

/// Whether a close frame may carry the code: those of RFC 6455, those registered since (1012 to 1014), and 3000 to 4999.
inline bool may_be_sent(close_code code) noexcept
{
    auto const v = static_cast<std::uint16_t>(code);
    return (v >= 1000 && v <= 1003) || (v >= 1007 && v <= 1014) || (v >= 3000 && v <= 4999);
}

/// The code that tells the peer what it did wrong; `internal_error` for errors of other domains.
inline close_code close_code_for(std::error_code ec) noexcept
{
    if (ec == errc::message_too_large) return close_code::message_too_big;
    if (ec == errc::bad_utf8) return close_code::invalid_payload;
    if (ec == errc::unexpected_text) return close_code::unsupported_data;
    return ec.category() == category_of<errc>() ? close_code::protocol_error : close_code::internal_error;
}

/// Four bytes that the payload is combined with, in the order in which they are sent.
using mask_key = std::array<std::uint8_t, 4>;

/** Mask or unmask `to.size()` bytes of `from` (the same operation), `at` bytes behind the payload's start.
    `from` and `to` may be the same bytes; otherwise they do not overlap. */
inline void apply_mask(std::uint8_t const* from, std::span<std::uint8_t> to, mask_key key, std::size_t at = 0) noexcept
{
    std::array<std::uint8_t, 8> turned{};
    for (std::size_t i = 0; i < 8; ++i) turned[i] = key[(at + i) % 4];
    std::uint64_t wide = 0;
    std::memcpy(&wide, turned.data(), 8);
    std::size_t i = 0;
    for (; i + 8 <= to.size(); i += 8) { // 8 bytes at a time; compilers make vectors of it
        std::uint64_t v = 0;
        std::memcpy(&v, from + i, 8);
        v ^= wide;
        std::memcpy(to.data() + i, &v, 8);
    }
    for (; i < to.size(); ++i) to[i] = static_cast<std::uint8_t>(from[i] ^ turned[i % 8]);
}

inline void apply_mask(std::span<std::uint8_t> payload, mask_key key, std::size_t at = 0) noexcept
{
    apply_mask(payload.data(), payload, key, at);
}

/** What stands before a frame's payload, RFC 6455 section 5.2:

        |FIN 1|RSV 3|opcode 4|MASK 1|length 7| length 16 or 64, if the 7 bits say 126 or 127 | mask 32, if MASK | */
struct frame_header {
    opcode kind = opcode::binary;
    bool fin = true;                ///< The message ends with this frame.
    std::uint64_t length = 0;       ///< Of the payload, in bytes.
    std::optional<mask_key> mask{}; ///< Only in frames of clients.
};

/** Parse a frame header.

    Refused are reserved bits, unknown opcodes, control frames that are fragmented or long, and lengths that are not in their
    shortest form. Whether the mask fits the sender's side is for the caller to judge. */
inline parse_result<frame_header> parse_frame_header(bytes_view in)
{
    if (in.size() < 2) return need_more{2};
    std::uint8_t const short_length = in[1] & 0x7fu;
    std::size_t const length_size = short_length == 126 ? 2u : short_length == 127 ? 8u : 0u;
    bool const masked = (in[1] & 0x80u) != 0;

    // What the first two bytes tell is judged at once, before more is waited for.
    if ((in[0] & 0x70u) != 0) return errc::reserved_bits;
    frame_header h{.kind = static_cast<opcode>(in[0] & 0x0fu), .fin = (in[0] & 0x80u) != 0, .length = short_length};
    switch (h.kind) {
    case opcode::continuation:
    case opcode::text:
    case opcode::binary: break;
    case opcode::close:
    case opcode::ping:
    case opcode::pong:
        if (!h.fin) return errc::control_fragmented;
        if (short_length > max_control_payload) return errc::control_too_long;
        break;
    default: return errc::bad_opcode;
    }

    std::size_t const total = 2 + length_size + (masked ? 4u : 0u);
    if (in.size() < total) return need_more{total};
    byte_reader r(in.subspan(2));
    if (length_size == 2) {
        h.length = r.u16();
        if (h.length < 126) return errc::bad_length;
    } else if (length_size == 8) {
        h.length = r.u64();
        if (h.length <= 0xffff || (h.length >> 63) != 0) return errc::bad_length;
    }
    if (masked) {
        bytes_view const key = r.take(4);
        h.mask = mask_key{key[0], key[1], key[2], key[3]};
    }
    return {h, total};
}

} // namespace podproxy::websocket

#endif
