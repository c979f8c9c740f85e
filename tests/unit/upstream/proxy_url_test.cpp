#include <podproxy/upstream/proxy_url.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace podproxy;
using upstream::parse_proxy_url;

TEST_CASE("each scheme has its default port")
{
    auto const port_of = [](std::string_view text) {
        auto const url = parse_proxy_url(text);
        REQUIRE(url);
        CHECK(url->address.host == "proxy.example");
        CHECK(url->user.empty());
        return url->address.port;
    };
    CHECK(port_of("http://proxy.example") == 80);
    CHECK(port_of("https://proxy.example/") == 443);
    CHECK(port_of("socks5://proxy.example") == 1080);
    CHECK(port_of("SOCKS5h://proxy.example:9050") == 9050);
    CHECK(parse_proxy_url("https://proxy.example")->scheme == upstream::scheme::https);
    CHECK(parse_proxy_url("socks5h://proxy.example")->scheme == upstream::scheme::socks5);
}

TEST_CASE("user and password are decoded, and never shown")
{
    auto const url = parse_proxy_url("http://jane%40corp:p%3Aa%2Fss@[2001:db8::1]:3128");
    REQUIRE(url);
    CHECK(url->user == "jane@corp");
    CHECK(url->password.reveal() == "p:a/ss");
    CHECK(url->address == host_port("2001:db8::1", 3128));
    CHECK(upstream::shown(*url) == "http://[2001:db8::1]:3128");
}

TEST_CASE("a password may be missing, and may hold an at sign")
{
    CHECK(parse_proxy_url("socks5://jane@proxy")->password.empty());
    CHECK(parse_proxy_url("socks5://jane:a@b@proxy")->password.reveal() == "a@b");
}

TEST_CASE("what is no URL of a proxy is refused")
{
    for (std::string const text : {"", "proxy:3128", "ftp://proxy", "socks4://proxy", "http://", "http://:80", "http://proxy:0", "http://proxy:99999", "http://proxy/path",
                                   "http://proxy?q", "http://@proxy", "http://:secret@proxy", "http://a%zz@proxy", "http://a%3Ab:c@proxy", "http://a%00b@proxy", "http://pro xy"}) {
        INFO(text);
        CHECK(parse_proxy_url(text).error() == upstream::errc::bad_url);
    }
    CHECK(parse_proxy_url("http://" + std::string(256, 'u') + "@proxy").error() == upstream::errc::bad_url);
    CHECK(parse_proxy_url("http://" + std::string(255, 'u') + "@proxy"));
}
