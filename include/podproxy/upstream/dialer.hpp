#ifndef PODPROXY_UPSTREAM_DIALER_HPP
#define PODPROXY_UPSTREAM_DIALER_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/dialer.hpp>
#include <podproxy/net/stream.hpp>
#include <podproxy/tls/context.hpp>
#include <podproxy/upstream/errc.hpp>
#include <podproxy/upstream/proxy_url.hpp>
#include <memory>
#include <optional>
#include <utility>

namespace podproxy::upstream {

/** Connections through another proxy: HTTP CONNECT, the same inside of TLS, or SOCKS5. Names are resolved by it.

    @par Source   RFC 9110 section 9.3.6, RFC 1928
    @par Lifetime `out`, the way to the proxy, is borrowed and outlives it. */
class dialer final : public net::dialer {
public:
    /** @param tls For `scheme::https`: how the proxy's certificate is checked.
        @return the dialer, or what is wrong with the certificates. */
    static result<std::unique_ptr<dialer>> create(net::dialer& out, proxy_url proxy, tls::client_config tls, diagnostics& why);

    proxy_url const& proxy() const noexcept { return proxy_; }

    /// @param why Names the proxy when it is the proxy that failed; on success "via" it.
    net::awaitable<result<net::any_stream>> dial(host_port destination, diagnostics& why) override;

private:
    dialer(net::dialer& out, proxy_url proxy) : out_(out), proxy_(std::move(proxy)) {}

    net::awaitable<result<net::any_stream>> reach_proxy(diagnostics& why);
    net::awaitable<result<net::any_stream>> connect_by_http(net::any_stream lower, host_port destination, diagnostics& why);

    net::dialer& out_;
    proxy_url proxy_;
    std::optional<tls::client_context> tls_;
};

} // namespace podproxy::upstream

#include <podproxy/upstream/impl/dialer.ipp>

#endif
