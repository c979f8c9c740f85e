#include <podproxy/route/cluster_names.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>

using namespace podproxy;

TEST_CASE("cluster names: what can't end a host is not taken")
{
    route::cluster_names clusters;
    auto const name = GENERATE(std::string(), std::string("."), std::string(".a"), std::string("a."), std::string("a..b"), std::string("a b"),
                               std::string("a\n"), std::string("a\0b", 3), std::string(254, 'x'));
    INFO(name);
    CHECK_FALSE(clusters.add(name));
    CHECK(clusters.empty());
}

TEST_CASE("cluster names: a name means one cluster")
{
    route::cluster_names clusters;
    CHECK(clusters.add("prod", "one"));
    CHECK(clusters.add("Prod", "one")); // the same again
    CHECK_FALSE(clusters.add("PROD", "two"));
    CHECK(clusters.add(std::string(253, 'x')));
    CHECK(clusters.size() == 2);
    CHECK(*clusters.find("prod") == "one");
    CHECK(clusters.find("dev") == nullptr);
    CHECK(clusters.entries().begin()->first == "prod");
    clusters.clear();
    CHECK(clusters.find("prod") == nullptr);
}
