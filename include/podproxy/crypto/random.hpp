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

/** Fill `out` with bytes that nobody can guess.
    @throws std::runtime_error where the system gives none; going on without them would be worse. */
inline void random(std::span<std::uint8_t> out)
{
    while (!out.empty()) {
        std::size_t const part = out.size() < 65536 ? out.size() : 65536; // OpenSSL counts in `int`
        if (::RAND_bytes(out.data(), static_cast<int>(part)) != 1) throw std::runtime_error("the system gives no random numbers");
        out = out.subspan(part);
    }
}

} // namespace podproxy::crypto

#endif
