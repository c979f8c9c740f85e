#ifndef PODPROXY_KUBE_WORKLOAD_HPP
#define PODPROXY_KUBE_WORKLOAD_HPP

#include <podproxy/core/result.hpp>
#include <podproxy/json/document.hpp>
#include <podproxy/kube/errc.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace podproxy::kube {

/// The kinds of workload that are scaled.
enum class workload_kind : std::uint8_t { deployment, stateful_set };

/// `Deployment`, `StatefulSet`
constexpr std::string_view to_string(workload_kind k) noexcept { return k == workload_kind::deployment ? "Deployment" : "StatefulSet"; }
/// What it is called in paths of the API: `deployments`, `statefulsets`.
constexpr std::string_view plural(workload_kind k) noexcept { return k == workload_kind::deployment ? "deployments" : "statefulsets"; }
/// `deployment`, `statefulset`, and what kubectl takes for them, in any case.
std::optional<workload_kind> parse_workload_kind(std::string_view text);

/// A Deployment or StatefulSet, apps/v1, as far as scaling needs it.
struct workload {
    workload_kind kind = workload_kind::deployment;
    std::string ns;
    std::string name;
    std::string uid;
    std::string resource_version;
    std::map<std::string, std::string> labels;
    std::map<std::string, std::string> annotations;
    std::map<std::string, std::string> pod_labels; ///< `spec.selector.matchLabels`
    std::int64_t replicas = 1;  ///< Wanted.
    std::int64_t existing = 0;  ///< Pods that there are; those that are ending too where the server tells them.
    std::int64_t ready = 0;
    bool observed = true;       ///< The controller has seen this `spec`; before, the status is that of an older one.
    bool deleting = false;
    std::string failure;        ///< What a condition says of a rollout that has failed; empty where none has.
};

/// Read a Deployment or StatefulSet. @return `errc::bad_answer` for an object without name, namespace or uid.
result<workload> read_workload(workload_kind kind, json::value object);

/// Where a workload is, below the server's base path: `/apis/apps/v1/namespaces/shop/deployments/web`.
std::string workload_path(workload_kind kind, std::string_view ns, std::string_view name);

/// The value of `labelSelector` that finds what has all these labels, ready for a query.
std::string encode_label_selector(std::map<std::string, std::string> const& labels);

/// A merge patch (RFC 7386) of a `scale` subresource. @param resource_version Of the object that it is for; with another the server refuses.
std::string encode_scale_patch(std::string_view resource_version, std::int64_t replicas);

/// A merge patch of a workload that sets replicas and one annotation together.
std::string encode_scale_patch(std::string_view resource_version, std::int64_t replicas, std::string const& annotation, std::string const& value);

/// Why a pod does not come up, as its status tells.
struct pod_trouble {
    std::string pod;
    std::string container; ///< Empty: the pod as a whole.
    std::string text;      ///< `container web: ImagePullBackOff: ...`; empty: nothing is wrong.
    bool hopeless = false; ///< It does not get better within a start: an image that can't be had, a crash loop.
    bool crashed = false;  ///< The container has ended; its log may tell more.
};

/// Look for trouble in a pod, core/v1.
pod_trouble read_pod_trouble(json::value pod);

} // namespace podproxy::kube

#include <podproxy/kube/impl/workload.ipp>

#endif
