#ifndef PODPROXY_TLS_ERRC_HPP
#define PODPROXY_TLS_ERRC_HPP

#include <podproxy/core/error.hpp>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace podproxy::tls {

enum class errc {
    bad_certificate = 1,     ///< Our settings: no usable certificate in the given PEM text.
    bad_key,                 ///< Our settings: no usable private key in the given PEM text.
    encrypted_key,           ///< Our settings: the private key is protected by a passphrase.
    key_mismatch,            ///< Our settings: the private key does not belong to the certificate.
    bad_settings,            ///< Our settings: a name, a protocol list or a combination that TLS cannot express.
    not_tls,                 ///< The peer does not speak TLS. Connection unusable.
    protocol_error,          ///< The peer broke the TLS protocol, or data was altered on the way. Connection unusable.
    version_mismatch,        ///< The peer speaks no version that we accept (1.2 and 1.3). Connection unusable.
    no_shared_parameters,    ///< No cipher, group or signature algorithm in common. Connection unusable.
    no_application_protocol, ///< No ALPN protocol in common. Connection unusable.
    untrusted,               ///< The peer's certificate leads to no authority that we trust. Connection unusable.
    expired,                 ///< The peer's certificate, or one above it, has expired. Connection unusable.
    not_yet_valid,           ///< The peer's certificate, or one above it, is not valid yet. Connection unusable.
    name_mismatch,           ///< The server's certificate is for other names. Connection unusable.
    unacceptable,            ///< The peer's certificate is not acceptable for another reason. Connection unusable.
    certificate_required,    ///< The peer wants a certificate and got none. Connection unusable.
    certificate_refused,     ///< The peer did not accept our certificate. Connection unusable.
    peer_alert,              ///< The peer gave up with an alert of another kind. Connection unusable.
    internal,                ///< The TLS library failed for a reason of its own. Connection unusable.
};

inline std::string_view errc_domain(errc) noexcept { return "podproxy.tls"; }

inline std::string_view describe(errc e) noexcept
{
    switch (e) {
    case errc::bad_certificate: return "no usable certificate in the given PEM text";
    case errc::bad_key: return "no usable private key in the given PEM text";
    case errc::encrypted_key: return "the private key is protected by a passphrase, which is not supported";
    case errc::key_mismatch: return "the private key does not belong to the certificate";
    case errc::bad_settings: return "the TLS settings are not usable";
    case errc::not_tls: return "the peer does not speak TLS";
    case errc::protocol_error: return "the peer broke the TLS protocol";
    case errc::version_mismatch: return "the peer speaks neither TLS 1.2 nor TLS 1.3";
    case errc::no_shared_parameters: return "no TLS cipher or signature algorithm in common with the peer";
    case errc::no_application_protocol: return "no application protocol (ALPN) in common with the peer";
    case errc::untrusted: return "the peer's certificate is not signed by a trusted authority";
    case errc::expired: return "the peer's certificate has expired";
    case errc::not_yet_valid: return "the peer's certificate is not valid yet";
    case errc::name_mismatch: return "the server's certificate is for another name";
    case errc::unacceptable: return "the peer's certificate is not acceptable";
    case errc::certificate_required: return "the peer requires a certificate";
    case errc::certificate_refused: return "the peer does not accept our certificate";
    case errc::peer_alert: return "the peer ended the TLS connection with an alert";
    case errc::internal: return "the TLS library failed";
    }
    return "unknown error";
}

inline cond condition(errc e) noexcept
{
    switch (e) {
    case errc::bad_certificate:
    case errc::bad_key:
    case errc::encrypted_key:
    case errc::key_mismatch:
    case errc::bad_settings:
    case errc::not_tls:
    case errc::protocol_error: return cond::malformed;
    case errc::version_mismatch:
    case errc::no_shared_parameters:
    case errc::no_application_protocol:
    case errc::peer_alert: return cond::refused;
    case errc::untrusted:
    case errc::expired:
    case errc::not_yet_valid:
    case errc::name_mismatch:
    case errc::unacceptable:
    case errc::certificate_required:
    case errc::certificate_refused: return cond::unauthorized;
    case errc::internal: return cond::unavailable;
    }
    return cond::malformed;
}

inline std::error_code make_error_code(errc e) noexcept { return make_domain_error(e); }

} // namespace podproxy::tls

template <>
struct std::is_error_code_enum<podproxy::tls::errc> : std::true_type {};

#endif
