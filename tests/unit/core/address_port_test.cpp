#include <podproxy/core/address_port.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace podproxy;

TEST_CASE("address and port: IPv4 is kept in its mapped form and given back")
{
    address_port const end(ipv4_bytes{192, 0, 2, 1}, 80);
    CHECK(end.address == *parse_ipv6("::ffff:192.0.2.1"));
    CHECK(end.ipv4() == ipv4_bytes{192, 0, 2, 1});
    CHECK(end == address_port(*parse_ipv6("::ffff:192.0.2.1"), 80));
    CHECK(format_address_port(end) == "192.0.2.1:80");
}

TEST_CASE("address and port: IPv6 is no IPv4, however close to it")
{
    for (char const* const text : {"2001:db8::1", "::", "::1", "::192.0.2.1", "::fffe:192.0.2.1", "::ff:192.0.2.1", "1::ffff:192.0.2.1", "64:ff9b::1"}) {
        INFO(text);
        CHECK_FALSE(unmapped(*parse_ipv6(text)));
    }
    CHECK(format_address_port({*parse_ipv6("2001:db8::1"), 80}) == "[2001:db8::1]:80");
    CHECK(format_address(ipv6_bytes{}) == "::");
}
