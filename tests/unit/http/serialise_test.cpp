#include <podproxy/http/serialise.hpp>

#include <podproxy/http/date.hpp>
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

TEST_CASE("http errors: every one has a text, a condition and a status", "[http]")
{
    for (int i = 1; i <= static_cast<int>(errc::not_ready); ++i) {
        auto const e = static_cast<errc>(i);
        INFO(i);
        CHECK(make_error_code(e).message() != "unknown HTTP error");
        CHECK(status_for(e) >= 400);
        CHECK((make_error_code(e) == cond::malformed || make_error_code(e) == cond::too_large || make_error_code(e) == cond::unavailable));
    }
    CHECK(make_error_code(static_cast<errc>(1000)).message() == "unknown HTTP error");
    CHECK(status_for(make_error_code(errc::head_too_large)) == 431);
    CHECK(status_for(make_error_code(errc::request_line_too_long)) == 414);
    CHECK(status_for(make_error_code(errc::body_too_large)) == 413);
    CHECK(status_for(make_error_code(errc::unsupported_version)) == 505);
    CHECK(status_for(make_error_code(errc::unsupported_coding)) == 501);
    CHECK(status_for(make_error_code(errc::obs_fold)) == 400);
    CHECK(status_for(make_error_code(podproxy::errc::timed_out)) == 408);
    CHECK(status_for(make_error_code(podproxy::errc::buffer_full)) == 431);
    CHECK(status_for(make_error_code(podproxy::errc::truncated)) == 400);
}

TEST_CASE("http date: the preferred form", "[http]")
{
    using std::chrono::seconds;
    using std::chrono::sys_seconds;
    CHECK(format_date(sys_seconds(seconds(784111777))) == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(format_date(sys_seconds(seconds(0))) == "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK(format_date(sys_seconds(seconds(951827696))) == "Tue, 29 Feb 2000 12:34:56 GMT");
    CHECK(format_date(sys_seconds(seconds(253402300799))) == "Fri, 31 Dec 9999 23:59:59 GMT");
}

} // namespace podproxy::http
