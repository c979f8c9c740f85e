#ifndef PODPROXY_HTTP_PROXY_SERVER_HPP
#define PODPROXY_HTTP_PROXY_SERVER_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/flat_buffer.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/http/client.hpp>
#include <podproxy/http/forward.hpp>
#include <podproxy/http/gateway_error.hpp>
#include <podproxy/http/server.hpp>
#include <podproxy/net/dialer.hpp>
#include <podproxy/net/stream.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace podproxy::http {

/// What happened to one forwarded request, for the log and for counters.
struct exchange_record {
    std::string method;
    host_port destination;
    unsigned status = 0;              ///< Of the answer to the client; 0 when there was none.
    std::uint64_t request_bytes = 0;  ///< Content only.
    std::uint64_t response_bytes = 0; ///< Content only.
    bool reused = false;              ///< Over a connection that was kept from an earlier request.
    std::error_code error;            ///< What went wrong, if something did.
    diagnostics why;                  ///< What the dialer said about it; may be empty.
};

struct proxy_config {
    /// Limits and times towards the client. `transfer_idle` is also the longest wait for its content. Its `send_continue` is ignored.
    server_config server = [] {
        server_config c;
        c.transfer_idle = std::chrono::minutes(5);
        return c;
    }();
    /// Limits towards destinations. `idle` is the longest silence of a destination before or inside of an answer; a stream of
    /// events may rest that long. Zero: no limit.
    client_config upstream = [] {
        client_config c;
        c.idle = std::chrono::hours(1);
        return c;
    }();
    /// How long connecting to a destination may take. Zero: the dialer's own limits.
    net::clock::duration dial_timeout = std::chrono::seconds(30);
    /// A client that has ended its sending direction still gets an answer, but waits at most this long for it. Zero: no limit.
    net::clock::duration half_closed_timeout = std::chrono::minutes(1);
    /// Our name in Via and Proxy-Status: a token.
    std::string pseudonym = std::string(default_pseudonym);
    /// Answers requests that are for us (`GET /proxy.pac`), or nothing: then the client learns that this is a proxy. May be empty.
    std::function<std::optional<local_answer>(request_head const&)> local;
    /// Gets the value of Proxy-Authorization (empty where there is none) and says whether the request may pass; otherwise the
    /// answer is 407. Not asked about requests that are for us. May be empty: everybody may.
    std::function<bool(std::string_view)> authorize;
    /// Called after every forwarded request. May be empty.
    std::function<void(exchange_record const&)> on_exchange;
};

/// Why `proxy_server::run` returned.
enum class proxy_event {
    closed,   ///< The conversation is over; the stream is closed.
    connect,  ///< The client asks for a tunnel to `destination` and waits: `accept_connect` or `refuse_connect`.
    upgraded, ///< Client and destination have switched protocols: relay between the client's stream and `upstream`.
};

struct proxy_outcome {
    proxy_event event = proxy_event::closed;
    host_port destination;
    net::any_stream upstream;                        ///< Only for `upgraded`.
    flat_buffer upstream_early = flat_buffer(64 * 1024); ///< Only for `upgraded`: what the destination has already sent.
};

/** The HTTP proxy for one client connection: CONNECT, and forwarding of `http://` requests.

        http::proxy_server proxy(*client, early, dialer, std::move(config));
        auto outcome = co_await proxy.run();
        if (outcome.event == http::proxy_event::connect) {
            ... dial ...
            co_await proxy.accept_connect();       // or refuse_connect(ec, why)
            relay(client, early, upstream);        // `early` holds what the client has sent already
        }

    Nothing is buffered whole: content streams both ways at once, and what a destination sends goes out as soon as it has
    arrived. The connection to the last destination is kept as long as the client's. A request is sent a second time, over a new
    connection, only if the kept one died before a byte of the answer, the method is idempotent and no content was sent.

    @par Lifetime  `client`, `early` and `dialer` are borrowed and outlive this object. `early` holds bytes that have been read
                   already, and after `run` those that have been read too far.
    @par Cancel    terminal; the connections can only be closed afterwards. */
class proxy_server {
public:
    proxy_server(net::stream& client, flat_buffer& early, net::dialer& dialer, proxy_config config = {})
        : config_(prepare(std::move(config))), dialer_(dialer), client_(client, early, config_.server), stall_(client.get_executor())
    {
    }
    proxy_server(proxy_server const&) = delete;
    proxy_server& operator=(proxy_server const&) = delete;

    /// Serve requests until the connection ends or becomes something else than HTTP.
    net::awaitable<proxy_outcome> run();

    /// Tell the client that its tunnel is there. What follows on the stream is the tunnel.
    net::awaitable<result<void>> accept_connect();
    /// Tell the client why there is no tunnel, and close.
    net::awaitable<void> refuse_connect(std::error_code ec, host_port destination, diagnostics why);

private:
    struct exchange;
    enum class pump_end { client_gone, bad_content };

    static proxy_config prepare(proxy_config c)
    {
        c.server.send_continue = false;
        c.upstream.host.clear();
        return c;
    }
    net::awaitable<bool> serve_locally(request_head head);
    net::awaitable<std::optional<proxy_outcome>> forward(request_head head);
    net::awaitable<bool> open_upstream(exchange& x);
    net::awaitable<result<void>> answer(exchange& x);
    net::awaitable<pump_end> pump(exchange& x);
    net::awaitable<pump_end> watch_client(exchange& x);
    net::awaitable<void> fail(std::error_code ec, host_port destination, diagnostics why);
    net::awaitable<void> close();
    void report(exchange& x, std::error_code ec);

    proxy_config config_;
    net::dialer& dialer_;
    server_connection client_;
    net::timer stall_; ///< never expires by itself: for waiting until cancelled
    std::unique_ptr<http::client> upstream_;
    host_port upstream_for_;
};

} // namespace podproxy::http

#include <podproxy/http/impl/proxy_server.ipp>
#endif
