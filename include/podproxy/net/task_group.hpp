#ifndef PODPROXY_NET_TASK_GROUP_HPP
#define PODPROXY_NET_TASK_GROUP_HPP

#include <podproxy/net/asio.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/error.hpp>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <exception>
#include <list>
#include <memory>
#include <system_error>
#include <utility>

namespace podproxy::net {

/** Owner of an open-ended number of coroutines: whoever starts a coroutine that nobody awaits starts it here.

    A child that ends by cancellation (`operation_aborted`) ends quietly; any other exception of a child leaves through
    `io_context::run`, where the tool logs it.
    @par Lifetime  `cancel` and `join` before the group goes away: the destructor cancels, and children that are still there
                   afterwards no longer touch the group. */
class task_group {
    struct child {
        asio::cancellation_signal signal;
        clock::time_point deadline = clock::time_point::max();
    };
    struct state {
        explicit state(executor ex) : empty(ex, clock::time_point::max()), sweep(ex) {}
        std::list<child> children;
        timer empty; ///< cancelled when the last child has ended
        timer sweep; ///< runs while a child has a deadline, and at most a second longer
        bool sweeping = false;
    };

public:
    explicit task_group(executor ex) : executor_(ex), state_(std::make_shared<state>(ex)) {}
    task_group(task_group&&) = default;
    task_group(task_group const&) = delete;
    task_group& operator=(task_group const&) = delete;
    ~task_group()
    {
        if (state_) cancel();
    }

    executor get_executor() const { return executor_; }
    std::size_t size() const noexcept { return state_->children.size(); }

    /// Start a child. It begins to run at once, inside this call, up to its first suspension.
    void spawn(awaitable<void> work) { start(std::move(work), clock::time_point::max()); }

    /** Start a child that is cancelled if it has not ended after `limit`. Deadlines are checked about every second by one
        timer for the whole group, so that a crowd of them costs nothing; use `with_deadline` where precision matters. The timer
        runs for up to a second after the last of them has ended, or until `cancel`. */
    void spawn(awaitable<void> work, clock::duration limit)
    {
        start(std::move(work), clock::now() + limit);
        if (!state_->sweeping) {
            state_->sweeping = true;
            sweep(state_);
        }
    }

    /// Ask every child to end. New children may still be spawned.
    void cancel()
    {
        auto keep = state_; // a child that ends at once must not pull the list from under us
        for (auto it = keep->children.begin(); it != keep->children.end();) {
            auto const here = it++;
            here->signal.emit(asio::cancellation_type::terminal);
        }
        keep->sweep.cancel();
    }

    /// Wait until no child is left. @par Cancel total; the children go on.
    awaitable<void> join()
    {
        auto keep = state_;
        while (!keep->children.empty()) {
            co_await keep->empty.async_wait(asio::as_tuple(use_awaitable)); // cancelled when the last child ends, or with us
            auto const cancelled = (co_await asio::this_coro::cancellation_state).cancelled();
            if (cancelled != asio::cancellation_type::none) co_return;
        }
    }

private:
    void start(awaitable<void> work, clock::time_point deadline)
    {
        auto const it = state_->children.emplace(state_->children.end());
        it->deadline = deadline;
        asio::co_spawn(executor_, std::move(work),
                       asio::bind_cancellation_slot(it->signal.slot(), [s = state_, it](std::exception_ptr error) {
                           s->children.erase(it);
                           // The sweep is left alone: the next child is likely to come before it, and setting a timer is a system call.
                           if (s->children.empty()) s->empty.cancel();
                           if (error) rethrow_unless_cancelled(error);
                       }));
    }

    static void rethrow_unless_cancelled(std::exception_ptr const& error)
    {
        try {
            std::rethrow_exception(error);
        } catch (std::system_error const& e) {
            if (e.code() != asio::error::operation_aborted) throw;
        }
    }

    static void sweep(std::shared_ptr<state> const& s)
    {
        s->sweep.expires_after(std::chrono::seconds(1));
        s->sweep.async_wait([s](std::error_code) {
            auto const now = clock::now();
            bool more = false;
            for (auto it = s->children.begin(); it != s->children.end();) {
                auto const here = it++;
                if (here->deadline <= now) {
                    here->deadline = clock::time_point::max();
                    here->signal.emit(asio::cancellation_type::terminal);
                } else if (here->deadline != clock::time_point::max()) {
                    more = true;
                }
            }
            s->sweeping = more;
            if (more) sweep(s);
        });
    }

    executor executor_;
    std::shared_ptr<state> state_;
};

} // namespace podproxy::net

#endif
