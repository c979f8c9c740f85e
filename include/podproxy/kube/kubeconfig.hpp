#ifndef PODPROXY_KUBE_KUBECONFIG_HPP
#define PODPROXY_KUBE_KUBECONFIG_HPP

#include <podproxy/config/problem.hpp>
#include <podproxy/config/yaml.hpp>
#include <podproxy/core/secret.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::kube {

/// How to reach an API server. Paths are absolute when the kubeconfig's own path was.
struct cluster_settings {
    std::string server;                     ///< `https://host:6443/prefix`. Never empty in a `cluster_context`.
    std::string certificate_authority;      ///< A file of PEM. Where the data is there too, the data counts.
    std::string certificate_authority_data; ///< PEM, decoded from base64.
    bool insecure_skip_tls_verify = false;
    std::string tls_server_name;            ///< Name for SNI and for the certificate, instead of the server's host.
    secret proxy_url;                       ///< `http://`, `https://` or `socks5://`; it may hold a password.
    bool disable_compression = false;
    std::optional<config::yaml_node> exec_config; ///< The extension `client.authentication.k8s.io/exec`, for exec plugins.
};

/// May an exec plugin ask the user?
enum class interactive_mode : std::uint8_t { if_available, never, always };

/// A variable added to the environment of an exec plugin.
struct exec_variable {
    std::string name;
    secret value;
};

/// A program that prints credentials. @par Source client.authentication.k8s.io/v1 and v1beta1
struct exec_settings {
    std::string api_version; ///< One of the two above.
    std::string command;     ///< A name to look for in `PATH`, or a path (already resolved against the kubeconfig's folder).
    std::vector<std::string> args;
    std::vector<exec_variable> env;
    std::string install_hint; ///< What to tell a user whose machine does not have the program. Not to be trusted.
    bool provide_cluster_info = false;
    interactive_mode interactive = interactive_mode::if_available;
};

/// Act as somebody else (`--as` of kubectl).
struct impersonation {
    std::string user;
    std::string uid;
    std::vector<std::string> groups;
    std::map<std::string, std::vector<std::string>> extra;

    bool empty() const noexcept { return user.empty() && uid.empty() && groups.empty() && extra.empty(); }
};

/** Who we are to the API server. Several ways may be there at once.

    A data field counts over the file field beside it, and what a token file holds counts over `token`. */
struct user_settings {
    std::string client_certificate;      ///< A file of PEM.
    std::string client_certificate_data; ///< PEM, decoded from base64.
    std::string client_key;              ///< A file of PEM.
    secret client_key_data;              ///< PEM, decoded from base64.
    secret token;
    std::string token_file; ///< Is to be read again from time to time.
    std::string username;
    secret password;
    std::optional<exec_settings> exec;
    std::string auth_provider; ///< The name of a legacy plugin. Not supported; never set in a `cluster_context`.
    impersonation as;
};

/// A context of a kubeconfig as it is written there: names that may lead nowhere.
struct context_settings {
    std::string cluster;
    std::string user; ///< Empty: anonymous.
    std::string ns;   ///< Empty: `default`.
};

/// A named part of a kubeconfig and where it was written.
template <class Settings>
struct kubeconfig_entry {
    Settings settings;
    std::string file;
    config::position where;
    std::string unusable; ///< Why it can't be used, to follow "cluster 'x' "; empty when it can.
};

/// One kubeconfig file, or several merged.
struct kubeconfig {
    std::map<std::string, kubeconfig_entry<cluster_settings>> clusters;
    std::map<std::string, kubeconfig_entry<user_settings>> users;
    std::map<std::string, kubeconfig_entry<context_settings>> contexts;
    std::vector<std::string> context_order; ///< Names of `contexts` as they were written.
    std::string current_context;
};

/** Read one kubeconfig (YAML or JSON).

    Unknown keys are passed over, as kubectl does. What is wrong inside one cluster, user or context makes that one unusable and
    nothing else.
    @param path  Of the file, absolute: relative paths in it are resolved against its folder.
    @return the parts, or nothing when the file is no kubeconfig at all and `problems` says why. */
std::optional<kubeconfig> parse_kubeconfig(std::string_view text, std::string const& path, config::problem_list& problems);

/// Add `other` behind `into` as kubectl merges the files of `KUBECONFIG`: for each name, and for the current context, what is
/// there first stays.
void merge_kubeconfig(kubeconfig& into, kubeconfig other);

/// A context whose cluster and user were found: everything that is needed to talk to its API server.
struct cluster_context {
    std::string name; ///< Of the context. Any text but an empty one.
    cluster_settings cluster;
    user_settings user;
    std::string ns = "default";
    std::string cluster_name;
    std::string user_name;
    std::string file; ///< Where the context is written.
};

/** Put a context of `from` together.
    @return nothing when it leads nowhere; the reason, with its place, is then added to `problems` as a warning. */
std::optional<cluster_context> resolve_context(kubeconfig const& from, std::string const& name, config::problem_list& problems);

} // namespace podproxy::kube

#include <podproxy/kube/impl/kubeconfig.ipp>

#endif
