#include <podproxy/kube/service_client.hpp>

#include <unit/support/scripted_dialer.hpp>
#include <unit/support/poll_until.hpp>
#include <unit/support/spawned.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace podproxy;
using namespace std::chrono_literals;
using test::poll_until;
using test::spawned;
using test::status_json;

namespace {

using pods_result = result<std::vector<kube::pod_port>>;

std::string service_json(std::string_view spec = R"("ports":[{"name":"http","port":80,"targetPort":8080}],"clusterIP":"10.0.0.1")")
{
    return R"({"kind":"Service","apiVersion":"v1","metadata":{"name":"web","namespace":"shop","resourceVersion":"7"},"spec":{)" + std::string(spec) + "}}";
}

/// An EndpointSlice with these pods, all ready.
std::string slice_json(std::string_view name, std::vector<std::string> const& pods, std::string_view version = "10")
{
    std::string endpoints;
    for (auto const& p : pods) endpoints += (endpoints.empty() ? "" : ",") + (R"({"conditions":{"ready":true},"targetRef":{"kind":"Pod","namespace":"shop","name":")" + p + "\"}}");
    return R"({"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":")" + std::string(name) +
           R"(","namespace":"shop","resourceVersion":")" + std::string(version) + R"("},"endpoints":[)" + endpoints +
           R"(],"ports":[{"name":"http","port":8080}]})";
}

std::string list_json(std::string_view slices, std::string_view version = "100")
{
    return R"({"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":")" + std::string(version) +
           R"("},"items":[)" + std::string(slices) + "]}";
}

std::string chunk(std::string const& line)
{
    static constexpr std::string_view hex = "0123456789abcdef";
    std::size_t const n = line.size() + 1;
    return {std::string{hex[n >> 12 & 15], hex[n >> 8 & 15], hex[n >> 4 & 15], hex[n & 15]} + "\r\n" + line + "\n\r\n"};
}

std::string event_json(std::string_view type, std::string_view object)
{
    return R"({"type":")" + std::string(type) + R"(","object":)" + std::string(object) + "}";
}

kube::service_client_config slow()
{
    kube::service_client_config c;
    c.trust_unwatched = 1h;
    c.trust_service = 1h;
    c.watch.first_backoff = 1h;
    c.watch.most_backoff = 1h;
    return c;
}

/// A client whose API server is the test: `next` gives the request that came next.
struct fixture {
    explicit fixture(kube::service_client_config config = slow()) : out(ctx)
    {
        kube::api_config c;
        c.name = "kube";
        c.server = host_port("api.test", 80);
        c.tls = false;
        diagnostics ignored;
        api = std::move(*kube::api_client::create(ctx.get_executor(), out, std::move(c), ignored));
        client = std::make_unique<kube::service_client>(ctx.get_executor(), *api, logger(), config);
    }
    ~fixture()
    {
        client->close();
        spawned<result<void>> joined(ctx, join());
        poll_until(ctx, [&] { return joined.done(); });
        run(); // calls that the test has cancelled
        client.reset();
        run();
    }
    net::awaitable<result<void>> join()
    {
        co_await client->join();
        co_return result<void>{};
    }

    void run()
    {
        ctx.restart();
        ctx.poll();
    }

    spawned<pods_result> resolve(diagnostics& text, std::uint16_t port = 80, std::string name = "web")
    {
        spawned<pods_result> s(ctx, client->resolve("shop", std::move(name), port, text));
        run();
        return s;
    }
    spawned<pods_result> resolve() { return resolve(why); }

    /// The first line of a request that is there and was not looked at yet; empty when there is none. `peer` becomes its connection.
    std::string next()
    {
        run();
        for (auto& p : out.peers) {
            std::string const text = p->take();
            if (text.empty()) continue;
            peer = p.get();
            return text.substr(0, text.find(" HTTP/1.1"));
        }
        peer = nullptr;
        return {};
    }
    /// Wait for a request; it may take a timer.
    std::string wait_for_next()
    {
        std::string text;
        poll_until(ctx, [&] { return !(text = next()).empty(); });
        return text;
    }
    void answer(unsigned status, std::string const& body)
    {
        peer->send(status, body);
        run();
    }
    /// Serve the first use of a Service up to its running watch, which becomes `watch`.
    void load(std::string const& slices, std::string const& svc = service_json())
    {
        CHECK(next() == "GET /api/v1/namespaces/shop/services/web");
        answer(200, svc);
        CHECK(next() == list_path);
        answer(200, list_json(slices));
        CHECK(next() == watch_path + "100");
        begin_watch();
    }
    void begin_watch()
    {
        watch = peer;
        watch->send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        run();
    }
    void event(std::string_view type, std::string const& object)
    {
        watch->send(chunk(event_json(type, object)));
        run();
    }
    /// Names of the pods that the next connection may go to, in order; the error's text where there is none.
    std::vector<std::string> pods()
    {
        diagnostics ignored;
        auto s = resolve(ignored);
        if (!s.done()) return {"(waits)"};
        if (!s.value()) return {s.error().message()};
        std::vector<std::string> names;
        for (auto const& p : *s.value()) names.push_back(p.pod);
        return names;
    }

    std::string const list_path = "GET /apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dweb";
    std::string const watch_path = list_path + "&watch=true&allowWatchBookmarks=true&timeoutSeconds=120&resourceVersion=";

    asio::io_context ctx{1};
    test::scripted_dialer out;
    diagnostics why;
    std::unique_ptr<kube::api_client> api;
    std::unique_ptr<kube::service_client> client;
    test::dialed_peer* peer = nullptr;
    test::dialed_peer* watch = nullptr;
};

using names = std::vector<std::string>;

} // namespace

TEST_CASE("service client: the first use reads the Service, lists its slices and watches them", "[kube][service_client]")
{
    fixture f;
    auto s = f.resolve();
    f.load(slice_json("web-1", {"a"}));
    REQUIRE(s.done());
    REQUIRE(s.value());
    CHECK(*s.value() == std::vector{kube::pod_port{"shop", "a", 8080}});
    CHECK(f.client->services() == 1);
    // The next use asks nobody.
    CHECK(f.pods() == names{"a"});
    CHECK(f.next().empty());
}

TEST_CASE("service client: pods take turns, for each Service by itself", "[kube][service_client]")
{
    fixture f;
    auto s = f.resolve();
    f.load(slice_json("web-1", {"a", "b", "c"}));
    CHECK((*s.value())[0].pod == "a");
    CHECK(f.pods() == names{"b", "c", "a"});

    // Another Service that is used in between takes no turns away.
    diagnostics why;
    auto other = f.resolve(why, 80, "api");
    CHECK(f.next() == "GET /api/v1/namespaces/shop/services/api");
    f.answer(200, service_json());
    f.next();
    f.answer(200, list_json(slice_json("api-1", {"x", "y"})));
    CHECK((*other.value())[0].pod == "x");

    CHECK(f.pods() == names{"c", "a", "b"});
    CHECK(f.pods() == names{"a", "b", "c"});
}

TEST_CASE("service client: what a watch tells", "[kube][service_client]")
{
    fixture f;
    auto s = f.resolve();
    f.load(slice_json("web-1", {"a"}));
    REQUIRE(s.done());
    SECTION("another slice")
    {
        f.event("ADDED", slice_json("web-2", {"b"}, "101"));
        CHECK(f.pods() == names{"b", "a"}); // the second call begins with the second pod
    }
    SECTION("a change")
    {
        f.event("MODIFIED", slice_json("web-1", {"b"}, "101"));
        CHECK(f.pods() == names{"b"});
    }
    SECTION("the end of a slice")
    {
        f.event("DELETED", slice_json("web-1", {"a"}, "101"));
        CHECK(f.pods() == names{kube::describe(kube::errc::no_endpoints).data()});
    }
    SECTION("a bookmark changes nothing")
    {
        f.event("BOOKMARK", R"({"kind":"EndpointSlice","metadata":{"resourceVersion":"500"},"endpoints":null,"ports":null})");
        CHECK(f.pods() == names{"a"});
    }
    CHECK(f.next().empty());
}

TEST_CASE("service client: the next watch goes on where the last one ended", "[kube][service_client]")
{
    auto config = slow();
    config.watch.first_backoff = 0ms; // however short it was, it ended as asked
    fixture f(config);
    auto s = f.resolve();
    f.load(slice_json("web-1", {"a"}));
    SECTION("with the version of the list") {}
    SECTION("with the version of an event") { f.event("MODIFIED", slice_json("web-1", {"a"}, "150")); }
    SECTION("with the version of a bookmark")
    {
        f.event("MODIFIED", slice_json("web-1", {"a"}, "150"));
        f.event("BOOKMARK", R"({"kind":"EndpointSlice","metadata":{"resourceVersion":"150"}})");
    }
    bool const seen = f.pods() == names{"a"};
    CHECK(seen);
    f.watch->send("0\r\n\r\n");
    std::string const again = f.next();
    CHECK((again == f.watch_path + "100" || again == f.watch_path + "150"));
    f.begin_watch();
    f.event("MODIFIED", slice_json("web-1", {"z"}, "151"));
    CHECK(f.pods() == names{"z"});
}

TEST_CASE("service client: a server that ends every watch at once is not asked without a pause", "[kube][service_client]")
{
    fixture f; // the first pause is an hour
    auto s = f.resolve();
    f.load(slice_json("web-1", {"a"}));
    f.watch->send("0\r\n\r\n");
    CHECK(f.next().empty());
}

TEST_CASE("service client: a watch that is too old makes a new list, at once", "[kube][service_client]")
{
    fixture f;
    auto s = f.resolve();
    bool const by_event = GENERATE(true, false);
    if (by_event) {
        f.load(slice_json("web-1", {"a"}));
        f.event("ERROR", status_json(410, "too old resource version: 1 (2258)"));
    } else {
        f.next();
        f.answer(200, service_json());
        f.next();
        f.answer(200, list_json(slice_json("web-1", {"a"})));
        CHECK(f.next() == f.watch_path + "100");
        f.answer(410, status_json(410, "too old resource version: 1 (2258)"));
    }
    CHECK(f.next() == f.list_path);
    f.answer(200, list_json(slice_json("web-2", {"b"}), "200"));
    CHECK(f.next() == f.watch_path + "200");
    SECTION("and works from then on")
    {
        f.begin_watch();
        CHECK(f.pods() == names{"b"});
        f.event("MODIFIED", slice_json("web-2", {"c"}, "201"));
        CHECK(f.pods() == names{"c"});
    }
    SECTION("but if that one is too old again, not without a pause")
    {
        f.answer(410, status_json(410, "too old"));
        CHECK(f.next().empty());
    }
}

TEST_CASE("service client: a lost watch is begun again after a pause, with a new list", "[kube][service_client]")
{
    auto config = slow();
    config.watch.first_backoff = 1ms;
    config.watch.most_backoff = 2ms;
    fixture f(config);
    auto s = f.resolve();
    f.load(slice_json("web-1", {"a"}));
    SECTION("the connection is reset") { f.watch->reset(); }
    SECTION("it ends inside of a line") { f.watch->send("10\r\n{\"type\":\"MODIFI"), f.watch->end(); }
    SECTION("a line that is no event") { f.watch->send(chunk("what?")); }
    SECTION("an error of the server") { f.event("ERROR", status_json(504, "Timeout: Too large resource version")); }
    CHECK(f.wait_for_next() == f.list_path);
    f.answer(200, list_json(slice_json("web-1", {"b"}), "200"));
    CHECK(f.wait_for_next() == f.watch_path + "200");
    f.begin_watch();
    CHECK(f.pods() == names{"b"});
}

TEST_CASE("service client: pauses grow, and go on while the API server is away", "[kube][service_client]")
{
    auto config = slow();
    config.watch.first_backoff = 1ms;
    config.watch.most_backoff = 4ms;
    fixture f(config);
    auto s = f.resolve();
    f.load(slice_json("web-1", {"a"}));
    f.out.failures.assign(12, make_error_code(asio::error::connection_refused));
    for (auto& p : f.out.peers) p->reset();
    CHECK(poll_until(f.ctx, [&] { return f.out.failures.empty(); }));
    CHECK(f.wait_for_next().starts_with(f.list_path));
}

TEST_CASE("service client: while no watch runs, endpoints are listed again when they are needed", "[kube][service_client]")
{
    auto config = slow();
    config.trust_unwatched = 0ms;
    fixture f(config);
    auto s = f.resolve();
    f.next();
    f.answer(200, service_json());
    f.next();
    f.answer(200, list_json(slice_json("web-1", {"a"})));
    CHECK(f.next() == f.watch_path + "100");
    f.answer(403, status_json(403, "endpointslices.discovery.k8s.io is forbidden"));
    REQUIRE(s.done());
    CHECK(f.next().empty()); // not tried again
    CHECK(poll_until(f.ctx, [] { return true; }));

    auto t = f.resolve();
    CHECK_FALSE(t.done());
    CHECK(f.next() == f.list_path);
    f.answer(200, list_json(slice_json("web-1", {"b"})));
    REQUIRE(t.done());
    CHECK((*t.value())[0].pod == "b");
    CHECK(f.next().empty());

    SECTION("and what the list says counts, also when it says no")
    {
        auto u = f.resolve();
        CHECK(f.next() == f.list_path);
        f.answer(401, status_json(401, "Unauthorized"));
        CHECK(u.error() == kube::errc::unauthorized);
        CHECK(f.client->services() == 1);
    }
}

TEST_CASE("service client: endpoints are believed for a while after a watch was lost, not after one that never ran", "[kube][service_client]")
{
    auto config = slow();
    fixture f(config);
    auto s = f.resolve();
    f.load(slice_json("web-1", {"a"}));
    f.watch->reset();
    f.run();
    CHECK(f.pods() == names{"a"});
}

TEST_CASE("service client: uses at the same time share one question", "[kube][service_client]")
{
    std::vector<std::unique_ptr<diagnostics>> whys;
    fixture f;
    std::vector<spawned<pods_result>> all;
    for (int i = 0; i < 5; ++i) {
        whys.push_back(std::make_unique<diagnostics>());
        all.push_back(f.resolve(*whys.back()));
    }
    CHECK(f.out.peers.size() == 1);
    SECTION("and its answer")
    {
        f.load(slice_json("web-1", {"a", "b"}));
        for (auto& s : all) {
            REQUIRE(s.done());
            CHECK(s.value());
        }
    }
    SECTION("and its failure")
    {
        f.next();
        f.answer(404, status_json(404, "services not found"));
        for (auto& s : all) {
            REQUIRE(s.done());
            CHECK(s.error() == kube::errc::not_found);
        }
        for (auto& why : whys) CHECK(why->server_text == "services not found");
        CHECK(f.next().empty());
        CHECK(f.client->services() == 0);
    }
    SECTION("but not its cancellation")
    {
        f.next();
        all[0].cancel().run();
        CHECK(all[0].error() == asio::error::operation_aborted);
        f.load(slice_json("web-1", {"a"}));
        for (std::size_t i = 1; i < all.size(); ++i) {
            REQUIRE(all[i].done());
            CHECK(all[i].value());
        }
    }
    SECTION("and one that waits may leave")
    {
        all[3].cancel().run();
        REQUIRE(all[3].done());
        CHECK(all[3].error() == asio::error::operation_aborted);
        f.load(slice_json("web-1", {"a"}));
        CHECK(all[0].value());
        CHECK(all[4].value());
    }
}

TEST_CASE("service client: a Service that can't be read", "[kube][service_client]")
{
    struct row {
        unsigned status;
        std::string body;
        std::error_code expected;
    };
    std::vector<row> const rows{{404, status_json(404, "no"), kube::errc::not_found},   {403, status_json(403, "no"), kube::errc::forbidden},
                                {401, status_json(401, "no"), kube::errc::unauthorized}, {500, "oops", kube::errc::api_error},
                                {200, "<html>", kube::errc::bad_answer},                 {200, list_json(""), kube::errc::bad_answer}};
    for (auto const& r : rows) {
        INFO(r.status << r.body);
        fixture f;
        auto s = f.resolve();
        f.next();
        f.answer(r.status, r.body);
        REQUIRE(s.done());
        CHECK(s.error() == r.expected);
        CHECK(f.client->services() == 0);
        CHECK(f.next().empty());
        // It is asked for again next time.
        auto t = f.resolve();
        CHECK(f.next() == "GET /api/v1/namespaces/shop/services/web");
        t.cancel();
    }
}

TEST_CASE("service client: slices that can't be read", "[kube][service_client]")
{
    fixture f;
    auto s = f.resolve();
    f.next();
    f.answer(200, service_json());
    CHECK(f.next() == f.list_path);
    f.answer(403, status_json(403, "no"));
    CHECK(s.error() == kube::errc::forbidden);
    CHECK(f.client->services() == 0);
}

TEST_CASE("service client: an ExternalName is not listed and not watched", "[kube][service_client]")
{
    auto config = slow();
    config.trust_unwatched = 0ms;
    fixture f(config);
    auto s = f.resolve();
    f.next();
    f.answer(200, service_json(R"("type":"ExternalName","externalName":"db.example.com")"));
    CHECK(s.error() == kube::errc::external_name);
    CHECK(f.next().empty());
    // Neither later.
    CHECK(f.pods() == names{kube::describe(kube::errc::external_name).data()});
    CHECK(f.next().empty());
}

TEST_CASE("service client: a Service's ports are read again behind a use", "[kube][service_client]")
{
    auto config = slow();
    config.trust_service = 0s;
    fixture f(config);
    auto s = f.resolve();
    f.load(slice_json("web-1", {"a"}));
    REQUIRE(s.done());
    // The load itself is fresh enough; the next use asks in the background and does not wait.
    CHECK(f.pods() == names{"a"});
    CHECK(f.next() == "GET /api/v1/namespaces/shop/services/web");
    CHECK(f.pods() == names{"a"});
    CHECK(f.next().empty()); // one such question at a time
    // `peer` is null now: the question is still open on the connection that is not the watch
    for (auto& p : f.out.peers)
        if (p.get() != f.watch) f.peer = p.get();
    SECTION("new ports count")
    {
        f.answer(200, service_json(R"("ports":[{"name":"http","port":81}],"clusterIP":"10.0.0.1")"));
        diagnostics why;
        auto t = f.resolve(why, 81);
        REQUIRE(t.done());
        CHECK((*t.value())[0].port == 8080);
    }
    SECTION("a failure leaves what is known")
    {
        f.answer(500, "oops");
        CHECK(f.pods() == names{"a"});
    }
    SECTION("a Service that is gone is forgotten")
    {
        f.answer(404, status_json(404, "services \\\"web\\\" not found"));
        CHECK(f.client->services() == 0);
    }
}

TEST_CASE("service client: a Service that nobody uses is forgotten, and its watch ends with the next event", "[kube][service_client]")
{
    fixture f;
    auto s = f.resolve();
    f.load(slice_json("web-1", {"a"}));
    auto const now = net::clock::now();
    f.client->trim(now + 299s);
    CHECK(f.client->services() == 1);
    f.client->trim(now + 301s);
    CHECK(f.client->services() == 0);
    f.event("MODIFIED", slice_json("web-1", {"b"}, "101"));
    CHECK(f.watch->closed());
    CHECK(f.next().empty());
    auto t = f.resolve();
    CHECK(f.next() == "GET /api/v1/namespaces/shop/services/web");
    t.cancel();
}

TEST_CASE("service client: close ends watches and pauses, whatever they do", "[kube][service_client]")
{
    auto fx = std::make_unique<fixture>();
    auto& f = *fx;
    auto s = f.resolve();
    SECTION("while it loads") { s.cancel(); }
    SECTION("with a running watch")
    {
        f.load(slice_json("web-1", {"a"}));
        f.client->close();
        f.run();
        CHECK(f.watch->closed());
    }
    SECTION("in a pause")
    {
        f.load(slice_json("web-1", {"a"}));
        f.watch->reset();
        f.run();
    }
    SECTION("while a watch is asked for")
    {
        f.next();
        f.answer(200, service_json());
        f.next();
        f.answer(200, list_json(""));
        f.next();
    }
    fx.reset(); // joins, or the test hangs
}

TEST_CASE("service client: resolving may be cancelled at every point", "[kube][service_client]")
{
    for (std::size_t n = 0;; ++n) {
        INFO(n);
        fixture f;
        diagnostics why;
        spawned<pods_result> s(f.ctx, f.client->resolve("shop", "web", 80, why));
        for (std::size_t i = 0; i < n && !s.done(); ++i) {
            if (s.step()) continue;
            std::string request;
            for (auto& p : f.out.peers)
                if (request = p->take(); !request.empty()) {
                    if (request.find("services/web") != std::string::npos) p->send(200, service_json());
                    else p->send(200, list_json(slice_json("web-1", {"a"})));
                    break;
                }
        }
        if (s.done()) {
            CHECK(s.value());
            CHECK(n > 5);
            break;
        }
        s.cancel();
        f.run();
        if (s.done() && (s.threw() || !s.value())) { // the last steps come to their end all the same
            CHECK(s.error() == asio::error::operation_aborted);
            CHECK(f.client->services() == 0);
        }
    }
}
