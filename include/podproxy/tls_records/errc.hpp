#ifndef PODPROXY_TLS_RECORDS_ERRC_HPP
#define PODPROXY_TLS_RECORDS_ERRC_HPP

#include <podproxy/core/error.hpp>
#include <string_view>
#include <system_error>

namespace podproxy::tls_records {

/// Why the first bytes of a connection are no ClientHello. The client's fault, or it speaks something else; who only looks at the bytes may pass them on.
enum class errc {
    not_tls = 1,         ///< The bytes are no TLS records of a handshake.
    bad_record,          ///< A record is empty, longer than 16,384 bytes, or of another kind in the middle of the message.
    not_client_hello,    ///< The handshake begins with another message.
    malformed,           ///< Lengths inside of the message contradict each other.
    duplicate_extension, ///< An extension is there twice, RFC 8446 section 4.2.
    bad_server_name,     ///< The server name is empty, longer than 255 bytes, or has characters that a host name can't have.
    too_long,            ///< More bytes than the limit.
};

inline std::string_view errc_domain(errc) noexcept { return "podproxy.tls_records"; }

inline std::string_view describe(errc e) noexcept
{
    switch (e) {
    case errc::not_tls: return "the client does not begin with a TLS handshake";
    case errc::bad_record: return "the client's TLS records are not in the expected form";
    case errc::not_client_hello: return "the client's TLS handshake does not begin with a ClientHello";
    case errc::malformed: return "the client's ClientHello is not in the expected form";
    case errc::duplicate_extension: return "the client's ClientHello has an extension twice";
    case errc::bad_server_name: return "the server name in the client's ClientHello is no host name";
    case errc::too_long: return "the client's ClientHello is longer than the limit";
    }
    return "unknown error";
}

inline cond condition(errc e) noexcept { return e == errc::too_long ? cond::too_large : cond::malformed; }
inline std::error_code make_error_code(errc e) noexcept { return make_domain_error(e); }

} // namespace podproxy::tls_records

template <>
struct std::is_error_code_enum<podproxy::tls_records::errc> : std::true_type {};

#endif
