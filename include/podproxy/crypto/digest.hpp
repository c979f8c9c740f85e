#ifndef PODPROXY_CRYPTO_DIGEST_HPP
#define PODPROXY_CRYPTO_DIGEST_HPP

#include <podproxy/core/bytes.hpp>
#include <openssl/evp.h>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace podproxy::crypto {

using sha1_digest = std::array<std::uint8_t, 20>;
using sha256_digest = std::array<std::uint8_t, 32>;

namespace detail {

template <std::size_t N>
inline std::array<std::uint8_t, N> digest(EVP_MD const* kind, bytes_view in)
{
    std::array<std::uint8_t, N> out{};
    unsigned size = 0;
    // Fails only when there is no memory for the state.
    if (::EVP_Digest(in.data(), in.size(), out.data(), &size, kind, nullptr) != 1 || size != N) throw std::bad_alloc();
    return out;
}

} // namespace detail

/// SHA-1 of all of `in`. Only where a protocol asks for it (WebSocket's handshake): it protects nothing any more.
inline sha1_digest sha1(bytes_view in) { return detail::digest<20>(::EVP_sha1(), in); }

/// SHA-256 of all of `in`.
inline sha256_digest sha256(bytes_view in) { return detail::digest<32>(::EVP_sha256(), in); }

/// SHA-256 of bytes that come in pieces.
class sha256_hasher {
public:
    sha256_hasher() : state_(::EVP_MD_CTX_new()) { start(); }

    sha256_hasher& update(bytes_view in)
    {
        if (::EVP_DigestUpdate(state_.get(), in.data(), in.size()) != 1) throw std::bad_alloc();
        return *this;
    }

    /// The digest of all that came; then it starts over.
    sha256_digest finish()
    {
        sha256_digest out{};
        unsigned size = 0;
        if (::EVP_DigestFinal_ex(state_.get(), out.data(), &size) != 1) throw std::bad_alloc();
        start();
        return out;
    }

private:
    struct free_state {
        void operator()(EVP_MD_CTX* state) const noexcept { ::EVP_MD_CTX_free(state); }
    };
    void start()
    {
        if (!state_ || ::EVP_DigestInit_ex(state_.get(), ::EVP_sha256(), nullptr) != 1) throw std::bad_alloc();
    }

    std::unique_ptr<EVP_MD_CTX, free_state> state_;
};

} // namespace podproxy::crypto

#endif
