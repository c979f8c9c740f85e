#ifndef PODPROXY_WEB_WAKE_STATUS_HPP
#define PODPROXY_WEB_WAKE_STATUS_HPP

#include <podproxy/core/clock.hpp>
#include <podproxy/metrics/exposition.hpp>
#include <podproxy/wake/group.hpp>
#include <podproxy/wake/server.hpp>
#include <podproxy/wake/traffic.hpp>
#include <podproxy/web/status_source.hpp>
#include <nlohmann/json.hpp>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::web {

/// All that a wake server tells of itself at one moment.
struct wake_view {
    std::vector<wake::group_status> groups;
    std::vector<wake::port_status> ports;
    wake::traffic total;
    std::map<std::string, wake::traffic, std::less<>> by_group;

    /// Of one group; zeros when nothing is known.
    wake::traffic of(std::string_view group) const
    {
        auto const at = by_group.find(group);
        return at == by_group.end() ? wake::traffic{} : at->second;
    }
};

wake_view look_at(wake::server const& s);

/// Not well: an engine that can't be reached, or a port that can't be listened on. A group that can't be started is not wake-proxy's own health.
health wake_health(wake_view const& v);
/// Groups with buttons, members, last starts and ports. @param now For how long ago something was.
page_content wake_page(wake_view const& v, wall_time now);
/// `groups`, `ports` and `total`, without labels, for they may hold anything.
nlohmann::json wake_json(wake_view const& v);
/// `podproxy_wake_*`; clients that were turned away before a group was chosen count for the group "".
void write_wake_metrics(metrics::exposition_writer& out, wake_view const& v);

/** What wake-proxy shows on its status port.
    @par Lifetime The server outlives it. */
class wake_status final : public status_source {
public:
    explicit wake_status(wake::server& s) noexcept : server_(s) {}

    health check_health() const override { return wake_health(look_at(server_)); }
    page_content page() const override { return wake_page(look_at(server_), wall_now()); }
    nlohmann::json status() const override { return wake_json(look_at(server_)); }
    void collect(metrics::exposition_writer& out) const override { write_wake_metrics(out, look_at(server_)); }
    action_result act(std::string_view kind, std::string_view name, std::string_view action) override;

private:
    wake::server& server_;
};

} // namespace podproxy::web

#include <podproxy/web/impl/wake_status.ipp>

#endif
