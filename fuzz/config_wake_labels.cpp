// Labels of containers, as `container|label=value` in lines: whatever they hold, the ports that come out can be opened together and
// lead to groups that are there, the order of the containers changes nothing, and no problem breaks a line.
#include <podproxy/config/wake_labels.hpp>
#include <podproxy/core/bytes.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

using namespace podproxy;
using namespace podproxy::config;

namespace {

void check(bool ok)
{
    if (!ok) std::abort();
}

std::vector<wake::member> members_from(std::string_view text)
{
    std::map<std::string, wake::member> found;
    while (!text.empty()) {
        auto const line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        auto const bar = line.find('|');
        auto const is = line.find('=', bar);
        if (bar == std::string_view::npos || is == std::string_view::npos) continue;
        std::string const name(line.substr(0, bar));
        auto& m = found[name];
        m.id = m.name = name;
        m.labels.insert_or_assign(std::string(line.substr(bar + 1, is - bar - 1)), std::string(line.substr(is + 1)));
    }
    std::vector<wake::member> out;
    for (auto& [name, m] : found) out.push_back(std::move(m));
    return out;
}

std::string transcript(wake::settings const& s, problem_list const& problems)
{
    std::string out;
    for (auto const& g : s.groups) out += g.name + ' ' + std::to_string(g.idle.count()) + ' ' + std::to_string(g.start_limit.count()) + '\n';
    for (auto const& p : s.ports) {
        out += format_host_port(p.listen);
        for (auto const& t : p.targets) out += ' ' + t.group + ' ' + format_host_port(t.address);
        out += '\n';
    }
    for (auto const& p : problems) out += format(p) + '\n';
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    if (size > 8 * 1024) return 0;
    auto all = members_from(as_text({data, size}));
    problem_list problems;
    auto const out = settings_with_labels(all, {}, {}, problems);
    for (auto const& p : problems) check(p.level != severity::error && format(p).find('\n') == std::string::npos);
    check(out.groups.size() <= all.size());
    for (std::size_t i = 0; i < out.groups.size(); ++i) {
        check(!out.groups[i].name.empty() && out.groups[i].idle.count() >= 0 && out.groups[i].start_attempts > 0);
        for (std::size_t k = 0; k < i; ++k) check(out.groups[i].name != out.groups[k].name);
    }
    for (std::size_t i = 0; i < out.ports.size(); ++i) {
        auto const& port = out.ports[i];
        check(port.listen.port != 0 && !port.targets.empty());
        for (std::size_t k = 0; k < i; ++k)
            check(port.listen != out.ports[k].listen || port.protocol != out.ports[k].protocol);
        for (auto const& target : port.targets) {
            check(target.address.port != 0);
            check(std::ranges::find(out.groups, target.group, &wake::group_config::name) != out.groups.end());
            // Whoever comes behind a target without names is never reached.
            check(!target.names.empty() || &target == &port.targets.back());
        }
    }
    std::ranges::reverse(all);
    problem_list again;
    check(transcript(settings_with_labels(all, {}, {}, again), again) == transcript(out, problems));
    return 0;
}
