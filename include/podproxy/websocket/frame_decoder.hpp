#ifndef PODPROXY_WEBSOCKET_FRAME_DECODER_HPP
#define PODPROXY_WEBSOCKET_FRAME_DECODER_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/websocket/errc.hpp>
#include <podproxy/websocket/frame.hpp>
#include <podproxy/websocket/utf8.hpp>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <system_error>
#include <variant>

namespace podproxy::websocket {

/** A piece of a data message, unmasked, as it arrived. Fragments of a message follow each other without a mark; a message without
    bytes gives one empty piece, and so may the end of a fragmented one. */
struct message_piece {
    opcode kind = opcode::binary;      ///< `text` or `binary`.
    std::span<std::uint8_t> payload{}; ///< Into the input of `next`.
    bool first = false;                ///< The message begins here.
    bool last = false;                 ///< The message ends behind this piece.
};

/// A ping: answer with a pong that has the same payload.
struct ping_received {
    bytes_view payload{};
};

struct pong_received {
    bytes_view payload{};
};

/// The peer closes: answer with a close frame if none was sent. Nothing follows.
struct close_received {
    close_code code = close_code::no_status; ///< `no_status` where the frame was empty.
    std::string_view reason{};               ///< UTF-8. Not to be trusted.
};

/// One event of a connection. Views in it are valid until the next `next` or `reset`, and while the input is.
using frame_event = std::variant<message_piece, ping_received, pong_received, close_received>;

enum class step_status {
    need_more, ///< All of the input was taken; call again with what comes behind it.
    event,     ///< There is an event; call again with the rest of the input.
    failed,    ///< The peer broke the protocol: send a close frame with `close_code_for(error)` and give up.
};

/// What one call of `frame_decoder::next` came to.
struct frame_step {
    step_status status = step_status::need_more;
    std::size_t consumed = 0; ///< Bytes taken from the input, in every case.
    frame_event event{};      ///< Only with `event`.
    std::error_code error{};  ///< Only with `failed`.
};

struct frame_decoder_config {
    /// Bytes of one message, all its fragments together. Default: no limit, since payload is never kept.
    std::uint64_t max_message = std::numeric_limits<std::uint64_t>::max();
};

/** Cuts one direction of a connection into RFC 6455 messages.

    Payload of messages is never kept: it is unmasked where it lies and handed on in pieces. Control frames, which may come
    between the fragments of a message, are kept until they are complete (at most 125 bytes). The decoder allocates nothing.

    Refused are: reserved bits, unknown opcodes, masks that do not fit the side, lengths not in their shortest form, fragmented or
    long control frames, continuations outside and starts inside a message, messages above the limit (at the header that passes
    it), text and close reasons that are no UTF-8 (at the first byte that can't be), close codes that must not be sent, and
    anything behind a close frame. */
class frame_decoder {
public:
    /// `own` is our side: a client refuses masked frames, a server unmasked ones.
    explicit frame_decoder(role own, frame_decoder_config config = {}) noexcept : own_(own), config_(config) {}

    /// Take bytes up to the end of the next event; they are changed where they were masked. After `failed` every further call
    /// fails the same way.
    frame_step next(std::span<std::uint8_t> in);

    /// Whether the input so far ends between two frames.
    bool at_frame_boundary() const noexcept { return state_ == state::header && have_ == 0; }
    /// Whether the input so far ends between two messages.
    bool at_message_boundary() const noexcept { return at_frame_boundary() && !in_message_; }

    /// Start over, as for a new connection.
    void reset() noexcept
    {
        role const own = own_;
        frame_decoder_config const config = config_;
        *this = frame_decoder(own, config);
    }

private:
    enum class state { header, data, control, closed, failed };

    frame_step fail(std::error_code ec, std::size_t consumed);
    std::error_code begin_frame(frame_header const& h);
    frame_step data(std::span<std::uint8_t> in, std::size_t consumed);
    frame_step control(std::span<std::uint8_t> in, std::size_t consumed);
    frame_step finish_control(std::size_t consumed);

    role own_;
    frame_decoder_config config_;
    state state_ = state::header;
    std::uint8_t have_ = 0; // bytes of the header, or of a control frame's payload, that have come
    bool in_message_ = false;
    bool first_ = false; // no piece of the message has been handed on
    bool text_ = false;
    std::array<std::uint8_t, max_control_payload> kept_{}; // a cut header, or the payload of a control frame
    frame_header frame_;
    std::uint64_t at_ = 0;      // bytes of the frame's payload that have come
    std::uint64_t message_ = 0; // bytes of the message in the frames that have begun
    utf8_checker utf8_;
    std::error_code error_;
};

} // namespace podproxy::websocket

#include <podproxy/websocket/impl/frame_decoder.ipp>

#endif
