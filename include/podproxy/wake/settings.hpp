#ifndef PODPROXY_WAKE_SETTINGS_HPP
#define PODPROXY_WAKE_SETTINGS_HPP

#include <podproxy/core/cidr.hpp>
#include <podproxy/core/host_port.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::wake {

/// What is done with a group that nobody uses.
enum class idle_action : std::uint8_t {
    stop,     ///< Stop it: memory and CPU are free.
    pause,    ///< Freeze its processes: memory stays, waking takes milliseconds.
    throttle, ///< Let it run with `idle_resources`, and give it `active_resources` when somebody connects.
};

/// What counts as use.
enum class use_rule : std::uint8_t {
    connections, ///< An open connection, silent or not.
    bytes,       ///< Bytes moved; an open but silent connection does not count, and is cut when the group stops.
    threshold,   ///< Bytes and packets of a window that reach `threshold`.
};

/// `use_rule::threshold`: the window counts as use when both figures are reached.
struct use_threshold {
    std::uint64_t bytes = 0;
    std::uint64_t packets = 30; ///< Reads for TCP, datagrams for UDP.
    std::chrono::seconds window{30};

    friend bool operator==(use_threshold const&, use_threshold const&) = default;
};

/// Limits of a container. Zero: not changed.
struct resources {
    std::int64_t nano_cpus = 0;    ///< Billionths of a CPU.
    std::int64_t memory_bytes = 0;

    friend bool operator==(resources const&, resources const&) = default;
};

/// How one group of containers is woken and put to rest.
struct group_config {
    std::string name;
    std::chrono::milliseconds idle{300'000}; ///< Unused for so long: put to rest. Zero: never.
    bool use_health = true;                  ///< Wait for the container's own health check, where it has one.
    idle_action action = idle_action::stop;
    use_rule use = use_rule::connections;
    use_threshold threshold;
    resources idle_resources;   ///< For `idle_action::throttle`.
    resources active_resources; ///< For `idle_action::throttle`.

    /// From the first waiting client to a group that is ready and whose port is open, all attempts together; then clients are refused.
    std::chrono::milliseconds start_limit{120'000};
    /// Attempts of one wake, before its clients are refused.
    unsigned start_attempts = 3;
    std::chrono::milliseconds first_backoff{500};  ///< Between two attempts; doubles, with jitter.
    std::chrono::milliseconds most_backoff{60'000};
    std::optional<std::chrono::seconds> stop_timeout; ///< SIGKILL after so long; none: the container's own.

    std::size_t most_waiting = 1024;        ///< Clients held at the same time; the next are refused.
    std::size_t most_early_bytes = 65'536;  ///< Of one waiting client; the rest stays in the kernel.
    unsigned most_wakes = 0;                ///< Starts per `wake_window`; above it clients wait for the window's end or are refused. Zero: no limit.
    std::chrono::seconds wake_window{60};

    friend bool operator==(group_config const&, group_config const&) = default;
};

enum class port_protocol : std::uint8_t { tcp, udp };

/// What is sent in front of a connection's bytes, so that the server learns the client's address.
enum class proxy_header : std::uint8_t { none, v1, v2 };

/// One way behind a port: which names it is for, and where it leads.
struct target_config {
    std::vector<std::string> names; ///< SNI or Host: `shop.example.com`, `*.example.com`; empty: every client.
    std::string group;
    host_port address;              ///< An empty host is a container of the group itself, at the address that its engine tells:
    std::string member;             ///< the one of this name; where this is empty, the group's first that has an address.

    friend bool operator==(target_config const&, target_config const&) = default;
};

/// Who may connect, and who may connect but not wake anybody.
struct client_filter {
    std::vector<cidr> allow;                  ///< Empty: everybody.
    std::vector<cidr> no_wake_sources;        ///< Health checkers and monitors.
    std::vector<std::string> no_wake_names;   ///< SNI or Host, as in `target_config::names`.
    std::vector<std::string> no_wake_paths;   ///< Paths of HTTP requests; a `*` at the end stands for everything that follows.
    std::vector<std::string> no_wake_agents;  ///< Parts of User-Agent, in any case.
    std::vector<std::string> no_wake_bytes;   ///< First bytes of a connection.
    /// Refuse to wake for clients that send nothing within `first_bytes_limit` (scanners). Not for servers that speak first.
    bool need_first_bytes = false;

    friend bool operator==(client_filter const&, client_filter const&) = default;

    /// Whether the first bytes of a client have to be seen before anything else.
    bool looks_at_bytes() const noexcept
    {
        return need_first_bytes || !no_wake_names.empty() || !no_wake_paths.empty() || !no_wake_agents.empty() || !no_wake_bytes.empty();
    }
};

/// A port that is listened on.
struct port_config {
    port_protocol protocol = port_protocol::tcp;
    host_port listen;                      ///< An empty host is every address of this machine.
    std::vector<target_config> targets;    ///< The first that fits.
    client_filter filter;
    proxy_header send_proxy = proxy_header::none;
    bool wait_page = false;                ///< Answer a browser's GET with a page that reloads itself, instead of holding it.
    std::chrono::milliseconds first_bytes_limit{5'000}; ///< How long first bytes are waited for where they decide.
    std::chrono::milliseconds udp_session{60'000};      ///< A UDP client that is silent for so long is gone.
    std::size_t udp_most_early = 64;                    ///< Datagrams held per waiting UDP client.
    std::size_t udp_most_sessions = 10'000;

    friend bool operator==(port_config const&, port_config const&) = default;
};

/// Everything that wake-proxy is told, by arguments, a file or labels.
struct settings {
    std::vector<group_config> groups;
    std::vector<port_config> ports;
};

} // namespace podproxy::wake

#endif
