// Requests with any head, at a page that has a token or none: nobody presses a button or reads anything who may not, and no text of the
// program becomes markup. Lines: settings, method, target, then fields.

#include <podproxy/core/bytes.hpp>
#include <podproxy/web/status_pages.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

using namespace podproxy;

namespace {

constexpr std::string_view token = "t0ken";

class source final : public web::status_source {
public:
    std::string name;
    int pressed = 0;

    web::health check_health() const override { return {true, name}; }
    web::page_content page() const override
    {
        web::page_content out;
        out.sections.push_back({name, {name}, {{{web::cell(name, web::tone::bad, name)}, {{name, name, name, name, name}}}}, name});
        return out;
    }
    nlohmann::json status() const override { return {{"name", name}}; }
    web::action_result act(std::string_view kind, std::string_view which, std::string_view action) override
    {
        if (kind.empty() || which.empty() || action.empty()) std::abort();
        ++pressed;
        return web::action_result::done;
    }
};

std::string_view take_line(std::string_view& text)
{
    std::size_t const end = text.find('\n');
    std::string_view const line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return line;
}

/// Signs of markup: as many on the page, whatever the texts are.
std::size_t count(std::string_view text, char c)
{
    std::size_t n = 0;
    for (char const x : text) n += x == c;
    return n;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    std::string_view in = as_text({data, size});
    std::string_view const choice = take_line(in);
    source told;
    told.name = std::string(choice);
    metrics::registry measured;
    web::status_config config;
    config.program = "x";
    bool const with_token = choice.starts_with('t');
    if (with_token) config.token = secret(std::string(token));
    config.actions = choice.ends_with('a') ? web::actions::allowed : web::actions::refused;
    bool const allowed = config.actions == web::actions::allowed;
    web::status_pages const pages(told, measured, config, wall_time{});

    http::request_head request;
    request.method = std::string(take_line(in));
    request.target = std::string(take_line(in));
    while (!in.empty()) {
        std::string_view const line = take_line(in);
        std::size_t const colon = line.find(':');
        if (colon != std::string_view::npos) request.fields.add(line.substr(0, colon), line.substr(colon + 1));
    }
    auto const a = pages.answer(request);
    if (a.head.status < 200 || a.head.status > 599) std::abort();
    bool const good = a.head.status < 300;
    if (told.pressed != (a.head.status == 202 ? 1 : 0)) std::abort();
    if (told.pressed != 0 && (!allowed || request.method != "POST" || !request.fields.contains("X-Podproxy-Action"))) std::abort();
    bool const health = a.body == "ok\n";
    if (good && !health) {
        if (with_token && !request.fields.contains("Authorization")) std::abort();
        if (!request.fields.contains("Host")) std::abort();
        for (http::field const f : request.fields)
            if (http::iequals(f.name, "Host") && http::iequals(f.value, "evil.example") && request.fields.count("Host") == 1) std::abort();
    }
    if (a.head.status != 202 && a.body.find(token) != std::string::npos && told.name.find(token) == std::string::npos) std::abort(); // 202 says what was asked for
    if (good && !told.name.empty() && a.head.fields.get("Content-Type").starts_with("text/html")) { // an empty hint has no tags
        source plain;
        plain.name = "p";
        web::status_pages const others(plain, measured, config, wall_time{});
        auto const b = others.answer(request);
        if (count(a.body, '<') != count(b.body, '<') || count(a.body, '>') != count(b.body, '>') || count(a.body, '"') != count(b.body, '"')) std::abort();
    }
    return 0;
}
