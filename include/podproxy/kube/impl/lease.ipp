#include <nlohmann/json.hpp>
#include <algorithm>

namespace podproxy::kube {

inline result<lease> read_lease(json::value object)
{
    lease out;
    json::value const metadata = object["metadata"];
    out.ns = metadata["namespace"].text_or({});
    out.name = metadata["name"].text_or({});
    if (out.name.empty()) return errc::bad_answer;
    out.resource_version = metadata["resourceVersion"].text_or({});
    for (auto const [key, value] : metadata["labels"].members()) out.labels.emplace(key, value.text_or({}));
    for (auto const [key, value] : metadata["annotations"].members()) out.annotations.emplace(key, value.text_or({}));
    json::value const spec = object["spec"];
    out.holder = spec["holderIdentity"].text_or({});
    constexpr std::int64_t most = 24 * 3600; // a holder that claims more is not believed for ever
    out.duration = std::chrono::seconds(std::clamp<std::int64_t>(spec["leaseDurationSeconds"].integer().value_or(0), 0, most));
    out.acquire_time = spec["acquireTime"].text_or({});
    out.renew_time = spec["renewTime"].text_or({});
    out.transitions = spec["leaseTransitions"].integer().value_or(0);
    return out;
}

inline std::string encode_lease(lease const& l)
{
    nlohmann::json out;
    auto& metadata = out["metadata"];
    if (l.resource_version.empty()) {
        out["apiVersion"] = "coordination.k8s.io/v1";
        out["kind"] = "Lease";
        metadata["name"] = l.name;
        metadata["namespace"] = l.ns;
    } else {
        metadata["resourceVersion"] = l.resource_version;
    }
    if (!l.labels.empty()) metadata["labels"] = l.labels;
    if (!l.annotations.empty()) metadata["annotations"] = l.annotations;
    auto& spec = out["spec"];
    spec["holderIdentity"] = l.holder;
    spec["leaseDurationSeconds"] = std::max<std::int64_t>(l.duration.count(), 1); // zero is refused
    if (!l.acquire_time.empty()) spec["acquireTime"] = l.acquire_time;
    if (!l.renew_time.empty()) spec["renewTime"] = l.renew_time;
    spec["leaseTransitions"] = l.transitions;
    return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

} // namespace podproxy::kube
