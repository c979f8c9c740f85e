#ifndef PODPROXY_SOCKS4_ERRC_HPP
#define PODPROXY_SOCKS4_ERRC_HPP

#include <podproxy/core/error.hpp>
#include <string_view>
#include <system_error>

namespace podproxy::socks4 {

/// What can be wrong with a client's request. Afterwards the connection can only be closed.
enum class errc {
    bad_version = 1,     ///< The first byte is not 0x04.
    unsupported_command, ///< BIND or an unknown command.
    bad_port,            ///< CONNECT to port 0.
    user_too_long,       ///< A user id of more than 255 bytes.
    empty_name,          ///< A host name of length zero.
    name_too_long,       ///< A host name of more than 255 bytes.
    bad_name,            ///< A host name with a blank or a control character.
};

inline std::string_view errc_domain(errc) noexcept { return "podproxy.socks4"; }

inline std::string_view describe(errc e) noexcept
{
    switch (e) {
    case errc::bad_version: return "the client does not speak SOCKS version 4";
    case errc::unsupported_command: return "the client asked for a command other than CONNECT";
    case errc::bad_port: return "the client asked for port 0";
    case errc::user_too_long: return "the client sent a user id of more than 255 bytes";
    case errc::empty_name: return "the client sent an empty host name";
    case errc::name_too_long: return "the client sent a host name of more than 255 bytes";
    case errc::bad_name: return "the client sent a host name with a blank or a control character";
    }
    return "unknown error";
}

inline cond condition(errc) noexcept { return cond::malformed; }
inline std::error_code make_error_code(errc e) noexcept { return make_domain_error(e); }

} // namespace podproxy::socks4

template <>
struct std::is_error_code_enum<podproxy::socks4::errc> : std::true_type {};

#endif
