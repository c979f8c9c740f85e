#ifndef PODPROXY_KUBE_LEASE_CLIENT_HPP
#define PODPROXY_KUBE_LEASE_CLIENT_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/log.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/kube/api_client.hpp>
#include <podproxy/net/asio.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::kube {

struct lease_config {
    std::string ns = "default";
    std::string name;                              ///< Of the Lease. Empty: there is no election, and we always lead.
    std::string identity;                          ///< Who we are, differently in each process; empty: the host's name and a random part.
    std::chrono::seconds duration{15};             ///< A leader that was silent for so long is replaced.
    std::chrono::milliseconds renew_every{5'000};  ///< How often a leader renews, and others look.
};

} // namespace podproxy::kube

#endif
