#ifndef PODPROXY_NET_DETAIL_EPOLL_WATCH_HPP
#define PODPROXY_NET_DETAIL_EPOLL_WATCH_HPP

#if defined(__linux__)

#include <podproxy/net/detail/epoll_poller.hpp>
#include <podproxy/net/detail/ready_waiter.hpp>
#include <podproxy/net/stream.hpp>
#include <asio/execution_context.hpp>
#include <array>
#include <cassert>
#include <cstdint>
#include <system_error>
#include <utility>

#include <sys/epoll.h>

namespace podproxy::net::detail {

/** The readiness of one descriptor, by edges. Registered at the first wait; from then on a wait for reading costs no system call
    where the last read has found the end of what was there. */
class epoll_watch final : epoll_poller::target {
public:
    explicit epoll_watch(executor ex) noexcept : executor_(ex) {}
    epoll_watch(epoll_watch&& o) noexcept
        : executor_(o.executor_), poller_(o.poller_), place_(std::exchange(o.place_, {})), waiting_(std::exchange(o.waiting_, {})), drained_(o.drained_),
          marked_(o.marked_), wants_room_(o.wants_room_)
    {
        if (place_) poller_->moved(place_, *this);
    }
    epoll_watch& operator=(epoll_watch const&) = delete;

    executor get_executor() const noexcept { return executor_; }

    /// Tell `who` when a try makes sense. One wait of each kind at a time. @return why that can't be told; then there is no wait.
    std::error_code wait(int fd, wait_kind kind, ready_waiter& who)
    {
        assert(!waiting_[which(kind)] && "one wait of each kind at a time");
        if (kind == wait_kind::write) wants_room_ = true;
        std::uint32_t const events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET | (wants_room_ ? EPOLLOUT : 0u);
        if (!place_) {
            if (!poller_) poller_ = &asio::use_service<epoll_poller>(executor_.context());
            auto const added = poller_->add(fd, *this, events);
            if (!added) return added.error();
            place_ = *added;
        } else if (kind == wait_kind::write || !drained_) {
            if (auto const ec = poller_->look_again(fd, place_, events)) return ec;
        }
        waiting_[which(kind)] = &who;
        poller_->wait_started();
        return {};
    }

    /// End a wait without a call.
    void stop(wait_kind kind) noexcept { (void)take(kind); }

    /// A read has found nothing (more): only what arrives from now on is news.
    void set_drained() noexcept { drained_ = true; }
    /// A read has got less than it had room for. That is all there was, unless an end, an error or urgent data stands behind it.
    void read_short() noexcept { drained_ = !marked_; }
    void read_full() noexcept { drained_ = false; }
    bool drained() const noexcept { return drained_; }

    /// The descriptor is closed, or (`open`) is given to somebody else. Who waits is told, and may destroy the rest.
    void end(int fd, bool open = false)
    {
        if (!place_) return;
        if (open) poller_->forget(fd);
        poller_->remove(std::exchange(place_, {}));
        ready_waiter* const reader = take(wait_kind::read);
        ready_waiter* const writer = take(wait_kind::write);
        drained_ = marked_ = wants_room_ = false;
        if (reader) reader->on_closed();
        if (writer) writer->on_closed();
    }

private:
    static constexpr std::size_t which(wait_kind kind) noexcept { return kind == wait_kind::read ? 0 : 1; }

    ready_waiter* take(wait_kind kind) noexcept
    {
        ready_waiter* const who = std::exchange(waiting_[which(kind)], nullptr);
        if (who) poller_->wait_ended();
        return who;
    }

    void on_events(std::uint32_t events) override
    {
        constexpr std::uint32_t marks = EPOLLRDHUP | EPOLLPRI | EPOLLHUP | EPOLLERR;
        if (events & marks) marked_ = true;
        if (events & (marks | EPOLLIN)) {
            drained_ = false;
            if (ready_waiter* const reader = take(wait_kind::read)) {
                epoll_poller& poller = *poller_;
                epoll_poller::place const here = place_;
                reader->on_ready();
                if (!poller.is(here, this)) return; // closed by the reader
            }
        }
        if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
            if (ready_waiter* const writer = take(wait_kind::write)) writer->on_ready();
    }

    bool abandon_one() noexcept override
    {
        ready_waiter* who = take(wait_kind::read);
        if (!who) who = take(wait_kind::write);
        if (who) who->on_abandoned();
        return who != nullptr;
    }

    executor executor_;
    epoll_poller* poller_ = nullptr;
    epoll_poller::place place_;
    std::array<ready_waiter*, 2> waiting_{};
    bool drained_ = false;
    bool marked_ = false;     ///< an end, an error or urgent data has been announced
    bool wants_room_ = false; ///< registered for writing too
};

} // namespace podproxy::net::detail

#endif
#endif
