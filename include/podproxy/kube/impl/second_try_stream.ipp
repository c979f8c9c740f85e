#include <podproxy/net/wait_slot.hpp>
#include <asio/error.hpp>
#include <array>
#include <cstdint>
#include <system_error>
#include <utility>
#include <vector>

namespace podproxy::kube {

struct second_try_stream::state : std::enable_shared_from_this<state> {
    state(net::any_stream first, dial_again a) : executor(first->get_executor()), inner(std::move(first)), again(std::move(a)), readable(executor), writable(executor) {}

    net::executor executor;
    net::any_stream inner; ///< null while another pod is dialled, and when that has failed
    dial_again again;      ///< null: no second try any more
    net::wait_slot readable;
    net::wait_slot writable;
    std::array<bool, 2> armed{}; ///< by kind: `inner` knows that somebody waits
    unsigned generation = 0;     ///< of `inner`: waits of the one before don't count
    std::vector<std::uint8_t> sent;
    std::size_t sent_again = 0;
    std::error_code failure;
    bool finish_wanted = false;
    bool closed = false;

    net::wait_slot& slot(net::wait_kind kind) { return kind == net::wait_kind::read ? readable : writable; }

    /// What a call gets while there is no inner stream.
    std::error_code absent() const { return failure ? failure : make_error_code(podproxy::errc::would_block); }

    void settle()
    {
        again = nullptr;
        if (sent_again == sent.size()) {
            sent = {};
            sent_again = 0;
        }
    }

    /// The inner stream has ended with `ec`. @return whether another pod is being dialled.
    bool retry(std::error_code ec)
    {
        if (!again || closed || ec != errc::port_refused) {
            settle();
            return false;
        }
        ++generation;
        armed = {};
        std::exchange(inner, nullptr)->close();
        auto const begin = again;
        bool const begun = begin([weak = weak_from_this()](result<net::any_stream> next) {
            if (auto self = weak.lock()) self->go_on(std::move(next));
        });
        if (!begun) {
            failure = ec;
            readable.complete({});
            writable.complete({});
        }
        return true;
    }

    void go_on(result<net::any_stream> next)
    {
        if (closed) return;
        if (next) {
            inner = std::move(*next);
            sent_again = 0;
            send_again();
            if (inner && finish_wanted) (void)inner->shutdown_send(); // a connection into a pod never has to wait for that
        } else {
            failure = next.error();
        }
        readable.complete({});
        writable.complete({});
    }

    /// @return whether all has been sent that the pod before was sent.
    bool send_again()
    {
        while (sent_again < sent.size()) {
            auto const n = inner->try_write(bytes_view(sent).subspan(sent_again));
            if (!n) {
                if (n.error() == podproxy::errc::would_block) arm(net::wait_kind::write);
                return false; // any other error will be read
            }
            sent_again += *n;
        }
        if (!again) settle();
        return true;
    }

    void arm(net::wait_kind kind)
    {
        if (std::exchange(armed[static_cast<std::size_t>(kind)], true)) return;
        inner->async_wait(kind, [weak = weak_from_this(), kind, mine = generation](std::error_code ec) {
            auto self = weak.lock();
            if (!self || self->generation != mine) return;
            self->armed[static_cast<std::size_t>(kind)] = false;
            if (!self->inner) return;
            if (kind == net::wait_kind::write && !self->send_again() && self->armed[static_cast<std::size_t>(kind)]) return;
            self->slot(kind).complete(ec);
        });
    }
};

inline second_try_stream::second_try_stream(net::any_stream first, dial_again again)
    : state_(std::make_shared<state>(std::move(first), std::move(again)))
{
}

inline net::executor second_try_stream::get_executor() const { return state_->executor; }

inline result<bytes_view> second_try_stream::view()
{
    state& s = *state_;
    if (!s.inner) return s.absent();
    auto const bytes = s.inner->view();
    if (bytes) s.settle();
    else if (bytes.error() != podproxy::errc::would_block && s.retry(bytes.error())) return podproxy::errc::would_block;
    return bytes;
}

inline void second_try_stream::consume(std::size_t n)
{
    if (state_->inner) state_->inner->consume(n);
}

inline result<std::size_t> second_try_stream::try_read(std::span<std::uint8_t> out)
{
    state& s = *state_;
    if (!s.inner) return s.absent();
    auto const n = s.inner->try_read(out);
    if (n) s.settle();
    else if (n.error() != podproxy::errc::would_block && s.retry(n.error())) return podproxy::errc::would_block;
    return n;
}

inline result<std::size_t> second_try_stream::try_write(bytes_view in)
{
    state& s = *state_;
    if (!s.inner) return s.absent();
    if (!s.send_again() && s.armed[static_cast<std::size_t>(net::wait_kind::write)]) return podproxy::errc::would_block;
    auto const n = s.inner->try_write(in);
    if (n) {
        if (!s.again) return n;
        if (s.sent.size() + *n > most_kept) {
            s.sent = {};
            s.sent_again = 0;
            s.settle();
        } else {
            s.sent.insert(s.sent.end(), in.begin(), in.begin() + static_cast<std::ptrdiff_t>(*n));
            s.sent_again = s.sent.size();
        }
    } else if (n.error() != podproxy::errc::would_block && s.retry(n.error())) {
        return podproxy::errc::would_block;
    }
    return n;
}

inline void second_try_stream::async_wait(net::wait_kind kind, wait_handler handler)
{
    state& s = *state_;
    if (s.inner && !s.again && !s.armed[static_cast<std::size_t>(kind)] && s.sent_again == s.sent.size()) return s.inner->async_wait(kind, std::move(handler));
    auto& slot = s.slot(kind);
    slot.wait(std::move(handler));
    if (s.inner) s.arm(kind);
    else if (s.failure || s.closed) slot.complete({});
}

inline result<void> second_try_stream::shutdown_send()
{
    state& s = *state_;
    s.finish_wanted = true;
    return s.inner ? s.inner->shutdown_send() : result<void>{};
}

inline void second_try_stream::close() noexcept
{
    state& s = *state_;
    s.closed = true;
    s.again = nullptr;
    if (s.inner) s.inner->close();
    s.readable.complete(asio::error::operation_aborted);
    s.writable.complete(asio::error::operation_aborted);
}

inline void second_try_stream::reset() noexcept
{
    if (state_->inner) state_->inner->reset();
    close();
}

} // namespace podproxy::kube
