#ifndef PODPROXY_CONFIG_IMPL_PODPROXY_CONFIG_IPP
#define PODPROXY_CONFIG_IMPL_PODPROXY_CONFIG_IPP

#include <podproxy/config/detail/readers.hpp>
#include <podproxy/config/podproxy_config.hpp>
#include <podproxy/config/yaml.hpp>
#include <podproxy/upstream/proxy_url.hpp>
#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <tuple>
#include <utility>

namespace podproxy::config {

namespace detail {

inline constexpr std::array<std::pair<std::string_view, carrier_choice>, 3> carrier_words{
    {{"auto", carrier_choice::automatic}, {"websocket", carrier_choice::websocket}, {"spdy", carrier_choice::spdy}}};
inline constexpr std::array<std::pair<std::string_view, session_choice>, 3> session_words{
    {{"auto", session_choice::automatic}, {"exclusive", session_choice::exclusive}, {"shared", session_choice::shared}}};

/// A map of names, each with the context that it stands for.
inline void read_aliases(map_reader& in, std::string_view key, std::map<std::string, std::string>& out)
{
    auto const* const node = in.find(key);
    if (!node) return;
    if (!node->is_map()) return in.complain(key, "must be a map from a name to a context: {prod: \"arn:aws:eks:...\"}");
    for (auto const& member : node->members) {
        bool const bad_name = member.key.empty() || !is_host(member.key) || member.key.front() == '.' || member.key.back() == '.';
        if (bad_name) in.complain(key, "has the name " + quoted(member.key) + ", which can't end an address");
        else if (!member.value.is_scalar() || member.value.text.empty()) in.complain(key, "needs the name of a context behind " + quoted(member.key));
        else out[member.key] = member.value.text;
    }
}

/// A list of addresses and blocks of them.
inline void read_cidrs(map_reader& in, std::string_view key, std::vector<cidr>& out)
{
    std::vector<std::string> texts;
    if (!in.read(key, texts)) return;
    out.clear();
    for (auto const& text : texts) {
        if (auto const block = parse_cidr(text)) out.push_back(*block);
        else in.complain(key, "has " + quoted(text) + ", which is no address and no block such as 10.0.0.0/8 or 2001:db8::/32");
    }
}

/// A list of maps: `{to: "*.corp.example", via: "http://proxy:3128"}`.
inline void read_rules(map_reader& in, std::string_view key, std::string_view file, problem_list& problems, std::vector<route::rule>& out)
{
    auto const* const node = in.find(key);
    if (!node) return;
    if (!node->is_sequence()) return in.complain(key, "must be a list: [{to: \"*.corp.example\", via: direct}]");
    out.clear();
    for (auto const& entry : node->items) {
        map_reader one(entry, file, problems, std::string(key) + "[" + std::to_string(out.size()) + "]");
        auto& rule = out.emplace_back();
        std::string via;
        bool const has_to = one.read("to", rule.text);
        bool const has_via = one.read("via", via);
        if (entry.is_map()) {
            if (!has_to && !one.find("to")) one.complain("to", "is missing");
            if (!has_via && !one.find("via")) one.complain("via", "is missing");
        }
        if (has_to) {
            auto to = route::parse_destination_pattern(rule.text);
            if (to) rule.to = *std::move(to);
            else one.complain("to", "names no destinations: " + to.error().message());
        }
        if (has_via && !route::read_way(via, rule)) one.complain("via", "must be direct, block, the URL of a proxy or the name of a cluster");
        if (has_via && rule.via == route::way::proxy && !upstream::parse_proxy_url(via))
            one.complain("via", "is " + make_error_code(upstream::errc::bad_url).message());
        one.finish();
    }
}

/// Two listeners on one address, or no way in at all.
inline void check_listeners(map_reader& in, podproxy_config const& out)
{
    struct listener {
        std::string_view key;
        std::optional<host_port> const& address;
    };
    std::array<listener, 3> const all{{{"listenAddress", out.listen}, {"httpListenAddress", out.http_listen}, {"pacListenAddress", out.pac_listen}}};
    for (std::size_t i = 1; i < all.size(); ++i)
        for (std::size_t k = 0; k < i; ++k)
            if (all[i].address && all[i].address->port != 0 && all[i].address == all[k].address)
                in.complain(all[i].key, "is the same address as " + quoted(all[k].key));
    if (!out.listen && !out.http_listen) in.complain("listenAddress", "and 'httpListenAddress' are both empty: nothing would listen");
}

} // namespace detail

inline std::optional<podproxy_config> parse_podproxy_config(std::string_view text, std::string const& file, environment const& env,
                                                            problem_list& problems)
{
    problem_list found;
    std::optional<podproxy_config> out;
    if (auto const root = parse_yaml(text, file, found)) {
        out.emplace();
        map_reader in(*root, file, found);
        detail::read_address(in, "listenAddress", out->listen);
        detail::read_address(in, "httpListenAddress", out->http_listen);
        detail::read_address(in, "pacListenAddress", out->pac_listen);
        if (in.read("users", out->users)) out->users = expand_home(out->users, env.home);
        detail::read_cidrs(in, "allow", out->allow);
        in.read("skipDefaultKubeconfig", out->skip_default_kubeconfig);
        in.read("skipKubeconfigEnv", out->skip_kubeconfig_env);
        if (in.read("kubeconfigs", out->kubeconfigs) && std::ranges::any_of(out->kubeconfigs, [](auto const& path) { return path.empty(); }))
            in.complain("kubeconfigs", "has an empty entry");
        detail::read_aliases(in, "aliases", out->aliases);
        in.read("defaultCluster", out->default_cluster);
        detail::read_rules(in, "rules", file, found, out->rules);
        if (in.read("connectGrace", out->connect_grace) && out->connect_grace > std::chrono::seconds(10))
            in.complain("connectGrace", "must be at most 10s");
        detail::read_choice(in, "carrier", detail::carrier_words, out->carrier);
        detail::read_choice(in, "sessions", detail::session_words, out->sessions);
        if (in.read("keepAlive", out->keep_alive) && out->keep_alive.count() != 0 &&
            (out->keep_alive < std::chrono::seconds(1) || out->keep_alive > std::chrono::hours(1)))
            in.complain("keepAlive", "must be 0 or from 1s to 1h");
        if (auto log = in.map("log")) detail::read_log(*log, env, out->log);
        in.finish();
        detail::check_listeners(in, *out);
    }
    // In the order of the file.
    std::ranges::sort(found, [](problem const& a, problem const& b) { return std::tie(a.where, a.message) < std::tie(b.where, b.message); });
    if (has_errors(found)) out.reset();
    problems.insert(problems.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
    return out;
}

inline std::optional<podproxy_config> load_podproxy_config(std::string const& path, config_path how, environment const& env, file_source& files,
                                                           problem_list& problems)
{
    auto const text = files.read(path, yaml_limits{}.max_bytes);
    if (text) return parse_podproxy_config(*text, path, env, problems);
    if (how == config_path::standard && text.error() == cond::not_found) return podproxy_config{};
    problems.push_back({severity::error, path, {}, "can't be read: " + text.error().message()});
    return std::nullopt;
}

} // namespace podproxy::config

#endif
