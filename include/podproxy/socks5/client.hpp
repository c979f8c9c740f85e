#ifndef PODPROXY_SOCKS5_CLIENT_HPP
#define PODPROXY_SOCKS5_CLIENT_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/stream.hpp>
#include <podproxy/socks5/auth.hpp>
#include <podproxy/socks5/client_fsm.hpp>
#include <podproxy/socks5/errc.hpp>
#include <podproxy/socks5/message.hpp>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

namespace podproxy::socks5 {

namespace detail {

inline net::awaitable<result<host_port>> handshake(net::stream& proxy, client_fsm& fsm)
{
    using kind = client_action::kind_type;
    std::array<std::uint8_t, max_reply_bytes> buf;
    std::size_t have = 0;
    for (;;) {
        // The machine asks for the rest of one message at a time, so nothing is left over to move to the front.
        client_action const action = fsm.resume(bytes_view(buf).first(have));
        if (action.consumed != 0) have = 0;
        switch (action.kind) {
        case kind::failed: co_return action.error;
        case kind::done: co_return fsm.bound();
        case kind::write: {
            if (auto const r = co_await net::write_all(proxy, action.out); !r) co_return r.error();
            break;
        }
        case kind::read: {
            auto const n = co_await net::read_some(proxy, std::span(buf).subspan(have, action.at_least - have));
            if (!n) co_return n.error() == podproxy::errc::end_of_stream ? std::error_code(errc::proxy_closed) : n.error();
            have += *n;
            break;
        }
        }
    }
}

} // namespace detail

/** Open a tunnel to `destination` through a SOCKS5 proxy.

    `proxy` is a fresh connection to it; afterwards it is the tunnel. Not one byte of the tunnel is read here. A name is sent as a
    name, so that the proxy resolves it.

    @par Source    RFC 1928, RFC 1929
    @par Overlap   Nothing else may use `proxy`.
    @par Lifetime  `proxy` and `diag` are borrowed until completion.
    @par Cancel    terminal; the stream can only be closed afterwards. The caller sets the time limit.
    @param creds   Offered beside "no authentication" when given; the proxy chooses.
    @param diag    Says in our words what failed and for which destination. Credentials never enter it.
    @return The proxy's own address on the new connection, as it says (often 0.0.0.0:0). Or an `socks5::errc`:
            what the proxy replied, that it broke the protocol or closed early, or that destination or credentials can't be sent;
            or why the connection is lost. In every one of these cases `proxy` can only be closed. */
inline net::awaitable<result<host_port>> connect(net::stream& proxy, host_port destination, std::optional<credentials> creds,
                                                 diagnostics& diag)
{
    // A host that can't be sent is not fit to be shown either.
    std::string const target = is_host(destination.host) ? format_host_port(destination) : "the destination";
    client_fsm fsm(std::move(destination), std::move(creds));
    auto bound = co_await detail::handshake(proxy, fsm);
    if (!bound) diag.message = "SOCKS5 proxy, connecting to " + target + ": " + bound.error().message();
    co_return bound;
}

} // namespace podproxy::socks5

#endif
