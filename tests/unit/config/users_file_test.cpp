#include <podproxy/config/users_file.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstdio>
#include <fstream>
#include <string>
#include <tuple>

#include <sys/stat.h>
#include <unistd.h>

using namespace podproxy;

namespace {

std::string const bcrypt = "$2y$05$" + std::string(53, 'a');
std::string const sha512 = "$6$salt$" + std::string(86, 'b');

} // namespace

TEST_CASE("users file: a line for each user, comments and empty lines", "[config]")
{
    config::problem_list problems;
    auto const users = config::parse_users("# people\nann:" + bcrypt + "\r\n\n  bob smith:" + sha512, "users", problems);
    REQUIRE(users);
    CHECK(problems.empty());
    CHECK(users->size() == 2);
    CHECK(users->at("ann").reveal() == bcrypt);
    CHECK(users->at("bob smith").reveal() == sha512);
}

TEST_CASE("users file: what is wrong is told with its line and without the hash", "[config]")
{
    auto const [text, line, said] = GENERATE(table<std::string, std::size_t, std::string>(
        {{"ann:" + bcrypt + "\nbob\n", 2, "name:hash"},
         {"ann:hunter2\n", 1, "'ann' is no hash"},
         {"ann:\n", 1, "'ann' is no hash"},
         {"\n\nann:$apr1$abcdefgh$hunter2\n", 3, "broken quickly"},
         {"ann:$2y$20$" + std::string(53, 'a'), 1, "costs seconds"},
         {"ann:" + bcrypt + "hunter2", 1, "damaged"},
         {":" + bcrypt, 1, "from 1 to 255 bytes"},
         {"a\x01nn:" + bcrypt, 1, "control characters"},
         {std::string(256, 'x') + ":" + bcrypt, 1, "from 1 to 255 bytes"},
         {"ann:" + bcrypt + "\nann:" + sha512, 2, "'ann' is there twice"},
         {"", 0, "holds no user"},
         {"# nobody\n", 0, "holds no user"}}));
    CAPTURE(text);
    config::problem_list problems;
    CHECK_FALSE(config::parse_users(text, "users", problems));
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].level == config::severity::error);
    CHECK(problems[0].where.line == line);
    CHECK(problems[0].message.find(said) != std::string::npos);
    CHECK(problems[0].message.find("hunter2") == std::string::npos);
}

TEST_CASE("users file: who may read it", "[config]")
{
    std::string const path = "users_file_test." + std::to_string(::getpid());
    std::ofstream(path) << "ann:" << bcrypt << '\n';
    config::disk_files files;
    config::problem_list problems;
    ::chmod(path.c_str(), 0600);
    CHECK(config::load_users(path, files, problems));
    CHECK(problems.empty());
    ::chmod(path.c_str(), 0644);
    CHECK(config::load_users(path, files, problems));
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].level == config::severity::warning);
    CHECK(problems[0].message.find("chmod 600") != std::string::npos);
    std::remove(path.c_str());
    CHECK_FALSE(config::load_users(path, files, problems));
    CHECK(problems.back().message.find("can't be read") != std::string::npos);
}
