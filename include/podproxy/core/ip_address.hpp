#ifndef PODPROXY_CORE_IP_ADDRESS_HPP
#define PODPROXY_CORE_IP_ADDRESS_HPP

#include <podproxy/core/hex.hpp>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace podproxy {

/// Four bytes in network order.
using ipv4_bytes = std::array<std::uint8_t, 4>;
/// Sixteen bytes in network order.
using ipv6_bytes = std::array<std::uint8_t, 16>;

/** Read `192.0.2.1`: four decimal numbers of at most 255, without leading zeros (which some systems read as octal), with nothing
    before or behind. The short forms of inet_aton(3) are refused. */
inline std::optional<ipv4_bytes> parse_ipv4(std::string_view text) noexcept
{
    ipv4_bytes out{};
    for (std::size_t i = 0; i < out.size(); ++i) {
        if (i != 0) {
            if (text.empty() || text.front() != '.') return std::nullopt;
            text.remove_prefix(1);
        }
        unsigned value = 0;
        std::size_t digits = 0;
        while (digits < text.size() && digits < 4 && text[digits] >= '0' && text[digits] <= '9')
            value = value * 10 + static_cast<unsigned>(text[digits++] - '0');
        if (digits == 0 || digits > 3 || value > 255 || (digits > 1 && text.front() == '0')) return std::nullopt;
        out[i] = static_cast<std::uint8_t>(value);
        text.remove_prefix(digits);
    }
    if (!text.empty()) return std::nullopt;
    return out;
}

/// Read an IPv6 address in any of the forms of RFC 4291 section 2.2, without brackets and without a zone.
inline std::optional<ipv6_bytes> parse_ipv6(std::string_view text) noexcept
{
    ipv6_bytes out{};
    std::size_t filled = 0;          // bytes written
    std::optional<std::size_t> gap;  // where "::" stands, in bytes
    if (text.starts_with("::")) {
        gap = 0;
        text.remove_prefix(2);
    }
    while (!text.empty()) {
        std::size_t digits = 0;
        unsigned value = 0;
        while (digits < text.size() && digits < 5 && hex_value(text[digits]) >= 0)
            value = value * 16 + static_cast<unsigned>(hex_value(text[digits++]));
        if (digits < text.size() && text[digits] == '.') { // the last 32 bits as IPv4
            auto const v4 = parse_ipv4(text);
            if (!v4 || filled > 12) return std::nullopt;
            for (std::uint8_t const b : *v4) out[filled++] = b;
            text = {};
            break;
        }
        if (digits == 0 || digits > 4 || filled == out.size()) return std::nullopt;
        out[filled++] = static_cast<std::uint8_t>(value >> 8);
        out[filled++] = static_cast<std::uint8_t>(value);
        text.remove_prefix(digits);
        if (text.empty()) break;
        if (text.starts_with("::")) {
            if (gap) return std::nullopt;
            gap = filled;
            text.remove_prefix(2);
        } else {
            if (text.front() != ':' || text.size() == 1) return std::nullopt;
            text.remove_prefix(1);
        }
    }
    if (!gap) return filled == out.size() ? std::optional(out) : std::nullopt;
    if (filled == out.size()) return std::nullopt; // "::" stands for at least one group
    std::size_t const moved = filled - *gap;
    for (std::size_t i = 0; i < moved; ++i) {
        out[out.size() - 1 - i] = out[filled - 1 - i];
        out[filled - 1 - i] = 0;
    }
    return out;
}

/// `192.0.2.1`. Never allocates with a standard library whose small strings hold 15 characters.
inline std::string format_ip(ipv4_bytes const& address)
{
    std::array<char, 15> text;
    char* end = text.data();
    for (std::size_t i = 0; i < address.size(); ++i) {
        if (i != 0) *end++ = '.';
        end = std::to_chars(end, text.data() + text.size(), address[i]).ptr;
    }
    return {text.data(), end};
}

/// The form of RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as `::`, and
/// IPv4-mapped addresses as `::ffff:192.0.2.1`.
inline std::string format_ip(ipv6_bytes const& address)
{
    auto const group = [&address](std::size_t i) { return static_cast<unsigned>(address[2 * i] << 8 | address[2 * i + 1]); };
    std::size_t run_at = 8;
    std::size_t run_length = 1;
    for (std::size_t i = 0; i < 8;) {
        std::size_t n = 0;
        while (i + n < 8 && group(i + n) == 0) ++n;
        if (n > run_length) {
            run_at = i;
            run_length = n;
        }
        i += n + 1;
    }
    bool const mapped = run_at == 0 && run_length == 5 && group(5) == 0xffff;
    if (mapped) return "::ffff:" + format_ip(ipv4_bytes{address[12], address[13], address[14], address[15]});

    std::array<char, 39> text;
    char* end = text.data();
    for (std::size_t i = 0; i < 8; ++i) {
        if (i == run_at) {
            *end++ = ':';
            if (i == 0) *end++ = ':';
            i += run_length - 1;
            continue;
        }
        end = std::to_chars(end, text.data() + text.size(), group(i), 16).ptr;
        if (i != 7) *end++ = ':';
    }
    return {text.data(), end};
}

} // namespace podproxy

#endif
