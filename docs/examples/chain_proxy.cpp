// chain_proxy <host> <port>: a SOCKS5 and HTTP proxy on 127.0.0.1:1080 that sends everything through another SOCKS5 proxy.
#include <podproxy/net/dialer.hpp>
#include <podproxy/net/listener.hpp>
#include <podproxy/proxy/direct_dialer.hpp>
#include <podproxy/proxy/server.hpp>
#include <podproxy/socks5/client.hpp>
#include <cstdlib>
#include <iostream>

using namespace podproxy;

/// A way out: through a SOCKS5 proxy.
class socks5_dialer final : public net::dialer {
public:
    explicit socks5_dialer(host_port proxy) : proxy_(std::move(proxy)) {}

    net::awaitable<result<net::any_stream>> dial(host_port destination, diagnostics& why) override
    {
        auto stream = co_await direct_.dial(proxy_, why);
        if (!stream) co_return stream.error();
        auto const bound = co_await socks5::connect(**stream, std::move(destination), std::nullopt, why);
        if (!bound) co_return bound.error(); // the stream closes with its owner
        co_return stream;
    }

private:
    host_port proxy_;
    proxy::direct_dialer direct_;
};

int main(int argc, char** argv)
{
    if (argc != 3) return 2;
    asio::io_context io(1);
    socks5_dialer out(host_port(argv[1], static_cast<std::uint16_t>(std::atoi(argv[2]))));
    auto listener = net::listener::open(io.get_executor(), {asio::ip::address_v4::loopback(), 1080});
    if (!listener) {
        std::cerr << listener.error().message() << '\n';
        return 1;
    }
    proxy::server server(io.get_executor(), out, logger());
    asio::co_spawn(io, server.serve(*listener, proxy::port_kind::mixed), [](std::exception_ptr e, std::error_code) {
        if (e) std::rethrow_exception(e);
    });
    io.run();
}
