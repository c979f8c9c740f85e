#ifndef PODPROXY_SPDY_FRAME_HPP
#define PODPROXY_SPDY_FRAME_HPP

#include <podproxy/core/bytes.hpp>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace podproxy::spdy {

/// Bytes before the payload of every frame.
inline constexpr std::size_t frame_header_bytes = 8;
/// The length field has 24 bits.
inline constexpr std::uint32_t max_frame_length = 0xff'ffff;
/// Stream ids, windows and their deltas have 31 bits.
inline constexpr std::uint32_t max_31_bits = 0x7fff'ffff;

/// Names a stream: odd ones are opened by the client, even ones by the server, 0 is the connection.
struct stream_id {
    std::uint32_t value = 0;

    bool from_client() const noexcept { return (value & 1u) != 0; }
    friend constexpr auto operator<=>(stream_id, stream_id) = default;
};

/// Control frame types, SPDY/3.1 section 2.6. NOOP (5) and CREDENTIAL (10) of other versions are unknown here.
enum class frame_type : std::uint16_t {
    syn_stream = 1,
    syn_reply = 2,
    rst_stream = 3,
    settings = 4,
    ping = 6,
    goaway = 7,
    headers = 8,
    window_update = 9,
};

/// Flags of a DATA frame.
enum class data_flags : std::uint8_t {
    none = 0x00,
    fin = 0x01, ///< The sender's direction ends with this frame.
};

/// Why a stream is reset, section 2.6.3. Peers may send others.
enum class rst_status : std::uint32_t {
    protocol_error = 1,
    invalid_stream = 2,
    refused_stream = 3,
    unsupported_version = 4,
    cancel = 5,
    internal_error = 6,
    flow_control_error = 7,
    stream_in_use = 8,
    stream_already_closed = 9,
    frame_too_large = 11,
};

/// Why a connection is given up, section 2.6.6.
enum class goaway_status : std::uint32_t {
    ok = 0,
    protocol_error = 1,
    internal_error = 2,
};

/// Names of settings, section 2.6.4.
enum class setting_id : std::uint32_t {
    upload_bandwidth = 1,
    download_bandwidth = 2,
    round_trip_time = 3,
    max_concurrent_streams = 4,
    current_cwnd = 5,
    download_retrans_rate = 6,
    initial_window_size = 7,
    client_certificate_vector_size = 8,
};

/** Opens a stream.

        |1| 3 (15) | type 1 (16) | flags (8) | length (24) | X | stream (31) | X | associated (31) | priority (3) | unused (5) |
        | slot (8) | header block (zlib) |

    `header_block` is compressed: give it to the connection's `header_decoder`, also when the stream is refused. */
struct syn_stream {
    stream_id stream;
    stream_id associated{};
    std::uint8_t priority = 0; ///< 0 (first) to 7.
    std::uint8_t slot = 0;
    bool fin = false;            ///< The sender will send nothing on it.
    bool unidirectional = false; ///< The receiver may send nothing on it.
    bytes_view header_block{};
};

/// Accepts a stream: stream (31), header block (zlib).
struct syn_reply {
    stream_id stream;
    bool fin = false;
    bytes_view header_block{};
};

/// Ends a stream in both directions at once: stream (31), status (32).
struct rst_stream {
    stream_id stream;
    rst_status status = rst_status::cancel;
};

/// One setting: flags (8), id (24), value (32).
struct setting {
    setting_id id{};
    std::uint32_t value = 0;
    std::uint8_t flags = 0; ///< 1: please keep it, 2: this was kept.
};

/// Settings: count (32), then `count` times 8 bytes, which `at` reads.
struct settings {
    bytes_view entries{};
    bool clear = false; ///< Forget what was kept before.

    std::size_t size() const noexcept { return entries.size() / 8; }
    setting at(std::size_t i) const noexcept
    {
        byte_reader in(entries.subspan(i * 8, 8));
        std::uint8_t const flags = in.u8();
        auto const id = static_cast<setting_id>(in.u24());
        return {id, in.u32(), flags};
    }
};

/// Echoed by the receiver when the id is of the other side's parity: id (32).
struct ping {
    std::uint32_t id = 0;
};

/// No new streams on this connection: last good stream (31), status (32).
struct goaway {
    stream_id last_good;
    goaway_status status = goaway_status::ok;
};

/// More headers for a stream: stream (31), header block (zlib).
struct headers {
    stream_id stream;
    bool fin = false;
    bytes_view header_block{};
};

/// Room for more data, of a stream or (stream 0) of the connection: stream (31), delta (31).
struct window_update {
    stream_id stream;
    std::uint32_t delta = 0;
};

/// Make the 8 bytes before a DATA frame's payload, which itself is sent as it is: |0| stream (31) | flags (8) | length (24) |.
inline std::array<std::uint8_t, frame_header_bytes> encode_data_header(stream_id stream, std::uint32_t length, data_flags flags) noexcept;

/// Append a SYN_STREAM frame. @pre the block was made by the connection's `header_encoder`, and no other block comes between.
inline void encode_syn_stream(std::vector<std::uint8_t>& out, syn_stream const& f);
/// Append a SYN_REPLY frame; as `encode_syn_stream`.
inline void encode_syn_reply(std::vector<std::uint8_t>& out, syn_reply const& f);
/// Append a HEADERS frame; as `encode_syn_stream`.
inline void encode_headers(std::vector<std::uint8_t>& out, headers const& f);
/// Append a RST_STREAM frame. @pre the status is not 0: some peers close the connection at that.
inline void encode_rst_stream(std::vector<std::uint8_t>& out, rst_stream f);
/// Append a SETTINGS frame.
inline void encode_settings(std::vector<std::uint8_t>& out, std::span<setting const> entries, bool clear = false);
/// Append a PING frame.
inline void encode_ping(std::vector<std::uint8_t>& out, ping f);
/// Append a GOAWAY frame.
inline void encode_goaway(std::vector<std::uint8_t>& out, goaway f);
/// Append a WINDOW_UPDATE frame. @pre delta is 1 to `max_31_bits`.
inline void encode_window_update(std::vector<std::uint8_t>& out, window_update f);

} // namespace podproxy::spdy

template <>
struct std::hash<podproxy::spdy::stream_id> {
    std::size_t operator()(podproxy::spdy::stream_id id) const noexcept { return std::hash<std::uint32_t>{}(id.value); }
};

#include <podproxy/spdy/impl/frame.ipp>

#endif
