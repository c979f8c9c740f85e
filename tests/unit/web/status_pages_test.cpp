#include <podproxy/web/status_pages.hpp>

#include <catch2/catch_test_macros.hpp>
#include <podproxy/core/base64.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include <unit/metrics/text_parser.hpp>
#include <unit/web/fake_source.hpp>

using namespace podproxy;

namespace {

struct fixture {
    test::fake_source source;
    metrics::registry measured;
    web::status_config config;

    fixture()
    {
        config.program = "wake-proxy";
        config.version = "1.2.3";
        config.names = {"status.example.com"};
    }

    /// The pages are made at the first request.
    web::answer ask(http::request_head const& request)
    {
        if (!pages_) pages_.emplace(source, measured, config, wall_time{});
        return pages_->answer(request);
    }
    web::answer get(std::string_view path, http::fields more = {})
    {
        if (!more.contains("Host")) more.add("Host", "127.0.0.1:9100");
        return ask({"GET", std::string(path), std::move(more)});
    }
    web::answer post(std::string_view path, http::fields more = {{"X-Podproxy-Action", "1"}})
    {
        if (!more.contains("Host")) more.add("Host", "127.0.0.1:9100");
        return ask({"POST", std::string(path), std::move(more)});
    }

private:
    std::optional<web::status_pages> pages_;
};

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

} // namespace

TEST_CASE_METHOD(fixture, "status pages: what there is, and what there is not")
{
    for (std::string_view const path : {"/", "/api/status", "/metrics", "/healthz", "/style.css", "/script.js", "/icon.svg", "/?a=b", "/metrics?x", "http://127.0.0.1/healthz"}) {
        INFO(path);
        auto const a = get(path);
        CHECK(a.head.status == 200);
        CHECK_FALSE(a.body.empty());
        CHECK(a.head.fields.get("X-Content-Type-Options") == "nosniff");
        CHECK(a.head.fields.get("Cache-Control") == "no-store");
        CHECK_FALSE(a.head.fields.contains("Access-Control-Allow-Origin"));
    }
    for (std::string_view const path : {"/x", "/metrics/", "/api", "/api/", "/api/groups/web", "/..", "//", "/healthz/x"}) {
        INFO(path);
        CHECK(get(path).head.status == 404);
    }
    CHECK(ask({"HEAD", "/", {{"Host", "localhost"}}}).head.status == 200);
    for (std::string_view const method : {"PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get"}) {
        auto const a = ask({std::string(method), "/", {{"Host", "localhost"}}});
        CHECK(a.head.status == 405);
        CHECK(a.head.fields.get("Allow") == "GET, HEAD");
    }
    CHECK(post("/").head.status == 405);
    CHECK(ask({"CONNECT", "example.com:443", {{"Host", "example.com:443"}}}).head.status == 400);
    CHECK(ask({"OPTIONS", "*", {{"Host", "localhost"}}}).head.status == 400);
    CHECK(ask({"GET", "nonsense", {{"Host", "localhost"}}}).head.status == 400);
}

TEST_CASE_METHOD(fixture, "status pages: a page of somebody whose name leads here can read nothing")
{
    for (std::string_view const host : {"127.0.0.1:9100", "127.0.0.1", "[::1]:9100", "192.0.2.7:1", "localhost", "LOCALHOST:9100", "localhost.", "a.localhost", "status.example.com",
                                        "Status.Example.com:80", "status.example.com."}) {
        INFO(host);
        CHECK(get("/", {{"Host", host}}).head.status == 200);
    }
    for (std::string_view const host : {"evil.example", "evil.example:9100", "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost", ".localhost", "x.status.example.com",
                                        "127.0.0.1@evil.example", "wake-proxy", "", "127.0.0.1:x", "0x7f.1", "2130706433"}) {
        INFO(host);
        for (std::string_view const path : {"/", "/api/status", "/metrics"}) CHECK(get(path, {{"Host", host}}).head.status == 421);
        CHECK(post("/api/groups/web/wake", {{"Host", host}, {"X-Podproxy-Action", "1"}}).head.status == 421);
    }
    CHECK(ask({"GET", "http://evil.example/", {{"Host", "127.0.0.1"}}}).head.status == 421);
    CHECK(ask({"GET", "/", {}}).head.status == 421);
    http::request_head old("GET", "/", {});
    old.version = http::version::http_1_0;
    CHECK(ask(old).head.status == 200);

    // Probes come under any name and learn the status alone.
    auto const probe = get("/healthz", {{"Host", "evil.example"}});
    CHECK(probe.head.status == 200);
    CHECK(probe.body == "ok\n");
}

TEST_CASE_METHOD(fixture, "status pages: health is a status and a sentence")
{
    CHECK(get("/healthz").head.status == 200);
    CHECK(get("/healthz").body == "All is well.\n");
    source.state = {false, "The engine docker can't be reached."};
    CHECK(get("/healthz").head.status == 503);
    CHECK(get("/healthz").body == "The engine docker can't be reached.\n");
    CHECK(get("/healthz", {{"Host", "x"}}).body == "unavailable\n");
    CHECK(get("/").head.status == 200); // the page itself is there
    CHECK(has(get("/").body, "<span class=\"bad\">The engine docker can&#39;t be reached.</span>"));
}

TEST_CASE_METHOD(fixture, "status pages: metrics come in the format that is asked for")
{
    measured.add_counter("mine_total", "Mine.").add(3);
    auto const plain = get("/metrics");
    CHECK(plain.head.fields.get("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
    auto const read = test::parse_exposition(plain.body, metrics::format::prometheus);
    CHECK(read.problem.empty());
    CHECK(read.value("mine_total") == 3);
    CHECK(read.value("fake_groups") == 1);
    auto const open = get("/metrics", {{"Accept", "text/plain;q=0.5"}, {"Accept", "application/openmetrics-text;version=1.0.0"}});
    CHECK(open.head.fields.get("Content-Type") == "application/openmetrics-text; version=1.0.0; charset=utf-8");
    CHECK(test::parse_exposition(open.body, metrics::format::openmetrics).problem.empty());
}

TEST_CASE_METHOD(fixture, "status pages: JSON holds what the program tells, whatever its texts are")
{
    source.told = {{"groups", {{{"name", "a\xff<script>"}}}}};
    auto const a = get("/api/status");
    CHECK(a.head.fields.get("Content-Type") == "application/json");
    auto const read = nlohmann::json::parse(a.body);
    CHECK(read["program"] == "wake-proxy");
    CHECK(read["version"] == "1.2.3");
    CHECK(read["started"] == "1970-01-01T00:00:00.000Z");
    CHECK(read["health"]["ok"] == true);
    CHECK(read["health"]["sentence"] == "All is well.");
    CHECK(read["groups"][0]["name"] == "a\xef\xbf\xbd<script>");
}

TEST_CASE_METHOD(fixture, "status pages: texts of others stay texts on the page")
{
    std::string const evil = "\"><script>alert('1')</script>&\x01\xff";
    config.program = "<p>";
    source.content.figures = {{evil, {evil, web::tone::busy, evil}}};
    source.content.sections = {{evil, {evil}, {{{{evil, web::tone::bad, evil}}, {{evil, evil, evil, evil, evil}}}}, ""}, {"Empty", {"x"}, {}, evil}};
    config.actions = web::actions::allowed;
    auto const page = get("/").body;
    CHECK_FALSE(has(page, "<script>"));
    CHECK_FALSE(has(page, "alert('"));
    CHECK_FALSE(has(page, "\x01"));
    CHECK_FALSE(has(page, "\xff"));
    CHECK(has(page, "&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp; \xef\xbf\xbd"));
    CHECK(has(page, "data-path=\"/api/%22%3E%3Cscript%3E"));
}

TEST_CASE_METHOD(fixture, "status pages: the page loads nothing from elsewhere, and may not")
{
    auto const a = get("/");
    CHECK(has(a.head.fields.get("Content-Security-Policy"), "default-src 'none'"));
    CHECK(has(a.head.fields.get("Content-Security-Policy"), "frame-ancestors 'none'"));
    CHECK_FALSE(has(a.head.fields.get("Content-Security-Policy"), "unsafe"));
    CHECK(a.head.fields.get("X-Frame-Options") == "DENY");
    std::string const all = a.body + get("/style.css").body + get("/script.js").body;
    CHECK_FALSE(has(all, "https://"));
    CHECK_FALSE(has(all, "http://"));
    CHECK_FALSE(has(all, "url("));
    CHECK_FALSE(has(a.body, " style="));
    CHECK_FALSE(has(a.body, "onclick"));
    CHECK(has(a.body, "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>"));
    CHECK(has(a.body, "data-refresh=\"2\""));
}

TEST_CASE_METHOD(fixture, "status pages: buttons are neither shown nor obeyed unless the settings say so")
{
    source.content.sections = {{"Groups", {"Name"}, {{{{"web"}}, {{"Wake", "groups", "web", "wake", ""}, {"Stop", "groups", "web", "stop", "Sure?"}}}}, ""}};
    SECTION("refused")
    {
        CHECK_FALSE(has(get("/").body, "<button"));
        auto const a = post("/api/groups/web/wake");
        CHECK(a.head.status == 403);
        CHECK(has(a.body, "turned off"));
        CHECK(source.pressed.empty());
    }
    SECTION("allowed")
    {
        config.actions = web::actions::allowed;
        CHECK(has(get("/").body, "data-path=\"/api/groups/web/wake\""));
        CHECK(has(get("/").body, "data-question=\"Sure?\""));
        auto const a = post("/api/groups/web/wake");
        CHECK(a.head.status == 202);
        CHECK(nlohmann::json::parse(a.body)["begun"] == "wake");
        CHECK(post("/api/groups/a%20b%2Fc/stop").head.status == 202);
        CHECK(source.pressed == std::vector<std::string>{"web: wake", "a b/c: stop"});
    }
}

TEST_CASE_METHOD(fixture, "status pages: what is no button is not found")
{
    config.actions = web::actions::allowed;
    for (std::string_view const path : {"/api/", "/api/groups", "/api/groups/", "/api/groups/web", "/api/groups/web/", "/api/groups//wake", "/api//web/wake", "/api/groups/web/wake/x",
                                        "/api/groups/%zz/wake", "/api/groups/nobody/wake", "/api/clusters/web/wake", "/api/groups/a/b/wake"}) {
        INFO(path);
        auto const a = post(path);
        CHECK(a.head.status == 404);
        CHECK(nlohmann::json::parse(a.body).contains("error"));
    }
    CHECK(source.pressed.empty());
    CHECK(get("/api/groups/web/wake").head.status == 404); // reading presses nothing
}

TEST_CASE_METHOD(fixture, "status pages: buttons on pages of others press nothing")
{
    config.actions = web::actions::allowed;
    std::string const path = "/api/groups/web/wake";
    auto const status = [&](http::fields f) { return post(path, std::move(f)).head.status; };
    // A form, or a fetch without leave of ours: no field of our own.
    CHECK(status({}) == 403);
    CHECK(status({{"Content-Type", "application/x-www-form-urlencoded"}, {"Origin", "http://127.0.0.1:9100"}}) == 403);
    for (std::string_view const origin : {"http://evil.example", "null", "http://127.0.0.1:9101", "http://127.0.0.1", "https://127.0.0.1:91000", "", "127.0.0.1:9100", "file://",
                                          "ftp://127.0.0.1:9100", "http://127.0.0.1:9100/"}) {
        INFO(origin);
        CHECK(status({{"X-Podproxy-Action", "1"}, {"Origin", origin}}) == 403);
    }
    for (std::string_view const site : {"cross-site", "same-site", "none", ""}) CHECK(status({{"X-Podproxy-Action", "1"}, {"Sec-Fetch-Site", site}}) == 403);
    CHECK(source.pressed.empty());

    CHECK(status({{"X-Podproxy-Action", "1"}}) == 202); // curl
    CHECK(status({{"X-Podproxy-Action", "1"}, {"Origin", "http://127.0.0.1:9100"}, {"Sec-Fetch-Site", "same-origin"}}) == 202);
    CHECK(status({{"X-Podproxy-Action", "1"}, {"Origin", "https://status.example.com"}, {"Host", "status.example.com"}}) == 202);
    CHECK(source.pressed.size() == 3);
}

TEST_CASE_METHOD(fixture, "status pages: with a token nobody learns or does anything without it")
{
    config.actions = web::actions::allowed;
    config.token = secret("s3cret:with colon");
    auto const basic = [](std::string_view both) { return "Basic " + encode_base64(as_bytes(both)); };
    for (std::string const& good : {std::string("Bearer s3cret:with colon"), std::string("bearer  s3cret:with colon"), basic("any:s3cret:with colon"), basic(":s3cret:with colon")}) {
        INFO(good);
        CHECK(get("/", {{"Authorization", good}}).head.status == 200);
        CHECK(get("/healthz", {{"Authorization", good}}).body == "All is well.\n");
        CHECK(post("/api/groups/web/wake", {{"Authorization", good}, {"X-Podproxy-Action", "1"}}).head.status == 202);
    }
    source.pressed.clear();
    for (std::string const& bad : {std::string(), std::string("Bearer"), std::string("Bearer "), std::string("Bearer s3cret"), std::string("Bearer s3cret:with colon "),
                                   std::string("s3cret:with colon"), std::string("Digest s3cret:with colon"), basic("s3cret:with colon"), basic("any:"), std::string("Basic !"),
                                   std::string("Basic")}) {
        INFO(bad);
        http::fields f;
        if (!bad.empty()) f.add("Authorization", bad);
        for (std::string_view const path : {"/", "/metrics", "/api/status", "/style.css", "/x"}) {
            auto const a = get(path, f);
            CHECK(a.head.status == 401);
            CHECK(a.head.fields.get("WWW-Authenticate") == "Basic realm=\"wake-proxy\", charset=\"UTF-8\"");
            CHECK_FALSE(has(a.body, "s3cret"));
        }
        f.add("X-Podproxy-Action", "1");
        CHECK(post("/api/groups/web/wake", f).head.status == 401);
        CHECK(get("/healthz", f).head.status == 200);
        CHECK(get("/healthz", f).body == "ok\n");
    }
    CHECK(source.pressed.empty());
    // A password that a browser adds by itself does not help pages of others.
    CHECK(post("/api/groups/web/wake", {{"Authorization", basic("a:s3cret:with colon")}}).head.status == 403);
    CHECK(get("/", {{"Authorization", basic("a:s3cret:with colon")}, {"Host", "evil.example"}}).head.status == 421);
}
