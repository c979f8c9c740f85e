#ifndef PODPROXY_AUTH_PASSWORD_HASH_HPP
#define PODPROXY_AUTH_PASSWORD_HASH_HPP

#include <podproxy/auth/detail/crypt_library.hpp>
#include <podproxy/core/error.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/core/secret.hpp>
#include <podproxy/crypto/constant_time.hpp>
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>

namespace podproxy::auth {

/// What can be said about the hash of a password without trying one.
enum class hash_form : std::uint8_t {
    usable,
    unknown,    ///< No hash of a kind that is taken; perhaps a plain password.
    weak,       ///< DES, MD5 (`$1$`, `$apr1$`) or SHA-1: found out too quickly by whoever gets the file.
    too_costly, ///< Each check would keep everybody waiting for seconds.
    broken,     ///< Begins like a known kind, and has the wrong length or a character that can't be in it.
};

inline constexpr unsigned max_bcrypt_cost = 12;          ///< About a quarter of a second.
inline constexpr std::uint32_t max_sha_crypt_rounds = 500'000;
/// No longer password can be right. crypt(3)
inline constexpr std::size_t max_password_bytes = 511;

namespace detail {

inline bool hash_characters(std::string_view text) noexcept
{
    return std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '/' || c == '$' || c == '=' || c == ',';
    });
}

inline hash_form bcrypt_form(std::string_view hash) noexcept
{
    bool const shaped = hash.size() == 60 && hash[6] == '$' && hash.find('$', 7) == std::string_view::npos;
    unsigned cost = 0;
    if (!shaped || std::from_chars(hash.data() + 4, hash.data() + 6, cost).ptr != hash.data() + 6 || cost < 4 || cost > 31) return hash_form::broken;
    return cost > max_bcrypt_cost ? hash_form::too_costly : hash_form::usable;
}

/// `$5$[rounds=N$]salt$hash`
inline hash_form sha_crypt_form(std::string_view rest, std::size_t hash_size) noexcept
{
    std::uint32_t rounds = 5000;
    if (rest.starts_with("rounds=")) {
        rest.remove_prefix(7);
        std::size_t const end = rest.find('$');
        if (end == std::string_view::npos) return hash_form::broken;
        auto const [last, ec] = std::from_chars(rest.data(), rest.data() + end, rounds);
        if (ec == std::errc::result_out_of_range) return hash_form::too_costly;
        if (ec != std::errc() || last != rest.data() + end) return hash_form::broken;
        rest.remove_prefix(end + 1);
    }
    std::size_t const salt = rest.find('$');
    if (salt == std::string_view::npos || salt > 16 || rest.size() - salt - 1 != hash_size || rest.find('$', salt + 1) != std::string_view::npos) return hash_form::broken;
    return rounds > max_sha_crypt_rounds ? hash_form::too_costly : hash_form::usable;
}

/// `$y$parameters$salt$hash`
inline hash_form yescrypt_form(std::string_view rest) noexcept
{
    bool const shaped = std::ranges::count(rest, '$') == 2 && rest.size() >= 43 + 3 && rest.rfind('$') == rest.size() - 44 && rest.front() != '$';
    if (!shaped) return hash_form::broken;
    // The second character is the logarithm of the memory: `9` is 4 MiB with the usual block size, each one above doubles it.
    char const memory = rest.size() > 1 ? rest[1] : '.';
    bool const usual = rest.front() == 'j' && (memory <= '9' || (memory >= 'A' && memory <= 'D'));
    return usual ? hash_form::usable : hash_form::too_costly;
}

} // namespace detail

/** Look at the hash of a password: bcrypt (`$2a$`, `$2b$`, `$2y$`, as of `htpasswd -B`), SHA-256 and SHA-512 (`$5$`, `$6$`, as of
    `openssl passwd -6`) and yescrypt (`$y$`, as of `mkpasswd`). */
inline hash_form look_at_hash(std::string_view hash) noexcept
{
    if (hash.starts_with("$apr1$") || hash.starts_with("$1$") || hash.starts_with("{SHA}")) return hash_form::weak;
    bool const known = hash.starts_with("$2a$") || hash.starts_with("$2b$") || hash.starts_with("$2y$") || hash.starts_with("$5$") || hash.starts_with("$6$") ||
                       hash.starts_with("$y$");
    if (!known) return hash_form::unknown;
    if (hash.size() > 255 || !detail::hash_characters(hash)) return hash_form::broken;
    if (hash[1] == '2') return detail::bcrypt_form(hash);
    if (hash[1] == 'y') return detail::yescrypt_form(hash.substr(3));
    return detail::sha_crypt_form(hash.substr(3), hash[1] == '5' ? 43 : 86);
}

/** Whether a password is the one that was hashed. Takes milliseconds, as it is meant to.

    @param hash One that `look_at_hash` calls usable.
    @return the answer; or `std::errc::function_not_supported` where the system has no libcrypt, or one that does not know this kind. */
inline result<bool> verify_password(std::string_view password, secret const& hash)
{
    if (password.size() > max_password_bytes || password.find('\0') != std::string_view::npos) return false;
    auto const* const library = detail::crypt_library::get();
    if (!library) return std::make_error_code(std::errc::function_not_supported);
    secret const setting{std::string(hash.reveal())};
    secret const given{std::string(password)};
    struct memory {
        void* data = nullptr;
        int size = 0;
        memory() = default;
        memory(memory const&) = delete;
        memory& operator=(memory const&) = delete;
        ~memory()
        {
            auto volatile* const bytes = static_cast<char volatile*>(data); // it has seen the password
            for (int i = 0; i < size; ++i) bytes[i] = 0;
            std::free(data);
        }
    } work;
    char const* const made = library->crypt_ra(given.reveal().data(), setting.reveal().data(), &work.data, &work.size); // both end in a zero
    if (!made || made[0] == '*') return std::make_error_code(std::errc::function_not_supported);
    return crypto::constant_time_equal(std::string_view(made), hash.reveal());
}

} // namespace podproxy::auth

#endif
