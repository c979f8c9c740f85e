#ifndef PODPROXY_NET_HAPPY_EYEBALLS_FSM_HPP
#define PODPROXY_NET_HAPPY_EYEBALLS_FSM_HPP

#include <podproxy/core/error.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>
#include <vector>

namespace podproxy::net {

enum class address_family : std::uint8_t { v4, v6 };

/** The order in which addresses are tried: families take turns, beginning with that of the first address; within a family the
    given order stays (RFC 8305 section 4, with a First Address Family Count of 1).
    @return positions in `families`. */
inline std::vector<std::size_t> interleave(std::vector<address_family> const& families)
{
    std::vector<std::size_t> out;
    out.reserve(families.size());
    std::size_t next[2] = {0, 0}; // by family
    address_family turn = families.empty() ? address_family::v6 : families.front();
    while (out.size() < families.size()) {
        for (int both = 0; both < 2; ++both) { // the other family, when this one has no more
            std::size_t& at = next[static_cast<std::size_t>(turn)];
            while (at < families.size() && families[at] != turn) ++at;
            bool const found = at < families.size();
            if (found) out.push_back(at++);
            turn = turn == address_family::v4 ? address_family::v6 : address_family::v4;
            if (found) break;
        }
    }
    return out;
}

/** How much an error says about a destination: refused > unreachable > timed out > anything else that happened on our side. */
inline int telling(std::error_code ec) noexcept
{
    if (ec == cond::refused) return 4;
    if (ec == cond::timed_out) return 2; // also "unavailable": asked first
    if (ec == cond::unavailable) return 3;
    return ec ? 1 : 0;
}

/** Decides when to try which address: Happy Eyeballs version 2, RFC 8305 section 5.

    The next attempt begins when `attempt_delay` has passed since the last one began, or at once when an attempt fails. The
    first success wins; then the machine is not asked any more. Addresses are numbers from 0, in the order of `interleave`.
    The resolution delay (section 3) has no place here: getaddrinfo(3) answers for both families at once. */
class happy_eyeballs_fsm {
public:
    using duration = std::chrono::steady_clock::duration;
    using time_point = std::chrono::steady_clock::time_point;

    /// What to do next.
    struct action {
        enum class kind {
            start, ///< Begin the attempt `address`, then ask again.
            wait,  ///< Wait for an attempt to end, or until `until` if there is one; then ask again.
            fail,  ///< Nothing is left: `error`.
        };
        kind what;
        std::size_t address = 0;
        std::optional<time_point> until;
        std::error_code error;
    };

    happy_eyeballs_fsm(std::size_t addresses, duration attempt_delay) noexcept : addresses_(addresses), delay_(attempt_delay) {}

    action resume(time_point now)
    {
        bool const due = running_ == 0 || now >= next_start_;
        if (started_ < addresses_ && due) {
            ++running_;
            next_start_ = now + delay_;
            action out{action::kind::start, started_++, {}, {}};
            return out;
        }
        if (running_ != 0) {
            action out{action::kind::wait, 0, {}, {}};
            if (started_ < addresses_) out.until = next_start_;
            return out;
        }
        return {action::kind::fail, 0, {}, worst_ ? worst_ : std::error_code(errc::unavailable)};
    }

    /// An attempt ended without success. The next one is due at once.
    void failed(std::error_code ec, time_point now) noexcept
    {
        if (running_ != 0) --running_;
        next_start_ = now;
        if (telling(ec) > telling(worst_)) worst_ = ec;
    }

private:
    std::size_t addresses_;
    duration delay_;
    std::size_t started_ = 0;
    std::size_t running_ = 0;
    time_point next_start_{};
    std::error_code worst_; ///< the most telling error so far
};

} // namespace podproxy::net

#endif
