#ifndef PODPROXY_KUBE_IMPL_KUBECONFIG_DISCOVERY_IPP
#define PODPROXY_KUBE_IMPL_KUBECONFIG_DISCOVERY_IPP

#include <podproxy/core/ascii.hpp>
#include <podproxy/kube/kubeconfig_discovery.hpp>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

namespace podproxy::kube {

namespace detail {

/// The paths that `KUBECONFIG` lists.
inline std::vector<std::string> listed_paths(config::environment const& env)
{
    std::vector<std::string> out;
    if (!env.kubeconfig) return out;
    std::string_view list = *env.kubeconfig;
    while (!list.empty()) {
        std::size_t const colon = list.find(':');
        if (auto const part = ascii_trim(list.substr(0, colon)); !part.empty()) out.push_back(config::expand_home(part, env.home));
        list.remove_prefix(colon == std::string_view::npos ? list.size() : colon + 1);
    }
    return out;
}

class kubeconfig_finder {
public:
    kubeconfig_finder(config::environment const& env, config::file_source& files) : env_(env), files_(files) {}

    void read_default()
    {
        if (env_.home.empty()) return note(config::severity::note, {}, "the home folder is not known, so there is no default kubeconfig");
        std::string const path = env_.home + "/.kube/config";
        if (auto found = load(path, if_missing{config::severity::note, "the default kubeconfig is not there"})) add(*found);
    }

    void read_env()
    {
        if (!env_.kubeconfig) return;
        kubeconfig merged;
        for (std::string const& path : listed_paths(env_)) {
            // kubectl goes on without such a file, since it may yet write it.
            if (auto found = load(path, if_missing{config::severity::warning, "is listed in KUBECONFIG and not there"})) merge_kubeconfig(merged, *std::move(found));
        }
        add(merged);
    }

    void read_pattern(std::string const& pattern)
    {
        std::string const path = config::expand_home(pattern, env_.home);
        if (!config::is_glob(path)) {
            if (auto found = load(path, if_missing{config::severity::error, "is listed under 'kubeconfigs' and not there"})) add(*found);
            return;
        }
        for (std::string const& match : files_.glob(path)) // a file that goes away in between is no fault
            if (auto found = load(match, if_missing{config::severity::note, "is not there any more"})) add(*found);
    }

    kubeconfig_set take() { return std::move(out_); }

private:
    struct if_missing {
        config::severity level;
        std::string_view text;
    };

    void note(config::severity level, std::string file, std::string text) { out_.problems.push_back({level, std::move(file), {}, std::move(text)}); }

    std::optional<kubeconfig> load(std::string const& given, if_missing missing)
    {
        std::error_code ignored; // then the path stays as it is
        std::string path = std::filesystem::absolute(given, ignored).lexically_normal().string();
        if (path.empty()) path = given;
        if (!seen_.insert(path).second) return std::nullopt;
        auto const text = files_.read(path, kubeconfig_limits.max_bytes);
        if (!text) {
            if (text.error() == cond::not_found) note(missing.level, path, std::string(missing.text));
            else note(config::severity::warning, path, "can't be read: " + text.error().message());
            return std::nullopt;
        }
        out_.files.push_back(path);
        config::problem_list problems;
        auto found = parse_kubeconfig(*text, path, problems);
        for (auto& p : problems) {
            if (p.level == config::severity::error) p.level = config::severity::warning; // the other files go on
            out_.problems.push_back(std::move(p));
        }
        return found;
    }

    void add(kubeconfig const& from)
    {
        if (out_.current_context.empty()) out_.current_context = from.current_context;
        for (std::string const& name : from.context_order) {
            auto const& entry = from.contexts.at(name);
            if (auto const first = contexts_.find(name); first != contexts_.end()) {
                out_.problems.push_back({config::severity::note, entry.file, entry.where,
                                         "context " + config::quoted(name) + " is passed over: " + first->second + " has it already"});
                continue;
            }
            auto found = resolve_context(from, name, out_.problems);
            if (!found) continue; // a later file may have one of this name that works
            contexts_.emplace(name, entry.file);
            out_.contexts.push_back(*std::move(found));
        }
    }

    config::environment const& env_;
    config::file_source& files_;
    std::set<std::string> seen_;
    std::map<std::string, std::string> contexts_; ///< to the file that has it
    kubeconfig_set out_;
};

} // namespace detail

inline kubeconfig_set discover_kubeconfigs(kubeconfig_sources const& sources, config::environment const& env, config::file_source& files)
{
    detail::kubeconfig_finder finder(env, files);
    if (!sources.skip_default) finder.read_default();
    if (!sources.skip_env) finder.read_env();
    for (std::string const& pattern : sources.patterns) finder.read_pattern(pattern);
    return finder.take();
}

inline kubeconfig_places places_to_watch(kubeconfig_sources const& sources, config::environment const& env, kubeconfig_set const& found)
{
    kubeconfig_places out;
    if (!sources.skip_default && !env.home.empty()) out.files.emplace_back(env.home + "/.kube/config");
    if (!sources.skip_env)
        for (std::string const& path : detail::listed_paths(env)) out.files.emplace_back(path);
    for (std::string const& pattern : sources.patterns) {
        std::string const path = config::expand_home(pattern, env.home);
        if (!config::is_glob(path)) {
            out.files.emplace_back(path);
            continue;
        }
        std::size_t const slash = path.rfind('/', path.find_first_of("*?["));
        out.folders.emplace_back(slash == std::string::npos ? std::string(".") : path.substr(0, slash + 1));
    }
    for (auto const& context : found.contexts)
        for (auto const* const file : {&context.cluster.certificate_authority, &context.user.client_certificate, &context.user.client_key})
            if (!file->empty()) out.files.emplace_back(*file);
    return out;
}

} // namespace podproxy::kube

#endif
