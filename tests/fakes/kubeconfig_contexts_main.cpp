/* Prints what podproxy makes of kubeconfigs, as JSON, in the words of a kubeconfig: for comparison with other programs.

usage: kubeconfig_contexts < CASES

A case is a line: a folder to work in, a tab, a value of KUBECONFIG. The answer is a line: `contexts`, by name, each with its `cluster`,
`user` and `namespace`, and `problems`. It shows secrets; it is for kubeconfigs of tests only. */
#include <podproxy/config/files.hpp>
#include <podproxy/core/base64.hpp>
#include <podproxy/core/bytes.hpp>
#include <podproxy/kube/exec_credential.hpp>
#include <podproxy/kube/kubeconfig_discovery.hpp>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace {

using namespace podproxy;
using json_value = nlohmann::json;

void put(json_value& out, char const* key, std::string_view value)
{
    if (!value.empty()) out[key] = value;
}

void put_data(json_value& out, char const* key, std::string_view value)
{
    if (!value.empty()) out[key] = encode_base64(as_bytes(value));
}

json_value cluster_of(kube::cluster_settings const& c)
{
    json_value out = json_value::object();
    put(out, "server", c.server);
    put(out, "certificate-authority", c.certificate_authority);
    put_data(out, "certificate-authority-data", c.certificate_authority_data);
    put(out, "tls-server-name", c.tls_server_name);
    put(out, "proxy-url", c.proxy_url.reveal());
    if (c.insecure_skip_tls_verify) out["insecure-skip-tls-verify"] = true;
    if (c.disable_compression) out["disable-compression"] = true;
    if (c.exec_config) out["extensions"] = json_value::array({{{"name", "client.authentication.k8s.io/exec"}, {"extension", kube::detail::json_of(*c.exec_config)}}});
    return out;
}

json_value exec_of(kube::exec_settings const& e)
{
    json_value out{{"apiVersion", e.api_version}, {"command", e.command}, {"provideClusterInfo", e.provide_cluster_info}};
    if (!e.args.empty()) out["args"] = e.args;
    for (auto const& v : e.env) out["env"].push_back({{"name", v.name}, {"value", v.value.reveal()}});
    put(out, "installHint", e.install_hint);
    out["interactiveMode"] = e.interactive == kube::interactive_mode::never    ? "Never"
                             : e.interactive == kube::interactive_mode::always ? "Always"
                                                                               : "IfAvailable";
    return out;
}

json_value user_of(kube::user_settings const& u)
{
    json_value out = json_value::object();
    put(out, "client-certificate", u.client_certificate);
    put_data(out, "client-certificate-data", u.client_certificate_data);
    put(out, "client-key", u.client_key);
    put_data(out, "client-key-data", u.client_key_data.reveal());
    put(out, "token", u.token.reveal());
    put(out, "tokenFile", u.token_file);
    put(out, "username", u.username);
    put(out, "password", u.password.reveal());
    put(out, "as", u.as.user);
    put(out, "as-uid", u.as.uid);
    if (!u.as.groups.empty()) out["as-groups"] = u.as.groups;
    if (!u.as.extra.empty()) out["as-user-extra"] = u.as.extra;
    if (u.exec) out["exec"] = exec_of(*u.exec);
    return out;
}

json_value answer(std::string const& list)
{
    config::environment env;
    env.kubeconfig = list;
    config::disk_files files;
    kube::kubeconfig_sources sources;
    sources.skip_default = true;
    auto const found = kube::discover_kubeconfigs(sources, env, files);
    json_value out{{"contexts", json_value::object()}, {"problems", json_value::array()}};
    for (auto const& c : found.contexts)
        out["contexts"][c.name] = {{"cluster", cluster_of(c.cluster)}, {"user", user_of(c.user)}, {"namespace", c.ns}, {"cluster-name", c.cluster_name}, {"user-name", c.user_name}};
    for (auto const& p : found.problems) out["problems"].push_back(p.message);
    return out;
}

} // namespace

int main()
{
    std::string line;
    while (std::getline(std::cin, line)) {
        std::size_t const tab = line.find('\t');
        if (tab == std::string::npos) return 2;
        std::filesystem::current_path(line.substr(0, tab));
        std::cout << answer(line.substr(tab + 1)).dump(-1, ' ', false, json_value::error_handler_t::replace) << '\n';
    }
}
