#ifndef PODPROXY_KUBE_LEASE_CLIENT_HPP
#define PODPROXY_KUBE_LEASE_CLIENT_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/log.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/kube/api_client.hpp>
#include <podproxy/kube/lease.hpp>
#include <podproxy/net/asio.hpp>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace podproxy::kube {

struct lease_config {
    std::string ns = "default";
    std::string name;                             ///< Of the Lease. Empty: there is no election, and we always lead.
    std::string identity;                         ///< Who we are, another in each process; empty: the host's name and a random part.
    std::chrono::seconds duration{15};            ///< A leader that was silent for so long is replaced.
    std::chrono::milliseconds renew_every{5'000}; ///< How often a leader renews, and the others look.
};

/** One of several equal programs leads: it holds a Lease. Each may also tell the others something, in a Lease of its own.

    All Leases carry the label `podproxy.wake/lease=<name>`. Whether a Lease has expired is measured on our own clock, from when we first saw
    its last renewal, so that clocks that differ do no harm. A leader that can't renew stops leading before another begins.
    @par Source coordination.k8s.io/v1; holder, renewal and expiry as in the client libraries of Kubernetes
    @par Lifetime The API client outlives it. */
class lease_client {
public:
    /// What another one tells.
    struct note {
        std::string identity;
        std::string text;
    };

    lease_client(net::executor ex, api_client& api, lease_config config, logger log);

    /// Take part, for ever. @par Cancel terminal.
    net::awaitable<void> run();

    /// Give back what we hold, so that another need not wait for its end. After `run` has ended.
    net::awaitable<void> release();

    bool leading() const noexcept;
    /// Who leads, as far as we know; empty: nobody.
    std::string const& leader() const noexcept { return leader_; }
    std::string const& identity() const noexcept { return config_.identity; }

    /// Tell the others; an empty text takes it back. Sent soon, and kept true by `run`.
    void set_note(std::string text);
    /// What the others tell now. @par Cancel terminal. @return the notes of all that are alive, or what the API server says.
    net::awaitable<result<std::vector<note>>> notes_of_others(diagnostics& why);

private:
    struct seen {
        kube::lease lease;
        net::clock::time_point since; ///< when its last renewal was first seen
    };

    net::awaitable<result<void>> round(diagnostics& why);
    net::awaitable<result<void>> look(diagnostics& why);
    net::awaitable<result<void>> contend(diagnostics& why);
    net::awaitable<result<void>> write_note(diagnostics& why);
    net::awaitable<result<void>> put(lease l, diagnostics& why);
    void remember(lease l);
    bool expired(seen const& s) const;
    lease make(std::string name) const;

    std::string path(std::string_view name) const;
    std::string note_name() const { return config_.name + "-" + config_.identity; }

    static constexpr std::string_view label = "podproxy.wake/lease";
    static constexpr std::string_view annotation = "podproxy.wake/note";

    api_client& api_;
    lease_config config_;
    logger log_;
    net::timer wake_; ///< between two rounds
    std::map<std::string, seen> seen_;
    std::string leader_;
    std::string note_;
    bool note_written_ = false; ///< our Lease is there
    bool note_changed_ = false;
    bool alone_ = false;        ///< Leases can't be used
    std::optional<net::clock::time_point> renewed_; ///< when we last held it for sure
};

} // namespace podproxy::kube

#include <podproxy/kube/impl/lease_client.ipp>

#endif
