#include <podproxy/net/unix_stream.hpp>

#include <unit/support/poll_until.hpp>
#include <unit/support/spawned.hpp>

#include <asio/basic_socket_acceptor.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

using namespace podproxy;
using local = asio::local::stream_protocol;

namespace {

/// A listening socket in a folder of its own.
struct listening {
    explicit listening(asio::io_context& ctx) : acceptor(ctx)
    {
        std::string name = (std::filesystem::temp_directory_path() / "podproxy-unix-XXXXXX").string();
        folder = ::mkdtemp(name.data());
        path = folder + "/socket";
        acceptor.open();
        acceptor.bind(local::endpoint(path));
        acceptor.listen();
    }
    ~listening() { std::filesystem::remove_all(folder); }

    std::string folder;
    std::string path;
    asio::basic_socket_acceptor<local, net::executor> acceptor;
};

net::unix_socket connect(asio::io_context& ctx, std::string const& path)
{
    diagnostics why;
    test::spawned<result<net::unix_socket>> s(ctx, net::connect_unix(path, why));
    s.run();
    REQUIRE(s.value());
    return std::move(*s.value());
}

} // namespace

TEST_CASE("unix stream: reads, writes, half-closes")
{
    asio::io_context ctx(1);
    listening l(ctx);
    net::unix_stream s(connect(ctx, l.path));
    net::unix_socket peer(ctx);
    l.acceptor.accept(peer);
    CHECK(s.plain_socket() == nullptr);
    CHECK((::fcntl(s.socket().native_handle(), F_GETFL) & O_NONBLOCK) != 0);
    CHECK((::fcntl(s.socket().native_handle(), F_GETFD) & FD_CLOEXEC) != 0);

    std::array<std::uint8_t, 64> buf{};
    CHECK(s.try_read(buf).error() == podproxy::errc::would_block);
    CHECK(*s.try_write(as_bytes("hello")) == 5);
    std::array<char, 5> got{};
    asio::read(peer, asio::buffer(got));
    CHECK(std::string_view(got.data(), got.size()) == "hello");

    test::spawned<result<std::size_t>> read(ctx, net::read_some(s, buf));
    CHECK_FALSE(read.run().done());
    asio::write(peer, asio::buffer(std::string_view("abc")));
    REQUIRE(test::poll_until(ctx, [&] { return read.done(); }));
    CHECK(*read.value() == 3);

    SECTION("the peer's half-close is an end of stream, and we may still write")
    {
        peer.shutdown(net::unix_socket::shutdown_send);
        CHECK(s.try_read(buf).error() == podproxy::errc::end_of_stream);
        CHECK(*s.try_write(as_bytes("x")) == 1);
        CHECK(s.shutdown_send());
    }
    SECTION("writing to a peer that has closed is an error, not a signal")
    {
        peer.close();
        CHECK(s.try_write(as_bytes("x")).error() == cond::unavailable);
    }
    SECTION("closing ends a wait, and nothing works afterwards")
    {
        test::spawned<result<std::size_t>> again(ctx, net::read_some(s, buf));
        again.run();
        s.close();
        REQUIRE(test::poll_until(ctx, [&] { return again.done(); }));
        CHECK(again.error() == asio::error::operation_aborted);
        CHECK_FALSE(s.try_read(buf));
        CHECK_FALSE(s.try_write(as_bytes("x")));
        CHECK_FALSE(s.shutdown_send());
        s.reset();
    }
    SECTION("a read that is cancelled loses nothing")
    {
        test::spawned<result<std::size_t>> again(ctx, net::read_some(s, buf));
        again.run().cancel();
        REQUIRE(test::poll_until(ctx, [&] { return again.done(); }));
        asio::write(peer, asio::buffer(std::string_view("d")));
        CHECK(*s.try_read(buf) == 1);
    }
}

TEST_CASE("unix stream: addresses")
{
    CHECK(net::unix_endpoint("/run/x.sock")->path() == "/run/x.sock");
    CHECK(net::unix_endpoint("@name")->path() == std::string("\0name", 5));
    CHECK(net::unix_endpoint("").error() == std::errc::invalid_argument);
    CHECK(net::unix_endpoint("@").error() == std::errc::invalid_argument);
    CHECK(net::unix_endpoint(std::string("/a\0b", 4)).error() == std::errc::invalid_argument);
    std::size_t const most = sizeof(::sockaddr_un::sun_path) - 1;
    CHECK(net::unix_endpoint("/" + std::string(most - 1, 'x')));
    CHECK(net::unix_endpoint("/" + std::string(most, 'x')).error() == std::errc::filename_too_long);
}

TEST_CASE("unix stream: what is not there, and where nobody listens any more")
{
    asio::io_context ctx(1);
    listening l(ctx);
    diagnostics why;
    test::spawned<result<net::unix_socket>> missing(ctx, net::connect_unix(l.folder + "/other", why));
    CHECK(missing.run().error() == cond::not_found);
    CHECK(why.message == "can't connect to " + l.folder + "/other: No such file or directory");
    l.acceptor.close();
    test::spawned<result<net::unix_socket>> closed(ctx, net::connect_unix(l.path, why));
    CHECK(closed.run().error() == cond::refused);
    test::spawned<result<net::unix_socket>> bad(ctx, net::connect_unix("", why));
    CHECK(bad.run().error() == std::errc::invalid_argument);
}

TEST_CASE("unix stream: a socket of somebody else")
{
    if (::geteuid() == 0) SKIP("root may open every socket");
    asio::io_context ctx(1);
    listening l(ctx);
    std::filesystem::permissions(l.path, std::filesystem::perms::none);
    diagnostics why;
    test::spawned<result<net::unix_socket>> s(ctx, net::connect_unix(l.path, why));
    CHECK(s.run().error() == cond::unauthorized);
}

TEST_CASE("unix stream: a listener whose queue is full is tried again, until one gives up")
{
    asio::io_context ctx(1);
    listening l(ctx);
    l.acceptor.listen(0);
    diagnostics why;
    std::vector<net::unix_socket> waiting;
    std::unique_ptr<test::spawned<result<net::unix_socket>>> full;
    for (int i = 0; i < 64; ++i) { // how many fit is the system's affair
        full = std::make_unique<test::spawned<result<net::unix_socket>>>(ctx, net::connect_unix(l.path, why));
        if (!full->run().done()) break;
        waiting.push_back(std::move(*full->value()));
    }
    REQUIRE_FALSE(full->done());
    SECTION("there is room again")
    {
        for (std::size_t i = 0; i < waiting.size(); ++i) (void)l.acceptor.accept();
        REQUIRE(test::poll_until(ctx, [&] { return full->done(); }));
        CHECK(full->value());
    }
    SECTION("cancelled")
    {
        full->cancel();
        REQUIRE(test::poll_until(ctx, [&] { return full->done(); }));
        CHECK(full->error() == asio::error::operation_aborted);
    }
}

TEST_CASE("unix stream: a dialer leads to its socket, whatever the destination")
{
    asio::io_context ctx(1);
    listening l(ctx);
    net::unix_dialer dialer(l.path);
    diagnostics why;
    test::spawned<result<net::any_stream>> s(ctx, dialer.dial(host_port("ignored", 1), why));
    CHECK(s.run().value());
    net::unix_dialer nowhere(l.folder + "/no");
    test::spawned<result<net::any_stream>> t(ctx, nowhere.dial(host_port("ignored", 1), why));
    CHECK(t.run().error() == cond::not_found);
}
