#ifndef PODPROXY_TESTS_UNIT_SUPPORT_SPAWNED_HPP
#define PODPROXY_TESTS_UNIT_SUPPORT_SPAWNED_HPP

#include <podproxy/net/asio.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/error.hpp>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace podproxy::test {

/** A coroutine that the test has started, watches and may cancel.

        spawned<result<accepted>> s(ctx, accept(stream));
        s.run();                                  // everything that can run now has run
        CHECK_FALSE(s.done());
        stream.provide(...);
        CHECK(s.run().value().has_value());

    `run` never blocks. The object may go away while the coroutine still waits. */
template <class T>
class spawned {
public:
    spawned(asio::io_context& ctx, net::awaitable<T> work) : ctx_(&ctx), state_(std::make_shared<state>())
    {
        asio::co_spawn(ctx, std::move(work), asio::bind_cancellation_slot(state_->signal.slot(), [s = state_](std::exception_ptr e, T value) {
                           s->ended = true;
                           s->error = e;
                           if (!e) s->value.emplace(std::move(value));
                       }));
    }

    /// Run all handlers that are ready.
    spawned& run()
    {
        ctx_->restart();
        ctx_->poll();
        return *this;
    }
    /// Run one handler. @return false when none was ready.
    bool step()
    {
        ctx_->restart();
        return ctx_->poll_one() != 0;
    }
    spawned& cancel(asio::cancellation_type type = asio::cancellation_type::terminal)
    {
        state_->signal.emit(type);
        return *this;
    }

    bool done() const noexcept { return state_->ended; }
    /// Ended by an exception.
    bool threw() const noexcept { return state_->ended && state_->error != nullptr; }

    /// What it returned. @throws what it threw, or `std::logic_error` when it still waits.
    T& value()
    {
        if (!state_->ended) throw std::logic_error("spawned: the coroutine has not ended");
        if (state_->error) std::rethrow_exception(state_->error);
        return *state_->value;
    }

    /// Its error, whether returned in a `result` or thrown as a `std::system_error`; empty for success.
    std::error_code error()
    {
        try {
            return value().error();
        } catch (std::system_error const& e) {
            return e.code();
        }
    }

private:
    struct state {
        asio::cancellation_signal signal;
        std::optional<T> value;
        std::exception_ptr error;
        bool ended = false;
    };
    asio::io_context* ctx_;
    std::shared_ptr<state> state_;
};

} // namespace podproxy::test

#endif
