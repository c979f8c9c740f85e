#include <podproxy/http/chunked.hpp>

#include <unit/http/transcript.hpp>

#include <catch2/catch_test_macros.hpp>
#include <unit/support/splits.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::http {
namespace {

constexpr body_framing chunked_framing{framing_kind::chunked, 0};

std::string decode(std::string_view wire, chunk_limits limits = {})
{
    return test::check_all_splits(as_bytes(wire), [&](std::span<bytes_view const> p) { return test::body_transcript(p, chunked_framing, limits); });
}

std::string error(errc e) { return "error: " + make_error_code(e).message(); }

} // namespace

TEST_CASE("chunked: content, extensions and trailers, whatever the cuts", "[http]")
{
    CHECK(decode("0\r\n\r\n") == "|done, 0 left");
    CHECK(decode("3\r\nabc\r\n"
                 "A;name=value;other=\"a;\\\"b\" ; flag\r\n0123456789\r\n"
                 "00\r\n"
                 "X-Sum: 1\r\nX-Empty:\r\n"
                 "\r\nGET") == "abc0123456789|<X-Sum>=<1>\n<X-Empty>=<>\ndone, 3 left");
    CHECK(decode("3\r\nab") == "ab|open, 0 left");
    CHECK(decode("0\r\n") == "|open, 0 left");
    CHECK(decode("5\r\na\r\n0\r\n0\r\n\r\n") == "a\r\n0\r|" + error(errc::bad_chunk_end));
}

TEST_CASE("chunked: what the grammar does not allow is refused", "[http]")
{
    struct bad_case {
        char const* name;
        std::string wire;
        errc expected;
    };
    std::vector<bad_case> const cases = {
        {"an empty line", "\r\n", errc::bad_chunk_size},
        {"no number", "x\r\n", errc::bad_chunk_size},
        {"a sign", "+3\r\nabc\r\n", errc::bad_chunk_size},
        {"a minus", "-1\r\n", errc::bad_chunk_size},
        {"a prefix", "0x3\r\nabc\r\n", errc::bad_chunk_size},
        {"a blank first", " 3\r\nabc\r\n", errc::bad_chunk_size},
        {"a comma", "3,4\r\nabc\r\n", errc::bad_chunk_size},
        {"an underscore", "1_0\r\n", errc::bad_chunk_size},
        {"2^63", "8000000000000000\r\n", errc::bad_chunk_size},
        {"2^64", "10000000000000000\r\n", errc::bad_chunk_size},
        {"2^64 + 3", "10000000000000003\r\nabc\r\n", errc::bad_chunk_size},
        {"a blank behind", "3 \r\nabc\r\n", errc::bad_chunk_extension},
        {"an empty extension", "3;\r\nabc\r\n", errc::bad_chunk_extension},
        {"an extension without a name", "3;=a\r\nabc\r\n", errc::bad_chunk_extension},
        {"an extension without a value", "3;a=\r\nabc\r\n", errc::bad_chunk_extension},
        {"an open quotation", "3;a=\"b\r\nabc\r\n", errc::bad_chunk_extension},
        {"a quotation that ends in a backslash", "3;a=\"b\\\r\nabc\r\n", errc::bad_chunk_extension},
        {"two words", "3;a b\r\nabc\r\n", errc::bad_chunk_extension},
        {"a bare CR in an extension", "3;a\rb\r\nabc\r\n", errc::bad_chunk_extension},
        {"LF ends the size", "3\nabc\r\n", errc::bad_line_end},
        {"LF in an extension", "3;a=\"\n\"\r\nabc\r\n", errc::bad_line_end},
        {"LF behind the content", "3\r\nabc\n0\r\n\r\n", errc::bad_chunk_end},
        {"nothing behind the content", "3\r\nabc0\r\n\r\n", errc::bad_chunk_end},
        {"CR CR behind the content", "3\r\nabc\r\r\n", errc::bad_chunk_end},
        {"more content than told", "2\r\nabc\r\n", errc::bad_chunk_end},
        {"LF ends the trailers", "0\r\n\n", errc::bad_line_end},
        {"LF ends a trailer", "0\r\nX: a\n\r\n", errc::bad_line_end},
        {"a folded trailer", "0\r\nX: a\r\n b\r\n\r\n", errc::obs_fold},
        {"a blank before the colon", "0\r\nX : a\r\n\r\n", errc::space_before_colon},
        {"a trailer without a colon", "0\r\nGET / HTTP/1.1\r\n\r\n", errc::bad_field_name},
        {"NUL in a trailer", "0\r\nX: a" + std::string(1, '\0') + "\r\n\r\n", errc::bad_field_value},
    };
    for (bad_case const& c : cases) {
        INFO(c.name);
        std::string const got = decode(c.wire);
        CHECK(got.substr(got.find('|') + 1) == error(c.expected));
    }
    CHECK(decode("7fffffffffffffff\r\nabc") == "abc|open, 0 left");
    CHECK(decode("0000000000000000000003\r\nabc\r\n0\r\n\r\n") == "abc|done, 0 left");
}

TEST_CASE("chunked: limits hold to the byte", "[http]")
{
    std::string const wire = "3;abcd=efgh\r\nabc\r\n" // a line of 13 bytes, an extension of 10
                             "1;abcd=efgh\r\nd\r\n"
                             "0\r\nA: b\r\nC: d\r\n\r\n"; // trailers of 14 bytes
    auto with = [&](auto member, std::size_t value) {
        chunk_limits l;
        l.*member = value;
        return decode(wire, l);
    };
    std::string const good = "abcd|<A>=<b>\n<C>=<d>\ndone, 0 left";
    CHECK(with(&chunk_limits::max_line_bytes, 14) == good);
    CHECK(with(&chunk_limits::max_line_bytes, 13) == good);
    CHECK(with(&chunk_limits::max_line_bytes, 12) == "|" + error(errc::chunk_line_too_long));
    CHECK(with(&chunk_limits::max_extension_bytes, 21) == good);
    CHECK(with(&chunk_limits::max_extension_bytes, 20) == good);
    CHECK(with(&chunk_limits::max_extension_bytes, 19) == "abc|" + error(errc::extensions_too_large));
    CHECK(with(&chunk_limits::max_trailer_bytes, 15) == good);
    CHECK(with(&chunk_limits::max_trailer_bytes, 14) == good);
    CHECK(with(&chunk_limits::max_trailer_bytes, 13) == "abcd|" + error(errc::trailers_too_large));
    CHECK(with(&chunk_limits::max_trailer_fields, 3) == good);
    CHECK(with(&chunk_limits::max_trailer_fields, 2) == good);
    CHECK(with(&chunk_limits::max_trailer_fields, 1) == "abcd|" + error(errc::trailers_too_large));
}

TEST_CASE("chunked: what was encoded is decoded the same", "[http]")
{
    std::string wire;
    append_chunk(wire, as_bytes("hello, "));
    append_chunk(wire, {});
    append_chunk(wire, as_bytes(std::string(300, 'x')));
    REQUIRE(append_last_chunk(wire, {{"X-Sum", "a b"}}));
    CHECK(wire.starts_with("7\r\nhello, \r\n12c\r\nx"));
    CHECK(decode(wire) == "hello, " + std::string(300, 'x') + "|<X-Sum>=<a b>\ndone, 0 left");
    std::string out = "kept";
    CHECK(append_last_chunk(out, {{"X", "a\r\nY: b"}}).error() == errc::unsafe_head);
    CHECK(append_last_chunk(out, {{"X\r\n", "a"}}).error() == errc::unsafe_head);
    CHECK(append_last_chunk(out, {{"X", " a"}}).error() == errc::unsafe_head);
    CHECK(out == "kept");
}

TEST_CASE("chunked: the decoder can be used again, and stays failed until then", "[http]")
{
    chunked_decoder d;
    CHECK(d.next(as_bytes("x\r\n")).error == errc::bad_chunk_size);
    CHECK(d.next(as_bytes("0\r\n\r\n")).error == errc::bad_chunk_size);
    d.reset();
    auto const s = d.next(as_bytes("0\r\n\r\nx"));
    CHECK(s.status == body_status::done);
    CHECK(s.consumed == 5);
    CHECK(d.next(as_bytes("x")).consumed == 0);
}

TEST_CASE("chunked: fields that must not stand in trailers", "[http]")
{
    CHECK(is_allowed_trailer("grpc-status"));
    CHECK(is_allowed_trailer("Digest"));
    CHECK_FALSE(is_allowed_trailer("content-length"));
    CHECK_FALSE(is_allowed_trailer("TRANSFER-ENCODING"));
    CHECK_FALSE(is_allowed_trailer("Host"));
    CHECK_FALSE(is_allowed_trailer("Authorization"));
}

} // namespace podproxy::http
