// The settings file: whatever it holds, there are settings or at least one error, places lie inside the text, and the tree
// stays under its limits.
#include <podproxy/config/podproxy_config.hpp>
#include <podproxy/config/yaml.hpp>
#include <podproxy/core/bytes.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

using namespace podproxy;
using namespace podproxy::config;

namespace {

void check(bool ok)
{
    if (!ok) std::abort();
}

std::size_t bytes_of(yaml_node const& node)
{
    std::size_t sum = 64 + node.text.size();
    for (auto const& item : node.items) sum += bytes_of(item);
    for (auto const& member : node.members) sum += bytes_of(member.value);
    return sum;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    std::string_view const text = as_text({data, size});
    auto const lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;

    problem_list problems;
    yaml_limits const limits{.max_bytes = 64 * 1024, .max_expanded_bytes = 256 * 1024};
    auto const root = parse_yaml(text, "f", problems, limits);
    check(root.has_value() == problems.empty());
    if (root) check(bytes_of(*root) <= limits.max_expanded_bytes);
    for (auto const& p : problems) check(p.where.line <= lines);

    problems.clear();
    auto const config = parse_podproxy_config(text, "f", {"/home/jane", {}}, problems);
    check(config.has_value() == !has_errors(problems));
    for (auto const& p : problems) check(p.where.line <= lines && format(p).find('\n') == std::string::npos);
    return 0;
}
