#ifndef PODPROXY_CONFIG_IMPL_WAKE_LABELS_IPP
#define PODPROXY_CONFIG_IMPL_WAKE_LABELS_IPP

#include <podproxy/config/detail/wake_fields.hpp>
#include <podproxy/config/suggest.hpp>
#include <podproxy/config/wake_labels.hpp>
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

namespace podproxy::config {

namespace detail {

inline problem label_problem(wake::member const& m, std::string message, severity level = severity::warning)
{
    bool const workload = m.name.find('/') != std::string::npos; // shop/web: its namespace comes first
    return {level, (workload ? "workload " : "container ") + quoted(m.name.empty() ? m.id : m.name), {}, std::move(message)};
}

inline std::string label_name(std::string_view key) { return quoted(std::string(wake_label_prefix) + std::string(key)); }

/// The labels that have to do with more than one port or member.
inline constexpr std::array<std::string_view, 4> wake_link_keys{"group", "listen", "host", "names"};

inline std::vector<std::string_view> all_label_keys()
{
    std::vector<std::string_view> out(wake_link_keys.begin(), wake_link_keys.end());
    for (auto const& f : wake_group_fields) out.push_back(f.key);
    for (auto const& f : wake_port_fields) out.push_back(f.key);
    return out;
}

/// Reads the labels of one member.
class label_reader {
public:
    label_reader(wake::member const& m, problem_list& problems) : member_(m), problems_(problems) {}

    label_settings read(wake_defaults const& base)
    {
        label_settings out;
        out.group = group_from_labels(member_);
        out.config = base.group;
        out.config.name = out.group;
        port_ = base.port;
        if (out.group.empty()) return out;
        std::size_t count = 0;
        for (auto const& [label, value] : member_.labels) {
            if (!label.starts_with(wake_label_prefix)) continue;
            if (++count > max_wake_labels) {
                complain("has more than " + std::to_string(max_wake_labels) + " labels that begin with " + quoted(wake_label_prefix) +
                         "; the rest is not read");
                break;
            }
            take(std::string_view(label).substr(wake_label_prefix.size()), ascii_trim(value), out);
        }
        check_contradictions(out);
        make_ports(out);
        return out;
    }

private:
    void complain(std::string message) { problems_.push_back(label_problem(member_, std::move(message))); }
    void complain(std::string_view key, std::string_view expected)
    {
        complain("the label " + label_name(key) + " must be " + std::string(expected));
    }

    void take(std::string_view key, std::string_view value, label_settings& out)
    {
        if (key == "group") {
            if (member_.group.empty() && !is_group_name(value)) complain(key, "a name of letters, digits and ._-/@: of at most 128");
        } else if (key == "listen") {
            take_listen(value);
        } else if (key == "host") {
            if (auto const host = parse_host_port(std::string(value) + ":1")) host_ = host->host;
            else complain(key, "a host name or an address, an IPv6 address in brackets");
        } else if (key == "names") {
            if (!assign_list(names_, split_list(value), parse_server_name)) complain(key, some_names);
        } else if (auto const group = std::ranges::find(wake_group_fields, key, &wake_group_field::key); group != wake_group_fields.end()) {
            if (group->set(out.config, value)) out.keys.emplace_back(key);
            else complain(key, group->expected);
        } else if (auto const port = std::ranges::find(wake_port_fields, key, &wake_port_field::key); port != wake_port_fields.end()) {
            std::vector<std::string_view> const values = port->form == port_form::list ? split_list(value) : std::vector{value};
            if (!port->set(port_, values)) complain(key, port->expected);
        } else {
            auto const meant = suggest(key, all_label_keys());
            complain("unknown label " + label_name(key) + (meant.empty() ? std::string() : ", did you mean " + label_name(meant) + "?"));
        }
    }

    void take_listen(std::string_view value)
    {
        for (auto const text : split_list(value)) {
            if (entries_.size() >= max_wake_ports) {
                complain("the label " + label_name("listen") + " has more than " + std::to_string(max_wake_ports) + " ports; the rest is not opened");
                return;
            }
            if (auto entry = parse_listen_entry(text)) entries_.push_back(*std::move(entry));
            else
                complain("the label " + label_name("listen") + " has an entry that is no port: " + quoted(text) +
                         "; expected is 5432, 8080:80, 53/udp or 127.0.0.1:8080:80/tcp, with commas between");
        }
    }

    void check_contradictions(label_settings const& out)
    {
        for (auto const& [key, what] : contradictions(out.config)) complain("the label " + label_name(key) + " " + what);
    }

    void make_ports(label_settings& out)
    {
        for (auto const& entry : entries_) {
            wake::port_config port = port_;
            port.protocol = entry.protocol;
            port.listen = entry.listen;
            wake::target_config target;
            target.group = out.group;
            target.address = entry.target;
            if (target.address.host.empty()) target.address.host = host_;
            if (target.address.host.empty()) target.member = member_.name;
            if (entry.protocol == wake::port_protocol::tcp) target.names = names_;
            auto const same = std::ranges::find_if(out.ports, [&](wake::port_config const& p) { return overlap(p, port); });
            if (same != out.ports.end()) {
                complain("the label " + label_name("listen") + " has the port " + port_text(port) + " twice; the first holds");
                continue;
            }
            port.targets.push_back(std::move(target));
            out.ports.push_back(std::move(port));
        }
    }

    wake::member const& member_;
    problem_list& problems_;
    std::vector<listen_entry> entries_;
    std::string host_;
    std::vector<std::string> names_;
    wake::port_config port_; ///< What all ports of the member have in common.
};

/// The same way for the same clients; of several members that are alike, the first stands for all.
inline bool same_way(wake::target_config const& a, wake::target_config const& b)
{
    return a.group == b.group && a.address == b.address && a.names == b.names;
}

/// Adds a port to a list, or its targets to the port that is there already. @return what is wrong, continuing "port 80/tcp ..."
inline std::optional<std::string> merge_port(std::vector<wake::port_config>& ports, wake::port_config port)
{
    auto const there = std::ranges::find_if(ports, [&](wake::port_config const& p) { return overlap(p, port); });
    if (there == ports.end()) {
        ports.push_back(std::move(port));
        return std::nullopt;
    }
    auto const group_of = [](wake::port_config const& p) { return p.targets.empty() ? std::string("''") : quoted(p.targets.front().group); };
    if (there->listen != port.listen) return "of group " + group_of(port) + " overlaps " + port_text(*there) + " of group " + group_of(*there);
    for (auto const& target : port.targets) {
        for (auto const& other : there->targets) {
            if (same_way(other, target)) continue;
            if (target.names.empty() != other.names.empty()) continue;
            if (target.names.empty())
                return "is wanted by the groups " + quoted(other.group) + " and " + quoted(target.group) +
                       "; give them different ports, or names that tell their clients apart";
            for (auto const& name : target.names)
                if (std::ranges::find(other.names, name) != other.names.end())
                    return "and the name " + quoted(name) + " are wanted by the groups " + quoted(other.group) + " and " + quoted(target.group);
        }
    }
    for (auto& target : port.targets) {
        if (std::ranges::any_of(there->targets, [&](wake::target_config const& t) { return same_way(t, target); })) continue;
        // Whoever has no names takes what is left.
        if (target.names.empty()) there->targets.push_back(std::move(target));
        else there->targets.insert(std::ranges::find_if(there->targets, [](auto const& t) { return t.names.empty(); }), std::move(target));
    }
    return std::nullopt;
}

/// The settings of ports but for where they listen and lead.
inline bool same_manners(wake::port_config const& a, wake::port_config const& b)
{
    return a.filter == b.filter && a.send_proxy == b.send_proxy && a.wait_page == b.wait_page && a.first_bytes_limit == b.first_bytes_limit && a.udp_session == b.udp_session &&
           a.udp_most_early == b.udp_most_early && a.udp_most_sessions == b.udp_most_sessions;
}

} // namespace detail

inline std::string group_from_labels(wake::member const& m)
{
    if (!m.group.empty()) return m.group;
    std::string const own_key = std::string(wake_label_prefix) + "group";
    if (auto const own = m.labels.find(own_key); own != m.labels.end() && detail::is_group_name(ascii_trim(own->second)))
        return std::string(ascii_trim(own->second));
    if (auto const old = m.labels.find(std::string(proxytainer_group_label)); old != m.labels.end() && detail::is_group_name(ascii_trim(old->second)))
        return std::string(ascii_trim(old->second));
    auto const any = m.labels.lower_bound(std::string(wake_label_prefix));
    bool const ours = any != m.labels.end() && any->first.starts_with(wake_label_prefix);
    return ours ? (m.name.empty() ? m.id : m.name) : std::string();
}

inline label_settings settings_from_labels(wake::member const& m, problem_list& problems, wake_defaults const& base)
{
    return detail::label_reader(m, problems).read(base);
}

inline wake::settings settings_with_labels(std::span<wake::member const> all, wake::settings known, wake_defaults const& base,
                                           problem_list& problems)
{
    std::vector<wake::member const*> members;
    for (auto const& m : all) members.push_back(&m);
    std::ranges::sort(members, [](auto const* a, auto const* b) { return std::tie(a->name, a->id) < std::tie(b->name, b->id); });

    std::set<std::string, std::less<>> in_file;
    for (auto const& g : known.groups) in_file.insert(g.name);
    struct said {
        wake::member const* by;
        std::string text;
    };
    std::map<std::string, std::map<std::string, said, std::less<>>, std::less<>> said_of; // group, key
    for (auto const* m : members) {
        problem_list found;
        auto from = settings_from_labels(*m, found, base);
        if (from.group.empty()) continue;
        if (in_file.contains(from.group)) {
            if (!from.keys.empty() || !from.ports.empty())
                problems.push_back(detail::label_problem(
                    *m, "the group " + quoted(from.group) + " is configured by the file or by arguments; its labels name the group only", severity::note));
            continue;
        }
        problems.insert(problems.end(), found.begin(), found.end());
        auto group = std::ranges::find(known.groups, from.group, &wake::group_config::name);
        if (group == known.groups.end()) {
            known.groups.push_back(base.group);
            group = std::prev(known.groups.end());
            group->name = from.group;
        }
        auto& said_here = said_of[from.group];
        for (auto const& key : from.keys) {
            std::string const text(ascii_trim(m->labels.at(std::string(wake_label_prefix) + key)));
            auto const [before, fresh] = said_here.try_emplace(key, said{m, text});
            if (!fresh) {
                if (before->second.text != text)
                    problems.push_back(detail::label_problem(*m, "the label " + detail::label_name(key) + " differs from that of container " +
                                                                     quoted(before->second.by->name) + " of the same group, which holds"));
                continue;
            }
            std::ranges::find(detail::wake_group_fields, key, &detail::wake_group_field::key)->set(*group, text);
        }
        for (auto& port : from.ports) {
            auto const there = std::ranges::find_if(known.ports, [&](auto const& p) { return detail::overlap(p, port); });
            bool const differs = there != known.ports.end() && !detail::same_manners(*there, port);
            std::string const text = detail::port_text(port);
            std::string const first = there == known.ports.end() || there->targets.empty() ? std::string() : there->targets.front().group;
            if (auto const wrong = detail::merge_port(known.ports, std::move(port)))
                problems.push_back(detail::label_problem(*m, "port " + text + " " + *wrong + "; the first holds"));
            else if (differs)
                problems.push_back(detail::label_problem(*m, "port " + text + " is shared with the group " + quoted(first) +
                                                                 ", whose labels say something else of the port, which holds"));
        }
    }
    return known;
}

} // namespace podproxy::config

#endif
