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
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
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
    /// The election among several wake-proxies of the same workloads. Without a name there is only one, and it always leads.
    kube::lease_config lease;
    kube::watch_config watch;
};

/** Scales Deployments and StatefulSets between zero and as many replicas as they had.

    Members are those of the configuration, and those that carry the label `podproxy.wake/group=<group>`. Labels and annotations
    `podproxy.wake/<x>` are told as the label `podproxy.wake.<x>`. Three annotations are for this provider: `podproxy.wake/replicas`, where a
    workload's replicas are remembered before it is scaled to zero; `podproxy.wake/service`, the Service whose name is the member's address
    (otherwise the workload's own name); `podproxy.wake/depends-on`, names of other workloads of the group, each with `:healthy` or
    `:started` behind it or nothing (healthy).

    Of several wake-proxies all start, and only the leader stops, and that only what no other has in use: `stop` is else refused with
    `errc::unavailable` and may be tried again later.
    @par Lifetime `api` outlives it. `close`, then `join`, when `run` has ended. */
class kube_provider final : public provider {
public:
    kube_provider(net::executor ex, kube::api_client& api, kube_provider_config config, logger log);
    ~kube_provider() override;

    std::string_view name() const noexcept override { return name_; } ///< `kubernetes cluster staging`
    net::awaitable<void> run(member_observer& observer) override;
    net::awaitable<result<void>> start(member const& m, diagnostics& why) override;
    /// The pods' own `terminationGracePeriodSeconds` counts: `timeout` can't be given to a workload.
    net::awaitable<result<void>> stop(member const& m, std::optional<std::chrono::seconds> timeout, diagnostics& why) override;
    net::awaitable<result<void>> pause(member const& m, diagnostics& why) override;
    net::awaitable<result<void>> unpause(member const& m, diagnostics& why) override;
    net::awaitable<result<void>> set_resources(member const& m, resources const& limits, diagnostics& why) override;
    net::awaitable<std::string> last_line(member const& m) override;
    void note_use(std::string_view group, std::size_t clients) override;

    /// Whether this is the one that stops what is idle.
    bool leading() const noexcept { return lease_.leading(); }

    /// End what runs in the background; then `join`, which gives the leadership back.
    void close();
    net::awaitable<void> join();

private:
    struct source;
    struct pod_watch;
    struct entry {
        source* from = nullptr;
        kube::workload workload;
        member told;
        std::shared_ptr<pod_watch> pods; ///< while it is on its way up
    };

    net::awaitable<void> keep(source& s);
    net::awaitable<void> keep_pods(std::shared_ptr<pod_watch> w);
    void source_listed(source& s, std::vector<kube::workload> all);
    void keep_only(source& s, std::vector<kube::workload> all);
    void source_changed(source& s, kube::workload w);
    void source_removed(source& s, std::string const& uid);
    void source_ready(source& s);
    void source_lost(source& s, std::error_code ec, diagnostics const& why);
    void pods_changed(std::string const& uid);
    entry& take(source& s, kube::workload w);
    void refresh(entry& e);
    void tell(entry& e, member const& before);
    void tell_all_when_ready();
    member describe(entry const& e) const;
    entry* find(member const& m);
    net::awaitable<result<kube::workload>> read(kube::workload w, diagnostics& why);
    net::awaitable<result<void>> set_replicas(kube::workload w, std::int64_t replicas, diagnostics& why);
    void agree_to_stop(std::string const& group);
    void tell_use();
    net::awaitable<result<void>> may_stop(member m, diagnostics& why);
    net::awaitable<std::string> find_last_line(kube::workload w);
    net::awaitable<std::string> last_event(kube::workload w);

    net::executor executor_;
    kube::api_client& api_;
    kube_provider_config config_;
    logger log_;
    std::string name_;
    kube::lease_client lease_;
    member_observer* observer_ = nullptr; ///< while `run` runs
    std::list<source> sources_;
    std::map<std::string, entry> entries_; ///< by uid
    std::map<std::string, std::int64_t> remembered_; ///< replicas that could not be written into the annotation
    std::set<std::string, std::less<>> used_;        ///< groups that others shall not stop
    bool live_ = false; ///< the observer has a snapshot that is true
    bool lost_ = false; ///< the observer was told that nothing is known
    net::task_group tasks_;
};

} // namespace podproxy::wake

#include <podproxy/wake/impl/kube_provider.ipp>

#endif
