#ifndef PODPROXY_WAKE_WAIT_PAGE_HPP
#define PODPROXY_WAKE_WAIT_PAGE_HPP

#include <podproxy/http/fields.hpp>
#include <podproxy/http/message.hpp>
#include <podproxy/http/serialise.hpp>
#include <podproxy/wake/group_state.hpp>
#include <podproxy/wake/traffic.hpp>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

namespace podproxy::wake {

/// How soon the wait page loads itself again.
inline constexpr std::chrono::seconds wait_page_reload{2};

/// Whether an answer has content.
enum class answer_form { whole, head_only };

namespace detail {

/// For HTML text and attributes in double quotes. Control characters become `?`.
inline std::string escape_html(std::string_view text)
{
    std::string out;
    for (char const c : text) {
        switch (c) {
        case '&': out += "&amp;"; break;
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '"': out += "&quot;"; break;
        case '\'': out += "&#39;"; break;
        default: out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
        }
    }
    return out;
}

inline std::string unavailable(http::fields fields, std::string_view content, std::chrono::seconds retry_after, answer_form form)
{
    http::response_head head(503, std::move(fields));
    head.fields.add("Content-Length", std::to_string(content.size()));
    head.fields.add("Retry-After", std::to_string(retry_after.count()));
    head.fields.add("Cache-Control", "no-store");
    head.fields.add("X-Content-Type-Options", "nosniff");
    head.fields.add("Connection", "close");
    std::string out;
    (void)http::encode_response_head(out, head); // constants and numbers only
    if (form == answer_form::whole) out += content;
    return out;
}

constexpr std::string_view wait_page_style = "body{font:1.1em sans-serif;max-width:32em;margin:20vh auto;padding:0 1em;color-scheme:light dark}";

/// What the page says of a group that is in this state while somebody waits for it.
constexpr std::string_view what_goes_on(group_state s) noexcept
{
    switch (s) {
    case group_state::waiting_for_health: return "It runs, and its health check has yet to pass.";
    case group_state::running:
    case group_state::idle: return "It is ready.";
    case group_state::stopping: return "It is being stopped, and is started again right after.";
    case group_state::failed: return "The last start has failed; another one follows.";
    case group_state::stopped:
    case group_state::starting: break;
    }
    return "It is being started.";
}

} // namespace detail

/// One sentence for people who were turned away; nothing in it comes from the group's members.
constexpr std::string_view refusal_sentence(refusal r) noexcept
{
    switch (r) {
    case refusal::source: return "This address is not allowed here.";
    case refusal::no_target: return "Nothing is served here under that name.";
    case refusal::no_members: return "Nothing is there that could be started.";
    case refusal::engine_unreachable: return "The engine that runs it can't be reached at the moment.";
    case refusal::start_failed: return "It could not be started.";
    case refusal::start_timed_out: return "It was not ready in time.";
    case refusal::too_many_waiting: return "Too many are waiting for it already.";
    case refusal::too_many_wakes: return "It was started too often in a short time.";
    case refusal::not_for_this_client: return "It is at rest, and this request does not start it.";
    case refusal::shutting_down: return "This proxy is ending.";
    case refusal::cannot_connect: return "It runs, but can't be connected to.";
    }
    return "It can't be reached.";
}

/// When it makes sense to try again.
constexpr std::chrono::seconds retry_after(refusal r) noexcept
{
    switch (r) {
    case refusal::source:
    case refusal::no_target: return std::chrono::seconds(3600);
    case refusal::no_members:
    case refusal::start_failed:
    case refusal::too_many_wakes:
    case refusal::not_for_this_client: return std::chrono::seconds(30);
    default: return std::chrono::seconds(5);
    }
}

/// A whole HTTP/1.1 answer for a client that is turned away: 503 with one plain sentence. The connection ends behind it.
inline std::string refusal_answer(refusal r, answer_form form)
{
    http::fields fields;
    fields.add("Content-Type", "text/plain; charset=utf-8");
    return detail::unavailable(std::move(fields), std::string(refusal_sentence(r)) + "\n", retry_after(r), form);
}

/** A whole HTTP/1.1 answer for a browser that need not wait: a page that loads itself again until the group is ready.

    503, so that nothing takes it for what was asked for. It has no script, and refers to nothing. */
inline std::string wait_page(std::string_view group, group_state state)
{
    std::string const name = detail::escape_html(group);
    std::string const reload = std::to_string(wait_page_reload.count());
    std::string page = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"refresh\" content=\"" + reload +
                       "\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"robots\" content=\"noindex\">\n<title>" + name +
                       " is starting</title>\n<style>" + std::string(detail::wait_page_style) + "</style>\n</head>\n<body>\n<h1>" + name +
                       "</h1>\n<p role=\"status\">" + std::string(detail::what_goes_on(state)) + "</p>\n<p>This page loads itself again every " +
                       reload + " seconds.</p>\n</body>\n</html>\n";
    http::fields fields;
    fields.add("Content-Type", "text/html; charset=utf-8");
    fields.add("Content-Security-Policy", "default-src 'none'; style-src 'sha256-jY4MSCVdFsTemX4Bo0onj2kG8vBfTng2wVSp4bwF4sU='; base-uri 'none'; "
                                          "form-action 'none'; frame-ancestors 'none'");
    return detail::unavailable(std::move(fields), page, wait_page_reload, answer_form::whole);
}

} // namespace podproxy::wake

#endif
