#include <podproxy/http/errc.hpp>

#include <catch2/catch_test_macros.hpp>

namespace podproxy::http {

TEST_CASE("http errors: every one has a text, a condition and a status", "[http]")
{
    for (int i = 1; i <= static_cast<int>(errc::not_ready); ++i) {
        auto const e = static_cast<errc>(i);
        INFO(i);
        CHECK(make_error_code(e).message() != "unknown HTTP error");
        CHECK(status_for(e) >= 400);
        CHECK((make_error_code(e) == cond::malformed || make_error_code(e) == cond::too_large || make_error_code(e) == cond::unavailable));
    }
    CHECK(make_error_code(static_cast<errc>(1000)).message() == "unknown HTTP error");
    CHECK(status_for(make_error_code(errc::head_too_large)) == 431);
    CHECK(status_for(make_error_code(errc::request_line_too_long)) == 414);
    CHECK(status_for(make_error_code(errc::body_too_large)) == 413);
    CHECK(status_for(make_error_code(errc::unsupported_version)) == 505);
    CHECK(status_for(make_error_code(errc::unsupported_coding)) == 501);
    CHECK(status_for(make_error_code(errc::obs_fold)) == 400);
    CHECK(status_for(make_error_code(podproxy::errc::timed_out)) == 408);
    CHECK(status_for(make_error_code(podproxy::errc::buffer_full)) == 431);
    CHECK(status_for(make_error_code(podproxy::errc::truncated)) == 400);
}

} // namespace podproxy::http
