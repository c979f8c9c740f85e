#include <podproxy/http/gateway_error.hpp>
#include <podproxy/route/errc.hpp>

#include <catch2/catch_test_macros.hpp>

namespace podproxy::http {

TEST_CASE("http gateway error: the text says what failed, where, and what to do", "[http]")
{
    diagnostics why;
    why.message = "no endpoint of service web is ready.";
    CHECK(gateway_error_text(podproxy::errc::unavailable, host_port("web.shop.demo", 80), why) ==
          "podproxy can't reach web.shop.demo:80: no endpoint of service web is ready.\n"
          "It can't be reached at the moment; try again later.\n");
    CHECK(gateway_error_text(podproxy::errc::timed_out, host_port("::1", 80), diagnostics()).starts_with("podproxy can't reach [::1]:80: timed out.\n"));
}

TEST_CASE("http gateway error: a question keeps its mark", "[http]")
{
    diagnostics why;
    why.message = "does its selector match any pod?";
    CHECK(gateway_error_text(podproxy::errc::unavailable, host_port("web.shop.demo", 80), why).starts_with(
        "podproxy can't reach web.shop.demo:80: does its selector match any pod?\n"));
}

TEST_CASE("http gateway error: a name that is no address in its cluster is not blamed on a destination", "[http]")
{
    auto const kind = classify_gateway_error(route::errc::too_many_parts);
    CHECK(kind.status == 502);
    CHECK(kind.error == "dns_error");
}

TEST_CASE("http gateway error: a timeout is 504, a rule of the system 403, everything else 502", "[http]")
{
    CHECK(classify_gateway_error(podproxy::errc::timed_out).status == 504);
    CHECK(classify_gateway_error(make_error_code(std::errc::timed_out)).status == 504);
    CHECK(classify_gateway_error(make_error_code(std::errc::permission_denied)).status == 403);
    CHECK(classify_gateway_error(make_error_code(std::errc::operation_not_permitted)).status == 403);
    CHECK(classify_gateway_error(errc::obs_fold).error == "http_protocol_error");
    CHECK(classify_gateway_error(podproxy::errc::end_of_stream).error == "connection_terminated");
    CHECK(classify_gateway_error(podproxy::errc::buffer_full).error == "http_response_header_section_size");
    CHECK(classify_gateway_error(make_error_code(std::errc::broken_pipe)).error == "connection_terminated");
    CHECK(classify_gateway_error(podproxy::errc::cancelled).status == 502);
}

} // namespace podproxy::http
