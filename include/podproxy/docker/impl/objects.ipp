#include <podproxy/core/ascii.hpp>
#include <podproxy/core/utf8.hpp>
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <utility>

namespace podproxy::docker {

namespace detail {

inline container_status status_of(std::string_view word) noexcept
{
    if (word == "running") return container_status::running;
    if (word == "paused") return container_status::paused;
    if (word == "restarting") return container_status::restarting;
    if (word == "removing") return container_status::removing;
    if (word == "dead") return container_status::dead;
    if (word == "stopping") return container_status::stopping;
    if (word == "created" || word == "configured" || word == "initialized") return container_status::created;
    return container_status::exited; // "exited", Podman's "stopped" and "unknown"
}

inline health_status health_of(std::string_view word) noexcept
{
    if (word == "starting") return health_status::starting;
    if (word == "healthy") return health_status::healthy;
    if (word == "unhealthy") return health_status::unhealthy;
    return health_status::none;
}

/// `["CMD", "/healthy"]`; `["NONE"]` turns off that of the image.
inline bool has_check(json::value test) noexcept
{
    for (json::value const word : test.items()) return word.text_or("NONE") != "NONE";
    return false;
}

inline bool has_ended(container_status s) noexcept { return s == container_status::exited || s == container_status::dead; }

inline void read_labels(json::value v, container& out)
{
    for (auto const [key, text] : v.members())
        if (auto const t = text.text()) out.labels.emplace(key, *t);
}

inline void read_networks(json::value v, container& out)
{
    for (auto const [key, n] : v.members()) {
        attached_network& network = out.networks.emplace_back();
        network.name = key;
        network.address = n["IPAddress"].text_or({});
        if (network.address.empty()) network.address = n["GlobalIPv6Address"].text_or({});
        network.gateway = n["Gateway"].text_or({});
        if (network.gateway.empty()) network.gateway = n["IPv6Gateway"].text_or({});
    }
}

inline std::string without_slash(std::string_view name) { return std::string(name.starts_with('/') ? name.substr(1) : name); }

/// `Exited (1) 3 days ago`: the number in brackets.
inline std::optional<int> exit_code_in(std::string_view words) noexcept
{
    auto const open = words.find('(');
    if (!words.starts_with("Exited") || open == std::string_view::npos) return std::nullopt;
    int code = 0;
    auto const [end, ec] = std::from_chars(words.data() + open + 1, words.data() + words.size(), code);
    if (ec != std::errc() || end == words.data() + words.size() || *end != ')') return std::nullopt;
    return code;
}

inline health_status health_in(std::string_view words) noexcept
{
    if (words.ends_with("(healthy)")) return health_status::healthy;
    if (words.ends_with("(unhealthy)")) return health_status::unhealthy;
    if (words.ends_with("(health: starting)")) return health_status::starting;
    return health_status::none;
}

inline std::optional<int> as_exit_code(json::value v) noexcept
{
    auto const n = v.integer();
    if (!n || *n < std::numeric_limits<int>::min() || *n > std::numeric_limits<int>::max()) return std::nullopt;
    return static_cast<int>(*n);
}

inline container read_summary(json::value v)
{
    container out;
    out.id = v["Id"].text_or({});
    for (json::value const n : v["Names"].items()) {
        std::string name = without_slash(n.text_or({}));
        // Other containers' links to it are names too: `/other/alias`.
        if (!name.empty() && (out.name.empty() || (out.name.find('/') != std::string::npos && name.find('/') == std::string::npos))) out.name = std::move(name);
    }
    read_labels(v["Labels"], out);
    out.status = status_of(v["State"].text_or({}));
    std::string_view const words = v["Status"].text_or({});
    out.health = health_in(words);
    if (has_ended(out.status)) {
        out.exit_code = exit_code_in(words);
        if (!out.exit_code) out.exit_code = as_exit_code(v["ExitCode"]); // Podman's
    }
    out.network_mode = v["HostConfig"]["NetworkMode"].text_or({});
    read_networks(v["NetworkSettings"]["Networks"], out);
    return out;
}

/// Whether the frames of a log begin here, as far as can be seen.
inline bool is_frame(bytes_view in) noexcept { return in.size() >= 8 && in[0] <= 2 && in[1] == 0 && in[2] == 0 && in[3] == 0; }

} // namespace detail

inline result<container> parse_container(std::string_view text)
{
    json::parser parser(max_inspect_bytes);
    auto const d = parser.parse(text);
    if (!d) return errc::bad_answer;
    container out;
    out.id = (*d)["Id"].text_or({});
    if (out.id.empty()) return errc::bad_answer;
    out.name = detail::without_slash((*d)["Name"].text_or({}));
    detail::read_labels((*d)["Config"]["Labels"], out);
    json::value const state = (*d)["State"];
    out.status = detail::status_of(state["Status"].text_or({}));
    out.health = detail::health_of(state["Health"]["Status"].text_or({}));
    if (out.health == health_status::none) out.health = detail::health_of(state["Healthcheck"]["Status"].text_or({})); // Podman's own
    // One that was never started has nothing to tell of its check yet.
    if (out.health == health_status::none && detail::has_check((*d)["Config"]["Healthcheck"]["Test"])) out.health = health_status::starting;
    // An engine calls a container unhealthy as soon as it does not check it any more: when it is paused, and after that until the next
    // check, which may be far away. Who has failed no check is what the last one has said.
    bool const lives = out.status == container_status::running || out.status == container_status::paused;
    if (out.health == health_status::unhealthy && lives && state["Health"]["FailingStreak"].integer() == 0) out.health = health_status::healthy;
    if (detail::has_ended(out.status)) out.exit_code = detail::as_exit_code(state["ExitCode"]);
    out.error = state["Error"].text_or({});
    out.started_at = state["StartedAt"].text_or({});
    out.network_mode = (*d)["HostConfig"]["NetworkMode"].text_or({});
    detail::read_networks((*d)["NetworkSettings"]["Networks"], out);
    return out;
}

inline result<std::vector<container>> parse_container_list(std::string_view text)
{
    json::parser parser(max_list_bytes);
    auto const d = parser.parse(text);
    if (!d || !d->is_array()) return errc::bad_answer;
    std::vector<container> out;
    for (json::value const v : d->items()) {
        container c = detail::read_summary(v);
        if (!c.id.empty()) out.push_back(std::move(c));
    }
    return out;
}

inline event_kind kind_of_action(std::string_view action) noexcept
{
    if (action == "start") return event_kind::started;
    if (action == "create") return event_kind::created;
    if (action == "destroy" || action == "remove") return event_kind::removed;
    if (action == "rename") return event_kind::renamed;
    if (action == "die" || action == "died" || action == "stop" || action == "restart" || action == "pause" || action == "unpause" || action == "oom" ||
        action == "update" || action == "cleanup" || action == "restore" || action == "health_status" ||
        action.starts_with("health_status:"))
        return event_kind::changed;
    return event_kind::other;
}

inline result<event> parse_event(json::parser& parser, std::string_view text)
{
    auto const d = parser.parse(text);
    if (!d || !d->is_object()) return errc::bad_answer;
    json::value const root = *d;
    json::value const actor = root["Actor"];
    std::string_view action = root["Action"].text_or({});
    if (action.empty()) action = root["status"].text_or({}); // before there were other things than containers
    if (action.empty()) return errc::bad_answer;
    event out;
    out.action = action;
    std::string_view const type = root["Type"].text_or("container");
    if (type == "container") {
        out.kind = kind_of_action(action);
        out.id = actor["ID"].text_or({});
        if (out.id.empty()) out.id = root["id"].text_or({});
    } else if (type == "network" && (action == "connect" || action == "disconnect")) {
        out.kind = event_kind::moved;
        out.id = actor["Attributes"]["container"].text_or({});
    }
    if (out.id.empty()) out.kind = event_kind::other;
    return out;
}

inline std::string parse_error_message(std::string_view body)
{
    json::parser parser(max_inspect_bytes);
    auto const d = parser.parse(body);
    if (!d) return std::string(ascii_trim(body));
    return std::string((*d)["message"].text_or({}));
}

inline std::string last_log_line(bytes_view log)
{
    std::string text;
    if (detail::is_frame(log)) {
        while (log.size() > 8) {
            std::size_t const size = std::size_t{log[4]} << 24 | std::size_t{log[5]} << 16 | std::size_t{log[6]} << 8 | log[7];
            log = log.subspan(8);
            auto const content = log.first(std::min(size, log.size()));
            text.append(as_text(content));
            log = log.subspan(content.size());
        }
    } else {
        text = as_text(log);
    }
    for (char& c : text)
        if (c != '\n' && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)) c = ' ';
    std::string_view rest = ascii_trim(text);
    if (auto const lf = rest.rfind('\n'); lf != std::string_view::npos) rest = ascii_trim(rest.substr(lf + 1));
    std::string line;
    while (!rest.empty()) {
        utf8_char const c = first_utf8(rest);
        if (line.size() + c.size > max_log_line) break;
        if (c.valid) line.append(rest.substr(0, c.size));
        else line += '?';
        rest.remove_prefix(c.size);
    }
    return line;
}

} // namespace podproxy::docker
