#include <asio/error.hpp>
#include <algorithm>
#include <array>
#include <utility>

namespace podproxy::kube {

inline std::size_t pod_sessions::ready() const noexcept
{
    return static_cast<std::size_t>(std::count_if(sessions_.begin(), sessions_.end(), [this](auto const& s) {
        if (!s->usable() || in_use(*s) != 0) return false;
        for (std::uint32_t lane = 0; lane < spdy::lane_count; ++lane)
            if (!s->lane_free(lane)) return false;
        return true;
    }));
}

/// Connections on a session that matter to another one. On a session of its own that is every one; where sharing is allowed, one that
/// has only its end to come takes nothing from anybody.
inline std::size_t pod_sessions::in_use(spdy::session const& s) const noexcept
{
    return config_.use == session_use::exclusive ? s.streams() : s.busy();
}

/// A session that nobody uses; else, where sharing is allowed, the free lane of the session with the fewest streams.
inline pod_sessions::place pod_sessions::find_place()
{
    place best;
    std::size_t best_streams = static_cast<std::size_t>(-1);
    bool const may_open = sessions_.size() + opening_ < config_.most;
    for (auto const& s : sessions_) {
        if (!s->usable() || in_use(*s) >= best_streams) continue;
        if (may_open && (s->stuck() || (in_use(*s) != 0 && !s->shareable()))) continue;
        if (config_.use == session_use::exclusive && in_use(*s) != 0) continue;
        std::uint32_t lane = 0;
        while (lane < spdy::lane_count && !s->lane_free(lane)) ++lane;
        if (lane == spdy::lane_count) continue;
        best = {s, lane};
        best_streams = in_use(*s);
    }
    return best;
}

inline void pod_sessions::start_opening(std::size_t wanted)
{
    // Counted here: an opening that fails at once has ended when `spawn` returns.
    for (std::size_t n = opening_; n < std::min(wanted, config_.most_opening); ++n) {
        if (sessions_.size() + opening_ >= config_.most || closed_) break;
        ++opening_;
        openings_.spawn(open_one());
    }
}

inline net::awaitable<void> pod_sessions::open_one()
{
    auto const self = shared_from_this();
    diagnostics why;
    auto opened = co_await open_(why);
    --opening_;
    if (opened && (*opened)->error()) opened = (*opened)->error(); // it ended as soon as it began
    if (!opened) {
        ++failures_;
        last_failure_ = opened.error();
        last_why_ = why;
    } else if (closed_) {
        (*opened)->close();
    } else {
        (*opened)->on_change = [weak = weak_from_this()] {
            if (auto pool = weak.lock()) {
                pool->remove_dead();
                pool->wake();
            }
        };
        sessions_.push_back(std::move(*opened));
    }
    wake();
}

inline void pod_sessions::wake()
{
    for (auto& w : waiting_) w.complete({});
}

inline void pod_sessions::remove_dead()
{
    for (auto const& s : std::list(sessions_))
        if (s->streams() == 0 && s->stuck()) s->close();
    // Where one has lost its path the others may have too: new connections get new sessions, rather than find that out one by one.
    bool const path_lost = std::any_of(sessions_.begin(), sessions_.end(), [](auto const& s) { return s->error() == spdy::errc::no_answer; });
    if (path_lost) {
        for (auto const& s : std::exchange(sessions_, {})) {
            if (!s->error() && s->streams() == 0) s->close();
            else sessions_.push_back(s);
        }
    }
    sessions_.remove_if([this](auto const& s) {
        if (!s->error()) return false;
        if (s->fresh()) { // opening more of that kind for those who wait would never end
            ++failures_;
            last_failure_ = s->error();
            last_why_.clear();
        }
        return true;
    });
}

inline void pod_sessions::keep_spares()
{
    std::size_t const now = ready() + opening_;
    if (now < config_.spare && !closed_) start_opening(opening_ + config_.spare - now);
}

inline net::awaitable<result<pod_sessions::place>> pod_sessions::acquire(diagnostics& why)
{
    std::size_t const failures_before = failures_;
    for (;;) {
        if (closed_) co_return errc::pod_gone;
        if (auto p = find_place(); p.session) co_return p;
        std::size_t const queue = waiting_.size() + 1;
        std::size_t const per_session = config_.use == session_use::exclusive ? 1 : spdy::lane_count;
        if (failures_ != failures_before && opening_ == 0) {
            why = last_why_;
            co_return last_failure_;
        }
        if (failures_ == failures_before) {
            start_opening((queue + per_session - 1) / per_session);
            if (failures_ != failures_before || find_place().session) continue; // that was quick: nobody would wake us
        }
        auto const me = waiting_.emplace(waiting_.end(), executor_);
        auto [ec] = co_await me->async_wait(asio::as_tuple(net::use_awaitable));
        waiting_.erase(me);
        if (ec) co_return ec;
    }
}

inline net::awaitable<result<net::any_stream>> pod_sessions::dial(std::uint16_t port, diagnostics& why)
{
    auto const self = shared_from_this();
    ++connections_;
    struct leave {
        explicit leave(pod_sessions* p) : pool(p) {}
        leave(leave const&) = delete;
        pod_sessions* pool;
        ~leave()
        {
            --pool->connections_;
            pool->idle_since_ = net::clock::now();
        }
    };
    auto guard = std::make_shared<leave>(this);

    constexpr int most_tries = 3;
    for (int tries = 1;; ++tries) {
        auto at = co_await acquire(why);
        if (!at) co_return at.error();
        auto const number = std::to_string(port);
        auto const request = std::to_string(next_request_++);
        // The error stream comes first and says nothing from our side. Both are opened before anything is waited for, and in the same
        // lane: in another one a stalled neighbour could hold the error stream up, and with it the pair.
        std::array<spdy::header_view, 3> fields{{{"streamtype", "error"}, {"port", number}, {"requestid", request}}};
        auto error = at->session->open(fields, at->lane, spdy::session::upload::none);
        fields[0].value = "data";
        auto data = error ? at->session->open(fields, at->lane, spdy::session::upload::yes) : nullptr;
        if (!data) continue; // the session has just died; another one will do, nothing has been exchanged
        auto stream = std::make_unique<forwarded_stream>(
            executor_, std::move(error), std::move(data), config_.stream,
            [self, guard, port, session = std::weak_ptr(at->session)](std::error_code ec, std::string const&) mutable {
                if (ec == errc::port_refused || ec == errc::pod_gone) self->proven_ports_.erase(port);
                if (ec == errc::pod_gone) self->close();
                guard.reset();
            });
        keep_spares();
        auto const grace = proven_ports_.contains(port) ? std::chrono::milliseconds(0) : config_.connect_grace;
        auto const ready = co_await stream->established(grace, why);
        if (!ready) {
            // Lost with the session, and no byte of the client's has gone out: another session will do.
            bool const session_lost = ready.error() == spdy::errc::going_away || ready.error() == at->session->error();
            if (session_lost && !closed_ && tries < most_tries) continue;
            co_return ready.error();
        }
        proven_ports_.insert(port);
        co_return result<net::any_stream>(std::move(stream));
    }
}

inline bool pod_sessions::trim(net::clock::time_point now)
{
    remove_dead();
    if (connections_ == 0 && now - idle_since_ >= config_.keep_idle) {
        auto const gone = std::exchange(sessions_, {});
        for (auto const& s : gone) s->close();
    } else {
        // After a crowd: keep the spares, let half of the other idle ones go each time, so that a steady load finds some again.
        std::size_t const idle = ready();
        std::size_t const kept = config_.spare + spdy::lane_count;
        std::size_t to_go = idle > kept ? (idle - kept + 1) / 2 : 0;
        for (auto it = sessions_.begin(); it != sessions_.end() && to_go != 0;) {
            auto const s = *it;
            if (s->usable() && s->streams() == 0) {
                it = sessions_.erase(it);
                s->close();
                --to_go;
            } else {
                ++it;
            }
        }
    }
    return sessions_.empty() && connections_ == 0 && opening_ == 0;
}

inline void pod_sessions::close()
{
    if (std::exchange(closed_, true)) return;
    openings_.cancel();
    auto const gone = std::exchange(sessions_, {});
    for (auto const& s : gone) s->close(errc::pod_gone);
    wake();
}

} // namespace podproxy::kube
