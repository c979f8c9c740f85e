#include <podproxy/core/host_port.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace podproxy;

TEST_CASE("host_port: names, IPv4 and bracketed IPv6 are read and written back", "[core]")
{
    struct row {
        std::string_view text;
        std::string_view host;
        std::uint16_t port;
    };
    for (row const& r : {
             row{"web.shop.kube:80", "web.shop.kube", 80},
             row{"localhost:1", "localhost", 1},
             row{"192.0.2.1:65535", "192.0.2.1", 65535},
             row{"[::1]:80", "::1", 80},
             row{"[2001:db8::7]:443", "2001:db8::7", 443},
             row{"[fe80::1%eth0]:443", "fe80::1%eth0", 443},
             row{"trailing.dot.:53", "trailing.dot.", 53},
             row{"under_score:53", "under_score", 53},
             row{"caf\xc3\xa9:53", "caf\xc3\xa9", 53},
         }) {
        INFO(r.text);
        auto const got = parse_host_port(r.text);
        REQUIRE(got);
        CHECK(got->host == r.host);
        CHECK(got->port == r.port);
        CHECK(format_host_port(*got) == r.text);
    }
}

TEST_CASE("host_port: what is not host and port is refused with its reason", "[core]")
{
    struct row {
        std::string_view text;
        host_port_errc why;
    };
    for (row const& r : {
             row{"", host_port_errc::empty_host},
             row{":80", host_port_errc::empty_host},
             row{"web", host_port_errc::no_port},
             row{"[::1]", host_port_errc::no_port},
             row{"web:", host_port_errc::bad_port},
             row{"web:0", host_port_errc::bad_port},
             row{"web:65536", host_port_errc::bad_port},
             row{"web:000080", host_port_errc::bad_port},
             row{"web:+80", host_port_errc::bad_port},
             row{"web:-1", host_port_errc::bad_port},
             row{"web: 80", host_port_errc::bad_port},
             row{"web:80 ", host_port_errc::bad_port},
             row{"web:http", host_port_errc::bad_port},
             row{"[::1]80", host_port_errc::bad_port},
             row{"::1:80", host_port_errc::unbracketed_ipv6},
             row{"2001:db8::1", host_port_errc::unbracketed_ipv6},
             row{"[::1:80", host_port_errc::bad_ipv6},
             row{"[]:80", host_port_errc::bad_ipv6},
             row{"[web]:80", host_port_errc::bad_ipv6},
             row{"[192.0.2.1]:80", host_port_errc::bad_ipv6},
             row{"[fe80::1%]:80", host_port_errc::bad_ipv6},
             row{"[fe80::1%a b]:80", host_port_errc::bad_ipv6},
             row{"we b:80", host_port_errc::bad_host},
             row{"web\r\n:80", host_port_errc::bad_host},
             row{std::string_view("we\0b:80", 7), host_port_errc::bad_host},
             row{"web\x7f:80", host_port_errc::bad_host},
             row{"user@web:80", host_port_errc::bad_host},
             row{"web/path:80", host_port_errc::bad_host},
             row{"web?q:80", host_port_errc::bad_host},
             row{"web]:80", host_port_errc::bad_host},
         }) {
        INFO(r.text);
        CHECK(parse_host_port(r.text).error() == r.why);
        CHECK(parse_host_port(r.text).error() == cond::malformed);
        CHECK_FALSE(std::error_code(r.why).message().empty());
    }
}

TEST_CASE("host_port: a host has at most 255 bytes", "[core]")
{
    CHECK(parse_host_port(std::string(254, 'a') + ":1"));
    CHECK(parse_host_port(std::string(255, 'a') + ":1"));
    CHECK(parse_host_port(std::string(256, 'a') + ":1").error() == host_port_errc::bad_host);
}

TEST_CASE("host_port: a zone has at most 63 bytes, all of them plain", "[core]")
{
    CHECK(parse_host_port("[fe80::1%" + std::string(62, 'z') + "]:1"));
    CHECK(parse_host_port("[fe80::1%" + std::string(63, 'z') + "]:1"));
    CHECK(parse_host_port("[fe80::1%" + std::string(64, 'z') + "]:1").error() == host_port_errc::bad_ipv6);
    CHECK(parse_host_port("[fe80::1%a:b]:1").error() == host_port_errc::bad_ipv6);
    CHECK(parse_host_port("[fe80::1%a%b]:1").error() == host_port_errc::bad_ipv6);
    CHECK(parse_host_port("[fe80::1%\xe1]:1").error() == host_port_errc::bad_ipv6);
}

TEST_CASE("host_port: rules widen what is taken", "[core]")
{
    host_port_rules const http{.default_port = std::uint16_t{80}, .allow_port_zero = false, .allow_empty_host = false};
    CHECK(parse_host_port("web", http).value() == host_port("web", 80));
    CHECK(parse_host_port("[::1]", http).value() == host_port("::1", 80));
    CHECK(parse_host_port("web:8080", http).value() == host_port("web", 8080));
    CHECK(parse_host_port("web:", http).error() == host_port_errc::bad_port);
    host_port_rules const listen{.default_port = std::nullopt, .allow_port_zero = true, .allow_empty_host = true};
    CHECK(parse_host_port(":0", listen).value() == host_port("", 0));
    CHECK(parse_host_port("", listen).error() == host_port_errc::empty_host);
}

TEST_CASE("ip address: IPv4 is read strictly", "[core]")
{
    CHECK(parse_ipv4("0.0.0.0").value() == ipv4_bytes{0, 0, 0, 0});
    CHECK(parse_ipv4("255.1.20.3").value() == ipv4_bytes{255, 1, 20, 3});
    for (std::string_view const bad : {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.04", "1.2.3.4 ", " 1.2.3.4", "1..3.4",
                                       "1.2.3.", ".1.2.3", "1.2.3.1000", "a.b.c.d", "1.2.3.-4", "0x1.2.3.4"}) {
        INFO(bad);
        CHECK_FALSE(parse_ipv4(bad));
    }
    CHECK(format_ip(ipv4_bytes{255, 255, 255, 255}) == "255.255.255.255");
    CHECK(format_ip(ipv4_bytes{}) == "0.0.0.0");
}

TEST_CASE("ip address: IPv6 is read in every form and written in the canonical one", "[core]")
{
    struct row {
        std::string_view text;
        std::string_view canonical;
    };
    for (row const& r : {
             row{"::", "::"},
             row{"::1", "::1"},
             row{"1::", "1::"},
             row{"0:0:0:0:0:0:0:0", "::"},
             row{"2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"},
             row{"2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"}, // the first of two equal runs
             row{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},                 // one group is not shortened
             row{"1:0:0:2:0:0:0:3", "1:0:0:2::3"},                                // the longest
             row{"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},
             row{"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
             row{"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
             row{"::ffff:c000:201", "::ffff:192.0.2.1"},
             row{"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
             row{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
         }) {
        INFO(r.text);
        auto const bytes = parse_ipv6(r.text);
        REQUIRE(bytes);
        CHECK(format_ip(*bytes) == r.canonical);
        CHECK(parse_ipv6(r.canonical) == bytes);
    }
    for (std::string_view const bad : {"", ":", ":::", "1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1::2::3",
                                       "12345::", "g::", "1:", ":1", "1:2:3:4:5:6:7:", "::1 ", "[::1]", "::1%eth0", "::1.2.3", "::1.2.3.4.5",
                                       "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3.4:5", "1:2:3:4:5:6:7:8::1"}) {
        INFO(bad);
        CHECK_FALSE(parse_ipv6(bad));
    }
}

TEST_CASE("host_port: literals are told from names", "[core]")
{
    for (std::string_view const yes : {"192.0.2.1", "::1", "fe80::1%eth0"}) CHECK(is_ip_literal(yes));
    for (std::string_view const no : {"web", "1.2.3", "192.0.2.1%eth0", "fe80::1%", "[::1]", "%"}) CHECK_FALSE(is_ip_literal(no));
}
