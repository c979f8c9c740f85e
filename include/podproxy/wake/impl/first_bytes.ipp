#include <podproxy/core/ascii.hpp>
#include <podproxy/http/target.hpp>
#include <podproxy/tls_records/client_hello.hpp>
#include <algorithm>

namespace podproxy::wake {

namespace detail {

/// The longest method that is waited for. Those of RFC 3744 and the like have up to 17 letters.
inline constexpr std::size_t most_method_bytes = 24;

/// Whether the bytes may begin an HTTP/1 request. Methods are in capitals, so that most text protocols are told apart early.
inline bool may_begin_http(bytes_view all) noexcept
{
    std::size_t i = 0;
    while (i < all.size() && i <= most_method_bytes && ((all[i] >= 'A' && all[i] <= 'Z') || all[i] == '-')) ++i;
    return i <= most_method_bytes && (i == all.size() || (i != 0 && all[i] == ' '));
}

inline std::string plain_name(std::string_view name)
{
    if (name.ends_with('.')) name.remove_suffix(1);
    return ascii_lower(name);
}

/// A media type of an Accept field, without its parameters, is `text/html`.
inline bool accepts_html(http::fields const& fields) noexcept
{
    for (http::field const f : fields) {
        if (!http::iequals(f.name, "Accept")) continue;
        for (std::string_view const range : http::list_elements(f.value))
            if (ascii_iequals(ascii_trim(range.substr(0, range.find(';'))), "text/html")) return true;
    }
    return false;
}

/// Whether `part` is in `text`, in letters of any case.
inline bool icontains(std::string_view text, std::string_view part) noexcept
{
    auto const same = [](char a, char b) { return ascii_lower(a) == ascii_lower(b); };
    return std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end();
}

} // namespace detail

inline bool first_bytes_decoder::decide_other()
{
    found_ = {};
    return decided_ = true;
}

inline bool first_bytes_decoder::next(bytes_view all)
{
    if (decided_ || all.empty()) return decided_;
    bool const full = all.size() >= most_first_bytes;
    all = all.first(std::min(all.size(), most_first_bytes));
    if (guess_ == guess::none) guess_ = all[0] == 0x16 ? guess::tls : guess::http;
    bool const told = guess_ == guess::tls ? read_tls(all) : read_http(all);
    return told || (full && decide_other());
}

inline bool first_bytes_decoder::read_tls(bytes_view all)
{
    if (all.size() < needed_) return false;
    auto hello = tls_records::parse_client_hello(all, most_first_bytes);
    if (hello.failed()) return decide_other();
    if (hello.needs_more()) {
        needed_ = hello.at_least();
        return false;
    }
    found_.kind = first_bytes_kind::tls;
    found_.name = detail::plain_name(hello.value().server_name);
    return decided_ = true;
}

inline bool first_bytes_decoder::read_http(bytes_view all)
{
    if (seen_ <= detail::most_method_bytes && !detail::may_begin_http(all)) return decide_other();
    auto const step = request_.next(all.subspan(seen_));
    seen_ = all.size();
    if (step.status == http::head_status::need_more) return false;
    if (step.status == http::head_status::failed) return decide_other();
    http::request_head head = request_.take_head();
    auto const target = http::parse_target(head.method, head.target);
    if (!target) return decide_other();
    std::string_view path = target->path_and_query;
    found_.kind = first_bytes_kind::http;
    found_.path = path.substr(0, path.find('?'));
    if (!target->authority.host.empty()) // RFC 9112 section 3.2.2: then Host does not count
        found_.name = detail::plain_name(target->authority.host);
    else if (auto const host = http::parse_host(head.fields.get("Host")))
        found_.name = detail::plain_name(host->host);
    found_.agent = head.fields.get("User-Agent");
    found_.wants_html = head.method == "GET" && detail::accepts_html(head.fields);
    found_.method = std::move(head.method);
    return decided_ = true;
}

inline bool begins_with_http(bytes_view all, bool& head_only) noexcept
{
    std::string_view const text = as_text(all.first(std::min(all.size(), most_first_bytes)));
    std::size_t const end = text.find('\n');
    if (end == std::string_view::npos || !detail::may_begin_http(all)) return false;
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    constexpr std::string_view version = " HTTP/1.";
    if (line.size() < version.size() + 1 || line[line.size() - 1] < '0' || line[line.size() - 1] > '9') return false;
    if (!line.substr(0, line.size() - 1).ends_with(version)) return false;
    head_only = line.starts_with("HEAD ");
    return true;
}

inline bool name_matches(std::string_view pattern, std::string_view name) noexcept
{
    if (name.ends_with('.')) name.remove_suffix(1);
    if (pattern.ends_with('.')) pattern.remove_suffix(1);
    if (name.empty()) return false;
    if (pattern == "*") return true;
    if (!pattern.starts_with("*.")) return ascii_iequals(pattern, name);
    std::string_view const suffix = pattern.substr(1); // with its dot
    return name.size() > suffix.size() && ascii_iequals(name.substr(name.size() - suffix.size()), suffix);
}

inline bool path_matches(std::string_view pattern, std::string_view path) noexcept
{
    if (pattern.ends_with('*')) return path.starts_with(pattern.substr(0, pattern.size() - 1));
    return path == pattern;
}

inline std::size_t choose_target(std::span<target_config const> targets, first_bytes const& first) noexcept
{
    auto const fits = [&first](target_config const& t) {
        return t.names.empty() || std::ranges::any_of(t.names, [&first](std::string const& n) { return name_matches(n, first.name); });
    };
    return static_cast<std::size_t>(std::ranges::find_if(targets, fits) - targets.begin());
}

inline bool chooses_by_name(std::span<target_config const> targets) noexcept { return !targets.empty() && !targets.front().names.empty(); }

inline wake_verdict judge(client_filter const& filter, first_bytes_decoder const& d, bytes_view all, bool more) noexcept
{
    using enum wake_verdict;
    std::string_view const text = as_text(all);
    bool open = false; // something that has not come yet may decide
    for (std::string const& pattern : filter.no_wake_bytes) {
        if (pattern.empty()) continue;
        if (text.starts_with(pattern)) return does_not_wake;
        if (std::string_view(pattern).starts_with(text)) open = true;
    }
    if (filter.need_first_bytes && all.empty()) {
        if (!more) return does_not_wake;
        open = true;
    }
    bool const by_content = !filter.no_wake_names.empty() || !filter.no_wake_paths.empty() || !filter.no_wake_agents.empty();
    if (by_content && !d.decided()) open = true;
    if (by_content && d.decided()) {
        first_bytes const& first = d.get();
        if (std::ranges::any_of(filter.no_wake_names, [&](std::string const& n) { return name_matches(n, first.name); })) return does_not_wake;
        if (first.kind == first_bytes_kind::http) {
            if (std::ranges::any_of(filter.no_wake_paths, [&](std::string const& p) { return path_matches(p, first.path); })) return does_not_wake;
            auto const in_agent = [&](std::string const& a) { return !a.empty() && detail::icontains(first.agent, a); };
            if (std::ranges::any_of(filter.no_wake_agents, in_agent)) return does_not_wake;
        }
    }
    return open && more ? undecided : wakes;
}

} // namespace podproxy::wake
