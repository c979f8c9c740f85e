#ifndef PODPROXY_KUBE_API_CLIENT_HPP
#define PODPROXY_KUBE_API_CLIENT_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/core/secret.hpp>
#include <podproxy/http/client.hpp>
#include <podproxy/http/message.hpp>
#include <podproxy/kube/errc.hpp>
#include <podproxy/kube/exec_plugin_client.hpp>
#include <podproxy/kube/objects.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/dialer.hpp>
#include <podproxy/tls/context.hpp>
#include <podproxy/upstream/dialer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace podproxy::kube {

/// Who we are for the API server, beyond a client certificate (which belongs to TLS).
struct api_credentials {
    secret token;                     ///< Bearer token.
    std::filesystem::path token_file; ///< Read again every minute, and after a 401. Wins over `token`.
    std::string username;             ///< Basic authentication, with `password`.
    secret password;
    std::string impersonate_user;
    std::string impersonate_uid;
    std::vector<std::string> impersonate_groups;
    std::map<std::string, std::vector<std::string>> impersonate_extra;
};

struct api_config {
    std::string name;      ///< The cluster's name, for texts.
    host_port server;      ///< Where the API server listens.
    bool tls = true;       ///< False only for an `http://` server.
    std::string base_path; ///< What stands behind host and port in the server's URL, without a slash at the end.
    podproxy::tls::client_config tls_settings;
    api_credentials credentials;
    std::optional<upstream::proxy_url> proxy; ///< Reach the server through it. An https proxy is checked with the server's roots, as kubectl does.
    std::optional<exec_plugin_config> plugin; ///< A program that gives token or client certificate; what it gives counts over the rest.
    std::chrono::milliseconds connect_limit{10'000}; ///< For TCP and TLS together.
    std::chrono::milliseconds answer_limit{10'000};  ///< From a request to the end of its answer.
    std::size_t keep_idle = 4;                       ///< Connections kept for the next request.
};

/** The API server of one cluster: plain requests over kept connections, watches and upgrades over their own.

    Errors of the server become `unauthorized`, `forbidden`, `not_found`, `conflict`, `resource_expired` or `api_error`, with the sentence of
    its Status in the diagnostics.
    @par Lifetime Outlives its requests. */
class api_client {
public:
    /** @param out How the API server is reached.
        @return the client, or what is wrong with certificates and keys. */
    static result<std::unique_ptr<api_client>> create(net::executor ex, net::dialer& out, api_config config, diagnostics& why);

    api_config const& config() const noexcept { return config_; }

    /** GET a resource. @param path Below the server's base path, with its query.
        @return the body of a 200 answer. @par Cancel terminal; nothing is left open. */
    net::awaitable<result<std::string>> get(std::string path, diagnostics& why);

    /// Whether a request may be sent again when a connection was closed and nobody knows whether it was seen.
    enum class repetition { harmful, harmless };

    /** Create, change or delete: POST, PUT, PATCH, DELETE.
        @param content_type Of the body: `application/json`, `application/merge-patch+json`; empty without a body.
        @param again        `harmless` for what the server refuses the second time, such as a patch with a resourceVersion.
        @return the body of a 200, 201 or 202; errors as for `get`, and `errc::conflict` for a 409.
        @par Cancel terminal; it may have been done or not. */
    net::awaitable<result<std::string>> send(std::string method, std::string path, std::string content_type, std::string body, repetition again,
                                             diagnostics& why);

    /// Begin a watch. @return the connection, to be read with `read_line`; it is not used for anything else.
    net::awaitable<result<std::unique_ptr<http::client>>> watch(std::string path, diagnostics& why);

    /// The head of a 101, and the connection behind it.
    using switched = std::pair<http::response_head, http::upgraded_stream>;

    /** Ask for another protocol on a connection of its own.
        @param fields What asks for it: Upgrade, Connection and what belongs to the protocol.
        @return the response head of the 101 and the stream; any other answer is an error as for `get`, and
                `errc::not_upgraded` for an answer that is neither. */
    net::awaitable<result<switched>> upgrade(std::string method, std::string path, http::fields fields, diagnostics& why);

private:
    api_client(net::executor ex, net::dialer& out, api_config config) : executor_(ex), out_(out), config_(std::move(config)) {}

    net::awaitable<result<std::unique_ptr<http::client>>> connect(diagnostics& why);
    net::awaitable<result<std::unique_ptr<http::client>>> connect_without_limit(diagnostics& why);
    net::awaitable<result<std::string>> exchange(http::request_head request, std::string body, repetition again, diagnostics& why);
    net::awaitable<result<std::string>> exchange_once(http::request_head request, std::string body, repetition again, diagnostics& why);
    net::awaitable<result<std::unique_ptr<http::client>>> watch_once(std::string path, diagnostics& why);
    net::awaitable<result<switched>> upgrade_once(std::string method, std::string path, http::fields fields, diagnostics& why);
    /// Make sure that the plugin's credentials hold now.
    net::awaitable<result<void>> renew_credentials(diagnostics& why);
    result<void> use_certificate(std::string certificate, secret key, diagnostics& why);
    bool may_know_better(std::error_code ec) const
    {
        return ec == errc::unauthorized && (plugin_ || !config_.credentials.token_file.empty());
    }
    net::awaitable<std::error_code> refusal(http::client& c, http::response_head const& head, diagnostics& why);
    std::unique_ptr<http::client> take_idle();
    void keep(std::unique_ptr<http::client> c);
    void add_credentials(http::fields& f);

    net::executor executor_;
    net::dialer& out_;
    api_config config_;
    std::unique_ptr<upstream::dialer> proxy_; ///< in front of `out_`
    std::optional<tls::client_context> tls_;
    std::list<std::unique_ptr<http::client>> idle_;
    secret file_token_;
    net::clock::time_point file_token_read_{};
    std::optional<exec_plugin_client> plugin_;
    std::uint64_t plugin_age_ = 0; ///< of the credential that is in use
    secret plugin_token_;
    std::string plugin_certificate_;
};

} // namespace podproxy::kube

#include <podproxy/kube/impl/api_client.ipp>

#endif
