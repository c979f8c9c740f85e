#ifndef PODPROXY_TESTS_FAKES_FAKE_KUBE_POD_HPP
#define PODPROXY_TESTS_FAKES_FAKE_KUBE_POD_HPP

#include <fakes/fake_kube_io.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace podproxy::test::fake_kube {

/** A TCP connection inside a pod, between the container runtime (which carries bytes from and to the port-forward streams) and the
    program that listens there. Holds a bounded number of bytes in each direction, as socket buffers do. */
class pod_connection {
public:
    pod_connection(net::executor ex, std::string pod, std::uint16_t port, std::size_t socket_buffer)
        : pod_(std::move(pod)), port_(port), most_(socket_buffer), changed_(ex)
    {
    }

    // ---- the program's side ----

    std::string const& pod() const { return pod_; }
    std::uint16_t port() const { return port_; }

    /// What has come, at least a byte; empty when the runtime has closed. (It never passes a half-close on.)
    net::awaitable<std::string> read()
    {
        while (to_program_.empty() && !closed_) co_await changed_.wait();
        changed_.notify();
        co_return std::exchange(to_program_, {});
    }

    /// @return false when the connection is gone.
    net::awaitable<bool> write(std::string bytes)
    {
        std::size_t at = 0;
        while (at < bytes.size()) {
            while (from_program_.size() >= most_ && !closed_) co_await changed_.wait();
            if (closed_) co_return false;
            std::size_t const n = std::min(bytes.size() - at, most_ - from_program_.size());
            from_program_.append(bytes, at, n);
            at += n;
            changed_.notify();
        }
        co_return true;
    }

    /// Wait until the runtime has closed, without reading.
    net::awaitable<void> wait_closed()
    {
        while (!closed_) co_await changed_.wait();
    }

    /// End with a TCP RST.
    void reset()
    {
        reset_ = true;
        from_program_.clear();
        changed_.notify();
    }

    // ---- the runtime's side ----

    net::awaitable<bool> put(std::string bytes)
    {
        while (to_program_.size() + bytes.size() > most_ && !to_program_.empty() && !closed_ && !over()) co_await changed_.wait();
        if (closed_ || over()) co_return false;
        to_program_ += bytes;
        changed_.notify();
        co_return true;
    }
    /// At most `most` bytes; empty when the program has ended.
    net::awaitable<std::string> get(std::size_t most)
    {
        while (from_program_.empty() && !over() && !closed_) co_await changed_.wait();
        std::string out = from_program_.substr(0, most);
        from_program_.erase(0, out.size());
        changed_.notify();
        co_return out;
    }
    void program_ended()
    {
        ended_ = true;
        changed_.notify();
    }
    void close()
    {
        closed_ = true;
        changed_.notify();
    }
    bool over() const { return ended_ || reset_; }
    bool was_reset() const { return reset_; }

private:
    std::string pod_;
    std::uint16_t port_;
    std::size_t most_;
    event changed_;
    std::string to_program_;
    std::string from_program_;
    bool closed_ = false;
    bool ended_ = false;
    bool reset_ = false;
};

/// What listens on a port of a pod. The connection is closed when it returns.
using pod_program = std::function<net::awaitable<void>(std::shared_ptr<pod_connection>)>;

namespace programs {

inline net::awaitable<void> run_echo(std::shared_ptr<pod_connection> c)
{
    for (;;) {
        std::string bytes = co_await c->read();
        if (bytes.empty()) co_return;
        if (!co_await c->write(std::move(bytes))) co_return;
    }
}
inline net::awaitable<void> run_discard(std::shared_ptr<pod_connection> c)
{
    for (;;) {
        auto const bytes = co_await c->read();
        if (bytes.empty()) co_return;
    }
}
inline net::awaitable<void> run_stall(std::shared_ptr<pod_connection> c) { co_await c->wait_closed(); }
inline net::awaitable<void> run_banner(std::shared_ptr<pod_connection> c, std::string text) { co_await c->write(std::move(text)); }
inline net::awaitable<void> run_greeter(std::shared_ptr<pod_connection> c, std::string text)
{
    co_await c->write(std::move(text));
    co_await run_echo(std::move(c));
}
inline net::awaitable<void> run_reset(std::shared_ptr<pod_connection> c, std::string text, std::size_t after)
{
    co_await c->write(std::move(text));
    for (std::size_t got = 0; got < after;) {
        auto const bytes = co_await c->read();
        if (bytes.empty()) co_return;
        got += bytes.size();
    }
    c->reset();
}
inline net::awaitable<void> run_source(std::shared_ptr<pod_connection> c, std::uint64_t bytes)
{
    std::uint64_t sent = 0;
    while (sent < bytes) {
        std::string chunk(static_cast<std::size_t>(std::min<std::uint64_t>(bytes - sent, 32768)), '\0');
        for (char& b : chunk) b = static_cast<char>('a' + sent++ % 23);
        if (!co_await c->write(std::move(chunk))) co_return;
    }
}

struct http_reply {
    int status = 200;
    std::string type = "text/plain; charset=utf-8";
    std::string body;
};
using http_site = std::function<http_reply(std::string const& pod, http_request const&)>;

inline net::awaitable<void> run_http(std::shared_ptr<pod_connection> c, http_site site)
{
    std::string buffer;
    for (;;) {
        http_request request;
        while (!take_request(buffer, request)) {
            auto const bytes = co_await c->read();
            if (bytes.empty()) co_return;
            buffer += bytes;
        }
        http_reply const reply = site(c->pod(), request);
        bool const last = lower(request.header("connection")) == "close";
        std::string head = "HTTP/1.1 " + std::to_string(reply.status) + " " + std::string(reason_of(reply.status)) + "\r\nServer: demo\r\n";
        head += "Content-Type: " + reply.type + "\r\nContent-Length: " + std::to_string(reply.body.size()) + "\r\n";
        if (last) head += "Connection: close\r\n";
        head += "\r\n";
        if (request.method != "HEAD") head += reply.body;
        if (!co_await c->write(std::move(head))) co_return;
        if (last) co_return;
    }
}

inline net::awaitable<void> copy_down(std::shared_ptr<pod_connection> c, std::shared_ptr<net::tcp_socket> s)
{
    std::string buffer(32768, '\0');
    for (;;) {
        auto const [ec, n] = co_await s->async_read_some(asio::buffer(buffer), asio::as_tuple(net::use_awaitable));
        if (ec && ec != asio::error::eof && ec != asio::error::operation_aborted) c->reset();
        if (ec) break;
        if (!co_await c->write(buffer.substr(0, n))) break;
    }
    c->program_ended();
}
inline net::awaitable<void> run_forward(std::shared_ptr<pod_connection> c, std::uint16_t local_port)
{
    auto const ex = (co_await asio::this_coro::executor);
    auto const s = std::make_shared<net::tcp_socket>(ex);
    asio::ip::tcp::endpoint const to(asio::ip::address_v4::loopback(), local_port);
    auto const [ec] = co_await s->async_connect(to, asio::as_tuple(net::use_awaitable));
    if (ec) {
        c->reset();
        co_return;
    }
    asio::co_spawn(ex, copy_down(c, s), [](std::exception_ptr) {});
    for (;;) {
        auto const bytes = co_await c->read();
        if (bytes.empty()) break;
        auto const [failed, n] = co_await asio::async_write(*s, asio::buffer(bytes), asio::as_tuple(net::use_awaitable));
        if (failed) break;
    }
    std::error_code ignored;
    s->close(ignored);
}

/// Sends back what it gets.
inline pod_program echo() { return run_echo; }
/// Reads and says nothing.
inline pod_program discard() { return run_discard; }
/// Takes the connection and never reads.
inline pod_program stall() { return run_stall; }
/// Sends `text` and closes.
inline pod_program banner(std::string text)
{
    return [text](std::shared_ptr<pod_connection> c) { return run_banner(std::move(c), text); };
}
/// Sends `text`, then echoes.
inline pod_program greeter(std::string text)
{
    return [text](std::shared_ptr<pod_connection> c) { return run_greeter(std::move(c), text); };
}
/// Sends `text`, reads `after` bytes and resets the connection.
inline pod_program reset(std::string text, std::size_t after)
{
    return [text, after](std::shared_ptr<pod_connection> c) { return run_reset(std::move(c), text, after); };
}
/// Sends `bytes` bytes, abc... to w in turn, and closes.
inline pod_program source(std::uint64_t bytes)
{
    return [bytes](std::shared_ptr<pod_connection> c) { return run_source(std::move(c), bytes); };
}
/// A web server.
inline pod_program http(http_site site)
{
    return [site](std::shared_ptr<pod_connection> c) { return run_http(std::move(c), site); };
}
/// A server on this machine.
inline pod_program forward(std::uint16_t local_port)
{
    return [local_port](std::shared_ptr<pod_connection> c) { return run_forward(std::move(c), local_port); };
}

} // namespace programs

struct pod_spec {
    std::string name_space = "default";
    std::string name;
    std::string hostname; ///< Set for the pods of a StatefulSet.
    std::map<std::uint16_t, pod_program> ports;
    bool ready = true;
    bool serving = true;
    bool terminating = false;
    bool gone = false; ///< The sandbox is closed: sessions stay open and every new stream says so.
};

} // namespace podproxy::test::fake_kube

#endif
