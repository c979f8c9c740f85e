#include <podproxy/core/duration.hpp>
#include <podproxy/core/host_port.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <utility>

namespace podproxy::web {

namespace detail {

inline constexpr std::array all_group_states{wake::group_state::stopped, wake::group_state::starting, wake::group_state::waiting_for_health, wake::group_state::running,
                                             wake::group_state::idle,    wake::group_state::stopping, wake::group_state::failed};

/// A state as a word for labels of metrics and for programs.
inline std::string state_word(wake::group_state s)
{
    std::string out(to_string(s));
    std::replace(out.begin(), out.end(), ' ', '_');
    return out;
}

inline tone tone_of(wake::group_state s) noexcept
{
    switch (s) {
    case wake::group_state::stopped: return tone::quiet;
    case wake::group_state::running:
    case wake::group_state::idle: return tone::good;
    case wake::group_state::starting:
    case wake::group_state::waiting_for_health:
    case wake::group_state::stopping: return tone::busy;
    case wake::group_state::failed: return tone::bad;
    }
    return tone::plain;
}

inline tone tone_of(wake::member const& m) noexcept
{
    if (m.health == wake::health_state::unhealthy || m.state == wake::member_state::dead) return tone::bad;
    switch (m.state) {
    case wake::member_state::running: return m.health == wake::health_state::starting ? tone::busy : tone::good;
    case wake::member_state::starting:
    case wake::member_state::stopping: return tone::busy;
    case wake::member_state::stopped:
    case wake::member_state::paused: return tone::quiet;
    case wake::member_state::dead: break;
    }
    return tone::plain;
}

/// `1.2 MiB`
inline std::string format_size(std::uint64_t bytes)
{
    if (bytes < 1024) return std::to_string(bytes) + " B";
    double value = static_cast<double>(bytes);
    std::string_view unit;
    for (std::string_view const u : {"KiB", "MiB", "GiB", "TiB", "PiB"}) {
        value /= 1024;
        unit = u;
        if (value < 1023.95) break;
    }
    std::array<char, 32> text{};
    int const n = std::snprintf(text.data(), text.size(), "%.1f ", value);
    return std::string(text.data(), static_cast<std::size_t>(n)).append(unit);
}

/// Whole seconds, at least one.
inline std::string format_rough(std::chrono::milliseconds time)
{
    return format_duration(std::max(std::chrono::round<std::chrono::seconds>(time), std::chrono::seconds(1)));
}

/// `5m12s`: days and less, no more than two units.
inline std::string format_ago(std::chrono::milliseconds time)
{
    using namespace std::chrono;
    if (time < seconds(1)) return "just now";
    if (time >= hours(48)) return std::to_string(duration_cast<hours>(time).count() / 24) + " days ago";
    if (time >= hours(1)) return format_duration(floor<minutes>(time)) + " ago";
    return format_duration(floor<seconds>(time)) + " ago";
}

/// `13:52:08`, with the day where it is another one.
inline std::string format_moment(wall_time when, wall_time now)
{
    std::string const text = format_rfc3339(when);
    bool const today = text.substr(0, 10) == format_rfc3339(now).substr(0, 10);
    return (today ? std::string() : text.substr(0, 10) + " ") + text.substr(11, 8) + " UTC";
}

inline std::string count_of(std::size_t n, std::string_view one, std::string_view many) { return std::to_string(n) + " " + std::string(n == 1 ? one : many); }

inline bool is_awake(wake::group_status const& g) noexcept { return g.state == wake::group_state::running || g.state == wake::group_state::idle; }

inline cell state_cell(wake::group_status const& g)
{
    cell out(std::string(to_string(g.state)), tone_of(g.state));
    if (!g.engine_reachable) {
        out.hint = "last known: " + g.engine + " can't be reached";
        out.tone = tone::bad;
    } else if (g.state == wake::group_state::idle && g.idle_left.count() > 0) {
        out.hint = "put to rest in " + format_rough(g.idle_left);
    } else if (g.state == wake::group_state::failed && !g.last_starts.empty()) {
        out.hint = g.last_starts.front().error;
    }
    return out;
}

inline section groups_section(wake_view const& v)
{
    section out{"Groups", {"Group", "State", "Waiting", "In use", "Connections", "To clients", "To servers", "Refused"}, {}, "There are no groups yet. They come from the settings and from labels."};
    for (auto const& g : v.groups) {
        auto const t = v.of(g.name);
        std::size_t const waiting = std::max(g.waiting, t.waiting);
        table_row row;
        row.cells = {cell(g.name, tone::plain, g.engine),
                     state_cell(g),
                     cell(std::to_string(waiting), waiting != 0 ? tone::busy : tone::plain),
                     cell(std::to_string(g.in_use)),
                     cell(std::to_string(t.connections), tone::plain, t.open != 0 ? std::to_string(t.open) + " open" : std::string()),
                     cell(format_size(t.to_client)),
                     cell(format_size(t.to_server)),
                     cell(std::to_string(t.refused_in_all()))};
        if (!is_awake(g) && g.state != wake::group_state::starting && g.state != wake::group_state::waiting_for_health)
            row.buttons.push_back({"Wake", "groups", g.name, "wake", {}});
        if (g.state != wake::group_state::stopped && g.state != wake::group_state::stopping)
            row.buttons.push_back({"Stop", "groups", g.name, "stop", g.in_use != 0 ? "Stop " + g.name + " under " + count_of(g.in_use, "client", "clients") + "?" : std::string()});
        out.rows.push_back(std::move(row));
    }
    return out;
}

inline section members_section(wake_view const& v)
{
    section out{"Members", {"Group", "Member", "State", "Health", "Address"}, {}, "No container belongs to a group."};
    for (auto const& g : v.groups) {
        for (auto const& m : g.members) {
            cell state(std::string(to_string(m.state)), tone_of(m));
            if (m.exit_code && m.state == wake::member_state::stopped) state.hint = "exit code " + std::to_string(*m.exit_code);
            bool const checked = m.health != wake::health_state::none;
            out.rows.push_back({{cell(g.name), cell(m.name, tone::plain, m.service == m.name ? std::string() : m.service), std::move(state),
                                 cell(checked ? std::string(to_string(m.health)) : "no check"), cell(m.address)},
                                {}});
        }
    }
    return out;
}

/// Of all groups, the newest first.
inline section starts_section(wake_view const& v, wall_time now)
{
    constexpr std::size_t most = 20;
    std::vector<std::pair<wake::group_status const*, wake::group_status::start const*>> all;
    for (auto const& g : v.groups)
        for (auto const& s : g.last_starts) all.emplace_back(&g, &s);
    std::sort(all.begin(), all.end(), [](auto const& a, auto const& b) { return a.second->when != b.second->when ? a.second->when > b.second->when : a.first->name < b.first->name; });
    if (all.size() > most) all.resize(most);
    section out{"Last starts", {"When", "Group", "For", "Took", "Result"}, {}, "Nothing was started yet."};
    for (auto const& [g, s] : all) {
        bool const under_way = s == &g->last_starts.front() && s->error.empty() && s->took.count() == 0 && !is_awake(*g) &&
                               (g->state == wake::group_state::starting || g->state == wake::group_state::waiting_for_health);
        cell outcome = !s->error.empty() ? cell("failed", tone::bad, s->error) : under_way ? cell("under way", tone::busy) : cell("ready", tone::good);
        out.rows.push_back({{cell(format_ago(now - s->when), tone::plain, format_moment(s->when, now)), cell(g->name), cell(s->reason),
                             cell(under_way || s->took.count() == 0 ? std::string() : format_duration(s->took)), std::move(outcome)},
                            {}});
    }
    return out;
}

inline std::string_view to_word(wake::port_protocol p) noexcept { return p == wake::port_protocol::tcp ? "tcp" : "udp"; }

inline std::string join(std::vector<std::string> const& parts)
{
    std::string out;
    for (auto const& p : parts) out.append(out.empty() ? "" : ", ").append(p);
    return out;
}

inline std::string address_of(wake::port_status const& p) { return p.listen.host.empty() ? "*:" + std::to_string(p.listen.port) : format_host_port(p.listen); }

inline section ports_section(wake_view const& v)
{
    section out{"Ports", {"Port", "Groups", "From", "State"}, {}, "No port is listened on."};
    for (auto const& p : v.ports)
        out.rows.push_back({{cell(address_of(p) + "/" + std::string(to_word(p.protocol))), cell(join(p.groups)), cell(p.from_labels ? "labels" : "settings"),
                             p.error.empty() ? cell("open", tone::good) : cell("closed", tone::bad, p.error)},
                            {}});
    return out;
}

inline double seconds(std::chrono::microseconds t) { return std::chrono::duration<double>(t).count(); }

inline nlohmann::json traffic_json(wake::traffic const& t)
{
    nlohmann::json refused = nlohmann::json::object();
    for (std::size_t i = 0; i < t.refused.size(); ++i)
        if (t.refused[i] != 0) refused[std::string(to_string(static_cast<wake::refusal>(i)))] = t.refused[i];
    return {{"connections", t.connections}, {"open", t.open},
            {"waiting", t.waiting},         {"leftWaiting", t.left},
            {"waitPages", t.wait_pages},    {"droppedDatagrams", t.dropped_datagrams},
            {"bytesToServer", t.to_server}, {"bytesToClient", t.to_client},
            {"refused", std::move(refused)}};
}

inline nlohmann::json member_json(wake::member const& m)
{
    nlohmann::json out = {{"id", m.id}, {"name", m.name}, {"service", m.service}, {"state", to_string(m.state)}, {"health", to_string(m.health)}, {"address", m.address}};
    if (m.exit_code) out["exitCode"] = *m.exit_code;
    return out;
}

inline nlohmann::json group_json(wake::group_status const& g, wake::traffic const& t)
{
    nlohmann::json members = nlohmann::json::array();
    for (auto const& m : g.members) members.push_back(member_json(m));
    nlohmann::json starts = nlohmann::json::array();
    for (auto const& s : g.last_starts) {
        nlohmann::json one = {{"when", format_rfc3339(s.when)}, {"tookSeconds", seconds(s.took)}, {"for", s.reason}};
        if (!s.error.empty()) one["error"] = s.error;
        starts.push_back(std::move(one));
    }
    nlohmann::json out = {{"name", g.name},         {"engine", g.engine},      {"engineReachable", g.engine_reachable}, {"state", state_word(g.state)},
                          {"waiting", g.waiting},   {"inUse", g.in_use},       {"starts", g.starts},                    {"failedStarts", g.failed_starts},
                          {"stops", g.stops},       {"members", members},      {"lastStarts", starts},                  {"traffic", traffic_json(t)}};
    if (g.state == wake::group_state::idle) out["idleLeftSeconds"] = seconds(g.idle_left);
    return out;
}

inline void write_histogram(metrics::exposition_writer& out, std::span<metrics::label const> labels, wake::wait_histogram const& h)
{
    std::array<double, wake::wait_histogram::bounds.size()> bounds{};
    for (std::size_t i = 0; i < bounds.size(); ++i) bounds[i] = seconds(wake::wait_histogram::bounds[i]);
    out.histogram(labels, bounds, h.counts, seconds(h.sum));
}

} // namespace detail

inline wake_view look_at(wake::server const& s)
{
    wake_view out{s.status(), s.ports(), s.total(), {}};
    for (auto const& g : out.groups)
        if (auto const* const t = s.traffic_of(g.name)) out.by_group.emplace(g.name, *t);
    return out;
}

inline health wake_health(wake_view const& v)
{
    for (auto const& p : v.ports)
        if (!p.error.empty()) return {false, "The port " + detail::address_of(p) + " is not open: " + p.error + "."};
    for (auto const& g : v.groups)
        if (!g.engine_reachable) return {false, "The engine " + g.engine + " of the group " + g.name + " can't be reached."};
    auto const awake = static_cast<std::size_t>(std::count_if(v.groups.begin(), v.groups.end(), detail::is_awake));
    return {true, detail::count_of(v.groups.size(), "group", "groups") + ", " + std::to_string(awake) + " of them awake."};
}

inline page_content wake_page(wake_view const& v, wall_time now)
{
    auto const awake = static_cast<std::size_t>(std::count_if(v.groups.begin(), v.groups.end(), detail::is_awake));
    std::size_t waiting = 0;
    for (auto const& g : v.groups) waiting += std::max(g.waiting, v.of(g.name).waiting);
    page_content out;
    out.figures = {{"Groups awake", cell(std::to_string(awake) + " of " + std::to_string(v.groups.size()))},
                   {"Clients waiting", cell(std::to_string(waiting))},
                   {"Connections open", cell(std::to_string(v.total.open))},
                   {"Connections so far", cell(std::to_string(v.total.connections))},
                   {"To clients", cell(detail::format_size(v.total.to_client))},
                   {"Refused", cell(std::to_string(v.total.refused_in_all()))}};
    out.sections = {detail::groups_section(v), detail::starts_section(v, now), detail::members_section(v), detail::ports_section(v)};
    return out;
}

inline nlohmann::json wake_json(wake_view const& v)
{
    nlohmann::json out = {{"groups", nlohmann::json::array()}, {"ports", nlohmann::json::array()}, {"total", detail::traffic_json(v.total)}};
    for (auto const& g : v.groups) out["groups"].push_back(detail::group_json(g, v.of(g.name)));
    for (auto const& p : v.ports) {
        nlohmann::json one = {{"protocol", detail::to_word(p.protocol)}, {"listen", detail::address_of(p)}, {"groups", p.groups}, {"fromLabels", p.from_labels}, {"open", p.error.empty()}};
        if (!p.error.empty()) one["error"] = p.error;
        out["ports"].push_back(std::move(one));
    }
    return out;
}

inline void write_wake_metrics(metrics::exposition_writer& out, wake_view const& v)
{
    using metrics::kind;
    using metrics::label;
    /// One family with a number of each group.
    auto const each = [&](std::string_view name, kind k, std::string_view help, auto number) {
        out.family(name, k, help);
        for (auto const& g : v.groups) out.sample({{"group", g.name}}, static_cast<std::uint64_t>(number(g, v.of(g.name))));
    };
    out.family("podproxy_wake_group_state", kind::gauge, "1 for the state that a group is in, 0 for the others.");
    for (auto const& g : v.groups)
        for (auto const s : detail::all_group_states) out.sample({{"group", g.name}, {"state", detail::state_word(s)}}, std::uint64_t{g.state == s});

    out.family("podproxy_wake_engine_up", kind::gauge, "1 for an engine that can be reached.");
    std::map<std::string, bool> engines;
    for (auto const& g : v.groups) {
        auto const at = engines.emplace(g.engine, true).first;
        at->second = at->second && g.engine_reachable;
    }
    for (auto const& [name, up] : engines) out.sample({{"engine", name}}, std::uint64_t{up});

    out.family("podproxy_wake_port_open", kind::gauge, "1 for a port that is listened on.");
    std::map<std::pair<std::string, std::string>, bool> ports; // a port may be wanted twice, and one of them is refused
    for (auto const& p : v.ports) {
        auto& open = ports[{std::string(detail::to_word(p.protocol)), detail::address_of(p)}];
        open = open || p.error.empty();
    }
    for (auto const& [port, open] : ports) out.sample({{"protocol", port.first}, {"address", port.second}}, std::uint64_t{open});

    each("podproxy_wake_waiting_clients", kind::gauge, "Clients that wait for a group.", [](auto const& g, auto const& t) { return std::max(g.waiting, t.waiting); });
    each("podproxy_wake_clients_in_use", kind::gauge, "Clients that keep a group from being put to rest.", [](auto const& g, auto const&) { return g.in_use; });
    each("podproxy_wake_members", kind::gauge, "Containers, workloads or units of a group.", [](auto const& g, auto const&) { return g.members.size(); });
    each("podproxy_wake_stops_total", kind::counter, "How often a group was put to rest.", [](auto const& g, auto const&) { return g.stops; });

    out.family("podproxy_wake_starts_total", kind::counter, "Starts of a group that became ready, and that failed.");
    for (auto const& g : v.groups) {
        out.sample({{"group", g.name}, {"result", "ready"}}, g.start_times.count());
        out.sample({{"group", g.name}, {"result", "failed"}}, g.failed_starts);
    }
    out.family("podproxy_wake_start_duration_seconds", kind::histogram, "From the first client to a group that is ready.");
    for (auto const& g : v.groups) detail::write_histogram(out, std::array<label, 1>{{{"group", g.name}}}, g.start_times);
    out.family("podproxy_wake_client_wait_seconds", kind::histogram, "How long clients have waited for a group until they were connected.");
    for (auto const& g : v.groups) detail::write_histogram(out, std::array<label, 1>{{{"group", g.name}}}, v.of(g.name).waits);

    each("podproxy_wake_connections_total", kind::counter, "TCP connections and UDP sessions that were connected.", [](auto const&, auto const& t) { return t.connections; });
    each("podproxy_wake_open_connections", kind::gauge, "Those that are open now.", [](auto const&, auto const& t) { return t.open; });
    each("podproxy_wake_left_waiting_total", kind::counter, "Clients that have left while they waited.", [](auto const&, auto const& t) { return t.left; });
    each("podproxy_wake_wait_pages_total", kind::counter, "Browsers that were given the wait page.", [](auto const&, auto const& t) { return t.wait_pages; });
    each("podproxy_wake_dropped_datagrams_total", kind::counter, "Datagrams that were dropped.", [](auto const&, auto const& t) { return t.dropped_datagrams; });

    out.family("podproxy_wake_bytes_total", kind::counter, "Bytes that were passed on.");
    for (auto const& g : v.groups) {
        auto const t = v.of(g.name);
        out.sample({{"group", g.name}, {"direction", "to_server"}}, t.to_server);
        out.sample({{"group", g.name}, {"direction", "to_client"}}, t.to_client);
    }

    out.family("podproxy_wake_refused_total", kind::counter, "Clients that were turned away; without a group: before one was chosen.");
    auto before = v.total.refused;
    for (auto const& g : v.groups) {
        auto const t = v.of(g.name);
        for (std::size_t i = 0; i < t.refused.size(); ++i) {
            before[i] -= std::min(before[i], t.refused[i]);
            if (t.refused[i] != 0) out.sample({{"group", g.name}, {"reason", to_string(static_cast<wake::refusal>(i))}}, t.refused[i]);
        }
    }
    for (std::size_t i = 0; i < before.size(); ++i)
        if (before[i] != 0) out.sample({{"group", ""}, {"reason", to_string(static_cast<wake::refusal>(i))}}, before[i]);
}

inline action_result wake_status::act(std::string_view kind, std::string_view name, std::string_view action)
{
    if (kind != "groups") return action_result::no_such_thing;
    bool const done = action == "wake" ? server_.wake_now(name, "status page") : action == "stop" && server_.stop_now(name);
    return done ? action_result::done : action_result::no_such_thing;
}

} // namespace podproxy::web
