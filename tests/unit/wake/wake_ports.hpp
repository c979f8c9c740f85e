#ifndef PODPROXY_TESTS_UNIT_WAKE_WAKE_PORTS_HPP
#define PODPROXY_TESTS_UNIT_WAKE_WAKE_PORTS_HPP

#include <podproxy/core/log.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/listener.hpp>
#include <podproxy/wake/group.hpp>
#include <podproxy/wake/port_group.hpp>
#include <podproxy/wake/settings.hpp>

#include <fakes/fake_wake_provider.hpp>
#include <unit/support/poll_until.hpp>
#include <unit/support/spawned.hpp>

#include <asio/basic_socket_acceptor.hpp>
#include <asio/buffer.hpp>
#include <asio/error.hpp>
#include <asio/ip/tcp.hpp>
#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

// Groups on an engine in memory, and real sockets on the loopback on both sides of a port.
namespace podproxy::test {

/// One end of a TCP connection, read and written by the test.
class end_point {
public:
    end_point(asio::io_context& ctx, net::tcp_socket s) : ctx_(&ctx), socket_(std::move(s)) { socket_.non_blocking(true); }
    end_point(asio::io_context& ctx, asio::ip::tcp::endpoint const& where) : ctx_(&ctx), socket_(ctx)
    {
        socket_.connect(where);
        socket_.non_blocking(true);
    }

    std::uint16_t port() const { return socket_.local_endpoint().port(); }
    void send(std::string_view text)
    {
        std::error_code ec;
        poll_until(*ctx_, [&] {
            text.remove_prefix(socket_.write_some(asio::buffer(text), ec));
            return text.empty() || (ec && ec != asio::error::would_block);
        });
    }
    /// As much as goes through now. @return bytes that did.
    std::size_t send_now(std::string_view text)
    {
        std::error_code ec;
        return socket_.write_some(asio::buffer(text), ec);
    }
    void end() { socket_.shutdown(net::tcp_socket::shutdown_send); }
    void reset()
    {
        socket_.set_option(asio::socket_base::linger(true, 0));
        socket_.close();
    }
    void close() { socket_.close(); }

    /// At least `n` bytes, or all up to the end.
    std::string read(std::size_t n)
    {
        poll_until(*ctx_, [&] { return take(), got_.size() >= n || ended; });
        return std::exchange(got_, {});
    }
    /// Everything up to the end of the connection; `ended` tells how it ended.
    std::string read_to_end()
    {
        poll_until(*ctx_, [&] { return take(), ended.has_value(); });
        return std::exchange(got_, {});
    }
    /// Nothing has come, and it goes on.
    bool quiet() { return take(), got_.empty() && !ended; }

    std::optional<std::error_code> ended; ///< `eof`, or the error

private:
    void take()
    {
        std::array<char, 8192> buf;
        while (!ended) {
            std::error_code ec;
            std::size_t const n = socket_.read_some(asio::buffer(buf), ec);
            if (ec == asio::error::would_block) return;
            if (ec) ended = ec;
            got_.append(buf.data(), n);
        }
    }

    asio::io_context* ctx_;
    net::tcp_socket socket_;
    std::string got_;
};

/// A server whose port is there from the beginning, and closed until it listens.
class late_server {
public:
    explicit late_server(asio::io_context& ctx, asio::ip::tcp::endpoint where = {asio::ip::address_v4::loopback(), 0}) : ctx_(&ctx), acceptor_(ctx.get_executor())
    {
        acceptor_.open(where.protocol());
        acceptor_.set_option(asio::socket_base::reuse_address(true));
        acceptor_.bind(where);
        where_ = acceptor_.local_endpoint();
        acceptor_.non_blocking(true);
    }
    asio::ip::tcp::endpoint where() const { return where_; }
    std::uint16_t port() const { return where_.port(); }
    void listen() { acceptor_.listen(); }
    /// Closes the port; it is bound, and refuses.
    void stop_listening()
    {
        acceptor_.close();
        acceptor_.open(where_.protocol());
        acceptor_.set_option(asio::socket_base::reuse_address(true));
        acceptor_.bind(where_);
        acceptor_.non_blocking(true);
    }
    std::optional<end_point> accept_now()
    {
        std::error_code ec;
        net::tcp_socket s(*ctx_);
        acceptor_.accept(s, ec);
        if (ec) return std::nullopt;
        return std::optional<end_point>(std::in_place, *ctx_, std::move(s));
    }
    end_point accept()
    {
        std::optional<end_point> out;
        poll_until(*ctx_, [&] { return (out = accept_now()).has_value(); });
        return std::move(out.value());
    }

private:
    asio::io_context* ctx_;
    asio::basic_socket_acceptor<asio::ip::tcp, net::executor> acceptor_;
    asio::ip::tcp::endpoint where_;
};

inline net::awaitable<result<void>> followed(wake::provider& engine, wake::member_observer& o)
{
    co_await engine.run(o);
    co_return result<void>{};
}

/// A group with one container, `web`, at rest, and what ports share.
struct wake_scene {
    explicit wake_scene(wake::group_config c = {}) : engine(ctx.get_executor())
    {
        c.name = "shop";
        it = std::make_shared<wake::group>(ctx.get_executor(), engine, c, logger());
        observer.emplace(*it);
        engine.put(fake_member("web", "shop"));
        following.emplace(ctx, followed(engine, *observer));
        commons = std::make_shared<wake::port_commons>(ctx.get_executor(), logger(), net::relay_config(), 10'000);
        shared = std::make_shared<wake::port_group>(ctx.get_executor(), it);
        run();
    }
    ~wake_scene()
    {
        commons->close();
        commons->tasks.cancel();
        commons->relays.cancel();
        it->shut_down();
        following->cancel();
        run();
        CHECK(poll_until(ctx, [&] { return commons->clients == 0 && commons->tasks.size() == 0; }));
    }

    void run()
    {
        ctx.restart();
        ctx.poll();
    }
    template <class Condition>
    bool until(Condition c)
    {
        return poll_until(ctx, std::move(c));
    }
    wake::group_state state() const { return it->status().state; }
    /// The engine starts the container when the test says so.
    void start_by_hand() { engine.by_hand.insert("start web"); }
    void finish_start()
    {
        until([&] { return engine.waits("start web"); });
        engine.finish("start web");
    }
    wake::traffic const& counts() const { return shared->counts; }
    std::uint64_t refused(wake::refusal r) const { return shared->counts.refused[static_cast<std::size_t>(r)]; }

    asio::io_context ctx{1};
    fake_wake_provider engine;
    std::shared_ptr<wake::group> it;
    std::optional<group_observer> observer;
    std::optional<spawned<result<void>>> following;
    std::shared_ptr<wake::port_commons> commons;
    std::shared_ptr<wake::port_group> shared;
};

} // namespace podproxy::test

#endif
