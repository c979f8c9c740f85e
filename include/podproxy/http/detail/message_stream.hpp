#ifndef PODPROXY_HTTP_DETAIL_MESSAGE_STREAM_HPP
#define PODPROXY_HTTP_DETAIL_MESSAGE_STREAM_HPP

#include <podproxy/http/body.hpp>
#include <podproxy/http/parser.hpp>
#include <podproxy/net/stream.hpp>
#include <podproxy/net/timeout.hpp>
#include <asio/cancel_after.hpp>
#include <asio/post.hpp>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>

namespace podproxy::http::detail {

using net::clock;

/// The moment `limit` from now; a limit of zero means never.
inline clock::time_point from_now(clock::duration limit)
{
    return limit == clock::duration::zero() ? clock::time_point::max() : clock::now() + limit;
}

/// `async_wait` with an end. @return an empty code, `errc::timed_out`, or why the stream is lost.
inline net::awaitable<std::error_code> wait_until(net::stream& s, net::wait_kind kind, clock::time_point deadline)
{
    if (deadline == clock::time_point::max()) {
        auto [ec] = co_await net::async_wait(s, kind, asio::as_tuple(net::use_awaitable));
        co_return ec;
    }
    clock::duration const left = std::max<clock::duration>(deadline - clock::now(), clock::duration(1));
    auto [ec] = co_await net::async_wait(s, kind, asio::cancel_after(left, asio::as_tuple(net::use_awaitable)));
    co_return net::timeout_or(ec, co_await asio::this_coro::cancellation_state);
}

/// Read at least one byte into the buffer. While nothing comes, an empty buffer holds no memory.
inline net::awaitable<result<std::size_t>> read_more(net::stream& s, flat_buffer& buf, clock::time_point deadline, std::size_t chunk)
{
    for (;;) {
        if (buf.room() == 0) co_return podproxy::errc::buffer_full;
        auto n = s.try_read(buf.prepare(chunk));
        if (n) buf.commit(*n);
        if (n || n.error() != podproxy::errc::would_block) co_return n;
        if (buf.empty()) buf.release();
        if (std::error_code const ec = co_await wait_until(s, net::wait_kind::read, deadline)) co_return ec;
    }
}

/// Write all bytes; the limit is for each time that nothing can be written.
inline net::awaitable<result<void>> write_all(net::stream& s, bytes_view in, clock::duration idle)
{
    while (!in.empty()) {
        auto n = s.try_write(in);
        if (n) {
            in = in.subspan(*n);
            continue;
        }
        if (n.error() != podproxy::errc::would_block) co_return n.error();
        if (std::error_code const ec = co_await wait_until(s, net::wait_kind::write, from_now(idle))) co_return ec;
    }
    co_return result<void>{};
}

/** The receiving half of a connection: heads and content out of one buffer.

    Views of content stay valid until the next call that is not const. All state is in the object, so a cancelled wait loses nothing. */
class message_input {
public:
    static constexpr std::size_t chunk_bytes = 16 * 1024;

    message_input(net::stream& s, flat_buffer& buf) noexcept : stream_(&s), buf_(&buf) {}

    /** Read up to the end of a head.
        @return `end_of_stream` when the peer ended before the first byte, `truncated` later, the decoder's errors, the stream's. */
    template <class Decoder>
    net::awaitable<result<void>> read_head(Decoder& decoder, clock::time_point deadline)
    {
        settle();
        for (;;) {
            if (!buf_->empty()) {
                head_step const step = decoder.next(buf_->data());
                buf_->consume(step.consumed);
                if (step.status == head_status::done) co_return result<void>{};
                if (step.status == head_status::failed) co_return step.error;
            }
            auto const n = co_await read_more(*stream_, *buf_, deadline, chunk_bytes);
            if (!n) {
                bool const inside = n.error() == podproxy::errc::end_of_stream && decoder.started();
                co_return inside ? make_error_code(podproxy::errc::truncated) : n.error();
            }
        }
    }

    void begin_body(body_framing framing, chunk_limits limits)
    {
        settle();
        body_ = body_decoder(framing, limits);
    }

    /// What is there without waiting: `data`, `done`, `failed`, or `need_more`.
    body_step next_buffered()
    {
        settle();
        body_step const step = body_.next(buf_->data());
        held_ = step.consumed;
        return step;
    }

    /// The next piece of content, or `end_of_stream` behind the last one.
    net::awaitable<result<bytes_view>> next(clock::duration idle)
    {
        for (;;) {
            body_step const step = next_buffered();
            switch (step.status) {
            case body_status::data: co_return step.data;
            case body_status::done: co_return podproxy::errc::end_of_stream;
            case body_status::failed: co_return step.error;
            case body_status::need_more: break;
            }
            settle();
            auto const n = co_await read_more(*stream_, *buf_, from_now(idle), chunk_bytes);
            if (!n) co_return n.error() == podproxy::errc::end_of_stream ? body_.at_end_of_stream() : n.error();
        }
    }

    bool body_done() const noexcept { return body_.done(); }
    body_decoder const& body() const noexcept { return body_; }
    flat_buffer& buffer() noexcept
    {
        settle();
        return *buf_;
    }
    net::stream& stream() noexcept { return *stream_; }

private:
    void settle() noexcept { buf_->consume(std::exchange(held_, 0)); }

    net::stream* stream_;
    flat_buffer* buf_;
    body_decoder body_;
    std::size_t held_ = 0; ///< bytes of the buffer that are decoded and lent out
};

/// The sending half of a connection: content in the framing that its head has promised.
class message_output {
public:
    static constexpr std::size_t copy_below = 16 * 1024;
    /// Bytes sent before everybody else on the thread gets a turn.
    static constexpr std::size_t turn = 1024 * 1024;

    explicit message_output(net::stream& s) noexcept : stream_(&s) {}

    /// Send a head, and with it the first piece of content where that is small.
    net::awaitable<result<void>> begin(std::string head, body_framing framing, bytes_view first, clock::duration idle)
    {
        framing_ = framing;
        left_ = framing.length;
        ended_ = framing.kind == framing_kind::none;
        intact_ = false;
        pending_ = std::move(head);
        if (auto const sent = co_await write(first, idle); !sent) co_return sent;
        co_return co_await flush(idle);
    }

    /// Send a piece of content. @return `errc::not_ready` for more than was promised.
    net::awaitable<result<void>> write(bytes_view content, clock::duration idle)
    {
        if (content.empty()) co_return result<void>{};
        if (ended_) co_return errc::not_ready;
        if (framing_.kind == framing_kind::length) {
            if (content.size() > left_) co_return errc::not_ready;
            left_ -= content.size();
            ended_ = left_ == 0;
        }
        bool const chunked = framing_.kind == framing_kind::chunked;
        if (chunked) append_chunk_header(pending_, content.size());
        if (pending_.size() + content.size() <= copy_below) { // one write instead of two or three
            if (!pending_.empty()) {
                pending_.append(as_text(content));
                if (chunked) pending_.append(chunk_end);
                co_return co_await flush(idle);
            }
        }
        if (auto const sent = co_await flush(idle); !sent) co_return sent;
        intact_ = false;
        if (auto const sent = co_await write_all(*stream_, content, idle); !sent) co_return sent;
        since_turn_ += content.size();
        if (chunked) pending_ = chunk_end;
        co_return co_await flush(idle);
    }

    /// Keep a small chunk of content for the next `write`, `flush` or `end`, so that many small ones make one write.
    /// @return false, with nothing kept, when it has to be written.
    bool gather(bytes_view content)
    {
        if (framing_.kind != framing_kind::chunked || pending_.size() + content.size() + 24 > copy_below) return false;
        append_chunk(pending_, content);
        return true;
    }

    /// Send what was gathered.
    net::awaitable<result<void>> flush(clock::duration idle)
    {
        intact_ = false;
        if (auto const sent = co_await write_all(*stream_, as_bytes(pending_), idle); !sent) co_return sent;
        since_turn_ += pending_.size();
        if (pending_.capacity() > copy_below) pending_ = {};
        else pending_.clear();
        intact_ = true;
        if (since_turn_ >= turn) { // a fast source and a fast sink never make us wait
            since_turn_ = 0;
            co_await asio::post(stream_->get_executor(), net::use_awaitable);
        }
        co_return result<void>{};
    }

    /// The content is complete. @return `errc::not_ready` when it is shorter than was promised.
    net::awaitable<result<void>> end(fields const& trailers, clock::duration idle)
    {
        if (framing_.kind == framing_kind::length && left_ != 0) co_return errc::not_ready;
        if (framing_.kind == framing_kind::chunked && !ended_) {
            if (auto const ok = append_last_chunk(pending_, trailers); !ok) co_return ok;
            if (auto const sent = co_await flush(idle); !sent) co_return sent;
        }
        ended_ = true;
        co_return result<void>{};
    }

    /// Whether all that was promised has been sent.
    bool complete() const noexcept { return intact_ && ended_; }
    /// Whether no write has failed or was given up in the middle.
    bool intact() const noexcept { return intact_; }
    body_framing framing() const noexcept { return framing_; }

private:
    net::stream* stream_;
    body_framing framing_;
    std::uint64_t left_ = 0;
    bool ended_ = true;
    bool intact_ = true;
    std::string pending_;
    std::size_t since_turn_ = 0; ///< bytes sent since the last time that others had theirs
};

} // namespace podproxy::http::detail

#endif
