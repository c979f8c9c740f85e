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
        net::ready_socket socket(co_await asio::this_coro::executor);
        if (auto const where = net::literal_endpoint(destination)) { // the usual case has one frame
            auto const begun = net::start_connect(socket, *where, config_, &why);
            if (!begun && begun.error() != podproxy::errc::would_block) co_return begun.error();
            if (!begun) {
                auto finished = co_await net::finish_connect(std::move(socket), *where, why);
                if (!finished) co_return finished.error();
                co_return make(*std::move(finished));
            }
            co_return make(std::move(socket));
        }
        auto connected = co_await net::connect(std::move(destination), config_, why);
        if (!connected) co_return connected.error();
        co_return make(*std::move(connected));
    }

private:
    static result<net::any_stream> make(net::ready_socket socket) { return std::make_unique<net::tcp_stream>(std::move(socket)); }

    net::connect_config config_;
};

} // namespace podproxy::proxy

#endif
