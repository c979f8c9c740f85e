#ifndef PODPROXY_TLS_CONTEXT_HPP
#define PODPROXY_TLS_CONTEXT_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/tls/detail/handles.hpp>
#include <podproxy/tls/detail/session_cache.hpp>
#include <podproxy/tls/errc.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace podproxy::tls {

/// Whether the server's certificate and name are checked.
enum class verification {
    full,          ///< The chain must lead to a trusted root and the name must match.
    insecure_skip, ///< Nothing is checked: anybody on the way can read and alter everything.
};

struct client_config {
    /// Trusted roots as PEM text. When this and `roots_file` are empty, the system's roots are trusted.
    std::string roots_pem;
    /// Trusted roots in a PEM file, in addition to `roots_pem`. Empty: none.
    std::filesystem::path roots_file;
    /// Our certificate as PEM text, followed by its intermediates. Empty: we have none.
    std::string certificate_pem;
    /// The certificate's private key as PEM text. The context's copy is wiped after use.
    std::string key_pem;
    verification verify = verification::full;
    /// Name (or IP address) that the server's certificate must have and that is sent as SNI, in place of the host that is
    /// connected to. Empty: that host.
    std::string server_name;
    /// Application protocols to offer, the best first (`http/1.1`). Empty: ALPN is not used.
    std::vector<std::string> alpn;
    /// Sessions kept per server, so that later handshakes are cheap. Zero: no resumption.
    std::size_t kept_sessions = 16;
};

/// What a server does about client certificates when it has roots to check them.
enum class client_certificates {
    required, ///< A client without a certificate is refused.
    optional, ///< A client may come without; one that has a certificate must have a good one.
};

struct server_config {
    /// The server's certificate as PEM text, followed by its intermediates. Required.
    std::string certificate_pem;
    /// The certificate's private key as PEM text. Required. The context's copy is wiped after use.
    std::string key_pem;
    /// Roots that client certificates must lead to, as PEM text. Empty: no client certificate is asked for.
    std::string client_roots_pem;
    client_certificates clients = client_certificates::required;
    /// Application protocols that we speak, the best first; a client that offers only others is refused. Empty: ALPN is ignored.
    std::vector<std::string> alpn;
};

namespace detail {

struct client_state {
    explicit client_state(std::size_t kept_sessions) : sessions(kept_sessions) {}
    ssl_ctx_ptr ctx;
    std::string server_name;
    std::vector<std::string> alpn;
    verification verify = verification::full;
    bool system_roots = false;
    session_cache sessions;
};

struct server_state {
    ssl_ctx_ptr ctx;
    std::vector<std::uint8_t> alpn; ///< in wire form
};

} // namespace detail

/** Settings of all TLS connections to one server or cluster, checked once and shared by the connections.

    Speaks TLS 1.2 and 1.3. Copies share the state, which includes the sessions kept for resumption: connections with the same
    trust and the same client certificate use the same context, others must not. */
class client_context {
public:
    /** Check the settings and load what they name.

        @param why Text for a person when it fails.
        @return the context, or: `errc::bad_certificate`, `bad_key`, `encrypted_key`, `key_mismatch`, `bad_settings`, or the
                system's error for `roots_file`. */
    static result<client_context> create(client_config config, diagnostics& why);

    /// Sessions at hand for resuming with `server_name`.
    std::size_t kept_sessions(std::string_view server_name) const noexcept { return state_->sessions.size(server_name); }

    std::shared_ptr<detail::client_state> const& state() const noexcept { return state_; }

private:
    explicit client_context(std::shared_ptr<detail::client_state> state) noexcept : state_(std::move(state)) {}
    std::shared_ptr<detail::client_state> state_;
};

/// Settings of all TLS connections that a server accepts. Speaks TLS 1.2 and 1.3. Copies share the state.
class server_context {
public:
    /// Check the settings. @return as `client_context::create`.
    static result<server_context> create(server_config config, diagnostics& why);

    std::shared_ptr<detail::server_state> const& state() const noexcept { return state_; }

private:
    explicit server_context(std::shared_ptr<detail::server_state> state) noexcept : state_(std::move(state)) {}
    std::shared_ptr<detail::server_state> state_;
};

} // namespace podproxy::tls

#include <podproxy/tls/impl/context.ipp>

#endif
