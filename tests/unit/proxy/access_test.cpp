#include <podproxy/proxy/access.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

using namespace podproxy;

namespace {

auth::verifier_config plain()
{
    auth::verifier_config c;
    c.verify = [](std::string_view password, secret const& hash) -> result<bool> { return password == hash.reveal(); };
    return c;
}

auth::user_table ann()
{
    auth::user_table t;
    t.emplace("ann", secret("open sesame"));
    return t;
}

bool admits(proxy::access_control const& a, char const* from) { return a.admits(asio::ip::make_address(from)); }

} // namespace

TEST_CASE("access: by default everybody may", "[proxy]")
{
    proxy::access_control a({}, plain());
    CHECK_FALSE(a.asks_for_password());
    CHECK_FALSE(a.is_limited());
    CHECK(a.check("x", "y"));
    CHECK(a.check_basic(""));
    CHECK(admits(a, "192.0.2.1"));
}

TEST_CASE("access: users and passwords, by both protocols", "[proxy]")
{
    proxy::access_control a({}, plain());
    a.set_users(ann());
    CHECK(a.asks_for_password());
    CHECK(a.check("ann", "open sesame"));
    CHECK_FALSE(a.check("ann", "open"));
    CHECK(a.check_basic("Basic " + encode_base64(as_bytes("ann:open sesame"))));
    CHECK_FALSE(a.check_basic("Basic " + encode_base64(as_bytes("ann:open"))));
    CHECK_FALSE(a.check_basic(""));
    CHECK_FALSE(a.check_basic("Bearer x"));
    a.set_users(auth::user_table());
    CHECK_FALSE(a.check("ann", "open sesame"));
    a.set_users(std::nullopt);
    CHECK(a.check("ann", "open"));
}

TEST_CASE("access: addresses of both families, loopback always", "[proxy]")
{
    proxy::access_control a({}, plain());
    a.set_allowed(std::vector{*parse_cidr("10.0.0.0/8"), *parse_cidr("2001:db8::/32"), *parse_cidr("192.0.2.7")});
    CHECK(a.is_limited());
    for (char const* const yes : {"10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", "192.0.2.7", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"}) {
        INFO(yes);
        CHECK(admits(a, yes));
    }
    for (char const* const no : {"11.0.0.1", "192.0.2.8", "2001:db9::1", "::", "0.0.0.0", "::ffff:11.0.0.1"}) {
        INFO(no);
        CHECK_FALSE(admits(a, no));
    }
}
