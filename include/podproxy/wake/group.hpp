#ifndef PODPROXY_WAKE_GROUP_HPP
#define PODPROXY_WAKE_GROUP_HPP

#include <podproxy/core/clock.hpp>
#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/log.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/wake/errc.hpp>
#include <podproxy/wake/group_state.hpp>
#include <podproxy/wake/member.hpp>
#include <podproxy/wake/provider.hpp>
#include <podproxy/wake/settings.hpp>
#include <podproxy/wake/traffic.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::wake {

namespace detail {

class group_core;

/// A hold's place in its group's list; holds that are moved take their place along.
struct use_link {
    use_link* before = nullptr;
    use_link* after = nullptr;
};

} // namespace detail

/// What the status page and the metrics tell of a group.
struct group_status {
    std::string name;
    std::string engine;
    group_state state = group_state::stopped;
    bool engine_reachable = false;
    std::size_t waiting = 0;
    std::size_t in_use = 0; ///< Clients that hold it.
    std::chrono::milliseconds idle_left{0}; ///< In `idle`: until it is put to rest.
    std::vector<member> members;
    struct start {
        wall_time when{};
        std::chrono::milliseconds took{0}; ///< Until it was ready, or until it failed.
        std::string reason;                ///< Who woke it: a client's address, `status page`, `found running`.
        std::string error;                 ///< Empty when it became ready.
    };
    std::vector<start> last_starts; ///< The last ten, the newest first.
    std::uint64_t starts = 0, failed_starts = 0, stops = 0, refused = 0;
    wait_histogram start_times; ///< Of all starts that became ready: how long they took.
};

/** A client's hold on a group: while it lives the group is in use. Move only, may outlive the group.

    A small handle: no timer, no allocation of its own. An empty one (made by default, or moved from) holds nothing and is not alive. */
class group_use : detail::use_link {
public:
    group_use() = default;
    group_use(group_use&& other) noexcept;
    group_use& operator=(group_use&& other) noexcept;
    ~group_use();

    /// Bytes and packets have moved, for `use_rule::bytes` and `threshold`. Cheap: may be called for each read.
    void moved(std::uint64_t bytes, std::uint64_t packets = 1) noexcept;
    /// Whether the group runs as it did when this was given; false once its members have ended or are put to rest.
    bool alive() const noexcept;
    /// Called once, from the executor, when `alive` turns false (soon, when it is so already). Replaces the one before; an empty one forgets it.
    void on_end(std::function<void()> f);
    /// Where the member of this name is reached, or the group's first one with an address, for targets without a host; empty when
    /// there is none.
    std::string address(std::string_view member = {}) const;
    /// Counts the group's lives: another number each time it has become ready, so that what was learned about its ports is known to be old.
    std::uint64_t life() const noexcept;

private:
    friend class detail::group_core;

    void take(group_use& other) noexcept;
    void drop() noexcept;

    std::shared_ptr<detail::group_core> core_;
    std::uint64_t run_ = 0; ///< Holds of one run end together.
    std::uint64_t life_ = 0;
    std::function<void()> on_end_;
};

/** Wakes a group of members for its clients and puts it to rest when nobody needs it.

    The decisions are those of `group_fsm`; this carries them out with a provider, and holds the clients that wait.
    @par Lifetime The provider outlives it. */
class group {
public:
    group(net::executor ex, provider& engine, group_config config, logger log);
    group(group const&) = delete;
    group& operator=(group const&) = delete;
    /// Refuses who waits, as `shut_down`; holds that are left are not alive any more and are not told.
    ~group();

    group_config const& config() const noexcept;

    /** Wait until the members run and are healthy.
        @param who For the log and the status page: the client's address, `status page`.
        @par Cancel terminal, partial and total: the client has left. A start in progress goes on.
        @return a hold on the group, or an error of `wake::errc` with a sentence in `why` that names the group, the member and its last line. */
    net::awaitable<result<group_use>> acquire(std::string who, diagnostics& why);
    /** As `acquire`, for a client whose hold has ended (`alive` is false) before it could connect: the members came up and ended at once.
        Its wake goes on, with the attempts and the time that are left of it, so that it learns why they end instead of waiting on. */
    net::awaitable<result<group_use>> acquire_again(std::string who, diagnostics& why);
    /// A hold without waiting and without waking; none when the group is not ready.
    std::optional<group_use> try_acquire();

    /** A client could not connect to a ready group's port within `start_limit`, or connected: for the log and the backoff.
        The port counts as part of being ready: while the first connection is tried, the clients count as waiting.
        @param what  What went wrong; empty: a client has connected. Cheap enough to be told for every client. */
    void port_failed(std::string_view what);

    group_status status() const;
    void wake_now(std::string who);
    void stop_now(); ///< Also under open connections.

    /// The provider's news of this group's members, passed on by whoever observes the provider.
    void members_are(std::vector<member> all);
    void member_changed(member m);
    void member_removed(std::string_view id);
    void engine_lost(std::error_code ec, diagnostics const& why);

    /// Refuse all that wait; nothing is started or stopped any more. Members are left as they are.
    void shut_down();
    /// Wait until no command is in flight; after `shut_down`, before the provider goes away. @par Cancel total.
    net::awaitable<void> join();

private:
    std::shared_ptr<detail::group_core> core_;
};

} // namespace podproxy::wake

#include <podproxy/wake/impl/group.ipp>

#endif
