#include <podproxy/socks5/auth.hpp>

#include "octets.hpp"
#include <catch2/catch_test_macros.hpp>
#include <unit/support/splits.hpp>
#include <string>

using namespace podproxy;
using namespace podproxy::socks5;
using test::octets;
using namespace podproxy::test;

TEST_CASE("socks5 auth: user and password are read and written", "[socks5]")
{
    octets const wire{
        0x01,                         // VER of the sub-negotiation
        0x04, 'a', 'n', 'n', 'a',     // ULEN, UNAME
        0x03, 0x00, 0xff, 0x20,       // PLEN, PASSWD: any bytes
    };
    auto const r = check_all_prefixes(wire, parse_auth_request);
    CHECK(r.value().user == "anna");
    CHECK(r.value().password == std::string_view("\0\xff ", 3));
    CHECK(to_octets(*encode_auth_request(r.value().user, r.value().password)) == wire);
}

TEST_CASE("socks5 auth: the limits are 1 and 255 for the user, 0 and 255 for the password", "[socks5]")
{
    for (std::size_t const user : {1u, 254u, 255u})
        for (std::size_t const password : {0u, 1u, 254u, 255u}) {
            auto const m = encode_auth_request(std::string(user, 'u'), std::string(password, 'p'));
            REQUIRE(m);
            auto const r = parse_auth_request(*m);
            REQUIRE(r.done());
            CHECK(r.consumed() == m->size());
            CHECK(r.value().user.size() == user);
            CHECK(r.value().password.size() == password);
        }
    CHECK(encode_auth_request("", "p").error() == socks5::errc::credentials_not_encodable);
    CHECK(encode_auth_request(std::string(256, 'u'), "p").error() == socks5::errc::credentials_not_encodable);
    CHECK(encode_auth_request("u", std::string(256, 'p')).error() == socks5::errc::credentials_not_encodable);
}

TEST_CASE("socks5 auth: an empty password is read, an empty user is refused", "[socks5]")
{
    octets const wire{0x01, 0x01, 'u', 0x00};
    CHECK(check_all_prefixes(wire, parse_auth_request).value().password.empty());
    CHECK(parse_auth_request(octets{0x01, 0x00}).error() == socks5::errc::empty_user);
}

TEST_CASE("socks5 auth: an unknown version is refused, in both directions", "[socks5]")
{
    for (std::uint8_t const v : octets{0x00, 0x02, 0x05, 0xff}) {
        CHECK(parse_auth_request(octets{v}).error() == socks5::errc::bad_auth_version);
        CHECK(parse_auth_reply(octets{v}).error() == socks5::errc::bad_auth_version);
    }
}

TEST_CASE("socks5 auth: every status but zero is a failure", "[socks5]")
{
    CHECK(check_all_prefixes(octets{0x01, 0x00}, parse_auth_reply).value() == auth_status::success);
    for (unsigned s = 1; s <= 0xff; ++s)
        CHECK(parse_auth_reply(octets{0x01, static_cast<std::uint8_t>(s)}).value() == auth_status::failure);
    CHECK(to_octets(encode_auth_reply(auth_status::success)) == octets{0x01, 0x00});
    CHECK(to_octets(encode_auth_reply(auth_status::failure)) == octets{0x01, 0x01});
}
