#include <podproxy/kube/in_cluster.hpp>

#include <fakes/fake_files.hpp>
#include <podproxy/kube/cluster_dialer.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>

using namespace podproxy;

namespace {

std::string const folder = kube::service_account_folder;

config::environment pod()
{
    config::environment env;
    env.kubernetes_host = "10.96.0.1";
    env.kubernetes_port = "443";
    return env;
}

} // namespace

TEST_CASE("in cluster: a pod's service account", "[kube][in_cluster]")
{
    test::fake_files files;
    files.files[folder + "/token"] = "secret\n";
    files.files[folder + "/ca.crt"] = "PEM";
    files.files[folder + "/namespace"] = "shop\n";
    diagnostics why;
    auto const c = kube::in_cluster_context(pod(), files, why, "here");
    REQUIRE(c);
    CHECK(c->name == "here");
    CHECK(c->ns == "shop");
    CHECK(c->cluster.server == "https://10.96.0.1:443");
    auto const settings = kube::make_cluster_config(*c, files, why);
    REQUIRE(settings);
    CHECK(settings->api.server == host_port("10.96.0.1", 443));
    CHECK(settings->api.tls);
    CHECK(settings->api.tls_settings.roots_pem == "PEM");
    CHECK(settings->api.credentials.token_file == folder + "/token");
    CHECK(settings->default_namespace == "shop");
}

TEST_CASE("in cluster: an IPv6 address of the API server, and no namespace", "[kube][in_cluster]")
{
    test::fake_files files;
    files.files[folder + "/token"] = "secret";
    diagnostics why;
    auto env = pod();
    env.kubernetes_host = "fd00::1";
    auto const c = kube::in_cluster_context(env, files, why);
    REQUIRE(c);
    CHECK(c->cluster.server == "https://[fd00::1]:443");
    CHECK(c->ns == "default");
}

TEST_CASE("in cluster: elsewhere there is none", "[kube][in_cluster]")
{
    test::fake_files files;
    diagnostics why;
    CHECK(kube::in_cluster_context({}, files, why).error() == kube::errc::bad_context);
    CHECK(why.message.find("does not run in a pod") != std::string::npos);
    CHECK_FALSE(kube::in_cluster({}));
    CHECK(kube::in_cluster(pod()));
    for (char const* const port : {"", "0", "70000", "44x"}) {
        auto env = pod();
        env.kubernetes_port = port;
        CHECK(kube::in_cluster_context(env, files, why).error() == kube::errc::bad_context);
    }
    CHECK(kube::in_cluster_context(pod(), files, why).error() == cond::not_found);
    CHECK(why.message.find(folder + "/token") != std::string::npos);
}
