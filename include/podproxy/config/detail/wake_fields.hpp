#ifndef PODPROXY_CONFIG_DETAIL_WAKE_FIELDS_HPP
#define PODPROXY_CONFIG_DETAIL_WAKE_FIELDS_HPP

#include <podproxy/config/detail/wake_values.hpp>
#include <podproxy/wake/settings.hpp>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The settings of groups and ports that labels and the file share, one row each.
namespace podproxy::config::detail {

/// A setting of a group. As a label it is called `podproxy.wake.` + `key`, in the file as `file_key` makes it.
struct wake_group_field {
    std::string_view key;
    std::string_view expected; ///< Continues "must be ...".
    bool (*set)(wake::group_config&, std::string_view);
};

using wake_list = std::span<std::string_view const>;

/// A setting of a port: one text, or a list.
struct wake_port_field {
    std::string_view key;
    std::string_view expected;
    enum class form : std::uint8_t { text, list } form;
    bool (*set)(wake::port_config&, wake_list); ///< A text is a list of one.
};

/// `start-limit` as the file has it: `startLimit`. A dot parts a map from its key in both.
inline std::string file_key(std::string_view key)
{
    std::string out;
    bool up = false;
    for (char const c : key) {
        if (c == '-') {
            up = true;
            continue;
        }
        out += up && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        up = false;
    }
    return out;
}

template <class To, class From>
bool assign(To& to, std::optional<From> from)
{
    if (from) to = static_cast<To>(*std::move(from));
    return from.has_value();
}

template <class Choice, std::size_t N>
bool assign_word(Choice& to, std::string_view text, std::array<std::pair<std::string_view, Choice>, N> const& words)
{
    for (auto const& [word, value] : words) {
        if (!ascii_iequals(text, word)) continue;
        to = value;
        return true;
    }
    return false;
}

inline constexpr std::array<std::pair<std::string_view, wake::idle_action>, 3> action_words{
    {{"stop", wake::idle_action::stop}, {"pause", wake::idle_action::pause}, {"throttle", wake::idle_action::throttle}}};
inline constexpr std::array<std::pair<std::string_view, wake::use_rule>, 3> use_words{
    {{"connections", wake::use_rule::connections}, {"bytes", wake::use_rule::bytes}, {"threshold", wake::use_rule::threshold}}};
inline constexpr std::array<std::pair<std::string_view, wake::proxy_header>, 3> proxy_words{
    {{"none", wake::proxy_header::none}, {"v1", wake::proxy_header::v1}, {"v2", wake::proxy_header::v2}}};

inline constexpr std::string_view a_time = "a time such as 300 (seconds), 90s, 5m or 1h30m, of at most 366 days";
inline constexpr std::string_view whole_seconds = "a time of whole seconds such as 30 or 5m";
inline constexpr std::string_view a_size = "a size such as 512m or 1g";
inline constexpr std::string_view some_cpus = "a number of CPUs such as 0.5 or 2, of at most 1024";
inline constexpr std::string_view truth = "true or false";

using wake_group = wake::group_config;

inline constexpr std::array wake_group_fields{
    wake_group_field{"idle", a_time, [](wake_group& g, std::string_view v) { return assign(g.idle, parse_wake_time(v)); }},
    wake_group_field{"health", truth, [](wake_group& g, std::string_view v) { return assign(g.use_health, parse_truth(v)); }},
    wake_group_field{"action", "stop, pause or throttle", [](wake_group& g, std::string_view v) { return assign_word(g.action, v, action_words); }},
    wake_group_field{"use", "connections, bytes or threshold", [](wake_group& g, std::string_view v) { return assign_word(g.use, v, use_words); }},
    wake_group_field{"threshold.bytes", a_size, [](wake_group& g, std::string_view v) { return assign(g.threshold.bytes, parse_size(v)); }},
    wake_group_field{"threshold.packets", "a whole number",
                     [](wake_group& g, std::string_view v) { return assign(g.threshold.packets, parse_count(v, 0, UINT64_MAX)); }},
    wake_group_field{"threshold.window", "a time of whole seconds such as 30 or 5m, of at least 1s",
                     [](wake_group& g, std::string_view v) {
                         auto const time = parse_whole_seconds(v);
                         return time && time->count() > 0 && assign(g.threshold.window, time);
                     }},
    wake_group_field{"idle-cpus", some_cpus, [](wake_group& g, std::string_view v) { return assign(g.idle_resources.nano_cpus, parse_cpus(v)); }},
    wake_group_field{"idle-memory", a_size, [](wake_group& g, std::string_view v) { return assign(g.idle_resources.memory_bytes, parse_size(v)); }},
    wake_group_field{"active-cpus", some_cpus,
                     [](wake_group& g, std::string_view v) { return assign(g.active_resources.nano_cpus, parse_cpus(v)); }},
    wake_group_field{"active-memory", a_size,
                     [](wake_group& g, std::string_view v) { return assign(g.active_resources.memory_bytes, parse_size(v)); }},
    wake_group_field{"start-limit", "a time such as 120 (seconds), 90s or 5m, of at least 1s and at most 366 days",
                     [](wake_group& g, std::string_view v) {
                         auto const time = parse_wake_time(v);
                         return time && *time >= std::chrono::seconds(1) && assign(g.start_limit, time);
                     }},
    wake_group_field{"start-attempts", "a whole number from 1 to 1000",
                     [](wake_group& g, std::string_view v) { return assign(g.start_attempts, parse_count(v, 1, 1000)); }},
    wake_group_field{"first-backoff", "a time such as 500ms or 2s, of at least 1ms",
                     [](wake_group& g, std::string_view v) {
                         auto const time = parse_wake_time(v);
                         return time && time->count() > 0 && assign(g.first_backoff, time);
                     }},
    wake_group_field{"most-backoff", "a time such as 60s, of at least 1ms",
                     [](wake_group& g, std::string_view v) {
                         auto const time = parse_wake_time(v);
                         return time && time->count() > 0 && assign(g.most_backoff, time);
                     }},
    wake_group_field{"stop-timeout", whole_seconds,
                     [](wake_group& g, std::string_view v) {
                         auto const time = parse_whole_seconds(v);
                         if (time) g.stop_timeout = time;
                         return time.has_value();
                     }},
    wake_group_field{"most-waiting", "a whole number from 1 to 1000000",
                     [](wake_group& g, std::string_view v) { return assign(g.most_waiting, parse_count(v, 1, 1'000'000)); }},
    wake_group_field{"most-early-bytes", "a size such as 64k, from 1k to 16m",
                     [](wake_group& g, std::string_view v) {
                         auto const size = parse_size(v);
                         return size && *size >= 1024 && *size <= 16 * 1024 * 1024 && assign(g.most_early_bytes, size);
                     }},
    wake_group_field{"most-wakes", "a whole number, 0 for no limit",
                     [](wake_group& g, std::string_view v) {
                         return assign(g.most_wakes, parse_count(v, 0, std::numeric_limits<unsigned>::max()));
                     }},
    wake_group_field{"wake-window", "a time of whole seconds such as 60 or 5m, of at least 1s",
                     [](wake_group& g, std::string_view v) {
                         auto const time = parse_whole_seconds(v);
                         return time && time->count() > 0 && assign(g.wake_window, time);
                     }},
};

/// Every text of the list through `parse`; the list is replaced only when all fit.
template <class Item, class Parse>
bool assign_list(std::vector<Item>& to, wake_list from, Parse parse)
{
    std::vector<Item> out;
    for (auto const text : from) {
        auto item = parse(text);
        if (!item) return false;
        out.push_back(*std::move(item));
    }
    to = std::move(out);
    return true;
}

inline std::optional<std::string> parse_some_text(std::string_view text)
{
    if (text.empty()) return std::nullopt;
    return std::string(text);
}

/// Of an HTTP request: it begins with a slash.
inline std::optional<std::string> parse_request_path(std::string_view text)
{
    if (!text.starts_with('/')) return std::nullopt;
    return std::string(text);
}

inline constexpr std::string_view some_blocks = "a list of addresses and blocks such as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32";
inline constexpr std::string_view some_names = "a list of host names such as shop.example.com or *.example.com";

using wake_port = wake::port_config;
using port_form = enum wake_port_field::form;

inline constexpr std::array wake_port_fields{
    wake_port_field{"allow", some_blocks, port_form::list, [](wake_port& p, wake_list v) { return assign_list(p.filter.allow, v, parse_cidr); }},
    wake_port_field{"no-wake.sources", some_blocks, port_form::list,
                    [](wake_port& p, wake_list v) { return assign_list(p.filter.no_wake_sources, v, parse_cidr); }},
    wake_port_field{"no-wake.names", some_names, port_form::list,
                    [](wake_port& p, wake_list v) { return assign_list(p.filter.no_wake_names, v, parse_server_name); }},
    wake_port_field{"no-wake.paths", "a list of paths such as /healthz or /.well-known/*", port_form::list,
                    [](wake_port& p, wake_list v) { return assign_list(p.filter.no_wake_paths, v, parse_request_path); }},
    wake_port_field{"no-wake.agents", "a list of texts such as UptimeRobot", port_form::list,
                    [](wake_port& p, wake_list v) { return assign_list(p.filter.no_wake_agents, v, parse_some_text); }},
    wake_port_field{"no-wake.bytes", "a list of first bytes such as SSH- or \\x16\\x03 (a comma is \\x2c)", port_form::list,
                    [](wake_port& p, wake_list v) { return assign_list(p.filter.no_wake_bytes, v, parse_byte_text); }},
    wake_port_field{"no-wake.silent", truth, port_form::text,
                    [](wake_port& p, wake_list v) { return assign(p.filter.need_first_bytes, parse_truth(v[0])); }},
    wake_port_field{"proxy-protocol", "none, v1 or v2", port_form::text,
                    [](wake_port& p, wake_list v) { return assign_word(p.send_proxy, v[0], proxy_words); }},
    wake_port_field{"wait-page", truth, port_form::text, [](wake_port& p, wake_list v) { return assign(p.wait_page, parse_truth(v[0])); }},
    wake_port_field{"first-bytes-limit", "a time such as 500ms or 5s, of at least 1ms", port_form::text,
                    [](wake_port& p, wake_list v) {
                        auto const time = parse_wake_time(v[0]);
                        return time && time->count() > 0 && assign(p.first_bytes_limit, time);
                    }},
    wake_port_field{"udp-session", "a time such as 60 (seconds) or 5m, of at least 1ms", port_form::text,
                    [](wake_port& p, wake_list v) {
                        auto const time = parse_wake_time(v[0]);
                        return time && time->count() > 0 && assign(p.udp_session, time);
                    }},
    wake_port_field{"udp-most-early", "a whole number from 1 to 65536", port_form::text,
                    [](wake_port& p, wake_list v) { return assign(p.udp_most_early, parse_count(v[0], 1, 65536)); }},
    wake_port_field{"udp-most-sessions", "a whole number from 1 to 1000000", port_form::text,
                    [](wake_port& p, wake_list v) { return assign(p.udp_most_sessions, parse_count(v[0], 1, 1'000'000)); }},
};

/// What the settings of a group say together that they can't mean. Empty: nothing.
inline std::vector<std::pair<std::string_view, std::string>> contradictions(wake::group_config const& g)
{
    std::vector<std::pair<std::string_view, std::string>> out;
    if (g.action == wake::idle_action::throttle && g.idle_resources == wake::resources{})
        out.emplace_back("action", "is throttle, and neither idle-cpus nor idle-memory says how far");
    if (g.action == wake::idle_action::throttle && g.active_resources == wake::resources{})
        out.emplace_back("action", "is throttle, and neither active-cpus nor active-memory says what the group gets when it is used");
    if (g.use == wake::use_rule::threshold && g.threshold.bytes == 0 && g.threshold.packets == 0)
        out.emplace_back("use", "is threshold, and both figures are 0: the group would never be idle");
    return out;
}

/// Ports that can't be open at the same time, on one machine.
inline bool overlap(wake::port_config const& a, wake::port_config const& b)
{
    if (a.protocol != b.protocol || a.listen.port != b.listen.port || a.listen.port == 0) return false;
    auto const every = [](std::string const& host) { return host.empty() || host == "0.0.0.0" || host == "::"; };
    return a.listen.host == b.listen.host || every(a.listen.host) || every(b.listen.host);
}

/// `5432/tcp`, `127.0.0.1:53/udp`.
inline std::string port_text(wake::port_config const& p)
{
    return (p.listen.host.empty() ? std::to_string(p.listen.port) : format_host_port(p.listen)) +
           (p.protocol == wake::port_protocol::udp ? "/udp" : "/tcp");
}

} // namespace podproxy::config::detail

#endif
