// The first line of the input lists known clusters, separated by blanks; the rest is a host.
#include <podproxy/core/ascii.hpp>
#include <podproxy/core/bytes.hpp>
#include <podproxy/route/address.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

using namespace podproxy;

namespace {

void check(bool ok)
{
    if (!ok) std::abort();
}

bool is_name(std::string_view part)
{
    return !part.empty() && std::ranges::all_of(part, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

std::string rebuilt(route::target const& t)
{
    if (auto const* s = std::get_if<route::service_target>(&t)) {
        check(is_name(s->service) && (!s->ns || is_name(*s->ns)));
        return s->service + (s->ns ? "." + *s->ns : std::string()) + "." + s->cluster;
    }
    auto const& p = std::get<route::pod_target>(t);
    check(is_name(p.pod) && is_name(p.service) && is_name(p.ns));
    return p.pod + "." + p.service + "." + p.ns + "." + p.cluster;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    std::string_view const text = as_text({data, size});
    std::size_t const line = text.find('\n');
    if (line == std::string_view::npos) return 0;
    std::string_view list = text.substr(0, line);
    std::string_view const host = text.substr(line + 1);

    route::cluster_names clusters;
    while (!list.empty()) {
        std::size_t const blank = list.find(' ');
        (void)clusters.add(list.substr(0, blank));
        list.remove_prefix(blank == std::string_view::npos ? list.size() : blank + 1);
    }

    auto const r = route::parse_address(host, clusters);
    auto const lower = route::parse_address(ascii_lower(host), clusters);
    check(r.error() == lower.error() && (!r || *r == *lower)); // letters of either case mean the same
    if (!r) return 0;
    if (std::holds_alternative<route::direct_target>(*r)) {
        // A known cluster at the end never goes to DNS.
        for (auto const& [name, cluster] : clusters.entries())
            check(is_ip_literal(host) || !ascii_lower(host).ends_with("." + name));
        return 0;
    }
    // The parts in small letters, without suffix and last dot, are the host, and with the suffix they are the same address.
    std::string const canonical = rebuilt(*r);
    check(ascii_lower(host).starts_with(ascii_lower(canonical)));
    if (canonical.size() + 18 <= max_host_bytes) {
        auto const with_suffix = route::parse_address(canonical + ".svc.cluster.local", clusters);
        // Where the cluster itself ends in ".svc", a shorter cluster may match first.
        check(ascii_lower(canonical).ends_with(".svc") || (with_suffix && *with_suffix == *r));
    }
    return 0;
}
