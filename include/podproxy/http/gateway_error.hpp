#ifndef PODPROXY_HTTP_GATEWAY_ERROR_HPP
#define PODPROXY_HTTP_GATEWAY_ERROR_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/error.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/http/errc.hpp>
#include <string>
#include <string_view>
#include <system_error>

namespace podproxy::http {

/// How a proxy tells its client that a destination can't be used.
struct gateway_error {
    unsigned status;        ///< 403, 502 or 504.
    std::string_view error; ///< The error type for a Proxy-Status field, RFC 9209 section 2.3.
    std::string_view hint;  ///< What a person can do, a whole sentence.
};

/// Choose status, error type and hint for an error of dialing, or of talking to the destination.
inline gateway_error classify_gateway_error(std::error_code ec) noexcept
{
    std::string_view const category = ec.category().name();
    auto const is = [ec](std::errc e) { return is_system_error(ec, e); };
    if (is(std::errc::operation_not_permitted) || is(std::errc::permission_denied))
        return {403, "destination_ip_prohibited", "A rule on the proxy's machine forbids this destination."};
    if (ec == cond::timed_out) return {504, "connection_timeout", "It did not answer in time; see whether it is up and reachable from the proxy."};
    if (ec == cond::refused) return {502, "connection_refused", "Nothing accepts connections on that port; check the port, and whether the service has started."};
    if (category == "asio.netdb" || category == "asio.addrinfo") return {502, "dns_error", "The name can't be resolved; check how it is written."};
    if (category == "podproxy.route" && ec == cond::unauthorized) return {403, "http_request_denied", "A rule in podproxy's settings forbids this destination."};
    if (category == "podproxy.route") return {502, "dns_error", "The name ends in a cluster, but is no address in it; check how it is written."};
    if (ec == cond::not_found) return {502, "destination_not_found", "Check the name: the service or pod does not exist there."};
    if (ec == cond::unauthorized) return {502, "proxy_configuration_error", "The proxy's credentials do not allow this; see its log and configuration."};
    if (ec == podproxy::errc::truncated || ec == cond::end_of_stream) return {502, "connection_terminated", "The destination closed the connection before it had answered; try again."};
    if (ec.category() == category_of<errc>()) return {502, "http_protocol_error", "What answers on that port does not speak proper HTTP/1.1."};
    if (ec == cond::malformed) return {502, "http_protocol_error", "What answers there does not speak the expected protocol."};
    if (ec == cond::too_large) return {502, "http_response_header_section_size", "The answer is larger than the proxy allows."};
    if (is(std::errc::network_unreachable) || is(std::errc::host_unreachable))
        return {502, "destination_ip_unroutable", "There is no route from the proxy to that address."};
    if (is(std::errc::connection_reset) || is(std::errc::broken_pipe) || is(std::errc::connection_aborted))
        return {502, "connection_terminated", "The destination closed the connection before it had answered; try again."};
    return {502, "destination_unavailable", "It can't be reached at the moment; try again later."};
}

/// The plain text of such an answer: what failed, on which host, and what to do.
inline std::string gateway_error_text(std::error_code ec, host_port const& destination, diagnostics const& why)
{
    std::string out = "podproxy can't reach " + format_host_port(destination) + ": ";
    out += why.empty() ? ec.message() : why.text();
    while (out.ends_with('.') || out.ends_with('\n')) out.pop_back();
    return out.append(out.ends_with('?') ? "\n" : ".\n").append(classify_gateway_error(ec).hint).append("\n");
}

} // namespace podproxy::http

#endif
