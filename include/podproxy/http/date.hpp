#ifndef PODPROXY_HTTP_DATE_HPP
#define PODPROXY_HTTP_DATE_HPP

#include <chrono>
#include <string>
#include <string_view>

namespace podproxy::http {

/// A Date field's value in the preferred form, RFC 9110 section 5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT`. Years 0 to 9999.
inline std::string format_date(std::chrono::sys_seconds when)
{
    static constexpr std::string_view days = "SunMonTueWedThuFriSat";
    static constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    auto const day = std::chrono::floor<std::chrono::days>(when);
    std::chrono::year_month_day const date(day);
    std::chrono::hh_mm_ss const time(when - day);
    std::string out;
    out.reserve(29);
    auto two_digits = [&](auto n) {
        out += static_cast<char>('0' + n / 10 % 10);
        out += static_cast<char>('0' + n % 10);
    };
    int const year = static_cast<int>(date.year());
    out.append(days.substr(std::chrono::weekday(day).c_encoding() * 3, 3)).append(", ");
    two_digits(static_cast<unsigned>(date.day()));
    out.append(" ").append(months.substr((static_cast<unsigned>(date.month()) - 1) * 3, 3)).append(" ");
    two_digits(year / 100);
    two_digits(year % 100);
    out += ' ';
    two_digits(time.hours().count());
    out += ':';
    two_digits(time.minutes().count());
    out += ':';
    two_digits(time.seconds().count());
    return out += " GMT";
}

} // namespace podproxy::http

#endif
