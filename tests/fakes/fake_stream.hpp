#ifndef PODPROXY_TESTS_FAKES_FAKE_STREAM_HPP
#define PODPROXY_TESTS_FAKES_FAKE_STREAM_HPP

#include <podproxy/net/stream.hpp>
#include <asio/append.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/error.hpp>
#include <asio/post.hpp>
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace podproxy::test {

/// What a `fail_count` makes an operation fail with, unless told otherwise: a code that nothing else produces.
enum class fake_errc { injected = 1 };
inline std::string_view errc_domain(fake_errc) noexcept { return "podproxy.test"; }
inline std::string_view describe(fake_errc) noexcept { return "a failure that the test asked for"; }
inline cond condition(fake_errc) noexcept { return cond::unavailable; }
inline std::error_code make_error_code(fake_errc e) noexcept { return make_domain_error(e); }

} // namespace podproxy::test

template <>
struct std::is_error_code_enum<podproxy::test::fake_errc> : std::true_type {};

namespace podproxy::test {

/** Makes the n-th operation (counted from 0) and all after it fail. Several streams may share one.

        for (std::size_t n = 0;; ++n) {
            fail_count fail(n);
            ... stream.fail_with(fail) ... run ...
            if (!fail.hit()) break;         // everything succeeded: all failure points have been seen
        } */
class fail_count {
public:
    explicit fail_count(std::size_t n, std::error_code ec = fake_errc::injected) : left_(n), error_(ec) {}

    /// Count one operation. @return the error it has to fail with, or an empty code.
    std::error_code next()
    {
        if (left_ == 0) {
            hit_ = true;
            return error_;
        }
        --left_;
        return {};
    }
    bool hit() const noexcept { return hit_; }

private:
    std::size_t left_;
    std::error_code error_;
    bool hit_ = false;
};

/** A `net::stream` whose other end is the test.

    The test gives what is to be read (`provide`, `close_remote`, `break_remote`) and looks at what was `written`. Reads and writes
    can be made small (`read_max`, `write_max`) or blocked (`write_room`), and fail on demand (`fail_with`). Two of them can be
    connected with each other instead. Waits complete through the executor, never from inside a call; run them with `run_ready`.

    It also checks its user, and throws `std::logic_error` for: two waits of one kind at once, an empty read or write, and a
    `try_write` after `would_block` that does not begin with the same bytes.
    @par Overlap  One wait of each kind. */
class fake_stream final : public net::stream {
public:
    static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

    explicit fake_stream(net::executor ex) : executor_(ex) {}
    ~fake_stream() override
    {
        unlink();
        abort_waits();
    }

    // ---- the test's side ----

    /// Give bytes to read. They are added to what is there.
    void provide(bytes_view bytes)
    {
        incoming_.insert(incoming_.end(), bytes.begin(), bytes.end());
        wake(net::wait_kind::read);
    }
    void provide(std::string_view text) { provide(as_bytes(text)); }
    void provide(std::initializer_list<std::uint8_t> bytes) { provide(bytes_view(bytes.begin(), bytes.size())); }

    /// The peer ends its direction: after what was provided comes `errc::end_of_stream`.
    void close_remote()
    {
        remote_closed_ = true;
        wake(net::wait_kind::read);
    }

    /// The connection is lost: from now on everything fails with `ec`, and bytes that were not read are gone.
    void break_remote(std::error_code ec = asio::error::make_error_code(asio::error::connection_reset))
    {
        broken_ = ec;
        incoming_.clear();
        wake(net::wait_kind::read);
        wake(net::wait_kind::write);
    }

    /// At most this many bytes per read, and per lent view.
    void read_max(std::size_t n) { read_max_ = n; }
    /// At most this many bytes per write.
    void write_max(std::size_t n) { write_max_ = n; }

    /// How many bytes more may be written before writing blocks. `unlimited` at the start.
    void write_room(std::size_t n)
    {
        write_room_ = n;
        if (n != 0) wake(net::wait_kind::write);
    }
    /// Connected streams: the peer's writes block while this many bytes are unread here.
    void capacity(std::size_t n) { capacity_ = n; }

    /// Count every `try_read`, `view`, `try_write`, `shutdown_send` and `async_wait`, and fail as `fail` says. Null: never.
    void fail_with(fail_count& fail) { fail_ = &fail; }

    /// The next `n` waits complete at once although nothing may be ready, as the contract allows.
    void wake_early(std::size_t n) { early_ = n; }

    /// Offer `view` and `consume`.
    void lend_views(bool on = true) { lends_ = on; }

    /// All that was written so far.
    std::string_view written() const noexcept { return as_text(bytes_view(written_)); }
    std::vector<std::uint8_t> const& written_bytes() const noexcept { return written_; }
    /// What was written since the last call.
    std::string take_written()
    {
        std::string out(written());
        written_.clear();
        return out;
    }

    std::size_t unread() const noexcept { return incoming_.size(); } ///< Provided, and not read yet.
    bool waiting(net::wait_kind kind) const noexcept { return waits_[index(kind)].has_value(); }
    bool send_was_shut_down() const noexcept { return send_shut_down_; }
    bool is_closed() const noexcept { return closed_; }  ///< By `close` or `reset`.
    bool was_reset() const noexcept { return was_reset_; }
    std::size_t reads() const noexcept { return reads_; }   ///< Calls of `try_read` and `view`.
    std::size_t writes() const noexcept { return writes_; } ///< Calls of `try_write`.

    /// What one writes the other reads from now on; `shutdown_send`, `close` and `reset` reach the other side too.
    static void connect(fake_stream& a, fake_stream& b)
    {
        a.peer_ = &b;
        b.peer_ = &a;
    }

    // ---- net::stream ----

    net::executor get_executor() const override { return executor_; }

    result<std::size_t> try_read(std::span<std::uint8_t> out) override
    {
        if (out.empty()) throw std::logic_error("fake_stream: a read into no room");
        ++reads_;
        if (auto ec = read_state()) return ec;
        std::size_t const n = std::min({out.size(), read_max_, incoming_.size()});
        std::copy_n(incoming_.begin(), n, out.begin());
        drop(n);
        return n;
    }

    result<std::size_t> try_write(bytes_view in) override
    {
        if (in.empty()) throw std::logic_error("fake_stream: a write of nothing");
        if (in.size() < blocked_.size() || !std::equal(blocked_.begin(), blocked_.end(), in.begin()))
            throw std::logic_error("fake_stream: a write after would_block must begin with the same bytes");
        ++writes_;
        if (auto ec = life()) return ec;
        if (send_shut_down_ || closed_) return asio::error::make_error_code(asio::error::broken_pipe);
        std::size_t const n = std::min({in.size(), write_max_, room()});
        if (n == 0) {
            blocked_.assign(in.begin(), in.end());
            return errc::would_block;
        }
        blocked_.clear();
        written_.insert(written_.end(), in.begin(), in.begin() + static_cast<std::ptrdiff_t>(n));
        if (write_room_ != unlimited) write_room_ -= n;
        if (peer_) peer_->provide(in.first(n));
        return n;
    }

    void async_wait(net::wait_kind kind, wait_handler handler) override
    {
        auto& slot_of_kind = waits_[index(kind)];
        if (slot_of_kind) throw std::logic_error("fake_stream: two waits of one kind at once");
        slot_of_kind.emplace(std::move(handler));
        if (fail_) {
            if (auto ec = fail_->next()) return complete(kind, ec);
        }
        if (closed_) return complete(kind, asio::error::make_error_code(asio::error::bad_descriptor));
        if (early_ != 0) {
            --early_;
            return complete(kind, {});
        }
        if (ready(kind)) return complete(kind, {});
        auto slot = asio::get_associated_cancellation_slot(*slot_of_kind);
        if (slot.is_connected())
            slot.assign([this, kind](asio::cancellation_type type) {
                if (type != asio::cancellation_type::none)
                    complete(kind, asio::error::make_error_code(asio::error::operation_aborted));
            });
    }

    result<void> shutdown_send() override
    {
        if (auto ec = life()) return ec;
        if (closed_) return asio::error::make_error_code(asio::error::bad_descriptor);
        send_shut_down_ = true;
        if (peer_) peer_->close_remote();
        return {};
    }

    void close() noexcept override
    {
        if (std::exchange(closed_, true)) return;
        unlink();
        abort_waits();
    }

    void reset() noexcept override
    {
        if (closed_) return;
        was_reset_ = true;
        if (auto* const peer = std::exchange(peer_, nullptr)) {
            peer->peer_ = nullptr;
            peer->break_remote();
        }
        close();
    }

    bool lends_views() const noexcept override { return lends_; }

    result<bytes_view> view() override
    {
        if (!lends_) return errc::unavailable;
        ++reads_;
        if (auto ec = read_state()) return ec;
        return bytes_view(incoming_).first(std::min(read_max_, incoming_.size()));
    }

    void consume(std::size_t n) override
    {
        if (n > incoming_.size()) throw std::logic_error("fake_stream: more consumed than there is");
        drop(n);
    }

private:
    static std::size_t index(net::wait_kind kind) noexcept { return kind == net::wait_kind::read ? 0 : 1; }

    /// What ends any operation: a failure on demand, or a lost connection.
    std::error_code life()
    {
        if (fail_) {
            if (auto ec = fail_->next()) return ec;
        }
        return broken_;
    }
    std::error_code read_state()
    {
        if (auto ec = life()) return ec;
        if (closed_) return asio::error::make_error_code(asio::error::bad_descriptor);
        if (!incoming_.empty()) return {};
        if (remote_closed_) return errc::end_of_stream;
        return errc::would_block;
    }

    std::size_t room() const noexcept
    {
        if (!peer_ || peer_->capacity_ == unlimited) return write_room_;
        std::size_t const unread = peer_->incoming_.size();
        return std::min(write_room_, peer_->capacity_ > unread ? peer_->capacity_ - unread : 0);
    }

    bool ready(net::wait_kind kind) const noexcept
    {
        if (broken_) return true;
        if (kind == net::wait_kind::read) return !incoming_.empty() || remote_closed_;
        return room() != 0 || send_shut_down_;
    }

    void drop(std::size_t n)
    {
        incoming_.erase(incoming_.begin(), incoming_.begin() + static_cast<std::ptrdiff_t>(n));
        if (peer_ && n != 0) peer_->wake(net::wait_kind::write);
    }

    void wake(net::wait_kind kind)
    {
        if (waits_[index(kind)] && ready(kind)) complete(kind, {});
    }

    void complete(net::wait_kind kind, std::error_code ec)
    {
        auto& wait = waits_[index(kind)];
        if (!wait) return;
        auto handler = std::move(*wait);
        wait.reset();
        if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) slot.clear();
        asio::post(executor_, asio::append(std::move(handler), ec));
    }

    void abort_waits()
    {
        complete(net::wait_kind::read, asio::error::make_error_code(asio::error::operation_aborted));
        complete(net::wait_kind::write, asio::error::make_error_code(asio::error::operation_aborted));
    }

    void unlink()
    {
        if (auto* const peer = std::exchange(peer_, nullptr)) {
            peer->peer_ = nullptr;
            peer->close_remote();
        }
    }

    net::executor executor_;
    std::vector<std::uint8_t> incoming_;
    std::vector<std::uint8_t> written_;
    std::vector<std::uint8_t> blocked_; ///< What the last `try_write` could not place.
    std::array<std::optional<wait_handler>, 2> waits_;
    std::size_t read_max_ = unlimited;
    std::size_t write_max_ = unlimited;
    std::size_t write_room_ = unlimited;
    std::size_t capacity_ = unlimited;
    std::size_t early_ = 0;
    std::size_t reads_ = 0;
    std::size_t writes_ = 0;
    fail_count* fail_ = nullptr;
    fake_stream* peer_ = nullptr;
    std::error_code broken_;
    bool remote_closed_ = false;
    bool send_shut_down_ = false;
    bool closed_ = false;
    bool was_reset_ = false;
    bool lends_ = false;
};

/** Run everything that can run now, and return when all coroutines wait for the test. Never blocks: `io_context::run` would, since
    a spawned coroutine counts as work while it waits on a fake.
    @return how many handlers ran. */
inline std::size_t run_ready(asio::io_context& ctx)
{
    ctx.restart();
    return ctx.poll();
}

} // namespace podproxy::test

#endif
