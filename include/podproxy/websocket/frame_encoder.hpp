#ifndef PODPROXY_WEBSOCKET_FRAME_ENCODER_HPP
#define PODPROXY_WEBSOCKET_FRAME_ENCODER_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/websocket/frame.hpp>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace podproxy::websocket {

/// Bytes that `encode_frame_header` will write.
inline std::size_t frame_header_size(frame_header const& h) noexcept
{
    return 2u + (h.length > 0xffff ? 8u : h.length > 125 ? 2u : 0u) + (h.mask ? 4u : 0u);
}

/** Write a frame header.
    @pre `out` has room for `frame_header_size(h)` bytes; control frames end their message and have at most 125 bytes.
    @return bytes written. */
inline std::size_t encode_frame_header(frame_header const& h, std::span<std::uint8_t> out) noexcept
{
    assert(out.size() >= frame_header_size(h));
    assert(!is_control(h.kind) || (h.fin && h.length <= max_control_payload));
    std::size_t n = 0;
    auto const number = [&](std::uint64_t v, unsigned size) {
        while (size-- > 0) out[n++] = static_cast<std::uint8_t>(v >> (8 * size));
    };
    number((h.fin ? 0x80u : 0u) | static_cast<std::uint8_t>(h.kind), 1);
    std::uint8_t const masked = h.mask ? 0x80 : 0;
    if (h.length > 0xffff) {
        number(masked | 127u, 1);
        number(h.length, 8);
    } else if (h.length > 125) {
        number(masked | 126u, 1);
        number(h.length, 2);
    } else {
        number(masked | h.length, 1);
    }
    if (h.mask)
        for (std::uint8_t const b : *h.mask) out[n++] = b;
    return n;
}

/// Append a whole frame. A client gives a fresh `mask` that nobody can guess (section 5.3), a server none.
inline void encode_frame(std::vector<std::uint8_t>& out, opcode kind, bytes_view payload, std::optional<mask_key> mask, bool fin = true)
{
    frame_header const h{.kind = kind, .fin = fin, .length = payload.size(), .mask = mask};
    std::size_t const start = out.size();
    std::size_t const header = frame_header_size(h);
    out.resize(start + header + payload.size());
    encode_frame_header(h, std::span(out).subspan(start));
    auto const body = std::span(out).subspan(start + header);
    if (payload.empty()) return;
    if (mask)
        apply_mask(payload.data(), body, *mask);
    else
        std::memcpy(body.data(), payload.data(), payload.size());
}

/** Append a close frame with a code and a reason for a person.
    @pre `may_be_sent(code)`, or `no_status` for an empty frame; the reason is UTF-8. It is cut at 123 bytes, between characters. */
inline void encode_close(std::vector<std::uint8_t>& out, close_code code, std::string_view reason, std::optional<mask_key> mask)
{
    assert(may_be_sent(code) || code == close_code::no_status);
    std::vector<std::uint8_t> payload;
    if (code != close_code::no_status) {
        if (reason.size() > max_control_payload - 2) {
            std::size_t n = max_control_payload - 2;
            while (n > 0 && (static_cast<unsigned char>(reason[n]) & 0xc0u) == 0x80u) --n; // not inside a character
            reason = reason.substr(0, n);
        }
        byte_writer(payload).u16(static_cast<std::uint16_t>(code)).put(reason);
    }
    encode_frame(out, opcode::close, payload, mask);
}

} // namespace podproxy::websocket

#endif
