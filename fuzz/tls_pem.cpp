// Any text as roots, as our certificate and as our key: it is taken or refused with a code of ours, and what is taken can be
// written and read again.

#include <podproxy/tls/context.hpp>
#include <podproxy/tls/detail/pem.hpp>

#include <openssl/pem.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace podproxy;

bool is_tls_error(std::error_code ec) { return ec && ec.category().name() == std::string_view("podproxy.tls"); }

void check_certificates(std::string const& text)
{
    auto certs = tls::detail::parse_certificates(text);
    if (!certs) {
        if (certs.error() != tls::errc::bad_certificate) std::abort();
        return;
    }
    tls::detail::bio_ptr const out(BIO_new(BIO_s_mem()));
    for (auto const& cert : *certs)
        if (PEM_write_bio_X509(out.get(), cert.get()) != 1) std::abort();
    char* data = nullptr;
    long const size = BIO_get_mem_data(out.get(), &data);
    auto const again = tls::detail::parse_certificates(std::string_view(data, static_cast<std::size_t>(size)));
    if (!again || again->size() != certs->size()) std::abort();
    for (std::size_t i = 0; i < certs->size(); ++i)
        if (X509_cmp((*certs)[i].get(), (*again)[i].get()) != 0) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    std::string const text(reinterpret_cast<char const*>(data), size);
    check_certificates(text);

    if (!text.empty()) {
        diagnostics why;
        tls::client_config roots;
        roots.roots_pem = text;
        auto const trusting = tls::client_context::create(roots, why);
        if (!trusting && (!is_tls_error(trusting.error()) || why.message.empty())) std::abort();

        tls::server_config identity;
        identity.certificate_pem = text;
        identity.key_pem = text;
        auto const server = tls::server_context::create(identity, why);
        if (!server && (!is_tls_error(server.error()) || why.message.empty())) std::abort();
    }
    return 0;
}
