#ifndef PODPROXY_TLS_DETAIL_HANDLES_HPP
#define PODPROXY_TLS_DETAIL_HANDLES_HPP

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <memory>

namespace podproxy::tls::detail {

/// Frees a library object by its own function.
template <auto Free>
struct free_with {
    template <class T>
    void operator()(T* p) const noexcept
    {
        Free(p);
    }
};

using ssl_ctx_ptr = std::unique_ptr<SSL_CTX, free_with<&SSL_CTX_free>>;
using ssl_ptr = std::unique_ptr<SSL, free_with<&SSL_free>>;
using session_ptr = std::unique_ptr<SSL_SESSION, free_with<&SSL_SESSION_free>>;
using x509_ptr = std::unique_ptr<X509, free_with<&X509_free>>;
using key_ptr = std::unique_ptr<EVP_PKEY, free_with<&EVP_PKEY_free>>;
struct free_bio {
    void operator()(BIO* b) const noexcept { BIO_free(b); }
};
using bio_ptr = std::unique_ptr<BIO, free_bio>;

} // namespace podproxy::tls::detail

#endif
