#include <podproxy/http/connect_request.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <string>

using namespace podproxy;

TEST_CASE("connect request: one that is there as a whole gives the destination and where the tunnel begins")
{
    std::string const head = "CONNECT web.shop.demo:8080 HTTP/1.1\r\nHost: web.shop.demo:8080\r\nUser-Agent: x\r\n\r\n";
    auto const request = http::parse_connect_request(as_bytes(head + "early"));
    REQUIRE(request);
    CHECK(request->destination == host_port("web.shop.demo", 8080));
    CHECK(request->head_bytes == head.size());
    CHECK(request->authorization.empty());
    CHECK(http::parse_connect_request(as_bytes("CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\nproxy-authorization: Basic dTpw\r\n\r\n"))->authorization == "Basic dTpw");
    CHECK(http::parse_connect_request(as_bytes("CONNECT [::1]:443 HTTP/1.0\r\n\r\n"))->destination == host_port("::1", 443));
}

TEST_CASE("connect request: a head that goes on is for later")
{
    std::string const head = "CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\n";
    for (std::size_t n = 0; n < head.size(); ++n) CHECK_FALSE(http::parse_connect_request(as_bytes(head).first(n)));
}

TEST_CASE("connect request: everything else is for somebody who explains")
{
    std::string const text = GENERATE(as<std::string>(), "GET http://web/ HTTP/1.1\r\nHost: web\r\n\r\n", "CONNECT web HTTP/1.1\r\nHost: web\r\n\r\n",
                                      "CONNECT web:0 HTTP/1.1\r\nHost: web\r\n\r\n", "CONNECT http://web:80/ HTTP/1.1\r\nHost: web\r\n\r\n",
                                      "CONNECT user@web:80 HTTP/1.1\r\nHost: web\r\n\r\n", "CONNECT web:80 HTTP/1.1\r\n\r\n", "CONNECT web:80 HTTP/2.0\r\nHost: web\r\n\r\n",
                                      "CONNECT web:80 HTTP/1.1\nHost: web\n\n", "connect web:80 HTTP/1.1\r\nHost: web\r\n\r\n", "CONNECT\r\n\r\n");
    CAPTURE(text);
    CHECK_FALSE(http::parse_connect_request(as_bytes(text)));
}

TEST_CASE("connect request: limits are those of the head")
{
    std::string const head = "CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\n";
    http::head_limits limits;
    limits.max_head_bytes = head.size();
    CHECK(http::parse_connect_request(as_bytes(head), limits));
    limits.max_head_bytes = head.size() - 1;
    CHECK_FALSE(http::parse_connect_request(as_bytes(head), limits));
}
