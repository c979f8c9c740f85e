#include <podproxy/core/base64.hpp>
#include <podproxy/http/client.hpp>
#include <podproxy/net/prefixed_stream.hpp>
#include <podproxy/socks5/client.hpp>
#include <podproxy/tls/stream.hpp>

namespace podproxy::upstream {

inline result<std::unique_ptr<dialer>> dialer::create(net::dialer& out, proxy_url proxy, tls::client_config tls, diagnostics& why)
{
    std::unique_ptr<dialer> d(new dialer(out, std::move(proxy)));
    if (d->proxy_.scheme == scheme::https) {
        auto context = tls::client_context::create(std::move(tls), why);
        if (!context) return context.error();
        d->tls_.emplace(std::move(*context));
    }
    return d;
}

inline net::awaitable<result<net::any_stream>> dialer::dial(host_port destination, diagnostics& why)
{
    auto lower = co_await reach_proxy(why);
    if (!lower) co_return lower.error();
    std::string const target = is_host(destination.host) ? format_host_port(destination) : "the destination";
    auto const explain = [&](std::error_code ec) {
        why.message = "the proxy " + shown(proxy_) + " did not connect to " + target + ": " + (why.message.empty() ? ec.message() : why.message);
    };
    if (proxy_.scheme == scheme::socks5) {
        std::optional<socks5::credentials> who;
        if (!proxy_.user.empty()) who.emplace(proxy_.user, std::string(proxy_.password.reveal()));
        diagnostics said;
        auto const bound = co_await socks5::connect(**lower, std::move(destination), std::move(who), said);
        if (!bound) {
            explain(bound.error());
            co_return bound.error();
        }
        why.message = "via " + shown(proxy_);
        co_return std::move(*lower);
    }
    auto tunnel = co_await connect_by_http(std::move(*lower), std::move(destination), why);
    if (!tunnel) explain(tunnel.error());
    else why.message = "via " + shown(proxy_);
    co_return tunnel;
}

inline net::awaitable<result<net::any_stream>> dialer::reach_proxy(diagnostics& why)
{
    auto lower = co_await out_.dial(proxy_.address, why);
    std::error_code ec = lower ? std::error_code() : lower.error();
    if (lower && tls_) {
        auto secured = std::make_unique<tls::stream>(std::move(*lower), *tls_, proxy_.address.host);
        auto const done = co_await secured->handshake(why);
        if (done) co_return result<net::any_stream>(std::move(secured));
        ec = done.error();
    }
    if (!ec) {
        why.clear();
        co_return lower;
    }
    if (ec == asio::error::operation_aborted) co_return ec;
    // Not the destination's error: a client must not take it for a closed port there.
    why.message = "can't reach the proxy " + shown(proxy_) + ": " + (why.message.empty() ? ec.message() : why.message);
    co_return errc::unreachable;
}

inline net::awaitable<result<net::any_stream>> dialer::connect_by_http(net::any_stream lower, host_port destination, diagnostics& why)
{
    if (!is_host(destination.host)) co_return host_port_errc::bad_host; // it goes into the request line
    http::client_config settings;
    settings.host = format_host_port(destination);
    http::client c(std::move(lower), settings);
    http::fields f;
    if (!proxy_.user.empty())
        f.add("Proxy-Authorization", "Basic " + encode_base64(as_bytes(proxy_.user + ":" + std::string(proxy_.password.reveal()))));
    auto const head = co_await c.request("CONNECT", settings.host, std::move(f));
    if (!head) {
        if (head.error() == asio::error::operation_aborted) co_return head.error();
        why.message = "it closed the connection or did not answer as an HTTP proxy: " + head.error().message();
        co_return errc::bad_answer;
    }
    if (head->status / 100 == 2) {
        auto taken = c.take_stream();
        co_return net::with_prefix(std::move(taken.stream), std::move(taken.early));
    }
    why.message = "it answered " + std::to_string(head->status);
    why.set_server_text(head->reason);
    if (head->status == 407) {
        why.message += proxy_.user.empty() ? " (it wants a user name and a password: http://user:password@host:port)" : " (it does not accept the user name and password)";
        co_return errc::credentials;
    }
    co_return head->status / 100 == 4 ? errc::refused : errc::failed;
}

} // namespace podproxy::upstream
