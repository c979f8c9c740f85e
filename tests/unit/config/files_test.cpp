#include <podproxy/config/files.hpp>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <unistd.h>

using namespace podproxy;
using namespace podproxy::config;

namespace {

/// A folder of its own that goes away again.
struct scratch {
    std::filesystem::path path = std::filesystem::temp_directory_path() / ("podproxy-files-" + std::to_string(::getpid()));
    scratch() { std::filesystem::create_directories(path / "folder.txt"); }
    ~scratch() { std::filesystem::remove_all(path); }
    std::string file(std::string const& name, std::string const& text) const
    {
        std::ofstream(path / name) << text;
        return (path / name).string();
    }
};

} // namespace

TEST_CASE("files: a whole file is read, up to the limit")
{
    scratch const dir;
    std::string const text(100'000, 'x');
    std::string const name = dir.file("a.txt", text);
    disk_files disk;
    CHECK(*disk.read(name, 100'001) == text);
    CHECK(*disk.read(name, 100'000) == text);
    CHECK(disk.read(name, 99'999).error() == cond::too_large);
    CHECK(disk.read("/dev/zero", 1000).error() == cond::too_large); // no size to go by
    CHECK(disk.read(dir.file("empty", ""), 0)->empty());
}

TEST_CASE("files: what can't be read has the system's error")
{
    scratch const dir;
    disk_files disk;
    CHECK(disk.read((dir.path / "absent").string(), 10).error() == cond::not_found);
    CHECK(disk.read(dir.path.string(), 10).error() == std::errc::is_a_directory);
    CHECK(disk.read("", 10).error() == cond::not_found);
}

TEST_CASE("files: globs give files in the order of their names")
{
    scratch const dir;
    std::string const b = dir.file("b.txt", ""), a = dir.file("a.txt", ""), c1 = dir.file("c1.yml", "");
    dir.file(".hidden.txt", "");
    disk_files disk;
    auto const glob = [&](std::string const& pattern) { return disk.glob((dir.path / pattern).string()); };
    CHECK(glob("*.txt") == std::vector<std::string>{a, b});
    CHECK(glob("[bc]*") == std::vector<std::string>{b, c1});
    CHECK(glob("c?.yml") == std::vector<std::string>{c1});
    CHECK(glob("*.none").empty());
    CHECK(glob("none/*").empty());
    CHECK(disk.glob("").empty());
}

TEST_CASE("files: what is a glob")
{
    CHECK(is_glob("a*"));
    CHECK(is_glob("a?"));
    CHECK(is_glob("[ab]"));
    CHECK_FALSE(is_glob("/home/x/{a,b}"));
    CHECK_FALSE(is_glob(""));
}

TEST_CASE("files: only a tilde of our own is expanded")
{
    CHECK(expand_home("~", "/home/jane") == "/home/jane");
    CHECK(expand_home("~/x", "/home/jane") == "/home/jane/x");
    CHECK(expand_home("~joe/x", "/home/jane") == "~joe/x");
    CHECK(expand_home("/a/~/x", "/home/jane") == "/a/~/x");
    CHECK(expand_home("~/x", "") == "~/x");
}
