#ifndef PODPROXY_TESTS_FAKES_FAKE_DOCKER_SERVER_HPP
#define PODPROXY_TESTS_FAKES_FAKE_DOCKER_SERVER_HPP

#include <podproxy/net/asio.hpp>
#include <asio/basic_socket_acceptor.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/buffer.hpp>
#include <asio/generic/stream_protocol.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/write.hpp>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <stdlib.h>

namespace podproxy::test {

/// A container of the fake engine, in the engine's own words.
struct fake_container {
    std::string id;
    std::string name;
    std::map<std::string, std::string> labels;
    std::string status = "created";
    std::string health;      ///< Empty: no health check. With one, a start begins with `starting`.
    int exit_code = 0;
    std::string network_mode = "default";
    std::map<std::string, std::string> networks; ///< Address by network, had while it runs.
    std::string gateway = "172.17.0.1";
    std::string log;         ///< What `/logs` answers, as bytes.
    std::string start_error; ///< A start fails with this.
    std::chrono::milliseconds start_takes{0};
    bool starting = false;   ///< Its lock is taken: who inspects it waits.
};

/// What goes wrong with requests whose `METHOD /path?query` contains `match`.
struct docker_fault {
    enum class kind {
        status,    ///< Answer with `code` and `{"message":text}`.
        plain,     ///< Answer with `code` and `text` as it is.
        stall,     ///< Take the request and never answer.
        close,     ///< Close without an answer.
        truncate,  ///< Half of the answer, then close.
        garbage,   ///< Not HTTP.
        huge,      ///< A list or a container of more bytes than anybody should read: `code` MiB.
    };
    std::string match;
    kind what = kind::status;
    int code = 500;
    std::string text = "something went wrong";
    int times = -1; ///< -1: always.
};

/** A container engine behind a UNIX socket and a port of 127.0.0.1: lists, inspects, starts, stops, pauses, updates, gives logs and events, and
    misbehaves as it is told. Runs on the test's own context; shares no code with the client. */
class fake_docker_server {
public:
    explicit fake_docker_server(asio::io_context& ctx) : ctx_(ctx)
    {
        std::string name = (std::filesystem::temp_directory_path() / "podproxy-docker-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("fake_docker_server: no folder");
        folder_ = name;
        up();
    }
    ~fake_docker_server()
    {
        down();
        alive_->self = nullptr;
        std::filesystem::remove_all(folder_);
    }
    fake_docker_server(fake_docker_server const&) = delete;
    fake_docker_server& operator=(fake_docker_server const&) = delete;

    std::string socket() const { return folder_ + "/docker.sock"; }
    std::uint16_t port() const { return port_; }

    // ---- the engine

    /// Begin to listen (again).
    void up()
    {
        std::filesystem::remove(socket());
        auto const here = alive_;
        local_.emplace(ctx_);
        local_->open();
        local_->bind(asio::local::stream_protocol::endpoint(socket()));
        local_->listen();
        asio::co_spawn(ctx_, accept(here, *local_), [here](std::exception_ptr) {});
        tcp_.emplace(ctx_);
        asio::ip::tcp::endpoint const at(asio::ip::address_v4::loopback(), port_);
        tcp_->open(at.protocol());
        tcp_->set_option(asio::socket_base::reuse_address(true));
        tcp_->bind(at);
        tcp_->listen();
        port_ = tcp_->local_endpoint().port();
        asio::co_spawn(ctx_, accept(here, *tcp_), [here](std::exception_ptr) {});
    }
    /// Be gone: all connections end, nobody listens.
    void down()
    {
        local_.reset();
        tcp_.reset();
        std::filesystem::remove(socket());
        close_connections();
    }
    void close_connections()
    {
        for (auto& c : alive_->connections) c->close();
    }
    /// End the streams of events, as an engine that restarts does.
    void end_events()
    {
        for (auto& c : alive_->connections)
            if (c->streaming) c->close();
    }
    std::size_t event_streams() const
    {
        return static_cast<std::size_t>(std::ranges::count_if(alive_->connections, [](auto const& c) { return c->streaming && c->socket.is_open(); }));
    }

    std::string version = "1.41";        ///< Empty: `/_ping` names none.
    bool podman = false;
    std::size_t event_piece = SIZE_MAX;  ///< Events are sent in chunks of so many bytes: cut anywhere.
    std::string between_events = "\n";
    std::list<docker_fault> faults;
    std::vector<std::string> requests;   ///< `GET /v1.41/containers/json?all=1`, all that came.
    std::vector<std::string> bodies;     ///< Of requests that had one.
    std::size_t connections = 0;         ///< All that were accepted.
    std::chrono::milliseconds list_takes{0};

    /// How many requests contained this.
    std::size_t count(std::string_view part) const
    {
        return static_cast<std::size_t>(std::ranges::count_if(requests, [part](auto const& r) { return r.find(part) != std::string::npos; }));
    }

    // ---- containers

    fake_container& add(fake_container c)
    {
        std::string const id = c.id;
        auto& place = containers_[id];
        place = std::move(c);
        emit("create", id);
        return place;
    }
    fake_container& operator[](std::string const& id) { return containers_.at(id); }
    void remove(std::string const& id)
    {
        containers_.erase(id);
        emit("destroy", id);
    }
    /// A new state, and its event.
    void become(std::string const& id, std::string status, std::string const& action, int exit_code = 0)
    {
        auto& c = containers_.at(id);
        c.status = std::move(status);
        c.exit_code = exit_code;
        emit(action, id);
    }
    void emit(std::string const& action, std::string const& id, std::string const& type = "container")
    {
        std::string attributes = type == "network" ? "\"container\":" + quoted(id) : "\"image\":\"x\",\"name\":\"}{\\\"\"";
        std::string const actor = type == "network" ? "net" : id;
        std::string text = "{\"status\":" + quoted(action) + ",\"id\":" + quoted(actor) + ",\"from\":\"x\",\"Type\":" + quoted(type) +
                           ",\"Action\":" + quoted(action) + ",\"Actor\":{\"ID\":" + quoted(actor) + ",\"Attributes\":{" + attributes +
                           "}},\"scope\":\"local\",\"time\":1795281044,\"timeNano\":1795281044233981945}" + between_events;
        send_events(text);
    }
    /// Bytes of the test's own for all streams of events.
    void send_events(std::string const& text)
    {
        for (auto& c : alive_->connections) {
            if (!c->streaming) continue;
            for (std::size_t at = 0; at < text.size(); at += std::min(event_piece, text.size())) {
                std::string const piece = text.substr(at, event_piece);
                c->out += hex(piece.size()) + "\r\n" + piece + "\r\n";
            }
            c->wake.cancel();
        }
    }

private:
    using socket_type = asio::basic_stream_socket<asio::generic::stream_protocol, net::executor>;

    struct connection {
        explicit connection(socket_type s) : socket(std::move(s)), wake(socket.get_executor(), net::clock::time_point::max()) {}
        void close()
        {
            std::error_code ignored;
            socket.close(ignored);
            wake.cancel();
        }
        socket_type socket;
        net::timer wake;
        std::string out; ///< events that are to be sent
        bool streaming = false;
    };
    /// What coroutines may touch when the server is gone.
    struct shared {
        fake_docker_server* self;
        std::list<std::shared_ptr<connection>> connections;
    };
    using handle = std::shared_ptr<shared>;

    static std::string hex(std::size_t n)
    {
        std::string out;
        do out.insert(out.begin(), "0123456789abcdef"[n & 15]);
        while ((n >>= 4) != 0);
        return out;
    }
    static std::string quoted(std::string_view text)
    {
        std::string out = "\"";
        for (char const c : text) {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
        return out + '"';
    }

    template <class Acceptor>
    static net::awaitable<void> accept(handle h, Acceptor& from)
    {
        for (;;) {
            socket_type s(co_await asio::this_coro::executor);
            auto const [ec] = co_await from.async_accept(s, asio::as_tuple(net::use_awaitable));
            if (ec || !h->self) co_return;
            ++h->self->connections;
            auto c = std::make_shared<connection>(std::move(s));
            h->connections.push_back(c);
            asio::co_spawn(c->socket.get_executor(), serve(h, c), [h, c](std::exception_ptr) {
                c->close();
                h->connections.remove(c);
            });
        }
    }

    static net::awaitable<void> wait(std::chrono::milliseconds d)
    {
        if (d.count() == 0) co_return;
        net::timer t(co_await asio::this_coro::executor, d);
        co_await t.async_wait(net::use_awaitable);
    }

    static net::awaitable<void> write(std::shared_ptr<connection> c, std::string text)
    {
        co_await asio::async_write(c->socket, asio::buffer(text), net::use_awaitable);
    }

    static net::awaitable<void> serve(handle h, std::shared_ptr<connection> c)
    {
        std::string in;
        for (;;) {
            std::size_t end = std::string::npos;
            while ((end = in.find("\r\n\r\n")) == std::string::npos) {
                if (!co_await read(c, in)) co_return;
            }
            std::string const head = in.substr(0, end + 2);
            in.erase(0, end + 4);
            std::size_t const length = number_behind(head, "Content-Length: ");
            while (in.size() < length) {
                if (!co_await read(c, in)) co_return;
            }
            std::string const body = in.substr(0, length);
            in.erase(0, length);
            if (!h->self) co_return;
            std::string const request = head.substr(0, head.find(" HTTP/1.1\r\n"));
            h->self->requests.push_back(request);
            if (!body.empty()) h->self->bodies.push_back(body);
            if (!co_await answer(h, c, request)) co_return;
        }
    }

    static net::awaitable<bool> read(std::shared_ptr<connection> c, std::string& in)
    {
        std::string piece(4096, '\0');
        auto const [ec, n] = co_await c->socket.async_read_some(asio::buffer(piece), asio::as_tuple(net::use_awaitable));
        if (ec) co_return false;
        in.append(piece, 0, n);
        co_return true;
    }

    static std::size_t number_behind(std::string const& text, std::string_view name)
    {
        auto const at = text.find(name);
        return at == std::string::npos ? 0 : std::stoul(text.substr(at + name.size()));
    }

    static std::string response(int status, std::string const& body, std::string const& fields = "Content-Type: application/json\r\n")
    {
        if (status == 204 || status == 304) return "HTTP/1.1 " + std::to_string(status) + " X\r\n\r\n";
        return "HTTP/1.1 " + std::to_string(status) + " X\r\n" + fields + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    static std::string failure(int status, std::string const& text) { return response(status, "{\"message\":" + quoted(text) + "}"); }

    std::optional<docker_fault> take_fault(std::string const& request)
    {
        for (auto it = faults.begin(); it != faults.end(); ++it) {
            if (request.find(it->match) == std::string::npos) continue;
            docker_fault f = *it;
            if (it->times > 0 && --it->times == 0) faults.erase(it);
            return f;
        }
        return std::nullopt;
    }

    /// @return whether the connection is kept.
    static net::awaitable<bool> answer(handle h, std::shared_ptr<connection> c, std::string request)
    {
        auto const fault = h->self->take_fault(request);
        if (fault) {
            switch (fault->what) {
            case docker_fault::kind::status: co_await write(c, failure(fault->code, fault->text)); co_return true;
            case docker_fault::kind::plain: co_await write(c, response(fault->code, fault->text)); co_return true;
            case docker_fault::kind::stall: {
                std::string ignored;
                while (co_await read(c, ignored)) continue;
                co_return false;
            }
            case docker_fault::kind::close: co_return false;
            case docker_fault::kind::garbage: co_await write(c, "SSH-2.0-OpenSSH_9.2\r\n\r\n"); co_return false;
            case docker_fault::kind::huge: {
                std::string const text = "{\"Id\":\"a\",\"x\":\"" + std::string(static_cast<std::size_t>(fault->code) << 20, 'x') + "\"}";
                bool const list = request.find("/json?") != std::string::npos;
                std::string whole = response(200, (list ? "[" : "") + text + (list ? "]" : ""));
                co_await write(c, std::move(whole));
                co_return false;
            }
            case docker_fault::kind::truncate: break;
            }
        }
        std::string const method = request.substr(0, request.find(' '));
        std::string path = request.substr(method.size() + 1);
        std::string query;
        if (auto const q = path.find('?'); q != std::string::npos) {
            query = path.substr(q + 1);
            path.resize(q);
        }
        if (path.starts_with("/v1.")) path.erase(0, path.find('/', 1));

        if (path == "/events") co_return co_await stream_events(h, c, fault.has_value());
        std::string text = co_await reply(h, method, path, query);
        if (fault) text.resize(text.size() / 2 + text.find("\r\n\r\n") / 2);
        co_await write(c, std::move(text));
        co_return !fault;
    }

    static net::awaitable<std::string> reply(handle h, std::string method, std::string path, std::string query)
    {
        if (path == "/_ping") {
            std::string fields;
            if (!h->self->version.empty()) fields += "Api-Version: " + h->self->version + "\r\n";
            if (h->self->podman) fields += "Libpod-Api-Version: 4.3.1\r\n";
            co_return response(200, "OK", fields);
        }
        if (path == "/containers/json") {
            co_await wait(h->self->list_takes);
            std::string out;
            for (auto const& [id, c] : h->self->containers_) out += (out.empty() ? "" : ",") + summary(c);
            co_return response(200, "[" + out + "]");
        }
        if (!path.starts_with("/containers/")) co_return response(404, "Not Found", "Content-Type: text/plain\r\n");
        path.erase(0, 12);
        std::string const id = path.substr(0, path.find('/'));
        std::string const verb = path.substr(std::min(path.size(), id.size() + 1));
        auto const there = [&] { return h->self && h->self->containers_.contains(id); };
        if (!there()) co_return failure(404, "No such container: " + id);
        if (method == "GET" && verb == "json") {
            while (there() && h->self->containers_[id].starting) co_await wait(std::chrono::milliseconds(1));
            if (!there()) co_return failure(404, "No such container: " + id);
            co_return response(200, h->self->inspection(id));
        }
        if (method == "GET" && verb == "logs") co_return response(200, h->self->containers_[id].log, "Content-Type: application/octet-stream\r\n");
        if (method != "POST") co_return response(404, "Not Found");
        if (verb == "start") {
            if (h->self->containers_[id].status == "running") co_return response(304, "");
            if (!h->self->containers_[id].start_error.empty()) co_return failure(400, h->self->containers_[id].start_error);
            h->self->containers_[id].starting = true;
            co_await wait(h->self->containers_[id].start_takes);
            if (!there()) co_return failure(404, "No such container: " + id);
            auto& c = h->self->containers_[id];
            c.starting = false;
            if (!c.health.empty()) c.health = "starting";
            h->self->become(id, "running", "start");
            co_return response(204, "");
        }
        auto& c = h->self->containers_[id];
        if (verb == "stop") {
            if (c.status != "running" && c.status != "paused") co_return response(304, "");
            h->self->become(id, "exited", "die", query == "t=0" ? 137 : 143);
            h->self->emit("stop", id);
            co_return response(204, "");
        }
        if (verb == "pause" || verb == "unpause") {
            bool const pause = verb == "pause";
            if (c.status != (pause ? "running" : "paused"))
                co_return failure(h->self->podman ? 500 : 409, "Container " + id + (c.status == "paused" ? " is already paused" : " is not paused"));
            h->self->become(id, pause ? "paused" : "running", verb);
            co_return response(204, "");
        }
        if (verb == "update") {
            if (h->self->podman) co_return response(404, "Not Found", "Content-Type: text/plain\r\n");
            co_return response(200, "{\"Warnings\":null}");
        }
        co_return response(404, "{\"message\":\"page not found\"}");
    }

    static net::awaitable<bool> stream_events(handle h, std::shared_ptr<connection> c, bool truncate)
    {
        co_await write(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
        if (truncate) {
            co_await write(c, "8\r\n{\"status\r\n");
            co_return false;
        }
        c->streaming = true;
        asio::co_spawn(c->socket.get_executor(), watch_end(h, c), [h, c](std::exception_ptr) {});
        while (c->socket.is_open()) {
            if (c->out.empty()) {
                co_await c->wake.async_wait(asio::as_tuple(net::use_awaitable));
                continue;
            }
            std::string const text = std::exchange(c->out, {});
            co_await write(c, text);
        }
        co_return false;
    }
    /// A client that goes away says nothing while it only listens.
    static net::awaitable<void> watch_end(handle h, std::shared_ptr<connection> c)
    {
        (void)h;
        std::string ignored;
        while (co_await read(c, ignored)) continue;
        c->close();
    }

    static bool is_up(fake_container const& c) { return c.status == "running" || c.status == "paused"; }

    static std::string networks_of(fake_container const& c)
    {
        std::string out;
        for (auto const& [name, address] : c.networks)
            out += (out.empty() ? "" : ",") + quoted(name) + ":{\"IPAddress\":" + quoted(is_up(c) ? address : "") + ",\"Gateway\":" + quoted(is_up(c) ? c.gateway : "") + "}";
        return "{" + out + "}";
    }
    static std::string labels_of(fake_container const& c)
    {
        std::string out;
        for (auto const& [k, v] : c.labels) out += (out.empty() ? "" : ",") + quoted(k) + ":" + quoted(v);
        return "{" + out + "}";
    }
    static std::string summary(fake_container const& c)
    {
        std::string words = c.status == "running" ? "Up 5 minutes" : c.status == "exited" ? "Exited (" + std::to_string(c.exit_code) + ") 3 days ago" : "Created";
        if (c.status == "running" && !c.health.empty()) words += c.health == "starting" ? " (health: starting)" : " (" + c.health + ")";
        return "{\"Id\":" + quoted(c.id) + ",\"Names\":[" + quoted("/" + c.name) + "],\"Labels\":" + labels_of(c) + ",\"State\":" + quoted(c.status) +
               ",\"Status\":" + quoted(words) + ",\"HostConfig\":{\"NetworkMode\":" + quoted(c.network_mode) + "},\"NetworkSettings\":{\"Networks\":" +
               networks_of(c) + "}}";
    }
    std::string inspection(std::string const& id) const
    {
        auto const& c = containers_.at(id);
        std::string const health = c.health.empty() ? "" : ",\"Health\":{\"Status\":" + quoted(c.health) + ",\"FailingStreak\":0,\"Log\":[]}";
        return "{\"Id\":" + quoted(c.id) + ",\"Name\":" + quoted("/" + c.name) + ",\"State\":{\"Status\":" + quoted(c.status) +
               ",\"ExitCode\":" + std::to_string(c.exit_code) + ",\"Error\":\"\"" + health + "},\"HostConfig\":{\"NetworkMode\":" + quoted(c.network_mode) +
               "},\"Config\":{\"Labels\":" + labels_of(c) + "},\"NetworkSettings\":{\"Networks\":" + networks_of(c) + "}}";
    }

    asio::io_context& ctx_;
    std::string folder_;
    std::uint16_t port_ = 0;
    std::optional<asio::basic_socket_acceptor<asio::local::stream_protocol, net::executor>> local_;
    std::optional<asio::basic_socket_acceptor<asio::ip::tcp, net::executor>> tcp_;
    std::map<std::string, fake_container> containers_;
    handle alive_ = std::make_shared<shared>(shared{this, {}});
};

} // namespace podproxy::test

#endif
