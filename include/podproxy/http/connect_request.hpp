#ifndef PODPROXY_HTTP_CONNECT_REQUEST_HPP
#define PODPROXY_HTTP_CONNECT_REQUEST_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/http/parser.hpp>
#include <podproxy/http/target.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace podproxy::http {

/// A request for a tunnel, RFC 9110 section 9.3.6.
struct connect_request {
    host_port destination;
    std::size_t head_bytes = 0; ///< What comes behind them belongs to the tunnel.
    std::string authorization{}; ///< The value of Proxy-Authorization; empty without one.
};

/// The answer to it: the tunnel begins behind these bytes.
inline constexpr std::string_view connect_accepted = "HTTP/1.1 200 Connection Established\r\n\r\n";

/** The short way for the usual first message of a proxy's client: a CONNECT request that is there as a whole.

    As strict as `request_decoder`, which does the work. @return nothing for everything else: another method, a head that goes on,
    and one that is refused. Those are for `proxy_server`, which begins with the same bytes. */
inline std::optional<connect_request> parse_connect_request(bytes_view in, head_limits limits = {})
{
    if (!as_text(in).starts_with("CONNECT ")) return std::nullopt;
    request_decoder decoder(limits);
    head_step const step = decoder.next(in);
    if (step.status != head_status::done) return std::nullopt;
    request_head const head = decoder.take_head();
    auto const target = parse_target(head.method, head.target);
    if (!target || target->form != target_form::authority) return std::nullopt;
    return connect_request{target->authority.with_default_port(443), step.consumed, std::string(head.fields.get("Proxy-Authorization"))};
}

} // namespace podproxy::http

#endif
