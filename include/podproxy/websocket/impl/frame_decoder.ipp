#ifndef PODPROXY_WEBSOCKET_IMPL_FRAME_DECODER_IPP
#define PODPROXY_WEBSOCKET_IMPL_FRAME_DECODER_IPP

#include <podproxy/websocket/frame_decoder.hpp>
#include <algorithm>
#include <cstring>

namespace podproxy::websocket {

inline frame_step frame_decoder::fail(std::error_code ec, std::size_t consumed)
{
    state_ = state::failed;
    error_ = ec;
    return {.status = step_status::failed, .consumed = consumed, .event = {}, .error = ec};
}

inline frame_step frame_decoder::next(std::span<std::uint8_t> in)
{
    if (state_ == state::failed) return {.status = step_status::failed, .consumed = 0, .event = {}, .error = error_};
    if (state_ == state::closed) {
        if (in.empty()) return {};
        return fail(errc::after_close, 0);
    }
    std::size_t consumed = 0;
    if (state_ == state::header) {
        bytes_view header = in;
        if (have_ != 0) { // behind a cut header
            std::size_t const part = std::min(in.size(), max_frame_header_bytes - have_);
            std::copy_n(in.begin(), part, kept_.begin() + have_);
            header = bytes_view(kept_).first(have_ + part);
        }
        auto const parsed = parse_frame_header(header);
        if (parsed.failed()) return fail(parsed.error(), 0);
        if (parsed.needs_more()) {
            if (have_ == 0) std::copy_n(in.begin(), in.size(), kept_.begin());
            have_ = static_cast<std::uint8_t>(have_ + in.size());
            return {.status = step_status::need_more, .consumed = in.size(), .event = {}, .error = {}};
        }
        consumed = parsed.consumed() - have_;
        have_ = 0;
        if (auto const ec = begin_frame(parsed.value())) return fail(ec, consumed);
    }
    return state_ == state::data ? data(in.subspan(consumed), consumed) : control(in.subspan(consumed), consumed);
}

inline std::error_code frame_decoder::begin_frame(frame_header const& h)
{
    if (h.mask.has_value() != (own_ == role::server)) return errc::bad_mask;
    frame_ = h;
    at_ = 0;
    if (is_control(h.kind)) {
        state_ = state::control;
        return {};
    }
    if (h.kind == opcode::continuation) {
        if (!in_message_) return errc::unexpected_continuation;
    } else {
        if (in_message_) return errc::unexpected_start;
        in_message_ = first_ = true;
        text_ = h.kind == opcode::text;
        message_ = 0;
        utf8_.reset();
    }
    if (h.length > config_.max_message - message_) return errc::message_too_large;
    message_ += h.length;
    state_ = state::data;
    return {};
}

inline frame_step frame_decoder::data(std::span<std::uint8_t> in, std::size_t consumed)
{
    std::uint64_t const missing = frame_.length - at_;
    std::size_t const size = static_cast<std::size_t>(std::min<std::uint64_t>(in.size(), missing));
    if (size == 0 && missing != 0) return {.status = step_status::need_more, .consumed = consumed, .event = {}, .error = {}};
    std::span<std::uint8_t> const payload = in.first(size);
    if (frame_.mask) apply_mask(payload, *frame_.mask, static_cast<std::size_t>(at_ % 4));
    at_ += size;
    consumed += size;
    message_piece piece{.kind = text_ ? opcode::text : opcode::binary, .payload = payload, .first = first_, .last = false};
    if (at_ == frame_.length) {
        state_ = state::header;
        piece.last = frame_.fin;
        in_message_ = !frame_.fin;
    }
    first_ = false;
    if (text_ && (!utf8_.next(payload) || (piece.last && !utf8_.complete()))) return fail(errc::bad_utf8, consumed);
    return {.status = step_status::event, .consumed = consumed, .event = piece, .error = {}};
}

inline frame_step frame_decoder::control(std::span<std::uint8_t> in, std::size_t consumed)
{
    std::size_t const missing = static_cast<std::size_t>(frame_.length - at_);
    std::size_t const size = std::min(in.size(), missing);
    auto const to = std::span(kept_).subspan(static_cast<std::size_t>(at_), size);
    if (frame_.mask)
        apply_mask(in.data(), to, *frame_.mask, static_cast<std::size_t>(at_ % 4));
    else if (size != 0)
        std::memcpy(to.data(), in.data(), size);
    at_ += size;
    consumed += size;
    if (at_ != frame_.length) return {.status = step_status::need_more, .consumed = consumed, .event = {}, .error = {}};
    return finish_control(consumed);
}

inline frame_step frame_decoder::finish_control(std::size_t consumed)
{
    state_ = state::header;
    bytes_view const payload = bytes_view(kept_).first(static_cast<std::size_t>(frame_.length));
    frame_step step{.status = step_status::event, .consumed = consumed, .event = {}, .error = {}};
    if (frame_.kind == opcode::ping) {
        step.event = ping_received{payload};
    } else if (frame_.kind == opcode::pong) {
        step.event = pong_received{payload};
    } else {
        close_received close;
        if (!payload.empty()) {
            byte_reader r(payload);
            close.code = static_cast<close_code>(r.u16());
            if (!r.ok() || !may_be_sent(close.code)) return fail(errc::bad_close_frame, consumed);
            if (!is_utf8(r.rest())) return fail(errc::bad_utf8, consumed);
            close.reason = as_text(r.rest());
        }
        state_ = state::closed;
        step.event = close;
    }
    return step;
}

} // namespace podproxy::websocket

#endif
