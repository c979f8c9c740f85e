#ifndef PODPROXY_TLS_DETAIL_PEM_HPP
#define PODPROXY_TLS_DETAIL_PEM_HPP

#include <podproxy/core/result.hpp>
#include <podproxy/tls/detail/handles.hpp>
#include <podproxy/tls/errc.hpp>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <climits>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

namespace podproxy::tls::detail {

/// A BIO that reads `text` where it is. Null when the text is empty or too long for the library.
inline bio_ptr view_bio(std::string_view text)
{
    if (text.empty() || text.size() > INT_MAX) return nullptr;
    return bio_ptr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// All certificates of a PEM text, in their order; text between them is ignored. At least one, or `errc::bad_certificate`.
inline result<std::vector<x509_ptr>> parse_certificates(std::string_view pem)
{
    std::vector<x509_ptr> out;
    bio_ptr const in = view_bio(pem);
    if (!in) return errc::bad_certificate;
    ERR_clear_error();
    while (X509* cert = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)) out.emplace_back(cert);
    unsigned long const why = ERR_peek_last_error();
    bool const at_end = ERR_GET_LIB(why) == ERR_LIB_PEM && ERR_GET_REASON(why) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (out.empty() || !at_end) return errc::bad_certificate;
    return out;
}

/// The first private key of a PEM text (PKCS#8, RSA or EC), not protected by a passphrase.
inline result<key_ptr> parse_private_key(std::string_view pem)
{
    bio_ptr const in = view_bio(pem);
    if (!in) return errc::bad_key;
    bool asked = false; // without a callback, OpenSSL asks at the terminal
    auto const no_passphrase = [](char*, int, int, void* flag) {
        *static_cast<bool*>(flag) = true;
        return -1;
    };
    ERR_clear_error();
    key_ptr key(PEM_read_bio_PrivateKey(in.get(), nullptr, no_passphrase, &asked));
    ERR_clear_error();
    if (asked) return errc::encrypted_key;
    if (!key) return errc::bad_key;
    return key;
}

} // namespace podproxy::tls::detail

#endif
