#include <podproxy/http/parser.hpp>

#include <unit/http/transcript.hpp>

#include <catch2/catch_test_macros.hpp>
#include <podproxy/http/serialise.hpp>
#include <unit/support/splits.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::http {

namespace {

std::string request(std::string_view wire, head_limits limits = {})
{
    return test::check_all_splits(as_bytes(wire), [&](std::span<bytes_view const> p) { return test::head_transcript<request_decoder>(p, limits); });
}

std::string response(std::string_view wire, head_limits limits = {})
{
    return test::check_all_splits(as_bytes(wire), [&](std::span<bytes_view const> p) { return test::head_transcript<response_decoder>(p, limits); });
}

std::error_code request_error(std::string_view wire, head_limits limits = {})
{
    (void)request(wire, limits);
    return request_decoder(limits).next(as_bytes(wire)).error;
}

std::error_code response_error(std::string_view wire, head_limits limits = {})
{
    (void)response(wire, limits);
    return response_decoder(limits).next(as_bytes(wire)).error;
}

struct bad_case {
    char const* name;
    std::string wire;
    errc expected;
};

} // namespace

TEST_CASE("http request: a head is read whatever the cuts, and what follows is left alone", "[http]")
{
    CHECK(request("GET /a?b=c HTTP/1.1\r\n"   // request line
                  "Host: web.shop.demo:80\r\n" // blanks around the value are not part of it
                  "X-Empty:\r\n"
                  "x-bytes:\t \xc3\xa9 a\tb  \r\n"
                  "Content-Length: 3\r\n"
                  "\r\n"
                  "abcGET") == "<GET> </a?b=c> HTTP/1.1\n"
                               "<Host>=<web.shop.demo:80>\n<X-Empty>=<>\n<x-bytes>=<\xc3\xa9 a\tb>\n<Content-Length>=<3>\n"
                               "framing length 3\n6 left");
}

TEST_CASE("http request: one empty line before the request line is skipped, two are not", "[http]")
{
    CHECK(request("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") == "<GET> </> HTTP/1.1\n<Host>=<a>\nframing none\n0 left");
    CHECK(request_error("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") == errc::bad_request_line);
}

TEST_CASE("http request: versions", "[http]")
{
    CHECK(request("GET / HTTP/1.0\r\n\r\n") == "<GET> </> HTTP/1.0\nframing none\n0 left");
    CHECK(request("GET / HTTP/1.2\r\nHost:\r\n\r\n") == "<GET> </> HTTP/1.1\n<Host>=<>\nframing none\n0 left");
    CHECK(request_error("GET / HTTP/2.0\r\n\r\n") == errc::unsupported_version);
    CHECK(request_error("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == errc::unsupported_version);
    for (std::string_view const version : {"HTTP/1", "HTTP/1.", "HTTP/1.11", "http/1.1", "HTTP/1,1", "HTTP/x.1", "HTTPS/1.1", "ICY/1.1", ""})
        CHECK(request_error("GET / " + std::string(version) + "\r\nHost: a\r\n\r\n").category() == category_of<errc>());
}

TEST_CASE("http request: several heads follow each other in one decoder", "[http]")
{
    std::string const one = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    std::string const all = test::check_all_splits(as_bytes(one + one + "GE"), [](std::span<bytes_view const> p) {
        return test::head_transcript<request_decoder>(p, {}, false);
    });
    CHECK(all.ends_with("partial, 0 left"));
    CHECK(all.find("<GET>", 5) != std::string::npos);
}

TEST_CASE("http request: shapes that two readers could understand differently are refused", "[http]")
{
    std::string const line = "POST / HTTP/1.1\r\n";
    std::string const host = line + "Host: a\r\n";
    std::vector<bad_case> const cases = {
        {"length and encoding", host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", errc::length_and_encoding},
        {"encoding and length", host + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", errc::length_and_encoding},
        {"encoding and length zero", host + "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", errc::length_and_encoding},
        {"two lengths that differ", host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", errc::conflicting_lengths},
        {"a list of lengths that differ", host + "Content-Length: 5, 6\r\n\r\n", errc::conflicting_lengths},
        {"an empty length", host + "Content-Length:\r\n\r\n", errc::bad_content_length},
        {"an empty element", host + "Content-Length: 5,\r\n\r\n", errc::bad_content_length},
        {"a length with plus", host + "Content-Length: +5\r\n\r\n", errc::bad_content_length},
        {"a length with minus", host + "Content-Length: -5\r\n\r\n", errc::bad_content_length},
        {"a length with a blank inside", host + "Content-Length: 5 5\r\n\r\n", errc::bad_content_length},
        {"a hexadecimal length", host + "Content-Length: 0x5\r\n\r\n", errc::bad_content_length},
        {"a length with a fraction", host + "Content-Length: 5.0\r\n\r\n", errc::bad_content_length},
        {"a quoted length", host + "Content-Length: \"5\"\r\n\r\n", errc::bad_content_length},
        {"a length of 2^63", host + "Content-Length: 9223372036854775808\r\n\r\n", errc::bad_content_length},
        {"a length of 2^64", host + "Content-Length: 18446744073709551616\r\n\r\n", errc::bad_content_length},
        {"a length of 2^64 + 5", host + "Content-Length: 18446744073709551621\r\n\r\n", errc::bad_content_length},
        {"gzip alone", host + "Transfer-Encoding: gzip\r\n\r\n", errc::bad_transfer_encoding},
        {"identity", host + "Transfer-Encoding: identity\r\n\r\n", errc::bad_transfer_encoding},
        {"chunked is not last", host + "Transfer-Encoding: chunked, gzip\r\n\r\n", errc::bad_transfer_encoding},
        {"chunked is not last, two fields", host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", errc::bad_transfer_encoding},
        {"chunked twice", host + "Transfer-Encoding: chunked, chunked\r\n\r\n", errc::bad_transfer_encoding},
        {"chunked twice, two fields", host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", errc::bad_transfer_encoding},
        {"chunked with a parameter", host + "Transfer-Encoding: chunked;a=b\r\n\r\n", errc::bad_transfer_encoding},
        {"nearly chunked", host + "Transfer-Encoding: xchunked\r\n\r\n", errc::bad_transfer_encoding},
        {"quoted chunked", host + "Transfer-Encoding: \"chunked\"\r\n\r\n", errc::bad_transfer_encoding},
        {"two words", host + "Transfer-Encoding: chunked identity\r\n\r\n", errc::bad_transfer_encoding},
        {"an empty encoding", host + "Transfer-Encoding:\r\n\r\n", errc::bad_transfer_encoding},
        {"only a comma", host + "Transfer-Encoding: ,\r\n\r\n", errc::bad_transfer_encoding},
        {"a known coding before chunked", host + "Transfer-Encoding: gzip, chunked\r\n\r\n", errc::unsupported_coding},
        {"encoding with vertical tab", host + "Transfer-Encoding: \x0b" "chunked\r\n\r\n", errc::bad_field_value},
        {"encoding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", errc::encoding_in_http10},
        {"a blank before the colon", host + "Transfer-Encoding : chunked\r\n\r\n", errc::space_before_colon},
        {"a tab before the colon", host + "Content-Length\t: 5\r\n\r\n", errc::space_before_colon},
        {"a folded field", host + "X: a\r\n b\r\n\r\n", errc::obs_fold},
        {"a field that is folded with a tab", host + "X: a\r\n\tContent-Length: 5\r\n\r\n", errc::obs_fold},
        {"a blank line before the first field", line + " Host: a\r\n\r\n", errc::obs_fold},
        {"a line of blanks at the end", host + "  \r\n\r\n", errc::obs_fold},
        {"LF ends a field", host + "X: a\nContent-Length: 5\r\n\r\n", errc::bad_line_end},
        {"LF ends the request line", "POST / HTTP/1.1\nHost: a\r\n\r\n", errc::bad_line_end},
        {"LF ends the head", host + "\n", errc::bad_line_end},
        {"a bare CR in a value", host + "X: a\rContent-Length: 5\r\n\r\n", errc::bad_line_end},
        {"CR CR LF", host + "X: a\r\r\n\r\n", errc::bad_line_end},
        {"a bare CR in a name", host + "X\r: a\r\n\r\n", errc::bad_field_name},
        {"a bare CR in the request line", "POST /\r HTTP/1.1\r\nHost: a\r\n\r\n", errc::bad_target},
        {"NUL in a value", host + std::string("X: a\0b\r\n\r\n", 10), errc::bad_field_value},
        {"NUL in a name", host + std::string("X\0: b\r\n\r\n", 9), errc::bad_field_name},
        {"DEL in a value", host + "X: a\x7f\r\n\r\n", errc::bad_field_value},
        {"a control character in a value", host + "X: a\x01\r\n\r\n", errc::bad_field_value},
        {"no colon", host + "Content-Length\r\n\r\n", errc::bad_field_name},
        {"an empty name", host + ": a\r\n\r\n", errc::bad_field_name},
        {"a name with a blank", host + "Content Length: 5\r\n\r\n", errc::bad_field_name},
        {"a name with a bracket", host + "X(y): 5\r\n\r\n", errc::bad_field_name},
        {"a name outside of ASCII", host + "X\xc3\xa9: 5\r\n\r\n", errc::bad_field_name},
        {"no Host", line + "\r\n", errc::missing_host},
        {"two Hosts", host + "host: a\r\n\r\n", errc::several_hosts},
        {"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", errc::several_hosts},
        {"two names in Host", line + "Host: a, b\r\n\r\n", errc::bad_host},
        {"a blank in Host", line + "Host: a b\r\n\r\n", errc::bad_host},
        {"a path in Host", line + "Host: a/b\r\n\r\n", errc::bad_host},
        {"a user in Host", line + "Host: u@a\r\n\r\n", errc::bad_host},
        {"a port without a host", line + "Host: :80\r\n\r\n", errc::bad_host},
        {"a port that is no number", line + "Host: a:http\r\n\r\n", errc::bad_host},
        {"content in CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 5\r\n\r\n", errc::content_not_allowed},
        {"chunked content in CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n", errc::content_not_allowed},
        {"content in TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", errc::content_not_allowed},
        {"HTTP/0.9", "GET /\r\n\r\n", errc::bad_request_line},
        {"only a method", "GET\r\n\r\n", errc::bad_request_line},
        {"two blanks before the target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", errc::bad_request_line},
        {"two blanks behind the target", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", errc::bad_request_line},
        {"a blank in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", errc::bad_request_line},
        {"a blank behind the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", errc::bad_request_line},
        {"a blank before the method", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", errc::bad_method},
        {"a tab between the words", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", errc::bad_method},
        {"a method that is no token", "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", errc::bad_method},
        {"a fragment in the target", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", errc::bad_target},
        {"a byte outside of ASCII in the target", "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", errc::bad_target},
        {"NUL in the target", std::string("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 28), errc::bad_target},
        {"TLS", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), errc::bad_method},
        {"SOCKS5", std::string("\x05\x01\x00", 3), errc::bad_method},
    };
    for (bad_case const& c : cases) {
        INFO(c.name);
        CHECK(request_error(c.wire) == c.expected);
    }
}

TEST_CASE("http request: shapes that are unusual and clear are read", "[http]")
{
    auto framing = [](std::string const& more) {
        request_decoder d;
        auto const s = d.next(as_bytes("POST / HTTP/1.1\r\nHost: a\r\n" + more + "\r\n"));
        return s.status == http::head_status::done ? test::show(d.framing()) : s.error.message();
    };
    CHECK(framing("Content-Length: 5\r\nContent-Length: 5\r\n") == "length 5");
    CHECK(framing("Content-Length: 5, 5\r\n") == "length 5");
    CHECK(framing("Content-Length: 0005\r\n") == "length 5");
    CHECK(framing("Content-Length: 0\r\n") == "none");
    CHECK(framing("Content-Length: 9223372036854775807\r\n") == "length 9223372036854775807");
    CHECK(framing("transfer-encoding: Chunked\r\n") == "chunked");
    CHECK(framing("Transfer-Encoding: , chunked ,\r\n") == "chunked");
    CHECK(framing("Transfer_Encoding: chunked\r\nContent_Length: 4\r\n") == "none"); // other fields altogether
    CHECK(framing("") == "none");
    CHECK(request("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 0\r\n\r\nx").ends_with("framing none\n1 left"));
    CHECK(request("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n").ends_with("0 left"));
}

TEST_CASE("http request: a first byte that begins no method fails at once", "[http]")
{
    request_decoder d;
    CHECK(d.next(as_bytes("\x16")).error == errc::bad_method);
    CHECK(d.next(as_bytes("GET")).error == errc::bad_method); // and stays failed
    d.reset();
    CHECK(d.next(as_bytes("GET")).status == http::head_status::need_more);
    CHECK(d.next(as_bytes("{")).error == errc::bad_method);
}

TEST_CASE("http request: limits hold to the byte", "[http]")
{
    std::string const line = "GET /12345 HTTP/1.1\r\n"; // 21 bytes
    std::string const wire = line + "Host: a\r\nX: y\r\n\r\n";
    head_limits l;
    l.max_request_line_bytes = line.size() + 1;
    CHECK_FALSE(request_error(wire, l));
    l.max_request_line_bytes = line.size();
    CHECK_FALSE(request_error(wire, l));
    l.max_request_line_bytes = line.size() - 1;
    CHECK(request_error(wire, l) == errc::request_line_too_long);
    CHECK(request_error(wire.substr(0, line.size() - 1), l).value() == 0); // the limit itself is still fine

    l = {};
    l.max_head_bytes = wire.size() + 1;
    CHECK_FALSE(request_error(wire, l));
    l.max_head_bytes = wire.size();
    CHECK_FALSE(request_error(wire + "content", l));
    l.max_head_bytes = wire.size() - 1;
    CHECK(request_error(wire, l) == errc::head_too_large);
    l.max_head_bytes = 10; // smaller than the request line
    CHECK(request_error(wire, l) == errc::head_too_large);
    CHECK(request_error("{ET /12345 HTTP/1.1\r\n", l) == errc::bad_method);

    l = {};
    l.max_fields = 3;
    CHECK_FALSE(request_error(wire, l));
    l.max_fields = 2;
    CHECK_FALSE(request_error(wire, l));
    l.max_fields = 1;
    CHECK(request_error(wire, l) == errc::too_many_fields);
}

TEST_CASE("http request: a header of a mebibyte is refused after the limit", "[http]")
{
    request_decoder d;
    std::string const start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    REQUIRE(d.next(as_bytes(start)).status == http::head_status::need_more);
    std::string const piece(4096, 'x');
    std::size_t taken = start.size();
    for (;;) {
        auto const s = d.next(as_bytes(piece));
        if (s.status == http::head_status::failed) {
            CHECK(s.error == errc::head_too_large);
            break;
        }
        taken += s.consumed;
    }
    CHECK(taken <= head_limits{}.max_head_bytes);
}

TEST_CASE("http response: a head is read whatever the cuts", "[http]")
{
    CHECK(response("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") == "200 <OK> HTTP/1.1\n<Content-Length>=<2>\n2 left");
    CHECK(response("HTTP/1.0 404 Not Found here\r\n\r\n") == "404 <Not Found here> HTTP/1.0\n0 left");
    CHECK(response("HTTP/1.1 204 \r\n\r\n") == "204 <> HTTP/1.1\n0 left");
    CHECK(response("HTTP/1.1 204\r\n\r\n") == "204 <> HTTP/1.1\n0 left");
    CHECK(response("HTTP/1.1 999 caf\xc3\xa9\r\n\r\n") == "999 <caf\xc3\xa9> HTTP/1.1\n0 left");
}

TEST_CASE("http response: malformed heads are refused", "[http]")
{
    std::string const ok = "HTTP/1.1 200 OK\r\n";
    std::vector<bad_case> const cases = {
        {"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", errc::bad_status_line},
        {"an empty line first", "\r\n" + ok + "\r\n", errc::bad_status_line},
        {"ICY", "ICY 200 OK\r\n\r\n", errc::bad_status_line},
        {"a small letter", "http/1.1 200 OK\r\n\r\n", errc::bad_status_line},
        {"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", errc::unsupported_version},
        {"a short version", "HTTP/1 200 OK\r\n\r\n", errc::bad_status_line},
        {"two digits", "HTTP/1.1 20 OK\r\n\r\n", errc::bad_status_line},
        {"four digits", "HTTP/1.1 2000 OK\r\n\r\n", errc::bad_status_line},
        {"a status below 100", "HTTP/1.1 099 OK\r\n\r\n", errc::bad_status_line},
        {"a sign", "HTTP/1.1 +20 OK\r\n\r\n", errc::bad_status_line},
        {"a tab", "HTTP/1.1\t200 OK\r\n\r\n", errc::bad_status_line},
        {"a control character in the reason", "HTTP/1.1 200 O\x01K\r\n\r\n", errc::bad_status_line},
        {"LF ends the status line", "HTTP/1.1 200 OK\n\r\n", errc::bad_line_end},
        {"length and encoding", ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", errc::length_and_encoding},
        {"lengths that differ", ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", errc::conflicting_lengths},
        {"encoding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", errc::encoding_in_http10},
        {"chunked is not last", ok + "Transfer-Encoding: chunked, gzip\r\n\r\n", errc::bad_transfer_encoding},
        {"a folded field", ok + "X: a\r\n b\r\n\r\n", errc::obs_fold},
        {"a blank before the colon", ok + "X : a\r\n\r\n", errc::space_before_colon},
    };
    for (bad_case const& c : cases) {
        INFO(c.name);
        CHECK(response_error(c.wire) == c.expected);
    }
}

TEST_CASE("http heads: what was written is read back the same", "[http]")
{
    http::request_head q;
    q.method = "M-SEARCH";
    q.target = "*";
    q.fields = {{"Host", "a"}, {"X", ""}, {"x", "a, \"b\""}};
    std::string wire;
    REQUIRE(encode_request_head(wire, q));
    request_decoder d;
    REQUIRE(d.next(as_bytes(wire)).status == http::head_status::done);
    CHECK(d.take_head() == q);

    http::response_head r;
    r.status = 418;
    r.reason = "I'm a teapot";
    r.fields = {{"Set-Cookie", "a=b"}, {"Set-Cookie", "c=d"}};
    wire.clear();
    REQUIRE(encode_response_head(wire, r));
    response_decoder e;
    REQUIRE(e.next(as_bytes(wire)).status == http::head_status::done);
    CHECK(e.take_head() == r);
}

} // namespace podproxy::http
