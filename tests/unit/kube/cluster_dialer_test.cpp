#include <podproxy/kube/cluster_dialer.hpp>
#include <podproxy/proxy/direct_dialer.hpp>

#include <fakes/fake_files.hpp>
#include <fakes/fake_kube_server.hpp>
#include <unit/support/poll_until.hpp>
#include <unit/support/spawned.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

using namespace podproxy;
using namespace std::chrono_literals;
using test::kube_fault;
using test::poll_until;
using test::spawned;
namespace programs = test::fake_kube::programs;

namespace {

using dial_result = result<net::any_stream>;

net::awaitable<result<void>> joined(kube::cluster_dialer& d)
{
    co_await d.join();
    co_return result<void>{};
}

/// Read until the stream ends or `stop` has come.
net::awaitable<result<std::string>> read_until(net::stream& s, std::string stop)
{
    std::string out;
    std::array<std::uint8_t, 4096> buf;
    while (out.find(stop) == std::string::npos) {
        auto const n = co_await net::read_some(s, buf);
        if (!n) {
            if (n.error() == podproxy::errc::end_of_stream) break;
            co_return n.error();
        }
        out.append(as_text(bytes_view(buf.data(), *n)));
    }
    co_return out;
}

test::fake_kube::pod_spec pod(std::string name)
{
    test::fake_kube::pod_spec p;
    p.name_space = "shop";
    p.ports = {{8080, programs::greeter("I am " + name + "\n")}, {7, programs::echo()}};
    p.name = std::move(name);
    return p;
}

test::kube_service web(std::vector<std::string> pods)
{
    test::kube_service s;
    s.name_space = "shop";
    s.name = "web";
    s.ports = {{"http", 80, 8080}};
    s.pods = std::move(pods);
    return s;
}

/// A dialer into a fake cluster over real sockets.
struct fixture {
    explicit fixture(test::kube_server_config server = {}) : kube(std::move(server))
    {
        kube.add_pod(pod("web-1"));
        kube.add_pod(pod("web-2"));
        kube.add_service(web({"web-1", "web-2"}));
    }
    void start(kube::carrier carrier = kube::carrier::automatic)
    {
        kube::cluster_config c;
        c.api.name = "kube";
        c.api.server = host_port("127.0.0.1", kube.port());
        c.api.tls = false;
        c.api.credentials.token = secret(token);
        c.carrier = carrier;
        c.default_namespace = "shop";
        c.sessions.spare = 0; // so that sessions can be counted
        c.sessions.connect_grace = 20ms;
        c.services.trust_unwatched = trust_unwatched;
        auto made = kube::cluster_dialer::create(ctx.get_executor(), direct, std::move(c), logger(), why);
        REQUIRE(made);
        dialer = std::move(*made);
    }
    ~fixture()
    {
        if (!dialer) return;
        dialer->close();
        spawned<result<void>> j(ctx, joined(*dialer));
        poll_until(ctx, [&] { return j.done(); });
        dialer.reset();
    }

    dial_result dial(std::string service = "web", std::uint16_t port = 80)
    {
        if (!dialer) start();
        why.clear();
        spawned<dial_result> s(ctx, dialer->dial_service("shop", std::move(service), port, why));
        REQUIRE(poll_until(ctx, [&] { return s.done(); }));
        return std::move(s.value());
    }
    dial_result dial_pod(std::string name, std::uint16_t port)
    {
        if (!dialer) start();
        why.clear();
        spawned<dial_result> s(ctx, dialer->dial_pod("shop", std::move(name), port, why));
        REQUIRE(poll_until(ctx, [&] { return s.done(); }));
        return std::move(s.value());
    }
    /// The first line that comes from the pod.
    std::string greeting(dial_result& d, std::string stop = "\n")
    {
        if (!d) return d.error().message() + " | " + why.text();
        spawned<result<std::string>> s(ctx, read_until(**d, std::move(stop)));
        if (!poll_until(ctx, [&] { return s.done(); })) return "(nothing)";
        return s.value() ? *s.value() : s.error().message();
    }
    void fail(kube_fault::kind what, std::string verb, std::string resource, int code = 500, std::string text = {}, int times = -1, bool plain = false)
    {
        kube_fault f;
        f.what = what;
        f.verb = std::move(verb);
        f.resource = std::move(resource);
        f.code = code;
        f.text = std::move(text);
        f.times = times;
        f.plain = plain;
        kube.fail(std::move(f));
    }
    std::size_t asked(std::string const& what) { return kube.counters().by_request[what]; }

    asio::io_context ctx{1};
    test::fake_kube_server kube;
    proxy::direct_dialer direct;
    diagnostics why;
    std::string token = "t0ken";
    std::chrono::milliseconds trust_unwatched{60'000};
    std::unique_ptr<kube::cluster_dialer> dialer;
};

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

} // namespace

TEST_CASE("cluster dialer: a connection to a Service reaches a pod, which is named", "[kube][cluster_dialer]")
{
    fixture f;
    f.start(GENERATE(kube::carrier::automatic, kube::carrier::websocket, kube::carrier::spdy));
    auto s = f.dial();
    std::string const text = f.greeting(s);
    CHECK((text == "I am web-1\n" || text == "I am web-2\n"));
    CHECK(f.why.message == "pod shop/" + text.substr(5, 5) + " port 8080");
}

TEST_CASE("cluster dialer: the carrier is the one that was asked for, WebSocket where it is left open", "[kube][cluster_dialer]")
{
    fixture f;
    SECTION("automatic")
    {
        f.start();
        REQUIRE(f.dial());
        CHECK(f.kube.counters().websocket_upgrades == 1);
        CHECK(f.kube.counters().spdy_upgrades == 0);
    }
    SECTION("spdy")
    {
        f.start(kube::carrier::spdy);
        REQUIRE(f.dial());
        CHECK(f.kube.counters().websocket_upgrades == 0);
        CHECK(f.kube.counters().spdy_upgrades == 1);
    }
}

TEST_CASE("cluster dialer: ready pods take turns", "[kube][cluster_dialer]")
{
    fixture f;
    std::map<std::string, int> count;
    for (int i = 0; i < 6; ++i) {
        auto s = f.dial();
        ++count[f.greeting(s)];
    }
    CHECK(count == std::map<std::string, int>{{"I am web-1\n", 3}, {"I am web-2\n", 3}});
}

TEST_CASE("cluster dialer: of two ready pods the one with fewer open connections is taken", "[kube][cluster_dialer]")
{
    fixture f;
    std::vector<dial_result> kept;
    for (int i = 0; i < 3; ++i) {
        kept.push_back(f.dial_pod("web-1", 8080));
        REQUIRE(kept.back());
    }
    for (int i = 0; i < 3; ++i) {
        kept.push_back(f.dial());
        CHECK(f.greeting(kept.back()) == "I am web-2\n");
    }
    // Equal now: turns.
    std::map<std::string, int> count;
    for (int i = 0; i < 2; ++i) {
        kept.push_back(f.dial());
        ++count[f.greeting(kept.back())];
    }
    CHECK(count.size() == 2);
}

TEST_CASE("cluster dialer: two Services that are used in turn both use all of their pods", "[kube][cluster_dialer]")
{
    fixture f;
    auto other = web({"web-1", "web-2"});
    other.name = "other";
    f.kube.add_service(other);
    std::map<std::string, int> count;
    for (int i = 0; i < 4; ++i) {
        auto s = f.dial("web");
        ++count[f.greeting(s)];
        auto t = f.dial("other");
        ++count["other " + f.greeting(t)];
    }
    CHECK(count.size() == 4);
}

TEST_CASE("cluster dialer: a pod by its name, with the port as it is", "[kube][cluster_dialer]")
{
    fixture f;
    auto s = f.dial_pod("web-2", 8080);
    CHECK(f.greeting(s) == "I am web-2\n");
    CHECK(f.asked("get services") == 0);
}

TEST_CASE("cluster dialer: what can't be dialled, and what is said", "[kube][cluster_dialer]")
{
    fixture f;
    struct outcome {
        std::error_code error;
        std::string text;
    };
    outcome o;
    kube::errc expected{};
    std::string part;
    SECTION("no such Service")
    {
        o = {f.dial("nosuch").error(), f.why.message};
        expected = kube::errc::not_found;
        part = "Service shop/nosuch does not exist in cluster kube: check the name and the namespace";
    }
    SECTION("no such pod")
    {
        o = {f.dial_pod("nosuch", 80).error(), f.why.text()};
        expected = kube::errc::not_found;
        part = "(pod shop/nosuch port 80): pods \"nosuch\" not found";
    }
    SECTION("nothing listens there")
    {
        o = {f.dial_pod("web-1", 4444).error(), f.why.text()};
        expected = kube::errc::port_refused;
        part = "pod shop/web-1 port 4444";
    }
    SECTION("no pod is ready")
    {
        for (char const* name : {"web-1", "web-2"}) f.kube.change_pod("shop", name, [](auto& p) { p.ready = p.serving = false; });
        o = {f.dial().error(), f.why.message};
        expected = kube::errc::no_endpoints;
        part = "Service shop/web has no ready endpoint: 2 not ready";
    }
    SECTION("an ExternalName")
    {
        test::kube_service s;
        s.name_space = "shop";
        s.name = "away";
        s.external_name = "db.example.com";
        f.kube.add_service(s);
        o = {f.dial("away").error(), f.why.message};
        expected = kube::errc::external_name;
        part = "db.example.com";
    }
    SECTION("the user may not forward")
    {
        f.fail(kube_fault::kind::status, "", "pods/portforward", 403);
        o = {f.dial().error(), f.why.text()};
        expected = kube::errc::forbidden;
        part = "is forbidden";
    }
    SECTION("the user may not read Services")
    {
        f.fail(kube_fault::kind::status, "", "services", 403);
        o = {f.dial().error(), f.why.text()};
        expected = kube::errc::forbidden;
        part = "is forbidden";
    }
    SECTION("the token is not accepted")
    {
        f.kube.configure([](auto& c) { c.tokens = {"another"}; });
        o = {f.dial().error(), f.why.text()};
        expected = kube::errc::unauthorized;
        part = "log in again";
    }
    CHECK(o.error == expected);
    CHECK(has(o.text, part));
    INFO(o.text);
    CHECK_FALSE(has(o.text, f.token));
}

TEST_CASE("cluster dialer: what is forbidden for one pod is not tried with the next", "[kube][cluster_dialer]")
{
    fixture f;
    f.fail(kube_fault::kind::status, "", "pods/portforward", 403);
    CHECK(f.dial().error() == kube::errc::forbidden);
    CHECK(f.asked("get pods/portforward") == 1);
    CHECK(f.asked("create pods/portforward") == 1); // it may be that only SPDY is allowed
}

TEST_CASE("cluster dialer: a server without WebSocket is used over SPDY, and that is remembered", "[kube][cluster_dialer]")
{
    test::kube_server_config server;
    server.websocket = false;
    fixture f(server);
    auto a = f.dial_pod("web-1", 8080);
    CHECK(f.greeting(a) == "I am web-1\n");
    CHECK(f.asked("get pods/portforward") == 1);
    auto b = f.dial_pod("web-2", 8080);
    CHECK(f.greeting(b) == "I am web-2\n");
    CHECK(f.asked("get pods/portforward") == 1);
    CHECK(f.asked("create pods/portforward") == 2);
}

TEST_CASE("cluster dialer: who may only `create` is served over SPDY", "[kube][cluster_dialer]")
{
    fixture f;
    f.fail(kube_fault::kind::status, "get", "pods/portforward", 403);
    auto s = f.dial_pod("web-1", 8080);
    CHECK(f.greeting(s) == "I am web-1\n");
    CHECK(f.kube.counters().spdy_upgrades == 1);
}

TEST_CASE("cluster dialer: who may only `get` is served over WebSocket", "[kube][cluster_dialer]")
{
    fixture f;
    f.fail(kube_fault::kind::status, "create", "pods/portforward", 403);
    auto s = f.dial_pod("web-1", 8080);
    CHECK(f.greeting(s) == "I am web-1\n");
    CHECK(f.kube.counters().websocket_upgrades == 1);
}

TEST_CASE("cluster dialer: no fallback where a carrier was asked for", "[kube][cluster_dialer]")
{
    test::kube_server_config server;
    server.websocket = false;
    fixture f(server);
    f.start(kube::carrier::websocket);
    CHECK(f.dial_pod("web-1", 8080).error() == kube::errc::api_error);
    CHECK(has(f.why.server_text, "query parameter \"port\" is required"));
    CHECK(f.asked("create pods/portforward") == 0);
}

TEST_CASE("cluster dialer: a pod that is gone is passed over", "[kube][cluster_dialer]")
{
    fixture f;
    REQUIRE(f.dial());
    // Gone for the kubelet, while the slices still name it.
    f.fail(kube_fault::kind::status, "get", "pods/portforward", 404, "pods not found", 1);
    for (int i = 0; i < 2; ++i) {
        auto s = f.dial();
        CHECK(has(f.greeting(s), "I am web-"));
    }
}

TEST_CASE("cluster dialer: a refusal by one pod is followed by another, a refusal by all is the answer", "[kube][cluster_dialer]")
{
    fixture f;
    SECTION("one")
    {
        f.kube.change_pod("shop", "web-1", [](auto& p) { p.ports.erase(8080); });
        for (int i = 0; i < 3; ++i) {
            auto s = f.dial();
            CHECK(f.greeting(s) == "I am web-2\n");
        }
    }
    SECTION("all")
    {
        for (char const* name : {"web-1", "web-2"}) f.kube.change_pod("shop", name, [](auto& p) { p.ports.erase(8080); });
        CHECK(f.dial().error() == kube::errc::port_refused);
        CHECK(has(f.why.message, "port 8080"));
    }
}

TEST_CASE("cluster dialer: a refusal that comes after the connection was reported as open leads to another pod", "[kube][cluster_dialer]")
{
    fixture f;
    for (int i = 0; i < 2; ++i) { // after that nothing waits for refusals
        auto s = f.dial();
        REQUIRE(has(f.greeting(s), "I am web-"));
    }
    f.kube.change_pod("shop", "web-1", [](auto& p) { p.ports.erase(8080); });
    SECTION("and what the client has sent goes there")
    {
        f.kube.change_pod("shop", "web-2", [](auto& p) { p.ports[8080] = programs::echo(); });
        for (int i = 0; i < 4; ++i) {
            auto s = f.dial();
            REQUIRE(s);
            CHECK(*(*s)->try_write(as_bytes("hello ")) == 6);
            CHECK(f.greeting(s, "hello ") == "hello ");
            spawned<result<void>> w(f.ctx, net::write_all(**s, as_bytes("again\n")));
            CHECK(f.greeting(s) == "again\n");
        }
    }
    SECTION("and where all refuse, that is the end of it")
    {
        f.kube.change_pod("shop", "web-2", [](auto& p) { p.ports.erase(8080); });
        auto s = f.dial();
        if (s) CHECK(f.greeting(s) == make_error_code(kube::errc::port_refused).message());
    }
    SECTION("but not when the dialer is closed")
    {
        std::vector<dial_result> open;
        for (int i = 0; i < 2; ++i) open.push_back(f.dial());
        f.dialer->close();
        for (auto& s : open)
            if (s) CHECK_FALSE(has(f.greeting(s), "I am web-1")); // it ends, by the close or by the refusal that had come already
    }
}

TEST_CASE("cluster dialer: endpoints that change are known to the next connection", "[kube][cluster_dialer]")
{
    fixture f;
    REQUIRE(f.dial());
    REQUIRE(poll_until(f.ctx, [&] { return f.kube.counters().watches == 1; }));
    f.kube.change_pod("shop", "web-1", [](auto& p) { p.ready = p.serving = false; });
    // The change is on its way; from some moment on only the other pod is used.
    int in_a_row = 0;
    for (int i = 0; i < 200 && in_a_row < 4; ++i) {
        auto s = f.dial();
        in_a_row = f.greeting(s) == "I am web-2\n" ? in_a_row + 1 : 0;
    }
    CHECK(in_a_row == 4);
    CHECK(f.asked("list endpointslices") == 1);
}

TEST_CASE("cluster dialer: where watching is forbidden, endpoints are listed when they are needed", "[kube][cluster_dialer]")
{
    fixture f;
    f.trust_unwatched = 0ms;
    f.fail(kube_fault::kind::status, "watch", "endpointslices", 403);
    REQUIRE(f.dial());
    f.kube.change_pod("shop", "web-1", [](auto& p) { p.ready = p.serving = false; });
    for (int i = 0; i < 3; ++i) {
        auto s = f.dial();
        CHECK(f.greeting(s) == "I am web-2\n");
    }
    CHECK(f.asked("watch endpointslices") == 1);
}

TEST_CASE("cluster dialer: an API server that is away is not asked again for every pod", "[kube][cluster_dialer]")
{
    fixture f;
    REQUIRE(f.dial_pod("web-1", 8080));
    REQUIRE(f.dial());
    struct refusing final : net::dialer {
        std::size_t asked = 0;
        net::awaitable<dial_result> dial(host_port, diagnostics& text) override
        {
            ++asked;
            text.message = "Connection refused";
            co_return make_error_code(asio::error::connection_refused);
        }
    } away;
    kube::cluster_config c;
    c.api.name = "away";
    c.api.server = host_port("127.0.0.1", 1);
    c.api.tls = false;
    auto other = kube::cluster_dialer::create(f.ctx.get_executor(), away, std::move(c), logger(), f.why);
    REQUIRE(other);
    spawned<dial_result> s(f.ctx, (*other)->dial_pod("shop", "web-1", 80, f.why));
    REQUIRE(poll_until(f.ctx, [&] { return s.done(); }));
    CHECK(s.error() == kube::errc::unreachable);
    CHECK(has(f.why.message, "can't reach the API server of cluster away at 127.0.0.1:1: Connection refused"));
    CHECK(away.asked == 1);
    (*other)->close();
    spawned<result<void>> j(f.ctx, joined(**other));
    CHECK(poll_until(f.ctx, [&] { return j.done(); }));
}

TEST_CASE("cluster dialer: close ends connections, and join everything in the background", "[kube][cluster_dialer]")
{
    fixture f;
    auto s = f.dial();
    REQUIRE(s);
    spawned<result<std::string>> reading(f.ctx, read_until(**s, "never"));
    SECTION("with a connection") {}
    SECTION("while a session is being opened")
    {
        f.fail(kube_fault::kind::stall, "get", "pods/portforward");
        spawned<dial_result> waiting(f.ctx, f.dialer->dial_pod("shop", "web-2", 8080, f.why)); // the first one was web-1
        auto const before = f.asked("get pods/portforward");
        (void)poll_until(f.ctx, [&] { return waiting.done() || f.asked("get pods/portforward") > before; });
        f.dialer->close();
        CHECK(poll_until(f.ctx, [&] { return waiting.done(); }));
        if (waiting.done()) CHECK_FALSE(waiting.value());
    }
    f.dialer->close();
    spawned<result<void>> j(f.ctx, joined(*f.dialer));
    CHECK(poll_until(f.ctx, [&] { return j.done(); }));
    CHECK(poll_until(f.ctx, [&] { return reading.done(); }));
    CHECK_FALSE(reading.value());
    s = podproxy::errc::unavailable;
    f.dialer.reset();
    CHECK(poll_until(f.ctx, [&] { return f.kube.counters().watches == 0; }));
}

TEST_CASE("cluster config: from a kubeconfig context", "[kube][cluster_dialer]")
{
    test::fake_files files;
    files.files = {{"/k/ca.pem", "CA"}};
    diagnostics why;
    kube::cluster_context context;
    context.name = "prod";
    context.ns = "shop";
    context.cluster.server = "https://rancher.example.com/k8s/clusters/c-1";
    context.cluster.certificate_authority = "/k/ca.pem";
    context.cluster.tls_server_name = "kubernetes";
    context.user_name = "jane";
    context.user.token = secret("t0ken");
    context.user.token_file = "/k/token";
    context.user.username = "jane";
    context.user.password = secret("pw");
    context.user.client_certificate_data = "CERT";
    context.user.client_key_data = secret("KEY");
    context.user.as.user = "ops";
    context.user.as.uid = "7";
    context.user.as.groups = {"a", "b"};
    context.user.as.extra = {{"scopes", {"view"}}};
    SECTION("all of it")
    {
        auto const c = kube::make_cluster_config(context, files, why);
        REQUIRE(c);
        CHECK(c->default_namespace == "shop");
        CHECK(c->api.name == "prod");
        CHECK(c->api.server == host_port("rancher.example.com", 443));
        CHECK(c->api.tls);
        CHECK(c->api.base_path == "/k8s/clusters/c-1");
        CHECK(c->api.tls_settings.roots_pem == "CA");
        CHECK(c->api.tls_settings.certificate_pem == "CERT");
        CHECK(c->api.tls_settings.key_pem == "KEY");
        CHECK(c->api.tls_settings.server_name == "kubernetes");
        CHECK(c->api.tls_settings.verify != tls::verification::insecure_skip);
        auto const& who = c->api.credentials;
        CHECK(who.token.reveal() == "t0ken");
        CHECK(who.token_file == "/k/token");
        CHECK(who.username == "jane");
        CHECK(who.password.reveal() == "pw");
        CHECK(who.impersonate_user == "ops");
        CHECK(who.impersonate_uid == "7");
        CHECK(who.impersonate_groups == std::vector<std::string>{"a", "b"});
        CHECK(who.impersonate_extra == std::map<std::string, std::vector<std::string>>{{"scopes", {"view"}}});
        CHECK(why.empty());
    }
    SECTION("not verified only when it says so")
    {
        context.cluster.insecure_skip_tls_verify = true;
        auto const c = kube::make_cluster_config(context, files, why);
        REQUIRE(c);
        CHECK(c->api.tls_settings.verify == tls::verification::insecure_skip);
    }
    SECTION("a bad server")
    {
        context.cluster.server = "ftp://x";
        CHECK(kube::make_cluster_config(context, files, why).error() == kube::errc::bad_context);
        CHECK(why.message == "the server 'ftp://x' is not an http:// or https:// URL");
    }
    SECTION("a server with a password, which must not be shown")
    {
        context.cluster.server = "https://jane:s3cret@h";
        CHECK(kube::make_cluster_config(context, files, why).error() == kube::errc::bad_context);
        CHECK(why.message == "the server's URL holds a user name or a password, which is not supported: put it into the user of the context");
    }
    SECTION("a file that is not there")
    {
        context.cluster.certificate_authority = "/k/none.pem";
        CHECK(kube::make_cluster_config(context, files, why).error() == std::errc::no_such_file_or_directory);
        CHECK(why.message == "certificate-authority /k/none.pem: No such file or directory");
    }
    SECTION("credentials from a program")
    {
        context.user.exec.emplace();
        context.user.exec->command = "aws";
        context.cluster.proxy_url = secret("http://proxy");
        auto const c = kube::make_cluster_config(context, files, why);
        REQUIRE(c);
        REQUIRE(c->api.plugin);
        CHECK(c->api.plugin->plugin.command == "aws");
        CHECK(c->api.plugin->cluster.server == context.cluster.server);
        CHECK(c->api.plugin->roots == "CA");
        CHECK_FALSE(c->api.plugin->terminal);
    }
    SECTION("a proxy")
    {
        context.cluster.proxy_url = secret("socks5://user:pw@proxy");
        auto const c = kube::make_cluster_config(context, files, why);
        REQUIRE(c);
        REQUIRE(c->api.proxy);
        CHECK(c->api.proxy->scheme == upstream::scheme::socks5);
        CHECK(c->api.proxy->address == host_port("proxy", 1080));
        CHECK(c->api.proxy->password.reveal() == "pw");
    }
    SECTION("a proxy of a kind that we don't know, with a password, which must not be shown")
    {
        context.cluster.proxy_url = secret("ftp://user:pw@proxy");
        CHECK(kube::make_cluster_config(context, files, why).error() == kube::errc::bad_context);
        CHECK(has(why.message, "proxy-url of the cluster"));
        CHECK_FALSE(has(why.message, "pw"));
    }
}
