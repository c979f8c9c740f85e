#ifndef PODPROXY_DOCKER_CLIENT_HPP
#define PODPROXY_DOCKER_CLIENT_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/docker/endpoint.hpp>
#include <podproxy/docker/errc.hpp>
#include <podproxy/docker/objects.hpp>
#include <podproxy/http/client.hpp>
#include <podproxy/json/object_decoder.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/dialer.hpp>
#include <podproxy/tls/context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace podproxy::docker {

struct client_config {
    std::chrono::milliseconds connect_limit{5'000};   ///< For the connection, and TLS where it is spoken.
    std::chrono::milliseconds answer_limit{10'000};   ///< For questions: from the request to the end of the answer.
    std::chrono::milliseconds command_limit{180'000}; ///< For commands: an engine may have to attach networks and volumes first.
    std::chrono::milliseconds stop_limit{660'000};    ///< For a stop without a time-out of ours; with one, it is that and `command_limit`.
    std::size_t keep_idle = 4;                        ///< Connections kept for the next request.
};

/// What `client::update` sets. Zero: not changed.
struct limits {
    std::int64_t nano_cpus = 0;    ///< Billionths of a CPU.
    std::int64_t memory_bytes = 0; ///< Swap becomes unlimited with it, since an engine refuses a limit above an older one of swap.
};

/// The events of an engine, one after the other.
class event_stream {
public:
    event_stream(std::unique_ptr<http::client> connection, std::size_t most_bytes) : connection_(std::move(connection)), decoder_(most_bytes) {}

    /** The next event of a container. What can't be read as an event is passed over.
        @par Cancel A call that is cancelled has lost nothing and may be repeated.
        @return `end_of_stream` or `truncated` when the engine has ended it, `json::errc` for what is no JSON, or the connection's error. */
    net::awaitable<result<event>> next();
    /// The next event if it has arrived already with the one before.
    std::optional<event> next_buffered();

    void close() noexcept { connection_->close(); }

private:
    std::unique_ptr<http::client> connection_;
    json::object_decoder decoder_;
    json::parser parser_{max_event_bytes};
    bytes_view rest_;
};

/** A Docker engine, or whatever speaks its API: Podman, a filter in front of either.

    | call | request, with `/v<API version>` in front |
    |---|---|
    | `connect` | `GET /_ping` |
    | `events` | `GET /events?filters={"type":["container"]}` |
    | `list` | `GET /containers/json?all=1` |
    | `inspect` | `GET /containers/{id}/json` |
    | `start` | `POST /containers/{id}/start` |
    | `stop` | `POST /containers/{id}/stop`, `POST /containers/{id}/stop?t={seconds}` |
    | `pause`, `unpause` | `POST /containers/{id}/pause`, `POST /containers/{id}/unpause` |
    | `update` | `POST /containers/{id}/update` |
    | `last_line` | `GET /containers/{id}/logs?stdout=1&stderr=1&tail=1` |

    Nothing else is asked for. The version is the one that the engine names in its answer to `/_ping` (`Api-Version`), since engines refuse
    versions that have become too old; all that is used here has been there since 1.24. Where `/_ping` is forbidden or names none, requests
    have no version, and the engine takes its own.

    Each request has a connection of its own while it lasts; connections are kept for the next one. A request that finds its kept connection
    closed is sent again on a fresh one: all of these may be sent twice.
    @par Overlap  Any number of calls.
    @par Lifetime Outlives its calls.
    @par Errors   `docker::errc`, with the engine's own sentence in the diagnostics; `cond::timed_out`. */
class client {
public:
    /** @param out How the engine is reached; none: by the socket or address of `where`.
        @return the client, or `errc::bad_certificates`. Nothing is connected to yet. */
    static result<std::unique_ptr<client>> create(net::executor ex, endpoint where, diagnostics& why, client_config config = {},
                                                  std::unique_ptr<net::dialer> out = nullptr);

    /// Ask who is there, again after each outage: requests of later calls use the answer. @return an error when nobody answers.
    net::awaitable<result<void>> connect(diagnostics& why);

    /// Follow the events of all containers, from now on.
    net::awaitable<result<std::unique_ptr<event_stream>>> events(diagnostics& why);
    /// All containers, also those that do not run.
    net::awaitable<result<std::vector<container>>> list(diagnostics& why);
    /// @param id An id or a name.
    net::awaitable<result<container>> inspect(std::string id, diagnostics& why);

    /// Success also when it runs already.
    net::awaitable<result<void>> start(std::string id, diagnostics& why);
    /// Success also when it does not run. Complete when it has ended. @param timeout When it is killed; none: its own.
    net::awaitable<result<void>> stop(std::string id, std::optional<std::chrono::seconds> timeout, diagnostics& why);
    /// Success also when it is paused already.
    net::awaitable<result<void>> pause(std::string id, diagnostics& why);
    /// Success also when it is not paused.
    net::awaitable<result<void>> unpause(std::string id, diagnostics& why);
    /// @return also `podproxy::errc::unavailable` for an engine that has no such request.
    net::awaitable<result<void>> update(std::string id, limits l, diagnostics& why);

    /// The last line that a container has written, cleaned of control characters; empty where there is none or it may not be read. Never fails.
    net::awaitable<std::string> last_line(std::string id);

    endpoint const& where() const noexcept { return where_; }
    /// `docker` or `podman`; known after `connect`.
    std::string_view engine() const noexcept { return engine_; }
    /// `1.41`; empty while it is not known.
    std::string const& api_version() const noexcept { return version_; }

private:
    using connection = std::unique_ptr<http::client>;

    /// A request. With a constructor, see `host_port`.
    struct call {
        call(std::string m, std::string p) : method(std::move(m)), path(std::move(p)) {}
        std::string method;
        std::string path;
        std::string body;                   ///< JSON.
        std::size_t most_bytes = 64 * 1024; ///< Of the answer.
    };
    /// What came of it, and the connection: with content left to be read, unless it is an error.
    struct answered {
        connection from;
        http::response_head head;
    };

    client(net::executor ex, endpoint where, client_config config) : executor_(ex), where_(std::move(where)), config_(config) {}

    net::awaitable<result<connection>> open(diagnostics& why);
    net::awaitable<result<connection>> open_without_limit(diagnostics& why);
    net::awaitable<result<answered>> send(call c, diagnostics& why);
    net::awaitable<result<std::string>> ask_without_limit(call c, diagnostics& why);
    net::awaitable<result<std::string>> ask(call c, std::chrono::milliseconds limit, diagnostics& why);
    net::awaitable<result<void>> command(call c, std::chrono::milliseconds limit, diagnostics& why);
    net::awaitable<result<void>> ping(diagnostics& why);
    net::awaitable<bool> is(std::string id, container_status wanted, std::error_code refused);
    net::awaitable<std::error_code> refusal(answered& a, diagnostics& why);
    std::string path_of(std::string const& id, std::string_view rest) const;
    connection take_idle();
    void keep(connection c);

    net::executor executor_;
    endpoint where_;
    client_config config_;
    std::unique_ptr<net::dialer> out_;
    std::optional<tls::client_context> tls_;
    std::list<connection> idle_;
    std::string engine_ = "docker";
    std::string version_;
};

} // namespace podproxy::docker

#include <podproxy/docker/impl/client.ipp>

#endif
