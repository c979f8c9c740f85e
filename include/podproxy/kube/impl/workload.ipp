#include <podproxy/core/ascii.hpp>
#include <podproxy/core/percent.hpp>
#include <nlohmann/json.hpp>
#include <algorithm>
#include <array>

namespace podproxy::kube {

namespace detail {

inline std::map<std::string, std::string> read_texts(json::value object)
{
    std::map<std::string, std::string> out;
    for (auto const [key, value] : object.members())
        if (auto const text = value.text()) out.emplace(key, *text);
    return out;
}

/// Reasons for which a container waits that no patience mends within the time of a start.
inline constexpr std::array<std::string_view, 8> hopeless_reasons{"CrashLoopBackOff",  "ImagePullBackOff",     "ErrImageNeverPull",          "InvalidImageName",
                                                                  "ImageInspectError", "CreateContainerError", "CreateContainerConfigError", "RunContainerError"};

inline std::string joined(std::string_view reason, std::string_view message)
{
    std::string out(reason);
    if (!message.empty()) (out += out.empty() ? "" : ": ") += message;
    return out;
}

inline std::string read_ending(json::value terminated)
{
    auto const code = terminated["exitCode"].integer().value_or(0);
    return joined(terminated["reason"].text_or("Error"), terminated["message"].text_or({})) + " (exit code " + std::to_string(code) + ")";
}

inline pod_trouble read_container_trouble(json::value status)
{
    pod_trouble out;
    out.container = status["name"].text_or({});
    json::value const state = status["state"];
    if (json::value const waiting = state["waiting"]; waiting.is_object()) {
        auto const reason = waiting["reason"].text_or({});
        if (reason.empty() || reason == "ContainerCreating" || reason == "PodInitializing") return out;
        out.text = joined(reason, waiting["message"].text_or({}));
        out.hopeless = std::ranges::find(hopeless_reasons, reason) != hopeless_reasons.end();
        if (json::value const last = status["lastState"]["terminated"]; last.is_object()) {
            out.crashed = true;
            out.text = std::string(reason) + ": " + read_ending(last);
        }
    } else if (json::value const ended = state["terminated"]; ended.is_object() && ended["exitCode"].integer().value_or(0) != 0) {
        out.crashed = true;
        out.hopeless = status["restartCount"].integer().value_or(0) > 0; // once may be a server that came before what it needs
        out.text = read_ending(ended);
    }
    if (!out.text.empty() && !out.container.empty()) out.text = "container " + out.container + ": " + out.text;
    return out;
}

} // namespace detail

inline std::optional<workload_kind> parse_workload_kind(std::string_view text)
{
    std::string const t = ascii_lower(text);
    if (t == "deployment" || t == "deployments" || t == "deploy") return workload_kind::deployment;
    if (t == "statefulset" || t == "statefulsets" || t == "sts") return workload_kind::stateful_set;
    return std::nullopt;
}

inline result<workload> read_workload(workload_kind kind, json::value object)
{
    workload out;
    out.kind = kind;
    json::value const metadata = object["metadata"];
    out.ns = metadata["namespace"].text_or({});
    out.name = metadata["name"].text_or({});
    out.uid = metadata["uid"].text_or({});
    if (out.ns.empty() || out.name.empty() || out.uid.empty()) return errc::bad_answer;
    out.resource_version = metadata["resourceVersion"].text_or({});
    out.labels = detail::read_texts(metadata["labels"]);
    out.annotations = detail::read_texts(metadata["annotations"]);
    out.deleting = metadata["deletionTimestamp"].text().has_value();
    json::value const spec = object["spec"];
    out.pod_labels = detail::read_texts(spec["selector"]["matchLabels"]);
    out.replicas = std::max<std::int64_t>(spec["replicas"].integer().value_or(1), 0);
    json::value const status = object["status"];
    auto const count = [&](std::string_view name) { return std::max<std::int64_t>(status[name].integer().value_or(0), 0); };
    out.existing = count("replicas") + count("terminatingReplicas");
    out.ready = count("readyReplicas");
    out.observed = count("observedGeneration") >= metadata["generation"].integer().value_or(0);
    for (json::value const c : status["conditions"].items()) {
        auto const type = c["type"].text_or({});
        auto const state = c["status"].text_or({});
        if ((type == "Progressing" && state == "False") || (type == "ReplicaFailure" && state == "True")) {
            out.failure = detail::joined(c["reason"].text_or({}), c["message"].text_or({}));
            if (out.failure.empty()) out.failure = type;
        }
    }
    return out;
}

inline std::string workload_path(workload_kind kind, std::string_view ns, std::string_view name)
{
    std::string out = "/apis/apps/v1/";
    if (!ns.empty()) out += "namespaces/" + encode_percent(ns) + "/";
    out += plural(kind);
    if (!name.empty()) out += "/" + encode_percent(name);
    return out;
}

inline std::string encode_label_selector(std::map<std::string, std::string> const& labels)
{
    std::string text;
    for (auto const& [key, value] : labels) text += (text.empty() ? "" : ",") + key + "=" + value;
    return encode_percent(text);
}

inline std::string encode_scale_patch(std::string_view resource_version, std::int64_t replicas)
{
    nlohmann::json patch;
    patch["metadata"]["resourceVersion"] = resource_version;
    patch["spec"]["replicas"] = replicas;
    return patch.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

inline std::string encode_scale_patch(std::string_view resource_version, std::int64_t replicas, std::string const& annotation, std::string const& value)
{
    nlohmann::json patch;
    patch["metadata"]["resourceVersion"] = resource_version;
    patch["metadata"]["annotations"][annotation] = value;
    patch["spec"]["replicas"] = replicas;
    return patch.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

inline pod_trouble read_pod_trouble(json::value pod)
{
    pod_trouble out;
    json::value const status = pod["status"];
    for (std::string_view const group : {"initContainerStatuses", "containerStatuses"})
        for (json::value const c : status[group].items()) {
            auto found = detail::read_container_trouble(c);
            if (found.text.empty() || (!out.text.empty() && !(found.hopeless && !out.hopeless))) continue;
            out = std::move(found);
        }
    if (out.text.empty()) {
        for (json::value const c : status["conditions"].items())
            if (c["type"].text() == "PodScheduled" && c["status"].text() == "False")
                out.text = detail::joined(c["reason"].text_or({}), c["message"].text_or({}));
        if (status["phase"].text() == "Failed") out.text = detail::joined(status["reason"].text_or("Failed"), status["message"].text_or({}));
    }
    out.pod = pod["metadata"]["name"].text_or({});
    return out;
}

} // namespace podproxy::kube
