#ifndef PODPROXY_PROXY_DIRECT_DIALER_HPP
#define PODPROXY_PROXY_DIRECT_DIALER_HPP

#include <podproxy/net/connect.hpp>
#include <podproxy/net/dialer.hpp>
#include <podproxy/net/tcp_stream.hpp>
#include <memory>
#include <utility>

namespace podproxy::proxy {

/// Connects to destinations as this machine sees them.
class direct_dialer final : public net::dialer {
public:
    explicit direct_dialer(net::connect_config config = {}) : config_(std::move(config)) {}

    net::awaitable<result<net::any_stream>> dial(host_port destination, diagnostics& why) override
    {
        auto socket = co_await net::connect(std::move(destination), config_, why);
        if (!socket) co_return socket.error();
        co_return result<net::any_stream>(std::make_unique<net::tcp_stream>(std::move(*socket), net::tcp_stream::mode::non_blocking));
    }

private:
    net::connect_config config_;
};

} // namespace podproxy::proxy

#endif
