#ifndef PODPROXY_CRYPTO_RANDOM_HPP
#define PODPROXY_CRYPTO_RANDOM_HPP

#include <openssl/rand.h>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>

namespace podproxy::crypto {

/// Fills its argument with bytes. Protocol code gets one of these, so that tests can know the bytes.
using random_source = std::function<void(std::span<std::uint8_t>)>;

namespace detail {

/// OpenSSL counts the bytes in `int`, BoringSSL in `size_t`.
template <class Size>
inline bool random_part(int (*source)(std::uint8_t*, Size), std::uint8_t* out, std::size_t size)
{
    return source(out, static_cast<Size>(size)) == 1;
}

} // namespace detail

/** Fill `out` with bytes that nobody can guess.
    @throws std::runtime_error where the system gives none; going on without them would be worse. */
inline void random(std::span<std::uint8_t> out)
{
    while (!out.empty()) {
        std::size_t const part = out.size() < 65536 ? out.size() : 65536;
        if (!detail::random_part(&::RAND_bytes, out.data(), part)) throw std::runtime_error("the system gives no random numbers");
        out = out.subspan(part);
    }
}

} // namespace podproxy::crypto

#endif
