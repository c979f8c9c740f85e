#ifndef PODPROXY_CONFIG_DETAIL_READERS_HPP
#define PODPROXY_CONFIG_DETAIL_READERS_HPP

#include <podproxy/config/environment.hpp>
#include <podproxy/config/files.hpp>
#include <podproxy/config/log_setup.hpp>
#include <podproxy/config/yaml.hpp>
#include <podproxy/core/ascii.hpp>
#include <podproxy/core/host_port.hpp>
#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

// Settings that the files of several tools have in common.
namespace podproxy::config::detail {

/// `host:port`, or an empty text for none.
inline void read_address(map_reader& in, std::string_view key, std::optional<host_port>& out)
{
    std::string text;
    if (!in.read(key, text)) return;
    if (text.empty()) {
        out.reset();
    } else if (auto address = parse_host_port(text, {.default_port = {}, .allow_port_zero = true, .allow_empty_host = true})) {
        out = *std::move(address);
    } else {
        in.complain(key, "is not an address to listen on: " + address.error().message());
    }
}

inline void read_log_level(map_reader& in, log_level& out)
{
    std::string text;
    if (!in.read("level", text)) return;
    std::string const name = ascii_lower(text);
    // The logger of the program that the file may have been written for has three more.
    if (name == "dpanic" || name == "panic" || name == "fatal") out = log_level::error;
    else if (auto const level = parse_log_level(name)) out = *level;
    else in.complain("level", "must be debug, info, warn or error");
}

inline std::optional<log_format> read_log_format(map_reader& in, std::string_view key)
{
    std::string text;
    if (!in.read(key, text)) return std::nullopt;
    if (ascii_iequals(text, "text")) return log_format::text;
    if (ascii_iequals(text, "json")) return log_format::json;
    in.complain(key, "must be text or json");
    return std::nullopt;
}

inline void read_log(map_reader& in, environment const& env, log_config& out)
{
    read_log_level(in, out.level);
    auto const format = read_log_format(in, "format");
    auto const formatter = read_log_format(in, "formatter");
    if (format && formatter && *format != *formatter) in.complain("formatter", "means the same as 'log.format', and they differ");
    out.format = format ? *format : formatter.value_or(out.format);
    if (in.read("file", out.file)) out.file = expand_home(out.file, env.home);
    in.read("colors", out.colors);
    bool timestamp = false;
    if (in.read("timestamp", timestamp)) out.timestamp = timestamp;
    in.finish();
}

/// One of a few words.
template <class Choice, std::size_t N>
void read_choice(map_reader& in, std::string_view key, std::array<std::pair<std::string_view, Choice>, N> const& words, Choice& out)
{
    std::string text;
    if (!in.read(key, text)) return;
    auto const word = std::ranges::find(words, std::string_view(text), &std::pair<std::string_view, Choice>::first);
    if (word != words.end()) {
        out = word->second;
        return;
    }
    std::string all;
    for (auto const& [name, value] : words) all += (all.empty() ? "must be " : name == words.back().first ? " or " : ", ") + std::string(name);
    in.complain(key, all);
}

} // namespace podproxy::config::detail

#endif
