#include <podproxy/kube/exec_credential.hpp>
#include <podproxy/json/document.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace podproxy;

namespace {

constexpr std::string_view v1 = "client.authentication.k8s.io/v1";
constexpr std::string_view v1beta1 = "client.authentication.k8s.io/v1beta1";

std::string printed(std::string const& status, std::string_view version = v1)
{
    return R"({"kind":"ExecCredential","apiVersion":")" + std::string(version) + R"(","status":)" + status + "}";
}

std::string refusal(std::string const& text, std::string_view version = v1)
{
    diagnostics why;
    auto const got = kube::parse_exec_credential(text, version, why);
    REQUIRE_FALSE(got);
    CHECK(got.error() == kube::errc::bad_credential);
    return why.text();
}

} // namespace

TEST_CASE("a printed token is read, with the moment at which it expires")
{
    for (auto const version : {v1, v1beta1}) {
        diagnostics why;
        auto const got = kube::parse_exec_credential(printed(R"({"token":"abc.def","expirationTimestamp":"2026-11-21T13:00:00Z"})", version), version, why);
        REQUIRE(got);
        CHECK(got->token.reveal() == "abc.def");
        CHECK(got->certificate.empty());
        REQUIRE(got->expires);
        CHECK(format_rfc3339(*got->expires) == "2026-11-21T13:00:00.000Z");
    }
}

TEST_CASE("a printed client certificate is read with its key, with and without a token")
{
    diagnostics why;
    auto const got = kube::parse_exec_credential(printed(R"({"clientCertificateData":"CERT\n","clientKeyData":"KEY\n","token":"t","expirationTimestamp":null})"), v1, why);
    REQUIRE(got);
    CHECK(got->certificate == "CERT\n");
    CHECK(got->key.reveal() == "KEY\n");
    CHECK(got->token.reveal() == "t");
    CHECK_FALSE(got->expires);
}

TEST_CASE("what is no credential is refused with the reason, and not quoted")
{
    CHECK(refusal("") == "it printed no JSON object");
    CHECK(refusal("Please log in at https://login.example") == "it printed no JSON object");
    CHECK(refusal("[]") == "it printed no JSON object");
    CHECK(refusal(R"({"kind":"Status","apiVersion":"v1"})") == "what it printed is not of the kind ExecCredential");
    CHECK(refusal(printed(R"({"token":"t"})", v1beta1)).starts_with("it does not speak client.authentication.k8s.io/v1,"));
    CHECK(refusal(R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1"})") == "it printed no status, so no credentials");
    CHECK(refusal(printed("{}")) == "it printed neither a token nor a client certificate");
    CHECK(refusal(printed(R"({"clientCertificateData":"CERT"})")).find("without its key") != std::string::npos);
    CHECK(refusal(printed(R"({"token":"t","clientKeyData":"KEY"})")).find("without its certificate") != std::string::npos);
    CHECK(refusal(printed(R"({"token":"t","expirationTimestamp":"tomorrow"})")).starts_with("its expirationTimestamp"));
    CHECK(refusal(printed(R"({"token":"hidden\r\nX-Injected: 1"})")) == "its token holds characters that no token has");
}

TEST_CASE("a plugin is told whether it may ask, and no more unless it wants to know the cluster")
{
    kube::exec_settings plugin;
    plugin.api_version = v1;
    kube::cluster_settings cluster;
    cluster.server = "https://10.0.0.1:6443";
    CHECK(kube::exec_info(plugin, cluster, "ROOTS", true) ==
          R"({"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":true}})");
}

TEST_CASE("a plugin that wants to know the cluster is told how it is reached")
{
    kube::exec_settings plugin;
    plugin.api_version = v1beta1;
    plugin.provide_cluster_info = true;
    kube::cluster_settings cluster;
    cluster.server = "https://10.0.0.1:6443";
    cluster.tls_server_name = "kubernetes.default";
    cluster.insecure_skip_tls_verify = true;
    cluster.proxy_url = secret("http://user:pass@proxy:3128");
    config::problem_list problems;
    cluster.exec_config = config::parse_yaml("{audience: a, level: 3, part: 0.5, on: true, quoted: '3', none: null, list: [x, {y: z}]}", "kubeconfig", problems);
    REQUIRE(cluster.exec_config);

    json::parser parser;
    auto const info = parser.parse(kube::exec_info(plugin, cluster, "ROOTS", false));
    REQUIRE(info);
    auto const spec = (*info)["spec"];
    CHECK(spec["interactive"].boolean() == false);
    auto const about = spec["cluster"];
    CHECK(about["server"].text() == "https://10.0.0.1:6443");
    CHECK(about["tls-server-name"].text() == "kubernetes.default");
    CHECK(about["insecure-skip-tls-verify"].boolean() == true);
    CHECK(about["certificate-authority-data"].text() == "Uk9PVFM=");
    CHECK(about["proxy-url"].text() == "http://user:pass@proxy:3128");
    auto const own = about["config"];
    CHECK(own["audience"].text() == "a");
    CHECK(own["level"].integer() == 3);
    CHECK(own["part"].number() == 0.5);
    CHECK(own["on"].boolean() == true);
    CHECK(own["quoted"].text() == "3");
    CHECK(own["none"].is_null());
    std::size_t n = 0;
    for (auto const item : own["list"].items()) {
        CHECK((n == 0 ? item.text() == "x" : item["y"].text() == "z"));
        ++n;
    }
    CHECK(n == 2);
}
