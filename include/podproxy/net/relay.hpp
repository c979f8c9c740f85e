#ifndef PODPROXY_NET_RELAY_HPP
#define PODPROXY_NET_RELAY_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/error.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/pipe_pool.hpp>
#include <podproxy/net/stream.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <system_error>
#include <vector>

namespace podproxy::net {

namespace detail {
class relay;
}

/// How a relayed connection ended.
struct relay_end {
    /// Who did it, for the log: both ends of stream arrived, or which side failed.
    enum class cause { both_ended, client_failed, server_failed, idle, cancelled };

    cause why = cause::both_ended;
    std::error_code error;        ///< Empty for `both_ended`.
    std::uint64_t to_server = 0;  ///< Bytes that the server's stream took.
    std::uint64_t to_client = 0;  ///< Bytes that the client's stream took.
    clock::duration duration{};
};

struct relay_config {
    /// End a connection in which nothing has moved for so long (checked a few times per limit). Zero: never.
    std::chrono::milliseconds idle{0};
    /// Bytes copied per step between two sockets; a direction that fills it twice in a row is bulk and gets spliced.
    std::size_t buffer_size = 64 * 1024;
    /// Bytes copied per step to or from any other stream. One buffer, of the larger of the two sizes, serves all relays of an engine.
    std::size_t stream_buffer_size = 128 * 1024;
    /// Bytes one direction may move before others get their turn.
    std::size_t turn = 1024 * 1024;
    pipe_pool_config pipes;
};

/** Follows one pair while it runs, for who has to know what moves before the end, and may end it. */
class relay_observer {
public:
    relay_observer() = default;
    relay_observer(relay_observer const&) = delete;
    relay_observer& operator=(relay_observer const&) = delete;
    virtual ~relay_observer() = default;

    /// Bytes that the streams have taken since the last call. About once per event of a socket; the first time perhaps from inside `start`.
    virtual void moved(std::uint64_t to_server, std::uint64_t to_client) = 0;
    /// The last call, from the executor. Not called when the engine is destroyed.
    virtual void ended(relay_end const& end) = 0;

protected:
    /// End the pair: reset on both sides, `ended` with `cancelled` follows. Does nothing when it has ended.
    void cut();

private:
    friend class relay_engine;
    friend class detail::relay;
    detail::relay* pair_ = nullptr;
};

/** Moves bytes between pairs of streams, any number of pairs at once, on one thread.

    A pair is one small object that waits for readiness. While nothing moves it holds no buffer, no pipe and no coroutine frame.
    Small messages are copied through one buffer that all pairs share; when a direction between two plain sockets turns out to
    be bulk, it goes through splice(2) and a pipe that returns to a pool as soon as it is empty. Streams that lend views are
    written from without a copy.

    Half-close is kept: an end of stream is passed on as `shutdown_send`, the pair ends when both directions have. An error on one
    side resets the other.

    @par Lifetime The engine may be destroyed at any time; running pairs are cancelled then, and their `on_end` is not called. */
class relay_engine {
public:
    using on_end = std::function<void(relay_end const&)>;

    explicit relay_engine(executor ex, relay_config config = {});
    relay_engine(relay_engine const&) = delete;
    relay_engine& operator=(relay_engine const&) = delete;
    ~relay_engine();

    /** Relay between `client` and `server` until both directions have ended.
        @param early Bytes that came from the client already; they are the first that the server gets.
        @param done  Called once, from the executor, never from inside this call. May be empty. */
    void start(any_stream client, any_stream server, bytes_view early, on_end done);

    /// The same, told to an observer, which belongs to the pair and goes away after `ended`.
    void start_observed(any_stream client, any_stream server, bytes_view early, std::unique_ptr<relay_observer> observer);

    /// The same as a coroutine. @par Cancel terminal: the pair is reset.
    awaitable<relay_end> run(any_stream client, any_stream server, bytes_view early = {});

    /// End all pairs: reset on both sides, `on_end` with `cancelled`.
    void cancel();

    std::size_t size() const noexcept { return size_; }
    /// Pipes that hold data at this moment.
    std::size_t pipes_in_use() const noexcept { return pipes_.in_use(); }

private:
    friend class detail::relay;

    void arm_idle_timer();

    executor executor_;
    relay_config config_;
    pipe_pool pipes_;
    std::unique_ptr<std::uint8_t[]> scratch_;
    detail::relay* first_ = nullptr; ///< intrusive list of running pairs
    std::size_t size_ = 0;
    timer idle_timer_;
    bool idle_timer_armed_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true); ///< for handlers that may be queued when the engine goes
};

} // namespace podproxy::net

#include <podproxy/net/impl/relay.ipp>

#endif
