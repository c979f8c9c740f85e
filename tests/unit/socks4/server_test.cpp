#include <podproxy/socks4/server.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fakes/fake_stream.hpp>
#include <unit/support/spawned.hpp>

#include <string>
#include <string_view>

using namespace podproxy;
using namespace podproxy::test;
using namespace std::string_literals;

namespace {

std::string const whole = "\x04\x01\x00\x50\x00\x00\x00\x01jane\x00web\x00"s;

struct fixture {
    asio::io_context ctx;
    fake_stream client{ctx.get_executor()};
    flat_buffer in{4096};

    spawned<result<socks4::request>> accept() { return {ctx, socks4::accept_request(client, in)}; }
};

} // namespace

TEST_CASE("socks4 accept: a request that is cut anywhere", "[socks4]")
{
    for (std::size_t at = 0; at <= whole.size(); ++at) {
        CAPTURE(at);
        fixture f;
        REQUIRE(f.in.append(as_bytes(std::string_view(whole).substr(0, at))));
        auto s = f.accept();
        s.run();
        if (at < whole.size()) {
            CHECK_FALSE(s.done());
            f.client.provide(as_bytes(std::string_view(whole).substr(at)));
            s.run();
        }
        REQUIRE(s.done());
        REQUIRE(s.value());
        CHECK(s.value()->destination == host_port("web", 80));
        CHECK(f.in.empty());
        CHECK(f.client.take_written().empty()); // the answer is the caller's
    }
}

TEST_CASE("socks4 accept: early data stays in the buffer", "[socks4]")
{
    fixture f;
    f.client.provide(as_bytes(whole + "early"));
    auto s = f.accept();
    REQUIRE(s.run().done());
    REQUIRE(s.value());
    CHECK(as_text(f.in.data()) == "early");
}

TEST_CASE("socks4 accept: who asks for something else is told", "[socks4]")
{
    fixture f;
    f.client.provide(as_bytes("\x04\x02"s));
    auto s = f.accept();
    REQUIRE(s.run().done());
    CHECK(s.value().error() == socks4::errc::unsupported_command);
    CHECK(f.client.take_written() == "\x00\x5b\x00\x00\x00\x00\x00\x00"s);
}

TEST_CASE("socks4 accept: who leaves", "[socks4]")
{
    fixture f;
    bool const inside = GENERATE(false, true);
    if (inside) f.client.provide(as_bytes(whole.substr(0, 5)));
    f.client.close_remote();
    auto s = f.accept();
    REQUIRE(s.run().done());
    CHECK(s.value().error() == (inside ? podproxy::errc::truncated : podproxy::errc::end_of_stream));
}
