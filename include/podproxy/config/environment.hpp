#ifndef PODPROXY_CONFIG_ENVIRONMENT_HPP
#define PODPROXY_CONFIG_ENVIRONMENT_HPP

#include <array>
#include <cstdlib>
#include <optional>
#include <string>

#include <pwd.h>
#include <unistd.h>

namespace podproxy::config {

/// What the process was started with, as a value, so that tests have their own.
struct environment {
    std::string home;                      ///< The user's folder, without a slash at the end; empty when nobody knows it.
    std::optional<std::string> kubeconfig; ///< `KUBECONFIG`: paths with colons between them. None: not set.
    std::optional<std::string> wake_proxy_log{}; ///< `WAKE_PROXY_LOG`: the level of wake-proxy's log.
    std::optional<std::string> rust_log{};       ///< `RUST_LOG`: the same, as compose files of proxytainer have it.
    std::optional<std::string> container_host{}; ///< `CONTAINER_HOST`: where Podman is.
    std::string kubernetes_host{};          ///< `KUBERNETES_SERVICE_HOST`, which every pod has; empty elsewhere.
    std::string kubernetes_port{};          ///< `KUBERNETES_SERVICE_PORT`
};

/// The environment of this process. `HOME` counts; without it, the user's entry in the password database. Not for use beside `setenv`.
inline environment process_environment()
{
    environment out;
    if (char const* const home = std::getenv("HOME"); home && *home) {
        out.home = home;
    } else {
        ::passwd entry{};
        ::passwd* found = nullptr;
        std::array<char, 4096> text{};
        if (::getpwuid_r(::getuid(), &entry, text.data(), text.size(), &found) == 0 && found && found->pw_dir) out.home = found->pw_dir;
    }
    while (out.home.size() > 1 && out.home.ends_with('/')) out.home.pop_back();
    if (char const* const kubeconfig = std::getenv("KUBECONFIG")) out.kubeconfig = kubeconfig;
    if (char const* const level = std::getenv("WAKE_PROXY_LOG")) out.wake_proxy_log = level;
    if (char const* const level = std::getenv("RUST_LOG")) out.rust_log = level;
    if (char const* const podman = std::getenv("CONTAINER_HOST")) out.container_host = podman;
    if (char const* const host = std::getenv("KUBERNETES_SERVICE_HOST")) out.kubernetes_host = host;
    if (char const* const port = std::getenv("KUBERNETES_SERVICE_PORT")) out.kubernetes_port = port;
    return out;
}

} // namespace podproxy::config

#endif
