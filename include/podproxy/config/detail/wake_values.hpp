#ifndef PODPROXY_CONFIG_DETAIL_WAKE_VALUES_HPP
#define PODPROXY_CONFIG_DETAIL_WAKE_VALUES_HPP

#include <podproxy/core/ascii.hpp>
#include <podproxy/core/duration.hpp>
#include <podproxy/core/hex.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/wake/settings.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What a value of a label or of a key means. Both have the same forms.
namespace podproxy::config::detail {

/// Longer times are mistakes, and could not be added to a moment.
inline constexpr std::chrono::hours longest_wake_time{24 * 366};

/// `300` (seconds), `90s`, `5m`, `1h30m`, `250ms`.
inline std::optional<std::chrono::milliseconds> parse_wake_time(std::string_view text)
{
    std::chrono::milliseconds out{0};
    bool const plain = !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
    if (plain) {
        std::uint32_t seconds = 0;
        auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), seconds);
        if (ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
        out = std::chrono::seconds(seconds);
    } else if (auto const time = parse_duration(text)) {
        out = *time;
    } else {
        return std::nullopt;
    }
    if (out > longest_wake_time) return std::nullopt;
    return out;
}

inline std::optional<std::chrono::seconds> parse_whole_seconds(std::string_view text)
{
    auto const time = parse_wake_time(text);
    if (!time || *time % std::chrono::seconds(1) != std::chrono::milliseconds(0)) return std::nullopt;
    return std::chrono::duration_cast<std::chrono::seconds>(*time);
}

inline std::optional<bool> parse_truth(std::string_view text) noexcept
{
    for (std::string_view const word : {"true", "yes", "on", "1"})
        if (ascii_iequals(text, word)) return true;
    for (std::string_view const word : {"false", "no", "off", "0"})
        if (ascii_iequals(text, word)) return false;
    return std::nullopt;
}

inline std::optional<std::uint64_t> parse_count(std::string_view text, std::uint64_t least, std::uint64_t most) noexcept
{
    std::uint64_t out = 0;
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (ec != std::errc() || end != text.data() + text.size() || out < least || out > most) return std::nullopt;
    return out;
}

/// `0.5`, `2`: CPUs, in billionths. Up to 1024.
inline std::optional<std::int64_t> parse_cpus(std::string_view text) noexcept
{
    auto const dot = text.find('.');
    auto const whole = parse_count(text.substr(0, dot), 0, 1024);
    if (!whole) return std::nullopt;
    std::int64_t billionths = 0;
    if (dot != std::string_view::npos) {
        auto const digits = text.substr(dot + 1);
        if (digits.empty() || digits.size() > 9 || digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
        for (std::size_t i = 0; i < 9; ++i) billionths = billionths * 10 + (i < digits.size() ? digits[i] - '0' : 0);
    }
    return static_cast<std::int64_t>(*whole) * 1'000'000'000 + billionths;
}

/// `512m`, `1g`, `65536`: bytes, in units of 1024; `mb` and `mib` are taken as well.
inline std::optional<std::int64_t> parse_size(std::string_view text) noexcept
{
    auto const digits = text.find_first_not_of("0123456789");
    auto const number = parse_count(text.substr(0, digits), 0, std::numeric_limits<std::int64_t>::max());
    if (!number) return std::nullopt;
    std::string_view unit = digits == std::string_view::npos ? std::string_view() : text.substr(digits);
    unsigned shift = 0;
    if (!unit.empty()) {
        switch (ascii_lower(unit.front())) {
        case 'b': shift = 0; break;
        case 'k': shift = 10; break;
        case 'm': shift = 20; break;
        case 'g': shift = 30; break;
        case 't': shift = 40; break;
        default: return std::nullopt;
        }
        auto const rest = unit.substr(1);
        bool const known = rest.empty() || (shift != 0 && (ascii_iequals(rest, "b") || ascii_iequals(rest, "ib")));
        if (!known) return std::nullopt;
    }
    if (*number > (static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) >> shift)) return std::nullopt;
    return static_cast<std::int64_t>(*number << shift);
}

/// The first bytes of a connection: text, with `\xHH`, `\r`, `\n`, `\t`, `\0` and `\\`.
inline std::optional<std::string> parse_byte_text(std::string_view text)
{
    std::string out;
    while (!text.empty()) {
        char const c = text.front();
        text.remove_prefix(1);
        if (c != '\\') {
            out += c;
            continue;
        }
        if (text.empty()) return std::nullopt;
        char const kind = text.front();
        text.remove_prefix(1);
        switch (kind) {
        case '\\': out += '\\'; break;
        case 'r': out += '\r'; break;
        case 'n': out += '\n'; break;
        case 't': out += '\t'; break;
        case '0': out += '\0'; break;
        case 'x': {
            if (text.size() < 2) return std::nullopt;
            auto const high = hex_value(text[0]);
            auto const low = hex_value(text[1]);
            if (high < 0 || low < 0) return std::nullopt;
            out += static_cast<char>(high * 16 + low);
            text.remove_prefix(2);
            break;
        }
        default: return std::nullopt;
        }
    }
    if (out.empty()) return std::nullopt;
    return out;
}

/// A name of SNI or Host: `shop.example.com`, or `*.example.com` for all names below. In small letters, without a dot at the end.
inline std::optional<std::string> parse_server_name(std::string_view text)
{
    if (text.ends_with('.')) text.remove_suffix(1);
    std::string_view rest = text;
    if (rest.starts_with("*.")) rest.remove_prefix(2);
    if (rest.empty() || text.size() > 253 || rest.front() == '.' || rest.back() == '.' || rest.find("..") != std::string_view::npos) return std::nullopt;
    bool const fits = std::ranges::all_of(rest, [](char c) {
        c = ascii_lower(c);
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    });
    if (!fits) return std::nullopt;
    return ascii_lower(text);
}

/// May a group be called so? Letters, digits and `. _ -`, as container engines allow, and `/ @ :` for others; at most 128.
inline bool is_group_name(std::string_view name) noexcept
{
    return !name.empty() && name.size() <= 128 && std::ranges::all_of(name, [](char c) {
        char const small = ascii_lower(c);
        return (small >= 'a' && small <= 'z') || (small >= '0' && small <= '9') || std::string_view("._-/@:").find(c) != std::string_view::npos;
    });
}

/// Texts with commas between them, without the blanks around each; empty ones are left out.
inline std::vector<std::string_view> split_list(std::string_view text)
{
    std::vector<std::string_view> out;
    while (!text.empty()) {
        auto const comma = text.find(',');
        if (auto const item = ascii_trim(text.substr(0, comma)); !item.empty()) out.push_back(item);
        if (comma == std::string_view::npos) break;
        text.remove_prefix(comma + 1);
    }
    return out;
}

/// A port to listen on, and where it leads.
struct listen_entry {
    wake::port_protocol protocol = wake::port_protocol::tcp;
    host_port listen;
    host_port target; ///< An empty host: the member itself.
};

/** `5432`, `8080:80`, `53/udp`, `127.0.0.1:8080:80/tcp`, `5001:localhost:5000`, `[::1]:8080:[::1]:80`: [host:]port[:[host:]port][/protocol].
    Without a second port it is the same as the first. */
inline std::optional<listen_entry> parse_listen_entry(std::string_view text)
{
    listen_entry out;
    if (auto const slash = text.rfind('/'); slash != std::string_view::npos) {
        auto const word = text.substr(slash + 1);
        if (ascii_iequals(word, "udp")) out.protocol = wake::port_protocol::udp;
        else if (!ascii_iequals(word, "tcp")) return std::nullopt;
        text = text.substr(0, slash);
    }
    // Parts between colons; brackets hold colons together.
    std::vector<std::string_view> parts;
    while (true) {
        std::size_t end = text.find(':');
        if (text.starts_with('[')) {
            auto const close = text.find(']');
            if (close == std::string_view::npos) return std::nullopt;
            end = close + 1 == text.size() ? std::string_view::npos : close + 1;
            if (end != std::string_view::npos && text[end] != ':') return std::nullopt;
        }
        parts.push_back(text.substr(0, end));
        if (parts.size() > 4) return std::nullopt;
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
    auto const is_number = [](std::string_view s) { return !s.empty() && s.find_first_not_of("0123456789") == std::string_view::npos; };
    std::size_t at = 0;
    auto const take = [&](host_port& into) {
        if (at >= parts.size()) return false;
        std::string_view host;
        bool named = false;
        if (!is_number(parts[at])) {
            host = parts[at++];
            named = true;
            if (at >= parts.size()) return false;
        }
        auto const port = parse_port(parts[at++]);
        if (!port || *port == 0) return false;
        if (named) {
            auto const whole = parse_host_port(std::string(host) + ":1");
            if (!whole) return false;
            into.host = whole->host;
        }
        into.port = *port;
        return true;
    };
    if (!take(out.listen)) return std::nullopt;
    if (at == parts.size()) out.target = host_port("", out.listen.port);
    else if (!take(out.target) || at != parts.size()) return std::nullopt;
    return out;
}

} // namespace podproxy::config::detail

#endif
