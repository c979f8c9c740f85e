#ifndef PODPROXY_SOCKS5_ERRC_HPP
#define PODPROXY_SOCKS5_ERRC_HPP

#include <podproxy/core/error.hpp>
#include <string_view>
#include <system_error>

namespace podproxy::socks5 {

/// Everything that can go wrong in a SOCKS5 handshake. After any of these the connection can only be closed.
enum class errc {
    // The peer's bytes are not SOCKS5.
    bad_version = 1,      ///< The first byte is not 0x05.
    bad_auth_version,     ///< A user/password message does not begin with 0x01.
    no_methods,           ///< A greeting that offers no authentication method.
    bad_reserved,         ///< A reserved byte is not zero.
    bad_address_type,     ///< ATYP is not 0x01, 0x03 or 0x04.
    empty_name,           ///< A domain name of length zero.
    bad_name,             ///< A domain name with a blank or a control character.
    bad_port,             ///< CONNECT to port 0.
    empty_user,           ///< A user name of length zero.
    unsolicited_method,   ///< The server chose a method that was not offered.

    // The peer's bytes are fine, and the answer is no.
    unsupported_command,   ///< Neither side can go on: BIND, UDP ASSOCIATE or an unknown command was asked for.
    no_acceptable_method,  ///< Client and server share no authentication method.
    auth_failed,           ///< User or password are wrong.

    // What the proxy replied to our request (RFC 1928 section 6).
    general_failure,            ///< 0x01
    not_allowed,                ///< 0x02
    network_unreachable,        ///< 0x03
    host_unreachable,           ///< 0x04
    connection_refused,         ///< 0x05
    ttl_expired,                ///< 0x06
    command_not_supported,      ///< 0x07
    address_type_not_supported, ///< 0x08
    unknown_reply,              ///< Any other.

    // About what we were asked to send.
    host_not_encodable,        ///< A destination that is empty, longer than 255 bytes, or holds blanks or control characters.
    credentials_not_encodable, ///< A user name that is empty, or a user name or password longer than 255 bytes.

    proxy_closed, ///< The proxy ended the connection before it had answered.
};

inline std::string_view errc_domain(errc) noexcept { return "podproxy.socks5"; }

inline std::string_view describe(errc e) noexcept
{
    switch (e) {
    case errc::bad_version: return "the peer does not speak SOCKS version 5";
    case errc::bad_auth_version: return "the peer's user/password message has an unknown version";
    case errc::no_methods: return "the client offered no authentication method";
    case errc::bad_reserved: return "the peer set a reserved byte";
    case errc::bad_address_type: return "the peer used an unknown address type";
    case errc::empty_name: return "the peer sent an empty host name";
    case errc::bad_name: return "the peer sent a host name with a blank or a control character";
    case errc::bad_port: return "the client asked for port 0";
    case errc::empty_user: return "the client sent an empty user name";
    case errc::unsolicited_method: return "the proxy chose an authentication method that was not offered";
    case errc::unsupported_command: return "the client asked for a command other than CONNECT";
    case errc::no_acceptable_method: return "client and proxy share no authentication method";
    case errc::auth_failed: return "the proxy's user name or password is wrong";
    case errc::general_failure: return "the proxy replied: general failure";
    case errc::not_allowed: return "the proxy replied: not allowed by its rules";
    case errc::network_unreachable: return "the proxy replied: network unreachable";
    case errc::host_unreachable: return "the proxy replied: host unreachable";
    case errc::connection_refused: return "the proxy replied: connection refused by the destination";
    case errc::ttl_expired: return "the proxy replied: time to live expired";
    case errc::command_not_supported: return "the proxy replied: command not supported";
    case errc::address_type_not_supported: return "the proxy replied: address type not supported";
    case errc::unknown_reply: return "the proxy replied with an unknown failure";
    case errc::host_not_encodable: return "the destination's host can't be sent to a SOCKS5 proxy: it is empty, too long or not plain text";
    case errc::credentials_not_encodable: return "the proxy credentials can't be sent: empty user name, or longer than 255 bytes";
    case errc::proxy_closed: return "the proxy closed the connection before it answered";
    }
    return "unknown error";
}

inline cond condition(errc e) noexcept
{
    switch (e) {
    case errc::bad_version:
    case errc::bad_auth_version:
    case errc::no_methods:
    case errc::bad_reserved:
    case errc::bad_address_type:
    case errc::empty_name:
    case errc::bad_name:
    case errc::bad_port:
    case errc::empty_user:
    case errc::unsolicited_method:
    case errc::unsupported_command:
    case errc::unknown_reply:
    case errc::host_not_encodable:
    case errc::credentials_not_encodable: return cond::malformed;
    case errc::no_acceptable_method:
    case errc::auth_failed: return cond::unauthorized;
    case errc::not_allowed:
    case errc::connection_refused:
    case errc::command_not_supported:
    case errc::address_type_not_supported: return cond::refused;
    case errc::ttl_expired: return cond::timed_out;
    case errc::general_failure:
    case errc::network_unreachable:
    case errc::host_unreachable:
    case errc::proxy_closed: return cond::unavailable;
    }
    return cond::malformed;
}

inline std::error_code make_error_code(errc e) noexcept { return make_domain_error(e); }

} // namespace podproxy::socks5

template <>
struct std::is_error_code_enum<podproxy::socks5::errc> : std::true_type {};

#endif
