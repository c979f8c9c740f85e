#ifndef PODPROXY_CORE_IMPL_LOG_IPP
#define PODPROXY_CORE_IMPL_LOG_IPP

#include <podproxy/core/hex.hpp>
#include <podproxy/core/log.hpp>
#include <podproxy/core/utf8.hpp>
#include <algorithm>
#include <array>
#include <cstddef>

namespace podproxy {

namespace detail {

/// Characters that would break a line apart or show it in another order than it is: C1 controls, separators, bidi marks.
constexpr bool is_invisible(char32_t c) noexcept
{
    return (c >= 0x7f && c <= 0x9f) || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x2069) ||
           c == 0xfeff;
}

/// `\n`, `\t`, `\"` ... for what both formats escape alike; nothing for other characters.
constexpr std::string_view short_escape(char c) noexcept
{
    switch (c) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    default: return {};
    }
}

inline void append_code(std::string& out, std::string_view prefix, char32_t code)
{
    std::array<std::uint8_t, 2> const bytes{static_cast<std::uint8_t>(code >> 8), static_cast<std::uint8_t>(code)};
    out += prefix;
    out += encode_hex(bytes);
}

/// As the inside of a JSON string, and as text for people: where the two differ is in bytes that are not UTF-8.
enum class escape_for { people, json };

inline void append_escaped(std::string& out, std::string_view text, escape_for reader)
{
    while (!text.empty()) {
        utf8_char const c = first_utf8(text);
        if (!c.valid) {
            if (reader == escape_for::json) out += "\\ufffd";
            else out += "\\x" + encode_hex(as_bytes(text.substr(0, 1)));
        } else if (auto const escape = c.size == 1 ? short_escape(text.front()) : std::string_view{}; !escape.empty()) {
            out += escape;
        } else if (c.code < 0x20 || is_invisible(c.code)) {
            append_code(out, "\\u", c.code);
        } else {
            out += text.substr(0, c.size);
        }
        text.remove_prefix(c.size);
    }
}

inline void append_json_string(std::string& out, std::string_view text)
{
    out += '"';
    append_escaped(out, text, escape_for::json);
    out += '"';
}

inline void append_text_value(std::string& out, std::string_view text)
{
    bool const plain = !text.empty() && std::ranges::none_of(text, [](char c) {
        return static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f || c == '"' || c == '=' || c == '\\';
    });
    if (!plain) out += '"';
    append_escaped(out, text, escape_for::people);
    if (!plain) out += '"';
}

constexpr std::string_view level_text(log_level level) noexcept
{
    switch (level) {
    case log_level::debug: return "DEBUG";
    case log_level::info: return "INFO ";
    case log_level::warn: return "WARN ";
    case log_level::error: return "ERROR";
    }
    return "ERROR";
}

constexpr std::string_view level_color(log_level level) noexcept
{
    switch (level) {
    case log_level::debug: return "\x1b[90m";
    case log_level::info: return "\x1b[32m";
    case log_level::warn: return "\x1b[33m";
    case log_level::error: return "\x1b[31m";
    }
    return "\x1b[31m";
}

} // namespace detail

inline std::string format_log_text(log_event const& event, std::optional<wall_time> time, log_colors colors)
{
    std::string out;
    out.reserve(128);
    if (time) {
        out += format_rfc3339(*time);
        out += ' ';
    }
    if (colors == log_colors::on) out += detail::level_color(event.level);
    out += detail::level_text(event.level);
    if (colors == log_colors::on) out += "\x1b[0m";
    out += ' ';
    if (!event.component.empty()) {
        detail::append_escaped(out, event.component, detail::escape_for::people);
        out += ": ";
    }
    detail::append_escaped(out, event.message, detail::escape_for::people);
    for (log_field const& field : event.fields) {
        out += ' ';
        detail::append_escaped(out, field.name, detail::escape_for::people);
        out += '=';
        detail::append_text_value(out, field.value());
    }
    out += '\n';
    return out;
}

inline std::string format_log_json(log_event const& event, std::optional<wall_time> time)
{
    std::string out = "{";
    out.reserve(192);
    if (time) out += "\"time\":\"" + format_rfc3339(*time) + "\",";
    out += "\"level\":\"";
    out += to_string(event.level);
    out += '"';
    if (!event.component.empty()) {
        out += ",\"component\":";
        detail::append_json_string(out, event.component);
    }
    out += ",\"msg\":";
    detail::append_json_string(out, event.message);
    for (log_field const& field : event.fields) {
        bool const taken = field.name == "time" || field.name == "level" || field.name == "component" || field.name == "msg";
        out += ',';
        detail::append_json_string(out, taken ? std::string(field.name) + '_' : std::string(field.name));
        out += ':';
        if (field.type == log_field::kind::literal) out += field.value();
        else detail::append_json_string(out, field.value());
    }
    out += "}\n";
    return out;
}

} // namespace podproxy

#endif
