#ifndef PODPROXY_TLS_DETAIL_VERIFY_HPP
#define PODPROXY_TLS_DETAIL_VERIFY_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/tls/detail/handles.hpp>
#include <podproxy/tls/errc.hpp>
#include <asio/ip/address.hpp>
#include <openssl/asn1.h>
#include <openssl/x509v3.h>
#include <array>
#include <cstring>
#include <string>
#include <string_view>

namespace podproxy::tls::detail {

/// Why a certificate was not accepted.
struct verify_failure {
    std::error_code code; ///< empty: nothing failed
    std::string message;  ///< our words
    std::string peer;     ///< text out of the certificate, not to be trusted
};

struct verify_subject {
    std::string_view name;     ///< whom we talk to, for texts
    bool is_server = true;     ///< the certificate is the server's
    bool system_roots = false; ///< which roots it was held against
};

inline std::string name_text(X509_NAME const* name)
{
    std::array<char, 256> text{};
    if (name) X509_NAME_oneline(const_cast<X509_NAME*>(name), text.data(), static_cast<int>(text.size()));
    return text.data();
}

inline std::string time_text(ASN1_TIME const* time)
{
    bio_ptr const out(BIO_new(BIO_s_mem()));
    std::array<char, 64> text{};
    if (!out || !time || ASN1_TIME_print(out.get(), time) != 1) return "an unreadable date";
    int const n = BIO_read(out.get(), text.data(), static_cast<int>(text.size() - 1));
    return {text.data(), n > 0 ? static_cast<std::size_t>(n) : 0u};
}

/// The names (SAN) that a certificate is for: "a.example, *.b.example, 10.0.0.1". At most about `limit` bytes.
inline std::string names_text(X509 const* cert, std::size_t limit = 400)
{
    std::string out;
    auto* const names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(const_cast<X509*>(cert), NID_subject_alt_name, nullptr, nullptr));
    if (!names) return out;
    auto const count = sk_GENERAL_NAME_num(names);
    for (std::remove_const_t<decltype(count)> i = 0; i < count && out.size() < limit; ++i) {
        GENERAL_NAME const* const name = sk_GENERAL_NAME_value(names, i);
        std::string one;
        if (name->type == GEN_DNS) {
            auto const* text = ASN1_STRING_get0_data(name->d.dNSName);
            one.assign(reinterpret_cast<char const*>(text), static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
        } else if (name->type == GEN_IPADD) {
            auto const* raw = ASN1_STRING_get0_data(name->d.iPAddress);
            if (ASN1_STRING_length(name->d.iPAddress) == 4) {
                asio::ip::address_v4::bytes_type b;
                std::memcpy(b.data(), raw, b.size());
                one = asio::ip::address_v4(b).to_string();
            } else if (ASN1_STRING_length(name->d.iPAddress) == 16) {
                asio::ip::address_v6::bytes_type b;
                std::memcpy(b.data(), raw, b.size());
                one = asio::ip::address_v6(b).to_string();
            }
        }
        if (one.empty()) continue;
        if (!out.empty()) out += ", ";
        out += one;
    }
    GENERAL_NAMES_free(names);
    return out;
}

inline verify_failure explain(X509_STORE_CTX* ctx, verify_subject const& subject)
{
    verify_failure out;
    X509* const cert = X509_STORE_CTX_get_current_cert(ctx);
    int const depth = X509_STORE_CTX_get_error_depth(ctx);
    int const code = X509_STORE_CTX_get_error(ctx);
    std::string const whose = depth > 0 ? "an authority's certificate above the one of " + std::string(subject.name)
                                        : "certificate of " + std::string(subject.name);
    switch (code) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_CERT_UNTRUSTED:
        out.code = errc::untrusted;
        out.message = "certificate of " + std::string(subject.name) + " is not signed by " +
                      (subject.system_roots ? "an authority that this system trusts" : "the given authority");
        if (cert) out.peer = "issuer " + name_text(X509_get_issuer_name(cert));
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        out.code = errc::expired;
        out.message = whose + " has expired on " + (cert ? time_text(X509_get0_notAfter(cert)) : "an unknown date");
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        out.code = errc::not_yet_valid;
        out.message = whose + " is not valid before " + (cert ? time_text(X509_get0_notBefore(cert)) : "an unknown date") +
                      "; is the clock of this machine right?";
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        out.code = errc::name_mismatch;
        if (cert) out.peer = names_text(cert);
        out.message = "certificate of " + std::string(subject.name) + " is not for that name, but for " +
                      (out.peer.empty() ? "none at all" : "these");
        break;
    default:
        out.code = errc::unacceptable;
        out.message = whose + " is not acceptable: " + X509_verify_cert_error_string(code);
        break;
    }
    return out;
}

} // namespace podproxy::tls::detail

#endif
