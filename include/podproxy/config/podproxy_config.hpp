#ifndef PODPROXY_CONFIG_PODPROXY_CONFIG_HPP
#define PODPROXY_CONFIG_PODPROXY_CONFIG_HPP

#include <podproxy/config/environment.hpp>
#include <podproxy/config/files.hpp>
#include <podproxy/config/log_setup.hpp>
#include <podproxy/config/problem.hpp>
#include <podproxy/core/cidr.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/route/rules.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::config {

/// `carrier`: what carries port-forward connections to the API server.
enum class carrier_choice : std::uint8_t { automatic, websocket, spdy };

/// `sessions`: whether connections into a pod share port-forward sessions.
enum class session_choice : std::uint8_t { automatic, exclusive, shared };

/// The settings of the tool podproxy. The comment of each member begins with its key in the file.
struct podproxy_config {
    /// `listenAddress`: SOCKS5, HTTP and the PAC file on one port. Default 127.0.0.1:9080; an empty text means none. The host may be
    /// empty (every address of this machine), the port 0 (any free one): so for all three.
    std::optional<host_port> listen = host_port("127.0.0.1", 9080);
    /// `httpListenAddress`: one more port, for HTTP. Default none.
    std::optional<host_port> http_listen;
    /// `pacListenAddress`: one more port, for the PAC file. Default none.
    std::optional<host_port> pac_listen;
    /// `users`: the file with those who may use the proxy and the hashes of their passwords; `~` is the home folder. Default none: everybody may.
    std::string users;
    /// `allow`: addresses and blocks of addresses that clients may come from, beside loopback. Default none: they may come from everywhere.
    std::vector<cidr> allow;
    /// `skipDefaultKubeconfig`: do not read `~/.kube/config`. Default no.
    bool skip_default_kubeconfig = false;
    /// `skipKubeconfigEnv`: do not read the files in `KUBECONFIG`. Default no.
    bool skip_kubeconfig_env = false;
    /// `kubeconfigs`: further files or globs; `~` is the home folder. A list in the file replaces the default.
    std::vector<std::string> kubeconfigs{"~/.kube/configs/*.yml", "~/.kube/configs/*.yaml", "~/.kube/conf/*.yml", "~/.kube/conf/*.yaml"};
    /// `aliases`: a map from a name to the context that it shall stand for in addresses.
    std::map<std::string, std::string> aliases;
    /// `defaultCluster`: the context of names that end in `.svc.cluster.local` or `.svc` and in no known cluster. Default none: they
    /// pass straight through.
    std::string default_cluster;
    /// `rules`: where destinations go, a list of maps with `to` and `via`; the first that fits counts. Default none.
    std::vector<route::rule> rules;
    /// `connectGrace`: how long a connection into a pod waits for an error of the cluster before it is reported as open, since
    /// Kubernetes never says that it is. Default 50ms; 0 does not wait. At most 10s.
    std::chrono::milliseconds connect_grace{50};
    /// `carrier`: `auto` (default: WebSocket, and SPDY where that is not possible), `websocket` or `spdy`.
    carrier_choice carrier = carrier_choice::automatic;
    /// `sessions`: `auto` (default: a session of its own for each connection where one is ready, else shared), `exclusive` or
    /// `shared` (up to five connections on a session).
    session_choice sessions = session_choice::automatic;
    /// `keepAlive`: how often a silent session into a cluster is asked whether it is there, so that nothing on the way forgets it. Default
    /// 30s; 0 is never, else from 1s to 1h.
    std::chrono::milliseconds keep_alive{30'000};
    /// `log.level`, `log.format` (or `log.formatter`), `log.file` (`~` is the home folder), `log.colors`, `log.timestamp`.
    log_config log;
};

/** Read the settings from a YAML text. Keys that are not there keep their defaults.
    @param file  Its name, for the problems.
    @return nothing when a problem of severity `error` was added; all problems are found in one go. */
std::optional<podproxy_config> parse_podproxy_config(std::string_view text, std::string const& file, environment const& env, problem_list& problems);

/// Did the user name the file, or is it looked for where it usually is?
enum class config_path { given, standard };

/** Read the settings from a file.
    @param how  A file that was given must be there; without the standard file the defaults hold.
    @return as `parse_podproxy_config`. */
std::optional<podproxy_config> load_podproxy_config(std::string const& path, config_path how, environment const& env, file_source& files,
                                                    problem_list& problems);

} // namespace podproxy::config

#include <podproxy/config/impl/podproxy_config.ipp>

#endif
