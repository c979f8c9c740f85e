#ifndef PODPROXY_WAKE_KUBE_PROVIDER_HPP
#define PODPROXY_WAKE_KUBE_PROVIDER_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/log.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/kube/api_client.hpp>
#include <podproxy/kube/lease_client.hpp>
#include <podproxy/kube/watch_client.hpp>
#include <podproxy/kube/workload.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/task_group.hpp>
#include <podproxy/wake/member.hpp>
#include <podproxy/wake/provider.hpp>
#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::wake {

/// A Deployment or StatefulSet that belongs to a group by configuration.
struct kube_member {
    std::string group;
    kube::workload_kind kind = kube::workload_kind::deployment;
    std::string ns = "default";
    std::string name;
};

struct kube_provider_config {
    std::vector<kube_member> members;
    /// Where workloads with the label `podproxy.wake/group` are looked for; an empty text is every namespace.
    std::vector<std::string> namespaces;
    /** What follows `<service>.<namespace>.` in the address of a member: `svc` inside of the cluster, the name of the cluster where
        targets are reached through `kube::cluster_dialer`. */
    std::string address_suffix = "svc";
    /// The election among several wake-proxies of the same workloads. An empty name: there is only one, it always leads.
    kube::lease_config lease;
    kube::watch_config watch;
};

/** Scales Deployments and StatefulSets between zero and as many replicas as they had.

    Members are those of the configuration, and those that carry the label `podproxy.wake/group=<group>`. Labels and annotations
    `podproxy.wake/<x>` are told as the label `podproxy.wake.<x>`; `podproxy.wake/service` names the Service whose name is the member's
    address, otherwise it is the workload's own name. Before a workload is scaled to zero its replicas are remembered in the annotation
    `podproxy.wake/replicas`.

    Of several wake-proxies all start, and only the leader stops, and that only what no other has in use: `stop` is refused with
    `errc::unavailable` and may be tried again later.
    @par Lifetime `api` outlives it. `close`, then `join`, when `run` has ended. */
class kube_provider final : public provider {
public:
    kube_provider(net::executor ex, kube::api_client& api, kube_provider_config config, logger log);
    ~kube_provider() override;

    std::string_view name() const noexcept override { return name_; } ///< `kubernetes cluster staging`
    net::awaitable<void> run(member_observer& observer) override;
    net::awaitable<result<void>> start(member const& m, diagnostics& why) override;
    net::awaitable<result<void>> stop(member const& m, std::optional<std::chrono::seconds> timeout, diagnostics& why) override;
    net::awaitable<result<void>> pause(member const& m, diagnostics& why) override;
    net::awaitable<result<void>> unpause(member const& m, diagnostics& why) override;
    net::awaitable<result<void>> set_resources(member const& m, resources const& limits, diagnostics& why) override;
    net::awaitable<std::string> last_line(member const& m) override;
    void note_use(std::string_view group, std::size_t clients) override;

    /// Whether this is the one that stops what is idle.
    bool leading() const noexcept;

    void close();
    net::awaitable<void> join();

private:
    std::string name_;
};

} // namespace podproxy::wake

#endif
