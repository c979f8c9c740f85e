#include <podproxy/config/log_setup.hpp>

#include <catch2/catch_test_macros.hpp>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

using namespace podproxy;
using namespace podproxy::config;

namespace {

/// Standard error of a test: a pipe.
class console {
public:
    console() { REQUIRE(::pipe(ends_.data()) == 0); }
    ~console()
    {
        ::close(ends_[0]);
        if (ends_[1] >= 0) ::close(ends_[1]);
    }
    int fd() const noexcept { return ends_[1]; }
    std::string text()
    {
        ::close(ends_[1]);
        ends_[1] = -1;
        std::string out;
        std::array<char, 4096> chunk;
        for (ssize_t n; (n = ::read(ends_[0], chunk.data(), chunk.size())) > 0;) out.append(chunk.data(), static_cast<std::size_t>(n));
        return out;
    }

private:
    std::array<int, 2> ends_{-1, -1};
};

wall_time fixed() { return wall_time(std::chrono::seconds(0)); }

std::string content(std::filesystem::path const& path)
{
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

} // namespace

TEST_CASE("log set-up: text on standard error has no times unless they are asked for")
{
    console err;
    {
        auto log = open_log({}, err.fd(), fixed);
        REQUIRE(log);
        logger const l(**log, "c");
        l.debug("too fine");
        l.info("hello", {{"x", 1}});
        auto timed = open_log({.timestamp = true}, err.fd(), fixed);
        REQUIRE(timed);
        logger(**timed, "c").warn("late");
    }
    CHECK(err.text() == "INFO  c: hello x=1\n1970-01-01T00:00:00.000Z WARN  c: late\n");
}

TEST_CASE("log set-up: JSON has times unless they are switched off, and never colours")
{
    console err;
    auto log = open_log({.format = log_format::json, .colors = true}, err.fd(), fixed);
    logger(**log, "c").info("m");
    auto bare = open_log({.format = log_format::json, .timestamp = false}, err.fd(), fixed);
    logger(**bare, "c").info("m");
    CHECK(err.text() == "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\",\"component\":\"c\",\"msg\":\"m\"}\n"
                        "{\"level\":\"info\",\"component\":\"c\",\"msg\":\"m\"}\n");
}

TEST_CASE("log set-up: the level holds for both places")
{
    console err;
    auto log = open_log({.level = log_level::error, .colors = true}, err.fd(), fixed);
    CHECK_FALSE((*log)->wants(log_level::warn));
    CHECK((*log)->wants(log_level::error));
    logger(**log, "c").warn("no");
    logger(**log, "c").error("yes");
    CHECK(err.text() == "\x1b[31mERROR\x1b[0m c: yes\n");
}

TEST_CASE("log set-up: a file is private, appended to, and has times")
{
    auto const path = std::filesystem::temp_directory_path() / ("podproxy-log-" + std::to_string(::getpid()));
    std::filesystem::remove(path);
    console err;
    auto const old_mask = ::umask(0);
    for (int i = 0; i < 2; ++i) {
        auto log = open_log({.file = path.string(), .colors = true}, err.fd(), fixed);
        REQUIRE(log);
        CHECK((*log)->wants(log_level::info));
        CHECK_FALSE((*log)->wants(log_level::debug));
        logger(**log, "c").info("m", {{"i", i}});
    }
    ::umask(old_mask);
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    CHECK(content(path) == "1970-01-01T00:00:00.000Z INFO  c: m i=0\n1970-01-01T00:00:00.000Z INFO  c: m i=1\n");
    CHECK(err.text() == "\x1b[32mINFO \x1b[0m c: m i=0\n\x1b[32mINFO \x1b[0m c: m i=1\n");
    std::filesystem::remove(path);
}

TEST_CASE("log set-up: a file that can't be opened is an error")
{
    CHECK(open_log({.file = "/nonexistent/podproxy.log"}).error() == cond::not_found);
    CHECK(open_log({.file = "/"}).error() == std::errc::is_a_directory);
}

TEST_CASE("log set-up: what can't be written is lost without a word")
{
    auto log = open_log({}, -1);
    logger(**log, "c").error("nobody hears it");
    auto full = open_log({.file = "/dev/full"}, -1);
    if (full) logger(**full, "c").error("no room");
    SUCCEED();
}
