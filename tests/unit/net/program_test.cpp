#include <podproxy/net/program.hpp>

#include <catch2/catch_test_macros.hpp>
#include <asio/co_spawn.hpp>
#include <asio/post.hpp>
#include <csignal>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/resource.h>

using namespace podproxy;
using namespace podproxy::net;

namespace {

class list_sink final : public log_sink {
public:
    std::vector<std::string> lines;
    bool wants(log_level) const noexcept override { return true; }
    void write(log_event const& e) noexcept override { lines.emplace_back(e.message); }
};

} // namespace

TEST_CASE("program: a fault of one handler ends nothing else")
{
    list_sink sink;
    program_context io;
    bool ended = false;
    asio::post(io, [] { throw std::runtime_error("one connection"); });
    asio::post(io, [&] { ended = true; });
    run_until(io, ended, logger(sink, "test"));
    CHECK(ended);
    CHECK(sink.lines == std::vector<std::string>{"a connection ended by an unexpected fault"});
}

TEST_CASE("program: the soft limit of descriptors becomes the hard one")
{
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit low = before;
    low.rlim_cur = before.rlim_max < 128 ? before.rlim_max : 128;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    raise_descriptor_limit();
    rlimit after{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &after) == 0);
    CHECK(after.rlim_cur == before.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST_CASE("program: addresses to listen on")
{
    program_context io;
    auto const everywhere = listen_endpoint(io, {"", 80});
    REQUIRE(everywhere);
    CHECK(everywhere->address() == asio::ip::address_v6::any());
    CHECK(listen_endpoint(io, {"127.0.0.1", 80}).value() == asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 80));
    CHECK(listen_endpoint(io, {"::1", 80}).value() == asio::ip::tcp::endpoint(asio::ip::address_v6::loopback(), 80));
}

TEST_CASE("program: a port that is taken is told")
{
    list_sink sink;
    program_context io;
    auto const first = open_listener(io, {"127.0.0.1", 0}, "x", logger(sink, "test"));
    REQUIRE(first);
    CHECK(sink.lines.empty());
    CHECK_FALSE(open_listener(io, {"127.0.0.1", first->local_endpoint().port()}, "x", logger(sink, "test")));
    CHECK(sink.lines == std::vector<std::string>{"can't listen: another program uses this port; end it or choose another address"});
    CHECK_FALSE(open_listener(io, {"192.0.2.1", 0}, "x", logger(sink, "test"))); // not ours
    CHECK(sink.lines.back() == "can't listen");
}

TEST_CASE("program: signals are told one after the other")
{
    program_context io;
    program_signals signals(io.get_executor(), program_signals::hangup::is_told);
    std::vector<int> seen;
    bool ended = false;
    asio::co_spawn(
        io,
        [](program_signals& s, std::vector<int>& out) -> awaitable<void> {
            std::raise(SIGHUP);
            out.push_back(co_await s.wait());
            std::raise(SIGTERM);
            out.push_back(co_await s.wait());
        }(signals, seen),
        [&](std::exception_ptr) { ended = true; });
    run_until(io, ended, {});
    CHECK(seen == std::vector<int>{SIGHUP, SIGTERM});
}
