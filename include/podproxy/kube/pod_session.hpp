#ifndef PODPROXY_KUBE_POD_SESSION_HPP
#define PODPROXY_KUBE_POD_SESSION_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/kube/errc.hpp>
#include <podproxy/kube/forwarded_stream.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/task_group.hpp>
#include <podproxy/net/wait_slot.hpp>
#include <podproxy/spdy/session.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <set>
#include <string>

namespace podproxy::kube {

/// How connections to one pod use port-forward sessions.
enum class session_use {
    automatic, ///< A session of its own where one is ready, else a lane of a shared one.
    exclusive, ///< Always a session of its own; a new connection waits until one is open.
    shared,    ///< Up to five connections per session, each in a lane of its own.
};

struct pod_session_config {
    session_use use = session_use::automatic;
    std::size_t spare = 2;        ///< Ready sessions kept beside those in use, while the pod is in use.
    std::size_t most = 1024;      ///< Sessions to one pod. Beyond it connections wait for one to become free.
    std::size_t most_opening = 8; ///< Sessions being opened at the same time.
    std::chrono::seconds keep_idle{60}; ///< How long ready sessions are kept after the last use of the pod.
    std::chrono::milliseconds connect_grace{50}; ///< See `forwarded_stream::established`; only for ports that have not answered before.
    forwarded_stream_config stream;
};

/** All port-forward sessions to one pod, and the connections on them.

    A session costs the cluster about nine milliseconds of work and a stream pair on a ready one a third of that, so sessions are kept and
    used again, and a few ready ones wait. Two connections never share a lane, so a reader that stops, in the pod or at our client,
    stops nobody else.
    @par Lifetime Shared: connections and openings keep it. `close` ends all. */
class pod_sessions : public std::enable_shared_from_this<pod_sessions> {
public:
    using opener = std::function<net::awaitable<result<std::shared_ptr<spdy::session>>>(diagnostics&)>;

    pod_sessions(net::executor ex, opener open, pod_session_config config)
        : executor_(ex), open_(std::move(open)), config_(config), openings_(ex), idle_since_(net::clock::now())
    {
    }

    /** A new connection to `port` of the pod.
        @par Cancel total.
        @return the stream, once the cluster has taken it; or why not: the API server's error, `port_refused`, `pod_gone`. */
    net::awaitable<result<net::any_stream>> dial(std::uint16_t port, diagnostics& why);

    /// Close sessions that have been idle for `keep_idle`. @return whether none is left and nothing is in progress.
    bool trim(net::clock::time_point now);

    /// End all sessions; streams on them fail.
    void close();
    /// Wait until nothing is being opened any more. @par Cancel total.
    net::awaitable<void> join() { return openings_.join(); }

    bool closed() const noexcept { return closed_; }
    std::size_t sessions() const noexcept { return sessions_.size(); }
    std::size_t ready() const noexcept;
    std::size_t connections() const noexcept { return connections_; }

private:
    struct place {
        std::shared_ptr<spdy::session> session;
        std::uint32_t lane = 0;
    };

    place find_place();
    std::size_t in_use(spdy::session const& s) const noexcept;
    void start_opening(std::size_t wanted);
    net::awaitable<void> open_one();
    net::awaitable<result<place>> acquire(diagnostics& why);
    void wake();
    void keep_spares();
    void remove_dead();

    net::executor executor_;
    opener open_;
    pod_session_config config_;
    net::task_group openings_;
    std::list<std::shared_ptr<spdy::session>> sessions_;
    std::list<net::wait_slot> waiting_;
    std::set<std::uint16_t> proven_ports_; ///< have answered since their last refusal
    std::size_t opening_ = 0;
    std::size_t failures_ = 0; ///< openings that failed, ever
    std::error_code last_failure_;
    diagnostics last_why_;
    std::size_t connections_ = 0;
    std::uint32_t next_request_ = 0;
    net::clock::time_point idle_since_;
    bool closed_ = false;
};

} // namespace podproxy::kube

#include <podproxy/kube/impl/pod_session.ipp>

#endif
