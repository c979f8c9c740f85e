#include <podproxy/http/pac.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

namespace podproxy::http {

TEST_CASE("pac: names of clusters go through us without a way around, the rest directly", "[http]")
{
    std::vector<std::string> const names = {"demo", "Prod.EU"};
    CHECK(pac_text(names, host_port("127.0.0.1", 9080)) ==
          "function FindProxyForURL(url, host) {\n"
          "  host = host.toLowerCase();\n"
          "  if (shExpMatch(host, \"*.demo\")) return \"PROXY 127.0.0.1:9080; SOCKS5 127.0.0.1:9080\";\n"
          "  if (shExpMatch(host, \"*.prod.eu\")) return \"PROXY 127.0.0.1:9080; SOCKS5 127.0.0.1:9080\";\n"
          "  return \"DIRECT\";\n"
          "}\n");
}

TEST_CASE("pac: only the ports that are there", "[http]")
{
    std::vector<std::string> const names = {"demo"};
    pac_addresses where;
    where.socks = host_port("::1", 1080);
    CHECK(pac_text(names, where).find("return \"SOCKS5 [::1]:1080\";") != std::string::npos);
    where = {};
    where.http = host_port("proxy.example", 8080);
    CHECK(pac_text(names, where).find("return \"PROXY proxy.example:8080\";") != std::string::npos);
    std::string const direct = "function FindProxyForURL(url, host) {\n  return \"DIRECT\";\n}\n";
    CHECK(pac_text(names, pac_addresses{}) == direct);
    CHECK(pac_text({}, host_port("a", 1)) == direct);
}

TEST_CASE("pac: no name can break out of its string", "[http]")
{
    auto line = [](std::string name) {
        std::vector<std::string> const names = {std::move(name)};
        std::string const text = pac_text(names, host_port("a", 1));
        std::size_t const start = text.find("  if (");
        return text.substr(start, text.find(") return", start) - start);
    };
    CHECK(line("a\"b") == R"(  if (shExpMatch(host, "*.a\u0022b"))");
    CHECK(line("a\\b") == R"(  if (dnsDomainIs(host, ".a\u005cb"))");
    CHECK(line("a\nb\x7f") == R"(  if (shExpMatch(host, "*.a\u000ab\u007f"))");
    CHECK(line("</script>") == R"(  if (shExpMatch(host, "*.\u003c/script\u003e"))");
    CHECK(line("arn:aws:eks:eu-1:12:cluster/X") == R"(  if (shExpMatch(host, "*.arn:aws:eks:eu-1:12:cluster/x"))");
    CHECK(line("a*b") == R"(  if (dnsDomainIs(host, ".a*b"))");
    CHECK(line("\xc3\xa9") == R"(  if (shExpMatch(host, "*.\u00e9"))");
    CHECK(line("\xf0\x9f\x9a\x80") == R"(  if (shExpMatch(host, "*.\ud83d\ude80"))");
    CHECK(line("\xe2\x80\xa8") == R"(  if (shExpMatch(host, "*.\u2028"))");
    // Not UTF-8: a stray byte, one cut short, an overlong form, a surrogate.
    CHECK(line("a\xff" "b") == R"(  if (shExpMatch(host, "*.a\ufffdb"))");
    CHECK(line("\xe2\x80") == R"(  if (shExpMatch(host, "*.\ufffd\ufffd"))");
    CHECK(line("\xe0\x80\x80") == R"(  if (shExpMatch(host, "*.\ufffd\ufffd\ufffd"))");
    CHECK(line("\xed\xa0\x80") == R"(  if (shExpMatch(host, "*.\ufffd\ufffd\ufffd"))");
}

} // namespace podproxy::http
