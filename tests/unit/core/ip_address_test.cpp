#include <podproxy/core/ip_address.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <string_view>

using namespace podproxy;

TEST_CASE("ip address: IPv4 is four decimal numbers and nothing else")
{
    auto const a = parse_ipv4("192.0.2.1");
    REQUIRE(a);
    CHECK(*a == ipv4_bytes{192, 0, 2, 1});
    CHECK(format_ip(*a) == "192.0.2.1");
    for (std::string_view const bad : {"", "1.2.3", "1.2.3.4.5", "256.0.0.1", "1.2.3.", ".1.2.3", "1.2.3.4 ", "0x1.2.3.4", "1..2.3"}) {
        INFO(bad);
        CHECK_FALSE(parse_ipv4(bad));
    }
}

TEST_CASE("ip address: IPv6 is read in every form and written as RFC 5952 wants it")
{
    struct form {
        std::string_view text;
        std::string_view canonical;
    };
    for (form const f : {form{"::", "::"}, form{"::1", "::1"}, form{"2001:DB8:0:0:0:0:0:aF", "2001:db8::af"}, form{"fe80::1", "fe80::1"},
                         form{"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"}, form{"2001:0db8::0001", "2001:db8::1"}, form{"1::", "1::"}}) {
        INFO(f.text);
        auto const a = parse_ipv6(f.text);
        REQUIRE(a);
        CHECK(format_ip(*a) == f.canonical);
    }
    for (std::string_view const bad : {"", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", "[::1]", "::1%eth0", "1:2:3:4:5:6:7:"}) {
        INFO(bad);
        CHECK_FALSE(parse_ipv6(bad));
    }
}
