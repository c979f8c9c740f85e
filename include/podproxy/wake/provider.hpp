#ifndef PODPROXY_WAKE_PROVIDER_HPP
#define PODPROXY_WAKE_PROVIDER_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/wake/member.hpp>
#include <podproxy/wake/settings.hpp>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace podproxy::wake {

/// Is told what an engine's members do. Called from the executor, never from inside a call of the provider's.
class member_observer {
public:
    virtual ~member_observer() = default;

    /// All members that there are; those of before that are not among them are gone. Comes first, and after every gap in the events.
    virtual void on_snapshot(std::vector<member> all) = 0;
    /// A member is new or has changed.
    virtual void on_member(member m) = 0;
    virtual void on_removed(std::string_view id) = 0;
    /// The engine can't be reached: nothing is known until the next snapshot. The provider goes on trying.
    virtual void on_lost(std::error_code ec, diagnostics const& why) = 0;
};

/** An engine that runs things: Docker, Kubernetes, systemd. The one seam between groups and engines.

    Commands are complete when the engine has taken them; what comes of them is told to the observer.
    @par Overlap Any number of commands, `run` once.
    @par Cancel  A cancelled command may still be carried out. */
class provider {
public:
    virtual ~provider() = default;

    /// For texts: `docker`, `kubernetes cluster staging`.
    virtual std::string_view name() const noexcept = 0;

    /** Follow the engine's events, for ever: connects, takes a snapshot, tells changes, connects again with growing pauses.
        @par Lifetime `observer` outlives it. @par Cancel terminal. */
    virtual net::awaitable<void> run(member_observer& observer) = 0;

    virtual net::awaitable<result<void>> start(member const& m, diagnostics& why) = 0;
    /// @param timeout When the processes are killed; none: the member's own.
    virtual net::awaitable<result<void>> stop(member const& m, std::optional<std::chrono::seconds> timeout, diagnostics& why) = 0;
    /// `errc::unavailable` where an engine can't.
    virtual net::awaitable<result<void>> pause(member const& m, diagnostics& why) = 0;
    virtual net::awaitable<result<void>> unpause(member const& m, diagnostics& why) = 0;
    virtual net::awaitable<result<void>> set_resources(member const& m, resources const& limits, diagnostics& why) = 0;

    /// The last line that a member has written, for the report of a failure; empty where it can't be had. Never fails.
    virtual net::awaitable<std::string> last_line(member const& m) = 0;

    /** Clients hold a group or wait for it, or none does any more: told when that changes. For engines that several of us share: what one has in
        use must not be stopped by another, whose `stop` is then refused with `errc::unavailable` and comes again. Who has had clients agrees by
        a `stop` of its own, after its own idle time. */
    virtual void note_use(std::string_view group, std::size_t clients) { (void)group, (void)clients; }
};

} // namespace podproxy::wake

#endif
