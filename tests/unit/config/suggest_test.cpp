#include <podproxy/config/suggest.hpp>

#include <catch2/catch_test_macros.hpp>
#include <array>
#include <string>
#include <string_view>

using namespace podproxy::config;

TEST_CASE("suggest: the distance counts letters added, left out, changed and swapped")
{
    CHECK(edit_distance("", "") == 0);
    CHECK(edit_distance("abc", "") == 3);
    CHECK(edit_distance("", "abc") == 3);
    CHECK(edit_distance("listenAdress", "listenAddress") == 1);
    CHECK(edit_distance("lvel", "level") == 1);
    CHECK(edit_distance("levle", "level") == 1);
    CHECK(edit_distance("FILE", "file") == 0);
    CHECK(edit_distance("kitten", "sitting") == 3);
    CHECK(edit_distance("abcd", "dcba") == 3);
}

TEST_CASE("suggest: the nearest known word, if it is near enough")
{
    std::array<std::string_view, 4> const known{"listenAddress", "httpListenAddress", "log", "level"};
    CHECK(suggest("listenAdress", known) == "listenAddress");
    CHECK(suggest("httplistenaddr", known) == "httpListenAddress");
    CHECK(suggest("lgo", known) == "log");
    CHECK(suggest("LEVEL", known) == "level");
    CHECK(suggest("kubeconfigs", known).empty());
    CHECK(suggest("", known).empty());
    CHECK(suggest("x", known).empty());
    CHECK(suggest(std::string(100, 'l'), known).empty());
    CHECK(suggest("log", {}).empty());
}
