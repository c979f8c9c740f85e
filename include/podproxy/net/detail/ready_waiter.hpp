#ifndef PODPROXY_NET_DETAIL_READY_WAITER_HPP
#define PODPROXY_NET_DETAIL_READY_WAITER_HPP

namespace podproxy::net {

/** Who waits for a socket. One call ends a wait, and none comes after it.

    @par Lifetime Stays where it is until the wait has ended. `on_ready` and `on_abandoned` may destroy the waiter and the socket. */
class ready_waiter {
public:
    /// Trying makes sense. Called by the executor, never from inside `wait`.
    virtual void on_ready() = 0;
    /// The socket is being closed. Called from inside of that: take note, and act later.
    virtual void on_closed() {}
    /// The `io_context` is being destroyed: drop what you hold, and start nothing.
    virtual void on_abandoned() noexcept {}

protected:
    ~ready_waiter() = default;
};

} // namespace podproxy::net

#endif
