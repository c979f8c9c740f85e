#include <podproxy/config/yaml.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

using namespace podproxy::config;
using namespace std::chrono_literals;

namespace {

yaml_node parsed(std::string_view text, yaml_limits const& limits = {})
{
    problem_list problems;
    auto node = parse_yaml(text, "f", problems, limits);
    for (auto const& p : problems) UNSCOPED_INFO(format(p));
    REQUIRE(node);
    REQUIRE(problems.empty());
    return *std::move(node);
}

std::string refused(std::string_view text, yaml_limits const& limits = {})
{
    problem_list problems;
    auto const node = parse_yaml(text, "f", problems, limits);
    REQUIRE_FALSE(node);
    REQUIRE(problems.size() == 1);
    return format(problems.front());
}

/// All problems of reading `text` with `read`, one line each.
template <class Read>
std::vector<std::string> problems_of(std::string_view text, Read read)
{
    yaml_node const root = parsed(text);
    problem_list problems;
    map_reader reader(root, "f", problems);
    read(reader);
    std::vector<std::string> out;
    for (auto const& p : problems) out.push_back(format(p));
    return out;
}

using lines = std::vector<std::string>;

} // namespace

TEST_CASE("yaml: a document becomes a tree with places")
{
    auto const root = parsed("a: 1\n"
                             "list:\n"
                             "  - x\n"
                             "  - 'y z'\n"
                             "map: {k: v, n: ~}\n"
                             "block: |\n"
                             "  one\n"
                             "  two\n"
                             "nothing:\n");
    REQUIRE(root.is_map());
    CHECK(root.members.size() == 5);
    CHECK(root.find("a")->text == "1");
    CHECK_FALSE(root.find("a")->quoted);
    CHECK(root.find("a")->where == position{1, 4});
    REQUIRE(root.find("list")->is_sequence());
    CHECK(root.find("list")->items[1].text == "y z");
    CHECK(root.find("list")->items[1].quoted);
    CHECK(root.find("list")->items[1].where == position{4, 5});
    CHECK(root.find("map")->find("k")->text == "v");
    CHECK(root.find("map")->find("n")->is_null());
    CHECK(root.find("block")->text == "one\ntwo\n");
    CHECK(root.find("block")->quoted);
    CHECK(root.find("nothing")->is_null());
    CHECK(root.find("absent") == nullptr);
    CHECK(parsed("b: |\n  x\n").find("b")->text == "x\n");
    CHECK(parsed("b: |+\n  x\n").find("b")->text == "x\n");
    CHECK(parsed("b: x").find("b")->text == "x");
    CHECK(parsed("b: x # y").find("b")->text == "x");
    CHECK(root.members[4].where == position{9, 1});
}

TEST_CASE("yaml: JSON is YAML")
{
    auto const root = parsed("{\"a\": [1, true, null, \"x\\u00e9\\n\"],\n\t\"b\": {}}");
    CHECK(root.find("a")->items.size() == 4);
    CHECK(root.find("a")->items[2].is_null());
    CHECK(root.find("a")->items[3].text == "x\xc3\xa9\n");
    CHECK(root.find("b")->is_map());
}

TEST_CASE("yaml: an empty text is null")
{
    auto const text = GENERATE(std::string_view(""), "\n", "# only a comment\n", "---\n", "~", "---\n...\n");
    CHECK(parsed(text).is_null());
}

TEST_CASE("yaml: null words are null unless they are quoted")
{
    auto const root = parsed("[~, null, Null, NULL, , '', 'null', \"~\"]");
    for (std::size_t i = 0; i < 4; ++i) CHECK(root.items[i].is_null());
    CHECK(root.items.back().text == "~");
    CHECK(root.items.back().is_scalar());
    CHECK(root.items[root.items.size() - 3].is_scalar());
}

TEST_CASE("yaml: a byte order mark is passed over")
{
    CHECK(parsed("\xef\xbb\xbf" "a: b\n").find("a")->text == "b");
}

TEST_CASE("yaml: what is no YAML is refused at its place")
{
    CHECK(refused("a: b: c\n").starts_with("f:1:5: not valid YAML: "));
    CHECK(refused("a: [1, 2\n").starts_with("f:1:")); // not in a line behind the end
    CHECK(refused("x: 1\na: [1, 2").starts_with("f:2:"));
    CHECK(refused("a: 'x\n").starts_with("f:"));
    CHECK(refused("a: \"x\nb: 1\n").starts_with("f:"));
    CHECK(refused("a: 'x").starts_with("f:"));
    CHECK(refused("a: *unknown\n").starts_with("f:1:4: not valid YAML: "));
    CHECK(refused("x: 1\n\ty: 2\n").starts_with("f:2:"));
}

TEST_CASE("yaml: bytes that are no text are refused")
{
    CHECK(refused(std::string_view("a: b\0c", 6)) == "f:1:5: a byte that is not UTF-8 text, or a control character");
    CHECK(refused("a: b\nc: \x04\n").starts_with("f:2:4: ")); // would end the text for the parser below
    CHECK(refused("a: \xff\n").starts_with("f:1:4: "));
    CHECK(refused("\xff\xfe" "a").starts_with("f:1:1: "));
    CHECK(refused("a: \x7f\n").starts_with("f:1:4: "));
}

TEST_CASE("yaml: a second document is refused or ignored")
{
    CHECK(refused("a: 1\n---\nb: 2\n") == "f:2:1: a second document begins, only one is expected");
    CHECK(parsed("a: 1\n---\nb: 2\n", {.more = more_documents::ignore}).find("a")->text == "1");
    CHECK(parsed("a: 1\n...\n").find("a")->text == "1");
}

TEST_CASE("yaml: keys are texts")
{
    CHECK(refused("[a, b]: c\n") == "f:1:1: a key must be a text");
    CHECK(refused("? {a: b}\n: c\n").ends_with("a key must be a text"));
    CHECK(parsed("1: x\ntrue: y\nnull: z\n").find("1")->text == "x");
}

TEST_CASE("yaml: aliases stand for copies")
{
    auto const root = parsed("a: &x {k: v}\nb: *x\nc: [*x, *x]\n");
    CHECK(root.find("b")->find("k")->text == "v");
    CHECK(root.find("b")->where == position{2, 4});
    CHECK(root.find("c")->items[1].find("k")->text == "v");
}

TEST_CASE("yaml: an alias inside its own anchor is refused")
{
    CHECK(refused("a: &x [*x]\n") == "f:1:8: an alias stands inside its own anchor");
    CHECK(refused("a: &x {b: *x}\n") == "f:1:11: an alias stands inside its own anchor");
}

TEST_CASE("yaml: aliases of aliases can't grow beyond the limit")
{
    std::string bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
    for (int i = 1; i < 12; ++i) {
        std::string const name = "a" + std::to_string(i);
        std::string const last = "*a" + std::to_string(i - 1);
        bomb += name + ": &" + name + " [";
        for (int k = 0; k < 9; ++k) bomb += (k ? ", " : "") + last;
        bomb += "]\n";
    }
    CHECK(refused(bomb).ends_with("the values are too many or too large, aliases counted as copies"));
    std::string const wide = "a: &a '" + std::string(500'000, 'x') + "'\nb: [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n";
    CHECK(refused(wide).ends_with("aliases counted as copies"));
}

TEST_CASE("yaml: limits at one below, at and one above")
{
    std::string const text = "a: bcd\n"; // map 64, key 64 + 1, value 64 + 3
    CHECK(parsed(text, {.max_bytes = 7}).is_map());
    CHECK(refused(text, {.max_bytes = 6}) == "f: the file is larger than 6 bytes");
    CHECK(parsed(text, {.max_bytes = 8}).is_map());
    CHECK(parsed(text, {.max_expanded_bytes = 196}).is_map());
    CHECK(parsed(text, {.max_expanded_bytes = 197}).is_map());
    CHECK(refused(text, {.max_expanded_bytes = 195}).ends_with("too large, aliases counted as copies"));

    auto const nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
    CHECK(parsed(nested(31)).is_sequence());
    CHECK(parsed(nested(32)).is_sequence());
    CHECK(refused(nested(33)) == "f:1:33: values are nested too deeply");
    // A copy counts with its depth.
    CHECK(refused("a: &a " + nested(20) + "\nb: " + std::string(20, '[') + "*a" + std::string(20, ']') + "\n").ends_with("nested too deeply"));
    CHECK(refused(nested(5000)).find("deep") != std::string::npos);
}

TEST_CASE("yaml: merge keys add what the map does not have")
{
    auto const root = parsed("base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\none: {<<: *b, x: 9}\ntwo: {<<: [*b, *m]}\n");
    CHECK(root.find("one")->find("x")->text == "9");
    CHECK(root.find("one")->find("y")->text == "2");
    CHECK(root.find("two")->find("y")->text == "2");
    CHECK(root.find("two")->find("z")->text == "4");
    CHECK(root.find("two")->find("<<") == nullptr);
}

TEST_CASE("map reader: typed values, and defaults where nothing stands")
{
    yaml_node const root = parsed("s: text\nn: 8080\nq: '8080'\nt: yes\nd: 1m30s\nl: [a, 2]\nempty: []\nnone:\nm: {k: v}\n");
    problem_list problems;
    map_reader r(root, "f", problems);
    std::string s = "default";
    CHECK(r.read("s", s));
    CHECK(s == "text");
    CHECK(r.read("n", s)); // a number is a text where one is asked for
    CHECK(s == "8080");
    CHECK_FALSE(r.read("none", s));
    CHECK_FALSE(r.read("absent", s));
    CHECK(s == "8080");
    std::uint64_t n = 0;
    CHECK(r.read("n", n));
    CHECK(n == 8080);
    CHECK(r.read("q", n, 8080, 8080));
    bool t = false;
    CHECK(r.read("t", t));
    CHECK(t);
    std::chrono::milliseconds d{};
    CHECK(r.read("d", d));
    CHECK(d == 90s);
    lines l{"default"};
    CHECK(r.read("l", l));
    CHECK(l == lines{"a", "2"});
    CHECK(r.read("empty", l));
    CHECK(l.empty());
    auto m = r.map("m");
    REQUIRE(m);
    CHECK(m->read("k", s));
    CHECK(s == "v");
    m->finish();
    CHECK_FALSE(r.map("none"));
    r.finish();
    CHECK(problems.empty());
}

TEST_CASE("map reader: truth values are those of YAML 1.1 and 1.2, unquoted")
{
    auto const [text, expected] = GENERATE(table<std::string, bool>({{"true", true}, {"TRUE", true}, {"Yes", true}, {"on", true}, {"false", false},
                                                                     {"False", false}, {"no", false}, {"OFF", false}}));
    yaml_node const root = parsed("b: " + text);
    problem_list problems;
    bool out = !expected;
    CHECK(map_reader(root, "f", problems).read("b", out));
    CHECK(out == expected);
    CHECK(problems.empty());
}

TEST_CASE("map reader: wrong types are told with their place, and values stay untouched")
{
    std::string s = "s";
    std::uint64_t n = 7;
    bool b = true;
    std::chrono::milliseconds d = 1s;
    lines l{"l"};
    auto const found = problems_of("s: [1]\nn: 80x\nm: 70000\nb: maybe\nq: 'true'\nd: 5\nl: x\nl2: [a, [b]]\nsub: 3\n", [&](map_reader& r) {
        CHECK_FALSE(r.read("s", s));
        CHECK_FALSE(r.read("n", n));
        CHECK_FALSE(r.read("m", n, 1, 65535));
        CHECK_FALSE(r.read("b", b));
        CHECK_FALSE(r.read("q", b));
        CHECK_FALSE(r.read("d", d));
        CHECK_FALSE(r.read("l", l));
        CHECK_FALSE(r.read("l2", l));
        auto sub = r.map("sub");
        REQUIRE(sub);
        CHECK_FALSE(sub->read("x", s));
        sub->finish();
    });
    CHECK(found == lines{"f:1:4: 's' must be a text, not a list", "f:2:4: 'n' must be a whole number",
                         "f:3:4: 'm' must be a whole number from 1 to 65535", "f:4:4: 'b' must be true or false",
                         "f:5:4: 'q' must be true or false, without quotes", "f:6:4: 'd' must be a time such as 50ms, 2s or 1m30s",
                         "f:7:4: 'l' must be a list of texts", "f:8:5: 'l2' must be a list of texts",
                         "f:9:6: 'sub' must be a map of keys and values"});
    CHECK(s == "s");
    CHECK(n == 7);
    CHECK(b);
    CHECK(d == 1s);
    CHECK(l == lines{"l"});
}

TEST_CASE("map reader: unknown keys come with a suggestion, double ones with the first line")
{
    std::string s;
    auto const found = problems_of("listenAdress: x\nlog: {levl: debug}\nlog: {}\nquite_other: 1\n", [&](map_reader& r) {
        r.read("listenAddress", s);
        if (auto log = r.map("log")) log->finish();
        auto const* first = r.find("log");
        CHECK(first->is_map());
        r.finish();
    });
    CHECK(found == lines{"f:1:1: unknown key 'listenAdress', did you mean 'listenAddress'?", "f:3:1: the key 'log' is there twice, first in line 2",
                         "f:4:1: unknown key 'quite_other'"});
    auto const inner = problems_of("log: {levl: debug}\n", [&](map_reader& r) {
        auto log = r.map("log");
        log->read("level", s);
        log->finish();
    });
    CHECK(inner == lines{"f:1:7: unknown key 'log.levl', did you mean 'log.level'?"});
}

TEST_CASE("map reader: a file that is no map is told once")
{
    std::string s;
    auto const found = problems_of("- a\n- b\n", [&](map_reader& r) {
        r.read("x", s);
        r.finish();
    });
    CHECK(found == lines{"f:1:1: the file must be a map of keys and values"});
}

TEST_CASE("map reader: complaints carry the place and the severity")
{
    yaml_node const root = parsed("log:\n  level: loud\n");
    problem_list problems;
    map_reader r(root, "f", problems);
    r.map("log")->complain("level", "must be quiet", severity::warning);
    CHECK(problems == problem_list{{severity::warning, "f", {2, 10}, "'log.level' must be quiet"}});
}
