#ifndef PODPROXY_CORE_CLOCK_HPP
#define PODPROXY_CORE_CLOCK_HPP

#include <podproxy/core/error.hpp>
#include <podproxy/core/result.hpp>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

namespace podproxy {

/// A moment of the calendar, for texts and for comparing with what a peer wrote. Waiting is done on a steady clock.
using wall_time = std::chrono::sys_time<std::chrono::milliseconds>;

/// Now, by the clock on the wall.
inline wall_time wall_now() { return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

/// `2026-11-21T13:52:08.123Z`: always UTC, always milliseconds. @pre a year from 0 to 9999 @par Source RFC 3339 section 5.6
inline std::string format_rfc3339(wall_time time)
{
    auto const day = std::chrono::floor<std::chrono::days>(time);
    std::chrono::year_month_day const date(day);
    std::chrono::hh_mm_ss const clock(time - day);
    char text[128];
    int const n = std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                                static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
                                static_cast<int>(clock.subseconds().count()));
    return {text, static_cast<std::size_t>(n)};
}

namespace detail {

/// Takes `count` digits off the front, or gives -1.
inline int take_digits(std::string_view& text, std::size_t count) noexcept
{
    if (text.size() < count) return -1;
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (text[i] < '0' || text[i] > '9') return -1;
        value = value * 10 + (text[i] - '0');
    }
    text.remove_prefix(count);
    return value;
}

inline bool take_char(std::string_view& text, std::string_view any_of) noexcept
{
    if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
}

} // namespace detail

/** Read a date and time with its offset from UTC, such as `2026-11-21T14:52:08.123456+01:00`.

    Fractions of a second are cut to milliseconds; a leap second (`:60`) is the second after it.
    @par Source RFC 3339 section 5.6; `t` and `z` may be small, a blank does not stand for the `T`.
    @return the moment, or `errc::malformed`. */
inline result<wall_time> parse_rfc3339(std::string_view text)
{
    using namespace std::chrono;
    int const y = detail::take_digits(text, 4);
    bool ok = y >= 0 && detail::take_char(text, "-");
    int const mo = detail::take_digits(text, 2);
    ok = ok && mo >= 0 && detail::take_char(text, "-");
    int const d = detail::take_digits(text, 2);
    ok = ok && d >= 0 && detail::take_char(text, "Tt");
    int const h = detail::take_digits(text, 2);
    ok = ok && h >= 0 && h < 24 && detail::take_char(text, ":");
    int const mi = detail::take_digits(text, 2);
    ok = ok && mi >= 0 && mi < 60 && detail::take_char(text, ":");
    int const s = detail::take_digits(text, 2);
    ok = ok && s >= 0 && s <= 60;
    if (!ok) return errc::malformed;
    year_month_day const date(year(y), month(static_cast<unsigned>(mo)), day(static_cast<unsigned>(d)));
    if (!date.ok()) return errc::malformed;

    int fraction = 0;
    if (detail::take_char(text, ".")) {
        std::size_t digits = 0;
        for (int digit; (digit = detail::take_digits(text, 1)) >= 0; ++digits)
            if (digits < 3) fraction = fraction * 10 + digit;
        if (digits == 0) return errc::malformed;
        for (; digits < 3; ++digits) fraction *= 10;
    }
    minutes offset(0);
    if (!detail::take_char(text, "Zz")) {
        bool const behind = text.starts_with('-');
        if (!detail::take_char(text, "+-")) return errc::malformed;
        int const oh = detail::take_digits(text, 2);
        if (oh < 0 || oh > 23 || !detail::take_char(text, ":")) return errc::malformed;
        int const om = detail::take_digits(text, 2);
        if (om < 0 || om > 59) return errc::malformed;
        offset = hours(oh) + minutes(om);
        if (behind) offset = -offset;
    }
    if (!text.empty()) return errc::malformed;
    return wall_time(sys_days(date) + hours(h) + minutes(mi) + seconds(s) + milliseconds(fraction) - offset);
}

} // namespace podproxy

#endif
