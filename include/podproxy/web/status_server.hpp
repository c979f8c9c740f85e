#ifndef PODPROXY_WEB_STATUS_SERVER_HPP
#define PODPROXY_WEB_STATUS_SERVER_HPP

#include <podproxy/core/log.hpp>
#include <podproxy/http/server.hpp>
#include <podproxy/metrics/registry.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/listener.hpp>
#include <podproxy/net/task_group.hpp>
#include <podproxy/web/status_pages.hpp>
#include <podproxy/web/status_source.hpp>
#include <cstddef>
#include <system_error>

namespace podproxy::web {

/** The status port of a program: `/`, `/api/status`, `/metrics`, `/healthz`, and buttons. What is answered is decided by `status_pages`.

        web::status_server status(ex, source, registry, log, config);
        tasks.spawn(status.serve(listener));

    @par Lifetime The source, the registry and the log's sink outlive it. `close` comes before the end. */
class status_server {
public:
    /// Clients at the same time; the next ones wait in the kernel's queue.
    static constexpr std::size_t most_clients = 64;

    status_server(net::executor ex, status_source& source, metrics::registry& measured, logger log, status_config config);

    /** Serve the clients of one listener until it is closed.
        @par Lifetime The listener is borrowed; several may be served at the same time.
        @return why the listener ended: `operation_aborted` after `close`. */
    net::awaitable<std::error_code> serve(net::listener& from);

    /// End all connections. The listeners have been closed before.
    net::awaitable<void> close();

    std::size_t clients() const noexcept { return tasks_.size(); }

private:
    net::awaitable<void> client(net::ready_socket socket);

    net::executor executor_;
    status_pages pages_;
    logger log_;
    net::task_group tasks_;
    net::timer left_; ///< cancelled whenever a client has left
    std::size_t clients_ = 0;
};

} // namespace podproxy::web

#include <podproxy/web/impl/status_server.ipp>

#endif
