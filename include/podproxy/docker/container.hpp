#ifndef PODPROXY_DOCKER_CONTAINER_HPP
#define PODPROXY_DOCKER_CONTAINER_HPP

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::docker {

/// `State.Status`. Words that are Podman's alone become the nearest.
enum class container_status : std::uint8_t {
    created, ///< Never started, or its start has failed.
    running,
    paused,
    restarting, ///< Has ended, and the engine starts it again.
    stopping,   ///< Podman: has been told to end.
    exited,
    removing,
    dead, ///< Its removal has failed.
};

constexpr std::string_view to_string(container_status s) noexcept
{
    switch (s) {
    case container_status::created: return "created";
    case container_status::running: return "running";
    case container_status::paused: return "paused";
    case container_status::restarting: return "restarting";
    case container_status::stopping: return "stopping";
    case container_status::exited: return "exited";
    case container_status::removing: return "removing";
    case container_status::dead: return "dead";
    }
    return "exited";
}

/// `State.Health.Status`.
enum class health_status : std::uint8_t {
    none, ///< It has no health check.
    starting,
    healthy,
    unhealthy,
};

/// A network that a container is attached to; without addresses while it does not run.
struct attached_network {
    std::string name;
    std::string address; ///< IPv4; where it has none, IPv6.
    std::string gateway; ///< The engine's own address in that network.

    friend bool operator==(attached_network const&, attached_network const&) = default;
};

/// What is needed of a container. From a list: `error` and the health of Podman's are missing.
struct container {
    std::string id;
    std::string name; ///< Without the slash.
    std::map<std::string, std::string> labels;
    container_status status = container_status::created;
    health_status health = health_status::none;
    std::optional<int> exit_code; ///< Of its last run; none while it runs and before its first.
    std::string error;            ///< Why its last start has failed.
    std::string started_at;       ///< Of its last run, as the engine writes it; empty where it was not inspected.
    std::string network_mode;     ///< `default`, `host`, `container:<id>`, the name of a network.
    std::vector<attached_network> networks;

    /// A label's value; empty where it has none of that name.
    std::string_view label(std::string const& key) const noexcept
    {
        auto const it = labels.find(key);
        return it == labels.end() ? std::string_view() : std::string_view(it->second);
    }

    friend bool operator==(container const&, container const&) = default;
};

/// What an event means for what is known of a container.
enum class event_kind : std::uint8_t {
    other,   ///< Nothing: `exec_start`, `attach`, `kill`.
    created,
    started,
    changed, ///< Ended, paused, its health or its limits are others.
    renamed,
    moved,   ///< Attached to a network or detached from one.
    removed,
};

/// One line of `/events`.
struct event {
    event_kind kind = event_kind::other;
    std::string id;     ///< The container's.
    std::string action; ///< The engine's own word.

    friend bool operator==(event const&, event const&) = default;
};

} // namespace podproxy::docker

#endif
