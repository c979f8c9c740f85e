#include <podproxy/kube/api_client.hpp>

#include <fakes/authority.hpp>
#include <unit/support/scripted_dialer.hpp>
#include <unit/support/poll_until.hpp>
#include <unit/support/spawned.hpp>

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

#include <unistd.h>

using namespace podproxy;
using test::poll_until;
using test::spawned;
using test::status_json;

namespace {

kube::api_config plain()
{
    kube::api_config c;
    c.name = "kube";
    c.server = host_port("api.test", 6443);
    c.tls = false;
    return c;
}

struct fixture {
    explicit fixture(kube::api_config config = plain()) : out(ctx)
    {
        auto made = kube::api_client::create(ctx.get_executor(), out, std::move(config), why);
        if (made) api = std::move(*made);
    }
    ~fixture()
    {
        ctx.restart();
        ctx.poll();
    }

    spawned<result<std::string>> get(std::string path = "/api/v1/x")
    {
        spawned<result<std::string>> s(ctx, api->get(std::move(path), why));
        s.run();
        return s;
    }
    void run()
    {
        ctx.restart();
        ctx.poll();
    }

    asio::io_context ctx{1};
    test::scripted_dialer out;
    diagnostics why;
    std::unique_ptr<kube::api_client> api;
};

/// A file that holds a token, and goes away with the test.
struct token_file {
    token_file() : path(std::filesystem::temp_directory_path() / ("podproxy_token_test." + std::to_string(::getpid()))) {}
    ~token_file()
    {
        std::error_code ignored;
        std::filesystem::remove(path, ignored);
    }
    void write(std::string_view text) const { std::ofstream(path, std::ios::binary | std::ios::trunc) << text; }
    std::filesystem::path path;
};

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

} // namespace

TEST_CASE("api client: a GET and its answer", "[kube][api_client]")
{
    auto config = plain();
    config.base_path = "/k8s/clusters/c-1";
    fixture f(std::move(config));
    auto s = f.get("/api/v1/namespaces/shop/services/web");
    REQUIRE(f.out.asked == std::vector{host_port("api.test", 6443)});
    CHECK(f.out.last().take() == "GET /k8s/clusters/c-1/api/v1/namespaces/shop/services/web HTTP/1.1\r\nHost: api.test:6443\r\nAccept: application/json\r\n\r\n");
    f.out.last().send(200, "{\"kind\":\"Service\"}");
    REQUIRE(s.run().done());
    REQUIRE(s.value());
    CHECK(*s.value() == "{\"kind\":\"Service\"}");
    CHECK(f.why.empty());
}

TEST_CASE("api client: a connection is used for the next request", "[kube][api_client]")
{
    fixture f;
    for (int i = 0; i < 3; ++i) {
        auto s = f.get();
        CHECK_FALSE(f.out.last().take().empty());
        f.out.last().send(200, "{}");
        REQUIRE(s.run().done());
        CHECK(s.value());
    }
    CHECK(f.out.peers.size() == 1);
}

TEST_CASE("api client: also after an answer that says no", "[kube][api_client]")
{
    fixture f;
    auto s = f.get();
    f.out.last().send(404, status_json(404, "no"));
    CHECK(s.run().error() == kube::errc::not_found);
    auto again = f.get();
    f.out.last().send(200, "{}");
    CHECK(again.run().value());
    CHECK(f.out.peers.size() == 1);
}

TEST_CASE("api client: connections that the server wants closed are not kept", "[kube][api_client]")
{
    fixture f;
    auto s = f.get();
    f.out.last().send(200, "{}", "application/json", "Connection: close\r\n");
    CHECK(s.run().value());
    CHECK(f.out.last().closed() == false); // the request is still unread
    f.out.last().take();
    CHECK(f.out.last().closed());
}

TEST_CASE("api client: only so many connections are kept", "[kube][api_client]")
{
    auto config = plain();
    config.keep_idle = 1;
    fixture f(std::move(config));
    auto a = f.get();
    auto b = f.get();
    REQUIRE(f.out.peers.size() == 2);
    for (auto& p : f.out.peers) {
        p->take();
        p->send(200, "{}");
    }
    a.run();
    CHECK(a.done());
    CHECK(b.done());
    CHECK(f.out.peers[0]->closed() != f.out.peers[1]->closed());
}

TEST_CASE("api client: a kept connection that was closed meanwhile is replaced", "[kube][api_client]")
{
    fixture f;
    auto s = f.get();
    f.out.last().send(200, "{}");
    CHECK(s.run().value());
    SECTION("before the request") { f.out.last().end(); }
    SECTION("by a reset") { f.out.last().reset(); }
    SECTION("with an unasked answer") { f.out.last().send("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"); }
    auto again = f.get();
    REQUIRE(f.out.peers.size() == 2);
    f.out.last().send(200, "[]");
    CHECK(*again.run().value() == "[]");
}

TEST_CASE("api client: a kept connection that dies under the request is replaced, and the request is sent again", "[kube][api_client]")
{
    fixture f;
    auto s = f.get();
    f.out.last().send(200, "{}");
    CHECK(s.run().value());
    f.out.last().take();
    auto again = f.get("/second");
    CHECK(has(f.out.last().take(), "GET /second "));
    f.out.last().end();
    again.run();
    CHECK_FALSE(again.done());
    REQUIRE(f.out.peers.size() == 2);
    CHECK(has(f.out.last().take(), "GET /second "));
    f.out.last().send(200, "[]");
    CHECK(*again.run().value() == "[]");
}

TEST_CASE("api client: a fresh connection that dies is not tried again", "[kube][api_client]")
{
    fixture f;
    auto s = f.get();
    f.out.last().end();
    CHECK(s.run().error() == cond::end_of_stream);
    CHECK(f.out.peers.size() == 1);
    CHECK(has(f.why.message, "no answer from the API server of cluster kube"));
}

TEST_CASE("api client: neither is one that dies inside of an answer", "[kube][api_client]")
{
    fixture f;
    auto first = f.get();
    f.out.last().send(200, "{}");
    CHECK(first.run().value());
    auto s = f.get();
    f.out.last().send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{");
    f.out.last().end();
    CHECK(s.run().error() == podproxy::errc::truncated);
    CHECK(f.out.peers.size() == 1);
}

TEST_CASE("api client: answers that say no", "[kube][api_client]")
{
    struct row {
        unsigned status;
        kube::errc expected;
    };
    for (row const& r : {row{400, kube::errc::api_error}, row{401, kube::errc::unauthorized}, row{403, kube::errc::forbidden}, row{404, kube::errc::not_found},
                         row{409, kube::errc::conflict}, row{410, kube::errc::resource_expired}, row{429, kube::errc::api_error},
                         row{500, kube::errc::api_error}, row{503, kube::errc::api_error}, row{302, kube::errc::api_error}}) {
        INFO(r.status);
        fixture f;
        auto s = f.get();
        f.out.last().send(r.status, status_json(static_cast<int>(r.status), "services \\\"web\\\" is not for you"));
        REQUIRE(s.run().done());
        CHECK(s.error() == r.expected);
        CHECK(f.why.server_text == "services \"web\" is not for you");
        CHECK(has(f.why.message, "the API server of cluster kube answered " + std::to_string(r.status)));
    }
}

TEST_CASE("api client: the kubelet's plain text counts as its words, without line ends", "[kube][api_client]")
{
    fixture f;
    auto s = f.get();
    f.out.last().send(500, "pod not found (\"done_default\")\n", "text/plain; charset=utf-8");
    CHECK(s.run().error() == kube::errc::api_error);
    CHECK(f.why.server_text == "pod not found (\"done_default\")");
}

TEST_CASE("api client: a very long answer that says no is still that answer", "[kube][api_client]")
{
    fixture f;
    auto s = f.get();
    f.out.last().send(403, std::string(100'000, 'x'), "text/plain");
    REQUIRE(s.run().done());
    CHECK(s.error() == kube::errc::forbidden);
    CHECK(f.why.server_text.size() <= diagnostics::max_server_text);
}

TEST_CASE("api client: answers that are no HTTP", "[kube][api_client]")
{
    for (std::string_view const text : {"\x16\x03\x01 this is not HTTP\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
                                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"}) {
        INFO(text);
        fixture f;
        auto s = f.get();
        f.out.last().send(text);
        REQUIRE(s.run().done());
        CHECK(s.error() == cond::malformed);
        CHECK_FALSE(f.why.empty());
        f.out.last().take();
        CHECK(f.out.last().closed());
    }
}

TEST_CASE("api client: a head of 1 MiB is refused", "[kube][api_client]")
{
    fixture f;
    auto s = f.get();
    f.out.last().send("HTTP/1.1 200 OK\r\nX-Long: " + std::string(1024 * 1024, 'x') + "\r\n\r\n");
    REQUIRE(s.run().done());
    CHECK(s.error() == cond::too_large);
}

TEST_CASE("api client: an API server that can't be reached", "[kube][api_client]")
{
    fixture f;
    f.out.failures = {make_error_code(asio::error::connection_refused)};
    f.out.say = "can't connect to api.test:6443: Connection refused";
    auto s = f.get();
    REQUIRE(s.done());
    CHECK(s.error() == kube::errc::unreachable);
    CHECK_FALSE(s.error() == cond::refused); // that would be the destination's port
    CHECK(f.why.message == "can't reach the API server of cluster kube at api.test:6443: can't connect to api.test:6443: Connection refused");
}

TEST_CASE("api client: a connection that does not come about in time", "[kube][api_client]")
{
    auto config = plain();
    config.connect_limit = std::chrono::milliseconds(1);
    fixture f(std::move(config));
    f.out.hold = true;
    auto s = f.get();
    REQUIRE(poll_until(f.ctx, [&] { return s.done(); }));
    CHECK(s.error() == cond::timed_out);
    CHECK(f.why.message == "can't reach the API server of cluster kube at api.test:6443: no connection within 1 ms");
}

TEST_CASE("api client: an answer that does not come in time", "[kube][api_client]")
{
    auto config = plain();
    config.connect_limit = std::chrono::milliseconds(1);
    config.answer_limit = std::chrono::milliseconds(1);
    fixture f(std::move(config));
    auto s = f.get();
    SECTION("nothing at all") {}
    SECTION("only a part") { f.out.last().send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"); }
    SECTION("an answer that says no and does not end") { f.out.last().send("HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\n{"); }
    REQUIRE(poll_until(f.ctx, [&] { return s.done(); }));
    CHECK((s.error() == cond::timed_out || s.error() == kube::errc::api_error));
    CHECK(has(f.why.message, "the API server of cluster kube"));
    f.out.last().take();
    CHECK(poll_until(f.ctx, [&] { return f.out.last().closed(); }));
}

TEST_CASE("api client: credentials of each kind", "[kube][api_client]")
{
    auto config = plain();
    auto& who = config.credentials;
    std::string expected;
    SECTION("none") {}
    SECTION("a token")
    {
        who.token = secret("t0ken");
        expected = "Authorization: Bearer t0ken\r\n";
    }
    SECTION("a user with a password")
    {
        who.username = "jane";
        who.password = secret("pass:word");
        expected = "Authorization: Basic amFuZTpwYXNzOndvcmQ=\r\n";
    }
    SECTION("a token goes before a password")
    {
        who.token = secret("t0ken");
        who.username = "jane";
        expected = "Authorization: Bearer t0ken\r\n";
    }
    SECTION("as somebody else")
    {
        who.impersonate_user = "system:serviceaccount:a:b";
        who.impersonate_uid = "42";
        who.impersonate_groups = {"dev", "ops"};
        who.impersonate_extra = {{"example.com/scopes", {"view", "edit"}}};
        expected = "Impersonate-User: system:serviceaccount:a:b\r\nImpersonate-Uid: 42\r\nImpersonate-Group: dev\r\nImpersonate-Group: ops\r\n"
                   "Impersonate-Extra-example.com%2Fscopes: view\r\nImpersonate-Extra-example.com%2Fscopes: edit\r\n";
    }
    fixture f(std::move(config));
    auto s = f.get("/x");
    CHECK(f.out.last().take() == "GET /x HTTP/1.1\r\nHost: api.test:6443\r\nAccept: application/json\r\n" + expected + "\r\n");
    f.out.last().send(200, "{}");
    CHECK(s.run().value());
}

TEST_CASE("api client: a token file wins over a token, and is read again after a 401", "[kube][api_client]")
{
    token_file file;
    file.write("first\n");
    auto config = plain();
    config.credentials.token = secret("other");
    config.credentials.token_file = file.path;
    fixture f(std::move(config));
    auto s = f.get();
    CHECK(has(f.out.last().take(), "Authorization: Bearer first\r\n"));
    f.out.last().send(200, "{}");
    CHECK(s.run().value());

    file.write("second \r\n");
    SECTION("not before")
    {
        auto t = f.get();
        CHECK(has(f.out.last().take(), "Bearer first\r\n"));
        f.out.last().send(200, "{}");
        CHECK(t.run().value());
    }
    SECTION("for a GET")
    {
        auto t = f.get();
        CHECK(has(f.out.last().take(), "Bearer first\r\n"));
        f.out.last().send(401, status_json(401, "Unauthorized"));
        CHECK_FALSE(t.run().done());
        CHECK(has(f.out.last().take(), "Bearer second\r\n"));
        f.out.last().send(200, "{}");
        CHECK(t.run().value());
        CHECK(f.why.empty());
    }
    SECTION("for a watch")
    {
        spawned<result<std::unique_ptr<http::client>>> t(f.ctx, f.api->watch("/w", f.why));
        t.run();
        CHECK(has(f.out.last().take(), "Bearer first\r\n"));
        f.out.last().send(401, status_json(401, "Unauthorized"));
        t.run();
        CHECK(has(f.out.last().take(), "Bearer second\r\n"));
        f.out.last().send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        REQUIRE(t.run().done());
        CHECK(t.value());
    }
    SECTION("for an upgrade")
    {
        http::fields fields;
        fields.add("Connection", "Upgrade");
        fields.add("Upgrade", "SPDY/3.1");
        spawned<result<kube::api_client::switched>> t(f.ctx, f.api->upgrade("POST", "/u", std::move(fields), f.why));
        t.run();
        CHECK(has(f.out.last().take(), "Bearer first\r\n"));
        f.out.last().send(401, status_json(401, "Unauthorized"));
        t.run();
        std::string const again = f.out.last().take();
        CHECK(has(again, "POST /u HTTP/1.1\r\n"));
        CHECK(has(again, "Bearer second\r\n"));
        f.out.last().send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n");
        REQUIRE(t.run().done());
        CHECK(t.value());
    }
    SECTION("only once")
    {
        auto t = f.get();
        f.out.last().send(401, status_json(401, "Unauthorized"));
        CHECK_FALSE(t.run().done());
        f.out.last().send(401, status_json(401, "Unauthorized"));
        REQUIRE(t.run().done());
        CHECK(t.error() == kube::errc::unauthorized);
        CHECK(has(f.why.message, "log in again"));
    }
}

TEST_CASE("api client: a token file that can't be read leaves the token, one that is empty too", "[kube][api_client]")
{
    token_file file;
    SECTION("missing") {}
    SECTION("empty") { file.write("\n"); }
    auto config = plain();
    config.credentials.token = secret("other");
    config.credentials.token_file = file.path;
    fixture f(std::move(config));
    auto s = f.get();
    CHECK(has(f.out.last().take(), "Authorization: Bearer other\r\n"));
    f.out.last().send(200, "{}");
    CHECK(s.run().value());
}

TEST_CASE("api client: without a token file a 401 is not tried again", "[kube][api_client]")
{
    auto config = plain();
    config.credentials.token = secret("old");
    fixture f(std::move(config));
    auto s = f.get();
    f.out.last().send(401, status_json(401, "Unauthorized"));
    REQUIRE(s.run().done());
    CHECK(s.error() == kube::errc::unauthorized);
    CHECK(f.why.text().find("old") == std::string::npos);
}

TEST_CASE("api client: a token that would break the request apart is not sent", "[kube][api_client]")
{
    token_file file;
    file.write("a\r\nX-Injected: yes");
    auto config = plain();
    config.credentials.token_file = file.path;
    fixture f(std::move(config));
    auto s = f.get();
    REQUIRE(s.done());
    CHECK_FALSE(s.value());
    CHECK(f.out.last().take().empty());
    CHECK_FALSE(has(f.why.text(), "Injected"));
}

TEST_CASE("api client: a watch has a connection of its own and gives lines as they come", "[kube][api_client]")
{
    fixture f;
    spawned<result<std::unique_ptr<http::client>>> s(f.ctx, f.api->watch("/w?watch=true", f.why));
    s.run();
    CHECK(has(f.out.last().take(), "GET /w?watch=true HTTP/1.1\r\n"));
    f.out.last().send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabc\n\r\n2\r\nde\r\n");
    REQUIRE(s.run().done());
    REQUIRE(s.value());
    http::client& c = **s.value();
    spawned<result<std::string>> first(f.ctx, c.read_line(100));
    CHECK(*first.run().value() == "abc");
    spawned<result<std::string>> second(f.ctx, c.read_line(100));
    CHECK_FALSE(second.run().done());
    f.out.last().send("2\r\nf\n\r\n0\r\n\r\n");
    CHECK(*second.run().value() == "def");
    spawned<result<std::string>> third(f.ctx, c.read_line(100));
    CHECK(third.run().error() == cond::end_of_stream);

    auto other = f.get();
    CHECK(f.out.peers.size() == 2);
    other.cancel().run();
}

TEST_CASE("api client: a watch that is refused", "[kube][api_client]")
{
    fixture f;
    spawned<result<std::unique_ptr<http::client>>> s(f.ctx, f.api->watch("/w", f.why));
    s.run();
    f.out.last().send(410, status_json(410, "too old resource version: 1 (2258)"));
    REQUIRE(s.run().done());
    CHECK(s.error() == kube::errc::resource_expired);
    CHECK(f.why.server_text == "too old resource version: 1 (2258)");
    f.out.last().take();
    CHECK(f.out.last().closed());
}

TEST_CASE("api client: an upgrade gives the stream and what has come early", "[kube][api_client]")
{
    fixture f;
    http::fields fields;
    fields.add("Connection", "Upgrade");
    fields.add("Upgrade", "SPDY/3.1");
    spawned<result<kube::api_client::switched>> s(f.ctx, f.api->upgrade("POST", "/pf", std::move(fields), f.why));
    s.run();
    std::string const sent = f.out.last().take();
    CHECK(has(sent, "POST /pf HTTP/1.1\r\n"));
    CHECK(has(sent, "Upgrade: SPDY/3.1\r\n"));
    CHECK(has(sent, "Content-Length: 0\r\n"));
    f.out.last().send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nearly");
    REQUIRE(s.run().done());
    REQUIRE(s.value());
    CHECK(s.value()->first.status == 101);
    CHECK(as_text(s.value()->second.early.data()) == "early");
    REQUIRE(s.value()->second.stream);
    (void)s.value()->second.stream->try_write(as_bytes("hello"));
    CHECK(f.out.last().take() == "hello");
}

TEST_CASE("api client: upgrades that are refused", "[kube][api_client]")
{
    struct row {
        char const* answer;
        kube::errc expected;
        char const* text;
    };
    row const rows[] = {
        {"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 55\r\n\r\n{\"kind\":\"Status\",\"message\":\"pods \\\"nosuch\\\" not found\"}",
         kube::errc::not_found, "pods \"nosuch\" not found"},
        {"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 35\r\n\r\nquery parameter \"port\" is required\n", kube::errc::api_error,
         "query parameter \"port\" is required"},
        {"HTTP/1.1 500 Oops\r\nContent-Type: text/plain\r\nContent-Length: 30\r\n\r\npod not found (\"done_default\")", kube::errc::api_error,
         "pod not found (\"done_default\")"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", kube::errc::not_upgraded, "ok"},
        {"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", kube::errc::not_upgraded, ""},
    };
    for (auto const& r : rows) {
        INFO(r.answer);
        fixture f;
        http::fields fields;
        fields.add("Connection", "Upgrade");
        fields.add("Upgrade", "SPDY/3.1");
        spawned<result<kube::api_client::switched>> s(f.ctx, f.api->upgrade("POST", "/pf", std::move(fields), f.why));
        s.run();
        f.out.last().send(r.answer);
        REQUIRE(s.run().done());
        CHECK(s.error() == r.expected);
        CHECK(f.why.server_text == r.text);
        f.out.last().take();
        CHECK(f.out.last().closed());
    }
}

TEST_CASE("api client: every point of failure of a GET ends it with an error or not at all", "[kube][api_client]")
{
    for (std::size_t n = 0;; ++n) {
        INFO(n);
        fixture f;
        test::fail_count fail(n);
        f.out.fail = &fail;
        auto s = f.get();
        if (!s.done()) {
            f.out.last().send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
            s.run();
            f.out.last().send("cd");
            s.run();
        }
        REQUIRE(s.done());
        if (!fail.hit()) {
            CHECK(s.value());
            CHECK(n > 2);
            break;
        }
        if (!s.value()) {
            CHECK(s.error() == test::fake_errc::injected);
            CHECK_FALSE(f.why.empty());
        }
    }
}

TEST_CASE("api client: a GET may be cancelled at every point, and leaves no connection", "[kube][api_client]")
{
    for (std::size_t n = 0;; ++n) {
        INFO(n);
        fixture f;
        spawned<result<std::string>> s(f.ctx, f.api->get("/x", f.why));
        bool sent = false;
        std::size_t steps = 0;
        for (; steps < n && !s.done(); ++steps)
            if (!s.step() && !sent && !f.out.peers.empty()) {
                f.out.last().send(200, "{}");
                sent = true;
            }
        if (s.done()) {
            CHECK(s.value());
            CHECK(n > 3);
            break;
        }
        s.cancel().run();
        if (!s.done()) { // cancelled before it had begun to wait
            CHECK(n < 3);
            continue;
        }
        if (s.threw() || !s.value()) {
            CHECK(s.error() == asio::error::operation_aborted);
            if (!f.out.peers.empty()) {
                f.out.last().take();
                CHECK(f.out.last().closed());
            }
        }
    }
}

TEST_CASE("api client: certificates that can't be used are told at once", "[kube][api_client]")
{
    auto config = plain();
    config.tls = true;
    SECTION("roots") { config.tls_settings.roots_pem = "no PEM"; }
    SECTION("a certificate without a key")
    {
        test::authority const ca;
        config.tls_settings.certificate_pem = ca.issue({}).certificate_pem;
    }
    fixture f(std::move(config));
    CHECK_FALSE(f.api);
    CHECK_FALSE(f.why.empty());
}

TEST_CASE("api client: a server that does not speak TLS", "[kube][api_client]")
{
    auto config = plain();
    config.tls = true;
    fixture f(std::move(config));
    REQUIRE(f.api);
    auto s = f.get();
    CHECK(f.out.last().take().starts_with("\x16\x03\x01"));
    f.out.last().send("HTTP/1.1 400 Bad Request\r\n\r\n");
    REQUIRE(s.run().done());
    CHECK_FALSE(s.value());
    CHECK(has(f.why.message, "can't reach the API server of cluster kube at api.test:6443: "));
}

TEST_CASE("api client: a change has its method, type and body", "[kube][api_client]")
{
    fixture f;
    auto const send = [&](kube::api_client::repetition again) {
        spawned<result<std::string>> s(f.ctx, f.api->send("PATCH", "/apis/apps/v1/namespaces/shop/deployments/web/scale", "application/merge-patch+json",
                                                          R"({"spec":{"replicas":1}})", again, f.why));
        s.run();
        return s;
    };
    auto s = send(kube::api_client::repetition::harmful);
    CHECK(f.out.last().take() == "PATCH /apis/apps/v1/namespaces/shop/deployments/web/scale HTTP/1.1\r\nHost: api.test:6443\r\n"
                                 "Content-Type: application/merge-patch+json\r\nAccept: application/json\r\nContent-Length: 23\r\n\r\n{\"spec\":{\"replicas\":1}}");
    SECTION("and the answer's body is what it gives")
    {
        f.out.last().send(GENERATE(200u, 201u, 202u), "{\"kind\":\"Scale\"}");
        REQUIRE(s.run().done());
        REQUIRE(s.value());
        CHECK(*s.value() == "{\"kind\":\"Scale\"}");
    }
    SECTION("and somebody else's change in between is a conflict")
    {
        f.out.last().send(409, status_json(409, "the object has been modified"));
        CHECK(s.run().error() == kube::errc::conflict);
        CHECK(f.why.server_text == "the object has been modified");
    }
    SECTION("and an end of the connection does not repeat it")
    {
        f.out.last().end();
        CHECK(s.run().error() == podproxy::errc::end_of_stream);
        CHECK(f.out.peers.size() == 1);
    }
    SECTION("and a kept connection is only used for what may be repeated")
    {
        f.out.last().send(200, "{}");
        REQUIRE(s.run().done());
        auto fresh = send(kube::api_client::repetition::harmful);
        REQUIRE(f.out.peers.size() == 2);
        f.out.last().send(200, "{}");
        REQUIRE(fresh.run().done());
        auto kept = send(kube::api_client::repetition::harmless);
        CHECK(f.out.peers.size() == 2);
        f.out.last().end(); // the server had enough of it just then: once more, on the other one
        kept.run();
        CHECK(has(f.out.peers[0]->take(), "{\"spec\":{\"replicas\":1}}"));
        f.out.peers[0]->send(200, "{}");
        REQUIRE(kept.run().done());
        CHECK(kept.value());
    }
}

namespace {

/// An exec plugin that prints what `script` does. It has no limit of ours to wait for.
kube::exec_plugin_config plugin(std::string script)
{
    kube::exec_plugin_config c;
    c.plugin.api_version = "client.authentication.k8s.io/v1";
    c.plugin.command = "/bin/sh";
    c.plugin.args = {"-c", std::move(script)};
    return c;
}

std::string printing(std::string const& status)
{
    return R"(printf '%s' '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":)" + status + "}'";
}

} // namespace

TEST_CASE("api client: a plugin's token counts, and a 401 makes the plugin run again, once", "[kube][api_client]")
{
    token_file const runs; // counts them
    runs.write("");
    auto config = plain();
    config.credentials.token = secret("of the kubeconfig");
    config.plugin = plugin("printf x >>'" + runs.path.string() + R"('; printf '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"t%s"}}' $(wc -c <')" + runs.path.string() + "')");
    fixture f(std::move(config));
    auto s = f.get();
    REQUIRE(poll_until(f.ctx, [&] { return !f.out.peers.empty(); }));
    f.run();
    CHECK(has(f.out.last().take(), "Authorization: Bearer t1\r\n"));
    f.out.last().send(401, status_json(401, "expired"));
    std::string again;
    REQUIRE(poll_until(f.ctx, [&] { return !(again += f.out.last().take()).empty(); }));
    CHECK(has(again, "Authorization: Bearer t2\r\n"));
    SECTION("and then it is right")
    {
        f.out.last().send(200, "{}");
        REQUIRE(poll_until(f.ctx, [&] { return s.done(); }));
        CHECK(s.value());
        CHECK(std::filesystem::file_size(runs.path) == 2);
    }
    SECTION("or still wrong")
    {
        f.out.last().send(401, status_json(401, "expired"));
        REQUIRE(poll_until(f.ctx, [&] { return s.done(); }));
        CHECK(s.error() == kube::errc::unauthorized);
        CHECK(std::filesystem::file_size(runs.path) == 2);
    }
}

TEST_CASE("api client: a plugin that fails is an error that names the cluster and the program", "[kube][api_client]")
{
    auto config = plain();
    config.plugin = plugin("echo log in first >&2; exit 1");
    fixture f(std::move(config));
    auto s = f.get();
    REQUIRE(poll_until(f.ctx, [&] { return s.done(); }));
    CHECK(s.error() == kube::errc::bad_credential);
    CHECK(f.why.text() == "cluster kube: the program /bin/sh that gives the credentials failed with exit code 1: log in first");
    CHECK(f.out.asked.empty());
}

TEST_CASE("api client: a plugin's client certificate is used, and one that is none is told", "[kube][api_client]")
{
    test::authority ca;
    auto config = plain();
    config.tls = true;
    config.tls_settings.roots_pem = ca.pem();
    SECTION("a good one")
    {
        auto const own = ca.issue({});
        auto const quoted = [](std::string text) {
            for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.replace(at, 1, "\\n");
            return '"' + text + '"';
        };
        config.plugin = plugin(printing("{\"clientCertificateData\":" + quoted(own.certificate_pem) + ",\"clientKeyData\":" + quoted(own.key_pem) + "}"));
        fixture f(std::move(config));
        auto s = f.get();
        REQUIRE(poll_until(f.ctx, [&] { return !f.out.peers.empty(); }));
        f.run();
        CHECK(f.out.last().take().starts_with("\x16\x03\x01"));
    }
    SECTION("a bad one")
    {
        config.plugin = plugin(printing(R"({"clientCertificateData":"no PEM","clientKeyData":"no PEM"})"));
        fixture f(std::move(config));
        auto s = f.get();
        REQUIRE(poll_until(f.ctx, [&] { return s.done(); }));
        CHECK(s.error() == kube::errc::bad_credential);
        CHECK(has(f.why.text(), "gave a client certificate that can't be used"));
        CHECK(f.out.asked.empty());
    }
}

TEST_CASE("api client: a server behind a proxy is reached through a tunnel", "[kube][api_client]")
{
    auto config = plain();
    config.proxy = *upstream::parse_proxy_url("http://jane:pw@proxy.test:3128");
    fixture f(std::move(config));
    auto s = f.get();
    REQUIRE(f.out.asked.size() == 1);
    CHECK(f.out.asked[0] == host_port("proxy.test", 3128));
    CHECK(f.out.last().take().starts_with("CONNECT api.test:6443 HTTP/1.1\r\n"));
    SECTION("that the proxy opens")
    {
        f.out.last().send("HTTP/1.1 200 OK\r\n\r\n");
        s.run();
        CHECK(f.out.last().take().starts_with("GET /api/v1/x HTTP/1.1\r\nHost: api.test:6443\r\n"));
        f.out.last().send(200, "{}");
        REQUIRE(s.run().done());
        CHECK(s.value());
    }
    SECTION("or not")
    {
        f.out.last().send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        REQUIRE(s.run().done());
        CHECK(s.error() == kube::errc::unreachable);
        CHECK(has(f.why.text(), "the proxy http://proxy.test:3128 did not connect to api.test:6443: it answered 403"));
        CHECK_FALSE(has(f.why.text(), "pw"));
    }
}
