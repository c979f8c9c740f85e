#ifndef PODPROXY_WAKE_TRAFFIC_HPP
#define PODPROXY_WAKE_TRAFFIC_HPP

#include <podproxy/wake/errc.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <system_error>

namespace podproxy::wake {

/// Why a client was turned away.
enum class refusal : std::uint8_t {
    source,              ///< Its address is not allowed.
    no_target,           ///< What it asks for (SNI, Host) is not served on that port.
    no_members,
    engine_unreachable,
    start_failed,
    start_timed_out,     ///< The group was not ready in time, or its port was not open in time.
    too_many_waiting,
    too_many_wakes,
    not_for_this_client,
    shutting_down,
    cannot_connect,      ///< The group runs, and the connection to its server could not be made for a reason that waiting does not change.
};

inline constexpr std::size_t refusals = 11;

/// For labels of metrics and for logs: `too_many_waiting`.
constexpr std::string_view to_string(refusal r) noexcept
{
    switch (r) {
    case refusal::source: return "source";
    case refusal::no_target: return "no_target";
    case refusal::no_members: return "no_members";
    case refusal::engine_unreachable: return "engine_unreachable";
    case refusal::start_failed: return "start_failed";
    case refusal::start_timed_out: return "start_timed_out";
    case refusal::too_many_waiting: return "too_many_waiting";
    case refusal::too_many_wakes: return "too_many_wakes";
    case refusal::not_for_this_client: return "not_for_this_client";
    case refusal::shutting_down: return "shutting_down";
    case refusal::cannot_connect: return "cannot_connect";
    }
    return "cannot_connect";
}

/// The refusal that an error of `group::acquire` leads to; `cannot_connect` for any other error.
inline refusal refusal_for(std::error_code ec) noexcept
{
    if (ec.category() != category_of<errc>()) return refusal::cannot_connect;
    switch (static_cast<errc>(ec.value())) {
    case errc::no_members: return refusal::no_members;
    case errc::engine_unreachable: return refusal::engine_unreachable;
    case errc::start_failed: return refusal::start_failed;
    case errc::start_timed_out: return refusal::start_timed_out;
    case errc::too_many_waiting: return refusal::too_many_waiting;
    case errc::too_many_wakes: return refusal::too_many_wakes;
    case errc::not_for_this_client: return refusal::not_for_this_client;
    case errc::shutting_down: return refusal::shutting_down;
    }
    return refusal::cannot_connect;
}

/// How long clients have waited for a group that was not ready, until they were connected.
struct wait_histogram {
    /// Upper bounds of the buckets; what is longer goes into one more.
    static constexpr std::array<std::chrono::milliseconds, 12> bounds{
        std::chrono::milliseconds(50),    std::chrono::milliseconds(100),    std::chrono::milliseconds(250),    std::chrono::milliseconds(500),
        std::chrono::milliseconds(1'000), std::chrono::milliseconds(2'500),  std::chrono::milliseconds(5'000),  std::chrono::milliseconds(10'000),
        std::chrono::milliseconds(30'000), std::chrono::milliseconds(60'000), std::chrono::milliseconds(120'000), std::chrono::milliseconds(300'000)};

    std::array<std::uint64_t, bounds.size() + 1> counts{}; ///< Each bucket by itself, not added up.
    std::chrono::microseconds sum{0};

    void add(std::chrono::microseconds waited) noexcept
    {
        auto const at = std::lower_bound(bounds.begin(), bounds.end(), waited);
        ++counts[static_cast<std::size_t>(at - bounds.begin())];
        sum += waited;
    }
    std::uint64_t count() const noexcept
    {
        std::uint64_t out = 0;
        for (auto const n : counts) out += n;
        return out;
    }
};

/// What has gone through the ports, of one group or of all.
struct traffic {
    std::uint64_t connections = 0; ///< TCP connections and UDP sessions that were connected to a server.
    std::size_t open = 0;          ///< Of those, the ones that are open now.
    std::size_t waiting = 0;       ///< Clients that wait now, for the group or for its port.
    std::uint64_t left = 0;        ///< Clients that have left while they waited.
    std::uint64_t wait_pages = 0;  ///< Browsers that were given the wait page.
    std::array<std::uint64_t, refusals> refused{}; ///< By `refusal`.
    std::uint64_t to_server = 0;   ///< Bytes.
    std::uint64_t to_client = 0;   ///< Bytes.
    std::uint64_t dropped_datagrams = 0; ///< Of UDP clients: more than may be held, or not taken by a server.
    wait_histogram waits;

    void count(refusal r) noexcept { ++refused[static_cast<std::size_t>(r)]; }
    /// Add what another one has counted.
    traffic& operator+=(traffic const& o) noexcept
    {
        connections += o.connections;
        open += o.open;
        waiting += o.waiting;
        left += o.left;
        wait_pages += o.wait_pages;
        for (std::size_t i = 0; i < refused.size(); ++i) refused[i] += o.refused[i];
        to_server += o.to_server;
        to_client += o.to_client;
        dropped_datagrams += o.dropped_datagrams;
        for (std::size_t i = 0; i < waits.counts.size(); ++i) waits.counts[i] += o.waits.counts[i];
        waits.sum += o.waits.sum;
        return *this;
    }
    std::uint64_t refused_in_all() const noexcept
    {
        std::uint64_t out = 0;
        for (auto const n : refused) out += n;
        return out;
    }
};

} // namespace podproxy::wake

#endif
