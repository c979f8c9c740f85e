#include <podproxy/route/cluster_alias.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <string_view>

using namespace podproxy;
using route::cluster_alias;

TEST_CASE("cluster alias: names that clouds give become host labels")
{
    CHECK(cluster_alias("arn:aws:eks:eu-west-1:123456789012:cluster/prod") == "arn-aws-eks-eu-west-1-123456789012-cluster-prod");
    CHECK(cluster_alias("Jane@prod.eu-west-1.eksctl.io") == "jane-prod-eu-west-1-eksctl-io");
    CHECK(cluster_alias("gke_my-project_europe-west1-b_main") == "gke-my-project-europe-west1-b-main");
    CHECK(cluster_alias("--a//b--") == "a-b");
    CHECK(cluster_alias("staging") == "staging");
}

TEST_CASE("cluster alias: it is always a label, and another name gets another one where it must")
{
    for (std::string const& name : {std::string("@"), std::string("größe"), std::string(63, 'a'), std::string(64, 'a'), std::string(300, '.'), "x" + std::string(80, ':') + "y",
                                   std::string(53, 'a') + "::" + std::string(40, 'b')}) {
        INFO(name);
        CHECK(route::is_host_label(cluster_alias(name)));
        CHECK(route::is_host_label(cluster_alias(name, route::alias_form::with_hash)));
    }
    CHECK(cluster_alias(std::string(63, 'a')) == std::string(63, 'a'));
    CHECK(cluster_alias(std::string(64, 'a')) == std::string(54, 'a') + "-" + cluster_alias(std::string(64, 'a')).substr(55));
    CHECK(cluster_alias(std::string(64, 'a')) != cluster_alias(std::string(65, 'a')));
    CHECK(cluster_alias("a:b", route::alias_form::with_hash) != cluster_alias("a/b", route::alias_form::with_hash));
    CHECK(cluster_alias("a:b", route::alias_form::with_hash) == "a-b-08bd8540"); // stays the same for ever
    CHECK(cluster_alias("@") != cluster_alias(":"));
}

TEST_CASE("cluster alias: what a label is")
{
    for (std::string_view const good : {"a", "A-1", "0", "staging"}) CHECK(route::is_host_label(good));
    for (std::string_view const bad : {"", "-a", "a-", "a.b", "a_b", "a:b"}) CHECK_FALSE(route::is_host_label(bad));
    CHECK(route::is_host_label(std::string(63, 'a')));
    CHECK_FALSE(route::is_host_label(std::string(64, 'a')));
}
