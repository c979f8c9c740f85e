#ifndef PODPROXY_KUBE_IMPL_KUBECONFIG_IPP
#define PODPROXY_KUBE_IMPL_KUBECONFIG_IPP

#include <podproxy/core/base64.hpp>
#include <podproxy/core/bytes.hpp>
#include <podproxy/kube/kubeconfig.hpp>
#include <algorithm>
#include <filesystem>
#include <utility>

namespace podproxy::kube {

namespace detail {

/// Hundreds of clusters with their certificates.
inline constexpr config::yaml_limits kubeconfig_limits{
    .max_bytes = 4 * 1024 * 1024, .max_expanded_bytes = 32 * 1024 * 1024, .max_depth = 32, .more = config::more_documents::ignore};

inline bool starts_as_absolute(std::string_view path) noexcept { return path.starts_with('/'); }

/// Reads one cluster, user or context: the first thing that does not fit makes it unusable.
class entry_reader {
public:
    entry_reader(entry_reader const&) = delete; // map_ points at found_
    entry_reader(config::yaml_node const& node, std::string const& file, std::string path) : file_(file), map_(node, file, found_, std::move(path)) {}

    std::string text(std::string_view key)
    {
        std::string out;
        map_.read(key, out);
        return out;
    }
    secret hidden(std::string_view key) { return secret(text(key)); }
    bool flag(std::string_view key)
    {
        bool out = false;
        map_.read(key, out);
        return out;
    }
    std::vector<std::string> texts(std::string_view key)
    {
        std::vector<std::string> out;
        map_.read(key, out);
        return out;
    }

    /// A path, resolved against the kubeconfig's folder.
    std::string file(std::string_view key)
    {
        std::string out = text(key);
        return out.empty() ? out : beside(out);
    }
    std::string beside(std::string const& path) const
    {
        if (starts_as_absolute(path)) return path;
        return (std::filesystem::path(file_).parent_path() / path).lexically_normal().string();
    }

    /// Base64, in one line or in several.
    std::string data(std::string_view key)
    {
        std::string coded = text(key);
        std::erase_if(coded, [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; });
        auto const bytes = decode_base64(coded);
        if (!bytes) {
            complain(key, "must be base64");
            return {};
        }
        return std::string(as_text(*bytes));
    }

    config::yaml_node const* find(std::string_view key) { return map_.find(key); }
    void complain(std::string_view key, std::string_view what) { map_.complain(key, what); }

    /// The first problem, or empty.
    std::string problem() const { return found_.empty() ? std::string() : found_.front().message; }

private:
    std::string const& file_;
    config::problem_list found_; // before map_, which writes into it
    config::map_reader map_;
};

inline config::yaml_node const& null_node()
{
    static config::yaml_node const node;
    return node;
}

inline cluster_settings read_cluster(entry_reader& in)
{
    cluster_settings out;
    out.server = in.text("server");
    out.certificate_authority = in.file("certificate-authority");
    out.certificate_authority_data = in.data("certificate-authority-data");
    out.insecure_skip_tls_verify = in.flag("insecure-skip-tls-verify");
    out.tls_server_name = in.text("tls-server-name");
    out.proxy_url = in.hidden("proxy-url");
    out.disable_compression = in.flag("disable-compression");
    if (out.server.empty()) in.complain("server", "is missing");
    if (auto const* extensions = in.find("extensions"); extensions && extensions->is_sequence()) {
        for (auto const& item : extensions->items) {
            auto const* const name = item.find("name");
            auto const* const value = item.find("extension");
            if (name && value && name->text == "client.authentication.k8s.io/exec") out.exec_config = *value;
        }
    }
    return out;
}

inline exec_settings read_exec(entry_reader& in)
{
    exec_settings out;
    out.api_version = in.text("apiVersion");
    out.command = in.text("command");
    out.args = in.texts("args");
    out.install_hint = in.text("installHint");
    out.provide_cluster_info = in.flag("provideClusterInfo");
    if (out.command.empty()) in.complain("command", "is missing");
    else if (out.command.find('/') != std::string::npos) out.command = in.beside(out.command); // a bare name is looked for in PATH
    if (out.api_version != "client.authentication.k8s.io/v1" && out.api_version != "client.authentication.k8s.io/v1beta1")
        in.complain("apiVersion", "must be client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1");
    std::string const mode = in.text("interactiveMode");
    if (mode == "Never") out.interactive = interactive_mode::never;
    else if (mode == "Always") out.interactive = interactive_mode::always;
    else if (!mode.empty() && mode != "IfAvailable") in.complain("interactiveMode", "must be Never, IfAvailable or Always");
    if (auto const* env = in.find("env")) {
        for (auto const& item : env->items) {
            auto const* const name = item.find("name");
            auto const* const value = item.find("value");
            if (name && name->is_scalar() && !name->text.empty())
                out.env.push_back({name->text, secret(value && value->is_scalar() ? value->text : std::string())});
            else in.complain("env", "must be a list of maps with name and value");
        }
        if (!env->is_sequence()) in.complain("env", "must be a list of maps with name and value");
    }
    return out;
}

inline user_settings read_user(entry_reader& in, std::string const& file, std::string& inner_problem)
{
    user_settings out;
    out.client_certificate = in.file("client-certificate");
    out.client_certificate_data = in.data("client-certificate-data");
    out.client_key = in.file("client-key");
    out.client_key_data = secret(in.data("client-key-data"));
    out.token = in.hidden("token");
    out.token_file = in.file("tokenFile");
    out.username = in.text("username");
    out.password = in.hidden("password");
    out.as.user = in.text("as");
    out.as.uid = in.text("as-uid");
    out.as.groups = in.texts("as-groups");
    if (auto const* extra = in.find("as-user-extra")) {
        entry_reader values(*extra, file, "as-user-extra");
        for (auto const& member : extra->members) out.as.extra[member.key] = values.texts(member.key);
        inner_problem = values.problem();
    }
    if (auto const* exec = in.find("exec")) {
        entry_reader fields(*exec, file, "exec");
        out.exec = read_exec(fields);
        if (inner_problem.empty()) inner_problem = fields.problem();
    }
    if (auto const* provider = in.find("auth-provider")) {
        auto const* const name = provider->find("name");
        out.auth_provider = name && !name->text.empty() ? name->text : "unnamed";
    }
    return out;
}

/// Walks a list of `{name: ..., <kind>: {...}}` and calls `add(name, place, inner)` for each.
template <class Add>
void read_named(config::yaml_node const& root, std::string_view list, std::string_view kind, std::string const& file,
                config::problem_list& problems, Add add)
{
    auto const* const items = root.find(list);
    if (!items || items->is_null()) return;
    auto const warn = [&](config::position where, std::string text) { problems.push_back({config::severity::warning, file, where, std::move(text)}); };
    if (!items->is_sequence()) return warn(items->where, "'" + std::string(list) + "' must be a list");
    for (auto const& item : items->items) {
        auto const* const name = item.find("name");
        auto const* const inner = item.find(kind);
        if (!name || !name->is_scalar() || name->text.empty()) {
            warn(item.where, "a " + std::string(kind) + " without a name is passed over");
        } else if (!add(name->text, item.where, inner ? *inner : null_node())) {
            warn(item.where, "a second " + std::string(kind) + " of the name " + config::quoted(name->text) + " is passed over");
        }
    }
}

} // namespace detail

inline std::optional<kubeconfig> parse_kubeconfig(std::string_view text, std::string const& path, config::problem_list& problems)
{
    auto const root = config::parse_yaml(text, path, problems, detail::kubeconfig_limits);
    if (!root) return std::nullopt;
    auto const refuse = [&](config::position where, std::string why) {
        problems.push_back({config::severity::error, path, where, std::move(why)});
        return std::nullopt;
    };
    if (!root->is_map() && !root->is_null()) return refuse(root->where, "not a kubeconfig: it must be a map");
    if (auto const* kind = root->find("kind"); kind && kind->is_scalar() && !kind->text.empty() && kind->text != "Config")
        return refuse(kind->where, "not a kubeconfig: its kind is " + config::quoted(kind->text));

    kubeconfig out;
    if (auto const* current = root->find("current-context"); current && current->is_scalar()) out.current_context = current->text;
    detail::read_named(*root, "clusters", "cluster", path, problems, [&](std::string const& name, config::position where, auto const& inner) {
        detail::entry_reader in(inner, path, {});
        auto settings = detail::read_cluster(in);
        return out.clusters.try_emplace(name, kubeconfig_entry<cluster_settings>{std::move(settings), path, where, in.problem()}).second;
    });
    detail::read_named(*root, "users", "user", path, problems, [&](std::string const& name, config::position where, auto const& inner) {
        detail::entry_reader in(inner, path, {});
        std::string inner_problem;
        auto settings = detail::read_user(in, path, inner_problem);
        std::string problem = in.problem();
        if (problem.empty()) problem = inner_problem;
        return out.users.try_emplace(name, kubeconfig_entry<user_settings>{std::move(settings), path, where, problem}).second;
    });
    detail::read_named(*root, "contexts", "context", path, problems, [&](std::string const& name, config::position where, auto const& inner) {
        detail::entry_reader in(inner, path, {});
        context_settings settings{in.text("cluster"), in.text("user"), in.text("namespace")};
        bool const fresh = out.contexts.try_emplace(name, kubeconfig_entry<context_settings>{std::move(settings), path, where, in.problem()}).second;
        if (fresh) out.context_order.push_back(name);
        return fresh;
    });
    return out;
}

inline void merge_kubeconfig(kubeconfig& into, kubeconfig other)
{
    for (auto& name : other.context_order)
        if (!into.contexts.contains(name)) into.context_order.push_back(std::move(name));
    into.clusters.merge(other.clusters); // keeps what is there
    into.users.merge(other.users);
    into.contexts.merge(other.contexts);
    if (into.current_context.empty()) into.current_context = std::move(other.current_context);
}

inline std::optional<cluster_context> resolve_context(kubeconfig const& from, std::string const& name, config::problem_list& problems)
{
    auto const context = from.contexts.find(name);
    if (context == from.contexts.end()) {
        problems.push_back({config::severity::warning, {}, {}, "there is no context " + config::quoted(name)});
        return std::nullopt;
    }
    auto const& entry = context->second;
    auto const skip = [&](std::string why) {
        problems.push_back({config::severity::warning, entry.file, entry.where, "context " + config::quoted(name) + " is skipped: " + std::move(why)});
        return std::nullopt;
    };
    if (!entry.unusable.empty()) return skip(entry.unusable);
    if (entry.settings.cluster.empty()) return skip("it names no cluster");
    auto const cluster = from.clusters.find(entry.settings.cluster);
    if (cluster == from.clusters.end()) return skip("its cluster " + config::quoted(entry.settings.cluster) + " is not there");
    if (!cluster->second.unusable.empty())
        return skip("its cluster " + config::quoted(cluster->first) + " can't be used: " + cluster->second.unusable);

    cluster_context out;
    if (!entry.settings.user.empty()) {
        auto const user = from.users.find(entry.settings.user);
        if (user == from.users.end()) return skip("its user " + config::quoted(entry.settings.user) + " is not there");
        if (!user->second.unusable.empty())
            return skip("its user " + config::quoted(user->first) + " can't be used: " + user->second.unusable);
        if (auto const& provider = user->second.settings.auth_provider; !provider.empty())
            return skip("its user " + config::quoted(user->first) + " needs the auth-provider " + config::quoted(provider) +
                        ", which Kubernetes gave up in 1.26: use an exec plugin");
        out.user = user->second.settings;
    }
    out.name = name;
    out.cluster = cluster->second.settings;
    if (!entry.settings.ns.empty()) out.ns = entry.settings.ns;
    out.cluster_name = entry.settings.cluster;
    out.user_name = entry.settings.user;
    out.file = entry.file;
    return out;
}

} // namespace podproxy::kube

#endif
