#include <podproxy/tls_records/client_hello.hpp>

#include <catch2/catch_test_macros.hpp>
#include <podproxy/core/base64.hpp>
#include <podproxy/core/bytes.hpp>
#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include <unit/support/splits.hpp>
#include <unit/tls_records/recorded.hpp>

using namespace podproxy;
using bytes = std::vector<std::uint8_t>;
using tls_records::parse_client_hello;

namespace {

bytes recorded(std::string_view base64) { return decode_base64(base64).value(); }

bytes operator+(bytes a, bytes const& b)
{
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

/// `content` with its length before it, in so many bytes.
bytes sized(unsigned length_bytes, bytes const& content)
{
    bytes out;
    while (length_bytes-- > 0) out.push_back(static_cast<std::uint8_t>(content.size() >> (8 * length_bytes)));
    return out + content;
}

bytes text(std::string_view s) { return {s.begin(), s.end()}; }
bytes extension(std::uint16_t type, bytes const& data) { return bytes{static_cast<std::uint8_t>(type >> 8), static_cast<std::uint8_t>(type)} + sized(2, data); }
bytes server_name(std::string_view name) { return extension(0, sized(2, bytes{0} + sized(2, text(name)))); }
bytes record(bytes const& content, std::uint8_t type = 22) { return bytes{type, 3, 1} + sized(2, content); }

/// The parts of a ClientHello, each to be spoilt by a test.
struct parts {
    bytes version{3, 3};
    bytes random = bytes(32, 7);
    bytes session = sized(1, {1, 2});
    bytes suites = sized(2, {0x13, 0x01, 0xc0, 0x2f});
    bytes compression = sized(1, {0});
    bytes extensions = server_name("shop.example.com");

    bytes message() const
    {
        bytes const body = version + random + session + suites + compression + sized(2, extensions);
        return bytes{1} + sized(3, body);
    }
    bytes in_one_record() const { return record(message()); }
};

bytes hello_with(bytes extensions) { return parts{.extensions = std::move(extensions)}.in_one_record(); }

/// The message in records of `size` bytes each.
bytes in_records(bytes_view message, std::size_t size)
{
    bytes out;
    while (!message.empty()) {
        std::size_t const n = std::min(size, message.size());
        out = out + record({message.begin(), message.begin() + static_cast<std::ptrdiff_t>(n)});
        message = message.subspan(n);
    }
    return out;
}

tls_records::client_hello parsed(bytes_view in)
{
    auto r = test::check_all_prefixes(in, [](bytes_view b) { return parse_client_hello(b); });
    REQUIRE(r.done());
    return std::move(r.value());
}

std::error_code refused(bytes_view in)
{
    auto const r = parse_client_hello(in);
    CHECK(r.failed());
    return r.error();
}

bool may_start(bytes const& in) { return tls_records::is_tls_client_hello_start(in); }

} // namespace

TEST_CASE("client hello: all that a plain one says")
{
    auto const in = hello_with(server_name("shop.example.com") + extension(16, sized(2, sized(1, text("h2")) + sized(1, text("http/1.1")))) +
                               extension(43, sized(1, {3, 4, 3, 3})) + extension(10, sized(2, {0, 29, 0, 23})) +
                               extension(13, sized(2, {4, 3, 8, 4})) + extension(11, sized(1, {0, 1})) + extension(0x1234, {}));
    auto const h = parsed(in);
    CHECK(h.legacy_version == 0x0303);
    CHECK(h.random.size() == 32);
    CHECK(h.random[31] == 7);
    CHECK(h.session_id.size() == 2);
    CHECK(h.cipher_suites.size() == 2);
    CHECK(h.cipher_suites[1] == 0xc02f);
    CHECK(h.compression_methods.size() == 1);
    CHECK(h.server_name == "shop.example.com");
    CHECK(std::vector<std::string_view>(h.alpn.begin(), h.alpn.end()) == std::vector<std::string_view>{"h2", "http/1.1"});
    CHECK(h.alpn.contains("h2"));
    CHECK_FALSE(h.alpn.contains("h3"));
    CHECK(std::vector<std::uint16_t>(h.supported_versions.begin(), h.supported_versions.end()) == std::vector<std::uint16_t>{0x0304, 0x0303});
    CHECK(h.groups.contains(29));
    CHECK_FALSE(h.groups.contains(24));
    CHECK(h.signature_algorithms.size() == 2);
    CHECK(h.point_formats.size() == 2);
    std::vector<std::uint16_t> types;
    for (auto const e : h.extensions) types.push_back(e.type);
    CHECK(types == std::vector<std::uint16_t>{0, 16, 43, 10, 13, 11, 0x1234});
    CHECK(h.extensions.size() == 7);
    CHECK(h.extensions.contains(0x1234));
    CHECK_FALSE(h.extensions.contains(21));
}

TEST_CASE("client hello: of real clients")
{
    SECTION("TLS 1.2 without a name")
    {
        auto const in = recorded(test::openssl12_hello);
        auto const h = parsed(in);
        CHECK(h.server_name.empty());
        CHECK(h.alpn.empty());
        CHECK(h.supported_versions.empty());
        CHECK(h.cipher_suites.contains(0xc02f));
        CHECK(h.cipher_suites.size() == 2); // the other says that renegotiation is safe
        CHECK(h.point_formats.size() == 3);
    }
    SECTION("spread over three records")
    {
        auto const in = recorded(test::openssl_split_hello);
        auto const h = parsed(in);
        CHECK(h.server_name == "shop.example.com");
        CHECK(std::distance(h.alpn.begin(), h.alpn.end()) == 90);
        CHECK(h.alpn.contains("proto-000"));
        CHECK(h.alpn.contains("proto-089"));
        CHECK(h.supported_versions.contains(0x0304));
    }
    SECTION("a browser's")
    {
        auto const in = recorded(test::chromium_hello);
        auto const h = parsed(in);
        CHECK(h.server_name == "chrome.example.com");
        CHECK(h.alpn.contains("h2"));
        CHECK((h.cipher_suites[0] & 0x0f0f) == 0x0a0a); // GREASE stays
        CHECK(h.extensions.contains(0xfe0d));           // Encrypted ClientHello
        CHECK(h.groups.contains(4588));                 // X25519MLKEM768
        CHECK(h.supported_versions.contains(0x0304));
    }
}

TEST_CASE("client hello: without extensions, as before TLS 1.2")
{
    parts p;
    bytes const body = p.version + p.random + p.session + p.suites + p.compression;
    auto const h = parsed(record(bytes{1} + sized(3, body)));
    CHECK(h.extensions.empty());
    CHECK(h.server_name.empty());
    CHECK(parsed(hello_with({})).extensions.empty());
}

TEST_CASE("client hello: in records of any size the same is said, and views follow when it is moved")
{
    auto const message = parts{}.message();
    for (std::size_t const size : {1u, 2u, 3u, 4u, 5u, 7u, 50u, 1000u}) {
        INFO("records of " << size);
        auto const in = in_records(message, size);
        auto h = parsed(in);
        auto const moved = std::move(h);
        CHECK(moved.server_name == "shop.example.com");
        CHECK(moved.cipher_suites.contains(0xc02f));
    }
}

TEST_CASE("client hello: waiting for what is asked for takes few tries, however small the records are")
{
    auto const in = in_records(parts{.extensions = extension(21, bytes(8000))}.message(), 1);
    std::size_t tries = 0;
    std::size_t have = 0;
    for (;; ++tries) {
        auto const r = parse_client_hello(bytes_view(in).first(have));
        if (r.done()) break;
        REQUIRE(r.needs_more());
        REQUIRE(r.at_least() <= in.size());
        have = r.at_least();
    }
    CHECK(have == in.size());
    CHECK(tries < 60);
}

TEST_CASE("client hello: the limit counts all records, and is seen before the bytes are there")
{
    auto const in = parts{}.in_one_record();
    CHECK(parse_client_hello(in, in.size() + 1).done());
    CHECK(parse_client_hello(in, in.size()).done());
    CHECK(parse_client_hello(in, in.size() - 1).error() == tls_records::errc::too_long);
    CHECK(parse_client_hello(bytes_view(in).first(9), in.size() - 1).error() == tls_records::errc::too_long);
    CHECK(parse_client_hello(bytes_view(in).first(9), in.size()).needs_more());
    auto const split = in_records(parts{}.message(), 10);
    CHECK(parse_client_hello(split, split.size()).done());
    CHECK(parse_client_hello(split, split.size() - 1).error() == tls_records::errc::too_long);
    CHECK(refused(record({1, 1, 0, 0})) == tls_records::errc::too_long); // announces 65,536 bytes
    CHECK(refused(record({1, 0xff, 0xff, 0xff})) == cond::too_large);
}

TEST_CASE("client hello: other protocols are refused at the first byte that tells")
{
    for (std::string_view const other : {"G", "SSH-2.0", "\x05\x01\x00", "\x80\x2e\x01", "\x17\x03\x03", "\x16\x02", "\x16\x04"}) {
        INFO(other);
        CHECK(refused(as_bytes(other)) == tls_records::errc::not_tls);
    }
    CHECK(refused(bytes{22, 3, 1, 0, 4, 2}) == tls_records::errc::not_client_hello);
    CHECK(refused(bytes{22, 3, 1, 0, 0}) == tls_records::errc::bad_record);
    CHECK(refused(bytes{22, 3, 1, 0x40, 1}) == tls_records::errc::bad_record);
    CHECK(refused(bytes{22, 3, 1, 0xe0}) == tls_records::errc::bad_record);
    CHECK(parse_client_hello(bytes{22, 3, 1, 0x40, 0}).needs_more());
    auto const message = parts{}.message();
    bytes const first(message.begin(), message.begin() + 20);
    CHECK(refused(record(first) + record({2, 40}, 21)) == tls_records::errc::bad_record); // an alert in the middle
    CHECK(refused(record(first) + bytes{22, 3, 1, 0, 0}) == tls_records::errc::bad_record);
}

TEST_CASE("client hello: an early decision from one byte on")
{
    CHECK(may_start({}));
    CHECK(may_start({22}));
    CHECK(may_start({22, 3}));
    CHECK(may_start({22, 3, 1}));
    CHECK(may_start({22, 3, 1, 2}));
    CHECK(may_start({22, 3, 1, 2, 0}));
    CHECK(may_start({22, 3, 1, 2, 0, 1}));
    CHECK(may_start({22, 3, 3, 0, 1, 1, 9}));
    CHECK_FALSE(may_start({21}));
    CHECK_FALSE(may_start({'G', 'E'}));
    CHECK_FALSE(may_start({22, 2}));
    CHECK_FALSE(may_start({22, 3, 1, 0x41}));
    CHECK_FALSE(may_start({22, 3, 1, 0, 0}));
    CHECK_FALSE(may_start({22, 3, 1, 0x40, 1}));
    CHECK_FALSE(may_start({22, 3, 1, 2, 0, 2}));
}

TEST_CASE("client hello: lengths that contradict each other are refused")
{
    using change = std::function<void(parts&)>;
    std::pair<char const*, change> const cases[] = {
        {"random too short", [](parts& p) { p.random.clear(); p.session.clear(); p.suites.clear(); p.compression.clear(); p.extensions.clear(); }},
        {"session id of 33 bytes", [](parts& p) { p.session = sized(1, bytes(33)); }},
        {"no cipher suites", [](parts& p) { p.suites = sized(2, {}); }},
        {"half a cipher suite", [](parts& p) { p.suites = sized(2, {1, 2, 3}); }},
        {"cipher suites beyond the end", [](parts& p) { p.suites = {0xff, 0xfe, 1, 2}; }},
        {"no compression method", [](parts& p) { p.compression = sized(1, {}); }},
        {"half an extension", [](parts& p) { p.extensions = {0, 0, 0}; }},
        {"an extension beyond the end", [](parts& p) { p.extensions = {0x12, 0x34, 0, 1}; }},
        {"an empty list of names", [](parts& p) { p.extensions = extension(0, sized(2, {})); }},
        {"no list of names", [](parts& p) { p.extensions = extension(0, {}); }},
        {"a name beyond its list", [](parts& p) { p.extensions = extension(0, sized(2, {0, 0, 2, 'a'})); }},
        {"something behind the names", [](parts& p) { p.extensions = extension(0, sized(2, bytes{0} + sized(2, text("a"))) + bytes{0}); }},
        {"two names", [](parts& p) { p.extensions = extension(0, sized(2, bytes{0} + sized(2, text("a")) + bytes{0} + sized(2, text("b")))); }},
        {"an empty list of protocols", [](parts& p) { p.extensions = extension(16, sized(2, {})); }},
        {"an empty protocol", [](parts& p) { p.extensions = extension(16, sized(2, sized(1, {}))); }},
        {"a protocol beyond its list", [](parts& p) { p.extensions = extension(16, sized(2, {2, 'h'})); }},
        {"half a version", [](parts& p) { p.extensions = extension(43, sized(1, {3})); }},
        {"no version", [](parts& p) { p.extensions = extension(43, sized(1, {})); }},
        {"half a group", [](parts& p) { p.extensions = extension(10, sized(2, {0, 29, 1})); }},
        {"a list of groups beyond its extension", [](parts& p) { p.extensions = extension(10, {0, 4, 0, 29}); }},
        {"no signature algorithm", [](parts& p) { p.extensions = extension(13, sized(2, {})); }},
        {"no point format", [](parts& p) { p.extensions = extension(11, sized(1, {})); }},
    };
    for (auto const& [name, spoil] : cases) {
        INFO(name);
        parts p;
        spoil(p);
        CHECK(refused(p.in_one_record()) == tls_records::errc::malformed);
    }
    auto message = parts{}.message();
    CHECK(refused(record(message + bytes{0})) == tls_records::errc::malformed); // another message in the record
    auto extra = parts{}.message() + bytes{0};
    ++extra[3];
    CHECK(refused(record(extra)) == tls_records::errc::malformed); // something behind the extensions
}

TEST_CASE("client hello: an extension that is there twice is refused, among few and among very many")
{
    CHECK(refused(hello_with(extension(16, sized(2, sized(1, text("h2")))) + server_name("a") + server_name("a"))) == tls_records::errc::duplicate_extension);
    CHECK(refused(hello_with(extension(0xfe0d, {}) + extension(0xfe0d, {}))) == tls_records::errc::duplicate_extension);
    bytes many;
    for (std::uint16_t t = 100; t < 2000; ++t) many = many + extension(t, {});
    CHECK(parse_client_hello(hello_with(many)).value().extensions.size() == 1900);
    CHECK(refused(hello_with(many + extension(100, {}))) == tls_records::errc::duplicate_extension);
    CHECK(refused(hello_with(many + extension(1999, {}))) == tls_records::errc::duplicate_extension);
}

TEST_CASE("client hello: a server name is a host name, and nothing else gets further")
{
    auto const name = [](std::string_view n) { return std::string(parsed(hello_with(server_name(n))).server_name); };
    CHECK(name("a") == "a");
    CHECK(name("Shop.Example.COM") == "Shop.Example.COM");
    CHECK(name("xn--bcher-kva.example") == "xn--bcher-kva.example");
    CHECK(name("under_score.example.") == "under_score.example");
    CHECK(name("192.0.2.1") == "192.0.2.1");
    CHECK(name(std::string(255, 'a')).size() == 255);
    for (std::string const& bad : {std::string(), std::string("."), std::string(".a"), std::string("a b"), std::string("a\0b", 3), std::string("a\n"), std::string("a/b"),
                                   std::string("*.example"), std::string("\xc3\xa9.example"), std::string("[::1]"), std::string("a:443"), std::string(256, 'a')}) {
        INFO(bad);
        CHECK(refused(hello_with(server_name(bad))) == tls_records::errc::bad_server_name);
    }
    // A name of a type that nobody has defined is skipped.
    CHECK(parsed(hello_with(extension(0, sized(2, bytes{7} + sized(2, text("!")) + bytes{0} + sized(2, text("a")))))).server_name == "a");
    CHECK(parsed(hello_with(extension(0, sized(2, bytes{7} + sized(2, text("!")))))).server_name.empty());
}
