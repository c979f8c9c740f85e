#include <podproxy/core/base64.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/core/percent.hpp>
#include <podproxy/core/utf8.hpp>
#include <podproxy/crypto/constant_time.hpp>
#include <podproxy/crypto/digest.hpp>
#include <podproxy/http/target.hpp>
#include <podproxy/web/detail/assets.hpp>
#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace podproxy::web {

namespace detail {

inline constexpr std::string_view text_type = "text/plain; charset=utf-8";
inline constexpr std::string_view json_type = "application/json";
inline constexpr std::string_view action_field = "X-Podproxy-Action";

inline std::string dump(nlohmann::json const& value) { return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"; }

inline web::answer make_answer(unsigned status, std::string_view type, std::string body)
{
    return {http::response_head(status, {{"Content-Type", type},
                                         {"Cache-Control", "no-store"},
                                         {"X-Content-Type-Options", "nosniff"},
                                         {"Referrer-Policy", "no-referrer"},
                                         {"Cross-Origin-Resource-Policy", "same-origin"}}),
            std::move(body)};
}

/// An error in the form that fits the path: an object for programs, text for everybody else.
inline web::answer make_error(unsigned status, std::string_view path, std::string const& sentence)
{
    if (path.starts_with("/api/")) return make_answer(status, json_type, dump({{"error", sentence}}));
    return make_answer(status, text_type, sentence + "\n");
}

/// Text for HTML, also inside of quotes. Control characters become blanks.
inline void append_html(std::string& out, std::string_view text)
{
    while (!text.empty()) {
        auto const c = first_utf8(text);
        if (!c.valid) out += "\xef\xbf\xbd";
        else if (c.code < 0x20 || c.code == 0x7f) out += ' ';
        else if (c.code == '&') out += "&amp;";
        else if (c.code == '<') out += "&lt;";
        else if (c.code == '>') out += "&gt;";
        else if (c.code == '"') out += "&quot;";
        else if (c.code == '\'') out += "&#39;";
        else out += text.substr(0, c.size);
        text.remove_prefix(c.size);
    }
}

inline std::string_view class_of(tone t) noexcept
{
    switch (t) {
    case tone::plain: return "";
    case tone::good: return "good";
    case tone::busy: return "busy";
    case tone::bad: return "bad";
    case tone::quiet: return "quiet";
    }
    return "";
}

inline void append_cell(std::string& out, cell const& c)
{
    std::string_view const look = class_of(c.tone);
    if (!look.empty()) out.append("<span class=\"").append(look).append("\">");
    append_html(out, c.text);
    if (!look.empty()) out += "</span>";
    if (!c.hint.empty()) {
        out += "<span class=\"hint\">";
        append_html(out, c.hint);
        out += "</span>";
    }
}

inline std::string path_of(button const& b) { return "/api/" + encode_percent(b.kind) + "/" + encode_percent(b.name) + "/" + encode_percent(b.action); }

inline void append_buttons(std::string& out, std::vector<button> const& buttons)
{
    out += "<td class=\"buttons\">";
    for (button const& b : buttons) {
        out += "<button type=\"button\" data-path=\"";
        append_html(out, path_of(b));
        if (!b.question.empty()) {
            out += "\" data-question=\"";
            append_html(out, b.question);
        }
        out += "\" title=\"";
        append_html(out, b.label + " " + b.name);
        out += "\">";
        append_html(out, b.label);
        out += "</button> ";
    }
    out += "</td>";
}

inline void append_section(std::string& out, section const& s, bool with_buttons)
{
    out += "<section><h2>";
    append_html(out, s.title);
    out += "</h2>\n";
    if (s.rows.empty()) {
        out += "<p class=\"empty\">";
        append_html(out, s.when_empty);
        out += "</p></section>\n";
        return;
    }
    with_buttons = with_buttons && std::any_of(s.rows.begin(), s.rows.end(), [](table_row const& r) { return !r.buttons.empty(); });
    out += "<div class=\"table\" tabindex=\"0\"><table><thead><tr>";
    for (std::string const& name : s.columns) {
        out += "<th scope=\"col\">";
        append_html(out, name);
        out += "</th>";
    }
    if (with_buttons) out += "<th></th>";
    out += "</tr></thead><tbody>\n";
    for (table_row const& r : s.rows) {
        out += "<tr>";
        for (cell const& c : r.cells) {
            out += "<td>";
            append_cell(out, c);
            out += "</td>";
        }
        if (with_buttons) append_buttons(out, r.buttons);
        out += "</tr>\n";
    }
    out += "</tbody></table></div></section>\n";
}

/// `127.0.0.1`, `localhost`, or a name of the settings. Who owns a name on the internet can let it lead here, but owns none of these.
inline bool may_be_asked_by(std::string_view host, std::vector<std::string> const& names)
{
    if (is_ip_literal(host)) return true;
    if (host.ends_with('.')) host.remove_suffix(1);
    if (http::iequals(host, "localhost") || (host.size() > 10 && http::iequals(host.substr(host.size() - 10), ".localhost"))) return true;
    return std::any_of(names.begin(), names.end(), [host](std::string const& name) { return http::iequals(host, name); });
}

} // namespace detail

inline std::string render_page(page_content const& content, health const& state, status_config const& config, wall_time now)
{
    std::string out = "<!DOCTYPE html>\n<html lang=\"en\" data-refresh=\"" + std::to_string(std::max<std::int64_t>(config.refresh.count(), 1)) + "\"><head><meta charset=\"utf-8\"><title>";
    detail::append_html(out, config.program);
    out += "</title>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
           "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\n"
           "<link rel=\"icon\" href=\"/icon.svg\" type=\"image/svg+xml\"><link rel=\"stylesheet\" href=\"/style.css\">"
           "<script src=\"/script.js\" defer></script></head>\n<body><header><h1>";
    detail::append_html(out, config.program);
    out += "</h1><span class=\"version\">";
    detail::append_html(out, config.version);
    out += "</span><span id=\"note\" role=\"status\"></span></header>\n<main>\n<p class=\"health\">";
    detail::append_cell(out, cell(state.sentence, state.ok ? tone::good : tone::bad));
    out += "</p>\n";
    if (!content.figures.empty()) {
        out += "<dl class=\"figures\">";
        for (figure const& f : content.figures) {
            out += "<div><dt>";
            detail::append_html(out, f.label);
            out += "</dt><dd>";
            detail::append_cell(out, f.value);
            out += "</dd></div>";
        }
        out += "</dl>\n";
    }
    for (section const& s : content.sections) detail::append_section(out, s, config.actions == actions::allowed);
    out += "</main>\n<footer>" + format_rfc3339(now).substr(0, 19) +
           "Z when this page was loaded · <a href=\"/api/status\">JSON</a> · <a href=\"/metrics\">metrics</a> · <a href=\"/healthz\">health</a></footer>\n</body></html>\n";
    return out;
}

inline status_pages::status_pages(status_source& source, metrics::registry& measured, status_config config, wall_time started)
    : source_(source), measured_(measured), config_(std::move(config)), started_(started)
{
    measured_.add_collector([&source](metrics::exposition_writer& out) { source.collect(out); });
}

inline web::answer status_pages::answer(http::request_head const& request, logger const& log) const
{
    auto const target = http::parse_target(request.method, request.target);
    if (!target || target->form == http::target_form::authority || target->form == http::target_form::asterisk)
        return detail::make_error(400, {}, "This is a status page, no proxy.");
    std::string_view path = target->path_and_query;
    path = path.substr(0, path.find('?'));
    bool const known = has_token(request);
    bool const reading = request.method == "GET" || request.method == "HEAD";
    // Asked by probes under any name, and it tells nobody anything but its status.
    if (path == "/healthz" && reading) return health_answer(known && !refuse_host(request));
    if (auto refusal = refuse_host(request)) return std::move(*refusal);
    if (!known) {
        auto out = detail::make_error(401, path, "A token is needed: as bearer token, or as password of any user.");
        out.head.fields.add("WWW-Authenticate", "Basic realm=\"" + config_.program + "\", charset=\"UTF-8\"");
        out.head.fields.add("WWW-Authenticate", "Bearer");
        return out;
    }
    if (reading) return get(request, path);
    if (request.method == "POST" && path.starts_with("/api/")) return post(request, path, log);
    auto out = detail::make_error(405, path, "Only GET and HEAD are possible here.");
    out.head.fields.add("Allow", "GET, HEAD");
    return out;
}

inline std::optional<web::answer> status_pages::refuse_host(http::request_head const& request) const
{
    auto const target = http::parse_target(request.method, request.target);
    auto const field = request.fields.find("Host");
    if (!field && request.version == http::version::http_1_0) return std::nullopt; // older than browsers
    auto const asked = field ? http::parse_host(*field) : result<http::host_view>(podproxy::errc::malformed);
    bool allowed = asked && detail::may_be_asked_by(asked->host, config_.names);
    if (target && target->form == http::target_form::absolute) allowed = allowed && detail::may_be_asked_by(target->authority.host, config_.names);
    if (allowed) return std::nullopt;
    return detail::make_error(421, {}, "This page is served for IP addresses, localhost and the names in its settings only; the name in the address is none of them.");
}

inline bool status_pages::has_token(http::request_head const& request) const
{
    if (config_.token.empty()) return true;
    std::string_view given = request.fields.get("Authorization");
    std::size_t const blank = given.find(' ');
    if (blank == std::string_view::npos) return false;
    std::string_view const scheme = given.substr(0, blank);
    given.remove_prefix(std::min(given.find_first_not_of(' ', blank), given.size()));
    std::string password(given);
    if (http::iequals(scheme, "Basic")) {
        auto const decoded = decode_base64(given);
        if (!decoded) return false;
        std::string_view const both = as_text(*decoded);
        std::size_t const colon = both.find(':');
        if (colon == std::string_view::npos) return false;
        password = both.substr(colon + 1);
    } else if (!http::iequals(scheme, "Bearer")) {
        return false;
    }
    // Digests, so that the time tells nothing of the length either.
    return crypto::constant_time_equal(crypto::sha256(as_bytes(password)), crypto::sha256(as_bytes(config_.token.reveal())));
}

/// What a page of another origin could make a browser send.
inline std::optional<web::answer> status_pages::refuse_foreign(http::request_head const& request) const
{
    if (!request.fields.contains(detail::action_field))
        return detail::make_error(403, "/api/", "The field " + std::string(detail::action_field) + " is missing.");
    auto const site = request.fields.find("Sec-Fetch-Site");
    bool foreign = site && *site != "same-origin";
    if (auto const origin = request.fields.find("Origin")) {
        std::size_t const end = origin->find("://");
        std::string_view const scheme = origin->substr(0, end);
        foreign = foreign || end == std::string_view::npos || (scheme != "http" && scheme != "https") ||
                  !http::iequals(origin->substr(end + 3), request.fields.get("Host"));
    }
    if (!foreign) return std::nullopt;
    return detail::make_error(403, "/api/", "Another page's requests are not served.");
}

inline web::answer status_pages::health_answer(bool with_sentence) const
{
    auto const state = source_.check_health();
    std::string sentence = state.ok ? "ok" : "unavailable";
    if (with_sentence && !state.sentence.empty()) sentence = state.sentence;
    return detail::make_answer(state.ok ? 200 : 503, detail::text_type, sentence + "\n");
}

inline web::answer status_pages::get(http::request_head const& request, std::string_view path) const
{
    if (path == "/") {
        auto out = detail::make_answer(200, "text/html; charset=utf-8", render_page(source_.page(), source_.check_health(), config_, wall_now()));
        out.head.fields.add("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
                                                       "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
        out.head.fields.add("X-Frame-Options", "DENY");
        out.head.fields.add("Cross-Origin-Opener-Policy", "same-origin");
        return out;
    }
    if (path == "/api/status") {
        auto const state = source_.check_health();
        auto out = source_.status();
        out["program"] = config_.program;
        out["version"] = config_.version;
        out["time"] = format_rfc3339(wall_now());
        out["started"] = format_rfc3339(started_);
        out["health"] = {{"ok", state.ok}, {"sentence", state.sentence}};
        return detail::make_answer(200, detail::json_type, detail::dump(out));
    }
    if (path == "/metrics") {
        std::string accept;
        for (http::field const f : request.fields)
            if (http::iequals(f.name, "Accept")) accept.append(accept.empty() ? "" : ",").append(f.value);
        auto const form = metrics::choose_format(accept);
        return detail::make_answer(200, metrics::content_type(form), measured_.expose(form));
    }
    if (path == "/style.css") return detail::make_answer(200, "text/css; charset=utf-8", std::string(detail::style_css));
    if (path == "/script.js") return detail::make_answer(200, "text/javascript; charset=utf-8", std::string(detail::script_js));
    if (path == "/icon.svg") return detail::make_answer(200, "image/svg+xml", std::string(detail::icon_svg));
    return detail::make_error(404, path, "There is nothing here.");
}

inline web::answer status_pages::post(http::request_head const& request, std::string_view path, logger const& log) const
{
    if (auto refusal = refuse_foreign(request)) return std::move(*refusal);
    if (config_.actions == actions::refused) return detail::make_error(403, path, "Buttons are turned off in the settings.");
    std::array<std::string, 3> parts; // kind, name, action
    std::string_view rest = path.substr(std::string_view("/api/").size());
    for (std::size_t i = 0; i < parts.size(); ++i) {
        std::size_t const slash = i + 1 < parts.size() ? rest.find('/') : rest.size();
        if (slash == std::string_view::npos) return detail::make_error(404, path, "There is nothing here.");
        auto part = decode_percent(rest.substr(0, slash));
        if (!part || part->empty() || rest.substr(0, slash).find('/') != std::string_view::npos) return detail::make_error(404, path, "There is nothing here.");
        parts[i] = std::move(*part);
        rest.remove_prefix(std::min(slash + 1, rest.size()));
    }
    if (source_.act(parts[0], parts[1], parts[2]) == action_result::no_such_thing)
        return detail::make_error(404, path, "There is no such thing.");
    log.info("asked for on the status page", {{"action", parts[2]}, {"name", parts[1]}});
    return detail::make_answer(202, detail::json_type, detail::dump({{"begun", parts[2]}, {"name", parts[1]}}));
}

} // namespace podproxy::web
