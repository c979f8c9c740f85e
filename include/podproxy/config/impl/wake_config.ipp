#ifndef PODPROXY_CONFIG_IMPL_WAKE_CONFIG_IPP
#define PODPROXY_CONFIG_IMPL_WAKE_CONFIG_IPP

#include <podproxy/config/detail/readers.hpp>
#include <podproxy/config/detail/wake_fields.hpp>
#include <podproxy/config/wake_config.hpp>
#include <podproxy/config/yaml.hpp>
#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <map>
#include <tuple>
#include <utility>

namespace podproxy::config {

namespace detail {

inline constexpr std::array<std::pair<std::string_view, wake_engine>, 4> engine_words{{{"docker", wake_engine::docker},
                                                                                       {"podman", wake_engine::podman},
                                                                                       {"kubernetes", wake_engine::kubernetes},
                                                                                       {"systemd", wake_engine::systemd}}};

inline std::optional<wake_engine> engine_of_name(std::string_view name)
{
    auto const word = std::ranges::find(engine_words, name, &std::pair<std::string_view, wake_engine>::first);
    if (word == engine_words.end()) return std::nullopt;
    return word->second;
}

/// Reads one settings file.
class wake_file_reader {
public:
    wake_file_reader(std::string const& file, environment const& env, problem_list& problems) : file_(file), env_(env), problems_(problems) {}

    wake_config read(yaml_node const& root)
    {
        map_reader in(root, file_, problems_);
        if (auto log = in.map("log")) read_log(*log, env_, out_.log);
        read_address(in, "statusListenAddress", out_.status_listen);
        in.read("statusButtons", out_.status_buttons);
        in.read("statusNames", out_.status_names);
        if (in.read("statusTokenFile", out_.status_token_file)) out_.status_token_file = expand_home(out_.status_token_file, env_.home);
        read_time(in, "drain", out_.drain);
        in.read("labels", out_.labels);
        if (auto defaults = in.map("defaults")) {
            read_group_fields(*defaults, out_.defaults.group);
            read_port_fields(*defaults, out_.defaults.port);
            note_contradictions(*defaults, out_.defaults.group);
            finish(*defaults);
        }
        read_providers(in);
        read_groups(in);
        read_ports(in);
        in.finish();
        check_groups();
        add_providers();
        return std::move(out_);
    }

private:
    struct place {
        position where;
        std::string path; ///< Of the key, for texts: `groups.shop.listen`.
    };

    void complain(position where, std::string message, severity level = severity::error)
    {
        problems_.push_back({level, file_, where, std::move(message)});
    }

    // Values as labels have them: a scalar, or a list that may also be one text with commas.

    std::optional<std::string_view> scalar(map_reader& in, std::string_view key, std::string_view expected)
    {
        yaml_node const* const value = in.find(key);
        if (!value) return std::nullopt;
        if (value->is_scalar()) return std::string_view(value->text);
        in.complain(key, "must be " + std::string(expected) + ", not a " + (value->is_map() ? "map" : "list"));
        return std::nullopt;
    }

    std::optional<std::vector<std::string_view>> list(map_reader& in, std::string_view key, std::string_view expected)
    {
        yaml_node const* const value = in.find(key);
        if (!value) return std::nullopt;
        if (value->is_scalar()) return split_list(value->text);
        if (value->is_sequence() && std::ranges::all_of(value->items, &yaml_node::is_scalar)) {
            std::vector<std::string_view> out;
            for (auto const& item : value->items) out.emplace_back(item.text);
            return out;
        }
        in.complain(key, "must be " + std::string(expected));
        return std::nullopt;
    }

    void read_time(map_reader& in, std::string_view key, std::chrono::milliseconds& out)
    {
        auto const text = scalar(in, key, a_time);
        if (text && !assign(out, parse_wake_time(*text))) in.complain(key, "must be " + std::string(a_time));
    }

    /// The map in which a key with a dot stands, and the key in it. Each map is opened once, and finished by `finish`.
    std::pair<map_reader*, std::string> descend(map_reader& in, std::string_view key)
    {
        auto const dot = key.find('.');
        if (dot == std::string_view::npos) return {&in, file_key(key)};
        std::string const first = file_key(key.substr(0, dot));
        auto found = inner_.find(first);
        if (found == inner_.end()) found = inner_.emplace(first, in.map(first)).first;
        return {found->second ? &*found->second : nullptr, file_key(key.substr(dot + 1))};
    }

    void finish(map_reader& in)
    {
        for (auto& [name, reader] : inner_)
            if (reader) reader->finish();
        inner_.clear();
        in.finish();
    }

    void read_group_fields(map_reader& in, wake::group_config& out)
    {
        for (auto const& field : wake_group_fields) {
            auto const [map, key] = descend(in, field.key);
            if (!map) continue;
            auto const text = scalar(*map, key, field.expected);
            if (text && !field.set(out, *text)) map->complain(key, "must be " + std::string(field.expected));
        }
    }

    void read_port_fields(map_reader& in, wake::port_config& out)
    {
        for (auto const& field : wake_port_fields) {
            auto const [map, key] = descend(in, field.key);
            if (!map) continue;
            std::optional<std::vector<std::string_view>> values;
            if (field.form == port_form::list) values = list(*map, key, field.expected);
            else if (auto const text = scalar(*map, key, field.expected)) values.emplace({*text});
            if (values && !field.set(out, *values)) map->complain(key, "must be " + std::string(field.expected));
        }
    }

    void note_contradictions(map_reader& in, wake::group_config const& g)
    {
        for (auto const& [key, what] : contradictions(g)) in.complain(key, what);
    }

    void read_providers(map_reader& root)
    {
        yaml_node const* const all = root.find("providers");
        if (!all) return;
        auto in = *root.map("providers");
        for (auto const& entry : all->members) {
            auto one = in.map(entry.key);
            wake_provider p;
            p.name = entry.key;
            auto const by_name = engine_of_name(entry.key);
            p.engine = by_name.value_or(wake_engine::docker);
            if (!is_group_name(entry.key)) complain(entry.where, "a provider can't be called " + quoted(entry.key));
            if (one) read_provider(*one, p, by_name.has_value(), entry.where);
            else if (!by_name) complain(entry.where, "the provider " + quoted(entry.key) + " needs a 'type': docker, podman, kubernetes or systemd");
            if (std::ranges::find(out_.providers, p.name, &wake_provider::name) == out_.providers.end()) out_.providers.push_back(std::move(p));
        }
        in.finish();
    }

    void read_provider(map_reader& in, wake_provider& p, bool named_by_type, position where)
    {
        bool const typed = in.find("type") != nullptr;
        if (typed) read_choice(in, "type", engine_words, p.engine);
        else if (!named_by_type) complain(where, "the provider " + quoted(p.name) + " needs a 'type': docker, podman, kubernetes or systemd");
        bool const container = p.engine == wake_engine::docker || p.engine == wake_engine::podman;
        bool const cluster = p.engine == wake_engine::kubernetes;
        auto const only = [&](bool fits, std::string_view key, std::string_view whom) {
            if (!fits && in.find(key)) in.complain(key, "is for " + std::string(whom) + " only");
            return fits;
        };
        if (only(container, "host", "docker and podman") && in.read("host", p.host) && !is_engine_address(p.host))
            in.complain("host", "must be the address of an engine such as unix:///var/run/docker.sock or tcp://10.0.0.5:2376");
        if (only(container, "certPath", "docker and podman") && in.read("certPath", p.cert_path)) p.cert_path = expand_home(p.cert_path, env_.home);
        if (only(cluster, "kubeconfig", "kubernetes") && in.read("kubeconfig", p.kubeconfig)) p.kubeconfig = expand_home(p.kubeconfig, env_.home);
        if (only(cluster, "context", "kubernetes")) in.read("context", p.context);
        if (only(cluster, "namespaces", "kubernetes"))
            if (auto const names = list(in, "namespaces", "a list of namespaces")) p.namespaces.assign(names->begin(), names->end());
        if (only(cluster, "lease", "kubernetes") && in.read("lease", p.lease)) {
            auto const slash = p.lease.find('/');
            if (slash == 0 || slash == std::string::npos || slash + 1 == p.lease.size() || p.lease.find('/', slash + 1) != std::string::npos)
                in.complain("lease", "must be namespace/name");
        }
        if (only(p.engine == wake_engine::systemd, "user", "systemd")) in.read("user", p.user);
        in.finish();
    }

    static bool is_engine_address(std::string_view text)
    {
        for (std::string_view const scheme : {"unix://", "tcp://", "http://", "https://"})
            if (text.starts_with(scheme) && text.size() > scheme.size()) return true;
        return text.starts_with('/') && text.size() > 1;
    }

    void read_groups(map_reader& root)
    {
        yaml_node const* const all = root.find("groups");
        if (!all) return;
        auto in = *root.map("groups");
        for (auto const& entry : all->members) {
            auto one = in.map(entry.key);
            if (group_places_.contains(entry.key)) continue; // twice, which `finish` tells
            if (!is_group_name(entry.key)) complain(entry.where, "a group can't be called " + quoted(entry.key) + ": a name has letters, digits and ._-/@: only");
            group_places_.emplace(entry.key, place{entry.where, "groups." + entry.key});
            wake::group_config group = out_.defaults.group;
            group.name = entry.key;
            wake_members members;
            members.group = entry.key;
            members.provider = "docker";
            yaml_node const nothing;
            map_reader empty(nothing, file_, problems_);
            read_group(one ? *one : empty, group, members, entry.where);
            out_.settings.groups.push_back(std::move(group));
            out_.members.push_back(std::move(members));
        }
        in.finish();
    }

    void read_group(map_reader& in, wake::group_config& group, wake_members& members, position where)
    {
        read_group_fields(in, group);
        note_contradictions(in, group);
        wake::port_config manner = out_.defaults.port;
        read_port_fields(in, manner);
        read_members(in, members, group.action, where);

        wake::target_config target;
        target.group = group.name;
        if (auto const host = scalar(in, "host", "a host name or an address")) {
            if (auto const parsed = parse_host_port(std::string(*host) + ":1")) target.address.host = parsed->host;
            else in.complain("host", "must be a host name or an address, an IPv6 address in brackets");
        }
        read_names(in, target);
        if (auto const entries = list(in, "listen", "a list of ports")) {
            for (auto const text : *entries) {
                auto const entry = parse_listen_entry(text);
                if (!entry) {
                    in.complain("listen", "has an entry that is no port: " + quoted(text) +
                                              "; expected is 5432, 8080:80, 53/udp or 127.0.0.1:8080:80/tcp");
                    continue;
                }
                add_port(manner, *entry, target, {in.find("listen")->where, "groups." + group.name + ".listen"});
            }
        }
        finish(in);
    }

    void read_names(map_reader& in, wake::target_config& target)
    {
        auto const names = list(in, "names", some_names);
        if (names && !assign_list(target.names, *names, parse_server_name)) in.complain("names", "must be " + std::string(some_names));
    }

    void add_port(wake::port_config port, listen_entry const& entry, wake::target_config target, place const& at)
    {
        port.protocol = entry.protocol;
        port.listen = entry.listen;
        std::string const host = std::move(target.address.host);
        target.address = entry.target;
        if (target.address.host.empty()) target.address.host = host;
        if (entry.protocol == wake::port_protocol::udp) target.names.clear(); // it tells none
        port.targets.push_back(std::move(target));
        join_port(std::move(port), at);
    }

    void join_port(wake::port_config port, place const& at)
    {
        auto const there = std::ranges::find_if(out_.settings.ports, [&](auto const& p) { return overlap(p, port); });
        std::string const text = port_text(port);
        if (there != out_.settings.ports.end() && there->listen == port.listen && !same_manners(*there, port)) {
            complain(at.where, quoted(at.path) + ": port " + text + " is there twice, with other settings: make one entry of 'ports' of it, with several targets");
            return;
        }
        if (auto const wrong = merge_port(out_.settings.ports, std::move(port))) complain(at.where, quoted(at.path) + ": port " + text + " " + *wrong);
    }

    void read_members(map_reader& in, wake_members& out, wake::idle_action action, position where)
    {
        in.read("provider", out.provider);
        auto const known = std::ranges::find(out_.providers, out.provider, &wake_provider::name);
        auto const by_name = engine_of_name(out.provider);
        if (known == out_.providers.end() && !by_name) {
            std::vector<std::string_view> names;
            for (auto const& p : out_.providers) names.push_back(p.name);
            for (auto const& [word, engine] : engine_words) names.push_back(word);
            auto const meant = suggest(out.provider, names);
            in.complain("provider", "is " + quoted(out.provider) + ", which is neither below 'providers' nor docker, podman, kubernetes or systemd" +
                                        (meant.empty() ? std::string() : ", did you mean " + quoted(meant) + "?"));
        }
        auto const engine = known != out_.providers.end() ? known->engine : by_name.value_or(wake_engine::docker);
        bool const container = engine == wake_engine::docker || engine == wake_engine::podman;
        bool const told = known != out_.providers.end() || by_name;
        read_member_list(in, "containers", "a list of names of containers", container || !told, "docker and podman", out.containers);
        bool const cluster = engine == wake_engine::kubernetes;
        read_member_list(in, "workloads", "a list such as [deployment/web, statefulset/db]", cluster || !told, "kubernetes", out.workloads);
        for (auto const& w : out.workloads)
            if (!is_workload(w)) in.complain("workloads", "has an entry that is neither deployment/NAME nor statefulset/NAME: " + quoted(w));
        if (in.find("namespace")) {
            if (cluster || !told) in.read("namespace", out.name_space);
            else in.complain("namespace", "is for provider kubernetes only");
        }
        bool const units = engine == wake_engine::systemd;
        read_member_list(in, "units", "a list of units such as [web.service]", units || !told, "systemd", out.units);
        if (cluster && action != wake::idle_action::stop) in.complain("action", "must be stop for provider kubernetes: pods are neither paused nor throttled");
        if (units && out.units.empty()) complain(where, "group " + quoted(out.group) + " has no members: list its 'units'");
    }

    void read_member_list(map_reader& in, std::string_view key, std::string_view expected, bool fits, std::string_view whom, std::vector<std::string>& out)
    {
        if (!in.find(key)) return;
        if (!fits) {
            in.complain(key, "is for provider " + std::string(whom) + " only");
            return;
        }
        auto const items = list(in, key, expected);
        if (!items) return;
        out.assign(items->begin(), items->end());
        if (std::ranges::any_of(out, &std::string::empty)) in.complain(key, "has an empty entry");
        for (std::size_t i = 1; i < out.size(); ++i)
            if (std::ranges::find(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(i), out[i]) != out.begin() + static_cast<std::ptrdiff_t>(i))
                in.complain(key, "has " + quoted(out[i]) + " twice");
    }

    static bool is_workload(std::string_view text)
    {
        for (std::string_view const kind : {"deployment/", "statefulset/"})
            if (text.starts_with(kind) && text.size() > kind.size() && text.find('/', kind.size()) == std::string_view::npos) return true;
        return false;
    }

    void read_ports(map_reader& root)
    {
        yaml_node const* const all = root.find("ports");
        if (!all) return;
        if (!all->is_sequence()) {
            root.complain("ports", "must be a list");
            return;
        }
        for (std::size_t i = 0; i < all->items.size(); ++i) {
            std::string const path = "ports[" + std::to_string(i) + "]";
            map_reader in(all->items[i], file_, problems_, path);
            if (all->items[i].is_map()) read_port(in, {all->items[i].where, path});
        }
    }

    void read_port(map_reader& in, place const& at)
    {
        wake::port_config port = out_.defaults.port;
        read_port_fields(in, port);
        std::optional<listen_entry> entry;
        if (auto const text = scalar(in, "listen", "a port")) {
            entry = parse_listen_entry(*text);
            if (!entry || !entry->target.host.empty() || entry->target.port != entry->listen.port) {
                in.complain("listen", "must be a port to listen on such as 5432, 127.0.0.1:8080 or 53/udp; where it leads is told by 'to'");
                entry.reset();
            }
        } else if (!in.find("listen")) {
            complain(at.where, quoted(at.path) + " needs 'listen', the port to listen on");
        }
        std::vector<wake::target_config> targets;
        if (yaml_node const* const several = in.find("targets")) {
            if (in.find("group") || in.find("to") || in.find("names")) in.complain("targets", "stands beside 'group', 'to' or 'names': put them into the targets");
            if (!several->is_sequence()) in.complain("targets", "must be a list");
            for (std::size_t i = 0; i < several->items.size(); ++i) {
                map_reader one(several->items[i], file_, problems_, at.path + ".targets[" + std::to_string(i) + "]");
                if (!several->items[i].is_map()) continue;
                if (auto target = read_target(one, several->items[i].where, entry)) targets.push_back(*std::move(target));
                one.finish();
            }
            if (several->is_sequence() && several->items.empty()) in.complain("targets", "is empty: the port needs a group");
        } else if (auto target = read_target(in, at.where, entry)) {
            targets.push_back(*std::move(target));
        }
        finish(in);
        if (!entry) return;
        port.protocol = entry->protocol;
        port.listen = entry->listen;
        for (auto& target : targets) {
            if (port.protocol == wake::port_protocol::udp && !target.names.empty()) {
                complain(at.where, quoted(at.path) + " is UDP, which tells no names");
                continue;
            }
            wake::port_config part = port;
            part.targets.push_back(std::move(target));
            join_port(std::move(part), at);
        }
    }

    std::optional<wake::target_config> read_target(map_reader& in, position where, std::optional<listen_entry> const& entry)
    {
        wake::target_config out;
        read_names(in, out);
        bool fits = true;
        std::string to;
        if (entry) out.address.port = entry->listen.port;
        if (in.read("to", to)) {
            if (auto const port = parse_port(to); port && *port != 0) out.address.port = *port;
            else if (auto const address = parse_host_port(to)) out.address = *address;
            else {
                in.complain("to", "must be a port of the group's container such as 80, or an address such as localhost:5000");
                fits = false;
            }
        }
        if (!in.read("group", out.group)) {
            if (!in.find("group")) complain(where, "this port needs a 'group', which it wakes");
            return std::nullopt;
        }
        if (!group_places_.contains(out.group)) {
            std::vector<std::string_view> names;
            for (auto const& [name, p] : group_places_) names.push_back(name);
            auto const meant = suggest(out.group, names);
            in.complain("group", "is " + quoted(out.group) + ", and no such group is below 'groups'" +
                                     (meant.empty() ? std::string() : ", did you mean " + quoted(meant) + "?"));
            return std::nullopt;
        }
        if (!fits) return std::nullopt;
        return out;
    }

    void check_groups()
    {
        for (auto const& group : out_.settings.groups) {
            bool const reached = std::ranges::any_of(out_.settings.ports, [&](auto const& port) {
                return std::ranges::find(port.targets, group.name, &wake::target_config::group) != port.targets.end();
            });
            if (!reached && !has_errors(problems_)) // else the port may be one of those that are wrong
                complain(group_places_.at(group.name).where, "group " + quoted(group.name) + " has no port: nobody's connection wakes it", severity::warning);
        }
        // The same thing in two groups would be stopped by one while the other uses it.
        std::map<std::tuple<std::string, std::string, std::string>, std::string> owners;
        for (auto const& members : out_.members) {
            for (auto const* list : {&members.containers, &members.workloads, &members.units}) {
                for (auto const& name : *list) {
                    auto const [owner, fresh] = owners.try_emplace({members.provider, members.name_space, name}, members.group);
                    if (!fresh && owner->second != members.group)
                        complain(group_places_.at(members.group).where, quoted(name) + " is in the groups " + quoted(owner->second) + " and " +
                                                                            quoted(members.group) + "; it can be in one only");
                }
            }
        }
    }

    /// Those that groups name without an entry below `providers`; and docker where the file names nothing at all.
    void add_providers()
    {
        auto const add = [&](std::string const& name) {
            auto const engine = engine_of_name(name);
            if (!engine || std::ranges::find(out_.providers, name, &wake_provider::name) != out_.providers.end()) return;
            wake_provider p;
            p.name = name;
            p.engine = *engine;
            out_.providers.push_back(std::move(p));
        };
        for (auto const& members : out_.members) add(members.provider);
        if (out_.providers.empty()) add("docker");
    }

    std::string const& file_;
    environment const& env_;
    problem_list& problems_;
    wake_config out_;
    std::map<std::string, std::optional<map_reader>> inner_;
    std::map<std::string, place, std::less<>> group_places_;
};

/// The settings that `--port`, `--host` and `--group` make, as the original program's.
inline wake_config settings_of_arguments(wake_arguments const& args, problem_list& problems)
{
    wake_config out;
    out.labels = false; // this group and no other
    auto const wrong = [&](std::string message) { problems.push_back({severity::error, {}, {}, std::move(message)}); };
    for (auto const& [name, value] : {std::pair{"--port", &args.port}, {"--host", &args.host}, {"--group", &args.group}})
        if (!*value) wrong(std::string(name) + " is missing: --port, --host and --group belong together");

    wake::group_config group;
    wake::port_config port;
    wake::target_config target;
    if (args.group) {
        group.name = target.group = *args.group;
        if (!is_group_name(*args.group)) wrong("--group must be a name of letters, digits and ._-/@: of at most 128");
    }
    if (args.idle && !assign(group.idle, parse_wake_time(*args.idle))) wrong("--idle must be " + std::string(a_time));
    group.use_health = !args.no_health;
    if (args.port) {
        auto const number = parse_port(*args.port);
        if (number && *number != 0) port.listen.port = *number;
        else wrong("--port must be a number from 1 to 65535");
    }
    if (args.listen) {
        std::string_view host = *args.listen;
        if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
        if (is_ip_literal(host)) port.listen.host = host;
        else wrong("--listen must be an address of this machine such as 127.0.0.1");
    }
    if (args.host) {
        if (auto const address = parse_host_port(*args.host)) target.address = *address;
        else wrong("--host must be an address with a port such as localhost:5000: " + address.error().message());
    }
    port.targets.push_back(std::move(target));

    wake_members members;
    members.group = group.name;
    members.provider = "docker";
    wake_provider docker;
    docker.name = members.provider;
    out.settings.groups.push_back(std::move(group));
    out.settings.ports.push_back(std::move(port));
    out.members.push_back(std::move(members));
    out.providers.push_back(std::move(docker));
    return out;
}

} // namespace detail

inline std::optional<wake_config> parse_wake_config(std::string_view text, std::string const& file, environment const& env, problem_list& problems)
{
    problem_list found;
    std::optional<wake_config> out;
    if (auto const root = parse_yaml(text, file, found)) out = detail::wake_file_reader(file, env, found).read(*root);
    std::ranges::sort(found, [](problem const& a, problem const& b) { return std::tie(a.where, a.message) < std::tie(b.where, b.message); });
    if (has_errors(found)) out.reset();
    problems.insert(problems.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
    return out;
}

inline std::optional<wake_config> load_wake_config(std::string const& path, environment const& env, file_source& files, problem_list& problems)
{
    auto const text = files.read(path, yaml_limits{}.max_bytes);
    if (text) return parse_wake_config(*text, path, env, problems);
    problems.push_back({severity::error, path, {}, "can't be read: " + text.error().message()});
    return std::nullopt;
}

inline std::optional<log_level> simple_log_level(std::string_view text)
{
    for (auto const word : detail::split_list(text)) {
        if (word.find('=') != std::string_view::npos) continue; // of one part of another program
        std::string const name = ascii_lower(word);
        if (name == "trace") return log_level::debug;
        if (name == "off") return log_level::error;
        if (auto const level = parse_log_level(name)) return level;
    }
    return std::nullopt;
}

inline std::optional<wake_config> make_wake_config(wake_arguments const& args, environment const& env, file_source& files, problem_list& problems)
{
    auto const wrong = [&](std::string message) { problems.push_back({severity::error, {}, {}, std::move(message)}); };
    std::size_t const before = problems.size();
    bool const classic = args.port || args.host || args.group || args.idle || args.no_health || args.listen;
    std::optional<wake_config> out;
    if (classic && args.config_file) wrong("--config can't stand beside --port, --host, --group, --idle, --no-health and --listen: the file has keys for all of them");
    else if (classic) out = detail::settings_of_arguments(args, problems);
    else if (args.config_file) out = load_wake_config(*args.config_file, env, files, problems);
    else out = parse_wake_config({}, {}, env, problems);

    if (args.status) {
        auto const address = parse_host_port(*args.status, {.default_port = {}, .allow_port_zero = true, .allow_empty_host = true});
        if (!address) wrong("--status must be an address to listen on such as 127.0.0.1:9081: " + address.error().message());
        else if (out) out->status_listen = *address;
    }
    std::optional<log_level> level;
    if (args.log_level) {
        level = parse_log_level(ascii_lower(*args.log_level));
        if (!level) wrong("--log-level must be debug, info, warn or error");
    } else if (env.wake_proxy_log && !env.wake_proxy_log->empty()) {
        level = simple_log_level(*env.wake_proxy_log);
        if (!level) problems.push_back({severity::warning, {}, {}, "WAKE_PROXY_LOG must be debug, info, warn or error; it is passed over"});
    } else if (env.rust_log) {
        level = simple_log_level(*env.rust_log);
    }
    if (out && level) out->log.level = *level;
    if (std::ranges::any_of(problems.begin() + static_cast<std::ptrdiff_t>(before), problems.end(), [](problem const& p) { return p.level == severity::error; }))
        out.reset();
    return out;
}

} // namespace podproxy::config

#endif
