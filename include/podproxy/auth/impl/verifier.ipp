#include <podproxy/core/bytes.hpp>
#include <podproxy/crypto/random.hpp>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <algorithm>
#include <new>

namespace podproxy::auth {

inline verifier::verifier(user_table users, verifier_config config)
    : users_(std::move(users)), config_(std::move(config)), saved_(config_.most_saved), saved_at_(config_.now())
{
    crypto::random(key_);
}

inline void verifier::set_users(user_table users)
{
    users_ = std::move(users);
    right_.clear();
    wrong_.clear();
    slowest_ = {};
    failure_ = {};
}

inline bool verifier::memory::has(crypto::sha256_digest const& tag, time_point now) const
{
    auto const it = known.find(tag);
    return it != known.end() && now < it->second;
}

inline void verifier::memory::add(crypto::sha256_digest const& tag, time_point until, time_point now, std::size_t most)
{
    // All are kept for the same time, so the first in order is the first to expire. One that is renewed is there twice in `order`; the earlier
    // mention takes nothing away that is still good.
    auto const drop_first = [this, now](bool whatever) {
        auto const it = known.find(order.front());
        if (it != known.end() && !whatever && now < it->second) return false;
        if (it != known.end()) known.erase(it);
        order.pop_front();
        return true;
    };
    while (!order.empty() && drop_first(false)) {}
    while (!order.empty() && order.size() >= most) drop_first(true);
    known.insert_or_assign(tag, until);
    order.push_back(tag);
}

inline void verifier::memory::clear()
{
    known.clear();
    order.clear();
}

inline crypto::sha256_digest verifier::tag_of(std::string_view user, std::string_view password) const
{
    crypto::sha256_digest const names = crypto::sha256(as_bytes(user)); // of one length, so that nothing can slip from the name into the password
    secret text{std::string(as_text(names)) + std::string(password)};
    bytes_view const in = as_bytes(text.reveal());
    crypto::sha256_digest out{};
    unsigned size = 0;
    if (!::HMAC(::EVP_sha256(), key_.data(), key_.size(), in.data(), in.size(), out.data(), &size)) throw std::bad_alloc();
    return out;
}

/// A bucket of time that fills up by a part of what passes.
inline bool verifier::may_hash(time_point now)
{
    saved_ = std::min<duration>(saved_ + (now - saved_at_) * config_.percent / 100, config_.most_saved);
    saved_at_ = now;
    return saved_ > duration::zero();
}

inline verdict verifier::check(std::string_view user, std::string_view password)
{
    if (users_.empty() || password.size() > max_password_bytes) return verdict::wrong;
    auto const begun = config_.now();
    auto const tag = tag_of(user, password);
    if (right_.has(tag, begun)) return verdict::right;
    if (wrong_.has(tag, begun)) return verdict::wrong;
    if (!may_hash(begun)) return verdict::busy;
    auto const known = users_.find(user);
    auto const fits = config_.verify(password, known != users_.end() ? known->second : users_.begin()->second);
    auto const ended = config_.now();
    slowest_ = std::max(slowest_, ended - begun);
    saved_ -= std::max<duration>(ended - begun, config_.least_cost);
    saved_at_ = ended;
    failure_ = fits.error();
    bool const right = known != users_.end() && fits && *fits;
    if (right) right_.add(tag, ended + config_.keep_right, ended, config_.most_kept);
    else if (fits) wrong_.add(tag, ended + config_.keep_wrong, ended, config_.most_kept);
    return right ? verdict::right : verdict::wrong;
}

} // namespace podproxy::auth
