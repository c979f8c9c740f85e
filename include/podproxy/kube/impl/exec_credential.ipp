#include <podproxy/core/base64.hpp>
#include <podproxy/json/document.hpp>
#include <charconv>
#include <nlohmann/json.hpp>

namespace podproxy::kube {

namespace detail {

/// A value of a kubeconfig as JSON. Scalars without quotes are what YAML's core schema takes them for.
inline nlohmann::json json_of(config::yaml_node const& node)
{
    switch (node.type) {
    case config::yaml_node::kind::null: return nullptr;
    case config::yaml_node::kind::sequence: {
        auto out = nlohmann::json::array();
        for (auto const& item : node.items) out.push_back(json_of(item));
        return out;
    }
    case config::yaml_node::kind::map: {
        auto out = nlohmann::json::object();
        for (auto const& member : node.members) out[member.key] = json_of(member.value);
        return out;
    }
    case config::yaml_node::kind::scalar: break;
    }
    if (!node.quoted) {
        if (node.text == "true" || node.text == "false") return node.text == "true";
        char const* const begin = node.text.data();
        char const* const end = begin + node.text.size();
        std::int64_t whole = 0;
        if (auto const [stop, ec] = std::from_chars(begin, end, whole); ec == std::errc() && stop == end) return whole;
        double number = 0;
        if (auto const [stop, ec] = std::from_chars(begin, end, number); ec == std::errc() && stop == end && number - number == 0) return number;
    }
    return node.text;
}

} // namespace detail

inline std::string exec_info(exec_settings const& plugin, cluster_settings const& cluster, std::string_view roots, bool interactive)
{
    nlohmann::json spec{{"interactive", interactive}};
    if (plugin.provide_cluster_info) {
        nlohmann::json about{{"server", cluster.server}};
        if (!cluster.tls_server_name.empty()) about["tls-server-name"] = cluster.tls_server_name;
        if (cluster.insecure_skip_tls_verify) about["insecure-skip-tls-verify"] = true;
        if (!roots.empty()) about["certificate-authority-data"] = encode_base64(as_bytes(roots));
        if (cluster.proxy_url) about["proxy-url"] = cluster.proxy_url.reveal();
        if (cluster.disable_compression) about["disable-compression"] = true;
        about["config"] = cluster.exec_config ? detail::json_of(*cluster.exec_config) : nlohmann::json(nullptr);
        spec["cluster"] = std::move(about);
    }
    nlohmann::json const info{{"kind", "ExecCredential"}, {"apiVersion", plugin.api_version}, {"spec", std::move(spec)}};
    return info.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

inline result<exec_credential> parse_exec_credential(std::string_view text, std::string_view api_version, diagnostics& why)
{
    auto const refuse = [&](std::string what) {
        why.message = std::move(what);
        return errc::bad_credential;
    };
    json::parser parser;
    auto const root = parser.parse(text);
    if (!root || !root->is_object()) return refuse("it printed no JSON object");
    if (auto const kind = (*root)["kind"].text_or(""); kind != "ExecCredential") return refuse("what it printed is not of the kind ExecCredential");
    if ((*root)["apiVersion"].text_or("") != api_version)
        return refuse("it does not speak " + std::string(api_version) + ", which the kubeconfig asks for: update the program or change apiVersion");
    auto const status = (*root)["status"];
    if (!status.is_object()) return refuse("it printed no status, so no credentials");
    exec_credential out;
    out.token = secret(std::string(status["token"].text_or("")));
    out.certificate = status["clientCertificateData"].text_or("");
    out.key = secret(std::string(status["clientKeyData"].text_or("")));
    if (out.certificate.empty() != out.key.empty()) return refuse("it printed a client certificate without its key, or a key without its certificate");
    if (out.token.empty() && out.certificate.empty()) return refuse("it printed neither a token nor a client certificate");
    for (char const c : out.token.reveal())
        if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f) return refuse("its token holds characters that no token has");
    if (auto const expires = status["expirationTimestamp"]; expires && !expires.is_null()) {
        auto const when = parse_rfc3339(expires.text_or(""));
        if (!when) return refuse("its expirationTimestamp is not a date such as 2026-11-21T13:00:00Z");
        out.expires = *when;
    }
    return out;
}

} // namespace podproxy::kube
