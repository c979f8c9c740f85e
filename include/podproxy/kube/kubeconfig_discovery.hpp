#ifndef PODPROXY_KUBE_KUBECONFIG_DISCOVERY_HPP
#define PODPROXY_KUBE_KUBECONFIG_DISCOVERY_HPP

#include <podproxy/config/environment.hpp>
#include <podproxy/config/files.hpp>
#include <podproxy/config/problem.hpp>
#include <podproxy/kube/kubeconfig.hpp>
#include <filesystem>
#include <string>
#include <vector>

namespace podproxy::kube {

/// Where to look for kubeconfigs.
struct kubeconfig_sources {
    bool skip_default = false;         ///< Do not read `~/.kube/config`.
    bool skip_env = false;             ///< Do not read what `KUBECONFIG` lists.
    std::vector<std::string> patterns{}; ///< Further files or globs; `~` is the home folder.
};

/// What was found.
struct kubeconfig_set {
    std::vector<cluster_context> contexts; ///< Each name once, in the order of discovery.
    std::string current_context;           ///< Of the first file that names one; it may not be among `contexts`.
    std::vector<std::string> files;        ///< Every file that was read, also those without a usable context.
    config::problem_list problems;         ///< `error` only where a file that was named does not exist.
};

/// Where kubeconfigs may change, come or go: for `net::file_watcher`.
struct kubeconfig_places {
    std::vector<std::filesystem::path> files;   ///< Kubeconfigs, and the certificates and keys that their contexts name.
    std::vector<std::filesystem::path> folders; ///< Of globs.
};

/// What has to be watched to know when `discover_kubeconfigs` would find something else. @param found What it has found last.
kubeconfig_places places_to_watch(kubeconfig_sources const& sources, config::environment const& env, kubeconfig_set const& found);

/** Find and read kubeconfigs in three phases: `~/.kube/config`; the files of `KUBECONFIG`, merged as kubectl does; then `patterns`
    in their order, the files of a glob by name, each file for itself (files of many clusters use the same names inside).

    The first phase, and in it the first file, that has a context wins; later ones of that name are passed over with a note. A file is
    read once. A context that leads nowhere, and a file that can't be read or understood, are warnings, and everything else works. */
kubeconfig_set discover_kubeconfigs(kubeconfig_sources const& sources, config::environment const& env, config::file_source& files);

} // namespace podproxy::kube

#include <podproxy/kube/impl/kubeconfig_discovery.ipp>

#endif
