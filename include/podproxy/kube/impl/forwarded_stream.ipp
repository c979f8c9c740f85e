#include <asio/error.hpp>
#include <utility>

namespace podproxy::kube {

struct forwarded_stream::state : std::enable_shared_from_this<state> {
    state(net::executor ex, std::unique_ptr<spdy::session_stream> e, std::unique_ptr<spdy::session_stream> d, forwarded_stream_config c,
          end_handler h)
        : executor(ex), config(c), error(std::move(e)), data(std::move(d)), on_end(std::move(h)), readable(ex), writable(ex), settled(ex),
          delay(ex)
    {
    }

    static constexpr std::size_t most_text = 1024;

    net::executor executor;
    forwarded_stream_config config;
    std::unique_ptr<spdy::session_stream> error;
    std::unique_ptr<spdy::session_stream> data;
    end_handler on_end;
    net::wait_slot readable;
    net::wait_slot writable;
    net::wait_slot settled; ///< something that `established` looks at has changed
    net::timer delay;       ///< first for the verdict after the pod's end, else for passing our own end on
    std::string text;
    std::error_code failure;
    std::uint64_t seen = 0; ///< received when the delay began
    std::uint64_t received_at_write = 0; ///< received when the client's last bytes were taken
    bool verdict_in = false;
    bool verdict_waited = false;
    bool finish_wanted = false;
    bool finished = false;

    void begin()
    {
        auto const react = [weak = weak_from_this()] {
            if (auto self = weak.lock()) self->changed();
        };
        error->on_change = react;
        data->on_change = react;
    }

    void changed()
    {
        read_error_stream();
        if (data->remote_ended() && !verdict_in && !verdict_waited) wait_for_verdict();
        if (readable.waiting() && !would_block_read()) readable.complete({});
        if (writable.waiting() && can_write()) writable.complete({});
        settled.complete({});
    }

    /// Whether writing may do something, or fail.
    bool can_write() const { return failure || !data->waits_for_room(); }

    void read_error_stream()
    {
        while (auto const bytes = error->view()) {
            if (text.size() < most_text) text.append(as_text(*bytes).substr(0, most_text - text.size()));
            error->consume(bytes->size());
        }
        if (verdict_in || !(error->remote_ended() || error->error())) return;
        verdict_in = true;
        if (!text.empty()) failure = classify_forward_error(text);
    }

    void wait_for_verdict()
    {
        verdict_waited = true;
        delay.expires_after(config.verdict_wait);
        delay.async_wait([weak = weak_from_this()](std::error_code ec) {
            auto self = weak.lock();
            if (ec || !self) return;
            self->verdict_in = true;
            self->changed();
        });
    }

    /// What the data stream offers, with its end read in the light of the error stream.
    result<bytes_view> view() const
    {
        auto const bytes = data->view();
        if (bytes) return bytes;
        if (bytes.error() == podproxy::errc::would_block) {
            if (failure) return failure;
            return bytes;
        }
        if (failure) return failure;
        if (bytes.error() == podproxy::errc::end_of_stream && !verdict_in) return podproxy::errc::would_block;
        return bytes;
    }

    bool would_block_read() const
    {
        auto const bytes = view();
        return !bytes && bytes.error() == podproxy::errc::would_block;
    }

    void pass_end_on_when_quiet()
    {
        seen = data->received();
        bool const answered = seen > received_at_write;
        delay.expires_after(answered ? config.finish_after_answer : config.finish_after);
        delay.async_wait([weak = weak_from_this()](std::error_code ec) {
            auto self = weak.lock();
            if (ec || !self || self->finished) return;
            if (self->data->received() != self->seen) return self->pass_end_on_when_quiet();
            self->finished = true;
            self->data->finish();
        });
    }

    void over()
    {
        error->on_change = nullptr;
        data->on_change = nullptr;
        delay.cancel();
        if (auto done = std::exchange(on_end, nullptr)) done(failure ? failure : data->error(), text);
        data->reset(); // before the error stream: the runtime waits for the data stream first
        error->reset();
        readable.complete(asio::error::operation_aborted);
        writable.complete(asio::error::operation_aborted);
        settled.complete(asio::error::operation_aborted);
    }
};

inline forwarded_stream::forwarded_stream(net::executor ex, std::unique_ptr<spdy::session_stream> error, std::unique_ptr<spdy::session_stream> data,
                                          forwarded_stream_config config, end_handler on_end)
    : state_(std::make_shared<state>(ex, std::move(error), std::move(data), config, std::move(on_end)))
{
    state_->begin();
}

inline forwarded_stream::~forwarded_stream() { close(); }

inline net::awaitable<result<void>> forwarded_stream::established(std::chrono::milliseconds grace, diagnostics& why)
{
    auto const s = state_;
    auto const failed = [&]() -> std::error_code {
        s->read_error_stream();
        if (s->failure) return s->failure;
        if (s->data->error()) return s->data->error();
        if (s->error->error()) return s->error->error();
        return {};
    };
    auto const deadline = net::clock::now() + grace;
    for (;;) {
        if (auto const ec = failed()) {
            why.set_server_text(s->text);
            co_return ec;
        }
        if (s->data->received() != 0) co_return result<void>{};
        bool const taken = s->data->replied() && s->error->replied();
        // The pod closed without a word: the runtime's verdict decides, and it is on its way.
        if (taken && s->verdict_in) co_return result<void>{};
        auto const now = net::clock::now();
        if (taken && now >= deadline) co_return result<void>{};
        if (taken)
            co_await s->settled.async_wait(asio::cancel_after(deadline - now, asio::as_tuple(net::use_awaitable)));
        else
            co_await s->settled.async_wait(asio::as_tuple(net::use_awaitable));
    }
}

inline bool forwarded_stream::proven() const noexcept { return state_->data->received() != 0 || state_->data->delivered(); }

inline net::executor forwarded_stream::get_executor() const { return state_->executor; }

inline result<bytes_view> forwarded_stream::view() { return state_->view(); }

inline void forwarded_stream::consume(std::size_t n) { state_->data->consume(n); }

inline result<std::size_t> forwarded_stream::try_read(std::span<std::uint8_t> out)
{
    auto const bytes = state_->view();
    if (!bytes) return bytes.error();
    return state_->data->try_read(out);
}

inline result<std::size_t> forwarded_stream::try_write(bytes_view in)
{
    if (state_->failure) return state_->failure;
    auto const n = state_->data->try_write(in);
    if (n) state_->received_at_write = state_->data->received();
    return n;
}

inline void forwarded_stream::async_wait(net::wait_kind kind, wait_handler handler)
{
    state& s = *state_;
    if (kind == net::wait_kind::read) {
        s.readable.wait(std::move(handler));
        if (!s.would_block_read()) s.readable.complete({});
    } else {
        s.writable.wait(std::move(handler));
        if (s.can_write()) s.writable.complete({});
    }
}

inline result<void> forwarded_stream::shutdown_send()
{
    if (!std::exchange(state_->finish_wanted, true) && !state_->data->remote_ended()) state_->pass_end_on_when_quiet();
    return {};
}

inline void forwarded_stream::close() noexcept { state_->over(); }

} // namespace podproxy::kube
