#include <podproxy/socks5/client_fsm.hpp>

#include "octets.hpp"
#include <catch2/catch_test_macros.hpp>
#include <unit/support/socks5_transcripts.hpp>
#include <unit/support/splits.hpp>
#include <optional>
#include <string>

using namespace podproxy;
using namespace podproxy::socks5;
using namespace podproxy::test;

namespace {

host_port const web("web", 80);
std::optional<credentials> const nobody;
std::optional<credentials> const anna(std::in_place, "anna", "pw");

std::string play(octets const& in, std::optional<credentials> const& creds = nobody, host_port const& to = web)
{
    return check_all_splits(in, [&](std::span<bytes_view const> parts) { return client_transcript(parts, to, creds); });
}

std::string const hello = "> 05 01 00\n";
std::string const hello_anna = "> 05 02 00 02\n";
std::string const auth = "> 01 04 61 6e 6e 61 02 70 77\n";
std::string const ask = "> 05 01 00 03 03 77 65 62 00 50\n";
octets const success{0x05, 0x00, 0x00, 0x01, 10, 0, 0, 7, 0x00, 0x07};

} // namespace

TEST_CASE("socks5 client: without credentials", "[socks5]")
{
    CHECK(play(cat({{0x05, 0x00}, success})) == hello + ask + "done, bound 10.0.0.7:7\nearly \n");
}

TEST_CASE("socks5 client: with credentials the proxy chooses", "[socks5]")
{
    CHECK(play(cat({{0x05, 0x02}, {0x01, 0x00}, success}), anna) == hello_anna + auth + ask + "done, bound 10.0.0.7:7\nearly \n");
    CHECK(play(cat({{0x05, 0x00}, success}), anna) == hello_anna + ask + "done, bound 10.0.0.7:7\nearly \n");
    CHECK(play(cat({{0x05, 0x02}, {0x01, 0x01}}), anna) == hello_anna + auth + "failed: the proxy's user name or password is wrong\n");
    CHECK(play(cat({{0x05, 0x02}, {0x05, 0x00}}), anna) ==
          hello_anna + auth + "failed: the peer's user/password message has an unknown version\n");
}

TEST_CASE("socks5 client: what the destination sends at once is left alone", "[socks5]")
{
    CHECK(play(cat({{0x05, 0x00}, success, "SSH"_b})) == hello + ask + "done, bound 10.0.0.7:7\nearly 53 53 48\n");
}

TEST_CASE("socks5 client: addresses are sent as addresses", "[socks5]")
{
    CHECK(play({0x05, 0x00}, nobody, {"192.0.2.1", 443}) == hello + "> 05 01 00 01 c0 00 02 01 01 bb\nreading\n");
    CHECK(play({0x05, 0x00}, nobody, {"::1", 443}) == hello + "> 05 01 00 04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 01 bb\nreading\n");
}

TEST_CASE("socks5 client: a method that was not offered is refused", "[socks5]")
{
    CHECK(play({0x05, 0xff}) == hello + "failed: client and proxy share no authentication method\n");
    CHECK(play({0x05, 0x02}) == hello + "failed: the proxy chose an authentication method that was not offered\n");
    CHECK(play({0x05, 0x01}, anna) == hello_anna + "failed: the proxy chose an authentication method that was not offered\n");
    CHECK(play({0x05, 0x80}, anna) == hello_anna + "failed: the proxy chose an authentication method that was not offered\n");
    CHECK(play("HTTP/1.1 400 Bad Request\r\n"_b) == hello + "failed: the peer does not speak SOCKS version 5\n");
}

TEST_CASE("socks5 client: every refusal has its error, from two bytes on", "[socks5]")
{
    for (unsigned code = 1; code <= 0xff; ++code) {
        auto const rep = static_cast<std::uint8_t>(code);
        auto const why = code <= 8 ? error_for(static_cast<reply_code>(code)) : std::error_code(socks5::errc::unknown_reply);
        std::string const expected = hello + ask + "failed: " + why.message() + '\n';
        CHECK(play({0x05, 0x00, 0x05, rep}) == expected);
        if (code <= 9) CHECK(play({0x05, 0x00, 0x05, rep, 0x00, 0x01, 0, 0, 0, 0, 0, 0}) == expected);
    }
}

TEST_CASE("socks5 client: a malformed success is refused", "[socks5]")
{
    CHECK(play({0x05, 0x00, 0x04}) == hello + ask + "failed: the peer does not speak SOCKS version 5\n");
    CHECK(play({0x05, 0x00, 0x05, 0x00, 0x07}) == hello + ask + "failed: the peer set a reserved byte\n");
    CHECK(play({0x05, 0x00, 0x05, 0x00, 0x00, 0x09}) == hello + ask + "failed: the peer used an unknown address type\n");
    CHECK(play({0x05, 0x00, 0x05, 0x00, 0x00, 0x03, 0x00}) == hello + ask + "failed: the peer sent an empty host name\n");
}

TEST_CASE("socks5 client: what can't be sent is found before the first byte", "[socks5]")
{
    std::string const no_host = "failed: " + make_error_code(socks5::errc::host_not_encodable).message() + '\n';
    std::string const no_user = "failed: " + make_error_code(socks5::errc::credentials_not_encodable).message() + '\n';
    CHECK(client_transcript({}, {"", 80}, nobody) == no_host);
    CHECK(client_transcript({}, {"a b", 80}, nobody) == no_host);
    CHECK(client_transcript({}, {std::string(256, 'a'), 80}, nobody) == no_host);
    CHECK(client_transcript({}, {std::string(255, 'a'), 80}, nobody) == hello + "reading\n");
    CHECK(client_transcript({}, web, credentials("", "pw")) == no_user);
    CHECK(client_transcript({}, web, credentials(std::string(256, 'u'), "pw")) == no_user);
    CHECK(client_transcript({}, web, credentials("u", std::string(256, 'p'))) == no_user);
}
