#include <podproxy/net/child_process.hpp>
#include <catch2/catch_test_macros.hpp>
#include <support/spawned.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <vector>

using namespace podproxy;

namespace {

struct outcome {
    result<net::child_process_end> end = errc::cancelled;
    diagnostics why;
};

net::child_process_config shell(std::string script)
{
    net::child_process_config config;
    config.arguments = {"/bin/sh", "-c", std::move(script)};
    return config;
}

outcome run(net::child_process_config config)
{
    asio::io_context ctx(1);
    outcome out;
    test::spawned<result<net::child_process_end>> s(ctx, net::run_child_process(std::move(config), out.why));
    ctx.run();
    out.end = std::move(s.value());
    return out;
}

bool alive(pid_t pid) { return ::kill(pid, 0) == 0; }

} // namespace

TEST_CASE("a program's output, errors and exit code are collected")
{
    auto const got = run(shell("echo out; echo err >&2; exit 3"));
    REQUIRE(got.end);
    CHECK(got.end->exit_code == 3);
    CHECK(got.end->output == "out\n");
    CHECK(got.end->errors == "err\n");
    CHECK(got.why.empty());
}

TEST_CASE("a program that a signal ends has the exit code that a shell would tell")
{
    auto const got = run(shell("kill -TERM $$"));
    REQUIRE(got.end);
    CHECK(got.end->exit_code == 128 + SIGTERM);
}

TEST_CASE("a program gets its arguments and environment as they are")
{
    net::child_process_config config;
    config.arguments = {"sh", "-c", "printf '%s|' \"$@\"; echo \"$ONLY-$HOME\"", "name", "a b", "$x", ""};
    config.environment = {"ONLY=one", "PATH=/usr/bin:/bin"};
    auto const got = run(std::move(config));
    REQUIRE(got.end);
    CHECK(got.end->output == "a b|$x||one-\n");
}

TEST_CASE("a program reads nothing and inherits no descriptors")
{
    int const open_one = ::fcntl(0, F_DUPFD, 100);
    auto const got = run(shell("cat; if [ -e /proc/self/fd/" + std::to_string(open_one) + " ]; then echo inherited; fi"));
    if (open_one >= 0) ::close(open_one);
    REQUIRE(got.end);
    CHECK(got.end->output.empty());
}

TEST_CASE("signals that we ignore are not ignored by a program")
{
    auto* const before = std::signal(SIGPIPE, SIG_IGN);
    auto const got = run(shell("kill -PIPE $$; echo survived"));
    std::signal(SIGPIPE, before);
    REQUIRE(got.end);
    CHECK(got.end->exit_code == 128 + SIGPIPE);
}

TEST_CASE("a program that is not there is named")
{
    net::child_process_config config;
    config.arguments = {"no-such-program-anywhere"};
    auto const got = run(std::move(config));
    CHECK(got.end.error() == errc::unavailable);
    CHECK(got.why.text() == "there is no program no-such-program-anywhere");
}

TEST_CASE("a file that can't be run is an error of the system")
{
    net::child_process_config config;
    config.arguments = {"/dev/null"};
    auto const got = run(std::move(config));
    CHECK(got.end.error() == std::error_code(EACCES, std::system_category()));
    CHECK(got.why.text().starts_with("can't start /dev/null: "));
}

TEST_CASE("a program that hangs is killed at its limit with what it has started")
{
    auto config = shell("sleep 1000 & echo $!; echo $$; wait");
    config.limit = std::chrono::milliseconds(300);
    // The numbers of both are written to a file, since output of a killed program is dropped.
    char name[] = "/tmp/podproxy-child-XXXXXX";
    int const file = ::mkstemp(name);
    REQUIRE(file >= 0);
    config.arguments[2] = "sleep 1000 & echo $! >" + std::string(name) + "; wait";
    auto const got = run(std::move(config));
    CHECK(got.end.error() == errc::timed_out);
    CHECK(got.why.text() == "/bin/sh did not end within 300ms and was killed");
    char text[32] = {};
    ssize_t const n = ::pread(file, text, sizeof text - 1, 0);
    ::close(file);
    ::unlink(name);
    REQUIRE(n > 0);
    // It is an orphan now: whether init has collected it already is not ours to say, but it does not run.
    auto const pid = static_cast<pid_t>(std::atol(text));
    if (alive(pid)) {
        std::string const status = "/proc/" + std::to_string(pid) + "/stat";
        int const fd = ::open(status.c_str(), O_RDONLY);
        char line[256] = {};
        if (fd >= 0) {
            CHECK(::read(fd, line, sizeof line - 1) > 0);
            ::close(fd);
        }
        CHECK(std::string(line).find(" S ") == std::string::npos);
    }
}

TEST_CASE("a program that writes without end is killed")
{
    auto config = shell("while :; do echo 0123456789; done");
    config.most_output = 10'000;
    auto const got = run(std::move(config));
    CHECK(got.end.error() == errc::buffer_full);
    CHECK(got.why.text() == "/bin/sh wrote more than 10000 bytes");
}

TEST_CASE("output at the limit is kept whole")
{
    auto config = shell("printf 0123456789");
    config.most_output = 10;
    auto const got = run(std::move(config));
    REQUIRE(got.end);
    CHECK(got.end->output == "0123456789");
}

TEST_CASE("of much error output the end is kept")
{
    auto config = shell("i=0; while [ $i -lt 3000 ]; do echo line $i >&2; i=$((i+1)); done");
    config.kept_errors = 64;
    auto const got = run(std::move(config));
    REQUIRE(got.end);
    CHECK(got.end->errors.size() == 64);
    CHECK(got.end->errors.ends_with("line 2999\n"));
}

TEST_CASE("what a program leaves running does not hold its result back")
{
    auto const begin = std::chrono::steady_clock::now();
    auto const got = run(shell("sleep 20 & echo done"));
    REQUIRE(got.end);
    CHECK(got.end->output == "done\n");
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
}

TEST_CASE("a cancelled run kills the program")
{
    asio::io_context ctx(1);
    diagnostics why;
    test::spawned<result<net::child_process_end>> s(ctx, net::run_child_process(shell("sleep 1000"), why));
    s.run();
    REQUIRE_FALSE(s.done());
    s.cancel();
    ctx.run();
    REQUIRE(s.done());
    CHECK(s.error() == asio::error::operation_aborted);
}

TEST_CASE("a run that is destroyed kills the program")
{
    diagnostics why;
    auto const begin = std::chrono::steady_clock::now();
    {
        asio::io_context ctx(1);
        test::spawned<result<net::child_process_end>> s(ctx, net::run_child_process(shell("sleep 1000"), why));
        s.run();
        REQUIRE_FALSE(s.done());
    }
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(100));
}
