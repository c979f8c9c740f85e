#include <podproxy/http/body.hpp>

#include <unit/http/transcript.hpp>

#include <catch2/catch_test_macros.hpp>
#include <unit/support/splits.hpp>
#include <string>

namespace podproxy::http {
namespace {

std::string of_response(unsigned status, std::string_view method, fields f, version v = version::http_1_1)
{
    response_head head;
    head.status = status;
    head.version = v;
    head.fields = std::move(f);
    auto const r = response_framing(head, method);
    return r ? test::show(*r) : r.error().message();
}

std::string decode(std::string_view wire, body_framing f)
{
    return test::check_all_splits(as_bytes(wire), [&](std::span<bytes_view const> p) { return test::body_transcript(p, f); });
}

} // namespace

TEST_CASE("http body: the framing of a response, by status, method and fields", "[http]")
{
    fields const length{{"Content-Length", "5"}};
    fields const chunked{{"Transfer-Encoding", "chunked"}};
    CHECK(of_response(200, "GET", length) == "length 5");
    CHECK(of_response(200, "GET", {{"Content-Length", "0"}}) == "none");
    CHECK(of_response(200, "GET", chunked) == "chunked");
    CHECK(of_response(200, "GET", {}) == "until close");
    CHECK(of_response(404, "CONNECT", length) == "length 5");
    for (fields const& f : {length, chunked, fields{}}) {
        CHECK(of_response(200, "HEAD", f) == "none");
        CHECK(of_response(404, "HEAD", f) == "none");
        CHECK(of_response(100, "POST", f) == "none");
        CHECK(of_response(101, "GET", f) == "none");
        CHECK(of_response(204, "GET", f) == "none");
        CHECK(of_response(304, "GET", f) == "none");
        CHECK(of_response(200, "CONNECT", f) == "none");
    }
    CHECK(of_response(200, "HEAD", {{"Content-Length", "x"}}) == make_error_code(errc::bad_content_length).message());
    CHECK(of_response(200, "GET", chunked, version::http_1_0) == make_error_code(errc::encoding_in_http10).message());
    CHECK(of_response(200, "GET", {{"Transfer-Encoding", "gzip, chunked"}}) == make_error_code(errc::unsupported_coding).message());
}

TEST_CASE("http body: content of each framing, whatever the cuts", "[http]")
{
    CHECK(decode("abcdef", {framing_kind::none, 0}) == "|done, 6 left");
    CHECK(decode("abcdef", {framing_kind::length, 4}) == "abcd|done, 2 left");
    CHECK(decode("abc", {framing_kind::length, 4}) == "abc|open, 0 left");
    CHECK(decode("abcdef", {framing_kind::until_close, 0}) == "abcdef|open, 0 left");
    CHECK(decode("2\r\nab\r\n0\r\n\r\nx", {framing_kind::chunked, 0}) == "ab|done, 1 left");
}

TEST_CASE("http body: the end of the stream is the end of the content only where nothing else tells", "[http]")
{
    CHECK(body_decoder({framing_kind::until_close, 0}).at_end_of_stream() == podproxy::errc::end_of_stream);
    CHECK(body_decoder({framing_kind::none, 0}).at_end_of_stream() == podproxy::errc::end_of_stream);
    body_decoder d({framing_kind::length, 4});
    CHECK(d.at_end_of_stream() == podproxy::errc::truncated);
    (void)d.next(as_bytes("abcd"));
    CHECK(d.at_end_of_stream() == podproxy::errc::end_of_stream);
    body_decoder c({framing_kind::chunked, 0});
    (void)c.next(as_bytes("0\r\n"));
    CHECK(c.at_end_of_stream() == podproxy::errc::truncated);
    (void)c.next(as_bytes("\r\n"));
    CHECK(c.at_end_of_stream() == podproxy::errc::end_of_stream);
}

} // namespace podproxy::http
