#ifndef PODPROXY_HTTP_FORWARD_HPP
#define PODPROXY_HTTP_FORWARD_HPP

#include <podproxy/core/host_port.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/http/body.hpp>
#include <podproxy/http/errc.hpp>
#include <podproxy/http/message.hpp>
#include <podproxy/http/target.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace podproxy::http {

/// The name under which we appear in `Via` and `Proxy-Status`, unless told otherwise.
inline constexpr std::string_view default_pseudonym = "podproxy";

/** Drop the fields that are meant for one connection only: Connection and everything named in it, Keep-Alive, Proxy-Connection,
    Proxy-Authenticate, Proxy-Authorization, Proxy-Authentication-Info, TE, Transfer-Encoding and Upgrade (RFC 9110 section 7.6.1). */
void remove_hop_by_hop(fields& f);

/// What becomes of a request that was sent to us as a proxy.
struct forward_request {
    /// What goes to the destination, complete with Host, Via and framing fields. With `answer_here`: what is left of the request.
    request_head head;
    host_port destination;
    body_framing framing;      ///< Of the content that follows, the same upstream as downstream.
    bool upgrade = false;      ///< The client asks to switch protocols; 101 is a proper answer.
    bool answer_here = false;  ///< `Max-Forwards: 0`: answer with `answer_max_forwards` instead of forwarding.
};

/** Turn an absolute-form request into what goes upstream.

    Connection-bound fields are removed (those that a list in Connection names, too), Host is taken from the target, whatever the
    client put there, the target becomes origin-form, the version 1.1, `Via` gets our name, Content-Length or Transfer-Encoding are
    written anew. `TE: trailers` is kept, an upgrade request keeps `Upgrade`, `Expect` and everything else pass through, and Max-Forwards
    counts down for TRACE and OPTIONS.
    @param framing What `request_decoder::framing` said.
    @return the request, or the errors of `parse_target`, `errc::bad_target` for the other forms and `errc::unsupported_scheme`. */
result<forward_request> make_upstream_request(request_head in, body_framing framing, std::string_view pseudonym = default_pseudonym);

/// The answer to TRACE and OPTIONS with `Max-Forwards: 0`: head and content. TRACE shows the request without its secrets.
struct local_answer {
    response_head head;
    std::string body;
};
local_answer answer_max_forwards(forward_request const& request);

/// What becomes of a response.
struct forward_response {
    response_head head;
    body_framing framing; ///< Towards the client: a body of unknown length is chunked, or ends with the connection for HTTP/1.0.
    bool keep_alive = true; ///< Whether the connection to the client may be used again afterwards.
};

/** Turn a response, interim ones too, into what goes back to the client.

    Connection-bound fields are removed, `Via` gets our name, the framing fields are written anew for the client's version; 101
    keeps `Upgrade`. HTTP/1.0 clients get `Connection: close`.
    @param framing What `response_framing` said.
    @param method  Of the request.
    @param client  The version that the client speaks.
    @param client_keep_alive Whether the client wants to keep its connection, and we do too. */
forward_response make_downstream_response(response_head in, body_framing framing, std::string_view method, version client,
                                          bool client_keep_alive, std::string_view pseudonym = default_pseudonym);

/// Trailers that may pass through a proxy: those that `is_allowed_trailer` allows.
fields forward_trailers(fields const& in);

} // namespace podproxy::http

#include <podproxy/http/impl/forward.ipp>
#endif
