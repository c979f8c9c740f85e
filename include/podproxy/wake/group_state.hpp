#ifndef PODPROXY_WAKE_GROUP_STATE_HPP
#define PODPROXY_WAKE_GROUP_STATE_HPP

#include <cstdint>
#include <string_view>

namespace podproxy::wake {

/// What a group does.
enum class group_state : std::uint8_t {
    stopped,            ///< At rest: nobody needs it.
    starting,           ///< Members are being started, or what is needed for that is waited for.
    waiting_for_health, ///< All run, not all are healthy.
    running,            ///< Ready, and in use.
    idle,               ///< Ready, and not in use: it is put to rest when that lasts.
    stopping,           ///< Being put to rest.
    failed,             ///< The last start has failed; the next one is made for a client, after a pause.
};

constexpr std::string_view to_string(group_state s) noexcept
{
    switch (s) {
    case group_state::stopped: return "stopped";
    case group_state::starting: return "starting";
    case group_state::waiting_for_health: return "waiting for health";
    case group_state::running: return "running";
    case group_state::idle: return "idle";
    case group_state::stopping: return "stopping";
    case group_state::failed: return "failed";
    }
    return "stopped";
}

} // namespace podproxy::wake

#endif
