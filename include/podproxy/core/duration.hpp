#ifndef PODPROXY_CORE_DURATION_HPP
#define PODPROXY_CORE_DURATION_HPP

#include <podproxy/core/error.hpp>
#include <podproxy/core/result.hpp>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>

namespace podproxy {

namespace detail {

struct duration_unit {
    std::string_view name;
    std::int64_t milliseconds;
};

/// From large to small: the order in which a text may use them.
inline constexpr std::array<duration_unit, 4> duration_units{{{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};

} // namespace detail

/** Read `50ms`, `2s`, `1m30s` or `2h`: whole numbers with a unit each, from large to small, each unit at most once. `0` needs no unit.
    @return the time, or `errc::malformed`: also for a number without a unit, a sign, a fraction, blanks, or more than 292 million years. */
inline result<std::chrono::milliseconds> parse_duration(std::string_view text)
{
    if (text == "0") return std::chrono::milliseconds(0);
    if (text.empty()) return errc::malformed;
    std::int64_t total = 0;
    std::size_t next_unit = 0;
    while (!text.empty()) {
        if (text.front() < '0' || text.front() > '9') return errc::malformed; // from_chars would take a sign
        std::int64_t number = 0;
        auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (ec != std::errc()) return errc::malformed;
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        std::string_view const name = text.substr(0, text.find_first_of("0123456789"));
        while (next_unit < detail::duration_units.size() && detail::duration_units[next_unit].name != name) ++next_unit;
        if (next_unit == detail::duration_units.size()) return errc::malformed;
        std::int64_t const unit = detail::duration_units[next_unit++].milliseconds;
        if (number > (std::numeric_limits<std::int64_t>::max() - total) / unit) return errc::malformed;
        total += number * unit;
        text.remove_prefix(name.size());
    }
    return std::chrono::milliseconds(total);
}

/// The shortest form that `parse_duration` reads back: `1m30s`, `50ms`, `0`. @pre not negative
inline std::string format_duration(std::chrono::milliseconds time)
{
    std::int64_t rest = time.count();
    if (rest == 0) return "0";
    std::string out;
    for (auto const& unit : detail::duration_units) {
        if (rest < unit.milliseconds) continue;
        out += std::to_string(rest / unit.milliseconds);
        out += unit.name;
        rest %= unit.milliseconds;
    }
    return out;
}

} // namespace podproxy

#endif
