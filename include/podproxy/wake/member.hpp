#ifndef PODPROXY_WAKE_MEMBER_HPP
#define PODPROXY_WAKE_MEMBER_HPP

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::wake {

/// What a member does, in the words that all engines share.
enum class member_state : std::uint8_t {
    stopped,  ///< Never started, or ended.
    starting, ///< On its way by itself: an engine restarts it, a rollout creates it.
    running,
    paused,
    stopping, ///< Ending, or being removed.
    dead,     ///< Can't be started again as it is.
};

enum class health_state : std::uint8_t {
    none, ///< It has no health check.
    starting,
    healthy,
    unhealthy,
};

constexpr std::string_view to_string(member_state s) noexcept
{
    switch (s) {
    case member_state::stopped: return "stopped";
    case member_state::starting: return "starting";
    case member_state::running: return "running";
    case member_state::paused: return "paused";
    case member_state::stopping: return "stopping";
    case member_state::dead: return "dead";
    }
    return "stopped";
}

constexpr std::string_view to_string(health_state s) noexcept
{
    switch (s) {
    case health_state::none: return "none";
    case health_state::starting: return "starting";
    case health_state::healthy: return "healthy";
    case health_state::unhealthy: return "unhealthy";
    }
    return "none";
}

/// What has to be true of another member before one may start, as in compose.
enum class dependency_condition : std::uint8_t {
    started,   ///< `service_started`
    healthy,   ///< `service_healthy`
    completed, ///< `service_completed_successfully`
};

struct dependency {
    std::string service; ///< The other's `member::service`.
    dependency_condition condition = dependency_condition::started;
    bool required = true; ///< Without it, a missing or failed one does not matter.

    friend bool operator==(dependency const&, dependency const&) = default;
};

/// One thing that an engine starts and stops: a container, a Deployment, a unit.
struct member {
    std::string id;      ///< The engine's own; another one after it was made anew.
    std::string name;    ///< For people, and the order within a group.
    std::string group;   ///< The group it belongs to.
    std::string service; ///< What `depends_on` calls it; empty where nothing does.
    member_state state = member_state::stopped;
    health_state health = health_state::none;
    std::optional<int> exit_code; ///< Of the last run, when it has ended.
    std::vector<dependency> depends_on;
    std::string address; ///< Where its ports are reached; empty while that is not known.
    std::map<std::string, std::string> labels; ///< Those that are for us: `podproxy.wake.*`.
    /// Another text with each start, where the engine tells one (Docker: `StartedAt`): tells the end of this run from that of the last.
    /// Empty: not known, now or at all.
    std::string run;

    friend bool operator==(member const&, member const&) = default;
};

} // namespace podproxy::wake

#endif
