#ifndef PODPROXY_PROXY_ACCESS_HPP
#define PODPROXY_PROXY_ACCESS_HPP

#include <podproxy/auth/verifier.hpp>
#include <podproxy/core/cidr.hpp>
#include <podproxy/core/log.hpp>
#include <podproxy/http/basic_credentials.hpp>
#include <podproxy/net/asio.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace podproxy::proxy {

/** Who may use the proxy: by address, and by user and password. By default everybody.

    @par Lifetime The log's sink outlives it. */
class access_control {
public:
    explicit access_control(logger log = {}, auth::verifier_config config = {}) : log_(log), verifier_({}, std::move(config)) {}

    /// Users from now on; nothing: no password is asked for. Connections that are open go on.
    void set_users(std::optional<auth::user_table> users)
    {
        asks_ = users.has_value();
        verifier_.set_users(users ? *std::move(users) : auth::user_table());
        told_slow_ = told_unable_ = false;
    }
    bool asks_for_password() const noexcept { return asks_; }

    /// The addresses of clients from now on, beside loopback; nothing: every address.
    void set_allowed(std::optional<std::vector<cidr>> blocks) { allowed_ = std::move(blocks); }
    bool is_limited() const noexcept { return allowed_.has_value(); }

    /// Whether a client may come from there. Loopback always may.
    bool admits(asio::ip::address const& from) const
    {
        if (!allowed_ || from.is_loopback()) return true;
        if (from.is_v4()) return contains(*allowed_, as_mapped(from.to_v4().to_bytes()));
        auto const v6 = from.to_v6();
        if (v6.is_v4_mapped() && v6.to_bytes()[12] == 127) return true;
        return contains(*allowed_, v6.to_bytes());
    }

    /// Whether this is the password of that user; yes where none is asked for.
    bool check(std::string_view user, std::string_view password)
    {
        if (!asks_) return true;
        auto const found = verifier_.check(user, password);
        tell(found);
        return found == auth::verdict::right;
    }

    /// The same for the value of a `Proxy-Authorization` field, empty where there is none.
    bool check_basic(std::string_view field)
    {
        if (!asks_) return true;
        if (field.empty()) return false;
        auto const who = http::parse_basic_credentials(field);
        return who && check(who->user, who->password.reveal());
    }

private:
    using clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds quiet{10}; ///< between two lines about refused clients

    // The names that were tried are not told: somebody may have typed a password there.
    void tell(auth::verdict found)
    {
        if (verifier_.failure() && !std::exchange(told_unable_, true))
            log_.error("passwords can't be checked: this system's libcrypt is missing, or does not know a hash in the file of 'users'");
        if (verifier_.slowest() > std::chrono::milliseconds(300) && !std::exchange(told_slow_, true))
            log_.warn("checking a password takes long, and all connections wait for it: make cheaper hashes ('htpasswd -B -C 10')", {{"duration", verifier_.slowest()}});
        if (found == auth::verdict::right) return;
        ++refused_;
        auto const now = clock::now();
        if (now < next_line_) return;
        next_line_ = now + quiet;
        log_.warn(found == auth::verdict::busy ? "clients were refused: too many passwords are being tried" : "clients were refused: wrong user name or password",
                  {{"count", std::exchange(refused_, 0)}});
    }

    logger log_;
    auth::verifier verifier_;
    std::optional<std::vector<cidr>> allowed_;
    bool asks_ = false;
    bool told_slow_ = false;
    bool told_unable_ = false;
    std::uint64_t refused_ = 0;
    clock::time_point next_line_{};
};

} // namespace podproxy::proxy

#endif
