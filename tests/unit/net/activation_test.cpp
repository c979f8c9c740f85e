#include <podproxy/net/activation.hpp>

#include <catch2/catch_test_macros.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/ip/udp.hpp>
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

using namespace podproxy;
using namespace podproxy::net;

namespace {

/// Descriptors from a number on that nobody uses, as a service manager leaves them.
class handed_over {
public:
    static constexpr int first = 200;

    ~handed_over()
    {
        for (int fd = first; fd < first + count_; ++fd)
            if (!taken_[static_cast<std::size_t>(fd - first)]) ::close(fd);
    }
    void add(int fd)
    {
        REQUIRE(::dup2(fd, first + count_) == first + count_);
        ++count_;
    }
    void add_gap() { ++count_; }
    void taken(int fd) { taken_[static_cast<std::size_t>(fd - first)] = true; }

    activation_environment environment(std::string names) const
    {
        activation_environment env;
        env.listen_pid = std::to_string(::getpid());
        env.listen_fds = std::to_string(count_);
        env.listen_fdnames = std::move(names);
        return env;
    }

private:
    int count_ = 0;
    std::array<bool, 16> taken_{};
};

/// A datagram socket as a service manager listens on.
class fake_manager {
public:
    explicit fake_manager(std::string const& name)
    {
        fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        std::memcpy(at.sun_path, name.data(), name.size());
        if (name.front() == '@') at.sun_path[0] = '\0';
        auto const size = static_cast<::socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (name.front() == '@' ? 0u : 1u));
        REQUIRE(::bind(fd_, reinterpret_cast<sockaddr const*>(&at), size) == 0);
    }
    ~fake_manager() { ::close(fd_); }

    std::string next()
    {
        std::array<char, 512> text;
        auto const n = ::recv(fd_, text.data(), text.size(), 0);
        return n < 0 ? std::string("nothing") : std::string(text.data(), static_cast<std::size_t>(n));
    }

private:
    int fd_ = -1;
};

} // namespace

TEST_CASE("activation: sockets are told apart, named, and taken over")
{
    asio::io_context io(1);
    asio::ip::tcp::acceptor tcp4(io, {asio::ip::address_v4::loopback(), 0});
    asio::ip::tcp::acceptor tcp6(io, {asio::ip::address_v6::loopback(), 0});
    asio::ip::udp::socket udp(io, {asio::ip::address_v4::loopback(), 0});
    asio::ip::tcp::socket unconnected(io, asio::ip::tcp::v4());
    std::array<int, 2> pipe{};
    REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
    handed_over given;
    given.add(tcp4.native_handle());
    given.add(tcp6.native_handle());
    given.add(udp.native_handle());
    given.add(unconnected.native_handle());
    given.add(pipe[0]);
    given.add_gap();

    auto const found = inherited_sockets(given.environment("web:web6:dns"), ::getpid(), handed_over::first);
    REQUIRE(found.size() == 5);
    CHECK(found[0].kind == inherited_kind::tcp);
    CHECK(found[0].name == "web");
    CHECK_FALSE(found[0].ipv6);
    CHECK(found[0].address == host_port("127.0.0.1", tcp4.local_endpoint().port()));
    CHECK(found[1].kind == inherited_kind::tcp);
    CHECK(found[1].ipv6);
    CHECK(found[1].address == host_port("::1", tcp6.local_endpoint().port()));
    CHECK(found[2].kind == inherited_kind::udp);
    CHECK(found[2].name == "dns");
    CHECK(found[2].address == host_port("127.0.0.1", udp.local_endpoint().port()));
    CHECK(found[3].kind == inherited_kind::other);
    CHECK(found[3].name.empty());
    CHECK(found[4].kind == inherited_kind::other);
    for (auto const& socket : found) CHECK((::fcntl(socket.fd, F_GETFD) & FD_CLOEXEC) != 0);

    auto listening = adopt_listener(io.get_executor(), found[0]);
    REQUIRE(listening);
    given.taken(found[0].fd);
    CHECK(listening->local_endpoint() == tcp4.local_endpoint());
    auto bound = adopt_udp_socket(io.get_executor(), found[2]);
    REQUIRE(bound);
    given.taken(found[2].fd);
    CHECK(bound->local_endpoint() == udp.local_endpoint());
    CHECK_FALSE(adopt_listener(io.get_executor(), found[2]));
    CHECK_FALSE(adopt_udp_socket(io.get_executor(), found[4]));
    ::close(pipe[0]);
    ::close(pipe[1]);
}

TEST_CASE("activation: what is meant for another process, or is no number, is left alone")
{
    asio::io_context io(1);
    asio::ip::tcp::acceptor tcp(io, {asio::ip::address_v4::loopback(), 0});
    handed_over given;
    given.add(tcp.native_handle());
    auto const good = given.environment("");
    REQUIRE(inherited_sockets(good, ::getpid(), handed_over::first).size() == 1);
    CHECK(inherited_sockets(good, ::getpid() + 1, handed_over::first).empty());
    for (std::string const wrong : {"", "x", "-1", "1x", "99999999999", "5000"}) {
        INFO(wrong);
        auto env = good;
        env.listen_fds = wrong;
        CHECK(inherited_sockets(env, ::getpid(), handed_over::first).empty());
        env = good;
        env.listen_pid = wrong;
        CHECK(inherited_sockets(env, ::getpid(), handed_over::first).empty());
    }
    CHECK(inherited_sockets({}, ::getpid(), handed_over::first).empty());
}

TEST_CASE("activation: the variables are taken out of the environment")
{
    ::setenv("LISTEN_PID", "1", 1);
    ::setenv("LISTEN_FDS", "2", 1);
    ::setenv("LISTEN_FDNAMES", "a:b", 1);
    ::setenv("NOTIFY_SOCKET", "/run/x", 1);
    auto const env = take_activation_environment();
    CHECK(env.listen_pid == "1");
    CHECK(env.listen_fds == "2");
    CHECK(env.listen_fdnames == "a:b");
    CHECK(env.notify_socket == "/run/x");
    for (char const* const name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET"}) CHECK(std::getenv(name) == nullptr);
    CHECK_FALSE(take_activation_environment().listen_pid);
}

TEST_CASE("activation: the manager is told what happens")
{
    std::string const name = "@podproxy-activation-test-" + std::to_string(::getpid());
    fake_manager manager(name);
    service_notifier const notifier(name);
    CHECK(notifier.is_active());
    notifier.ready("2 groups");
    CHECK(manager.next() == "READY=1\nSTATUS=2 groups");
    notifier.status("1 group");
    CHECK(manager.next() == "STATUS=1 group");
    notifier.reloading();
    CHECK(manager.next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    notifier.stopping();
    CHECK(manager.next().starts_with("STOPPING=1\n"));
    CHECK(manager.next() == "nothing");
}

TEST_CASE("activation: without a manager, or with one that is gone, nothing happens")
{
    service_notifier().ready("");
    CHECK_FALSE(service_notifier("vsock:2:1234").is_active());
    CHECK_FALSE(service_notifier("").is_active());
    CHECK_FALSE(service_notifier("/" + std::string(200, 'x')).is_active());
    service_notifier("/nowhere/at/all").ready("");
}
