#include <podproxy/net/ready_socket.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/error.hpp>
#include <asio/post.hpp>
#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <new>
#include <optional>
#include <utility>

#if defined(__linux__)
#include <cerrno>
#include <fcntl.h>
#endif

namespace podproxy::net::detail {

/// Memory for the one wait that a direction has in flight, so that waiting allocates nothing.
class wait_memory {
public:
    void* take(std::size_t size)
    {
        if (!used_ && size <= sizeof storage_) {
            used_ = true;
            return storage_;
        }
        return ::operator new(size);
    }
    void give(void* p) noexcept
    {
        if (p == storage_)
            used_ = false;
        else
            ::operator delete(p);
    }

private:
    alignas(std::max_align_t) unsigned char storage_[144];
    bool used_ = false;
};

/** One pair of streams. Counts its references (the engine's list and every wait in flight), because the memory of a wait lies
    inside and must outlive it. */
class relay {
    /// Waits for a socket: no allocation, and no reference, since a closed socket calls nobody.
    struct plain_wait final : ready_waiter {
        relay* self = nullptr;
        std::uint8_t which = 0;
        void on_ready() override { self->on_plain_ready(which); }
    };

    struct direction {
        stream* from = nullptr;
        stream* to = nullptr;
        std::uint64_t moved = 0;
        std::unique_ptr<std::uint8_t[]> left; ///< read, but not yet taken by `to`
        std::uint32_t left_begin = 0;
        std::uint32_t left_end = 0;
        std::uint32_t in_pipe = 0;
        std::uint8_t full_reads = 0; ///< full buffers in a row; two make it bulk
        bool ended = false;          ///< `from` has ended
        bool finished = false;       ///< ... and `to` has been told
        bool both_plain = false;
        std::optional<pipe> tube;
        plain_wait plain;
        std::unique_ptr<wait_memory> memory; ///< for a stream that is no socket
    };

    /// A counted reference.
    class reference {
    public:
        explicit reference(relay* r) noexcept : relay_(r) { ++relay_->references_; }
        reference(reference&& o) noexcept : relay_(std::exchange(o.relay_, nullptr)) {}
        reference(reference const& o) noexcept : relay_(o.relay_)
        {
            if (relay_) ++relay_->references_;
        }
        reference& operator=(reference o) noexcept
        {
            std::swap(relay_, o.relay_);
            return *this;
        }
        ~reference()
        {
            if (relay_) relay_->release();
        }
        relay* operator->() const noexcept { return relay_; }

    private:
        relay* relay_;
    };

    /// Allocates in the relay. Counts as a reference too: memory is given back after the handler in it has gone.
    template <class T>
    struct wait_allocator {
        using value_type = T;
        reference self;
        std::uint8_t which;

        wait_allocator(reference r, std::uint8_t w) noexcept : self(std::move(r)), which(w) {}
        template <class U>
        wait_allocator(wait_allocator<U> const& o) noexcept : self(o.self), which(o.which)
        {
        }
        T* allocate(std::size_t n)
        {
            auto& memory = self->directions_[which].memory;
            if (!memory) memory = std::make_unique<wait_memory>();
            return static_cast<T*>(memory->take(n * sizeof(T)));
        }
        void deallocate(T* p, std::size_t) noexcept { self->directions_[which].memory->give(p); }
        friend bool operator==(wait_allocator const& a, wait_allocator const& b) noexcept
        {
            return a.self.operator->() == b.self.operator->() && a.which == b.which;
        }
    };

    struct on_ready {
        using allocator_type = wait_allocator<void>;

        reference self;
        std::uint8_t which;

        allocator_type get_allocator() const noexcept { return {self, which}; }
        void operator()(std::error_code)
        {
            if (!self->engine_) return;
            self->pump(which); // an error of the wait shows again, with its reason, in read or write
            self->tell_observer();
        }
    };

public:
    relay(relay_engine& engine, any_stream client, any_stream server, bytes_view early, relay_engine::on_end done)
        : engine_(&engine), client_(std::move(client)), server_(std::move(server)), done_(std::move(done)), started_(clock::now())
    {
        directions_[0].from = directions_[1].to = client_.get();
        directions_[0].to = directions_[1].from = server_.get();
        bool const plain = have_splice && engine.pipes_.config().most != 0 && client_->plain_socket() && server_->plain_socket();
        for (std::uint8_t which = 0; which < 2; ++which) {
            directions_[which].both_plain = plain;
            directions_[which].plain.self = this;
            directions_[which].plain.which = which;
        }
        if (!early.empty()) keep(directions_[0], early);
        next_ = engine.first_;
        if (next_) next_->previous_ = this;
        engine.first_ = this;
        ++engine.size_;
    }

    /// Before `begin`.
    void observe(std::unique_ptr<relay_observer> observer) noexcept
    {
        observer_ = std::move(observer);
        observer_->pair_ = this;
    }

    /// Begin. A fresh pair of sockets has nothing to read yet, and a wait tells if that is wrong.
    void begin()
    {
        reference const keep(this); // the first direction may end the pair
        for (std::uint8_t which = 0; which < 2 && engine_; ++which) {
            direction& d = directions_[which];
            if (d.left || !d.from->plain_socket())
                pump(which);
            else
                wait(which, wait_kind::read);
        }
        tell_observer();
    }

    /// Nothing has moved since the last call?
    bool quiet_since_last_look() noexcept
    {
        std::uint64_t const total = directions_[0].moved + directions_[1].moved;
        return std::exchange(seen_, total) == total;
    }

    bool sees_idle(std::uint8_t limit) noexcept
    {
        idle_looks_ = quiet_since_last_look() ? static_cast<std::uint8_t>(idle_looks_ + 1) : std::uint8_t{0};
        return idle_looks_ >= limit;
    }

    relay* next() const noexcept { return next_; }
    bool serves(stream const* client) const noexcept { return client_.get() == client; }

    /// End the pair and tell the owner. The object lives on until its last wait has come back.
    void end(relay_end::cause why, std::error_code error)
    {
        if (!engine_) return;
        relay_end result;
        result.why = why;
        result.error = error;
        result.to_server = directions_[0].moved;
        result.to_client = directions_[1].moved;
        result.duration = clock::now() - started_;
        tell_observer();
        auto done = std::move(done_);
        auto const ex = engine_->executor_;
        auto observer = std::move(observer_);
        detach(why == relay_end::cause::both_ended);
        if (observer) {
            observer->pair_ = nullptr;
            asio::post(ex, [observer = std::move(observer), result] { observer->ended(result); });
        }
        if (done) asio::post(ex, [done = std::move(done), result] { done(result); });
    }

    /// Leave the engine without a word (it is being destroyed).
    void detach(bool orderly)
    {
        for (auto& d : directions_) {
            if (d.tube) engine_->pipes_.lost();
            d.tube.reset();
            d.left.reset();
        }
        if (previous_)
            previous_->next_ = next_;
        else
            engine_->first_ = next_;
        if (next_) next_->previous_ = previous_;
        --engine_->size_;
        engine_ = nullptr;
        done_ = nullptr;
        observer_.reset(); // of a pair that ends with its engine: `end` has taken it away
        if (orderly) {
            client_->close();
            server_->close();
        } else {
            client_->reset();
            server_->reset();
        }
        release();
    }

private:
    void tell_observer()
    {
        if (!observer_) return;
        std::array<std::uint64_t, 2> news;
        for (std::size_t which = 0; which < 2; ++which) news[which] = directions_[which].moved - std::exchange(told_[which], directions_[which].moved);
        if (news[0] != 0 || news[1] != 0) observer_->moved(news[0], news[1]);
    }

    void release() noexcept
    {
        if (--references_ == 0) destroy(this);
    }
    /// Out of line: seen inlined, GCC 12 takes counted uses after a decrement for uses after the end (-Wuse-after-free).
#if defined(__GNUC__)
    [[gnu::noinline]]
#endif
    static void
    destroy(relay* r) noexcept
    {
        delete r;
    }

    static void keep(direction& d, bytes_view bytes)
    {
        d.left = std::make_unique_for_overwrite<std::uint8_t[]>(bytes.size());
        std::memcpy(d.left.get(), bytes.data(), bytes.size());
        d.left_begin = 0;
        d.left_end = static_cast<std::uint32_t>(bytes.size());
    }

    void wait(std::uint8_t which, wait_kind kind)
    {
        direction& d = directions_[which];
        stream& s = kind == wait_kind::read ? *d.from : *d.to;
        ready_socket* const plain = s.plain_socket();
        if (!plain) return s.async_wait(kind, stream::wait_handler(on_ready{reference(this), which}));
        auto const ec = plain->wait(kind, d.plain);
        if (ec) return kind == wait_kind::read ? read_failed(which, ec) : write_failed(which, ec);
    }

    void on_plain_ready(std::uint8_t which)
    {
        reference const keep(this); // the pair may end
        pump(which);
        tell_observer();
    }

    void read_failed(std::uint8_t which, std::error_code ec)
    {
        end(which == 0 ? relay_end::cause::client_failed : relay_end::cause::server_failed, ec);
    }
    void write_failed(std::uint8_t which, std::error_code ec)
    {
        end(which == 0 ? relay_end::cause::server_failed : relay_end::cause::client_failed, ec);
    }

    enum class step { again, wait_read, wait_write, over };

    void pump(std::uint8_t which)
    {
        direction& d = directions_[which];
        if (d.finished) return;
        std::uint64_t const until = d.moved + engine_->config_.turn;
        for (;;) {
            step s = flush(d, which);
            if (s == step::again) s = d.ended ? finish(d, which) : fill(d, which);
            if (s == step::over) return;
            if (s == step::wait_read) return wait(which, wait_kind::read);
            if (s == step::wait_write) return wait(which, wait_kind::write);
            if (d.moved >= until) { // The turn is over: the wait completes at once if there is more, after everybody else's.
                if (d.tube) give_pipe_back(d);
                return wait(which, d.ended ? wait_kind::write : wait_kind::read);
            }
        }
    }

    /// Give `to` what was read before. `again`: nothing is left.
    step flush(direction& d, std::uint8_t which)
    {
        while (d.left) {
            auto const n = d.to->try_write({d.left.get() + d.left_begin, d.left_end - d.left_begin});
            if (!n) {
                if (n.error() == errc::would_block) return step::wait_write;
                write_failed(which, n.error());
                return step::over;
            }
            d.moved += *n;
            d.left_begin += static_cast<std::uint32_t>(*n);
            if (d.left_begin == d.left_end) d.left.reset();
        }
        return d.tube ? empty_pipe(d, which) : step::again;
    }

    step finish(direction& d, std::uint8_t which)
    {
        // Closing a socket from which all has been read says the same.
        bool const close_says_it = directions_[1 - which].finished && d.to->plain_socket();
        auto const done = close_says_it ? result<void>() : d.to->shutdown_send();
        if (!done) {
            if (done.error() == errc::would_block) return step::wait_write;
            // A peer that has gone altogether is found by the other direction; it still ends this one.
            if (!is_system_error(done.error(), std::errc::not_connected)) {
                write_failed(which, done.error());
                return step::over;
            }
        }
        d.finished = true;
        if (directions_[1 - which].finished) end(relay_end::cause::both_ended, {});
        return step::over;
    }

    step source_has_nothing(direction& d, std::uint8_t which, std::error_code ec)
    {
        if (ec == errc::would_block) return step::wait_read;
        if (ec == errc::end_of_stream) {
            d.ended = true;
            return step::again;
        }
        read_failed(which, ec);
        return step::over;
    }

    step fill(direction& d, std::uint8_t which)
    {
        if (d.full_reads >= 2 && d.both_plain) return fill_pipe(d, which);
        if (d.from->lends_views()) {
            auto const bytes = d.from->view();
            if (!bytes) return source_has_nothing(d, which, bytes.error());
            auto const n = d.to->try_write(*bytes);
            if (!n) {
                if (n.error() == errc::would_block) return step::wait_write;
                write_failed(which, n.error());
                return step::over;
            }
            d.from->consume(*n);
            d.moved += *n;
            return step::again;
        }

        std::size_t const size = d.both_plain ? engine_->config_.buffer_size : engine_->config_.stream_buffer_size;
        std::span<std::uint8_t> const scratch(engine_->scratch_.get(), size);
        auto const n = d.from->try_read(scratch);
        if (!n) return source_has_nothing(d, which, n.error());
        if (*n == size) {
            if (d.full_reads < 2) ++d.full_reads;
        } else {
            d.full_reads = 0;
        }
        bytes_view const bytes(scratch.data(), *n);
        auto const taken = d.to->try_write(bytes);
        if (!taken && taken.error() != errc::would_block) {
            write_failed(which, taken.error());
            return step::over;
        }
        std::size_t const accepted = taken ? *taken : 0;
        d.moved += accepted;
        if (accepted < bytes.size()) {
            keep(d, bytes.subspan(accepted));
            return taken ? step::again : step::wait_write;
        }
        ready_socket const* const plain = d.from->plain_socket();
        return plain && plain->drained() ? step::wait_read : step::again;
    }

#if defined(__linux__)
    step fill_pipe(direction& d, std::uint8_t which)
    {
        if (!d.tube) {
            d.tube = engine_->pipes_.take();
            if (!d.tube) { // none to be had: copy, and try again after two more full buffers
                d.full_reads = 0;
                return step::again;
            }
        }
        ssize_t n;
        do n = ::splice(d.from->plain_socket()->native_handle(), nullptr, d.tube->write_end(), nullptr,
                        engine_->pipes_.config().pipe_size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        while (n < 0 && errno == EINTR);
        if (n > 0) {
            d.in_pipe = static_cast<std::uint32_t>(n);
            return empty_pipe(d, which);
        }
        int const error = n < 0 ? errno : 0;
        give_pipe_back(d);
        if (n == 0) {
            d.ended = true;
            return step::again;
        }
        if (error == EAGAIN) {
            d.from->plain_socket()->set_drained();
            return step::wait_read;
        }
        if (error == EINVAL) { // a socket that can't splice
            d.both_plain = false;
            d.full_reads = 0;
            return step::again;
        }
        read_failed(which, {error, std::system_category()});
        return step::over;
    }

    step empty_pipe(direction& d, std::uint8_t which)
    {
        while (d.in_pipe != 0) {
            ssize_t const n = ::splice(d.tube->read_end(), nullptr, d.to->plain_socket()->native_handle(), nullptr, d.in_pipe,
                                       SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
            if (n > 0) {
                d.in_pipe -= static_cast<std::uint32_t>(n);
                d.moved += static_cast<std::uint64_t>(n);
            } else if (n < 0 && errno == EAGAIN) {
                return step::wait_write;
            } else if (n == 0 || errno != EINTR) {
                write_failed(which, n == 0 ? std::make_error_code(std::errc::broken_pipe) : std::error_code(errno, std::system_category()));
                return step::over;
            }
        }
        return step::again;
    }

    void give_pipe_back(direction& d)
    {
        engine_->pipes_.give(std::move(*d.tube));
        d.tube.reset();
    }
#else
    step fill_pipe(direction&, std::uint8_t) { return step::over; }
    step empty_pipe(direction&, std::uint8_t) { return step::again; }
    void give_pipe_back(direction&) {}
#endif

    relay_engine* engine_; ///< null once the pair has ended
    relay* previous_ = nullptr;
    relay* next_ = nullptr;
    any_stream client_;
    any_stream server_;
    relay_engine::on_end done_;
    std::unique_ptr<relay_observer> observer_;
    std::array<std::uint64_t, 2> told_{}; ///< what the observer knows of
    clock::time_point started_;
    std::uint64_t seen_ = 0;
    std::uint32_t references_ = 1;
    std::uint8_t idle_looks_ = 0;
    std::array<direction, 2> directions_; ///< 0: client to server, 1: server to client
};

} // namespace podproxy::net::detail

namespace podproxy::net {

inline relay_engine::relay_engine(executor ex, relay_config config)
    : executor_(ex), config_(config), pipes_(config.pipes), scratch_(std::make_unique_for_overwrite<std::uint8_t[]>(std::max(config.buffer_size, config.stream_buffer_size))),
      idle_timer_(ex)
{
}

inline relay_engine::~relay_engine()
{
    while (first_) first_->detach(false);
}

inline void relay_observer::cut()
{
    if (pair_) pair_->end(relay_end::cause::cancelled, asio::error::operation_aborted);
}

inline void relay_engine::start_observed(any_stream client, any_stream server, bytes_view early, std::unique_ptr<relay_observer> observer)
{
    auto* r = new detail::relay(*this, std::move(client), std::move(server), early, nullptr);
    r->observe(std::move(observer));
    if (config_.idle.count() != 0) arm_idle_timer();
    r->begin();
}

inline void relay_engine::start(any_stream client, any_stream server, bytes_view early, on_end done)
{
    auto* r = new detail::relay(*this, std::move(client), std::move(server), early, std::move(done));
    if (config_.idle.count() != 0) arm_idle_timer();
    r->begin();
}

inline awaitable<relay_end> relay_engine::run(any_stream client, any_stream server, bytes_view early)
{
    stream* const seen_client = client.get();
    co_return co_await asio::async_initiate<asio::use_awaitable_t<executor> const, void(relay_end)>(
        [](auto handler, relay_engine* self, any_stream c, any_stream s, bytes_view e, stream* abort) {
            auto slot = asio::get_associated_cancellation_slot(handler);
            auto shared = std::make_shared<decltype(handler)>(std::move(handler));
            if (slot.is_connected())
                slot.assign([self, abort](asio::cancellation_type) {
                    for (auto* r = self->first_; r; r = r->next())
                        if (r->serves(abort)) return r->end(relay_end::cause::cancelled, asio::error::operation_aborted);
                });
            self->start(std::move(c), std::move(s), e, [shared, slot](relay_end const& end) mutable {
                slot.clear();
                std::move (*shared)(end);
            });
        },
        use_awaitable, this, std::move(client), std::move(server), early, seen_client);
}

inline void relay_engine::cancel()
{
    while (first_) first_->end(relay_end::cause::cancelled, asio::error::operation_aborted);
}

inline void relay_engine::arm_idle_timer()
{
    if (std::exchange(idle_timer_armed_, true)) return;
    constexpr int looks = 4; // an idle pair ends between 1 and 1.25 times its limit
    idle_timer_.expires_after(std::max<clock::duration>(config_.idle / looks, std::chrono::milliseconds(1)));
    idle_timer_.async_wait([this, alive = std::weak_ptr(alive_)](std::error_code ec) {
        if (ec || alive.expired()) return; // the engine is gone
        idle_timer_armed_ = false;
        for (auto* r = first_; r;) {
            auto* const here = std::exchange(r, r->next());
            if (here->sees_idle(looks + 1)) here->end(relay_end::cause::idle, make_error_code(errc::timed_out));
        }
        if (first_) arm_idle_timer();
    });
}

} // namespace podproxy::net
