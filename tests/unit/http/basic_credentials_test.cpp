#include <podproxy/http/basic_credentials.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <string>

using namespace podproxy;

TEST_CASE("basic credentials: user and password, and colons in the password", "[http]")
{
    auto const plain = http::parse_basic_credentials("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="); // RFC 7617 section 2
    REQUIRE(plain);
    CHECK(plain->user == "Aladdin");
    CHECK(plain->password.reveal() == "open sesame");
    auto const colons = http::parse_basic_credentials("  bAsIc   " + encode_base64(as_bytes("u:a:b:")) + " ");
    REQUIRE(colons);
    CHECK(colons->user == "u");
    CHECK(colons->password.reveal() == "a:b:");
    auto const utf8 = http::parse_basic_credentials("Basic dGVzdDoxMjPCow=="); // RFC 7617 section 2.1
    REQUIRE(utf8);
    CHECK(utf8->password.reveal() == "123\xc2\xa3");
    auto const nothing = http::parse_basic_credentials("Basic Og==");
    REQUIRE(nothing);
    CHECK(nothing->user.empty());
    CHECK(nothing->password.empty());
}

TEST_CASE("basic credentials: everything else is refused", "[http]")
{
    std::string const text = GENERATE(as<std::string>(), "", "Basic", "Basic ", "Basic dTpw=", "Basic dTpw dTpw", "BasicdTpw", "Bearer dTpw", "Basic dQ==", "Basic d\tpw",
                                      "Basic " + encode_base64(as_bytes("u:p\n")), "Basic " + encode_base64(as_bytes(std::string("u\0:p", 4))), "Digest username=\"u\"");
    CAPTURE(text);
    CHECK(http::parse_basic_credentials(text).error() == podproxy::errc::malformed);
}
