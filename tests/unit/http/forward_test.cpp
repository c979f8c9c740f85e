#include <podproxy/http/forward.hpp>

#include <unit/http/transcript.hpp>

#include <catch2/catch_test_macros.hpp>
#include <podproxy/http/serialise.hpp>
#include <string>
#include <string_view>

namespace podproxy::http {
namespace {

request_head head_of(std::string const& wire, body_framing& f)
{
    request_decoder d;
    auto const s = d.next(as_bytes(wire));
    INFO(wire << " -> " << s.error.message());
    REQUIRE(s.status == head_status::done);
    f = d.framing();
    return d.take_head();
}

result<forward_request> forward(std::string const& wire)
{
    body_framing f;
    auto head = head_of(wire, f);
    return make_upstream_request(std::move(head), f);
}

/// Wire form of what goes upstream, or the error.
std::string upstream(std::string const& wire)
{
    auto const r = forward(wire);
    if (!r) return r.error().message();
    std::string out;
    REQUIRE(encode_request_head(out, r->head));
    return out;
}

std::string downstream(std::string const& wire, std::string_view method = "GET", version client = version::http_1_1, bool keep = true)
{
    response_decoder d;
    auto const s = d.next(as_bytes(wire));
    REQUIRE(s.status == head_status::done);
    auto head = d.take_head();
    auto const f = response_framing(head, method);
    REQUIRE(f);
    auto const r = make_downstream_response(std::move(head), *f, method, client, keep);
    std::string out;
    REQUIRE(encode_response_head(out, r.head));
    return out + test::show(r.framing) + (r.keep_alive ? "" : ", close");
}

} // namespace

TEST_CASE("http forward: a request loses what was meant for us only", "[http]")
{
    CHECK(upstream("GET http://web.shop.demo:8080/a?b HTTP/1.1\r\n"
                   "Host: somewhere.else\r\n" // the target counts
                   "Accept: */*\r\n"
                   "Proxy-Connection: keep-alive\r\n"
                   "Proxy-Authorization: Basic eA==\r\n"
                   "Connection: keep-alive, X-Hop, x-other\r\n"
                   "X-Hop: 1\r\n"
                   "X-OTHER: 2\r\n"
                   "Keep-Alive: timeout=5\r\n"
                   "TE: gzip\r\n"
                   "Upgrade: h2c\r\n" // without `upgrade` in Connection
                   "Cookie: a=b\r\n"
                   "\r\n") == "GET /a?b HTTP/1.1\r\n"
                              "Host: web.shop.demo:8080\r\n"
                              "Accept: */*\r\n"
                              "Cookie: a=b\r\n"
                              "Via: 1.1 podproxy\r\n"
                              "\r\n");
}

TEST_CASE("http forward: the destination is the target's", "[http]")
{
    auto const r = forward("GET http://[2001:db8::1]/ HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(r);
    CHECK(r->destination == host_port("2001:db8::1", 80));
    CHECK(r->head.fields.get("Host") == "[2001:db8::1]");
    CHECK(forward("GET http://A:81?q HTTP/1.1\r\nHost: x\r\n\r\n")->destination == host_port("A", 81));
    CHECK(forward("GET http://A:81?q HTTP/1.1\r\nHost: x\r\n\r\n")->head.target == "/?q");
    CHECK(forward("GET http://A HTTP/1.1\r\nHost: x\r\n\r\n")->head.target == "/");
    CHECK(forward("OPTIONS http://A HTTP/1.1\r\nHost: x\r\n\r\n")->head.target == "*");
    CHECK(forward("OPTIONS http://A/ HTTP/1.1\r\nHost: x\r\n\r\n")->head.target == "/");
}

TEST_CASE("http forward: what is no request to a proxy for http is refused", "[http]")
{
    CHECK(forward("GET / HTTP/1.1\r\nHost: x\r\n\r\n").error() == errc::bad_target);
    CHECK(forward("CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n").error() == errc::bad_target);
    CHECK(forward("GET https://a/ HTTP/1.1\r\nHost: x\r\n\r\n").error() == errc::unsupported_scheme);
    CHECK(forward("GET ftp://a/ HTTP/1.1\r\nHost: x\r\n\r\n").error() == errc::unsupported_scheme);
    CHECK(forward("GET http://u:p@a/ HTTP/1.1\r\nHost: x\r\n\r\n").error() == errc::userinfo_in_target);
}

TEST_CASE("http forward: framing is written anew", "[http]")
{
    std::string const start = "POST http://a/ HTTP/1.1\r\nHost: a\r\n";
    CHECK(upstream(start + "Content-Length: 007, 7\r\nContent-Length: 7\r\n\r\n") ==
          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\nVia: 1.1 podproxy\r\n\r\n");
    CHECK(upstream(start + "transfer-encoding:\tCHUNKED\r\nTrailer: X-Sum\r\n\r\n") ==
          "POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\nVia: 1.1 podproxy\r\n\r\n");
    CHECK(upstream(start + "Content-Length: 0\r\n\r\n") == "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nVia: 1.1 podproxy\r\n\r\n");
    // Naming the framing fields in Connection does not make them go away.
    CHECK(upstream(start + "Connection: Content-Length, Host\r\nContent-Length: 7\r\n\r\n") ==
          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\nVia: 1.1 podproxy\r\n\r\n");
}

TEST_CASE("http forward: Via, upgrade, TE and Expect", "[http]")
{
    std::string const start = "GET http://a/ HTTP/1.1\r\nHost: a\r\n";
    CHECK(upstream(start + "Via: 1.0 first\r\nX: y\r\nVia: 1.1 second\r\n\r\n") ==
          "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 first, 1.1 second, 1.1 podproxy\r\nX: y\r\n\r\n");
    CHECK(upstream("GET http://a/ HTTP/1.0\r\nExpect: 100-continue\r\n\r\n") == "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 podproxy\r\n\r\n");
    CHECK(upstream(start + "Expect: 100-continue\r\n\r\n") == "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nVia: 1.1 podproxy\r\n\r\n");
    CHECK(upstream(start + "Connection: Upgrade, TE\r\nUpgrade: websocket\r\nTE: trailers, deflate;q=0.5\r\nSec-WebSocket-Version: 13\r\n\r\n") ==
          "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Version: 13\r\nVia: 1.1 podproxy\r\nTE: trailers\r\nUpgrade: websocket\r\n"
          "Connection: Upgrade, TE\r\n\r\n");
    CHECK(forward(start + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")->upgrade);
    CHECK_FALSE(forward(start + "Upgrade: websocket\r\n\r\n")->upgrade);
}

TEST_CASE("http forward: Max-Forwards counts down for TRACE and OPTIONS only", "[http]")
{
    auto with = [](std::string const& method, std::string const& value) {
        return forward(method + " http://a/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: " + value + "\r\nCookie: secret\r\nX: y\r\n\r\n");
    };
    CHECK(with("TRACE", "3")->head.fields.get("Max-Forwards") == "2");
    CHECK(with("OPTIONS", "1")->head.fields.get("Max-Forwards") == "0");
    CHECK(with("GET", "3")->head.fields.get("Max-Forwards") == "3");
    CHECK(with("TRACE", "x")->head.fields.get("Max-Forwards") == "x");
    CHECK_FALSE(with("GET", "0")->answer_here);
    auto const trace = with("TRACE", "0");
    REQUIRE(trace->answer_here);
    auto const shown = answer_max_forwards(*trace);
    CHECK(shown.head.fields.get("Content-Type") == "message/http");
    CHECK(shown.head.fields.get("Content-Length") == std::to_string(shown.body.size()));
    CHECK(shown.body.starts_with("TRACE / HTTP/1.1\r\n"));
    CHECK(shown.body.find("X: y") != std::string::npos);
    CHECK(shown.body.find("secret") == std::string::npos);
    auto const options = answer_max_forwards(*with("OPTIONS", "0"));
    CHECK(options.head.fields.contains("Allow"));
    CHECK(options.body.empty());
}

TEST_CASE("http forward: a response loses what was meant for us only", "[http]")
{
    CHECK(downstream("HTTP/1.1 200 Fine\r\n"
                     "Connection: X-Hop, close\r\n"
                     "X-Hop: 1\r\n"
                     "Keep-Alive: timeout=5\r\n"
                     "Proxy-Authenticate: Basic\r\n"
                     "Upgrade: h2c\r\n"
                     "Set-Cookie: a\r\n"
                     "Set-Cookie: b\r\n"
                     "Content-Length: 5, 5\r\n"
                     "\r\n") == "HTTP/1.1 200 Fine\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 5\r\nVia: 1.1 podproxy\r\n\r\nlength 5");
}

TEST_CASE("http forward: the framing of a response fits the client", "[http]")
{
    std::string const ok = "HTTP/1.1 200 OK\r\n";
    CHECK(downstream(ok + "Transfer-Encoding: chunked\r\n\r\n") == ok + "Transfer-Encoding: chunked\r\nVia: 1.1 podproxy\r\n\r\nchunked");
    CHECK(downstream(ok + "\r\n") == ok + "Transfer-Encoding: chunked\r\nVia: 1.1 podproxy\r\n\r\nchunked");
    CHECK(downstream("HTTP/1.0 200 OK\r\n\r\n") == ok + "Transfer-Encoding: chunked\r\nVia: 1.0 podproxy\r\n\r\nchunked");
    CHECK(downstream(ok + "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n", "GET", version::http_1_0) ==
          ok + "Via: 1.1 podproxy\r\nConnection: close\r\n\r\nuntil close, close");
    CHECK(downstream(ok + "Content-Length: 5\r\n\r\n", "GET", version::http_1_0) ==
          ok + "Content-Length: 5\r\nVia: 1.1 podproxy\r\nConnection: close\r\n\r\nlength 5, close");
    CHECK(downstream(ok + "Content-Length: 0\r\n\r\n", "GET", version::http_1_1, false) ==
          ok + "Content-Length: 0\r\nVia: 1.1 podproxy\r\nConnection: close\r\n\r\nnone, close");
    CHECK(downstream(ok + "Content-Length: 5\r\n\r\n", "HEAD") == ok + "Content-Length: 5\r\nVia: 1.1 podproxy\r\n\r\nnone");
    CHECK(downstream(ok + "Transfer-Encoding: chunked\r\n\r\n", "HEAD") == ok + "Via: 1.1 podproxy\r\n\r\nnone");
    CHECK(downstream("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n") ==
          "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nVia: 1.1 podproxy\r\n\r\nnone");
    CHECK(downstream("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n") == "HTTP/1.1 204 No Content\r\nVia: 1.1 podproxy\r\n\r\nnone");
}

TEST_CASE("http forward: interim responses and a switch of protocols", "[http]")
{
    CHECK(downstream("HTTP/1.1 100 Continue\r\n\r\n", "POST", version::http_1_1, false) == "HTTP/1.1 100 Continue\r\nVia: 1.1 podproxy\r\n\r\nnone, close");
    CHECK(downstream("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") == "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nVia: 1.1 podproxy\r\n\r\nnone");
    CHECK(downstream("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n") ==
          "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nVia: 1.1 podproxy\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nnone");
}

TEST_CASE("http forward: trailers that must not pass are dropped", "[http]")
{
    CHECK(forward_trailers({{"X-Sum", "1"}, {"Content-Length", "5"}, {"grpc-status", "0"}, {"Host", "b"}}) ==
          fields{{"X-Sum", "1"}, {"grpc-status", "0"}});
}

} // namespace podproxy::http
