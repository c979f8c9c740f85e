#ifndef PODPROXY_CONFIG_WAKE_CONFIG_HPP
#define PODPROXY_CONFIG_WAKE_CONFIG_HPP

#include <podproxy/config/environment.hpp>
#include <podproxy/config/files.hpp>
#include <podproxy/config/log_setup.hpp>
#include <podproxy/config/problem.hpp>
#include <podproxy/config/wake_labels.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/wake/settings.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::config {

/// What starts and stops a group's members.
enum class wake_engine : std::uint8_t { docker, podman, kubernetes, systemd };

constexpr std::string_view to_string(wake_engine e) noexcept
{
    switch (e) {
    case wake_engine::docker: return "docker";
    case wake_engine::podman: return "podman";
    case wake_engine::kubernetes: return "kubernetes";
    case wake_engine::systemd: return "systemd";
    }
    return "docker";
}

/// One engine that is reached. The comment of each member begins with its key in the file, below `providers.<name>`.
struct wake_provider {
    std::string name;                        ///< What groups call it.
    /// `type`: which kind it is. Default: the provider's name, where that is one of the four.
    wake_engine engine = wake_engine::docker;
    /// `host`: `unix:///var/run/docker.sock` or `tcp://host:2376`, for docker and podman. Default: as Docker's own programs find it
    /// (`DOCKER_HOST`, for podman `CONTAINER_HOST`), then the usual sockets.
    std::string host;
    /// `certPath`: folder of `ca.pem`, `cert.pem` and `key.pem` for TLS. Default: `DOCKER_CERT_PATH`. `~` is the home folder.
    std::string cert_path;
    /// `kubeconfig`: for kubernetes; default the usual ones, and inside of a cluster the pod's own service account.
    std::string kubeconfig;
    /// `context`: for kubernetes; default the current one.
    std::string context;
    /// `namespaces`: for kubernetes: where labelled workloads are looked for; default that of the context. `*`: all.
    std::vector<std::string> namespaces;
    /// `lease`: for kubernetes: `namespace/name` of the Lease by which several wake-proxies agree who stops what is idle. Default none.
    std::string lease;
    /// `user`: for systemd: the manager of the user who runs wake-proxy instead of the system's. Default no.
    bool user = false;
};

/// What belongs to a group by the file, beside what labels say.
struct wake_members {
    std::string group;
    std::string provider;                ///< `provider`: default `docker`.
    std::vector<std::string> containers; ///< `containers`: names, for docker and podman.
    std::vector<std::string> workloads;  ///< `workloads`: `deployment/web`, `statefulset/db`, for kubernetes.
    std::string name_space;              ///< `namespace`: of the workloads; default that of the context.
    std::vector<std::string> units;      ///< `units`: `web.service`, for systemd.
};

/// The settings of the tool wake-proxy. The comment of each member begins with its key in the file.
struct wake_config {
    /// `groups`, `ports`: what is woken, and by whom. See `wake_labels.hpp`: labels may add to it.
    wake::settings settings;
    /// `groups.<name>`: where members come from, one for each group.
    std::vector<wake_members> members;
    /// `providers`: the engines. Those that groups name are added; without any group and provider, docker.
    std::vector<wake_provider> providers;
    /// `labels`: whether labels of containers (and of workloads) make groups and ports beside those of the file. Default yes. A label that
    /// names a group of the file makes a member of it either way.
    bool labels = true;
    /// `defaults`: what holds for every group and port that says nothing else.
    wake_defaults defaults;
    /// `statusListenAddress`: the status page, `/metrics` and `/healthz`. Default none.
    std::optional<host_port> status_listen;
    /// `statusButtons`: whether the page can wake and stop groups. Default no.
    bool status_buttons = false;
    /// `statusNames`: names by which the status page may be asked beside IP addresses and localhost. Default none.
    std::vector<std::string> status_names;
    /// `statusTokenFile`: a file with the token that everybody is asked for; `~` is the home folder. Default none: nobody is asked.
    std::string status_token_file;
    /// `drain`: how long open connections may go on after SIGTERM. Default 10s.
    std::chrono::milliseconds drain{10'000};
    /// `log`: as podproxy's.
    log_config log;
};

/** Read the settings from a YAML text.
    @param file  Its name, for the problems.
    @return nothing when a problem of severity `error` was added; all problems are found in one go. */
std::optional<wake_config> parse_wake_config(std::string_view text, std::string const& file, environment const& env, problem_list& problems);

/// Read the settings from a file.
std::optional<wake_config> load_wake_config(std::string const& path, environment const& env, file_source& files, problem_list& problems);

/// What the command line says, in the form of the program `proxytainer` and a little more. None: not given.
struct wake_arguments {
    std::optional<std::string> config_file; ///< `--config`
    std::optional<std::string> port;        ///< `--port`
    std::optional<std::string> host;        ///< `--host`
    std::optional<std::string> group;       ///< `--group`
    std::optional<std::string> idle;        ///< `--idle`
    bool no_health = false;                 ///< `--no-health`
    std::optional<std::string> listen;      ///< `--listen`: an address of this machine
    std::optional<std::string> status;      ///< `--status`: an address for the status page
    std::optional<std::string> log_level;   ///< `--log-level`
};

/** The settings that arguments, a file and the environment make together.

    One of three forms: `--port`, `--host` and `--group`, all three; `--config`; or neither, and then everything comes from labels.
    The level of the log is that of `--log-level`, else of `WAKE_PROXY_LOG`, else of `RUST_LOG`, else of the file.
    @return nothing when a problem of severity `error` was added. */
std::optional<wake_config> make_wake_config(wake_arguments const& args, environment const& env, file_source& files, problem_list& problems);

/** A level as `RUST_LOG` has it: one word, or the first word without `=` of a list such as `hyper=warn,debug`. `trace` is debug, `off` is
    error. @return nothing where there is none. */
std::optional<log_level> simple_log_level(std::string_view text);

} // namespace podproxy::config

#include <podproxy/config/impl/wake_config.ipp>

#endif
