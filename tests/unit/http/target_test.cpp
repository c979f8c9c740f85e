#include <podproxy/http/target.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace podproxy::http {
namespace {

std::string show(std::string_view method, std::string_view text)
{
    auto const t = parse_target(method, text);
    if (!t) return t.error().message();
    auto host = [&] {
        auto const& a = t->authority;
        return std::string(a.host) + (a.ipv6 ? " (6)" : "") + (a.port ? " " + std::to_string(*a.port) : "");
    };
    switch (t->form) {
    case target_form::origin: return "origin " + std::string(t->path_and_query);
    case target_form::absolute: return "absolute " + std::string(t->scheme) + " | " + host() + " | " + std::string(t->path_and_query);
    case target_form::authority: return "authority " + host();
    case target_form::asterisk: return "asterisk";
    }
    return "?";
}

std::string message(errc e) { return make_error_code(e).message(); }

} // namespace

TEST_CASE("http target: the four forms", "[http]")
{
    CHECK(show("GET", "/") == "origin /");
    CHECK(show("GET", "//a//b?c=/d") == "origin //a//b?c=/d");
    CHECK(show("GET", "/%2e%2E/%zz") == "origin /%2e%2E/%zz"); // left as it is
    CHECK(show("OPTIONS", "*") == "asterisk");
    CHECK(show("GET", "http://web.shop.demo/") == "absolute http | web.shop.demo | /");
    CHECK(show("GET", "HTTP://Web:8080?q") == "absolute HTTP | Web 8080 | ?q");
    CHECK(show("GET", "http://a") == "absolute http | a | ");
    CHECK(show("GET", "http://a:/x") == "absolute http | a | /x");
    CHECK(show("GET", "http://a/http://b@c/") == "absolute http | a | /http://b@c/");
    CHECK(show("GET", "http://[2001:db8::1]:80/x") == "absolute http | 2001:db8::1 (6) 80 | /x");
    CHECK(show("GET", "https://a/") == "absolute https | a | /");
    CHECK(show("CONNECT", "a.b:443") == "authority a.b 443");
    CHECK(show("CONNECT", "[::1]:443") == "authority ::1 (6) 443");
    CHECK(show("CONNECT", "my_service.x:1") == "authority my_service.x 1");
    CHECK(show("CONNECT", "a%20b:1") == "authority a%20b 1");
}

TEST_CASE("http target: what is refused", "[http]")
{
    std::vector<std::pair<std::pair<char const*, char const*>, errc>> const cases = {
        {{"GET", ""}, errc::bad_target},
        {{"GET", "*"}, errc::bad_target},
        {{"GET", "a"}, errc::bad_target},
        {{"GET", "a:80"}, errc::bad_target},
        {{"GET", "http:/a"}, errc::bad_target},
        {{"GET", "http:a"}, errc::bad_target},
        {{"GET", "://a/"}, errc::bad_target},
        {{"GET", "1http://a/"}, errc::bad_target},
        {{"GET", "ht_tp://a/"}, errc::bad_target},
        {{"GET", "?a"}, errc::bad_target},
        {{"GET", "/a b"}, errc::bad_target},
        {{"GET", "/a#b"}, errc::bad_target},
        {{"GET", "/a\x7f"}, errc::bad_target},
        {{"GET", "/\xc3\xa9"}, errc::bad_target},
        {{"GET", "http://"}, errc::bad_host},
        {{"GET", "http:///x"}, errc::bad_host},
        {{"GET", "http://?x"}, errc::bad_host},
        {{"GET", "http://:80/"}, errc::bad_host},
        {{"GET", "http://a:b/"}, errc::bad_host},
        {{"GET", "http://a:0/"}, errc::bad_host},
        {{"GET", "http://a:65536/"}, errc::bad_host},
        {{"GET", "http://a:000080/"}, errc::bad_host},
        {{"GET", "http://a:+80/"}, errc::bad_host},
        {{"GET", "http://a\\b/"}, errc::bad_host},
        {{"GET", "http://a\"/"}, errc::bad_host},
        {{"GET", "http://a%/"}, errc::bad_host},
        {{"GET", "http://a%2/"}, errc::bad_host},
        {{"GET", "http://a%zz/"}, errc::bad_host},
        {{"GET", "http://[::1/"}, errc::bad_host},
        {{"GET", "http://[]/"}, errc::bad_host},
        {{"GET", "http://[a.b]/"}, errc::bad_host},
        {{"GET", "http://[127.0.0.1]/"}, errc::bad_host},
        {{"GET", "http://[::1]x/"}, errc::bad_host},
        {{"GET", "http://[fe80::1%25eth0]/"}, errc::bad_host},
        {{"GET", "http://[v1.a]/"}, errc::bad_host},
        {{"GET", "http://::1/"}, errc::bad_host},
        {{"GET", "http://u@a/"}, errc::userinfo_in_target},
        {{"GET", "http://u:p@a:80/"}, errc::userinfo_in_target},
        {{"GET", "http://@a/"}, errc::userinfo_in_target},
        {{"CONNECT", "u@a:80"}, errc::userinfo_in_target},
        {{"CONNECT", "a"}, errc::bad_target},
        {{"CONNECT", "a:"}, errc::bad_target},
        {{"CONNECT", "/"}, errc::bad_host},
        {{"CONNECT", "http://a:80/"}, errc::bad_host},
        {{"CONNECT", "a:80/"}, errc::bad_host},
        {{"CONNECT", "*"}, errc::bad_target},
    };
    for (auto const& [c, expected] : cases) {
        INFO(c.first << " " << c.second);
        CHECK(show(c.first, c.second) == message(expected));
    }
    CHECK(show("CONNECT", std::string(255, 'a') + ":1") == "authority " + std::string(255, 'a') + " 1");
    CHECK(show("CONNECT", std::string(256, 'a') + ":1") == message(errc::bad_host));
}

TEST_CASE("http target: a host without a port takes the default", "[http]")
{
    CHECK(parse_host("a")->with_default_port(80) == host_port("a", 80));
    CHECK(parse_host("a:8080")->with_default_port(80) == host_port("a", 8080));
}

} // namespace podproxy::http
