#ifndef PODPROXY_WEBSOCKET_IMPL_STREAM_IPP
#define PODPROXY_WEBSOCKET_IMPL_STREAM_IPP

#include <podproxy/net/wait_slot.hpp>
#include <podproxy/websocket/frame_decoder.hpp>
#include <podproxy/websocket/frame_encoder.hpp>
#include <podproxy/websocket/stream.hpp>
#include <asio/append.hpp>
#include <asio/error.hpp>
#include <asio/post.hpp>
#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

namespace podproxy::websocket {

namespace detail {

/** A place to build a frame in. There is one per thread, since frames that the connection takes at once need none of their own;
    while one is in use (a WebSocket inside a WebSocket), others are made for the occasion. */
class frame_scratch {
public:
    explicit frame_scratch(std::size_t size) : memory_(std::move(kept().memory)), capacity_(std::exchange(kept().capacity, 0))
    {
        if (capacity_ >= size) return;
        memory_ = std::make_unique_for_overwrite<std::uint8_t[]>(size);
        capacity_ = size;
    }
    frame_scratch(frame_scratch const&) = delete;
    frame_scratch& operator=(frame_scratch const&) = delete;
    ~frame_scratch()
    {
        if (capacity_ > most_kept || capacity_ < kept().capacity) return;
        kept().memory = std::move(memory_);
        kept().capacity = capacity_;
    }

    std::span<std::uint8_t> bytes() const noexcept { return {memory_.get(), capacity_}; }

private:
    static constexpr std::size_t most_kept = 128 * 1024;
    struct block {
        std::unique_ptr<std::uint8_t[]> memory;
        std::size_t capacity = 0;
    };
    static block& kept() noexcept
    {
        thread_local block instance;
        return instance;
    }

    std::unique_ptr<std::uint8_t[]> memory_;
    std::size_t capacity_;
};

} // namespace detail

/// What lives on while a wait of our own is in flight, although the stream is gone.
struct stream::state : std::enable_shared_from_this<stream::state> {
    state(net::any_stream connection, stream_config c, std::vector<std::uint8_t> first, crypto::random_source r)
        : executor(connection->get_executor()), lower(std::move(connection)), config(c), leftover(std::move(first)), random(std::move(r)),
          decoder(c.own), write_waiter(executor)
    {
        assert(config.max_frame != 0);
    }

    net::executor executor;
    net::any_stream lower;
    stream_config config;
    std::vector<std::uint8_t> leftover; // read behind the handshake
    std::size_t leftover_at = 0;
    crypto::random_source random;
    frame_decoder decoder;

    std::vector<std::uint8_t> pending; // built frames that the connection has not taken
    std::size_t pending_at = 0;
    std::vector<std::uint8_t> pong; // payload of the latest ping, while other frames are pending
    bool pong_due = false;
    bool flush_waiting = false;   // a wait for `write` of ours is in flight
    net::wait_slot write_waiter;  // the user's wait for `write`
    std::error_code read_error;   // how reading ended
    std::error_code write_error;  // why nothing more can be written
    close_code status = close_code::abnormal;
    bool close_sent = false;
    std::array<std::uint8_t, 64> masks{}; // random bytes in stock
    std::size_t masks_left = 0;

    std::optional<mask_key> next_mask()
    {
        if (config.own == role::server) return std::nullopt;
        if (masks_left == 0) {
            random(masks);
            masks_left = masks.size();
        }
        mask_key key{};
        std::copy_n(masks.end() - static_cast<std::ptrdiff_t>(masks_left), key.size(), key.begin());
        masks_left -= key.size();
        return key;
    }

    bool has_pending() const noexcept { return pending_at != pending.size(); }

    void drop_pending() noexcept
    {
        pending = std::vector<std::uint8_t>();
        pending_at = 0;
        pong_due = false;
    }

    void fail_write(std::error_code ec)
    {
        if (!write_error) write_error = ec;
        drop_pending();
    }

    /// Send what is pending, as far as the connection takes it.
    void flush()
    {
        while (!write_error) {
            if (!has_pending()) {
                if (pending.capacity() != 0) pending = std::vector<std::uint8_t>();
                pending_at = 0;
                if (!pong_due) return;
                pong_due = false;
                encode_frame(pending, opcode::pong, pong, next_mask());
            }
            auto const n = lower->try_write(bytes_view(pending).subspan(pending_at));
            if (!n) {
                if (n.error() == podproxy::errc::would_block) return wait_to_flush();
                return fail_write(n.error());
            }
            pending_at += *n;
        }
    }

    /// Come back when the connection takes more, also if nobody calls us.
    void wait_to_flush()
    {
        if (flush_waiting) return;
        flush_waiting = true;
        lower->async_wait(net::wait_kind::write, [self = shared_from_this()](std::error_code ec) {
            self->flush_waiting = false;
            if (!self->lower) return; // the stream is gone
            if (ec)
                self->fail_write(ec);
            else
                self->flush();
            if (!self->flush_waiting) self->write_waiter.complete(self->write_error);
        });
    }

    /// Send a small frame behind what is pending.
    void send_control(opcode kind, bytes_view payload)
    {
        if (write_error) return;
        encode_frame(pending, kind, payload, next_mask());
        flush();
    }

    void send_close(close_code code)
    {
        if (std::exchange(close_sent, true) || write_error) return;
        pong_due = false; // nothing may follow a close frame
        std::vector<std::uint8_t> payload;
        if (code != close_code::no_status) byte_writer(payload).u16(static_cast<std::uint16_t>(code));
        send_control(opcode::close, payload);
    }

    void answer(ping_received const& ping)
    {
        if (close_sent) return;
        if (!has_pending()) return send_control(opcode::pong, ping.payload);
        // Only the latest ping is answered (section 5.5.3): a peer that floods us and does not read costs no more memory.
        pong.assign(ping.payload.begin(), ping.payload.end());
        pong_due = true;
    }

    /// The peer broke the protocol.
    void give_up(std::error_code ec)
    {
        read_error = ec;
        send_close(close_code_for(ec));
    }

    void closed_by_peer(close_received const& close)
    {
        status = close.code;
        bool const clean = status == close_code::normal || status == close_code::going_away || status == close_code::no_status;
        read_error = clean ? std::error_code(podproxy::errc::end_of_stream) : std::error_code(errc::closed_abnormally);
        send_close(status);
    }

    /// Raw bytes into `out`: what is left of the handshake first.
    result<std::size_t> read_raw(std::span<std::uint8_t> out)
    {
        if (leftover.empty()) return lower->try_read(out);
        std::size_t const n = std::min(out.size(), leftover.size() - leftover_at);
        std::memcpy(out.data(), leftover.data() + leftover_at, n);
        leftover_at += n;
        if (leftover_at == leftover.size()) leftover = std::vector<std::uint8_t>();
        return n;
    }

    /// Decode the raw bytes where they lie and move the payload together at the front.
    std::size_t decode_in_place(std::span<std::uint8_t> raw)
    {
        std::uint8_t* const begin = raw.data();
        std::size_t made = 0;
        while (!read_error) {
            auto const step = decoder.next(raw);
            raw = raw.subspan(step.consumed);
            if (step.status == step_status::need_more) break;
            if (step.status == step_status::failed) {
                give_up(step.error);
            } else if (auto const* piece = std::get_if<message_piece>(&step.event)) {
                if (piece->kind == opcode::text) {
                    give_up(errc::unexpected_text);
                } else if (!piece->payload.empty()) {
                    if (begin + made != piece->payload.data()) std::memmove(begin + made, piece->payload.data(), piece->payload.size());
                    made += piece->payload.size();
                }
            } else if (auto const* ping = std::get_if<ping_received>(&step.event)) {
                answer(*ping);
            } else if (auto const* close = std::get_if<close_received>(&step.event)) {
                closed_by_peer(*close);
            }
        }
        return made;
    }

    void end_of_connection(std::error_code ec)
    {
        if (ec != podproxy::errc::end_of_stream)
            read_error = ec;
        else
            read_error = decoder.at_frame_boundary() ? std::error_code(errc::no_close_frame) : std::error_code(podproxy::errc::truncated);
    }
};

inline stream::stream(net::any_stream lower, stream_config config, std::vector<std::uint8_t> leftover, crypto::random_source random)
    : state_(std::make_shared<state>(std::move(lower), config, std::move(leftover), std::move(random)))
{
}

inline stream::~stream()
{
    state_->drop_pending();
    state_->write_waiter.complete(asio::error::operation_aborted);
    state_->lower.reset(); // ends a wait of ours, which then finds nothing to do
}

inline net::executor stream::get_executor() const { return state_->executor; }

inline net::ready_socket* stream::transport() noexcept { return state_->lower ? state_->lower->transport() : nullptr; }

inline result<std::size_t> stream::try_read(std::span<std::uint8_t> out)
{
    assert(!out.empty());
    state& s = *state_;
    for (;;) {
        if (s.read_error) return s.read_error;
        auto const n = s.read_raw(out);
        if (!n) {
            if (n.error() == podproxy::errc::would_block) return n.error();
            s.end_of_connection(n.error());
            continue;
        }
        // Headers and control frames alone are no reason to return.
        if (std::size_t const made = s.decode_in_place(out.first(*n)); made != 0) return made;
    }
}

inline result<std::size_t> stream::try_write(bytes_view in)
{
    assert(!in.empty());
    state& s = *state_;
    if (s.has_pending()) s.flush();
    if (s.write_error) return s.write_error;
    if (s.close_sent) return errc::closed;
    if (s.has_pending()) return podproxy::errc::would_block;

    in = in.first(std::min(in.size(), s.config.max_frame));
    frame_header const h{.kind = opcode::binary, .fin = true, .length = in.size(), .mask = s.next_mask()};
    detail::frame_scratch const scratch(max_frame_header_bytes + in.size());
    std::span<std::uint8_t> const frame = scratch.bytes();
    std::size_t const header = encode_frame_header(h, frame);
    auto const body = frame.subspan(header, in.size());
    if (h.mask)
        apply_mask(in.data(), body, *h.mask);
    else
        std::memcpy(body.data(), in.data(), in.size());

    bytes_view rest = frame.first(header + in.size());
    while (!rest.empty()) {
        auto const n = s.lower->try_write(rest);
        if (!n && n.error() != podproxy::errc::would_block) {
            s.fail_write(n.error());
            return n.error();
        }
        if (!n) { // the frame is ours now: what is left of it is kept and sent later
            s.pending.assign(rest.begin(), rest.end());
            s.pending_at = 0;
            s.wait_to_flush();
            break;
        }
        rest = rest.subspan(*n);
    }
    return in.size();
}

inline void stream::async_wait(net::wait_kind kind, wait_handler handler)
{
    state& s = *state_;
    if (kind == net::wait_kind::write) {
        if (s.write_error || s.close_sent) {
            asio::post(s.executor, asio::append(std::move(handler), std::error_code{})); // trying again tells why
            return;
        }
        // The connection's one wait for `write` is ours, since frames of our own may have to wait beside the user.
        s.write_waiter.wait(std::move(handler));
        s.wait_to_flush();
        return;
    }
    if (s.read_error || !s.leftover.empty()) {
        asio::post(s.executor, asio::append(std::move(handler), std::error_code{}));
        return;
    }
    s.lower->async_wait(net::wait_kind::read, std::move(handler));
}

inline result<void> stream::shutdown_send()
{
    state& s = *state_;
    s.send_close(close_code::normal);
    return s.write_error;
}

inline void stream::close() noexcept
{
    state& s = *state_;
    try {
        s.send_close(close_code::normal);
    } catch (...) { // no memory or no random bytes for a goodbye
    }
    s.fail_write(errc::closed);
    if (!s.read_error) s.read_error = asio::error::bad_descriptor;
    s.lower->close();
    s.write_waiter.complete(asio::error::operation_aborted);
}

inline void stream::reset() noexcept
{
    state& s = *state_;
    s.fail_write(errc::closed);
    if (!s.read_error) s.read_error = asio::error::bad_descriptor;
    s.lower->reset();
    s.write_waiter.complete(asio::error::operation_aborted);
}

inline close_code stream::close_status() const noexcept { return state_->status; }

inline std::size_t stream::unsent() const noexcept { return state_->pending.size() - state_->pending_at; }

} // namespace podproxy::websocket

#endif
