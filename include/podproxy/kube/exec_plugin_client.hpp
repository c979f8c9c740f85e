#ifndef PODPROXY_KUBE_EXEC_PLUGIN_CLIENT_HPP
#define PODPROXY_KUBE_EXEC_PLUGIN_CLIENT_HPP

#include <podproxy/core/clock.hpp>
#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/kube/exec_credential.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/child_process.hpp>
#include <podproxy/net/task_group.hpp>
#include <podproxy/net/wait_slot.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <system_error>

namespace podproxy::kube {

struct exec_plugin_config {
    exec_settings plugin;
    cluster_settings cluster; ///< For `provideClusterInfo`.
    std::string roots;        ///< PEM of the cluster's certificate authority, for the same.
    /// A plugin that has not ended by then is killed. Long enough for somebody to log in with a browser.
    std::chrono::milliseconds limit{60'000};
    std::chrono::seconds renew_before{30};          ///< A credential that expires so soon is not used any more.
    std::chrono::milliseconds rest_after_failure{2'000}; ///< A plugin that has failed is not started again so soon; its error holds.
    bool terminal = false;                          ///< Whether our standard input is a terminal that the plugin may use.
    std::function<wall_time()> now = wall_now;
};

/** Gets credentials from an exec plugin, and keeps them until they expire or are refused.

    However many ask at the same time, the program runs once.
    @par Lifetime Outlives its calls. */
class exec_plugin_client {
public:
    exec_plugin_client(net::executor ex, exec_plugin_config config) : executor_(ex), config_(std::move(config)), runs_(ex) {}

    /** A credential that is good now.
        @par Cancel total; the plugin goes on, and its credential is kept for the next who asks.
        @return the credential, valid until the next call; or `errc::bad_credential`, with `why` naming the program, its last words and, where
                it is missing, how to install it. */
    net::awaitable<result<exec_credential const*>> credential(diagnostics& why);

    /// The API server has refused (401) a credential of this age: the next call runs the plugin again. @param age see `age`.
    void refused(std::uint64_t age) noexcept
    {
        if (age == age_) credential_.reset();
    }
    /// Counts the credentials; another number is another credential.
    std::uint64_t age() const noexcept { return age_; }

private:
    net::awaitable<void> run();
    net::awaitable<result<exec_credential>> run_program(diagnostics& why) const;
    bool good() const;

    net::executor executor_;
    exec_plugin_config config_;
    std::optional<exec_credential> credential_;
    std::uint64_t age_ = 0;
    bool running_ = false;
    std::error_code failure_;
    diagnostics failure_why_;
    net::clock::time_point failed_{};
    std::list<net::wait_slot> waiting_;
    net::task_group runs_;
};

} // namespace podproxy::kube

#include <podproxy/kube/impl/exec_plugin_client.ipp>

#endif
