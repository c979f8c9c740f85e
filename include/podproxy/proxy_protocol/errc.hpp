#ifndef PODPROXY_PROXY_PROTOCOL_ERRC_HPP
#define PODPROXY_PROXY_PROTOCOL_ERRC_HPP

#include <podproxy/core/error.hpp>
#include <string_view>
#include <system_error>

namespace podproxy::proxy_protocol {

/// What is wrong with a PROXY header. The fault of the proxy before us; the connection is not usable, for nobody knows where its data begins.
enum class errc {
    no_header = 1, ///< The connection does not begin with a PROXY header.
    bad_line,      ///< Version 1: the line does not follow the grammar.
    bad_version,   ///< Version 2: another version behind the signature.
    bad_command,   ///< Version 2: neither LOCAL nor PROXY.
    bad_family,    ///< Version 2: an address family or a transport that does not exist.
    bad_length,    ///< Version 2: no room for the addresses that are announced.
    too_long,      ///< Version 1: more than 107 bytes. Version 2: more than the limit.
};

inline std::string_view errc_domain(errc) noexcept { return "podproxy.proxy_protocol"; }

inline std::string_view describe(errc e) noexcept
{
    switch (e) {
    case errc::no_header: return "the connection does not begin with a PROXY protocol header";
    case errc::bad_line: return "the line of the PROXY protocol is not in the expected form";
    case errc::bad_version: return "the PROXY protocol header has an unknown version";
    case errc::bad_command: return "the PROXY protocol header has an unknown command";
    case errc::bad_family: return "the PROXY protocol header has an unknown address family or transport";
    case errc::bad_length: return "the PROXY protocol header is too short for its addresses";
    case errc::too_long: return "the PROXY protocol header is longer than allowed";
    }
    return "unknown error";
}

inline cond condition(errc e) noexcept { return e == errc::too_long ? cond::too_large : cond::malformed; }
inline std::error_code make_error_code(errc e) noexcept { return make_domain_error(e); }

} // namespace podproxy::proxy_protocol

template <>
struct std::is_error_code_enum<podproxy::proxy_protocol::errc> : std::true_type {};

#endif
