#include <podproxy/socks4/request.hpp>

#include <catch2/catch_test_macros.hpp>
#include <unit/support/splits.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

using namespace podproxy;
using socks4::parse_request;

namespace {

using octets = std::vector<std::uint8_t>;

octets with(octets head, std::string const& text)
{
    head.insert(head.end(), text.begin(), text.end());
    return head;
}
octets const to_address{
    0x04,                   // VN
    0x01,                   // CD: CONNECT
    0x1f, 0x90,             // DSTPORT: 8080
    0xc0, 0x00, 0x02, 0x07, // DSTIP: 192.0.2.7
};
octets const to_name{0x04, 0x01, 0x00, 0x50, 0x00, 0x00, 0x00, 0x01};

} // namespace

TEST_CASE("socks4 request: an address", "[socks4]")
{
    auto const wire = with(to_address, std::string("jane\0", 5));
    auto const r = test::check_all_prefixes(wire, parse_request);
    CHECK(r.value().destination == host_port("192.0.2.7", 8080));
    CHECK(r.value().user == "jane");
    CHECK(r.consumed() == wire.size());
    // What follows belongs to the destination.
    CHECK(parse_request(with(wire, "early")).consumed() == wire.size());
    CHECK(test::check_all_prefixes(with(to_address, std::string(1, '\0')), parse_request).value().user.empty());
}

TEST_CASE("socks4 request: a name, as SOCKS4a has it", "[socks4]")
{
    auto const wire = with(to_name, std::string("jane\0web.shop.kube\0", 19));
    auto const r = test::check_all_prefixes(wire, parse_request);
    CHECK(r.value().destination == host_port("web.shop.kube", 80));
    CHECK(r.value().user == "jane");
    CHECK(parse_request(with(wire, "early")).consumed() == wire.size());
    auto zero = to_name;
    zero[7] = 0; // 0.0.0.0 is an address
    CHECK(parse_request(with(zero, std::string("\0web\0", 5))).value().destination == host_port("0.0.0.0", 80));
    CHECK(parse_request(with(zero, std::string("\0web\0", 5))).consumed() == 9);
}

TEST_CASE("socks4 request: texts up to their limits", "[socks4]")
{
    std::string const nul(1, '\0');
    auto const longest = with(to_name, std::string(255, 'u') + nul + std::string(255, 'h') + nul);
    CHECK(longest.size() == socks4::max_request_bytes);
    auto const r = parse_request(longest);
    REQUIRE(r.done());
    CHECK(r.value().user.size() == 255);
    CHECK(r.value().destination.host.size() == 255);
    // One more is refused as soon as it is there, with or without an end.
    CHECK(parse_request(with(to_name, std::string(255, 'u'))).needs_more());
    CHECK(parse_request(with(to_name, std::string(256, 'u'))).error() == socks4::errc::user_too_long);
    CHECK(parse_request(with(to_name, std::string(256, 'u') + nul)).error() == socks4::errc::user_too_long);
    CHECK(parse_request(with(to_name, nul + std::string(255, 'h'))).needs_more());
    CHECK(parse_request(with(to_name, nul + std::string(256, 'h'))).error() == socks4::errc::name_too_long);
}

TEST_CASE("socks4 request: what is refused, at the byte that tells", "[socks4]")
{
    CHECK(parse_request(octets{0x05}).error() == socks4::errc::bad_version);
    CHECK(parse_request(octets{0x04, 0x02}).error() == socks4::errc::unsupported_command);
    CHECK(parse_request(octets{0x04, 0x00}).error() == socks4::errc::unsupported_command);
    CHECK(parse_request(octets{0x04, 0x01, 0, 0, 127, 0, 0, 1}).error() == socks4::errc::bad_port);
    CHECK(parse_request(with(to_name, std::string("\0\0", 2))).error() == socks4::errc::empty_name);
    for (char const* const name : {"a b", "a\nb", "a\x7f"})
        CHECK(parse_request(with(to_name, std::string(1, '\0') + name + std::string(1, '\0'))).error() == socks4::errc::bad_name);
    CHECK(std::error_code(socks4::errc::bad_name) == cond::malformed);
}

TEST_CASE("socks4 request: answers", "[socks4]")
{
    CHECK(std::ranges::equal(socks4::encode_reply(socks4::reply_code::granted), octets{0x00, 0x5a, 0, 0, 0, 0, 0, 0}));
    CHECK(std::ranges::equal(socks4::encode_reply(socks4::reply_code::wrong_user), octets{0x00, 0x5d, 0, 0, 0, 0, 0, 0}));
}
