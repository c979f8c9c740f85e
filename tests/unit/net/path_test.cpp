#include <podproxy/net/path.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/filter.h>
#endif

namespace {

using namespace std::chrono_literals;
using podproxy::net::path_is_silent;

/// Two ends of a TCP connection over loopback; ours does not block.
struct connection {
    connection()
    {
        int const listener = ::socket(AF_INET, SOCK_STREAM, 0);
        ::sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::socklen_t size = sizeof at;
        auto* const address = reinterpret_cast<::sockaddr*>(&at);
        REQUIRE(::bind(listener, address, size) == 0);
        REQUIRE(::listen(listener, 1) == 0);
        REQUIRE(::getsockname(listener, address, &size) == 0);
        ours = ::socket(AF_INET, SOCK_STREAM, 0);
        REQUIRE(::connect(ours, address, size) == 0);
        theirs = ::accept(listener, nullptr, nullptr);
        REQUIRE(theirs >= 0);
        ::close(listener);
    }
    ~connection()
    {
        ::close(ours);
        ::close(theirs);
    }
    connection(connection const&) = delete;
    void send(std::string const& text) const { CHECK(::send(ours, text.data(), text.size(), MSG_DONTWAIT) > 0); }

    int ours = -1;
    int theirs = -1;
};

template <class Condition>
bool happens(std::chrono::milliseconds limit, Condition condition)
{
    auto const until = std::chrono::steady_clock::now() + limit;
    while (!condition() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    return condition();
}

} // namespace

TEST_CASE("path: what is no TCP connection is not silent", "[net]")
{
    CHECK_FALSE(path_is_silent(-1, 0ms));
    std::array<int, 2> pair{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) == 0);
    CHECK_FALSE(path_is_silent(pair[0], 0ms));
    for (int const fd : pair) ::close(fd);
}

TEST_CASE("path: a peer that does not read is not silent", "[net]")
{
    connection c;
    CHECK_FALSE(path_is_silent(c.ours, 0ms));
    std::string const much(1024 * 1024, 'x');
    while (::send(c.ours, much.data(), much.size(), MSG_DONTWAIT) > 0) {}
    CHECK_FALSE(happens(300ms, [&] { return path_is_silent(c.ours, 0ms); }));
}

#if defined(__linux__)
TEST_CASE("path: a peer that gets nothing is silent, after a while", "[net]")
{
    connection c;
    std::array<::sock_filter, 1> drop_all{{{0x06, 0, 0, 0}}}; // return 0
    ::sock_fprog program{static_cast<unsigned short>(drop_all.size()), drop_all.data()};
    if (::setsockopt(c.theirs, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) SKIP("socket filters are not allowed here");
    c.send("anybody there?");
    CHECK(happens(5s, [&] { return path_is_silent(c.ours, 0ms); }));
    CHECK_FALSE(path_is_silent(c.ours, 1min));
}
#endif
