#ifndef PODPROXY_DOCKER_DETAIL_DIALER_HPP
#define PODPROXY_DOCKER_DETAIL_DIALER_HPP

#include <podproxy/net/connect.hpp>
#include <podproxy/net/dialer.hpp>
#include <podproxy/net/tcp_stream.hpp>
#include <podproxy/net/unix_stream.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>

namespace podproxy::docker::detail {

/// The first of several UNIX sockets that is there; from the first connection on always the same one, also while its engine restarts.
class socket_dialer final : public net::dialer {
public:
    explicit socket_dialer(std::vector<std::string> paths) : paths_(std::move(paths)) {}

    net::awaitable<result<net::any_stream>> dial(host_port, diagnostics& why) override
    {
        std::string const path = choose();
        auto socket = co_await net::connect_unix(path, why);
        if (!socket) co_return socket.error();
        chosen_ = path;
        co_return result<net::any_stream>(std::make_unique<net::unix_stream>(std::move(*socket)));
    }

private:
    std::string const& choose() const
    {
        if (chosen_) return *chosen_;
        for (auto const& path : paths_) {
            struct stat info {};
            if (::stat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) return path;
        }
        return paths_.front();
    }

    std::vector<std::string> paths_;
    std::optional<std::string> chosen_;
};

/// By TCP. A quiet connection (events) is probed, so that an engine that went away without a word is noticed.
class tcp_dialer final : public net::dialer {
public:
    net::awaitable<result<net::any_stream>> dial(host_port destination, diagnostics& why) override
    {
        net::connect_config const usual;
        auto socket = co_await net::connect(std::move(destination), usual, why);
        if (!socket) co_return socket.error();
        (void)socket->set_option(asio::socket_base::keep_alive(true));
        co_return result<net::any_stream>(std::make_unique<net::tcp_stream>(std::move(*socket)));
    }
};

} // namespace podproxy::docker::detail

#endif
