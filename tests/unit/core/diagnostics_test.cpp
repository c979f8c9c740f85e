#include <podproxy/core/diagnostics.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace podproxy;

TEST_CASE("diagnostics: both parts in one line")
{
    diagnostics d;
    CHECK(d.empty());
    CHECK(d.text().empty());
    d.message = "can't list services";
    CHECK(d.text() == "can't list services");
    d.set_server_text("forbidden");
    CHECK(d.text() == "can't list services: forbidden");
    d.message.clear();
    CHECK(d.text() == "forbidden");
    CHECK_FALSE(d.empty());
    d.clear();
    CHECK(d.empty());
}

TEST_CASE("diagnostics: the server's text can't break a line or drive a terminal")
{
    diagnostics d;
    d.set_server_text("a\r\nb\x1b[31m\tc\x7f\n");
    CHECK(d.server_text == "a  b [31m c");
    d.set_server_text("\n\n");
    CHECK(d.server_text.empty());
    d.set_server_text("b\xc3\xbc" "cher");
    CHECK(d.server_text == "b\xc3\xbc" "cher");
}

TEST_CASE("diagnostics: the server's text is cut at its limit")
{
    diagnostics d;
    d.set_server_text(std::string(511, 'x'));
    CHECK(d.server_text.size() == 511);
    d.set_server_text(std::string(512, 'x'));
    CHECK(d.server_text.size() == 512);
    d.set_server_text(std::string(513, 'x'));
    CHECK(d.server_text.size() == 512);
}
