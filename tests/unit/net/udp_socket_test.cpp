#include <podproxy/net/udp_socket.hpp>

#include <unit/support/poll_until.hpp>

#include <asio/ip/udp.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

using namespace podproxy;
using asio::ip::udp;
using test::poll_until;

namespace {

udp::endpoint loopback(std::uint16_t port = 0) { return {asio::ip::address_v4::loopback(), port}; }

std::vector<std::string> texts(net::datagram_batch const& batch)
{
    std::vector<std::string> out;
    for (bytes_view const b : batch.payloads()) out.emplace_back(as_text(b));
    return out;
}

/// What comes within the limit of `poll_until`, at least `n` datagrams.
std::vector<std::string> receive(asio::io_context& ctx, net::udp_socket& s, net::datagram_batch& batch, std::size_t n)
{
    std::vector<std::string> out;
    poll_until(ctx, [&] {
        if (s.receive(batch))
            for (auto& t : texts(batch)) out.push_back(std::move(t));
        return out.size() >= n;
    });
    return out;
}

/// Views of texts that live as long as this.
struct views {
    std::vector<std::string> texts;
    std::vector<bytes_view> bytes;
    explicit views(std::vector<std::string> all) : texts(std::move(all))
    {
        for (auto const& t : texts) bytes.push_back(as_bytes(t));
    }
    operator std::span<bytes_view const>() const { return bytes; }
};

} // namespace

TEST_CASE("udp socket: several datagrams go and come in one call, in order, with their sender")
{
    asio::io_context ctx(1);
    auto server = net::udp_socket::bind(ctx.get_executor(), loopback());
    REQUIRE(server);
    auto client = net::udp_socket::connect(ctx.get_executor(), server->local_endpoint());
    REQUIRE(client);

    std::vector<std::string> const sent{"one", "", "three", std::string(65'507, 'x')};
    views const bytes(sent);
    CHECK(client->send(bytes).value() == 4);
    net::datagram_batch batch;
    CHECK(receive(ctx, *server, batch, 4) == sent);
    CHECK(batch.peer(0) == client->local_endpoint());
    CHECK(batch.local(0).address == asio::ip::address_v4::loopback());
    CHECK(server->receive(batch).error() == errc::would_block);
    CHECK(batch.size() == 0);

    std::vector<std::string> const answers{"an answer", "and another"};
    CHECK(server->send_to(views(answers), client->local_endpoint(), {}).value() == 2);
    CHECK(receive(ctx, *client, batch, 2) == answers);
}

TEST_CASE("udp socket: a batch takes no more than it was made for")
{
    asio::io_context ctx(1);
    auto server = net::udp_socket::bind(ctx.get_executor(), loopback());
    REQUIRE(server);
    auto client = net::udp_socket::connect(ctx.get_executor(), server->local_endpoint());
    REQUIRE(client);
    std::vector<std::string> const sent{"1", "2", "3"};
    CHECK(client->send(views(sent)).value() == 3);
    net::datagram_batch batch(2);
    CHECK(receive(ctx, *server, batch, 2) == std::vector<std::string>{"1", "2"});
    CHECK(server->receive(batch).value() == 1);
    CHECK(texts(batch) == std::vector<std::string>{"3"});
}

TEST_CASE("udp socket: an answer comes from the address that was asked, also where all are listened on")
{
    asio::io_context ctx(1);
    bool const v6 = GENERATE(false, true);
    asio::ip::address const all = v6 ? asio::ip::address(asio::ip::address_v6::any()) : asio::ip::address(asio::ip::address_v4::any());
    auto server = net::udp_socket::bind(ctx.get_executor(), {all, 0});
    if (!server && v6) SKIP("no IPv6 here");
    REQUIRE(server);
    std::uint16_t const port = server->local_endpoint().port();

    auto const asked = asio::ip::make_address_v4("127.0.0.2"); // not the address that the system would choose
    auto client = net::udp_socket::connect(ctx.get_executor(), {asked, port});
    REQUIRE(client);
    CHECK(client->send(views({std::string("question")})).value() == 1);
    net::datagram_batch batch;
    CHECK(receive(ctx, *server, batch, 1) == std::vector<std::string>{"question"});
    CHECK(server->send_to(views({std::string("answer")}), batch.peer(0), batch.local(0)).value() == 1);
    CHECK(receive(ctx, *client, batch, 1) == std::vector<std::string>{"answer"}); // a connected socket takes no other's
}

TEST_CASE("udp socket: that nobody listens is told once, and the socket goes on")
{
    asio::io_context ctx(1);
    std::uint16_t port = 0;
    {
        auto gone = net::udp_socket::bind(ctx.get_executor(), loopback());
        REQUIRE(gone);
        port = gone->local_endpoint().port();
    }
    auto client = net::udp_socket::connect(ctx.get_executor(), loopback(port));
    REQUIRE(client);
    views const one({std::string("anybody?")});
    REQUIRE(client->send(one).value() == 1);

    SECTION("by the next call that receives")
    {
        net::datagram_batch batch;
        std::error_code ec;
        poll_until(ctx, [&] { return ec = client->receive(batch).error(), ec != errc::would_block; });
        CHECK(ec == cond::refused);
        CHECK(client->receive(batch).error() == errc::would_block);
    }
    SECTION("by the next call that sends, which sends nothing")
    {
        std::error_code ec;
        poll_until(ctx, [&] { return ec = client->send(one).error(), static_cast<bool>(ec); });
        CHECK(ec == cond::refused);
    }
    SECTION("when asked, and to who waits")
    {
        std::optional<std::error_code> waited;
        client->async_wait(net::wait_kind::read, [&](std::error_code ec) { waited = ec; });
        CHECK(poll_until(ctx, [&] { return waited.has_value(); }));
        CHECK(client->take_error() == cond::refused);
        CHECK_FALSE(client->take_error());
    }
}

TEST_CASE("udp socket: a port that is taken is an error, and closing ends a wait")
{
    asio::io_context ctx(1);
    auto server = net::udp_socket::bind(ctx.get_executor(), loopback());
    REQUIRE(server);
    auto const second = net::udp_socket::bind(ctx.get_executor(), server->local_endpoint());
    CHECK(is_system_error(second.error(), std::errc::address_in_use));

    std::optional<std::error_code> waited;
    server->async_wait(net::wait_kind::read, [&](std::error_code ec) { waited = ec; });
    server->close();
    CHECK_FALSE(server->is_open());
    CHECK(poll_until(ctx, [&] { return waited.has_value(); }));
    CHECK(*waited == asio::error::operation_aborted);
}

TEST_CASE("udp socket: a bound descriptor is taken over")
{
    asio::io_context ctx(1);
    udp::socket bound(ctx, loopback());
    auto const where = bound.local_endpoint();
    auto server = net::udp_socket::adopt(ctx.get_executor(), udp::v4(), bound.release());
    REQUIRE(server);
    CHECK(server->local_endpoint() == where);
    auto client = net::udp_socket::connect(ctx.get_executor(), where);
    REQUIRE(client);
    CHECK(client->send(views({std::string("hello")})).value() == 1);
    net::datagram_batch batch;
    CHECK(receive(ctx, *server, batch, 1) == std::vector<std::string>{"hello"});
    CHECK(batch.local(0).address == asio::ip::address_v4::loopback());
}
