// The first line of the input is what a rule is about, the second its way, the third a host; the first byte of that line chooses the port.
#include <podproxy/core/ascii.hpp>
#include <podproxy/core/bytes.hpp>
#include <podproxy/route/rules.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace podproxy;

namespace {

void check(bool ok)
{
    if (!ok) std::abort();
}

std::string_view take_line(std::string_view& text)
{
    std::size_t const end = text.find('\n');
    std::string_view const line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return line;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    using kind = route::destination_pattern::kind;
    std::string_view text = as_text({data, size});
    std::string_view const to = take_line(text);
    std::string_view const via = take_line(text);
    std::string_view const host = text;

    route::rule rule;
    if (route::read_way(via, rule)) {
        check((rule.via == route::way::cluster) == !rule.cluster.empty());
        check((rule.via == route::way::proxy) == !rule.proxy.empty());
        if (rule.via == route::way::cluster) {
            std::string const there = route::host_in_cluster(host, rule.cluster);
            check(ascii_lower(there).ends_with("." + ascii_lower(rule.cluster)));
        }
    }

    auto const pattern = route::parse_destination_pattern(to);
    auto const shouted = route::parse_destination_pattern(ascii_lower(to));
    check(pattern.error() == shouted.error() && (!pattern || *pattern == *shouted)); // letters of either case mean the same
    if (!pattern) return 0;
    check(std::ranges::is_sorted(pattern->ports) && (pattern->ports.empty() || pattern->ports.front() != 0));
    auto const port = static_cast<std::uint16_t>(pattern->ports.empty() ? 80 : pattern->ports.front());
    bool const hit = route::matches(*pattern, host, port, false);
    check(route::matches(*pattern, ascii_lower(host), port, false) == hit);
    bool const in_cluster = route::matches(*pattern, host, port, true);
    check(pattern->type == kind::every ? hit && !in_cluster : hit == in_cluster);
    if (pattern->type == kind::host) {
        check(is_host(pattern->name));
        check(route::matches(*pattern, pattern->name + ".", port, false));
        check(!hit || ascii_lower(host).starts_with(pattern->name));
    } else if (pattern->type == kind::suffix) {
        check(route::matches(*pattern, "x" + pattern->name, port, false) == !is_ip_literal("x" + pattern->name));
        check(!route::matches(*pattern, pattern->name.substr(1), port, false));
    } else if (pattern->type == kind::block) {
        check(route::matches(*pattern, format_ip(pattern->addresses.network), port, false));
        check(!hit || is_ip_literal(host) || host.find_first_of("[%") != std::string_view::npos);
    }
    if (!pattern->ports.empty()) check(!route::matches(*pattern, host, 0, false));
    return 0;
}
