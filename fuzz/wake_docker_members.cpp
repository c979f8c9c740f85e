// Containers with labels that anybody may have written, a line for each: `name service depends_on network group`. Whatever they say, each
// member is in one place of one group, what it needs is there, and the order of the containers does not matter.
#include <podproxy/core/bytes.hpp>
#include <podproxy/wake/docker_members.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

using namespace podproxy;
using namespace podproxy::wake;

namespace {

void check(bool ok)
{
    if (!ok) std::abort();
}

std::string_view take(std::string_view& text, char end)
{
    auto const at = text.find(end);
    auto const out = text.substr(0, at);
    text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    if (size > 4096) return 0;
    std::string_view text = as_text({data, size});
    for (auto const& d : parse_depends_on(text)) check(!d.service.empty() && d.service.find_first_of(",:") == std::string::npos);

    std::map<std::string, docker::container> all;
    docker_member_rules rules;
    shared_uses uses;
    while (!text.empty() && all.size() < 24) {
        std::string_view line = take(text, '\n');
        docker::container c;
        c.name = take(line, ' ');
        c.id = "id" + std::to_string(all.size());
        c.status = static_cast<docker::container_status>(c.name.size() % 8);
        if (auto const s = take(line, ' '); !s.empty()) {
            c.labels["com.docker.compose.service"] = s;
            c.labels["com.docker.compose.project"] = s.size() % 3 == 0 ? "q" : "p";
        }
        if (auto const d = take(line, ' '); !d.empty()) c.labels["com.docker.compose.depends_on"] = d;
        c.network_mode = take(line, ' ');
        c.networks = {{"n", "10.0.0.1", "10.0.0.2"}};
        if (line.starts_with('=')) rules.groups[std::string(line)].push_back(c.name);
        else if (!line.empty()) c.labels["podproxy.wake.group"] = line;
        if (c.name.size() % 5 == 1) uses[{c.id, c.name}] = shared_use::stopped;
        std::string id = c.id;
        all.emplace(std::move(id), std::move(c));
    }
    auto const own = all.find("id3");
    auto const found = docker_members(all, rules, own == all.end() ? nullptr : &own->second, uses);
    std::set<std::string> ids;
    std::map<std::string, std::set<std::string>> services;
    for (auto const& m : found.members) {
        check(ids.insert(m.id).second);
        check(!m.group.empty() && !m.name.empty());
        std::string const id(container_of(m.id));
        check(all.contains(id) && found.watched.contains(id));
        check(own == all.end() || id != "id3");
        services[m.group].insert(m.service);
    }
    for (auto const& m : found.members)
        for (auto const& d : m.depends_on) check(!d.required || services[m.group].contains(d.service));
    for (auto const& id : found.watched) check(all.contains(id));
    return 0;
}
