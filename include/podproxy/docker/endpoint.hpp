#ifndef PODPROXY_DOCKER_ENDPOINT_HPP
#define PODPROXY_DOCKER_ENDPOINT_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/docker/errc.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::docker {

/// The variables that say where the engine is, as values, so that tests have their own. None: not set.
struct environment {
    std::optional<std::string> docker_host; ///< `DOCKER_HOST`
    std::optional<std::string> tls_verify;  ///< `DOCKER_TLS_VERIFY`: any text but an empty one means yes.
    std::optional<std::string> tls;         ///< `DOCKER_TLS`: TLS without a check of the server's certificate.
    std::optional<std::string> cert_path;   ///< `DOCKER_CERT_PATH`: the folder of `ca.pem`, `cert.pem` and `key.pem`.
    std::optional<std::string> runtime_dir; ///< `XDG_RUNTIME_DIR`
    std::string home;                       ///< Certificates are in `~/.docker` where `DOCKER_CERT_PATH` is not set.
};

/// Those of this process. Not for use beside `setenv`.
environment process_environment();

enum class endpoint_tls {
    off,
    verified,   ///< The server's certificate must be good and ours is shown.
    unverified, ///< Encrypted, but anybody may be the other side. Our certificate is shown where there is one.
};

/// Where an engine is reached.
struct endpoint {
    /// UNIX sockets: the first that is there is used. Empty for TCP. `@name` is in the abstract namespace.
    std::vector<std::string> sockets;
    host_port server; ///< For TCP.
    endpoint_tls tls = endpoint_tls::off;
    std::string cert_path; ///< Folder of `ca.pem`, `cert.pem` and `key.pem`; for TLS.
    std::string base_path; ///< What stands in front of every request's path: behind a gateway. Without a slash at the end.

    bool is_unix() const noexcept { return !sockets.empty(); }
    friend bool operator==(endpoint const&, endpoint const&) = default;
};

/// For texts: `unix:///var/run/docker.sock`, `tcp://host:2376`.
std::string to_string(endpoint const& e);

/** Where the engine is, as Docker's own programs understand it.

    | DOCKER_HOST | meaning |
    |---|---|
    | not set, empty | `/var/run/docker.sock`; where that is missing `$XDG_RUNTIME_DIR/docker.sock`, `/run/podman/podman.sock`, `$XDG_RUNTIME_DIR/podman/podman.sock` |
    | `unix:///path`, `/path` | a UNIX socket |
    | `tcp://host:port/base` | TCP, port 2375; with DOCKER_TLS_VERIFY or DOCKER_TLS the port is 2376 and TLS is spoken |
    | `http://`, `https://` | the same, without and with TLS |
    | `ssh://`, `npipe://`, `fd://` | refused; `why` says what to do |

    @return `errc::bad_endpoint` or `errc::unsupported_endpoint`. Files are not looked at. */
result<endpoint> find_endpoint(environment const& env, diagnostics& why);

/// The same for an address that is given by an argument or a file; the environment tells about certificates only.
result<endpoint> parse_endpoint(std::string_view address, environment const& env, diagnostics& why);

} // namespace podproxy::docker

#include <podproxy/docker/impl/endpoint.ipp>

#endif
