#ifndef PODPROXY_AUTH_VERIFIER_HPP
#define PODPROXY_AUTH_VERIFIER_HPP

#include <podproxy/auth/password_hash.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/core/secret.hpp>
#include <podproxy/crypto/digest.hpp>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace podproxy::auth {

/// From the name of a user to the hash of the password.
using user_table = std::map<std::string, secret, std::less<>>;

enum class verdict : std::uint8_t {
    right,
    wrong,
    busy, ///< Not looked at: too many others have been looked at in the last moments.
};

struct verifier_config {
    using clock = std::chrono::steady_clock;

    std::chrono::milliseconds keep_right{std::chrono::minutes(5)}; ///< How long a right password is known without being hashed again.
    std::chrono::milliseconds keep_wrong{std::chrono::seconds(30)}; ///< The same for a wrong one.
    std::size_t most_kept = 1024;                                   ///< Of each of both; the oldest are forgotten.
    /// Time for hashing that may be saved up: what a crowd of clients takes at once.
    std::chrono::milliseconds most_saved{500};
    unsigned percent = 25;        ///< The part of the time that goes into hashing at most, in the long run. From 1 to 100.
    std::chrono::milliseconds least_cost{12}; ///< What a hash counts for at least: this bounds how many are looked at each second (20).
    /// Says whether a password fits a hash. A test may put something quicker here, and its own clock.
    std::function<result<bool>(std::string_view password, secret const& hash)> verify = [](std::string_view p, secret const& h) { return verify_password(p, h); };
    std::function<clock::time_point()> now = [] { return clock::now(); };
};

/** Checks users and passwords without keeping everybody else waiting: hashing takes milliseconds by design, and all connections share
    one thread.

    Each answer is remembered for a while, under a keyed digest that nobody can compute backwards. New ones are looked at as long as hashing has
    taken less than its part of the time. An unknown user takes as long as a wrong password. */
class verifier {
public:
    explicit verifier(user_table users = {}, verifier_config config = {});

    /// Other users from now on. What is remembered is forgotten.
    void set_users(user_table users);
    std::size_t users() const noexcept { return users_.size(); }

    verdict check(std::string_view user, std::string_view password);

    /// What went wrong with the last hash that was looked at: the system can't compute it. Empty when nothing did.
    std::error_code failure() const noexcept { return failure_; }
    /// How long the slowest look has taken.
    std::chrono::milliseconds slowest() const noexcept { return std::chrono::duration_cast<std::chrono::milliseconds>(slowest_); }

private:
    using time_point = verifier_config::clock::time_point;
    using duration = verifier_config::clock::duration;

    /// Answers of one kind, in the order in which they expire.
    struct memory {
        std::map<crypto::sha256_digest, time_point> known;
        std::deque<crypto::sha256_digest> order;

        bool has(crypto::sha256_digest const& tag, time_point now) const;
        void add(crypto::sha256_digest const& tag, time_point until, time_point now, std::size_t most);
        void clear();
    };

    crypto::sha256_digest tag_of(std::string_view user, std::string_view password) const;
    bool may_hash(time_point now);

    user_table users_;
    verifier_config config_;
    std::array<std::uint8_t, 32> key_{};
    memory right_;
    memory wrong_;
    duration saved_;
    time_point saved_at_;
    duration slowest_{};
    std::error_code failure_;
};

} // namespace podproxy::auth

#include <podproxy/auth/impl/verifier.ipp>

#endif
