#include <podproxy/wake/first_bytes.hpp>

#include <unit/support/splits.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

using namespace podproxy;
using wake::first_bytes_kind;
using wake::wake_verdict;

namespace {

std::string told(wake::first_bytes_decoder const& d)
{
    if (!d.decided()) return "undecided";
    auto const& f = d.get();
    std::string out = f.kind == first_bytes_kind::tls ? "tls" : f.kind == first_bytes_kind::http ? "http" : "other";
    for (std::string const& s : {f.name, f.method, f.path, f.agent}) out += "|" + s;
    return out + (f.wants_html ? "|html" : "");
}

/// As a connection's bytes come: each time all that is there, in memory of its own.
std::string decode(std::span<bytes_view const> pieces)
{
    wake::first_bytes_decoder d;
    std::vector<std::uint8_t> all;
    for (bytes_view const piece : pieces) {
        all.insert(all.end(), piece.begin(), piece.end());
        std::vector<std::uint8_t> const exact(all);
        d.next(exact);
    }
    return told(d);
}

std::string check(std::string_view text) { return test::check_all_splits(as_bytes(text), decode); }

void put16(std::string& out, std::size_t n)
{
    out.push_back(static_cast<char>(n >> 8));
    out.push_back(static_cast<char>(n & 0xff));
}

/// A ClientHello for `name` in one record; without the extension when the name is empty.
std::string client_hello(std::string_view name)
{
    std::string extensions;
    if (!name.empty()) {
        put16(extensions, 0);               // server_name
        put16(extensions, name.size() + 5); // Length of the extension
        put16(extensions, name.size() + 3); // Length of the list
        extensions.push_back('\0');         // host_name
        put16(extensions, name.size());
        extensions += name;
    }
    std::string body("\x03\x03", 2);
    body.append(32, 'r');                     // random
    body.push_back('\0');                     // no session id
    body.append("\x00\x02\x13\x01", 4);       // one cipher suite
    body.append("\x01\x00", 2);               // no compression
    if (!extensions.empty()) {
        put16(body, extensions.size());
        body += extensions;
    }
    std::string message("\x01\x00", 2); // client_hello
    put16(message, body.size());
    message += body;
    std::string record("\x16\x03\x01", 3);
    put16(record, message.size());
    return record + message;
}

} // namespace

TEST_CASE("first bytes: the name in a ClientHello is found at any split")
{
    CHECK(check(client_hello("Shop.Example.COM")) == "tls|shop.example.com|||");
    CHECK(check(client_hello("")) == "tls||||");
    CHECK(check(client_hello("a.example") + "more bytes behind it") == "tls|a.example|||");
}

TEST_CASE("first bytes: the head of an HTTP request is found at any split")
{
    CHECK(check("GET / HTTP/1.1\r\nHost: Shop.Example.com:8080\r\n\r\n") == "http|shop.example.com|GET|/|");
    CHECK(check("GET /a/b?c=d HTTP/1.1\r\nHost: x.\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\nbody") == "http|x|GET|/a/b|curl/8");
    CHECK(check("GET /x HTTP/1.1\r\nHost: x\r\nAccept: application/xml;q=0.9, Text/HTML;q=1\r\n\r\n") == "http|x|GET|/x||html");
    CHECK(check("POST /x HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nContent-Length: 3\r\n\r\nabc") == "http|x|POST|/x|");
    CHECK(check("GET http://real.example/p HTTP/1.1\r\nHost: other\r\n\r\n") == "http|real.example|GET|/p|");
    CHECK(check("GET /old HTTP/1.0\r\n\r\n") == "http||GET|/old|");
    CHECK(check("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n") == "http|::1|GET|/|");
}

TEST_CASE("first bytes: what is neither TLS nor HTTP is told early")
{
    CHECK(check(std::string("\0\0\0\x08\x04\xd2\x16\x2f", 8)) == "other||||"); // PostgreSQL asks for TLS
    CHECK(check("SSH-2.0-OpenSSH_9.2\r\n") == "other||||");
    CHECK(check("ehlo mail.example\r\n") == "other||||");
    CHECK(check("*1\r\n$4\r\nPING\r\n") == "other||||");
    CHECK(check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == "other||||");
    CHECK(check("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n") == "other||||"); // two hosts: nobody knows which
    CHECK(check("\x16\x03\x01" "abcdef") == "other||||");
    CHECK(check("AVERYLONGWORDOFCAPITALSANDNOTHINGELSE") == "other||||");

    wake::first_bytes_decoder d;
    CHECK(d.next(as_bytes("e")));
    wake::first_bytes_decoder ssh;
    CHECK_FALSE(ssh.next(as_bytes("SSH-")));
    CHECK(ssh.next(as_bytes("SSH-2")));
}

TEST_CASE("first bytes: what is not complete is undecided, up to the limit")
{
    CHECK(check("") == "undecided");
    CHECK(check("GET / HTTP/1.1\r\nHost: a\r\n") == "undecided");
    CHECK(check(client_hello("a.example").substr(0, 60)) == "undecided");

    std::string const head = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    std::string const tail = "\r\n\r\n";
    for (int const over : {-1, 0, 1}) {
        std::size_t const size = wake::most_first_bytes + static_cast<std::size_t>(over);
        std::string const text = head + std::string(size - head.size() - tail.size(), 'x') + tail;
        wake::first_bytes_decoder whole;
        CHECK(whole.next(as_bytes(text)));
        CHECK(told(whole) == (over > 0 ? "other||||" : "http|a|GET|/|"));
        wake::first_bytes_decoder cut;
        CHECK_FALSE(cut.next(as_bytes(text).first(wake::most_first_bytes - 3)));
        CHECK(cut.next(as_bytes(text)));
        CHECK(told(cut) == told(whole));
    }
}

TEST_CASE("first bytes: the line of a request says whether an answer in HTTP is understood")
{
    bool head = true;
    CHECK(wake::begins_with_http(as_bytes("GET / HTTP/1.1\r\nHo"), head));
    CHECK_FALSE(head);
    CHECK(wake::begins_with_http(as_bytes("HEAD /x HTTP/1.0\r\n"), head));
    CHECK(head);
    for (std::string_view const no : {"", "GET / HTTP/1.1", "GET / HTTP/1.1\r", "GET / HTTP/2.0\r\n", "GET /\r\n", "hello HTTP/1.1\r\n", "\r\n", " HTTP/1.1\n", "GET / HTTP/1.x\r\n"})
        CHECK_FALSE(wake::begins_with_http(as_bytes(no), head));
}

TEST_CASE("first bytes: names and paths are compared with patterns")
{
    CHECK(wake::name_matches("shop.example.com", "SHOP.example.com."));
    CHECK(wake::name_matches("*.example.com", "a.Example.com"));
    CHECK(wake::name_matches("*.example.com", "a.b.example.com"));
    CHECK_FALSE(wake::name_matches("*.example.com", "example.com"));
    CHECK_FALSE(wake::name_matches("*.example.com", ".example.com"));
    CHECK_FALSE(wake::name_matches("*.example.com", "notexample.com"));
    CHECK(wake::name_matches("*", "anything"));
    CHECK_FALSE(wake::name_matches("*", ""));
    CHECK_FALSE(wake::name_matches("", ""));

    CHECK(wake::path_matches("/health", "/health"));
    CHECK_FALSE(wake::path_matches("/health", "/healthz"));
    CHECK(wake::path_matches("/health*", "/healthz"));
    CHECK(wake::path_matches("/*", "/"));
    CHECK_FALSE(wake::path_matches("/a/*", "/a"));
}

TEST_CASE("first bytes: the first target that fits is chosen")
{
    auto target = [](std::vector<std::string> names) {
        wake::target_config t;
        t.names = std::move(names);
        return t;
    };
    std::vector<wake::target_config> targets;
    targets.push_back(target({"a.example", "*.a.example"}));
    targets.push_back(target({"b.example"}));
    wake::first_bytes f;
    CHECK(wake::chooses_by_name(targets));
    CHECK(wake::choose_target(targets, f) == 2);
    f.name = "x.a.example";
    CHECK(wake::choose_target(targets, f) == 0);
    f.name = "b.example";
    CHECK(wake::choose_target(targets, f) == 1);
    f.name = "c.example";
    CHECK(wake::choose_target(targets, f) == 2);
    targets.push_back(target({}));
    CHECK(wake::choose_target(targets, f) == 2);
    CHECK_FALSE(wake::chooses_by_name(std::span(targets).subspan(2)));
}

TEST_CASE("first bytes: rules tell who does not wake a group, as soon as they can")
{
    auto verdict = [](wake::client_filter const& filter, std::string_view bytes, bool more) {
        wake::first_bytes_decoder d;
        d.next(as_bytes(bytes));
        return wake::judge(filter, d, as_bytes(bytes), more);
    };
    using enum wake_verdict;
    wake::client_filter filter;
    CHECK(verdict(filter, "", true) == wakes);

    SECTION("by the first bytes")
    {
        filter.no_wake_bytes = {"PING", "PONG\r\n"};
        CHECK(verdict(filter, "", true) == undecided);
        CHECK(verdict(filter, "", false) == wakes);
        CHECK(verdict(filter, "P", true) == undecided);
        CHECK(verdict(filter, "PING", true) == does_not_wake);
        CHECK(verdict(filter, "PING and more", true) == does_not_wake);
        CHECK(verdict(filter, "PONG", true) == undecided);
        CHECK(verdict(filter, "PONG", false) == wakes);
        CHECK(verdict(filter, "PONK", true) == wakes);
    }
    SECTION("by silence")
    {
        filter.need_first_bytes = true;
        CHECK(verdict(filter, "", true) == undecided);
        CHECK(verdict(filter, "", false) == does_not_wake);
        CHECK(verdict(filter, "x", true) == wakes);
    }
    SECTION("by the name")
    {
        filter.no_wake_names = {"*.monitor.example"};
        CHECK(verdict(filter, "GET / HTTP/1.1\r\nHost: a.monitor.example\r\n\r\n", true) == does_not_wake);
        CHECK(verdict(filter, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", true) == wakes);
        CHECK(verdict(filter, "GET / HTTP/1.1\r\nHost: a", true) == undecided);
        CHECK(verdict(filter, "GET / HTTP/1.1\r\nHost: a", false) == wakes);
        CHECK(verdict(filter, client_hello("x.monitor.example"), true) == does_not_wake);
        CHECK(verdict(filter, "hello", true) == wakes);
    }
    SECTION("by path and agent")
    {
        filter.no_wake_paths = {"/healthz", "/metrics*"};
        filter.no_wake_agents = {"UptimeRobot", ""};
        CHECK(verdict(filter, "GET /healthz?x HTTP/1.1\r\nHost: a\r\n\r\n", true) == does_not_wake);
        CHECK(verdict(filter, "GET /metrics/all HTTP/1.1\r\nHost: a\r\n\r\n", true) == does_not_wake);
        CHECK(verdict(filter, "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: Mozilla/5.0 (uptimerobot/2)\r\n\r\n", true) == does_not_wake);
        CHECK(verdict(filter, "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: curl\r\n\r\n", true) == wakes);
        CHECK(verdict(filter, client_hello("a"), true) == wakes);
    }
}
