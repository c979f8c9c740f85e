#ifndef PODPROXY_SPDY_IMPL_FRAME_DECODER_IPP
#define PODPROXY_SPDY_IMPL_FRAME_DECODER_IPP

#include <podproxy/spdy/frame_decoder.hpp>
#include <algorithm>
#include <cstring>

namespace podproxy::spdy {

inline frame_step frame_decoder::fail(errc e, std::size_t consumed)
{
    state_ = state::failed;
    error_ = e;
    kept_ = std::vector<std::uint8_t>();
    return {.status = step_status::failed, .consumed = consumed, .event = {}, .error = error_};
}

inline frame_step frame_decoder::next(bytes_view in)
{
    if (state_ == state::failed) return {.status = step_status::failed, .consumed = 0, .event = {}, .error = error_};
    std::size_t consumed = 0;
    if (state_ == state::header) {
        if (kept_.capacity() != 0) kept_ = std::vector<std::uint8_t>(); // the last event's view into it ends here
        bytes_view header;
        if (have_ == 0 && in.size() >= frame_header_bytes) {
            header = in.first(frame_header_bytes);
            consumed = frame_header_bytes;
        } else {
            consumed = std::min(in.size(), frame_header_bytes - have_);
            std::copy_n(in.begin(), consumed, header_.begin() + static_cast<std::ptrdiff_t>(have_));
            have_ += consumed;
            if (have_ < frame_header_bytes) return {.status = step_status::need_more, .consumed = consumed, .event = {}, .error = {}};
            header = header_;
        }
        have_ = 0;
        if (errc e{}; !parse_frame_header(header, e)) return fail(e, consumed);
    }
    switch (state_) {
    case state::data: return data(in.subspan(consumed), consumed);
    case state::control: return control(in.subspan(consumed), consumed);
    default: return skip(in.subspan(consumed), consumed);
    }
}

inline bool frame_decoder::parse_frame_header(bytes_view header, errc& error)
{
    byte_reader r(header);
    std::uint32_t const first = r.u32();
    flags_ = r.u8();
    length_ = remaining_ = r.u24();
    auto const bad = [&error](errc e) {
        error = e;
        return false;
    };
    if ((first & 0x8000'0000u) == 0) {
        stream_ = first;
        if (stream_ == 0) return bad(errc::zero_stream_id);
        if ((flags_ & ~detail::flag_fin) != 0) return bad(errc::bad_flags);
        state_ = state::data;
        return true;
    }
    if ((first >> 16) != detail::version_with_control_bit) return bad(errc::bad_version);
    type_ = static_cast<std::uint16_t>(first & 0xffffu);

    // What the type allows: least and greatest length, and flags. Judged before any payload is kept.
    std::uint32_t least = 0;
    std::uint32_t most = max_frame_length;
    std::uint8_t flags = 0;
    switch (static_cast<frame_type>(type_)) {
    case frame_type::syn_stream:
        least = 10;
        flags = detail::flag_fin | detail::flag_unidirectional;
        break;
    case frame_type::syn_reply:
    case frame_type::headers:
        least = 4;
        flags = detail::flag_fin;
        break;
    case frame_type::settings:
        least = 4;
        flags = detail::flag_clear_settings;
        break;
    case frame_type::rst_stream:
    case frame_type::goaway:
    case frame_type::window_update: least = most = 8; break;
    case frame_type::ping: least = most = 4; break;
    default: state_ = state::skip; return true;
    }
    if ((flags_ & ~flags) != 0) return bad(errc::bad_flags);
    if (length_ < least || length_ > most) return bad(errc::bad_length);
    if (length_ > config_.max_control_frame) return bad(errc::frame_too_large);
    state_ = state::control;
    return true;
}

inline frame_step frame_decoder::data(bytes_view in, std::size_t consumed)
{
    if (in.empty() && remaining_ != 0) return {.status = step_status::need_more, .consumed = consumed, .event = {}, .error = {}};
    bytes_view const payload = in.first(std::min<std::size_t>(in.size(), remaining_));
    remaining_ -= static_cast<std::uint32_t>(payload.size());
    if (remaining_ == 0) state_ = state::header;
    data_piece piece{.stream = {stream_},
                     .payload = payload,
                     .remaining = remaining_,
                     .length = length_,
                     .fin = remaining_ == 0 && (flags_ & detail::flag_fin) != 0};
    return {.status = step_status::event, .consumed = consumed + payload.size(), .event = piece, .error = {}};
}

inline frame_step frame_decoder::control(bytes_view in, std::size_t consumed)
{
    bytes_view const part = in.first(std::min<std::size_t>(in.size(), remaining_));
    consumed += part.size();
    bytes_view payload = part;
    if (part.size() < length_) { // cut: keep what came
        kept_.insert(kept_.end(), part.begin(), part.end());
        remaining_ -= static_cast<std::uint32_t>(part.size());
        if (remaining_ != 0) return {.status = step_status::need_more, .consumed = consumed, .event = {}, .error = {}};
        payload = kept_;
    }
    state_ = state::header;
    frame_step step{.status = step_status::event, .consumed = consumed, .event = {}, .error = {}};
    if (errc e{}; !parse_control(payload, step.event, e)) return fail(e, consumed);
    return step;
}

inline frame_step frame_decoder::skip(bytes_view in, std::size_t consumed)
{
    std::size_t const part = std::min<std::size_t>(in.size(), remaining_);
    consumed += part;
    remaining_ -= static_cast<std::uint32_t>(part);
    if (remaining_ != 0) return {.status = step_status::need_more, .consumed = consumed, .event = {}, .error = {}};
    state_ = state::header;
    return {.status = step_status::event, .consumed = consumed, .event = unknown_frame{type_, flags_, length_}, .error = {}};
}

inline bool frame_decoder::parse_control(bytes_view payload, frame_event& event, errc& error) const
{
    byte_reader r(payload);
    bool const fin = (flags_ & detail::flag_fin) != 0;
    bool reserved = false;
    auto const id = [&] { // the highest bit of an id is reserved
        std::uint32_t const v = r.u32();
        reserved = reserved || (v & ~max_31_bits) != 0;
        return stream_id{v};
    };
    auto const check = [&](bool good, errc e) {
        if (reserved || !good) error = reserved ? errc::reserved_bit : e;
        return !reserved && good;
    };
    switch (static_cast<frame_type>(type_)) {
    case frame_type::syn_stream: {
        syn_stream f{.stream = id()};
        f.associated = id();
        f.priority = static_cast<std::uint8_t>(r.u8() >> 5); // the 5 bits behind are "unused", not "must be zero"
        f.slot = r.u8();
        f.fin = fin;
        f.unidirectional = (flags_ & detail::flag_unidirectional) != 0;
        f.header_block = r.rest();
        event = f;
        return check(f.stream.value != 0, errc::zero_stream_id);
    }
    case frame_type::syn_reply: {
        syn_reply f{.stream = id(), .fin = fin};
        f.header_block = r.rest();
        event = f;
        return check(f.stream.value != 0, errc::zero_stream_id);
    }
    case frame_type::headers: {
        headers f{.stream = id(), .fin = fin};
        f.header_block = r.rest();
        event = f;
        return check(f.stream.value != 0, errc::zero_stream_id);
    }
    case frame_type::rst_stream: {
        rst_stream f{.stream = id()};
        f.status = static_cast<rst_status>(r.u32());
        event = f;
        return check(f.stream.value != 0, errc::zero_stream_id) && check(f.status != rst_status{0}, errc::bad_status);
    }
    case frame_type::settings: {
        std::uint32_t const count = r.u32();
        event = settings{r.rest(), (flags_ & detail::flag_clear_settings) != 0};
        return check(r.remaining() % 8 == 0 && r.remaining() / 8 == count, errc::bad_length);
    }
    case frame_type::ping: event = ping{r.u32()}; return true;
    case frame_type::goaway: {
        goaway f{.last_good = id()};
        f.status = static_cast<goaway_status>(r.u32());
        event = f;
        return check(true, errc{});
    }
    case frame_type::window_update: {
        window_update f{.stream = id()};
        f.delta = id().value;
        event = f;
        return check(f.delta != 0, errc::bad_window_delta);
    }
    }
    return check(false, errc::bad_length); // not reached: other types are skipped
}

} // namespace podproxy::spdy

#endif
