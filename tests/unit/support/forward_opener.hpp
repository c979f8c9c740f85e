#ifndef PODPROXY_TESTS_UNIT_SUPPORT_FORWARD_OPENER_HPP
#define PODPROXY_TESTS_UNIT_SUPPORT_FORWARD_OPENER_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/flat_buffer.hpp>
#include <podproxy/net/tcp_stream.hpp>
#include <podproxy/spdy/session.hpp>
#include <podproxy/websocket/stream.hpp>
#include <asio/ip/tcp.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace podproxy::test {

enum class forward_carrier { spdy, websocket };

/** Open a port-forward session on a server without TLS, with requests that are typed here: for tests of what runs on a session,
    independent of the API client.
    @return the session, or `errc::unavailable` with the status line in `why` when the server does not switch. */
inline net::awaitable<result<std::shared_ptr<spdy::session>>> open_forward(std::uint16_t port, forward_carrier carrier, std::string pod,
                                                                          spdy::session_config config, diagnostics& why)
{
    net::tcp_socket socket(co_await asio::this_coro::executor);
    asio::ip::tcp::endpoint const to(asio::ip::address_v4::loopback(), port);
    auto const [ec] = co_await socket.async_connect(to, asio::as_tuple(net::use_awaitable));
    if (ec) co_return ec;
    std::error_code ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    net::any_stream stream = std::make_unique<net::tcp_stream>(std::move(socket));
    std::string request = "/api/v1/namespaces/default/pods/" + pod + "/portforward HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n";
    if (carrier == forward_carrier::spdy)
        request = "POST " + request + "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\nContent-Length: 0\r\n\r\n";
    else
        request = "GET " + request +
                  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                  "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n\r\n";
    auto const sent = co_await net::write_all(*stream, as_bytes(request));
    if (!sent) co_return sent.error();
    flat_buffer buf(64 * 1024);
    std::size_t end = std::string_view::npos;
    while ((end = as_text(buf.data()).find("\r\n\r\n")) == std::string_view::npos) {
        auto const n = co_await net::read_some(*stream, buf);
        if (!n) co_return n.error();
    }
    std::string_view const head = as_text(buf.data()).substr(0, end);
    if (!head.starts_with("HTTP/1.1 101 ")) {
        why.set_server_text(head.substr(0, head.find("\r\n")));
        co_return errc::unavailable;
    }
    buf.consume(end + 4);
    if (carrier == forward_carrier::spdy) co_return spdy::session::start(std::move(stream), buf.data(), config);
    std::vector<std::uint8_t> leftover(buf.data().begin(), buf.data().end());
    websocket::stream_config const settings;
    net::any_stream tunnel = std::make_unique<websocket::stream>(std::move(stream), settings, std::move(leftover));
    co_return spdy::session::start(std::move(tunnel), {}, config);
}

} // namespace podproxy::test

#endif
