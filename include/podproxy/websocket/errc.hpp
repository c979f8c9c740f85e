#ifndef PODPROXY_WEBSOCKET_ERRC_HPP
#define PODPROXY_WEBSOCKET_ERRC_HPP

#include <podproxy/core/error.hpp>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace podproxy::websocket {

/// What can go wrong with a WebSocket. All of them cost the connection, but for those of the handshake that say otherwise.
enum class errc {
    reserved_bits = 1,     ///< RSV1 to RSV3 set without an extension that defines them.
    bad_opcode,            ///< An opcode that RFC 6455 does not define.
    bad_mask,              ///< A client's frame without a mask, or a server's with one.
    bad_length,            ///< A length that is not in its shortest form, or has the highest bit set.
    control_too_long,      ///< A control frame with more than 125 bytes.
    control_fragmented,    ///< A control frame without FIN.
    unexpected_start,      ///< A new message inside a fragmented one.
    unexpected_continuation, ///< A continuation outside a message.
    message_too_large,     ///< A message above our limit.
    bad_utf8,              ///< A text message or a close reason that is no UTF-8.
    bad_close_frame,       ///< A close frame with one byte, or with a code that must not be sent.
    after_close,           ///< A frame behind the close frame.
    unexpected_text,       ///< A text message where only binary ones have a meaning.
    closed_abnormally,     ///< The peer closed with a code other than 1000 and 1001.
    no_close_frame,        ///< The connection ended between two frames without a close frame.
    closed,                ///< Our close frame is sent: nothing more can be.
    upgrade_refused,       ///< The answer to the handshake was not 101.
    bad_upgrade,           ///< The answer or the request of the handshake lacks `Upgrade: websocket` or `Connection: Upgrade`.
    bad_accept,            ///< `Sec-WebSocket-Accept` does not fit the key.
    bad_key,               ///< `Sec-WebSocket-Key` is missing, repeated, or not 16 bytes of base64.
    bad_version,           ///< `Sec-WebSocket-Version` is not 13.
    bad_subprotocol,       ///< The server chose a subprotocol that we did not offer, or none where we need one.
    unexpected_extension,  ///< The server wants an extension that we did not offer.
};

inline std::string_view errc_domain(errc) noexcept { return "podproxy.websocket"; }

inline std::string_view describe(errc e) noexcept
{
    switch (e) {
    case errc::reserved_bits: return "the peer set reserved bits in a WebSocket frame; the connection is not usable";
    case errc::bad_opcode: return "the peer sent a WebSocket frame of an unknown kind; the connection is not usable";
    case errc::bad_mask: return "the peer sent a WebSocket frame with the wrong masking for its side; the connection is not usable";
    case errc::bad_length: return "the peer sent a WebSocket frame with a badly written length; the connection is not usable";
    case errc::control_too_long: return "the peer sent a WebSocket control frame above 125 bytes; the connection is not usable";
    case errc::control_fragmented: return "the peer sent a fragmented WebSocket control frame; the connection is not usable";
    case errc::unexpected_start: return "the peer began a WebSocket message inside another; the connection is not usable";
    case errc::unexpected_continuation: return "the peer continued a WebSocket message that it had not begun; the connection is not usable";
    case errc::message_too_large: return "the peer sent a WebSocket message above the size limit; the connection is not usable";
    case errc::bad_utf8: return "the peer sent WebSocket text that is not UTF-8; the connection is not usable";
    case errc::bad_close_frame: return "the peer sent a malformed WebSocket close frame; the connection is not usable";
    case errc::after_close: return "the peer sent a WebSocket frame behind its close frame; the connection is not usable";
    case errc::unexpected_text: return "the peer sent a WebSocket text message where binary ones belong; the connection is not usable";
    case errc::closed_abnormally: return "the peer closed the WebSocket with an error code";
    case errc::no_close_frame: return "the connection ended without a WebSocket close frame";
    case errc::closed: return "nothing can be sent any more on a WebSocket that has been closed";
    case errc::upgrade_refused: return "the server refused the upgrade to WebSocket";
    case errc::bad_upgrade: return "the peer's WebSocket handshake lacks the upgrade headers";
    case errc::bad_accept: return "the server's WebSocket handshake answers another request than ours";
    case errc::bad_key: return "the client's WebSocket handshake has no valid key";
    case errc::bad_version: return "the client's WebSocket handshake asks for another version than 13";
    case errc::bad_subprotocol: return "the server's WebSocket handshake names no subprotocol that was offered";
    case errc::unexpected_extension: return "the server's WebSocket handshake names an extension that was not offered";
    }
    return "unknown WebSocket error";
}

inline cond condition(errc e) noexcept
{
    switch (e) {
    case errc::message_too_large: return cond::too_large;
    case errc::closed_abnormally:
    case errc::no_close_frame:
    case errc::closed: return cond::unavailable;
    case errc::upgrade_refused: return cond::refused;
    default: return cond::malformed;
    }
}

inline std::error_code make_error_code(errc e) noexcept { return make_domain_error(e); }

} // namespace podproxy::websocket

template <>
struct std::is_error_code_enum<podproxy::websocket::errc> : std::true_type {};

#endif
