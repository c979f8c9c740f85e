#include <podproxy/socks5/greeting.hpp>

#include "octets.hpp"
#include <catch2/catch_test_macros.hpp>
#include <unit/support/splits.hpp>
#include <array>

using namespace podproxy;
using namespace podproxy::socks5;
using test::octets;

TEST_CASE("socks5 greeting: what curl with credentials sends is read", "[socks5]")
{
    octets const wire{
        0x05,             // VER
        0x03,             // NMETHODS: 3
        0x00, 0x01, 0x02, // METHODS: none, GSSAPI, user/password
    };
    auto const r = test::check_all_prefixes(wire, parse_greeting);
    CHECK(r.value().offers(method::none));
    CHECK(r.value().offers(method::gssapi));
    CHECK(r.value().offers(method::user_password));
    CHECK_FALSE(r.value().offers(method::unacceptable));
    CHECK(r.value().methods.size() == 3);
}

TEST_CASE("socks5 greeting: 255 methods are read", "[socks5]")
{
    octets wire{0x05, 0xff};
    for (int i = 0; i < 255; ++i) wire.push_back(static_cast<std::uint8_t>(i));
    CHECK(test::check_all_prefixes(wire, parse_greeting).value().methods.size() == 255);
    CHECK(wire.size() == max_greeting_bytes);
}

TEST_CASE("socks5 greeting: zero methods is refused", "[socks5]")
{
    CHECK(parse_greeting(octets{0x05, 0x00}).error() == socks5::errc::no_methods);
    CHECK(parse_greeting(octets{0x05, 0x00, 0x00}).error() == socks5::errc::no_methods);
}

TEST_CASE("socks5 greeting: another protocol is refused at its first byte", "[socks5]")
{
    for (std::uint8_t const first : octets{0x00, 0x04, 0x06, 0x16 /* TLS */, 0x47 /* GET */, 0xff}) {
        CHECK(parse_greeting(octets{first}).error() == socks5::errc::bad_version);
        CHECK(parse_greeting(octets{first}).error() == cond::malformed);
    }
}

TEST_CASE("socks5 greeting: what is encoded is what stands in the RFC", "[socks5]")
{
    constexpr std::array methods{method::none, method::user_password};
    CHECK(test::to_octets(encode_greeting(methods)) == octets{0x05, 0x02, 0x00, 0x02});
    CHECK(test::to_octets(encode_greeting(std::span(methods).first(1))) == octets{0x05, 0x01, 0x00});
}

TEST_CASE("socks5 method choice: every value is read and written", "[socks5]")
{
    for (unsigned m = 0; m <= 0xff; ++m) {
        octets const wire{0x05, static_cast<std::uint8_t>(m)};
        CHECK(parse_method_choice(wire).value() == static_cast<method>(m));
        CHECK(test::to_octets(encode_method_choice(static_cast<method>(m))) == wire);
    }
    CHECK(test::check_all_prefixes(octets{0x05, 0xff}, parse_method_choice).value() == method::unacceptable);
    CHECK(parse_method_choice(octets{0x48}).error() == socks5::errc::bad_version);
}
