#ifndef PODPROXY_KUBE_SERVICE_CLIENT_HPP
#define PODPROXY_KUBE_SERVICE_CLIENT_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/log.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/kube/api_client.hpp>
#include <podproxy/kube/endpoints.hpp>
#include <podproxy/kube/objects.hpp>
#include <podproxy/kube/watch_client.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/task_group.hpp>
#include <podproxy/net/wait_slot.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace podproxy::kube {

struct service_client_config {
    std::chrono::seconds forget_after{300};       ///< A Service that nobody used for so long is not watched any more.
    std::chrono::milliseconds trust_unwatched{2000}; ///< How long endpoints are believed while no watch runs (RBAC, lost connection).
    std::chrono::seconds trust_service{30};       ///< How long a Service's ports are believed before they are read again, behind a use.
    watch_config watch;
};

/** Knows the pods behind Services that somebody uses.

    The first use of a Service reads it and lists its EndpointSlices; from then on a watch keeps them true until nobody uses them. Where
    watching is not allowed, a list counts for `trust_unwatched`.
    @par Source discovery.k8s.io/v1; API concepts "efficient detection of changes": list, watch, bookmarks, 410 = list again
    @par Lifetime Outlives its calls; `close` and `join` come before the end. */
class service_client {
public:
    service_client(net::executor ex, api_client& api, logger log, service_client_config config = {})
        : executor_(ex), api_(api), log_(log), config_(config), watches_(ex)
    {
    }

    /** The pods that a connection to `port` of a Service may go to, in the order in which they should be tried: each call begins with the
        next pod in turn. Calls for the same Service at the same time share one question to the API server, and its failure.
        @par Cancel total.
        @return at least one; or the errors of `select_pods` and of the API server. */
    net::awaitable<result<std::vector<pod_port>>> resolve(std::string ns, std::string name, std::uint16_t port, diagnostics& why);

    /// Forget what nobody uses.
    void trim(net::clock::time_point now);

    /// End what runs in the background; then `join`.
    void close() { watches_.cancel(); }
    net::awaitable<void> join() { return watches_.join(); }
    std::size_t services() const noexcept { return entries_->size(); }

private:
    struct entry final : watch_observer {
        entry(service_client& owner, std::string ns, std::string name);

        std::error_code on_list(json::value list) override;
        std::error_code on_event(watch_line const& event) override;
        void on_watching() override { watched = true; }
        void on_gap(std::error_code ec, diagnostics const& why) override;
        void forget() noexcept { watch.forget(), forgotten = true; }

        std::string ns;
        std::string name;
        std::string cluster;
        logger log;
        service svc;
        std::map<std::string, endpoint_slice> slices;
        watch_client watch;
        net::clock::time_point listed{};
        net::clock::time_point service_read{};
        net::clock::time_point used{};
        bool loaded = false;
        bool loading = false;
        bool watched = false;       ///< a watch is running, `slices` is the truth
        bool watch_started = false; ///< there is a coroutine for it
        bool refreshing = false;
        bool forgotten = false;
        std::map<std::uint16_t, std::vector<pod_port>> chosen; ///< by port, for `svc` and `slices` as they are
        std::size_t turn = 0;       ///< which pod is next
        std::list<net::wait_slot> waiting;
        std::error_code failure;    ///< of the last load, for those who waited for it
        diagnostics failure_why;
    };
    using key = std::pair<std::string, std::string>;
    using entry_map = std::map<key, std::shared_ptr<entry>>;

    net::awaitable<result<void>> load(std::shared_ptr<entry> e, diagnostics& why);
    net::awaitable<result<void>> load_now(std::shared_ptr<entry> e, diagnostics& why);
    net::awaitable<void> refresh_service(std::shared_ptr<entry> e);
    net::awaitable<void> keep_watching(std::shared_ptr<entry> e);

    net::executor executor_;
    api_client& api_;
    logger log_;
    service_client_config config_;
    std::shared_ptr<entry_map> entries_ = std::make_shared<entry_map>(); ///< a call that is destroyed, not ended, may be the last to need it
    net::task_group watches_;
};

} // namespace podproxy::kube

#include <podproxy/kube/impl/service_client.ipp>

#endif
