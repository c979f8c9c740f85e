#ifndef PODPROXY_KUBE_LEASE_HPP
#define PODPROXY_KUBE_LEASE_HPP

#include <podproxy/core/clock.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/json/document.hpp>
#include <podproxy/kube/errc.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace podproxy::kube {

/// A Lease, coordination.k8s.io/v1: who holds something, and until when.
struct lease {
    std::string ns;
    std::string name;
    std::string resource_version; ///< Empty for one that is to be created.
    std::map<std::string, std::string> labels;
    std::map<std::string, std::string> annotations;
    std::string holder;           ///< Empty: nobody.
    std::chrono::seconds duration{0};
    std::string acquire_time;     ///< As `format_micro_time` writes it.
    std::string renew_time;
    std::int64_t transitions = 0; ///< How often the holder has changed.
};

/// Read a Lease. @return `errc::bad_answer` for an object without a name.
result<lease> read_lease(json::value object);

/// The whole Lease, for POST; or what a merge patch changes of one with a `resource_version`. Empty texts are not written, but for the holder.
std::string encode_lease(lease const& l);

/// A MicroTime, as Leases have them: six digits behind the point.
inline std::string format_micro_time(wall_time t)
{
    std::string out = format_rfc3339(t);
    return out.insert(out.size() - 1, "000");
}

} // namespace podproxy::kube

#include <podproxy/kube/impl/lease.ipp>

#endif
