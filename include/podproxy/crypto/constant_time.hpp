#ifndef PODPROXY_CRYPTO_CONSTANT_TIME_HPP
#define PODPROXY_CRYPTO_CONSTANT_TIME_HPP

#include <podproxy/core/bytes.hpp>
#include <openssl/crypto.h>
#include <string_view>

namespace podproxy::crypto {

/** Whether two secrets are equal, in a time that tells nothing about where they differ.

    The lengths are not secret: different ones answer at once. Compare digests where the length of a secret matters. */
inline bool constant_time_equal(bytes_view a, bytes_view b) noexcept
{
    if (a.size() != b.size()) return false;
    if (a.empty()) return true;
    return ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

inline bool constant_time_equal(std::string_view a, std::string_view b) noexcept { return constant_time_equal(as_bytes(a), as_bytes(b)); }

} // namespace podproxy::crypto

#endif
