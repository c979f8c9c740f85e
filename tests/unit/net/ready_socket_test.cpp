#include <podproxy/net/detail/asio_watch.hpp>
#include <podproxy/net/ready_socket.hpp>

#include <fakes/fake_stream.hpp>
#include <unit/support/spawned.hpp>

#include <asio/ip/tcp.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace podproxy;
using net::wait_kind;

namespace {

/// Two connected sockets; `peer` is closed at the end if it is still ours.
struct two_ends {
    int ours = -1;
    int peer = -1;

    two_ends()
    {
        std::array<int, 2> both{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, both.data()) == 0);
        ours = both[0];
        peer = both[1];
    }
    two_ends(two_ends const&) = delete;
    two_ends& operator=(two_ends const&) = delete;
    ~two_ends() { end(); }

    void say(std::size_t n = 1) const
    {
        std::vector<char> const bytes(n, 'x');
        REQUIRE(::send(peer, bytes.data(), n, MSG_NOSIGNAL) == static_cast<ssize_t>(n));
    }
    void end()
    {
        if (peer >= 0) ::close(std::exchange(peer, -1));
    }
};

struct counter : net::ready_waiter {
    int ready = 0;
    int closed = 0;
    int abandoned = 0;
    std::function<void()> then;

    void on_ready() override
    {
        ++ready;
        if (then) then();
    }
    void on_closed() override { ++closed; }
    void on_abandoned() noexcept override { ++abandoned; }
};

/// A context, a watched end and a peer, for both ways of watching.
template <class Watch>
struct scene {
    asio::io_context ctx{1};
    two_ends both;
    Watch watch{ctx.get_executor()};
    counter reader;
    counter writer;

    ~scene()
    {
        watch.end(both.ours);
        ::close(both.ours);
    }
    void wait(wait_kind kind) { REQUIRE_FALSE(watch.wait(both.ours, kind, kind == wait_kind::read ? reader : writer)); }
    /// What there is to do, until nothing is. @return whether the context still waits for something.
    bool run()
    {
        test::run_ready(ctx);
        return !ctx.stopped();
    }
    /// Reads with room for `room` bytes and tells the watch what came of it. @return what was read.
    std::size_t read(std::size_t room = 100)
    {
        std::vector<char> into(room);
        auto const n = ::recv(both.ours, into.data(), room, 0);
        if (n < 0) watch.set_drained();
        else if (static_cast<std::size_t>(n) < room) watch.read_short();
        else watch.read_full();
        return n < 0 ? 0 : static_cast<std::size_t>(n);
    }
};

#if defined(__linux__)
using watches = std::tuple<net::detail::epoll_watch, net::detail::asio_watch>;
#else
using watches = std::tuple<net::detail::asio_watch>;
#endif

} // namespace

TEMPLATE_LIST_TEST_CASE("readiness: somebody who waits is called once, by the executor, when something arrives", "[ready_socket]", watches)
{
    scene<TestType> s;
    s.wait(wait_kind::read);
    CHECK(s.run()); // a wait is work
    CHECK(s.reader.ready == 0);
    s.both.say();
    CHECK(s.reader.ready == 0);
    CHECK_FALSE(s.run()); // ... and no wait is none
    CHECK(s.reader.ready == 1);
    s.both.say();
    s.run();
    CHECK(s.reader.ready == 1);
}

TEMPLATE_LIST_TEST_CASE("readiness: what was there before the wait counts", "[ready_socket]", watches)
{
    scene<TestType> s;
    SECTION("before the first wait")
    {
        s.both.say();
    }
    SECTION("arrived since the last read, while nobody waited")
    {
        s.wait(wait_kind::read);
        s.both.say();
        s.run();
        CHECK(s.read() == 1);
        s.both.say();
        s.reader.ready = 0;
    }
    SECTION("arrived and announced while only room was waited for")
    {
        s.wait(wait_kind::read);
        s.both.say();
        s.run();
        CHECK(s.read() == 1);
        s.both.say();
        s.wait(wait_kind::write);
        s.run();
        CHECK(s.writer.ready == 1);
        s.reader.ready = 0;
    }
    SECTION("left over by a read that took only a part")
    {
        s.wait(wait_kind::read);
        s.both.say(10);
        s.run();
        CHECK(s.read(4) == 4);
        s.reader.ready = 0;
    }
    SECTION("an end of stream behind bytes that were read with room to spare")
    {
        s.wait(wait_kind::read);
        s.both.say(3);
        s.both.end();
        s.run();
        CHECK(s.read() == 3);
        s.reader.ready = 0;
    }
    s.wait(wait_kind::read);
    s.run();
    CHECK(s.reader.ready == 1);
}

TEMPLATE_LIST_TEST_CASE("readiness: a read that has emptied the socket leads to no early call", "[ready_socket]", watches)
{
    scene<TestType> s;
    s.wait(wait_kind::read);
    s.both.say();
    s.run();
    CHECK(s.read() == 1);
    CHECK(s.watch.drained());
    s.wait(wait_kind::read);
    CHECK(s.run());
    CHECK(s.reader.ready == 1);
    s.both.say();
    s.run();
    CHECK(s.reader.ready == 2);
}

TEMPLATE_LIST_TEST_CASE("readiness: waits of both kinds go side by side", "[ready_socket]", watches)
{
    scene<TestType> s;
    s.wait(wait_kind::read);
    s.wait(wait_kind::write);
    s.run();
    CHECK(s.writer.ready == 1);
    CHECK(s.reader.ready == 0);
    // Without room, a wait for room waits.
    std::vector<char> const block(64 * 1024);
    while (::send(s.both.ours, block.data(), block.size(), MSG_NOSIGNAL) > 0) {}
    s.wait(wait_kind::write);
    CHECK(s.run());
    CHECK(s.writer.ready == 1);
    std::vector<char> into(1024 * 1024);
    while (::recv(s.both.peer, into.data(), into.size(), 0) > 0) {}
    s.run();
    CHECK(s.writer.ready == 2);
    s.both.say();
    s.run();
    CHECK(s.reader.ready == 1);
}

TEMPLATE_LIST_TEST_CASE("readiness: a peer that has gone wakes both", "[ready_socket]", watches)
{
    scene<TestType> s;
    std::vector<char> const block(64 * 1024);
    while (::send(s.both.ours, block.data(), block.size(), MSG_NOSIGNAL) > 0) {}
    s.wait(wait_kind::read);
    s.wait(wait_kind::write);
    CHECK(s.run());
    s.both.end();
    CHECK_FALSE(s.run());
    CHECK(s.reader.ready == 1);
    CHECK(s.writer.ready == 1);
}

TEMPLATE_LIST_TEST_CASE("readiness: a wait can be stopped without a call, and begun again", "[ready_socket]", watches)
{
    scene<TestType> s;
    s.wait(wait_kind::read);
    s.run();
    s.watch.stop(wait_kind::read);
    s.watch.stop(wait_kind::read); // nobody waits: nothing happens
    CHECK_FALSE(s.run());
    s.both.say();
    s.run();
    CHECK(s.reader.ready == 0);
    s.wait(wait_kind::read);
    s.run();
    CHECK(s.reader.ready == 1);
    SECTION("also one of two")
    {
        CHECK(s.read() == 1);
        s.wait(wait_kind::read);
        s.wait(wait_kind::write);
        s.watch.stop(wait_kind::write);
        CHECK(s.run());
        CHECK(s.writer.ready == 0);
        s.both.say();
        s.run();
        CHECK(s.reader.ready == 2);
    }
}

TEMPLATE_LIST_TEST_CASE("readiness: closing tells who waits, and nobody else", "[ready_socket]", watches)
{
    scene<TestType> s;
    s.wait(wait_kind::read);
    s.run();
    s.watch.end(s.both.ours);
    CHECK(s.reader.closed == 1);
    CHECK(s.writer.closed == 0);
    CHECK_FALSE(s.run());
    CHECK(s.reader.ready == 0);
    s.watch.end(s.both.ours); // a second time is nothing
    CHECK(s.reader.closed == 1);
}

TEMPLATE_LIST_TEST_CASE("readiness: moving takes the wait along", "[ready_socket]", watches)
{
    scene<TestType> s;
    s.wait(wait_kind::read);
    s.run();
    TestType moved(std::move(s.watch));
    s.both.say();
    s.run();
    CHECK(s.reader.ready == 1);
    moved.end(s.both.ours);
}

TEMPLATE_LIST_TEST_CASE("readiness: the end of the context abandons who waits, and its sockets with it", "[ready_socket]", watches)
{
    /// Owns what it waits for, as a coroutine does.
    struct owner : counter {
        two_ends both;
        std::unique_ptr<TestType> watch;

        explicit owner(asio::io_context& ctx) : watch(std::make_unique<TestType>(ctx.get_executor()))
        {
            REQUIRE_FALSE(watch->wait(both.ours, wait_kind::read, *this));
            REQUIRE_FALSE(watch->wait(both.ours, wait_kind::write, other));
        }
        ~owner() { ::close(both.ours); }
        void on_abandoned() noexcept override
        {
            ++abandoned;
            if (!watch) return;
            watch->end(both.ours);
            watch.reset();
        }
        counter other;
    };
    std::optional<asio::io_context> ctx(std::in_place, 1);
    owner first(*ctx), second(*ctx);
    ctx.reset();
    for (auto* o : {&first, &second}) {
        CHECK(o->abandoned == 1);
        CHECK_FALSE(o->watch);
        CHECK(o->ready + o->other.ready == 0);
        CHECK(o->other.closed + o->other.abandoned == 1);
    }
}

#if defined(__linux__)

TEST_CASE("readiness: events of one batch reach nobody whose socket was closed meanwhile, or took its place", "[ready_socket]")
{
    asio::io_context ctx(1);
    struct client {
        two_ends both;
        std::optional<net::ready_socket> socket;
        counter reader;
    };
    std::array<client, 6> all;
    std::vector<std::unique_ptr<client>> newcomers;
    int calls = 0;
    for (auto& c : all) {
        c.socket.emplace(ctx.get_executor(), c.both.ours);
        c.reader.then = [&] {
            if (++calls > 1) return;
            // The first of the batch closes all others, and opens new ones with the same numbers.
            for (auto& other : all)
                if (&other != &c) other.socket.reset();
            for (std::size_t i = 0; i < all.size(); ++i) {
                auto& fresh = *newcomers.emplace_back(std::make_unique<client>());
                fresh.socket.emplace(ctx.get_executor(), fresh.both.ours);
                REQUIRE_FALSE(fresh.socket->wait(wait_kind::read, fresh.reader));
            }
        };
        REQUIRE_FALSE(c.socket->wait(wait_kind::read, c.reader));
        c.both.say();
    }
    test::run_ready(ctx);
    CHECK(calls == 1);
    int closed = 0;
    for (auto& c : all) closed += c.reader.closed;
    CHECK(closed == 5);
    for (auto& c : newcomers) CHECK(c->reader.ready == 0);
    newcomers.front()->both.say();
    test::run_ready(ctx);
    CHECK(newcomers.front()->reader.ready == 1);
}

TEST_CASE("readiness: a descriptor that lives on elsewhere after it was closed reaches nobody", "[ready_socket]")
{
    asio::io_context ctx(1);
    two_ends both;
    int const copy = ::dup(both.ours); // as a child process has it before it executes its program
    counter reader;
    std::optional<net::ready_socket> socket(std::in_place, ctx.get_executor(), both.ours);
    REQUIRE_FALSE(socket->wait(wait_kind::read, reader));
    test::run_ready(ctx);
    socket.reset();
    CHECK(reader.closed == 1);
    two_ends others;
    counter next;
    net::ready_socket heir(ctx.get_executor(), others.ours);
    REQUIRE_FALSE(heir.wait(wait_kind::read, next));
    both.say();
    test::run_ready(ctx);
    CHECK(reader.ready == 0);
    CHECK(next.ready == 0);
    ::close(copy);
}

TEST_CASE("readiness: whoever is called may close its socket while room is announced too", "[ready_socket]")
{
    asio::io_context ctx(1);
    two_ends both;
    auto socket = std::make_unique<net::ready_socket>(ctx.get_executor(), both.ours);
    counter reader, writer;
    reader.then = [&] { socket.reset(); };
    REQUIRE_FALSE(socket->wait(wait_kind::write, writer));
    REQUIRE_FALSE(socket->wait(wait_kind::read, reader));
    both.say();
    test::run_ready(ctx);
    CHECK(reader.ready == 1);
    CHECK(writer.ready == 0);
    CHECK(writer.closed == 1);
}

TEST_CASE("readiness: an exception leaves through run, and the rest of the batch is handed out afterwards", "[ready_socket]")
{
    asio::io_context ctx(1);
    struct client {
        two_ends both;
        std::optional<net::ready_socket> socket;
        counter reader;
    };
    std::array<client, 4> all;
    int calls = 0;
    for (auto& c : all) {
        c.socket.emplace(ctx.get_executor(), c.both.ours);
        c.reader.then = [&] {
            if (++calls <= 2) throw std::runtime_error("out of here");
        };
        REQUIRE_FALSE(c.socket->wait(wait_kind::read, c.reader));
        c.both.say();
    }
    CHECK_THROWS_AS(ctx.run(), std::runtime_error);
    CHECK(calls == 1);
    CHECK_THROWS_AS(ctx.run(), std::runtime_error);
    CHECK(calls == 2);
    ctx.run();
    CHECK(calls == 4);
    for (auto& c : all) CHECK(c.reader.ready == 1);
}

TEST_CASE("readiness: more events than one look brings are all handed out", "[ready_socket]")
{
    asio::io_context ctx(1);
    struct client {
        two_ends both;
        std::optional<net::ready_socket> socket;
        counter reader;
    };
    std::vector<std::unique_ptr<client>> all;
    for (int i = 0; i < 300; ++i) {
        auto& c = *all.emplace_back(std::make_unique<client>());
        c.socket.emplace(ctx.get_executor(), c.both.ours);
        REQUIRE_FALSE(c.socket->wait(wait_kind::read, c.reader));
        c.both.say();
    }
    ctx.run();
    for (auto& c : all) CHECK(c->reader.ready == 1);
}

TEST_CASE("readiness: a descriptor that can't be watched says so, and nobody is called", "[ready_socket]")
{
    asio::io_context ctx(1);
    counter reader;
    net::ready_socket none(ctx.get_executor());
    CHECK(none.wait(wait_kind::read, reader) == asio::error::bad_descriptor);
    int const file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    REQUIRE(file >= 0);
    net::ready_socket regular(ctx.get_executor(), file);
    CHECK(regular.wait(wait_kind::read, reader) == std::errc::operation_not_permitted);
    CHECK(regular.wait(wait_kind::read, reader) == std::errc::operation_not_permitted);
    ctx.run();
    CHECK(reader.ready + reader.closed == 0);
}

#endif

TEST_CASE("ready socket: released, it stays open and calls nobody", "[ready_socket]")
{
    asio::io_context ctx(1);
    two_ends both;
    net::ready_socket socket(ctx.get_executor(), both.ours);
    counter reader;
    REQUIRE_FALSE(socket.wait(wait_kind::read, reader));
    int const fd = socket.release();
    CHECK(fd == both.ours);
    CHECK_FALSE(socket.is_open());
    CHECK(reader.closed == 1);
    both.say();
    test::run_ready(ctx);
    CHECK(reader.ready == 0);
    socket.assign(fd); // and may be given back
    REQUIRE_FALSE(socket.wait(wait_kind::read, reader));
    test::run_ready(ctx);
    CHECK(reader.ready == 1);
}

TEST_CASE("ready socket: takes Asio's socket over, with its options and addresses", "[ready_socket]")
{
    asio::io_context ctx(1);
    asio::ip::tcp::acceptor listening(ctx, {asio::ip::address_v4::loopback(), 0});
    net::tcp_socket client(ctx);
    client.connect(listening.local_endpoint());
    auto const here = client.local_endpoint();
    net::ready_socket socket(std::move(client));
    CHECK(socket.is_open());
    CHECK((::fcntl(socket.native_handle(), F_GETFL) & O_NONBLOCK) != 0);
    CHECK(socket.local_endpoint() == here);
    CHECK(socket.remote_endpoint() == listening.local_endpoint());
    CHECK_FALSE(socket.set_option(asio::ip::tcp::no_delay(true)));
    asio::ip::tcp::no_delay set;
    CHECK_FALSE(socket.get_option(set));
    CHECK(set.value());
    socket.close();
    CHECK(socket.remote_endpoint().port() == 0);
    CHECK(socket.set_option(asio::ip::tcp::no_delay(true)));
}

TEST_CASE("ready wait: completes by the executor, with success or as cancelled", "[ready_socket]")
{
    asio::io_context ctx(1);
    two_ends both;
    auto wait = std::make_unique<net::ready_wait>(ctx.get_executor());
    net::ready_socket socket(ctx.get_executor(), both.ours);
    auto const once = [](net::ready_wait& w, net::ready_socket& s) -> net::awaitable<result<void>> {
        auto [ec] = co_await w.async_wait(s, wait_kind::read, asio::as_tuple(net::use_awaitable));
        co_return ec;
    };
    test::spawned<result<void>> s(ctx, once(*wait, socket));
    CHECK_FALSE(s.run().done());
    SECTION("ready")
    {
        both.say();
        CHECK(s.run().done());
        CHECK(s.value());
    }
    SECTION("cancelled, and begun again")
    {
        s.cancel().run();
        CHECK(s.error() == asio::error::operation_aborted);
        CHECK(ctx.stopped());
        test::spawned<result<void>> again(ctx, once(*wait, socket));
        both.say();
        CHECK(again.run().done());
        CHECK(again.value());
    }
    SECTION("closed")
    {
        socket.close();
        CHECK_FALSE(s.done()); // never from inside
        CHECK(s.run().done());
        CHECK(s.error() == asio::error::operation_aborted);
        test::spawned<result<void>> late(ctx, once(*wait, socket));
        CHECK_FALSE(late.done());
        CHECK(late.run().done());
        CHECK(late.error() == asio::error::bad_descriptor);
    }
    SECTION("destroyed")
    {
        wait.reset();
        CHECK(s.run().done());
        CHECK(s.error() == asio::error::operation_aborted);
    }
}

TEST_CASE("ready wait: a coroutine that waits for a socket of its own goes with the context", "[ready_socket]")
{
    auto const gone = std::make_shared<int>(0);
    {
        asio::io_context ctx(1);
        two_ends both;
        auto const hold = [](int fd, std::shared_ptr<int>) -> net::awaitable<void> {
            net::ready_socket socket(co_await asio::this_coro::executor, fd);
            net::ready_wait wait(socket.get_executor());
            co_await wait.async_wait(socket, wait_kind::read, asio::as_tuple(net::use_awaitable));
        };
        asio::co_spawn(ctx, hold(both.ours, gone), [](std::exception_ptr) {});
        ctx.poll();
        CHECK(gone.use_count() == 2);
    }
    CHECK(gone.use_count() == 1);
}
