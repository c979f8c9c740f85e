#ifndef PODPROXY_WAKE_ERRC_HPP
#define PODPROXY_WAKE_ERRC_HPP

#include <podproxy/core/error.hpp>
#include <string_view>
#include <system_error>

namespace podproxy::wake {

/// Why a client is not served. Always the state of the group or its engine, never the client's fault.
enum class errc {
    no_members = 1,    ///< No container belongs to the group, or one that is needed is missing.
    engine_unreachable, ///< The engine can't be reached, and nothing is known of the group.
    start_failed,      ///< All attempts to start the group have failed.
    start_timed_out,   ///< The group was not ready within its limit.
    too_many_waiting,  ///< As many clients as allowed are waiting already.
    too_many_wakes,    ///< The group was woken too often in a short time.
    not_for_this_client, ///< The client is one that must not wake the group, and the group is at rest.
    shutting_down,     ///< wake-proxy ends.
};

inline std::string_view errc_domain(errc) noexcept { return "podproxy.wake"; }

inline std::string_view describe(errc e) noexcept
{
    switch (e) {
    case errc::no_members: return "nothing belongs to the group";
    case errc::engine_unreachable: return "the engine can't be reached";
    case errc::start_failed: return "the group could not be started";
    case errc::start_timed_out: return "the group was not ready in time";
    case errc::too_many_waiting: return "too many clients are waiting for the group";
    case errc::too_many_wakes: return "the group was woken too often";
    case errc::not_for_this_client: return "the group is at rest, and this client does not wake it";
    case errc::shutting_down: return "wake-proxy is ending";
    }
    return "unknown error";
}

inline cond condition(errc e) noexcept { return e == errc::start_timed_out ? cond::timed_out : cond::unavailable; }
inline std::error_code make_error_code(errc e) noexcept { return make_domain_error(e); }

} // namespace podproxy::wake

template <>
struct std::is_error_code_enum<podproxy::wake::errc> : std::true_type {};

#endif
