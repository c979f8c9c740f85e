#ifndef PODPROXY_NET_WAIT_SLOT_HPP
#define PODPROXY_NET_WAIT_SLOT_HPP

#include <podproxy/net/asio.hpp>
#include <podproxy/net/stream.hpp>
#include <asio/append.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/error.hpp>
#include <asio/post.hpp>
#include <cassert>
#include <system_error>
#include <utility>

namespace podproxy::net {

/** Keeps the one handler that waits for an event, for streams that are not sockets.

    Handlers are always called through the executor, never from inside `complete`. Cancellation completes the wait with
    `operation_aborted`, and so does the destructor. */
class wait_slot {
public:
    explicit wait_slot(executor ex) noexcept : executor_(ex) {}
    wait_slot(wait_slot const&) = delete;
    wait_slot& operator=(wait_slot const&) = delete;
    ~wait_slot() { complete(asio::error::operation_aborted); }

    bool waiting() const noexcept { return static_cast<bool>(handler_); }

    /// Keep `handler` until `complete`. Only one at a time.
    void wait(stream::wait_handler handler)
    {
        assert(!handler_ && "one wait of each kind at a time");
        handler_ = std::move(handler);
        slot_ = asio::get_associated_cancellation_slot(handler_);
        if (slot_.is_connected())
            slot_.assign([this](asio::cancellation_type) { complete(asio::error::operation_aborted); });
    }

    /// `wait` for any completion token.
    template <class Token>
    auto async_wait(Token&& token)
    {
        return asio::async_initiate<Token, void(std::error_code)>(initiate{this}, token);
    }

    /// Call the handler, if one waits.
    void complete(std::error_code ec)
    {
        if (!handler_) return;
        auto handler = std::exchange(handler_, nullptr);
        if (slot_.is_connected()) slot_.clear();
        slot_ = {};
        asio::post(executor_, asio::append(std::move(handler), ec));
    }

private:
    struct initiate {
        using executor_type = executor;
        wait_slot* self;
        executor_type get_executor() const { return self->executor_; }

        template <class Handler>
        void operator()(Handler&& handler) const
        {
            self->wait(std::forward<Handler>(handler));
        }
    };

    executor executor_;
    stream::wait_handler handler_;
    asio::cancellation_slot slot_;
};

} // namespace podproxy::net

#endif
