#ifndef PODPROXY_TLS_IMPL_CONTEXT_IPP
#define PODPROXY_TLS_IMPL_CONTEXT_IPP

#include <podproxy/tls/context.hpp>
#include <podproxy/tls/detail/core.hpp>
#include <podproxy/tls/detail/pem.hpp>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <system_error>

namespace podproxy::tls {

namespace detail {

/// Overwrites a secret text when the scope ends, however it ends.
class wipe_guard {
public:
    explicit wipe_guard(std::string& secret) noexcept : secret_(secret) {}
    wipe_guard(wipe_guard const&) = delete;
    wipe_guard& operator=(wipe_guard const&) = delete;
    ~wipe_guard()
    {
        OPENSSL_cleanse(secret_.data(), secret_.size());
        secret_.clear();
    }

private:
    std::string& secret_;
};

inline std::error_code fail(std::error_code ec, diagnostics& why, std::string message)
{
    why.message = std::move(message);
    return ec;
}

inline result<ssl_ctx_ptr> new_context(diagnostics& why)
{
    ssl_ctx_ptr ctx(SSL_CTX_new(TLS_method()));
    if (!ctx) throw std::bad_alloc();
    SSL_CTX_set_options(ctx.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_set_min_proto_version(ctx.get(), TLS1_2_VERSION) != 1)
        return fail(errc::internal, why, "the TLS library does not support TLS 1.2");
    return ctx;
}

/// ALPN names in their wire form: each behind a byte with its length.
inline result<std::vector<std::uint8_t>> encode_alpn(std::vector<std::string> const& names, diagnostics& why)
{
    std::vector<std::uint8_t> out;
    for (std::string const& name : names) {
        if (name.empty() || name.size() > 255)
            return fail(errc::bad_settings, why, "an application protocol (ALPN) name must have 1 to 255 bytes");
        out.push_back(static_cast<std::uint8_t>(name.size()));
        out.insert(out.end(), name.begin(), name.end());
    }
    if (out.size() > 0xfffd) return fail(errc::bad_settings, why, "too many application protocol (ALPN) names");
    return out;
}

inline result<void> use_identity(SSL_CTX* ctx, std::string const& certificate_pem, std::string const& key_pem, std::string_view whose, diagnostics& why)
{
    std::string const who(whose);
    auto certs = parse_certificates(certificate_pem);
    if (!certs) return fail(certs.error(), why, "the " + who + " certificate is not PEM text of a certificate");
    auto key = parse_private_key(key_pem);
    if (!key)
        return fail(key.error(), why,
                    key.error() == errc::encrypted_key ? "the " + who + " certificate's private key is protected by a passphrase"
                                                       : "the " + who + " certificate's private key is not PEM text of a private key");
    if (X509_check_private_key(certs->front().get(), key->get()) != 1) {
        ERR_clear_error();
        return fail(errc::key_mismatch, why, "the " + who + " certificate and its private key do not belong together");
    }
    bool ok = SSL_CTX_use_certificate(ctx, certs->front().get()) == 1 && SSL_CTX_use_PrivateKey(ctx, key->get()) == 1;
    for (std::size_t i = 1; ok && i < certs->size(); ++i) ok = SSL_CTX_add1_chain_cert(ctx, (*certs)[i].get()) == 1;
    ERR_clear_error();
    if (!ok) return fail(errc::bad_certificate, why, "the TLS library does not accept the " + who + " certificate or its key");
    return {};
}

inline void add_roots(SSL_CTX* ctx, std::vector<x509_ptr> const& roots)
{
    X509_STORE* const store = SSL_CTX_get_cert_store(ctx);
    for (x509_ptr const& root : roots) X509_STORE_add_cert(store, root.get()); // one that is there already is no error that matters
    ERR_clear_error();
    // A given certificate is trusted as it is, also when it is an intermediate one.
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
}

inline void use_system_roots(SSL_CTX* ctx)
{
    // Honours SSL_CERT_FILE and SSL_CERT_DIR; the built-in place is right on Debian and its relatives.
    SSL_CTX_set_default_verify_paths(ctx);
    std::error_code ignored;
    bool const chosen = std::getenv("SSL_CERT_FILE") || std::getenv("SSL_CERT_DIR");
    if (!chosen && !std::filesystem::exists("/etc/ssl/certs/ca-certificates.crt", ignored)) {
        for (char const* bundle : {"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
                                   "/usr/local/share/certs/ca-root-nss.crt"})
            if (std::filesystem::exists(bundle, ignored) && SSL_CTX_load_verify_locations(ctx, bundle, nullptr) == 1) break;
    }
    ERR_clear_error();
}

inline result<std::string> read_text_file(std::filesystem::path const& path)
{
    struct close_file {
        void operator()(std::FILE* f) const noexcept { std::fclose(f); }
    };
    std::unique_ptr<std::FILE, close_file> const in(std::fopen(path.c_str(), "rb"));
    if (!in) return std::error_code(errno, std::generic_category());
    std::string text;
    std::array<char, 16384> part;
    while (std::size_t const n = std::fread(part.data(), 1, part.size(), in.get())) text.append(part.data(), n);
    if (std::ferror(in.get())) return std::error_code(errno, std::generic_category()); // a folder can be opened, but not read
    return text;
}

inline result<void> use_client_roots(client_state& state, client_config const& config, diagnostics& why)
{
    if (config.roots_pem.empty() && config.roots_file.empty()) {
        state.system_roots = true;
        use_system_roots(state.ctx.get());
        return {};
    }
    if (!config.roots_pem.empty()) {
        auto roots = parse_certificates(config.roots_pem);
        if (!roots) return fail(roots.error(), why, "the authority's certificate is not PEM text of a certificate");
        add_roots(state.ctx.get(), *roots);
    }
    if (!config.roots_file.empty()) {
        auto text = read_text_file(config.roots_file);
        if (!text)
            return fail(text.error(), why, "the authority's certificate can't be read from " + config.roots_file.string() + ": " + text.error().message());
        auto roots = parse_certificates(*text);
        if (!roots) return fail(roots.error(), why, config.roots_file.string() + " is not PEM text of a certificate");
        add_roots(state.ctx.get(), *roots);
    }
    return {};
}

inline int select_alpn(SSL*, unsigned char const** out, unsigned char* out_len, unsigned char const* in, unsigned in_len, void* state) noexcept
{
    auto const& ours = static_cast<server_state*>(state)->alpn;
    unsigned char* chosen = nullptr;
    if (SSL_select_next_proto(&chosen, out_len, ours.data(), static_cast<unsigned>(ours.size()), in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

} // namespace detail

inline result<client_context> client_context::create(client_config config, diagnostics& why)
{
    detail::wipe_guard const wipe(config.key_pem);
    auto ctx = detail::new_context(why);
    if (!ctx) return ctx.error();
    auto state = std::make_shared<detail::client_state>(config.kept_sessions);
    state->ctx = std::move(*ctx);
    SSL_CTX* const raw = state->ctx.get();

    state->verify = config.verify;
    if (config.verify == verification::full) {
        if (auto ok = detail::use_client_roots(*state, config, why); !ok) return ok.error();
        SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, &detail::core::on_verify);
    } else {
        SSL_CTX_set_verify(raw, SSL_VERIFY_NONE, nullptr);
    }

    if (config.certificate_pem.empty() != config.key_pem.empty())
        return detail::fail(errc::bad_settings, why, "a client certificate needs its private key, and the other way round");
    if (!config.certificate_pem.empty())
        if (auto ok = detail::use_identity(raw, config.certificate_pem, config.key_pem, "client", why); !ok) return ok.error();

    auto alpn = detail::encode_alpn(config.alpn, why);
    if (!alpn) return alpn.error();
    if (!alpn->empty() && SSL_CTX_set_alpn_protos(raw, alpn->data(), static_cast<unsigned>(alpn->size())) != 0)
        return detail::fail(errc::bad_settings, why, "the TLS library does not accept the application protocol (ALPN) names");
    state->alpn = std::move(config.alpn);
    state->server_name = std::move(config.server_name);

    if (config.kept_sessions > 0) {
        SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(raw, &detail::core::on_new_session);
    } else {
        SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(raw, SSL_OP_NO_TICKET);
    }
    return client_context(std::move(state));
}

inline result<server_context> server_context::create(server_config config, diagnostics& why)
{
    detail::wipe_guard const wipe(config.key_pem);
    auto ctx = detail::new_context(why);
    if (!ctx) return ctx.error();
    auto state = std::make_shared<detail::server_state>();
    state->ctx = std::move(*ctx);
    SSL_CTX* const raw = state->ctx.get();

    if (auto ok = detail::use_identity(raw, config.certificate_pem, config.key_pem, "server", why); !ok) return ok.error();

    if (!config.client_roots_pem.empty()) {
        auto roots = detail::parse_certificates(config.client_roots_pem);
        if (!roots) return detail::fail(roots.error(), why, "the clients' authority is not PEM text of a certificate");
        detail::add_roots(raw, *roots);
        for (auto const& root : *roots) SSL_CTX_add_client_CA(raw, root.get());
        int const must = config.clients == client_certificates::required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
        SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | must, &detail::core::on_verify);
    }

    auto alpn = detail::encode_alpn(config.alpn, why);
    if (!alpn) return alpn.error();
    state->alpn = std::move(*alpn);
    if (!state->alpn.empty()) SSL_CTX_set_alpn_select_cb(raw, &detail::select_alpn, state.get());

    // Sessions of this server are resumed by this server only; without a name of its own, a server that checks clients could not resume.
    std::array<unsigned char, 8> const name{'p', 'o', 'd', 'p', 'r', 'o', 'x', 'y'};
    SSL_CTX_set_session_id_context(raw, name.data(), name.size());
    return server_context(std::move(state));
}

} // namespace podproxy::tls

#endif
