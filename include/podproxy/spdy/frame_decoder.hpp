#ifndef PODPROXY_SPDY_FRAME_DECODER_HPP
#define PODPROXY_SPDY_FRAME_DECODER_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/spdy/errc.hpp>
#include <podproxy/spdy/frame.hpp>
#include <array>
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <variant>
#include <vector>

namespace podproxy::spdy {

/** A piece of a DATA frame's payload, as it arrived. A frame without payload gives one empty piece. */
struct data_piece {
    stream_id stream;
    bytes_view payload{};        ///< Into the input of `next`.
    std::uint32_t remaining = 0; ///< Bytes of this frame that are still to come.
    std::uint32_t length = 0;    ///< Bytes of the whole frame's payload.
    bool fin = false;            ///< The sender's direction ends behind this piece: only on the last one of a frame.
};

/// A control frame of a type that we do not know. Its payload has been skipped, whatever its length.
struct unknown_frame {
    std::uint16_t type = 0;
    std::uint8_t flags = 0;
    std::uint32_t length = 0;
};

/// One event of a connection. Views in it are valid until the next `next` or `reset`, and while the input is.
using frame_event = std::variant<data_piece, syn_stream, syn_reply, rst_stream, settings, ping, goaway, headers, window_update, unknown_frame>;

enum class step_status {
    need_more, ///< All of the input was taken; call again with what comes behind it.
    event,     ///< There is an event; call again with the rest of the input.
    failed,    ///< The peer broke the protocol: the connection is not usable.
};

/// What one call of `frame_decoder::next` came to.
struct frame_step {
    step_status status = step_status::need_more;
    std::size_t consumed = 0; ///< Bytes taken from the input, in every case.
    frame_event event{};      ///< Only with `event`.
    std::error_code error{};  ///< Only with `failed`.
};

struct frame_decoder_config {
    /// Longest payload of a known control frame, in bytes. Default 16 KiB; a receiver must take at least 8 KiB (section 2.2.1).
    std::uint32_t max_control_frame = 16 * 1024;
};

/** Cuts a connection's bytes into SPDY/3.1 frames.

        while (!in.empty()) {
            auto step = decoder.next(in);
            in = in.subspan(step.consumed);
            if (step.status == step_status::failed) return step.error;
            if (step.status == step_status::event) std::visit(handler, step.event);
        }

    Payload of DATA frames is never kept. A control frame that lies whole in the input is read there; only one that is cut
    is kept, until it is complete. Between frames the decoder holds no memory.

    Refused are: another version than 3, lengths that do not fit the type, control frames above the limit, undefined flags,
    set reserved bits, stream 0 where a stream is needed, RST_STREAM with status 0, a window delta of 0. Compressed header blocks are
    passed on as they are. */
class frame_decoder {
public:
    explicit frame_decoder(frame_decoder_config config = {}) noexcept : config_(config) {}

    /// Take bytes up to the end of the next event. After `failed` every further call fails the same way.
    frame_step next(bytes_view in);

    /// Whether the input so far ends between two frames: an end of the connection here cuts nothing.
    bool at_boundary() const noexcept { return state_ == state::header && have_ == 0; }

    /// Start over, as for a new connection.
    void reset()
    {
        frame_decoder_config const config = config_;
        *this = frame_decoder(config);
    }

private:
    enum class state { header, data, control, skip, failed };

    frame_step fail(errc e, std::size_t consumed);
    bool parse_frame_header(bytes_view header, errc& error);
    bool parse_control(bytes_view payload, frame_event& event, errc& error) const;
    frame_step data(bytes_view in, std::size_t consumed);
    frame_step control(bytes_view in, std::size_t consumed);
    frame_step skip(bytes_view in, std::size_t consumed);

    frame_decoder_config config_;
    state state_ = state::header;
    std::array<std::uint8_t, frame_header_bytes> header_{};
    std::size_t have_ = 0;       // bytes of the header that have come
    std::uint32_t stream_ = 0;   // of a DATA frame
    std::uint16_t type_ = 0;     // of a control frame
    std::uint8_t flags_ = 0;
    std::uint32_t length_ = 0;   // of the payload
    std::uint32_t remaining_ = 0;
    std::vector<std::uint8_t> kept_; // the part of a cut control frame's payload that has come
    std::error_code error_;
};

} // namespace podproxy::spdy

#include <podproxy/spdy/impl/frame_decoder.ipp>

#endif
