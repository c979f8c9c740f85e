#ifndef PODPROXY_TESTS_UNIT_TLS_PEERS_HPP
#define PODPROXY_TESTS_UNIT_TLS_PEERS_HPP

#include <podproxy/tls/context.hpp>
#include <podproxy/tls/stream.hpp>
#include <fakes/authority.hpp>
#include <fakes/stream_pair.hpp>
#include <unit/support/spawned.hpp>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace podproxy::test {

inline authority const& test_ca()
{
    static authority const ca;
    return ca;
}

/// A certificate for api.test, *.wild.test, 127.0.0.1 and ::1.
inline identity const& api_identity()
{
    static identity const id = [] {
        certificate_request r;
        r.common_name = "api.test";
        r.names = "DNS:api.test,DNS:*.wild.test,IP:127.0.0.1,IP:::1";
        return test_ca().issue(r);
    }();
    return id;
}

inline tls::client_context client_of(tls::client_config config)
{
    diagnostics why;
    auto c = tls::client_context::create(std::move(config), why);
    if (!c) throw std::runtime_error("client context: " + why.text());
    return *c;
}
inline tls::server_context server_of(tls::server_config config)
{
    diagnostics why;
    auto s = tls::server_context::create(std::move(config), why);
    if (!s) throw std::runtime_error("server context: " + why.text());
    return *s;
}

inline tls::client_config trusting_config()
{
    tls::client_config c;
    c.roots_pem = test_ca().pem();
    return c;
}
inline tls::server_config server_settings(identity const& id = api_identity())
{
    tls::server_config c;
    c.certificate_pem = id.certificate_pem;
    c.key_pem = id.key_pem;
    return c;
}

/// A client and a server over a pair of streams, each driven by a coroutine of its own.
struct peers {
    peers(asio::io_context& ctx, tls::client_context const& cc, tls::server_context const& sc, std::string host = "api.test", pair_config const& config = {})
        : context(ctx), link(ctx.get_executor(), config)
    {
        client = std::make_unique<tls::stream>(std::move(link.a), cc, std::move(host));
        server = std::make_unique<tls::stream>(std::move(link.b), sc);
    }

    /// Both handshakes, as far as they go.
    void shake()
    {
        client_hand = std::make_unique<spawned<result<void>>>(context, client->handshake(client_why));
        server_hand = std::make_unique<spawned<result<void>>>(context, server->handshake(server_why));
        run_ready(context);
    }
    bool shaken() { return client_hand->done() && server_hand->done() && !client_hand->error() && !server_hand->error(); }

    /// One byte each way: also carries session tickets and late alerts to the client.
    std::error_code ping()
    {
        std::uint8_t byte = 'x';
        if (auto n = server->try_write({&byte, 1}); !n) return n.error();
        run_ready(context);
        return client->try_read({&byte, 1}).error();
    }

    asio::io_context& context;
    stream_pair link;
    std::unique_ptr<tls::stream> client;
    std::unique_ptr<tls::stream> server;
    diagnostics client_why;
    diagnostics server_why;
    std::unique_ptr<spawned<result<void>>> client_hand;
    std::unique_ptr<spawned<result<void>>> server_hand;
};

} // namespace podproxy::test

#endif
