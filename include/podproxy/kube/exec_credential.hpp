#ifndef PODPROXY_KUBE_EXEC_CREDENTIAL_HPP
#define PODPROXY_KUBE_EXEC_CREDENTIAL_HPP

#include <podproxy/core/clock.hpp>
#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/core/secret.hpp>
#include <podproxy/kube/errc.hpp>
#include <podproxy/kube/kubeconfig.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace podproxy::kube {

/// What an exec plugin has printed: a token, a client certificate with its key, or both.
struct exec_credential {
    secret token;
    std::string certificate; ///< PEM, with its chain.
    secret key;              ///< PEM.
    std::optional<wall_time> expires; ///< None: it holds until the API server refuses it.
};

/** The text of the variable `KUBERNETES_EXEC_INFO` for a plugin.
    @param cluster     Where `provideClusterInfo` asks for it, the plugin is told how the API server is reached.
    @param roots       PEM of the cluster's certificate authority, from its file or data.
    @param interactive Whether the plugin may use our standard input.
    @par Source client.authentication.k8s.io/v1 and v1beta1, ExecCredential */
std::string exec_info(exec_settings const& plugin, cluster_settings const& cluster, std::string_view roots, bool interactive);

/** Read what a plugin has printed.
    @return the credential; or `errc::bad_credential` with `why` saying what is wrong with it, never quoting it. */
result<exec_credential> parse_exec_credential(std::string_view text, std::string_view api_version, diagnostics& why);

} // namespace podproxy::kube

#include <podproxy/kube/impl/exec_credential.ipp>

#endif
