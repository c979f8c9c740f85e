#include <podproxy/http/serialise.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace podproxy::http {

TEST_CASE("http serialise: heads in their wire form", "[http]")
{
    request_head q;
    q.method = "GET";
    q.target = "/a";
    q.fields = {{"Host", "b"}, {"X", ""}};
    std::string out = "before|";
    REQUIRE(encode_request_head(out, q));
    CHECK(out == "before|GET /a HTTP/1.1\r\nHost: b\r\nX: \r\n\r\n");
    q.version = version::http_1_0;
    q.fields.clear();
    out.clear();
    REQUIRE(encode_request_head(out, q));
    CHECK(out == "GET /a HTTP/1.0\r\n\r\n");

    response_head r;
    r.status = 404;
    out.clear();
    REQUIRE(encode_response_head(out, r));
    CHECK(out == "HTTP/1.1 404 Not Found\r\n\r\n");
    r.status = 299;
    r.reason = "Sure";
    out.clear();
    REQUIRE(encode_response_head(out, r));
    CHECK(out == "HTTP/1.1 299 Sure\r\n\r\n");
    r.status = 299;
    r.reason.clear();
    out.clear();
    REQUIRE(encode_response_head(out, r));
    CHECK(out == "HTTP/1.1 299 \r\n\r\n");
}

TEST_CASE("http serialise: no text can break out of its place", "[http]")
{
    request_head const good("GET", "/", {{"Host", "a"}});
    std::string out = "kept";
    auto refused = [&](auto change) {
        request_head h = good;
        change(h);
        return encode_request_head(out, h).error() == errc::unsafe_head && out == "kept";
    };
    CHECK(refused([](request_head& h) { h.method = "GET /x HTTP/1.1\r\nX:"; }));
    CHECK(refused([](request_head& h) { h.method = "GE T"; }));
    CHECK(refused([](request_head& h) { h.method.clear(); }));
    CHECK(refused([](request_head& h) { h.target.clear(); }));
    CHECK(refused([](request_head& h) { h.target = "/ HTTP/1.1\r\nX: y"; }));
    CHECK(refused([](request_head& h) { h.target = "/a b"; }));
    CHECK(refused([](request_head& h) { h.fields.add("X", "a\r\nY: b"); }));
    CHECK(refused([](request_head& h) { h.fields.add("X", "a\nY: b"); }));
    CHECK(refused([](request_head& h) { h.fields.add("X", "a\rb"); }));
    CHECK(refused([](request_head& h) { h.fields.add("X", std::string("a\0b", 3)); }));
    CHECK(refused([](request_head& h) { h.fields.add("X: y\r\nZ", "a"); }));
    CHECK(refused([](request_head& h) { h.fields.add("X ", "a"); }));
    CHECK(refused([](request_head& h) { h.fields.add("", "a"); }));
    auto response_refused = [&](unsigned status, std::string reason) {
        response_head r;
        r.status = status;
        r.reason = std::move(reason);
        return encode_response_head(out, r).error() == errc::unsafe_head && out == "kept";
    };
    CHECK(response_refused(200, "OK\r\nX: y"));
    CHECK(response_refused(200, "OK\n"));
    CHECK(response_refused(99, ""));
    CHECK(response_refused(1000, ""));
}

} // namespace podproxy::http
