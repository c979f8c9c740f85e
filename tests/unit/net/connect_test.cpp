#include <podproxy/net/connect.hpp>
#include <podproxy/net/tcp_stream.hpp>
#include <podproxy/net/timeout.hpp>
#include <unit/support/spawned.hpp>
#include <asio/basic_socket_acceptor.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

using namespace podproxy;
using namespace podproxy::test;
using namespace std::chrono_literals;
using asio::ip::tcp;
using acceptor = asio::basic_socket_acceptor<tcp, net::executor>;
using connected = result<net::ready_socket>;

namespace {

tcp::endpoint const loopback4(asio::ip::address_v4::loopback(), 0);
tcp::endpoint const loopback6(asio::ip::address_v6::loopback(), 0);

bool has_ipv6()
{
    asio::io_context ctx;
    std::error_code ec;
    acceptor a(ctx.get_executor());
    a.open(tcp::v6(), ec);
    if (!ec) a.bind(loopback6, ec);
    return !ec;
}

/// A port on which nobody listens.
tcp::endpoint closed_port(asio::io_context& ctx, tcp::endpoint where = loopback4)
{
    acceptor a(ctx.get_executor(), where);
    return a.local_endpoint();
}

/// A listener that takes no further connection and refuses none: its queue is full.
struct blackhole {
    explicit blackhole(asio::io_context& ctx) : listening(ctx.get_executor())
    {
        listening.open(tcp::v4());
        listening.bind(loopback4);
        listening.listen(0);
        for (int i = 0; i < 4; ++i) { // the kernel keeps one or two
            auto s = std::make_unique<net::tcp_socket>(ctx.get_executor(), tcp::v4());
            s->non_blocking(true);
            (void)::connect(s->native_handle(), endpoint().data(), static_cast<socklen_t>(endpoint().size()));
            filling.push_back(std::move(s));
        }
    }
    tcp::endpoint endpoint() const { return listening.local_endpoint(); }

    acceptor listening;
    std::vector<std::unique_ptr<net::tcp_socket>> filling;
};

std::size_t open_descriptors()
{
    std::filesystem::directory_iterator const all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::error_code finish(asio::io_context& ctx, spawned<connected>& s)
{
    ctx.restart();
    while (!s.done() && ctx.run_one() != 0) {}
    return s.error();
}

/// The context's own descriptors are there from now on.
void warm_up(asio::io_context& ctx, tcp::endpoint const& hole)
{
    diagnostics why;
    net::connect_config const config;
    for (std::string const host : {"localhost", "127.0.0.1"}) {
        spawned<connected> s(ctx, net::connect(host_port(host, hole.port()), config, why));
        s.run().cancel();
        (void)finish(ctx, s);
    }
    ctx.restart();
    ctx.run();
}

} // namespace

TEST_CASE("connect: an address, version 4 and 6, is connected to with TCP_NODELAY set")
{
    for (tcp::endpoint const& where : {loopback4, loopback6}) {
        if (where == loopback6 && !has_ipv6()) continue;
        asio::io_context ctx;
        acceptor a(ctx.get_executor(), where);
        diagnostics why;
        net::connect_config const config;
        spawned<connected> s(ctx, net::connect(host_port(where.address().to_string(), a.local_endpoint().port()), config, why));
        REQUIRE_FALSE(finish(ctx, s));
        net::ready_socket& socket = *s.value();
        tcp::no_delay nodelay;
        socket.get_option(nodelay);
        CHECK(nodelay.value());
        CHECK((::fcntl(socket.native_handle(), F_GETFL) & O_NONBLOCK) != 0);
        CHECK((::fcntl(socket.native_handle(), F_GETFD) & FD_CLOEXEC) != 0);
        CHECK(socket.remote_endpoint() == a.local_endpoint());
        tcp::socket peer = a.accept();
        net::tcp_stream stream(std::move(socket));
        CHECK(*stream.try_write(as_bytes("x")) == 1);
        char byte = 0;
        CHECK(peer.read_some(asio::buffer(&byte, 1)) == 1);
    }
}

TEST_CASE("connect: a refused port says so, with the destination in the text")
{
    asio::io_context ctx;
    auto const where = closed_port(ctx);
    diagnostics why;
    net::connect_config const config;
    spawned<connected> s(ctx, net::connect(host_port("127.0.0.1", where.port()), config, why));
    CHECK(finish(ctx, s) == cond::refused);
    CHECK(why.message.find("can't connect to 127.0.0.1:" + std::to_string(where.port()) + ": ") == 0);
}

TEST_CASE("connect: a name is resolved and connected to")
{
    asio::io_context ctx;
    acceptor a(ctx.get_executor(), loopback4); // where localhost is ::1 too, that one refuses and 127.0.0.1 is next
    diagnostics why;
    net::connect_config const config;
    spawned<connected> s(ctx, net::connect(host_port("localhost", a.local_endpoint().port()), config, why));
    CHECK_FALSE(finish(ctx, s));

    auto const nobody = closed_port(ctx);
    spawned<connected> t(ctx, net::connect(host_port("localhost", nobody.port()), config, why));
    CHECK(finish(ctx, t) == cond::refused);
    CHECK(why.message.find("can't connect to localhost:") == 0);

    spawned<connected> u(ctx, net::connect(host_port("does-not-exist.invalid", 80), config, why));
    auto const ec = finish(ctx, u);
    CHECK((ec == cond::not_found || ec == cond::unavailable));
}

TEST_CASE("connect: a silent address is raced by the next one, and its socket is closed")
{
    asio::io_context ctx;
    blackhole hole(ctx);
    acceptor good(ctx.get_executor(), loopback4);
    diagnostics why;
    net::connect_config config;
    config.attempt_delay = 20ms;
    warm_up(ctx, hole.endpoint());
    std::size_t const before = open_descriptors();
    {
        auto const begin = net::clock::now();
        spawned<connected> s(ctx, net::connect_any({hole.endpoint(), good.local_endpoint()}, config, why));
        REQUIRE_FALSE(finish(ctx, s));
        CHECK(net::clock::now() - begin >= 20ms);
        CHECK(s.value()->remote_endpoint() == good.local_endpoint());
        ctx.poll(); // the handler of the loser
        CHECK(open_descriptors() == before + 1);
    }
    // Refused ones are passed over at once: with this delay a wait would be noticed by the time limit of the test.
    config.attempt_delay = std::chrono::hours(1);
    auto const nobody = closed_port(ctx);
    spawned<connected> s(ctx, net::connect_any({nobody, nobody, good.local_endpoint()}, config, why));
    CHECK_FALSE(finish(ctx, s));
}

TEST_CASE("connect: when all addresses fail, the most telling error is reported")
{
    asio::io_context ctx;
    auto const nobody = closed_port(ctx);
    tcp::endpoint const no_route(asio::ip::make_address("255.255.255.255"), 9); // TCP to a broadcast address: refused by our own kernel
    diagnostics why;
    net::connect_config const config;
    for (auto const& order : {std::vector{no_route, nobody}, std::vector{nobody, no_route}}) {
        spawned<connected> s(ctx, net::connect_any(order, config, why));
        CHECK(finish(ctx, s) == cond::refused);
        CHECK(why.message.find("(2 addresses tried)") != std::string::npos);
    }
    spawned<connected> s(ctx, net::connect_any({}, config, why));
    CHECK(finish(ctx, s) == errc::unavailable);
    spawned<connected> t(ctx, net::connect_any({no_route}, config, why));
    CHECK(finish(ctx, t));
    CHECK(t.error() != cond::refused);
}

TEST_CASE("connect: only max_addresses are tried")
{
    asio::io_context ctx;
    acceptor good(ctx.get_executor(), loopback4);
    auto const nobody = closed_port(ctx);
    diagnostics why;
    net::connect_config config;
    config.max_addresses = 2;
    spawned<connected> s(ctx, net::connect_any({nobody, nobody, good.local_endpoint()}, config, why));
    CHECK(finish(ctx, s) == cond::refused);
    config.max_addresses = 3;
    spawned<connected> t(ctx, net::connect_any({nobody, nobody, good.local_endpoint()}, config, why));
    CHECK_FALSE(finish(ctx, t));
}

TEST_CASE("connect: each socket is prepared before it connects, and a failure there ends the attempt")
{
    asio::io_context ctx;
    acceptor good(ctx.get_executor(), loopback4);
    diagnostics why;
    int prepared = 0;
    net::connect_config config;
    config.prepare = [&](net::ready_socket& socket) {
        ++prepared;
        return socket.set_option(asio::socket_base::keep_alive(true));
    };
    spawned<connected> s(ctx, net::connect(host_port("127.0.0.1", good.local_endpoint().port()), config, why));
    REQUIRE_FALSE(finish(ctx, s));
    asio::socket_base::keep_alive alive;
    s.value()->get_option(alive);
    CHECK(alive.value());
    CHECK(prepared == 1);

    config.prepare = [](net::ready_socket&) { return std::make_error_code(std::errc::operation_not_permitted); };
    spawned<connected> t(ctx, net::connect_any({good.local_endpoint(), good.local_endpoint()}, config, why));
    CHECK(finish(ctx, t) == std::errc::operation_not_permitted);
}

TEST_CASE("connect: cancelled at any moment, or by a deadline, it leaves no descriptor open")
{
    asio::io_context ctx;
    blackhole hole(ctx);
    warm_up(ctx, hole.endpoint());
    std::size_t const before = open_descriptors();
    net::connect_config config;
    config.attempt_delay = 1ms;
    diagnostics why;
    for (bool const race : {false, true}) {
        for (int n = 0; n < 8; ++n) {
            CAPTURE(race, n);
            std::vector<tcp::endpoint> where(race ? 3 : 1, hole.endpoint());
            spawned<connected> s(ctx, net::connect_any(where, config, why));
            for (int i = 0; i < n; ++i) s.step();
            s.cancel();
            ctx.restart();
            ctx.run();
            REQUIRE(s.done());
            CHECK(s.error() == asio::error::operation_aborted);
            CHECK(open_descriptors() == before);
        }
        std::vector<tcp::endpoint> where(race ? 3 : 1, hole.endpoint());
        spawned<connected> s(ctx, net::with_deadline(net::connect_any(where, config, why), 10ms));
        CHECK(finish(ctx, s) == errc::timed_out);
        ctx.poll();
        CHECK(open_descriptors() == before);
    }
}

TEST_CASE("connect: begun without waiting, it is made at once or later, or tells why not")
{
    asio::io_context ctx;
    net::ready_socket socket(ctx.get_executor());
    diagnostics why;
    SECTION("to a listener here")
    {
        acceptor a(ctx.get_executor(), loopback4);
        CHECK(net::start_connect(socket, a.local_endpoint(), {}));
        CHECK(socket.remote_endpoint() == a.local_endpoint());
    }
    SECTION("to a closed port")
    {
        CHECK(net::start_connect(socket, closed_port(ctx), {}).error() == cond::refused);
    }
    SECTION("to one that does not answer")
    {
        blackhole hole(ctx);
        REQUIRE(net::start_connect(socket, hole.endpoint(), {}).error() == errc::would_block);
        spawned<connected> rest(ctx, net::finish_connect(std::move(socket), hole.endpoint(), why));
        CHECK_FALSE(rest.run().done());
        rest.cancel();
        CHECK(finish(ctx, rest) == asio::error::operation_aborted);
    }
}

TEST_CASE("connect: asked for after its coroutine was cancelled, it ends as cancelled")
{
    asio::io_context ctx;
    blackhole hole(ctx);
    diagnostics why;
    net::connect_config const config;
    spawned<connected> s(ctx, net::connect_any({hole.endpoint(), hole.endpoint()}, config, why));
    s.cancel();
    CHECK(finish(ctx, s) == asio::error::operation_aborted);
}
