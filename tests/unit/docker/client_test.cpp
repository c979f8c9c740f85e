#include <podproxy/docker/client.hpp>

#include <fakes/authority.hpp>
#include <fakes/fake_docker_server.hpp>
#include <unit/support/poll_until.hpp>
#include <unit/support/scripted_dialer.hpp>
#include <unit/support/spawned.hpp>

#include <podproxy/net/listener.hpp>
#include <podproxy/tls/stream.hpp>

#include <asio/error.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

using namespace podproxy;
using namespace std::chrono_literals;
using test::docker_fault;
using test::poll_until;
using test::spawned;

namespace {

/// A client whose engine is the test.
struct scripted {
    explicit scripted(docker::client_config config = {})
    {
        auto dialer = std::make_unique<test::scripted_dialer>(ctx);
        out = dialer.get();
        docker::endpoint where;
        where.sockets = {"/x.sock"};
        client = std::move(*docker::client::create(ctx.get_executor(), where, why, config, std::move(dialer)));
    }
    ~scripted()
    {
        client.reset();
        run();
    }
    void run()
    {
        ctx.restart();
        ctx.poll();
    }
    /// The requests that have come on the last connection.
    std::string take()
    {
        run();
        return out->peers.empty() ? std::string() : out->last().take();
    }
    std::string first_line()
    {
        std::string const text = take();
        return text.substr(0, text.find(" HTTP/1.1"));
    }
    void answer(unsigned status, std::string_view body)
    {
        out->last().send(status, body);
        run();
    }

    asio::io_context ctx{1};
    test::scripted_dialer* out = nullptr;
    diagnostics why;
    std::unique_ptr<docker::client> client;
};

/// A client of the fake engine.
struct real {
    explicit real(bool tcp = false, std::chrono::milliseconds limit = 10s) : engine(ctx)
    {
        docker::endpoint where;
        if (tcp) where.server = host_port("127.0.0.1", engine.port());
        else where.sockets = {engine.socket()};
        client = std::move(*docker::client::create(ctx.get_executor(), where, why, settings(limit)));
        test::fake_container c;
        c.id = c.name = "web";
        c.log = std::string("\x02\0\0\0\0\0\0\x06hello\n", 14);
        engine.add(c);
    }
    ~real()
    {
        client.reset();
        ctx.restart();
        ctx.poll();
    }
    static docker::client_config settings(std::chrono::milliseconds limit)
    {
        docker::client_config c;
        c.answer_limit = limit;
        c.connect_limit = limit;
        c.command_limit = limit;
        c.stop_limit = limit;
        return c;
    }
    template <class T>
    T finish(net::awaitable<T> work)
    {
        spawned<T> s(ctx, std::move(work));
        REQUIRE(poll_until(ctx, [&] { return s.done(); }));
        return std::move(s.value());
    }

    asio::io_context ctx{1};
    test::fake_docker_server engine;
    diagnostics why;
    std::unique_ptr<docker::client> client;
};

std::string folder_of_certificates(std::string const& ca, std::string const& cert, std::string const& key)
{
    std::string name = (std::filesystem::temp_directory_path() / "podproxy-certs-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()));
    if (!ca.empty()) std::ofstream(name + "/ca.pem") << ca;
    if (!cert.empty()) std::ofstream(name + "/cert.pem") << cert;
    if (!key.empty()) std::ofstream(name + "/key.pem") << key;
    return name;
}

} // namespace

TEST_CASE("docker client: each call is one request on a kept connection", "[docker][client]")
{
    auto const tcp = GENERATE(false, true);
    real r(tcp);
    auto& c = *r.client;
    CHECK(c.engine() == "docker");
    REQUIRE(r.finish(c.connect(r.why)));
    CHECK(c.api_version() == "1.41");
    CHECK(r.finish(c.list(r.why))->size() == 1);
    CHECK(r.finish(c.start("web", r.why)));
    CHECK(r.finish(c.start("web", r.why))); // 304
    CHECK(r.finish(c.inspect("web", r.why))->status == docker::container_status::running);
    CHECK(r.finish(c.pause("web", r.why)));
    CHECK(r.finish(c.unpause("web", r.why)));
    CHECK(r.finish(c.last_line("web")) == "hello");
    CHECK(r.finish(c.update("web", {}, r.why))); // nothing to say
    docker::limits l;
    l.nano_cpus = 500'000'000;
    CHECK(r.finish(c.update("web", l, r.why)));
    CHECK(r.finish(c.stop("web", 0s, r.why)));
    CHECK(r.finish(c.stop("web", std::nullopt, r.why))); // 304
    CHECK(r.engine.requests == std::vector<std::string>{"GET /_ping", "GET /v1.41/containers/json?all=1", "POST /v1.41/containers/web/start",
                                                        "POST /v1.41/containers/web/start", "GET /v1.41/containers/web/json",
                                                        "POST /v1.41/containers/web/pause", "POST /v1.41/containers/web/unpause",
                                                        "GET /v1.41/containers/web/logs?stdout=1&stderr=1&tail=1", "POST /v1.41/containers/web/update",
                                                        "POST /v1.41/containers/web/stop?t=0", "POST /v1.41/containers/web/stop"});
    CHECK(r.engine.bodies == std::vector<std::string>{R"({"NanoCpus":500000000})"});
    CHECK(r.engine.connections == 1);
}

TEST_CASE("docker client: Podman's ways", "[docker][client]")
{
    real r;
    r.engine.podman = true;
    REQUIRE(r.finish(r.client->connect(r.why)));
    CHECK(r.client->engine() == "podman");
    CHECK(r.finish(r.client->unpause("web", r.why)).error() == docker::errc::engine_error); // 500 and not running
    REQUIRE(r.finish(r.client->start("web", r.why)));
    CHECK(r.finish(r.client->unpause("web", r.why))); // 500, but it runs
    docker::limits l;
    l.memory_bytes = 1;
    CHECK(r.finish(r.client->update("web", l, r.why)).error() == podproxy::errc::unavailable);
    CHECK(r.why.message == "this container engine can't change limits");
    CHECK(r.finish(r.client->update("gone", l, r.why)).error() == docker::errc::not_found);
}

TEST_CASE("docker client: what engines refuse", "[docker][client]")
{
    real r;
    struct row {
        int code;
        std::error_code expected;
    };
    for (row const& x : {row{400, docker::errc::engine_error}, row{401, docker::errc::forbidden}, row{403, docker::errc::forbidden},
                         row{404, docker::errc::not_found}, row{409, docker::errc::conflict}, row{500, docker::errc::engine_error},
                         row{301, docker::errc::engine_error}, row{503, docker::errc::engine_error}}) {
        INFO(x.code);
        r.engine.faults = {{.match = "/start", .code = x.code, .text = "because \\ \""}};
        CHECK(r.finish(r.client->start("web", r.why)).error() == x.expected);
        CHECK(r.why.server_text == "because \\ \"");
        CHECK_FALSE(r.why.message.empty());
    }
    CHECK(r.engine.connections == 1); // refusals are no reason to hang up
    r.engine.faults = {{.match = "/start", .what = docker_fault::kind::plain, .code = 403, .text = "<html>403 Forbidden</html>"}};
    CHECK(r.finish(r.client->start("web", r.why)).error() == docker::errc::forbidden);
    CHECK(r.why.server_text == "<html>403 Forbidden</html>");
    CHECK(r.finish(r.client->start("", r.why)).error() == docker::errc::not_found);
    CHECK(r.finish(r.client->inspect("../x?y", r.why)).error() == docker::errc::not_found);
    CHECK(r.engine.requests.back() == "GET /containers/..%2Fx%3Fy/json");
}

TEST_CASE("docker client: answers that can't be read", "[docker][client]")
{
    real r;
    SECTION("no JSON")
    {
        r.engine.faults = {{.match = "/json", .what = docker_fault::kind::plain, .code = 200, .text = "<html>"}};
        CHECK(r.finish(r.client->list(r.why)).error() == docker::errc::bad_answer);
        CHECK(r.why.message == "the container engine's list of containers can't be understood");
        CHECK(r.finish(r.client->inspect("web", r.why)).error() == docker::errc::bad_answer);
        CHECK(r.why.message == "what the container engine says of web can't be understood");
    }
    SECTION("cut")
    {
        r.engine.faults = {{.match = "/json", .what = docker_fault::kind::truncate}};
        CHECK(r.finish(r.client->inspect("web", r.why)).error() == podproxy::errc::truncated);
        CHECK(r.why.message.find("can't be read") != std::string::npos);
    }
    SECTION("too large")
    {
        r.engine.faults = {{.match = "/json", .what = docker_fault::kind::huge, .code = 9}};
        CHECK(r.finish(r.client->inspect("web", r.why)).error() == cond::too_large);
        r.engine.faults.front().code = 1;
        CHECK(r.finish(r.client->inspect("a", r.why)));
    }
    SECTION("no HTTP")
    {
        r.engine.faults = {{.match = "", .what = docker_fault::kind::garbage}};
        CHECK(r.finish(r.client->start("web", r.why)).error() == cond::malformed);
        CHECK(r.why.message.starts_with("no answer from the container engine at unix:///"));
    }
    CHECK(r.finish(r.client->last_line("none")).empty());
}

TEST_CASE("docker client: an engine that does not answer", "[docker][client]")
{
    real r(false, 20ms);
    r.engine.faults = {{.match = "", .what = docker_fault::kind::stall}};
    CHECK(r.finish(r.client->start("web", r.why)).error() == podproxy::errc::timed_out);
    CHECK(r.why.message.ends_with(" within 20ms"));
    CHECK(r.finish(r.client->connect(r.why)).error() == podproxy::errc::timed_out);
    CHECK(r.why.message.ends_with(" within 20ms"));
    CHECK(r.finish(r.client->events(r.why)).error() == podproxy::errc::timed_out);
    CHECK(r.finish(r.client->last_line("web")).empty());
}

TEST_CASE("docker client: a stop may take as long as its time-out", "[docker][client]")
{
    docker::client_config config;
    config.stop_limit = 1ms;
    config.command_limit = 2ms;
    scripted s(config);
    spawned<result<void>> own(s.ctx, s.client->stop("a", std::nullopt, s.why));
    REQUIRE(poll_until(s.ctx, [&] { return own.done(); }));
    CHECK(own.error() == podproxy::errc::timed_out);
    spawned<result<void>> long_one(s.ctx, s.client->stop("a", 3600s, s.why));
    CHECK_FALSE(poll_until(s.ctx, [&] { return long_one.done(); }, 20ms));
    s.answer(204, "");
    CHECK(long_one.value());
}

TEST_CASE("docker client: requests at the same time have connections of their own", "[docker][client]")
{
    scripted s;
    std::vector<std::unique_ptr<spawned<result<void>>>> calls;
    std::vector<std::unique_ptr<diagnostics>> whys;
    for (int i = 0; i < 6; ++i) {
        whys.push_back(std::make_unique<diagnostics>());
        calls.push_back(std::make_unique<spawned<result<void>>>(s.ctx, s.client->start("c" + std::to_string(i), *whys.back())));
    }
    s.run();
    REQUIRE(s.out->peers.size() == 6);
    for (std::size_t i = 6; i-- > 0;) { // in whatever order they are answered
        CHECK(s.out->peers[i]->take().starts_with("POST /containers/c" + std::to_string(i) + "/start HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"));
        s.out->peers[i]->send("HTTP/1.1 204 No Content\r\n\r\n");
        s.run();
        CHECK(calls[i]->value());
    }
    CHECK(s.out->peers[0]->closed()); // four are kept
    CHECK(s.out->peers[1]->closed());
    CHECK_FALSE(s.out->peers[2]->closed());
}

TEST_CASE("docker client: a kept connection that was closed is replaced", "[docker][client]")
{
    scripted s;
    spawned<result<void>> one(s.ctx, s.client->start("a", s.why));
    s.take();
    s.answer(204, "");
    REQUIRE(one.value());
    SECTION("before the request")
    {
        s.out->last().end();
        spawned<result<void>> two(s.ctx, s.client->start("a", s.why));
        CHECK(s.first_line() == "POST /containers/a/start");
        CHECK(s.out->peers.size() == 2);
        s.answer(204, "");
        CHECK(two.value());
    }
    SECTION("by the request")
    {
        spawned<result<void>> two(s.ctx, s.client->start("a", s.why));
        CHECK(s.first_line() == "POST /containers/a/start");
        s.out->last().end();
        CHECK(s.first_line() == "POST /containers/a/start");
        CHECK(s.out->peers.size() == 2);
        s.answer(204, "");
        CHECK(two.value());
    }
    SECTION("in the answer: then it is an error")
    {
        spawned<result<void>> two(s.ctx, s.client->start("a", s.why));
        s.take();
        s.out->last().send("HTTP/1.1 2");
        s.out->last().end();
        s.run();
        CHECK(two.error() == podproxy::errc::truncated);
        CHECK(s.out->peers.size() == 1);
    }
}

TEST_CASE("docker client: a fresh connection that is closed without an answer is an error", "[docker][client]")
{
    scripted s;
    spawned<result<void>> one(s.ctx, s.client->start("a", s.why));
    s.take();
    s.out->last().end();
    s.run();
    CHECK(one.error() == podproxy::errc::end_of_stream);
    CHECK(s.out->peers.size() == 1);
}

TEST_CASE("docker client: events at every split, and what may stand between them", "[docker][client]")
{
    std::string const text = R"({"Type":"container","Action":"start","Actor":{"ID":"a}"}})"
                             "\n"
                             R"({"status":"die","id":"b{\""}{"x":[{}]})"
                             "\r\n\x1e"
                             R"({"Type":"image","Action":"pull","Actor":{"ID":"c"}})";
    for (std::size_t cut = 0; cut <= text.size() + 1; ++cut) {
        scripted s;
        spawned<result<std::unique_ptr<docker::event_stream>>> begun(s.ctx, s.client->events(s.why));
        CHECK(s.first_line() == "GET /events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%7D");
        s.out->last().send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        s.run();
        REQUIRE(begun.value());
        auto& events = **begun.value();
        auto const chunk = [&](std::string_view piece) {
            if (piece.empty()) return;
            static constexpr std::string_view hex = "0123456789abcdef";
            s.out->last().send(std::string{hex[piece.size() >> 8 & 15], hex[piece.size() >> 4 & 15], hex[piece.size() & 15]} + "\r\n" + std::string(piece) + "\r\n");
            s.run();
        };
        if (cut <= text.size()) {
            chunk(std::string_view(text).substr(0, cut));
            chunk(std::string_view(text).substr(cut));
        } else {
            for (char const& c : text) chunk({&c, 1});
        }
        std::string seen;
        for (int i = 0; i < 3; ++i) {
            spawned<result<docker::event>> e(s.ctx, events.next());
            e.run();
            REQUIRE(e.done());
            seen += e.value()->action + " " + e.value()->id + ";";
        }
        CHECK(seen == "start a};die b{\";pull ;");
        CHECK_FALSE(events.next_buffered());
        spawned<result<docker::event>> end(s.ctx, events.next());
        CHECK_FALSE(end.run().done());
        SECTION("cancelled and repeated")
        {
            end.cancel();
            s.run();
            CHECK(end.error() == asio::error::operation_aborted);
            chunk(R"({"Action":"start"})");
            spawned<result<docker::event>> again(s.ctx, events.next());
            CHECK(again.run().value()->action == "start");
        }
        SECTION("ended in an orderly way")
        {
            s.out->last().send("0\r\n\r\n");
            s.run();
            CHECK(end.error() == podproxy::errc::end_of_stream);
        }
        SECTION("ended in an object")
        {
            chunk("{\"a\"");
            s.out->last().send("0\r\n\r\n");
            s.run();
            CHECK(end.error() == podproxy::errc::truncated);
        }
        SECTION("cut")
        {
            s.out->last().end();
            s.run();
            CHECK(end.error() == podproxy::errc::truncated);
        }
        SECTION("closed by us")
        {
            events.close();
            s.run();
            CHECK(end.error() == asio::error::operation_aborted);
        }
    }
}

TEST_CASE("docker client: every call may be cancelled at every point", "[docker][client]")
{
    for (std::size_t n = 0;; ++n) {
        INFO(n);
        scripted s;
        spawned<result<docker::container>> call(s.ctx, s.client->inspect("a", s.why));
        bool answered = false;
        for (std::size_t i = 0; i < n && !call.done(); ++i) {
            if (call.step() || answered) continue;
            answered = true;
            s.out->last().take();
            s.out->last().send(200, R"({"Id":"a"})");
        }
        if (call.done()) {
            CHECK(call.value());
            CHECK(n > 5);
            break;
        }
        call.cancel();
        s.run();
        REQUIRE(call.done());
        if (call.threw() || !call.value()) CHECK(call.error() == asio::error::operation_aborted);
    }
}

TEST_CASE("docker client: every operation of the connection may fail", "[docker][client]")
{
    for (std::size_t n = 0;; ++n) {
        INFO(n);
        scripted s;
        test::fail_count fail(n, std::make_error_code(std::errc::connection_reset));
        s.out->fail = &fail;
        spawned<result<docker::container>> call(s.ctx, s.client->inspect("a", s.why));
        s.take();
        if (!s.out->peers.empty()) s.answer(200, R"({"Id":"a"})");
        REQUIRE(call.done());
        if (call.value()) {
            CHECK(n > 1);
            break;
        }
        CHECK(call.error() == cond::unavailable);
        CHECK_FALSE(s.why.message.empty());
    }
}

TEST_CASE("docker client: an engine that can't be reached is told with what to do", "[docker][client]")
{
    scripted s;
    auto const fail = [&](std::error_code ec) {
        s.out->failures.push_back(ec);
        s.out->say = "said so";
        spawned<result<void>> call(s.ctx, s.client->start("a", s.why));
        s.run();
        return call.error();
    };
    CHECK(fail(std::make_error_code(std::errc::permission_denied)) == docker::errc::permission_denied);
    CHECK(s.why.message ==
          "can't reach the container engine at unix:///x.sock: said so; add the user to the group docker, or run with access to the socket /x.sock");
    CHECK(fail(std::make_error_code(std::errc::no_such_file_or_directory)) == docker::errc::unreachable);
    CHECK(s.why.message.ends_with("is the engine running? DOCKER_HOST says where it is"));
    CHECK(fail(std::make_error_code(std::errc::connection_refused)) == docker::errc::unreachable);
    CHECK(s.why.message == "can't reach the container engine at unix:///x.sock: said so");
    s.out->hold = true;
    docker::client_config config;
    config.connect_limit = 1ms;
    scripted slow(config);
    slow.out->hold = true;
    spawned<result<void>> call(slow.ctx, slow.client->start("a", slow.why));
    REQUIRE(poll_until(slow.ctx, [&] { return call.done(); }));
    CHECK(call.error() == podproxy::errc::timed_out);
    CHECK(slow.why.message == "can't reach the container engine at unix:///x.sock: no connection within 1 ms");
}

TEST_CASE("docker client: of several sockets the first that is there is used, and stays", "[docker][client]")
{
    asio::io_context ctx(1);
    test::fake_docker_server one(ctx);
    test::fake_docker_server two(ctx);
    docker::endpoint where;
    where.sockets = {"/nonexistent/docker.sock", one.socket(), two.socket()};
    diagnostics why;
    auto client = std::move(*docker::client::create(ctx.get_executor(), where, why));
    auto const connect = [&] {
        spawned<result<void>> s(ctx, client->connect(why));
        REQUIRE(poll_until(ctx, [&] { return s.done(); }));
        return s.error();
    };
    one.down();
    CHECK_FALSE(connect());
    CHECK(two.connections == 1);
    one.up();
    two.down();
    CHECK(connect() == docker::errc::unreachable);
    CHECK(one.connections == 0);
    client.reset();
}

TEST_CASE("docker client: TLS with certificates of both sides", "[docker][client][tls]")
{
    test::authority const ca;
    test::certificate_request request;
    request.names = "DNS:localhost,IP:127.0.0.1";
    auto const server = ca.issue(request);
    auto const own = ca.issue({});
    auto const stranger = test::authority("stranger").issue({});

    asio::io_context ctx(1);
    tls::server_config config;
    config.certificate_pem = server.certificate_pem;
    config.key_pem = server.key_pem;
    config.client_roots_pem = ca.pem();
    diagnostics why;
    auto const context = tls::server_context::create(config, why);
    REQUIRE(context);
    auto listening = net::listener::open(ctx.get_executor(), {asio::ip::address_v4::loopback(), 0});
    REQUIRE(listening);
    docker::endpoint where;
    where.server = host_port("127.0.0.1", listening->local_endpoint().port());
    where.tls = docker::endpoint_tls::verified;

    auto const serve = [](net::listener& from, tls::server_context const& settings) -> net::awaitable<result<std::string>> {
        auto socket = co_await from.accept();
        if (!socket) co_return socket.error();
        tls::stream s(std::make_unique<net::tcp_stream>(std::move(*socket)), settings);
        diagnostics ignored;
        auto const shaken = co_await s.handshake(ignored);
        if (!shaken) co_return shaken.error();
        flat_buffer buf(4096);
        while (as_text(buf.data()).find("\r\n\r\n") == std::string_view::npos)
            if (auto const n = co_await net::read_some(s, buf); !n) co_return n.error();
        std::string_view const answer = "HTTP/1.1 200 OK\r\nApi-Version: 1.44\r\nContent-Length: 2\r\n\r\nOK";
        (void)co_await net::write_all(s, as_bytes(answer));
        co_return std::string(as_text(buf.data()));
    };
    auto const ping = [&](std::string const& folder) {
        where.cert_path = folder;
        auto client = docker::client::create(ctx.get_executor(), where, why);
        std::filesystem::remove_all(folder);
        REQUIRE(client);
        spawned<result<std::string>> far(ctx, serve(*listening, *context));
        spawned<result<void>> call(ctx, (*client)->connect(why));
        REQUIRE(poll_until(ctx, [&] { return call.done() && far.done(); }));
        if (!call.error()) CHECK((*client)->api_version() == "1.44");
        return call.error();
    };
    CHECK_FALSE(ping(folder_of_certificates(ca.pem(), own.certificate_pem, own.key_pem)));
    CHECK(ping(folder_of_certificates(ca.pem(), stranger.certificate_pem, stranger.key_pem)));
    CHECK(ping(folder_of_certificates(ca.pem(), "", "")));
    CHECK(ping(folder_of_certificates(test::authority("other").pem(), own.certificate_pem, own.key_pem)) == tls::errc::untrusted);
    CHECK(why.message.starts_with("can't reach the container engine at tcp://127.0.0.1:"));
    where.tls = docker::endpoint_tls::unverified;
    CHECK_FALSE(ping(folder_of_certificates("", own.certificate_pem, own.key_pem)));
}

TEST_CASE("docker client: certificates that can't be used", "[docker][client][tls]")
{
    asio::io_context ctx(1);
    docker::endpoint where;
    where.server = host_port("127.0.0.1", 1);
    where.tls = docker::endpoint_tls::verified;
    diagnostics why;
    where.cert_path = "/nonexistent";
    CHECK(docker::client::create(ctx.get_executor(), where, why).error() == docker::errc::bad_certificates);
    CHECK(why.message == "can't read /nonexistent/ca.pem: No such file or directory");
    where.cert_path = folder_of_certificates("nonsense", "", "");
    CHECK(docker::client::create(ctx.get_executor(), where, why).error() == docker::errc::bad_certificates);
    CHECK(why.message.starts_with("the certificates in " + where.cert_path + " can't be used: "));
    std::filesystem::remove_all(where.cert_path);
}
