#include <podproxy/http/fields.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

using namespace podproxy::http;

namespace {
std::vector<std::string> elements(std::string_view text)
{
    std::vector<std::string> out;
    for (std::string_view const e : list_elements(text)) out.emplace_back(e);
    return out;
}
} // namespace

TEST_CASE("fields: order and repetition are kept, names are found without regard to case", "[http]")
{
    fields f{{"Host", "a"}, {"Set-Cookie", "1"}, {"set-cookie", "2"}};
    CHECK(f.size() == 3);
    CHECK(f[1] == field{"Set-Cookie", "1"});
    CHECK(f.find("SET-COOKIE") == "1");
    CHECK(f.count("Set-Cookie") == 2);
    CHECK(f.get("host") == "a");
    CHECK(f.get("none", "x") == "x");
    CHECK_FALSE(f.contains("Hos"));
    CHECK_FALSE(f.contains(""));
}

TEST_CASE("fields: set replaces the first and drops the others", "[http]")
{
    fields f{{"A", "1"}, {"B", "2"}, {"a", "3"}};
    f.set("A", "a longer value");
    CHECK(f == fields{{"A", "a longer value"}, {"B", "2"}});
    f.set("C", f.get("B")); // a view into itself
    CHECK(f.get("C") == "2");
    for (int i = 0; i < 100; ++i) f.add(f[0].name, f[0].value);
    CHECK(f[102] == field{"A", "a longer value"});
    CHECK(f.remove(f[0].name) == 101);
    CHECK(f == fields{{"B", "2"}, {"C", "2"}});
    f.clear();
    CHECK(f.empty());
}

TEST_CASE("fields: list elements lose their blanks, empty ones are skipped, quoted commas stay", "[http]")
{
    CHECK(elements("a, b ,\tc") == std::vector<std::string>{"a", "b", "c"});
    CHECK(elements("").empty());
    CHECK(elements(" , ,, ").empty());
    CHECK(elements(R"("a,b", c="d\",e" ,f)") == std::vector<std::string>{R"("a,b")", R"(c="d\",e")", "f"});
    CHECK(elements(R"("open, a)") == std::vector<std::string>{R"("open, a)"});
    CHECK(elements("\"\\") == std::vector<std::string>{"\"\\"});
    fields const f{{"Connection", "close, X-A"}, {"connection", "Upgrade"}};
    CHECK(f.has_token("Connection", "x-a"));
    CHECK(f.has_token("Connection", "upgrade"));
    CHECK_FALSE(f.has_token("Connection", "clos"));
    CHECK_FALSE(f.has_token("Other", "close"));
}

TEST_CASE("fields: a moved-from object can be used again", "[http]")
{
    fields a{{"A", "1"}};
    fields const b = std::move(a);
    a = fields{};
    a.add("B", "2");
    CHECK(b == fields{{"A", "1"}});
    CHECK(a == fields{{"B", "2"}});
}
