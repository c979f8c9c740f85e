#ifndef PODPROXY_SPDY_IMPL_FRAME_IPP
#define PODPROXY_SPDY_IMPL_FRAME_IPP

#include <podproxy/spdy/frame.hpp>
#include <cassert>

namespace podproxy::spdy {

namespace detail {

inline constexpr std::uint8_t flag_fin = 0x01;
inline constexpr std::uint8_t flag_unidirectional = 0x02;
inline constexpr std::uint8_t flag_clear_settings = 0x01;
inline constexpr std::uint16_t version_with_control_bit = 0x8003;

/// The first 8 bytes of a control frame.
inline byte_writer control_header(std::vector<std::uint8_t>& out, frame_type type, std::uint8_t flags, std::size_t length)
{
    assert(length <= max_frame_length);
    byte_writer w(out);
    w.u16(version_with_control_bit).u16(static_cast<std::uint16_t>(type)).u8(flags).u24(static_cast<std::uint32_t>(length));
    return w;
}

/// Everything of the frame before its header block, for a block of `block` bytes.
inline void put_before_block(std::vector<std::uint8_t>& out, syn_stream const& f, std::size_t block)
{
    assert(f.stream.value != 0 && f.stream.value <= max_31_bits && f.associated.value <= max_31_bits && f.priority <= 7);
    auto const flags = static_cast<std::uint8_t>((f.fin ? flag_fin : 0) | (f.unidirectional ? flag_unidirectional : 0));
    control_header(out, frame_type::syn_stream, flags, 10 + block)
        .u32(f.stream.value)
        .u32(f.associated.value)
        .u8(static_cast<std::uint8_t>(f.priority << 5))
        .u8(f.slot);
}

inline void put_before_block(std::vector<std::uint8_t>& out, syn_reply const& f, std::size_t block)
{
    assert(f.stream.value != 0 && f.stream.value <= max_31_bits);
    control_header(out, frame_type::syn_reply, f.fin ? flag_fin : std::uint8_t{0}, 4 + block).u32(f.stream.value);
}

inline void put_before_block(std::vector<std::uint8_t>& out, headers const& f, std::size_t block)
{
    assert(f.stream.value != 0 && f.stream.value <= max_31_bits);
    control_header(out, frame_type::headers, f.fin ? flag_fin : std::uint8_t{0}, 4 + block).u32(f.stream.value);
}

template <class Frame>
inline void put_with_block(std::vector<std::uint8_t>& out, Frame const& f)
{
    put_before_block(out, f, f.header_block.size());
    byte_writer(out).put(f.header_block);
}

} // namespace detail

inline std::array<std::uint8_t, frame_header_bytes> encode_data_header(stream_id stream, std::uint32_t length, data_flags flags) noexcept
{
    assert(stream.value != 0 && stream.value <= max_31_bits && length <= max_frame_length);
    auto const byte = [](std::uint32_t v, unsigned shift) { return static_cast<std::uint8_t>(v >> shift); };
    return {byte(stream.value, 24), byte(stream.value, 16), byte(stream.value, 8), byte(stream.value, 0),
            static_cast<std::uint8_t>(flags), byte(length, 16), byte(length, 8), byte(length, 0)};
}

inline void encode_syn_stream(std::vector<std::uint8_t>& out, syn_stream const& f) { detail::put_with_block(out, f); }
inline void encode_syn_reply(std::vector<std::uint8_t>& out, syn_reply const& f) { detail::put_with_block(out, f); }
inline void encode_headers(std::vector<std::uint8_t>& out, headers const& f) { detail::put_with_block(out, f); }

inline void encode_rst_stream(std::vector<std::uint8_t>& out, rst_stream f)
{
    assert(f.stream.value != 0 && f.stream.value <= max_31_bits && f.status != rst_status{0});
    detail::control_header(out, frame_type::rst_stream, 0, 8).u32(f.stream.value).u32(static_cast<std::uint32_t>(f.status));
}

inline void encode_settings(std::vector<std::uint8_t>& out, std::span<setting const> entries, bool clear)
{
    auto w = detail::control_header(out, frame_type::settings, clear ? detail::flag_clear_settings : std::uint8_t{0}, 4 + 8 * entries.size());
    w.u32(static_cast<std::uint32_t>(entries.size()));
    for (setting const& s : entries) w.u8(s.flags).u24(static_cast<std::uint32_t>(s.id)).u32(s.value);
}

inline void encode_ping(std::vector<std::uint8_t>& out, ping f) { detail::control_header(out, frame_type::ping, 0, 4).u32(f.id); }

inline void encode_goaway(std::vector<std::uint8_t>& out, goaway f)
{
    assert(f.last_good.value <= max_31_bits);
    detail::control_header(out, frame_type::goaway, 0, 8).u32(f.last_good.value).u32(static_cast<std::uint32_t>(f.status));
}

inline void encode_window_update(std::vector<std::uint8_t>& out, window_update f)
{
    assert(f.stream.value <= max_31_bits && f.delta != 0 && f.delta <= max_31_bits);
    detail::control_header(out, frame_type::window_update, 0, 8).u32(f.stream.value).u32(f.delta);
}

} // namespace podproxy::spdy

#endif
