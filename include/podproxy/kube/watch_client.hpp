#ifndef PODPROXY_KUBE_WATCH_CLIENT_HPP
#define PODPROXY_KUBE_WATCH_CLIENT_HPP

#include <podproxy/kube/api_client.hpp>
#include <chrono>

namespace podproxy::kube {

struct watch_config {
    std::chrono::seconds length{120};             ///< The server ends a watch after so long, and the next one begins.
    std::chrono::milliseconds first_backoff{200}; ///< After a lost watch; doubled each time, up to `most_backoff`.
    std::chrono::milliseconds most_backoff{15'000};
};

} // namespace podproxy::kube

#endif
