#ifndef PODPROXY_KUBE_IN_CLUSTER_HPP
#define PODPROXY_KUBE_IN_CLUSTER_HPP

#include <podproxy/config/environment.hpp>
#include <podproxy/config/files.hpp>
#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/kube/errc.hpp>
#include <podproxy/kube/kubeconfig.hpp>
#include <charconv>
#include <string>

namespace podproxy::kube {

/// Where the kubelet puts a service account's token, the cluster's CA and the pod's namespace.
inline constexpr char const* service_account_folder = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Whether this process runs in a pod that knows its API server.
inline bool in_cluster(config::environment const& env) noexcept { return !env.kubernetes_host.empty() && !env.kubernetes_port.empty(); }

/** The cluster that this process runs in, as the pod's service account: what `make_cluster_config` takes.

    The token file is named and not read, since the kubelet replaces it every hour.
    @param name What the cluster is called in addresses and texts.
    @return the context; `errc::bad_context` outside of a pod, the file's error where the pod has no service account; `why` says which. */
inline result<cluster_context> in_cluster_context(config::environment const& env, config::file_source& files, diagnostics& why,
                                                  std::string name = "in-cluster", std::string const& folder = service_account_folder)
{
    std::uint16_t port = 0;
    auto const& digits = env.kubernetes_port;
    auto const [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (!in_cluster(env) || bad != std::errc() || end != digits.data() + digits.size() || port == 0) {
        why.message = "this program does not run in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set to an address";
        return errc::bad_context;
    }
    constexpr std::size_t most = 64 * 1024;
    auto const token = files.read(folder + "/token", most);
    if (!token) {
        why.message = "the pod has no service account (automountServiceAccountToken?): " + folder + "/token: " + token.error().message();
        return token.error();
    }
    cluster_context out;
    out.name = std::move(name);
    out.cluster_name = out.name;
    out.file = folder;
    out.cluster.server = "https://" + format_host_port(env.kubernetes_host, port);
    out.cluster.certificate_authority = folder + "/ca.crt";
    out.user.token_file = folder + "/token";
    if (auto const ns = files.read(folder + "/namespace", most); ns && !ns->empty()) out.ns = *ns;
    while (!out.ns.empty() && (out.ns.back() == '\n' || out.ns.back() == ' ')) out.ns.pop_back();
    return out;
}

} // namespace podproxy::kube

#endif
