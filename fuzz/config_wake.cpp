// The settings file of wake-proxy: there are settings or at least one error, places lie inside the text, ports can be opened together and
// lead to groups that are there, and every group's engine is known.
#include <podproxy/config/wake_config.hpp>
#include <podproxy/core/bytes.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace podproxy;
using namespace podproxy::config;

namespace {

void check(bool ok)
{
    if (!ok) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    if (size > 8 * 1024) return 0;
    std::string_view const text = as_text({data, size});
    auto const lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;

    problem_list problems;
    auto const config = parse_wake_config(text, "f", {"/home/jane", {}}, problems);
    check(config.has_value() == !has_errors(problems));
    for (auto const& p : problems) check(p.where.line <= lines && format(p).find('\n') == std::string::npos);
    if (!config) return 0;

    check(!config->providers.empty() && config->members.size() == config->settings.groups.size());
    for (auto const& m : config->members) {
        check(std::ranges::find(config->providers, m.provider, &wake_provider::name) != config->providers.end());
        check(std::ranges::find(config->settings.groups, m.group, &wake::group_config::name) != config->settings.groups.end());
    }
    auto const& ports = config->settings.ports;
    for (std::size_t i = 0; i < ports.size(); ++i) {
        check(ports[i].listen.port != 0 && !ports[i].targets.empty());
        for (std::size_t k = 0; k < i; ++k) check(ports[i].listen != ports[k].listen || ports[i].protocol != ports[k].protocol);
        for (auto const& target : ports[i].targets) {
            check(target.address.port != 0 && (!target.names.empty() || &target == &ports[i].targets.back()));
            check(std::ranges::find(config->settings.groups, target.group, &wake::group_config::name) != config->settings.groups.end());
        }
    }
    return 0;
}
