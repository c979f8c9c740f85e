#include <podproxy/core/log.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

using namespace podproxy;
using namespace std::chrono_literals;

namespace {

wall_time const noon = wall_time(std::chrono::sys_days(std::chrono::year(2026) / 11 / 21)) + 12h;

std::string text_of(log_field const& field)
{
    return format_log_text({log_level::info, "c", "m", {&field, 1}}, {});
}
std::string json_of(log_field const& field)
{
    return format_log_json({log_level::info, "c", "m", {&field, 1}}, {});
}

/// Keeps the text of what it gets.
class keeping_sink final : public log_sink {
public:
    explicit keeping_sink(log_level least) : least_(least) {}
    bool wants(log_level level) const noexcept override { return level >= least_; }
    void write(log_event const& event) noexcept override { lines.push_back(format_log_text(event, {})); }
    std::vector<std::string> lines;

private:
    log_level least_;
};

} // namespace

TEST_CASE("log: a line for people")
{
    std::vector<log_field> const fields{{"cluster", "staging"}, {"rx", 1024}, {"ok", true}, {"error", "connection reset"}, {"empty", ""}};
    log_event const event{log_level::info, "socks5", "closed", fields};
    CHECK(format_log_text(event, noon) ==
          "2026-11-21T12:00:00.000Z INFO  socks5: closed cluster=staging rx=1024 ok=true error=\"connection reset\" empty=\"\"\n");
    CHECK(format_log_text({log_level::error, "", "no component", {}}, {}) == "ERROR no component\n");
    CHECK(format_log_text({log_level::warn, "", "m", {}}, {}, log_colors::on) == "\x1b[33mWARN \x1b[0m m\n");
}

TEST_CASE("log: a line of JSON")
{
    std::vector<log_field> const fields{{"cluster", "staging"}, {"rx", std::uint64_t{18446744073709551615u}}, {"ok", false}, {"d", -5}};
    CHECK(format_log_json({log_level::warn, "kube", "retrying", fields}, noon) ==
          R"({"time":"2026-11-21T12:00:00.000Z","level":"warn","component":"kube","msg":"retrying","cluster":"staging","rx":18446744073709551615,"ok":false,"d":-5})"
          "\n");
    CHECK(format_log_json({log_level::debug, "", "m", {}}, {}) == R"({"level":"debug","msg":"m"})"
                                                                  "\n");
}

TEST_CASE("log: a peer's text can't forge a line or a field")
{
    CHECK(text_of({"host", "a\nERROR fake"}) == "INFO  c: m host=\"a\\nERROR fake\"\n");
    CHECK(text_of({"host", "a\" level=\"error"}) == "INFO  c: m host=\"a\\\" level=\\\"error\"\n");
    CHECK(text_of({"host", "a=b"}) == "INFO  c: m host=\"a=b\"\n");
    CHECK(text_of({"host", "\x1b[31mred\r\t\x7f"}) == "INFO  c: m host=\"\\u001b[31mred\\r\\t\\u007f\"\n");
    CHECK(text_of({"host", std::string_view("a\0b", 3)}) == "INFO  c: m host=\"a\\u0000b\"\n");
    CHECK(text_of({"host", "\xff\xc2"}) == "INFO  c: m host=\"\\xff\\xc2\"\n");
    CHECK(text_of({"host", "\xe2\x80\xae" "abc\xe2\x80\xa8"}) == "INFO  c: m host=\"\\u202eabc\\u2028\"\n"); // right-to-left, line separator
    CHECK(text_of({"host", "\xc2\x85"}) == "INFO  c: m host=\"\\u0085\"\n");                                  // C1 next line
    CHECK(text_of({"host", "b\xc3\xbc" "cher"}) == "INFO  c: m host=\"b\xc3\xbc" "cher\"\n");
    CHECK(text_of({"path", "C:\\x"}) == "INFO  c: m path=\"C:\\\\x\"\n");
    CHECK(json_of({"host", "a\"},{\"x\":\"\n\xff\x1b"}) == "{\"level\":\"info\",\"component\":\"c\",\"msg\":\"m\",\"host\":\"a\\\"},{\\\"x\\\":\\\"\\n\\ufffd\\u001b\"}\n");
    CHECK(format_log_text({log_level::info, "c", "a\nb", {}}, {}) == "INFO  c: a\\nb\n");
}

TEST_CASE("log: every byte in a value leaves one line of printable text")
{
    for (int b = 0; b < 256; ++b) {
        std::string const value(1, static_cast<char>(b));
        for (std::string const& line : {text_of({"v", value}), json_of({"v", value})}) {
            REQUIRE(line.back() == '\n');
            for (char const c : line.substr(0, line.size() - 1)) REQUIRE((static_cast<unsigned char>(c) >= 0x20 && c != 0x7f));
        }
    }
}

TEST_CASE("log: fields of an event can't hide its own keys in JSON")
{
    CHECK(json_of({"level", "x"}) == R"({"level":"info","component":"c","msg":"m","level_":"x"})"
                                     "\n");
    CHECK(json_of({"msg", "x"}).find("\"msg_\":\"x\"") != std::string::npos);
}

TEST_CASE("log: error codes and times become text")
{
    CHECK(text_of({"error", std::make_error_code(std::errc::connection_refused)}) == "INFO  c: m error=\"Connection refused\"\n");
    CHECK(text_of({"duration", 90s}) == "INFO  c: m duration=1m30s\n");
    std::string const text("borrowed");
    CHECK(text_of({"s", text}) == "INFO  c: m s=borrowed\n");
}

TEST_CASE("log: levels have names in both directions")
{
    for (auto const level : {log_level::debug, log_level::info, log_level::warn, log_level::error})
        CHECK(parse_log_level(to_string(level)) == level);
    CHECK(parse_log_level("warning") == log_level::warn);
    auto const name = GENERATE(std::string_view(""), "Info", "trace", "errors", " info");
    CHECK_FALSE(parse_log_level(name));
}

TEST_CASE("log: a logger asks its sink and passes on component and fields")
{
    keeping_sink sink(log_level::info);
    logger const log(sink, "socks5");
    log.debug("not wanted", {{"x", 1}});
    log.info("connect", {{"port", std::uint16_t{80}}});
    log.named("kube").warn("retrying");
    log.error("failed");
    CHECK(sink.lines == std::vector<std::string>{"INFO  socks5: connect port=80\n", "WARN  kube: retrying\n", "ERROR socks5: failed\n"});
    CHECK_FALSE(log.wants(log_level::debug));
}

TEST_CASE("log: without a sink everything is silent")
{
    logger const none;
    none.error("nobody hears it");
    CHECK_FALSE(none.wants(log_level::error));
    null_log_sink sink;
    logger const quiet(sink, "c");
    quiet.error("nobody hears it");
    CHECK_FALSE(quiet.wants(log_level::error));
}
