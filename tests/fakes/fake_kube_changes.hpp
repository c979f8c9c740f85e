#ifndef PODPROXY_TESTS_FAKES_FAKE_KUBE_CHANGES_HPP
#define PODPROXY_TESTS_FAKES_FAKE_KUBE_CHANGES_HPP

#include <nlohmann/json.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/** What the fake API server does with requests that change objects: create, patch, delete, and the scale of a workload. An object is the JSON
    text that the server keeps, with `%RV%` where the next resource version goes. */
namespace podproxy::test::fake_kube {

/// A Deployment or StatefulSet that stands still. `more` is merged into it.
inline std::string workload_json(std::string const& kind, std::string const& ns, std::string const& name, int replicas, std::string const& more = "{}")
{
    using nlohmann::json;
    json const number = replicas;
    json out{{"kind", kind},
             {"apiVersion", "apps/v1"},
             {"metadata", {{"name", name}, {"namespace", ns}, {"uid", "uid-" + ns + "-" + name}, {"resourceVersion", "%RV%"}, {"generation", 1}, {"labels", {{"app", name}}}}},
             {"spec", {{"replicas", number}, {"selector", {{"matchLabels", {{"app", name}}}}}}},
             {"status", {{"observedGeneration", 1}, {"replicas", number}, {"readyReplicas", number}}}};
    out.merge_patch(json::parse(more));
    return out.dump();
}

/// Whether an object has the labels of a selector: `a=b`, `a!=b`, `a`, `!a`, with commas between them.
inline bool has_labels(std::string const& object, std::string_view selector)
{
    if (selector.empty()) return true;
    auto const parsed = nlohmann::json::parse(object, nullptr, false);
    auto const labels = parsed.is_object() && parsed.contains("metadata") ? parsed["metadata"].value("labels", nlohmann::json::object()) : nlohmann::json::object();
    while (!selector.empty()) {
        auto const comma = selector.find(',');
        std::string part(selector.substr(0, comma));
        selector.remove_prefix(comma == std::string_view::npos ? selector.size() : comma + 1);
        auto const equals = part.find('=');
        bool fits = false;
        if (equals == std::string::npos) {
            fits = part.starts_with('!') ? !labels.contains(part.substr(1)) : labels.contains(part);
        } else {
            bool const is_not = equals > 0 && part[equals - 1] == '!';
            auto const key = part.substr(0, equals - (is_not ? 1 : 0));
            bool const same = labels.contains(key) && labels[key] == part.substr(equals + 1);
            fits = same != is_not;
        }
        if (!fits) return false;
    }
    return true;
}

struct changed_object {
    int status = 200;
    std::string message;               ///< of a refusal
    std::optional<std::string> object; ///< its new state
    bool scale = false;                ///< the answer is a Scale
};

/// The Scale of a workload.
inline std::string scale_json(std::string const& object)
{
    auto const o = nlohmann::json::parse(object);
    return nlohmann::json{{"kind", "Scale"},
                          {"apiVersion", "autoscaling/v1"},
                          {"metadata", {{"name", o["metadata"]["name"]}, {"namespace", o["metadata"]["namespace"]}, {"resourceVersion", o["metadata"]["resourceVersion"]}}},
                          {"spec", {{"replicas", o["spec"]["replicas"]}}},
                          {"status", {{"replicas", o["status"]["replicas"]}}}}
        .dump();
}

/** Create or patch.
    @param current The object as it is; none: there is none.
    @param scale   The patch is one of its scale.
    @param follow  The controller is at once: the status of a workload becomes what its replicas are. */
inline changed_object apply_change(std::string const& verb, std::optional<std::string> const& current, std::string const& body, std::string const& type, bool scale,
                                   bool follow, std::string const& ns)
{
    using nlohmann::json;
    auto patch = json::parse(body, nullptr, false);
    changed_object out;
    out.scale = scale;
    if (!patch.is_object()) return {400, "the body of the request was not JSON", {}, false};
    if (verb == "create") {
        if (current) return {409, "object already exists", {}, false};
        if (type != "application/json") return {415, "the body of the request was in an unknown format", {}, false};
        if (patch["metadata"].contains("resourceVersion")) return {400, "resourceVersion should not be set on objects to be created", {}, false};
        patch["metadata"]["namespace"] = ns;
        patch["metadata"]["uid"] = "uid-" + patch["metadata"]["name"].get<std::string>();
        patch["metadata"]["resourceVersion"] = "%RV%";
        out.status = 201;
        out.object = patch.dump();
        return out;
    }
    if (!current) return {404, "not found", {}, false};
    if (type != "application/merge-patch+json") return {415, "the body of the request was in an unknown format", {}, false};
    auto object = json::parse(*current);
    if (patch.contains("metadata") && patch["metadata"].contains("resourceVersion")) {
        if (patch["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"])
            return {409, "the object has been modified; please apply your changes to the latest version and try again", {}, false};
        patch["metadata"].erase("resourceVersion");
    }
    if (scale) patch = json{{"spec", {{"replicas", patch["spec"]["replicas"]}}}};
    auto const spec = object["spec"];
    object.merge_patch(patch);
    object["metadata"]["resourceVersion"] = "%RV%";
    if (object.contains("status") && object["spec"] != spec) {
        auto const generation = object["metadata"].value("generation", std::int64_t{1}) + 1;
        object["metadata"]["generation"] = generation;
        if (follow) object["status"] = json{{"observedGeneration", generation}, {"replicas", object["spec"]["replicas"]}, {"readyReplicas", object["spec"]["replicas"]}};
    }
    out.object = object.dump();
    return out;
}

} // namespace podproxy::test::fake_kube

#endif
