#include <podproxy/core/cidr.hpp>

#include <catch2/catch_test_macros.hpp>
#include <array>
#include <string>
#include <string_view>
#include <vector>

using namespace podproxy;

namespace {

ipv6_bytes address(std::string_view text)
{
    auto const v4 = parse_ipv4(text);
    return v4 ? as_mapped(*v4) : parse_ipv6(text).value();
}

bool holds(std::string_view block, std::string_view ip) { return parse_cidr(block).value().contains(address(ip)); }

} // namespace

TEST_CASE("cidr: the first and the last address of a block are in it, their neighbours are not")
{
    struct {
        std::string_view block, before, first, last, behind;
    } const cases[] = {
        {"10.0.0.0/8", "9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
        {"172.16.0.0/12", "172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"},
        {"192.0.2.128/25", "192.0.2.127", "192.0.2.128", "192.0.2.255", "192.0.3.0"},
        {"192.0.2.4/30", "192.0.2.3", "192.0.2.4", "192.0.2.7", "192.0.2.8"},
        {"192.0.2.6/31", "192.0.2.5", "192.0.2.6", "192.0.2.7", "192.0.2.8"},
        {"192.0.2.9/32", "192.0.2.8", "192.0.2.9", "192.0.2.9", "192.0.2.10"},
        {"192.0.2.9", "192.0.2.8", "192.0.2.9", "192.0.2.9", "192.0.2.10"},
        {"128.0.0.0/1", "127.255.255.255", "128.0.0.0", "255.255.255.255", "::1:0:0:0"},
        {"2001:db8::/32", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"},
        {"fe80::/10", "fe7f:ffff::", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fec0::"},
        {"2001:db8::8/127", "2001:db8::7", "2001:db8::8", "2001:db8::9", "2001:db8::a"},
        {"::1/128", "::", "::1", "::1", "::2"},
        {"::1", "::", "::1", "::1", "::2"},
    };
    for (auto const& c : cases) {
        INFO(c.block);
        CHECK_FALSE(holds(c.block, c.before));
        CHECK(holds(c.block, c.first));
        CHECK(holds(c.block, c.last));
        CHECK_FALSE(holds(c.block, c.behind));
    }
}

TEST_CASE("cidr: a length of zero is every address of its family")
{
    CHECK(holds("0.0.0.0/0", "0.0.0.0"));
    CHECK(holds("0.0.0.0/0", "255.255.255.255"));
    CHECK_FALSE(holds("0.0.0.0/0", "2001:db8::1"));
    CHECK_FALSE(holds("0.0.0.0/0", "::"));
    CHECK(holds("::/0", "2001:db8::1"));
    CHECK(holds("::/0", "192.0.2.1")); // IPv4 is a part of IPv6 here
}

TEST_CASE("cidr: IPv4 and its mapped form are the same")
{
    CHECK(parse_cidr("10.0.0.0/8") == parse_cidr("::ffff:10.0.0.0/104"));
    CHECK(parse_cidr("10.0.0.0/8")->prefix == 104);
    CHECK(parse_cidr("192.0.2.1") == parse_cidr("::ffff:192.0.2.1"));
    CHECK(parse_cidr("0.0.0.0/0") == parse_cidr("::ffff:0:0/96"));
    CHECK(parse_cidr("10.0.0.0/8")->contains(ipv4_bytes{10, 1, 2, 3}));
    CHECK_FALSE(parse_cidr("10.0.0.0/8")->contains(ipv4_bytes{11, 1, 2, 3}));
    CHECK(holds("::ffff:10.0.0.0/104", "10.9.8.7"));
    CHECK_FALSE(holds("10.0.0.0/8", "::10.0.0.1")); // not mapped
}

TEST_CASE("cidr: bits behind the length are dropped")
{
    CHECK(parse_cidr("10.1.2.3/8") == parse_cidr("10.0.0.0/8"));
    CHECK(parse_cidr("192.0.2.255/25") == parse_cidr("192.0.2.128/25"));
    CHECK(parse_cidr("2001:db8::ffff/64") == parse_cidr("2001:db8::/64"));
    CHECK(parse_cidr("ffff::1/0") == parse_cidr("::/0"));
}

TEST_CASE("cidr: every length of both families is right for an address of ones and of zeros")
{
    for (unsigned length = 0; length <= 128; ++length) {
        auto const ones = parse_cidr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/" + std::to_string(length)).value();
        CHECK(ones.prefix == length);
        for (unsigned flipped = 0; flipped < 128; ++flipped) {
            ipv6_bytes ip;
            ip.fill(0xff);
            ip[flipped / 8] = static_cast<std::uint8_t>(ip[flipped / 8] ^ (0x80u >> (flipped % 8)));
            if (ones.contains(ip) != (flipped >= length)) {
                INFO("length " << length << ", bit " << flipped);
                CHECK(ones.contains(ip) == (flipped >= length));
            }
        }
    }
    for (unsigned length = 0; length <= 32; ++length) CHECK(parse_cidr("0.0.0.0/" + std::to_string(length))->prefix == 96 + length);
}

TEST_CASE("cidr: what is no block is nothing")
{
    for (std::string_view const text :
         {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/ 8", "10.0.0.0/8 ", " 10.0.0.0/8", "10.0.0.0/8/8", "10.0.0.0/8x",
          "10.0.0.0/0x8", "10.0.0.0/255.0.0.0", "10.0.0/8", "10/8", "010.0.0.0/8", "256.0.0.0/8", "2001:db8::/129", "2001:db8::/4294967297",
          "2001:db8::/99999999999999999999", "[2001:db8::]/32", "fe80::1%eth0", "fe80::%eth0/10", ":::/0", "localhost", "example.com/8", "10.0.0.0\\8", "*"}) {
        INFO(text);
        CHECK_FALSE(parse_cidr(text));
    }
}

TEST_CASE("cidr: a list holds what one of its blocks holds, and an empty list nothing")
{
    std::array const blocks{parse_cidr("10.0.0.0/8").value(), parse_cidr("2001:db8::/32").value()};
    CHECK(contains(blocks, address("10.2.3.4")));
    CHECK(contains(blocks, address("2001:db8::1")));
    CHECK_FALSE(contains(blocks, address("192.0.2.1")));
    CHECK_FALSE(contains({}, address("10.2.3.4")));
}
