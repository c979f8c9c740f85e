#include <podproxy/net/stream.hpp>
#include <podproxy/net/tcp_stream.hpp>
#include <asio/as_tuple.hpp>
#include <chrono>
#include <utility>

namespace podproxy::web {

inline status_server::status_server(net::executor ex, status_source& source, metrics::registry& measured, logger log, status_config config)
    : executor_(ex), pages_(source, measured, std::move(config)), log_(log), tasks_(ex), left_(ex, net::clock::time_point::max())
{
}

inline net::awaitable<std::error_code> status_server::serve(net::listener& from)
{
    for (;;) {
        while (clients_ >= most_clients) co_await left_.async_wait(asio::as_tuple(net::use_awaitable)); // ended by a client that leaves
        auto accepted = co_await from.accept();
        if (!accepted) co_return accepted.error();
        tasks_.spawn(client(std::move(*accepted)));
    }
}

inline net::awaitable<void> status_server::client(net::ready_socket socket)
{
    struct presence {
        explicit presence(status_server& s) noexcept : server(s) { ++server.clients_; }
        presence(presence const&) = delete;
        presence& operator=(presence const&) = delete;
        ~presence()
        {
            --server.clients_;
            server.left_.cancel();
        }
        status_server& server;
    };
    presence const here(*this);
    net::tcp_stream stream(std::move(socket));
    flat_buffer in(64 * 1024);
    http::server_config config;
    config.header_timeout = std::chrono::seconds(5);
    config.idle_timeout = std::chrono::seconds(20);
    config.transfer_idle = std::chrono::seconds(10);
    http::request_handler const handler = [this](http::server_connection& c, http::request_head request) -> net::awaitable<result<void>> {
        auto made = pages_.answer(request, log_);
        return c.respond(std::move(made.head), std::move(made.body));
    };
    co_await http::serve(stream, in, config, handler);
}

inline net::awaitable<void> status_server::close()
{
    tasks_.cancel();
    co_await tasks_.join();
}

} // namespace podproxy::web
