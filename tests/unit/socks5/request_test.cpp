#include <podproxy/socks5/request.hpp>

#include "octets.hpp"
#include <catch2/catch_test_macros.hpp>
#include <unit/support/splits.hpp>

using namespace podproxy;
using namespace podproxy::socks5;
using namespace podproxy::test;

TEST_CASE("socks5 request: what clients send is read and written", "[socks5]")
{
    octets const by_name{
        0x05,                                                         // VER
        0x01,                                                         // CMD: CONNECT
        0x00,                                                         // RSV
        0x03,                                                         // ATYP: name
        0x0d, 'w', 'e', 'b', '.', 's', 'h', 'o', 'p', '.', 'k', 'u', 'b', 'e', // its length, and it
        0x00, 0x50,                                                   // DST.PORT: 80
    };
    auto const r = check_all_prefixes(by_name, parse_request);
    CHECK(r.value().cmd == command::connect);
    CHECK(r.value().destination == address(address_type::name, "web.shop.kube", 80));
    CHECK(to_octets(*encode_request(r.value())) == by_name);

    octets const udp{0x05, 0x03, 0x00, 0x01, 0, 0, 0, 0, 0x00, 0x00};
    auto const u = check_all_prefixes(udp, parse_request);
    CHECK(u.value().cmd == command::udp_associate);
    CHECK(u.value().destination == address());

    octets const six{0x05, 0x02, 0x00, 0x04, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x1f, 0x90};
    auto const s = check_all_prefixes(six, parse_request);
    CHECK(s.value().cmd == command::bind);
    CHECK(s.value().destination == address(address_type::ipv6, "::1", 8080));
    CHECK(to_octets(*encode_request(s.value())) == six);
}

TEST_CASE("socks5 request: an unknown command is left to the server", "[socks5]")
{
    octets const wire{0x05, 0x09, 0x00, 0x01, 0, 0, 0, 0, 0x00, 0x01};
    CHECK(static_cast<int>(parse_request(wire).value().cmd) == 9);
}

TEST_CASE("socks5 request: malformed ones are refused", "[socks5]")
{
    CHECK(parse_request(octets{0x04}).error() == socks5::errc::bad_version);
    CHECK(parse_request(octets{0x05, 0x01, 0x01}).error() == socks5::errc::bad_reserved);
    CHECK(parse_request(octets{0x05, 0x01, 0x00, 0x02}).error() == socks5::errc::bad_address_type);
    CHECK(parse_request(octets{0x05, 0x01, 0x00, 0x03, 0x00}).error() == socks5::errc::empty_name);
    CHECK(parse_request(octets{0x05, 0x01, 0x00, 0x03, 0x01, 0x0a, 0x00, 0x50}).error() == socks5::errc::bad_name);
    CHECK(encode_request({command::connect, address(host_port("", 1))}).error() == socks5::errc::host_not_encodable);
}
