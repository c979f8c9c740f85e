#include <podproxy/socks5/address.hpp>

#include "octets.hpp"
#include <catch2/catch_test_macros.hpp>
#include <unit/support/splits.hpp>
#include <string>

using namespace podproxy;
using namespace podproxy::socks5;
using namespace podproxy::test;

TEST_CASE("socks5 address: the three types are read and written", "[socks5]")
{
    struct row {
        char const* name;
        octets wire;
        address expected;
    };
    row const rows[] = {
        {"IPv4", {0x01, 192, 0, 2, 1, 0x00, 0x50}, {address_type::ipv4, "192.0.2.1", 80}},
        {"IPv4, all ones", {0x01, 255, 255, 255, 255, 0xff, 0xff}, {address_type::ipv4, "255.255.255.255", 65535}},
        {"IPv6",
         {0x04, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x01, 0xbb},
         {address_type::ipv6, "2001:db8::1", 443}},
        {"IPv6, mapped",
         {0x04, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1, 0x01, 0xbb},
         {address_type::ipv6, "::ffff:192.0.2.1", 443}},
        {"name", {0x03, 0x03, 'w', 'e', 'b', 0x00, 0x50}, {address_type::name, "web", 80}},
        {"name of one byte", {0x03, 0x01, 'x', 0x00, 0x00}, {address_type::name, "x", 0}},
        {"a literal sent as a name stays a name", {0x03, 0x03, ':', ':', '1', 0x00, 0x50}, {address_type::name, "::1", 80}},
        {"a cluster's ARN", cat({{0x03, 0x0b}, "arn:aws/x@y"_b, {0x00, 0x50}}), {address_type::name, "arn:aws/x@y", 80}},
        {"UTF-8", cat({{0x03, 0x05}, "caf\xc3\xa9"_b, {0x00, 0x50}}), {address_type::name, "caf\xc3\xa9", 80}},
    };
    for (row const& r : rows) {
        INFO(r.name);
        auto const got = check_all_prefixes(r.wire, parse_address);
        REQUIRE(got.done());
        CHECK(got.value() == r.expected);
        auto const back = encode_address(r.expected);
        REQUIRE(back);
        CHECK(to_octets(*back) == r.wire);
    }
}

TEST_CASE("socks5 address: names of 254 and 255 bytes are read", "[socks5]")
{
    for (std::size_t const n : {254u, 255u}) {
        octets const wire = cat({{0x03, static_cast<std::uint8_t>(n)}, octets(n, 'a'), {0x00, 0x50}});
        auto const got = check_all_prefixes(wire, parse_address);
        CHECK(got.value().host == std::string(n, 'a'));
        CHECK(to_octets(*encode_address(got.value())) == wire);
    }
}

TEST_CASE("socks5 address: malformed ones are refused as early as it shows", "[socks5]")
{
    for (unsigned type = 0; type <= 0xff; ++type)
        if (type != 1 && type != 3 && type != 4)
            CHECK(parse_address(octets{static_cast<std::uint8_t>(type)}).error() == socks5::errc::bad_address_type);
    CHECK(parse_address(octets{0x03, 0x00}).error() == socks5::errc::empty_name);
    for (unsigned c = 0; c <= 0x20; ++c) {
        INFO("character " << c);
        CHECK(parse_address(octets{0x03, 0x03, 'a', static_cast<std::uint8_t>(c), 'b', 0x00, 0x50}).error() == socks5::errc::bad_name);
    }
    CHECK(parse_address(octets{0x03, 0x01, 0x7f, 0x00, 0x50}).error() == socks5::errc::bad_name);
}

TEST_CASE("socks5 address: a host chooses its type", "[socks5]")
{
    CHECK(address(host_port("192.0.2.1", 1)).type == address_type::ipv4);
    CHECK(address(host_port("::1", 1)).type == address_type::ipv6);
    CHECK(address(host_port("web.shop.kube", 1)).type == address_type::name);
    CHECK(address(host_port("fe80::1%eth0", 1)).type == address_type::name);
    CHECK(address(host_port("1.2.3", 1)).type == address_type::name);
    CHECK(address(host_port("web", 7)).to_host_port() == host_port("web", 7));
}

TEST_CASE("socks5 address: what has no place on the wire is not encoded", "[socks5]")
{
    CHECK(encode_address({address_type::ipv4, "web", 1}).error() == socks5::errc::host_not_encodable);
    CHECK(encode_address({address_type::ipv6, "192.0.2.1", 1}).error() == socks5::errc::host_not_encodable);
    CHECK(encode_address({address_type::name, "", 1}).error() == socks5::errc::host_not_encodable);
    CHECK(encode_address({address_type::name, "a b", 1}).error() == socks5::errc::host_not_encodable);
    CHECK(encode_address({address_type::name, "a\r\nb", 1}).error() == socks5::errc::host_not_encodable);
    CHECK(encode_address({address_type::name, std::string(256, 'a'), 1}).error() == socks5::errc::host_not_encodable);
}
