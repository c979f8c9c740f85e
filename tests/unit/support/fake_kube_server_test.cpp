#include <fakes/fake_kube_server.hpp>

#include <catch2/catch_test_macros.hpp>
#include <asio/connect.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>

namespace podproxy::test {
namespace {

constexpr std::string_view slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

/// A blocking client that knows nothing of HTTP.
class raw_client {
public:
    explicit raw_client(fake_kube_server const& kube) : socket_(ctx_)
    {
        socket_.connect({asio::ip::address_v4::loopback(), kube.port()});
    }
    raw_client& send(std::string const& bytes)
    {
        asio::write(socket_, asio::buffer(bytes));
        return *this;
    }
    raw_client& get(std::string const& target, std::string const& more = {})
    {
        return send("GET " + target + " HTTP/1.1\r\nHost: k\r\n" + more + "\r\n");
    }
    /// Read until `text` has come, or the end. @return what has come since the last call.
    std::string until(std::string_view text)
    {
        std::string out;
        char c[4096];
        while (out.find(text) == std::string::npos) {
            std::error_code ec;
            std::size_t const n = socket_.read_some(asio::buffer(c), ec);
            if (ec) return out + "<end>";
            out.append(c, n);
        }
        return out;
    }
    std::string all() { return until("\x01 never"); }

private:
    asio::io_context ctx_;
    asio::ip::tcp::socket socket_;
};

struct fixture {
    fake_kube_server kube;

    explicit fixture(kube_server_config config = {}) : kube(std::move(config))
    {
        fake_kube::pod_spec pod;
        pod.name = "web-1";
        pod.ports[8080] = fake_kube::programs::echo();
        kube.add_pod(pod);
        kube_service web;
        web.name = "web";
        web.ports.push_back({"http", 80, 8080});
        web.pods = {"web-1"};
        kube.add_service(web);
    }
    void fail(kube_fault::kind what, std::string verb, std::string resource, int code = 500)
    {
        kube_fault f;
        f.what = what;
        f.verb = std::move(verb);
        f.resource = std::move(resource);
        f.code = code;
        f.times = 1;
        kube.fail(f);
    }
};

bool has(std::string const& text, std::string_view part)
{
    INFO(text);
    bool const found = text.find(part) != std::string::npos;
    CHECK(found);
    return found;
}

} // namespace

TEST_CASE("fake kube server: objects by get and list", "[fakes]")
{
    fixture f;
    raw_client c(f.kube);
    has(c.get("/api/v1/namespaces/default/services/web").until("}}}"), "\"targetPort\":8080");
    has(c.get("/api/v1/namespaces/default/services/nosuch").until("404}"), "services \\\"nosuch\\\" not found");
    auto const list = c.get(std::string(slices) + "?labelSelector=kubernetes.io%2Fservice-name%3Dweb").until("]}");
    has(list, "EndpointSliceList");
    has(list, "\"ready\":true");
    has(c.get(std::string(slices) + "?labelSelector=kubernetes.io%2Fservice-name%3Dother").until("\"items\":[]"), "\"items\":[]");
    CHECK(f.kube.counters().by_request.at("list endpointslices") == 2);
    CHECK(f.kube.counters().connections == 1);
}

TEST_CASE("fake kube server: a watch tells what changes", "[fakes]")
{
    kube_server_config config;
    config.bookmark_every = std::chrono::milliseconds(20);
    fixture f(config);
    raw_client c(f.kube);
    has(c.get(std::string(slices) + "?watch=1&allowWatchBookmarks=true").until("ADDED"), "Transfer-Encoding: chunked");
    f.kube.change_pod("default", "web-1", [](auto& pod) { pod.ready = false; });
    has(c.until("\"ready\":false"), "MODIFIED");
    has(c.until("BOOKMARK"), "BOOKMARK");
    f.kube.remove_service("default", "web");
    has(c.until("DELETED"), "DELETED");
    f.kube.end_watches();
    has(c.all(), "0\r\n\r\n");
}

TEST_CASE("fake kube server: a watch that is too old is refused, by status and by event", "[fakes]")
{
    fixture f;
    f.kube.change_pod("default", "web-1", [](auto& pod) { pod.ready = false; });
    f.kube.compact();
    has(raw_client(f.kube).get(std::string(slices) + "?watch=1&resourceVersion=5").until("\"code\":410"), "HTTP/1.1 410 Gone");
    f.fail(kube_fault::kind::expired_event, "watch", "endpointslices");
    auto const text = raw_client(f.kube).get(std::string(slices) + "?watch=1").until("0\r\n\r\n");
    has(text, "HTTP/1.1 200 OK");
    has(text, "\"type\":\"ERROR\"");
    has(text, "\"code\":410");
}

TEST_CASE("fake kube server: tokens and rights", "[fakes]")
{
    kube_server_config config;
    config.tokens = {"good"};
    fixture f(config);
    raw_client c(f.kube);
    has(c.get("/api/v1/namespaces/default/services/web").until("401}"), "HTTP/1.1 401 ");
    has(c.get("/api/v1/namespaces/default/services/web", "Authorization: Bearer bad\r\n").until("401}"), "HTTP/1.1 401 ");
    has(c.get("/api/v1/namespaces/default/services/web", "Authorization: Bearer good\r\n").until("}}}"), "HTTP/1.1 200 ");
    f.fail(kube_fault::kind::status, "watch", "endpointslices", 403);
    has(c.get(std::string(slices) + "?watch=1", "Authorization: Bearer good\r\n").until("403}"),
        "endpointslices is forbidden: User \\\"dev\\\" cannot watch resource \\\"endpointslices\\\"");
    f.fail(kube_fault::kind::status, "create", "pods/portforward", 403);
    has(c.send("POST /api/v1/namespaces/default/pods/web-1/portforward HTTP/1.1\r\nAuthorization: Bearer good\r\n\r\n").until("403}"),
        "pods \\\"web-1\\\" is forbidden: User \\\"dev\\\" cannot create");
}

TEST_CASE("fake kube server: misbehaves as it is told, once", "[fakes]")
{
    fixture f;
    std::string const target = "/api/v1/namespaces/default/services/web";
    auto const answer = [&](kube_fault::kind what) {
        f.fail(what, "get", "services");
        return raw_client(f.kube).get(target, "Connection: close\r\n").all();
    };
    SECTION("close") { CHECK(answer(kube_fault::kind::close) == "<end>"); }
    SECTION("truncate")
    {
        auto const text = answer(kube_fault::kind::truncate);
        has(text, "HTTP/1.1 200 OK");
        CHECK(text.find("}}}") == std::string::npos);
    }
    SECTION("wrong length") { has(answer(kube_fault::kind::wrong_length), "}}}<end>"); }
    SECTION("garbage") { CHECK(answer(kube_fault::kind::garbage).find("HTTP/1.1") == std::string::npos); }
    SECTION("a head of a mebibyte") { CHECK(answer(kube_fault::kind::oversize_head).size() > 1024 * 1024); }
    SECTION("not JSON")
    {
        f.fail(kube_fault::kind::not_json, "get", "services");
        has(raw_client(f.kube).get(target).until("{]}"), "HTTP/1.1 200 OK");
    }
    SECTION("slow")
    {
        f.fail(kube_fault::kind::slow, "get", "services");
        has(raw_client(f.kube).get(target).until("}}}"), "HTTP/1.1 200 OK");
    }
    SECTION("a broken watch")
    {
        f.fail(kube_fault::kind::break_watch, "watch", "services");
        has(raw_client(f.kube).get("/api/v1/namespaces/default/services?watch=1").all(), "\"obj\r\n<end>");
    }
    has(raw_client(f.kube).get(target).until("}}}"), "HTTP/1.1 200 OK");
}

TEST_CASE("fake kube server: upgrades as the real one answers them", "[fakes]")
{
    fixture f;
    std::string const pod = "/api/v1/namespaces/default/pods/web-1/portforward HTTP/1.1\r\n";
    std::string const spdy = "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n";
    std::string const websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    has(raw_client(f.kube).send("POST " + pod + spdy + "X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n").until("\r\n\r\n"), "HTTP/1.1 101 ");
    has(raw_client(f.kube).send("POST " + pod + spdy + "\r\n").until("200"), "HTTP/1.1 500 ");
    has(raw_client(f.kube).send("POST " + pod + spdy + "X-Stream-Protocol-Version: v9\r\n\r\n").until("io]"), "unable to negotiate protocol");
    has(raw_client(f.kube).send("POST " + pod + "\r\n").until("400}"), "Upgrade request required");
    auto const tunnel = raw_client(f.kube).send("GET " + pod + websocket + "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n\r\n").until("\r\n\r\n");
    has(tunnel, "HTTP/1.1 101 ");
    has(tunnel, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); // the example of RFC 6455
    has(raw_client(f.kube).send("GET " + pod + websocket + "\r\n").until("required"), "HTTP/1.1 400 ");
    f.kube.configure([](auto& config) { config.websocket = false; });
    has(raw_client(f.kube).send("GET " + pod + websocket + "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n\r\n").until("required"), "HTTP/1.1 400 ");
    has(raw_client(f.kube).send("POST /api/v1/namespaces/default/pods/nosuch/portforward HTTP/1.1\r\n" + spdy + "\r\n").until("404}"), "not found");
}

TEST_CASE("fake kube server: a full worker queue stops the reading of its session", "[fakes]")
{
    using namespace fake_kube;
    fixture f;
    fake_kube::pod_spec stalled;
    stalled.name = "web-1";
    stalled.ports[9] = programs::stall();
    f.kube.add_pod(stalled);
    f.kube.configure([](auto& config) { config.runtime.socket_buffer = 1000; });
    raw_client c(f.kube);
    c.send("POST /api/v1/namespaces/default/pods/web-1/portforward HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
           "X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n");
    c.until("\r\n\r\n");
    header_zlib pack(header_zlib::direction::pack);
    auto const syn = [&pack](std::uint32_t id, std::string const& kind) {
        std::string block = u32(3);
        for (auto const& part : {std::string("streamtype"), kind, std::string("port"), std::string("9"), std::string("requestid"), std::string("0")})
            block += u32(static_cast<std::uint32_t>(part.size())) + part;
        return control_frame(1, 0, u32(id) + u32(0) + std::string(2, '\0') + pack.run(block));
    };
    std::string story = syn(1, "error");
    story += syn(3, "data");
    c.send(story);
    // Two frames fill the pod's socket and the runtime's hands, one is in the worker's, 50 wait, and one more stops everything.
    for (int i = 0; i < 60; ++i) c.send(data_frame(3, false, std::string(1000, 'x')));
    c.send(control_frame(6, 0, u32(1)));
    auto const until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    auto seen = f.kube.counters().sessions;
    while ((seen.read_stops == 0 || seen.forwarding == 0) && std::chrono::steady_clock::now() < until) {
        std::this_thread::yield();
        seen = f.kube.counters().sessions;
    }
    CHECK(seen.read_stops != 0);
    CHECK(seen.deepest_queue == 50);
    CHECK(seen.pings == 0);
    CHECK(seen.forwarding == 1);
}

} // namespace podproxy::test
