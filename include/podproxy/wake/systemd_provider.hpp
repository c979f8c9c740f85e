#ifndef PODPROXY_WAKE_SYSTEMD_PROVIDER_HPP
#define PODPROXY_WAKE_SYSTEMD_PROVIDER_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/log.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/wake/provider.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace podproxy::wake {

/// A systemd unit that belongs to a group.
struct systemd_unit {
    std::string group;
    std::string unit; ///< `web.service`; without a type it is a service.
};

/// Which manager the units belong to.
enum class systemd_manager : std::uint8_t {
    system,
    user, ///< The one of the user who runs us.
};

struct systemd_provider_config {
    std::vector<systemd_unit> units;
    systemd_manager manager = systemd_manager::system;
    std::chrono::milliseconds call_limit{10'000};   ///< For the manager's answer to one call.
    std::chrono::milliseconds first_backoff{200};   ///< After a lost connection; doubled each time, up to `most_backoff`.
    std::chrono::milliseconds most_backoff{15'000};
};

/// Whether libsystemd is on this machine. It is loaded when it is needed, so that programs run where there is no systemd.
bool systemd_supported() noexcept;

/** Starts and stops systemd units, and is told of changes by the manager over D-Bus.

    As root the manager's own socket is used, which needs no message bus; else the bus, where polkit decides what is allowed.
    A unit that is active is ready: one that takes its time says so by its `Type=` (notify, dbus, forking). `pause` freezes a unit
    (cgroup v2), `set_resources` sets CPUQuotaPerSecUSec and MemoryMax until the next boot. The address of a member is 127.0.0.1.
    @return the provider; `errc::unavailable` where there is no libsystemd, with `why` saying so. */
result<std::unique_ptr<provider>> make_systemd_provider(net::executor ex, systemd_provider_config config, logger log, diagnostics& why);

} // namespace podproxy::wake

#include <podproxy/wake/impl/systemd_provider.ipp>

#endif
