#include <podproxy/proxy_protocol/header.hpp>

#include <catch2/catch_test_macros.hpp>
#include <podproxy/core/bytes.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>
#include <unit/support/splits.hpp>

using namespace podproxy;
using proxy_protocol::command;
using proxy_protocol::header;
using proxy_protocol::transport;
using bytes = std::vector<std::uint8_t>;

namespace {

constexpr std::string_view signature("\r\n\r\n\0\r\nQUIT\n", 12);

header between(std::string_view from, std::uint16_t from_port, std::string_view to, std::uint16_t to_port, transport t = transport::tcp)
{
    auto const end = [](std::string_view text, std::uint16_t port) {
        auto const v4 = parse_ipv4(text);
        return v4 ? address_port(*v4, port) : address_port(parse_ipv6(text).value(), port);
    };
    header h;
    h.transport = t;
    h.source = end(from, from_port);
    h.destination = end(to, to_port);
    return h;
}

std::string v1(header const& h)
{
    bytes out;
    encode_v1(out, h);
    return std::string(as_text(out));
}

bytes v2(header const& h)
{
    bytes out;
    encode_v2(out, h);
    return out;
}

/// A version 2 header from its parts.
bytes raw_v2(std::uint8_t version_command, std::uint8_t family, bytes const& rest)
{
    bytes out(signature.begin(), signature.end());
    byte_writer(out).u8(version_command).u8(family).u16(static_cast<std::uint16_t>(rest.size())).put(rest);
    return out;
}

header parsed(bytes_view in)
{
    auto const r = test::check_all_prefixes(in, [](bytes_view b) { return proxy_protocol::parse_header(b); });
    REQUIRE(r.done());
    return r.value();
}

std::error_code refused(bytes_view in)
{
    auto const r = proxy_protocol::parse_header(in);
    CHECK(r.failed());
    return r.error();
}
std::error_code refused(std::string_view in) { return refused(as_bytes(in)); }

} // namespace

TEST_CASE("proxy protocol v1: what is written is what the specification shows, and is read back")
{
    struct {
        header h;
        std::string_view line;
    } const cases[] = {
        {between("192.0.2.1", 56324, "198.51.100.7", 443), "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"},
        {between("255.255.255.255", 65535, "255.255.255.255", 65535), "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"},
        {between("2001:db8::1", 1, "::1", 0), "PROXY TCP6 2001:db8::1 ::1 1 0\r\n"},
        {between("192.0.2.1", 5, "2001:db8::1", 6), "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 5 6\r\n"},
        {header{}, "PROXY UNKNOWN\r\n"},
    };
    for (auto const& [h, line] : cases) {
        INFO(line);
        CHECK(v1(h) == line);
        CHECK(parsed(as_bytes(line)) == h);
    }
}

TEST_CASE("proxy protocol v1: what a line can't tell becomes UNKNOWN")
{
    CHECK(v1(between("192.0.2.1", 1, "192.0.2.2", 2, transport::udp)) == "PROXY UNKNOWN\r\n");
    header local = between("192.0.2.1", 1, "192.0.2.2", 2);
    local.command = command::local;
    CHECK(v1(local) == "PROXY UNKNOWN\r\n");
    CHECK_FALSE(parsed(as_bytes("PROXY UNKNOWN\r\n")).has_addresses());
}

TEST_CASE("proxy protocol v1: everything behind UNKNOWN is skipped")
{
    std::string_view const longest = "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n";
    CHECK(parsed(as_bytes(longest)) == header{});
    CHECK(refused("PROXY UNKNOWNX\r\n") == proxy_protocol::errc::bad_line);
}

TEST_CASE("proxy protocol v1: 107 bytes are read, 108 are not, and nobody waits for more")
{
    std::string line = "PROXY UNKNOWN ";
    line.append(107 - 2 - line.size(), 'x');
    CHECK(parsed(as_bytes(line + "\r\n")) == header{});
    CHECK(refused(line + "x\r\n") == proxy_protocol::errc::too_long);
    CHECK(proxy_protocol::parse_header(as_bytes(line + "\r")).needs_more()); // 106
    CHECK(refused(line + "xx") == proxy_protocol::errc::too_long);
    CHECK(refused(line + "x\r") == proxy_protocol::errc::too_long);
}

TEST_CASE("proxy protocol v1: what does not follow the grammar is refused")
{
    for (std::string_view const line : {
             "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n",
             "PROXY \r\n",
             "PROXY TCP4\r\n",
             "PROXY TCP4 \r\n",
             "PROXY TCP5 192.0.2.1 198.51.100.7 56324 443\r\n",
             "PROXY tcp4 192.0.2.1 198.51.100.7 56324 443\r\n",
             "PROXY UDP4 192.0.2.1 198.51.100.7 56324 443\r\n",
             "PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n",
             "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 \r\n",
             "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 1\r\n",
             "PROXY TCP4  192.0.2.1 198.51.100.7 56324 443\r\n",
             "PROXY TCP4 192.0.2.1\t198.51.100.7 56324 443\r\n",
             "PROXY TCP4 192.0.2.01 198.51.100.7 56324 443\r\n",
             "PROXY TCP4 192.0.2.256 198.51.100.7 56324 443\r\n",
             "PROXY TCP4 ::1 ::1 56324 443\r\n",
             "PROXY TCP6 192.0.2.1 198.51.100.7 56324 443\r\n",
             "PROXY TCP6 ::1 ::1%lo 56324 443\r\n",
             "PROXY TCP6 [::1] [::1] 56324 443\r\n",
             "PROXY TCP4 192.0.2.1 198.51.100.7 056324 443\r\n",
             "PROXY TCP4 192.0.2.1 198.51.100.7 56324 00\r\n",
             "PROXY TCP4 192.0.2.1 198.51.100.7 -1 443\r\n",
             "PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n",
             "PROXY TCP4 192.0.2.1 198.51.100.7 1 443\r\r\n",
         }) {
        INFO(line);
        CHECK(refused(line) == proxy_protocol::errc::bad_line);
    }
}

TEST_CASE("proxy protocol: other protocols are refused at the first byte that differs")
{
    for (std::string_view const line : {"G", "PO", "PROXY\r", "PRI * HTTP/2.0", "\x16\x03\x01", "\r\n\r\n\x01", "SSH-2.0", "\n"}) {
        INFO(line);
        CHECK(refused(line) == proxy_protocol::errc::no_header);
    }
    CHECK(refused(std::string_view("\0", 1)) == proxy_protocol::errc::no_header);
    for (std::size_t at = 0; at < signature.size(); ++at) {
        std::string wrong(signature.substr(0, at + 1));
        wrong.back() = static_cast<char>(wrong.back() ^ 0x20);
        CHECK(refused(wrong) == proxy_protocol::errc::no_header);
    }
}

TEST_CASE("proxy protocol v2: bytes of IPv4 over TCP")
{
    bytes const expected{
        0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, // signature
        0x21,                                                                   // version 2, PROXY
        0x11,                                                                   // IPv4, stream
        0x00, 0x0c,                                                             // length: 12
        192,  0,    2,    1,                                                    // source
        198,  51,   100,  7,                                                    // destination
        0xdc, 0x04,                                                             // source port: 56324
        0x01, 0xbb,                                                             // destination port: 443
    };
    header const h = between("192.0.2.1", 56324, "198.51.100.7", 443);
    CHECK(v2(h) == expected);
    CHECK(parsed(expected) == h);
    CHECK(parsed(expected).has_addresses());
}

TEST_CASE("proxy protocol v2: all forms are read back")
{
    header local;
    local.command = command::local;
    for (header const& h : {
             between("192.0.2.1", 1, "198.51.100.7", 65535, transport::udp),
             between("2001:db8::1", 1, "::1", 443),
             between("2001:db8::1", 1, "fe80::1", 53, transport::udp),
             between("192.0.2.1", 5, "2001:db8::1", 6),
             header{},
             local,
         })
        CHECK(parsed(v2(h)) == h);
    CHECK(v2(local).size() == 16);
    CHECK(v2(local)[12] == 0x20);
    CHECK(v2(between("2001:db8::1", 1, "::1", 443)).size() == 16 + 36);
    CHECK(v2(between("2001:db8::1", 1, "::1", 443, transport::udp))[13] == 0x22);
}

TEST_CASE("proxy protocol v2: IPv4 in IPv6 form is as good as IPv4")
{
    bytes addresses(36);
    addresses[10] = addresses[11] = addresses[26] = addresses[27] = 0xff;
    addresses[12] = 192;
    addresses[15] = 1;
    addresses[28] = 10;
    addresses[33] = 7;
    auto const h = parsed(raw_v2(0x21, 0x21, addresses));
    CHECK(format_address_port(h.source) == "192.0.0.1:7");
    CHECK(h.destination.ipv4() == ipv4_bytes{10, 0, 0, 0});
}

TEST_CASE("proxy protocol v2: TLVs, unix sockets, unspecified ends and addresses of LOCAL are skipped")
{
    bytes with_tlv{192, 0, 2, 1, 198, 51, 100, 7, 0, 1, 0, 2, /* PP2_TYPE_ALPN */ 0x01, 0x00, 0x02, 'h', '2'};
    CHECK(parsed(raw_v2(0x21, 0x11, with_tlv)) == between("192.0.2.1", 1, "198.51.100.7", 2));
    CHECK(parsed(raw_v2(0x21, 0x31, bytes(216, 'x'))) == header{});
    CHECK(parsed(raw_v2(0x21, 0x00, {1, 2, 3})) == header{});
    CHECK(parsed(raw_v2(0x21, 0x10, bytes(12))) == header{}); // IPv4, but neither stream nor datagrams
    CHECK(parsed(raw_v2(0x21, 0x01, bytes(12))) == header{});
    header local;
    local.command = command::local;
    CHECK(parsed(raw_v2(0x20, 0x11, bytes(12, 9))) == local);
    CHECK(parsed(raw_v2(0x20, 0x11, {})) == local);
}

TEST_CASE("proxy protocol v2: what can't be is refused without waiting for the rest")
{
    CHECK(refused(raw_v2(0x11, 0x11, bytes(12))) == proxy_protocol::errc::bad_version);
    CHECK(refused(raw_v2(0x31, 0x11, bytes(12))) == proxy_protocol::errc::bad_version);
    CHECK(refused(raw_v2(0x22, 0x11, bytes(12))) == proxy_protocol::errc::bad_command);
    CHECK(refused(raw_v2(0x21, 0x41, bytes(12))) == proxy_protocol::errc::bad_family);
    CHECK(refused(raw_v2(0x21, 0x13, bytes(12))) == proxy_protocol::errc::bad_family);
    CHECK(refused(raw_v2(0x21, 0x11, bytes(11))) == proxy_protocol::errc::bad_length);
    CHECK(refused(raw_v2(0x21, 0x21, bytes(35))) == proxy_protocol::errc::bad_length);
    auto huge = raw_v2(0x21, 0x11, bytes(12));
    huge[14] = 0xff;
    CHECK(refused(huge) == proxy_protocol::errc::too_long);
}

TEST_CASE("proxy protocol v2: the limit counts the whole header")
{
    auto const in = raw_v2(0x21, 0x11, bytes(84));
    CHECK(proxy_protocol::parse_v2(in, 101).done());
    CHECK(proxy_protocol::parse_v2(in, 100).done());
    CHECK(proxy_protocol::parse_v2(in, 99).error() == proxy_protocol::errc::too_long);
    CHECK(proxy_protocol::parse_v2(in, 99).error() == cond::too_large);
    auto const most = raw_v2(0x21, 0x11, bytes(65535));
    CHECK(proxy_protocol::parse_v2(most, 65551).done());
}
