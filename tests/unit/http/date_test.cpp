#include <podproxy/http/date.hpp>

#include <catch2/catch_test_macros.hpp>
#include <chrono>

namespace podproxy::http {

TEST_CASE("http date: the preferred form", "[http]")
{
    using std::chrono::seconds;
    using std::chrono::sys_seconds;
    CHECK(format_date(sys_seconds(seconds(784111777))) == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(format_date(sys_seconds(seconds(0))) == "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK(format_date(sys_seconds(seconds(951827696))) == "Tue, 29 Feb 2000 12:34:56 GMT");
    CHECK(format_date(sys_seconds(seconds(253402300799))) == "Fri, 31 Dec 9999 23:59:59 GMT");
}

} // namespace podproxy::http
