#ifndef PODPROXY_KUBE_CLUSTER_SETTINGS_HPP
#define PODPROXY_KUBE_CLUSTER_SETTINGS_HPP

#include <podproxy/config/files.hpp>
#include <podproxy/core/ascii.hpp>
#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/kube/errc.hpp>
#include <podproxy/kube/kubeconfig.hpp>
#include <string>
#include <string_view>

namespace podproxy::kube {

/// A `server:` of a kubeconfig, taken apart.
struct server_url {
    bool tls = true;
    host_port address;
    std::string path; ///< Without a slash at the end.
};

/** Parse the URL of an API server. A text without a scheme is taken as `https://`. The default port is the scheme's.
    @return the parts, or `errc::bad_context` for another scheme, user information, a query, a bad host, or blanks and other characters that
            need encoding in the path. */
result<server_url> parse_server_url(std::string_view text);

/// PEM text of certificates and keys that a context names, read from its files where it has no data.
struct context_material {
    std::string roots;
    std::string certificate;
    secret key;
};

/** Read what a context names.
    @return the texts, or the file's error with `why` naming the file. */
result<context_material> read_context_material(cluster_context const& context, config::file_source& files, diagnostics& why);

} // namespace podproxy::kube

#include <podproxy/kube/impl/cluster_settings.ipp>

#endif
