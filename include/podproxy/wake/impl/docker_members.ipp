#include <podproxy/core/ascii.hpp>
#include <algorithm>
#include <cstddef>
#include <optional>
#include <tuple>

namespace podproxy::wake {

inline std::string_view container_of(std::string_view member_id) noexcept { return member_id.substr(0, member_id.find('@')); }

inline std::vector<dependency> parse_depends_on(std::string_view label)
{
    std::vector<dependency> out;
    while (!label.empty()) {
        auto const comma = label.find(',');
        std::string_view entry = ascii_trim(label.substr(0, comma));
        label.remove_prefix(comma == std::string_view::npos ? label.size() : comma + 1);
        auto const colon = entry.find(':');
        std::string_view const service = ascii_trim(entry.substr(0, colon));
        if (service.empty()) continue;
        entry.remove_prefix(colon == std::string_view::npos ? entry.size() : colon + 1);
        std::string_view const condition = ascii_trim(entry.substr(0, entry.find(':')));
        dependency d;
        d.service = service;
        if (condition == "service_healthy") d.condition = dependency_condition::healthy;
        else if (condition == "service_completed_successfully") d.condition = dependency_condition::completed;
        auto const same = std::ranges::find(out, d.service, &dependency::service);
        if (same == out.end()) out.push_back(std::move(d));
        else same->condition = d.condition;
    }
    return out;
}

namespace detail {

inline constexpr char const* compose_project_label = "com.docker.compose.project";
inline constexpr char const* compose_service_label = "com.docker.compose.service";
inline constexpr std::string_view our_labels = "podproxy.wake.";

inline member_state state_of(docker::container_status s) noexcept
{
    switch (s) {
    case docker::container_status::created:
    case docker::container_status::exited: return member_state::stopped;
    case docker::container_status::running: return member_state::running;
    case docker::container_status::paused: return member_state::paused;
    case docker::container_status::restarting: return member_state::starting;
    case docker::container_status::stopping:
    case docker::container_status::removing: return member_state::stopping;
    case docker::container_status::dead: return member_state::dead;
    }
    return member_state::stopped;
}

inline health_state health_of(docker::health_status h) noexcept
{
    switch (h) {
    case docker::health_status::none: return health_state::none;
    case docker::health_status::starting: return health_state::starting;
    case docker::health_status::healthy: return health_state::healthy;
    case docker::health_status::unhealthy: return health_state::unhealthy;
    }
    return health_state::none;
}

/// Finds out about containers what needs the others.
class docker_grouping {
    using containers = std::map<std::string, docker::container>;

public:
    docker_grouping(containers const& all, docker_member_rules const& rules, docker::container const* own, shared_uses const& uses)
        : all_(all), rules_(rules), own_(own), uses_(uses)
    {
    }

    docker_membership run()
    {
        for (auto const& [id, c] : all_) {
            std::string group = group_of(c);
            if (!group.empty()) in_[id].insert(std::move(group));
        }
        auto const direct = in_;
        pull_dependencies();
        docker_membership out;
        for (auto const& [id, groups] : in_) {
            bool const pulled = !direct.contains(id);
            for (auto const& group : groups) out.members.push_back(make(all_.at(id), group, pulled && groups.size() > 1));
            watch(all_.at(id), out.watched);
        }
        rest_unused(out.members);
        std::ranges::sort(out.members, [](member const& a, member const& b) { return std::tie(a.group, a.name, a.id) < std::tie(b.group, b.name, b.id); });
        return out;
    }

    /// Whether a name of the rules means it.
    static bool is_called(docker::container const& c, std::string_view name)
    {
        if (name.empty() || name == c.name) return !name.empty();
        std::string_view const service = c.label(compose_service_label);
        return !is_one_off(c) && !service.empty() && (name == service || name == std::string(c.label(compose_project_label)) + "/" + std::string(service));
    }

private:
    static bool is_one_off(docker::container const& c) { return ascii_iequals(c.label("com.docker.compose.oneoff"), "true"); }

    static std::string name_of(docker::container const& c) { return c.name.empty() ? c.id.substr(0, 12) : c.name; }

    std::string group_of(docker::container const& c) const
    {
        if (own_ && own_->id == c.id) return {}; // nobody puts himself to rest
        std::string_view const service = c.label(compose_service_label);
        for (auto const& [group, names] : rules_.groups)
            for (auto const& name : names)
                if (is_called(c, name)) return group;
        if (is_one_off(c)) return {};
        for (char const* const label : {"podproxy.wake.group", "proxytainer.group", "lazytainer.group"})
            if (auto const group = ascii_trim(c.label(label)); !group.empty()) return std::string(group);
        auto const any = c.labels.lower_bound(std::string(our_labels));
        if (any == c.labels.end() || !any->first.starts_with(our_labels)) return {};
        return service.empty() ? name_of(c) : std::string(service);
    }

    /// Containers of a service, of the same project as `of`.
    std::vector<docker::container const*> service(docker::container const& of, std::string const& name) const
    {
        std::vector<docker::container const*> out;
        auto const project = of.label(compose_project_label);
        for (auto const& [id, c] : all_)
            if (c.label(compose_service_label) == name && c.label(compose_project_label) == project && !is_one_off(c) && !(own_ && own_->id == id))
                out.push_back(&c);
        return out;
    }

    void pull_dependencies()
    {
        auto const direct = in_;
        std::vector<std::pair<docker::container const*, std::string>> todo;
        for (auto const& [id, groups] : direct)
            for (auto const& group : groups) todo.emplace_back(&all_.at(id), group);
        while (!todo.empty()) {
            auto const [c, group] = todo.back();
            todo.pop_back();
            if (c->label(compose_project_label).empty()) continue;
            for (auto const& d : parse_depends_on(c->label("com.docker.compose.depends_on")))
                for (auto const* const other : service(*c, d.service))
                    if (!direct.contains(other->id) && in_[other->id].insert(group).second) todo.emplace_back(other, group);
        }
    }

    /// Whether a group has containers of several compose projects, whose services may have the same names.
    bool is_mixed(std::string const& group)
    {
        auto const known = mixed_.find(group);
        if (known != mixed_.end()) return known->second;
        std::set<std::string_view> projects;
        for (auto const& [id, groups] : in_)
            if (auto const project = all_.at(id).label(compose_project_label); !project.empty() && groups.contains(group)) projects.insert(project);
        return mixed_[group] = projects.size() > 1;
    }

    member make(docker::container const& c, std::string const& group, bool shared)
    {
        std::string const prefix = is_mixed(group) ? std::string(c.label(compose_project_label)) + "/" : std::string();
        member m;
        m.id = shared ? c.id + "@" + group : c.id;
        m.name = name_of(c);
        m.group = group;
        if (auto const s = c.label(compose_service_label); !s.empty()) m.service = prefix + std::string(s);
        m.state = state_of(c.status);
        m.health = health_of(c.health);
        m.exit_code = c.exit_code;
        m.run = c.started_at;
        for (auto& d : parse_depends_on(c.label("com.docker.compose.depends_on"))) {
            auto const there = service(c, d.service);
            d.required = std::ranges::any_of(there, [&](auto const* other) {
                auto const it = in_.find(other->id);
                return other != &c && it != in_.end() && it->second.contains(group);
            });
            d.service = prefix + d.service;
            m.depends_on.push_back(std::move(d));
        }
        m.address = address_of(c, 0);
        for (auto const& [label, value] : c.labels)
            if (label.starts_with(our_labels) || label == "proxytainer.group" || label == "lazytainer.group") m.labels.emplace(label, value);
        return m;
    }

    /// The container whose network another one is in; null when it has one of its own or that one is not known.
    docker::container const* network_owner(docker::container const& c) const
    {
        constexpr std::string_view prefix = "container:";
        if (!c.network_mode.starts_with(prefix)) return nullptr;
        std::string const which = c.network_mode.substr(prefix.size());
        if (auto const it = all_.find(which); it != all_.end()) return &it->second;
        for (auto const& [id, other] : all_)
            if (other.name == which || (which.size() >= 12 && id.starts_with(which))) return &other;
        return nullptr;
    }

    std::string address_of(docker::container const& c, int depth) const
    {
        if (c.network_mode.starts_with("container:")) {
            auto const* const owner = network_owner(c);
            return owner && depth < 8 ? address_of(*owner, depth + 1) : std::string();
        }
        bool const we_are_on_the_host = !own_ || own_->network_mode == "host";
        if (c.network_mode == "host") {
            if (we_are_on_the_host) return rules_.host_address;
            for (auto const& n : own_->networks)
                if (!n.gateway.empty()) return n.gateway;
            return rules_.host_address;
        }
        bool const is_up = c.status == docker::container_status::running || c.status == docker::container_status::paused;
        if (!is_up) return {}; // the next start may bring another one
        docker::attached_network const* best = nullptr;
        int best_rank = 0;
        for (auto const& n : c.networks) {
            if (n.address.empty()) continue;
            bool const main = n.name == c.network_mode || (n.name == "bridge" && c.network_mode == "default");
            bool const shared = !we_are_on_the_host && std::ranges::find(own_->networks, n.name, &docker::attached_network::name) != own_->networks.end();
            int const rank = 1 + (main ? 1 : 0) + (shared ? 2 : 0);
            if (rank > best_rank) {
                best = &n;
                best_rank = rank;
            }
        }
        return best ? best->address : std::string();
    }

    void watch(docker::container const& c, std::set<std::string, std::less<>>& out) const
    {
        out.insert(c.id);
        auto const* next = network_owner(c);
        for (int depth = 0; next && depth < 8; ++depth) {
            out.insert(next->id);
            next = network_owner(*next);
        }
    }

    /// Members that several groups share count as at rest in a group that does not use them.
    void rest_unused(std::vector<member>& members) const
    {
        std::set<std::string, std::less<>> in_use; // groups
        auto const is_shared = [](member const& m) { return m.id.find('@') != std::string::npos; };
        for (auto const& m : members)
            if (!is_shared(m) && m.state != member_state::stopped && m.state != member_state::dead && m.state != member_state::paused) in_use.insert(m.group);
        for (auto& m : members) {
            if (!is_shared(m)) continue;
            auto const use = uses_.find({std::string(container_of(m.id)), m.group});
            if (use == uses_.end() ? in_use.contains(m.group) : use->second == shared_use::wanted) continue;
            if (m.state != member_state::running && m.state != member_state::starting) continue;
            m.state = use != uses_.end() && use->second == shared_use::paused ? member_state::paused : member_state::stopped;
        }
    }

    containers const& all_;
    docker_member_rules const& rules_;
    docker::container const* own_;
    shared_uses const& uses_;
    std::map<std::string, std::set<std::string>> in_; ///< groups by container
    std::map<std::string, bool> mixed_;
};

} // namespace detail

inline std::set<std::pair<std::string, std::string>> missing_names(std::map<std::string, docker::container> const& all, docker_member_rules const& rules)
{
    std::set<std::pair<std::string, std::string>> out;
    for (auto const& [group, names] : rules.groups)
        for (auto const& name : names)
            if (std::ranges::none_of(all, [&name](auto const& c) { return detail::docker_grouping::is_called(c.second, name); })) out.emplace(group, name);
    return out;
}

inline docker_membership docker_members(std::map<std::string, docker::container> const& all, docker_member_rules const& rules,
                                        docker::container const* own, shared_uses const& uses)
{
    return detail::docker_grouping(all, rules, own, uses).run();
}

} // namespace podproxy::wake
