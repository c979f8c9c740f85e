#ifndef PODPROXY_TESTS_FAKES_AUTHORITY_HPP
#define PODPROXY_TESTS_FAKES_AUTHORITY_HPP

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace podproxy::test {

/// A certificate and its private key as PEM text.
struct identity {
    std::string certificate_pem;
    std::string key_pem;
};

/// What a certificate says.
struct certificate_request {
    std::string common_name = "test";
    std::string names;                     ///< SAN as "DNS:a.test,IP:127.0.0.1"; empty: none.
    std::string usage = "serverAuth,clientAuth";
    std::time_t valid_from = -3600;        ///< Seconds from now.
    std::time_t valid_until = 10 * 365 * 86400;
    bool is_authority = false;
};

/** A certificate authority made for one test run. Keys are drawn when it is made and never leave the process. */
class authority {
public:
    explicit authority(std::string const& name = "test authority") : key_(new_key())
    {
        certificate_request request;
        request.common_name = name;
        request.is_authority = true;
        certificate_.reset(make(request, key_.get(), nullptr, key_.get()));
    }

    std::string pem() const { return certificate_text(certificate_.get()); }

    /// A certificate signed by this authority.
    identity issue(certificate_request const& request) const
    {
        key const own = new_key();
        certificate const cert(make(request, own.get(), certificate_.get(), key_.get()));
        return {certificate_text(cert.get()), key_text(own.get())};
    }

    /// An authority below this one. Its leaves need its `pem` behind their own certificate.
    authority issue_authority(std::string const& name) const
    {
        certificate_request request;
        request.common_name = name;
        request.is_authority = true;
        authority out{nullptr};
        out.certificate_.reset(make(request, out.key_.get(), certificate_.get(), key_.get()));
        return out;
    }

    /// A certificate that is signed by itself.
    static identity self_signed(certificate_request const& request)
    {
        key const own = new_key();
        certificate const cert(make(request, own.get(), nullptr, own.get()));
        return {certificate_text(cert.get()), key_text(own.get())};
    }

    /// The same key protected by a passphrase.
    static std::string encrypted(std::string const& key_pem, std::string passphrase)
    {
        BIO* const in = BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size()));
        key const k(PEM_read_bio_PrivateKey(in, nullptr, nullptr, nullptr));
        BIO_free(in);
        BIO* const out = BIO_new(BIO_s_mem());
        check(PEM_write_bio_PKCS8PrivateKey(out, k.get(), EVP_aes_256_cbc(), passphrase.data(), static_cast<int>(passphrase.size()), nullptr, nullptr));
        return take_text(out);
    }

private:
    struct release {
        void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
        void operator()(X509* p) const { X509_free(p); }
    };
    using key = std::unique_ptr<EVP_PKEY, release>;
    using certificate = std::unique_ptr<X509, release>;

    explicit authority(std::nullptr_t) : key_(new_key()) {}

    static void check(int ok)
    {
        if (ok <= 0) throw std::runtime_error("authority: the TLS library failed");
    }

    static key new_key()
    {
        EVP_PKEY_CTX* const ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nullptr);
        EVP_PKEY* out = nullptr;
        check(ctx && EVP_PKEY_keygen_init(ctx) > 0 && EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, NID_X9_62_prime256v1) > 0 &&
              EVP_PKEY_keygen(ctx, &out) > 0);
        EVP_PKEY_CTX_free(ctx);
        return key(out);
    }

    static void extend(X509* cert, X509* issuer, int nid, std::string const& value)
    {
        X509V3_CTX ctx;
        X509V3_set_ctx(&ctx, issuer, cert, nullptr, nullptr, 0);
        X509_EXTENSION* const ext = X509V3_EXT_nconf_nid(nullptr, &ctx, nid, const_cast<char*>(value.c_str()));
        check(ext != nullptr && X509_add_ext(cert, ext, -1));
        X509_EXTENSION_free(ext);
    }

    static X509* make(certificate_request const& request, EVP_PKEY* own, X509* issuer, EVP_PKEY* signing)
    {
        static long serial = 1000;
        certificate cert(X509_new());
        X509* const x = cert.get();
        check(X509_set_version(x, 2));
        check(ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial));
        std::time_t const now = std::time(nullptr);
        check(ASN1_TIME_set(X509_getm_notBefore(x), now + request.valid_from) != nullptr);
        check(ASN1_TIME_set(X509_getm_notAfter(x), now + request.valid_until) != nullptr);
        check(X509_set_pubkey(x, own));
        X509_NAME* const name = X509_get_subject_name(x);
        check(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<unsigned char const*>(request.common_name.c_str()), -1, -1, 0));
        check(X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : name));
        X509* const above = issuer ? issuer : x;
        extend(x, above, NID_basic_constraints, request.is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
        if (request.is_authority) extend(x, above, NID_key_usage, "critical,keyCertSign,cRLSign");
        else if (!request.usage.empty()) extend(x, above, NID_ext_key_usage, request.usage);
        if (!request.names.empty()) extend(x, above, NID_subject_alt_name, request.names);
        check(X509_sign(x, signing, EVP_sha256()));
        return cert.release();
    }

    static std::string take_text(BIO* out)
    {
        char* data = nullptr;
        long const size = BIO_get_mem_data(out, &data);
        std::string text(data, static_cast<std::size_t>(size));
        BIO_free(out);
        return text;
    }
    static std::string certificate_text(X509* cert)
    {
        BIO* const out = BIO_new(BIO_s_mem());
        check(PEM_write_bio_X509(out, cert));
        return take_text(out);
    }
    static std::string key_text(EVP_PKEY* k)
    {
        BIO* const out = BIO_new(BIO_s_mem());
        check(PEM_write_bio_PrivateKey(out, k, nullptr, nullptr, 0, nullptr, nullptr));
        return take_text(out);
    }

    key key_;
    certificate certificate_;
};

} // namespace podproxy::test

#endif
