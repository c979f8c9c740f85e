#include <podproxy/config/wake_labels.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <vector>

using namespace podproxy;
using namespace podproxy::config;
using namespace std::chrono_literals;

namespace {

using lines = std::vector<std::string>;
using labels = std::map<std::string, std::string>;

wake::member container(std::string name, labels l)
{
    wake::member m;
    m.id = "id-of-" + name;
    m.name = std::move(name);
    for (auto& [key, value] : l) m.labels[key.starts_with("proxytainer.") ? key : "podproxy.wake." + key] = std::move(value);
    return m;
}

lines told(problem_list const& problems)
{
    lines out;
    for (auto const& p : problems) out.push_back(format(p));
    return out;
}

label_settings read(labels l)
{
    problem_list problems;
    auto out = settings_from_labels(container("db", std::move(l)), problems);
    CHECK(told(problems) == lines{});
    return out;
}

lines refused(labels l)
{
    problem_list problems;
    settings_from_labels(container("db", std::move(l)), problems);
    for (auto const& p : problems) CHECK(p.level == severity::warning);
    return told(problems);
}

} // namespace

TEST_CASE("wake labels: a group is named by our label, the older one, or the container itself")
{
    CHECK(group_from_labels(container("db", {})).empty());
    CHECK(group_from_labels(container("db", {{"group", "shop"}})) == "shop");
    CHECK(group_from_labels(container("db", {{"group", " shop "}})) == "shop");
    CHECK(group_from_labels(container("db", {{"proxytainer.group", "mygroup"}})) == "mygroup");
    CHECK(group_from_labels(container("db", {{"proxytainer.group", "mygroup"}, {"group", "shop"}})) == "shop");
    CHECK(group_from_labels(container("db", {{"idle", "60"}})) == "db");
    CHECK(group_from_labels(container("db", {{"group", "no good"}})) == "db");
    auto told_by_engine = container("shop-db-1", {{"idle", "60"}});
    told_by_engine.group = "db"; // its compose service
    CHECK(group_from_labels(told_by_engine) == "db");
    told_by_engine.labels.clear(); // what another member needs
    CHECK(group_from_labels(told_by_engine) == "db");
}

TEST_CASE("wake labels: without a label of ours nothing is said")
{
    auto const out = read({});
    CHECK(out.group.empty());
    CHECK(out.ports.empty());
    CHECK(out.keys.empty());
}

TEST_CASE("wake labels: every setting of a group")
{
    auto const out = read({{"group", "shop"},
                           {"idle", "5m"},
                           {"health", "no"},
                           {"action", "throttle"},
                           {"use", "threshold"},
                           {"threshold.bytes", "64k"},
                           {"threshold.packets", "7"},
                           {"threshold.window", "1m"},
                           {"idle-cpus", "0.05"},
                           {"idle-memory", "64m"},
                           {"active-cpus", "2"},
                           {"active-memory", "1GiB"},
                           {"start-limit", "90"},
                           {"start-attempts", "5"},
                           {"first-backoff", "250ms"},
                           {"most-backoff", "30s"},
                           {"stop-timeout", "0"},
                           {"most-waiting", "10"},
                           {"most-early-bytes", "128k"},
                           {"most-wakes", "6"},
                           {"wake-window", "1h"}});
    auto const& g = out.config;
    CHECK(g.name == "shop");
    CHECK(g.idle == 5min);
    CHECK_FALSE(g.use_health);
    CHECK(g.action == wake::idle_action::throttle);
    CHECK(g.use == wake::use_rule::threshold);
    CHECK(g.threshold.bytes == 65536);
    CHECK(g.threshold.packets == 7);
    CHECK(g.threshold.window == 60s);
    CHECK(g.idle_resources == wake::resources{50'000'000, 64 << 20});
    CHECK(g.active_resources == wake::resources{2'000'000'000, 1 << 30});
    CHECK(g.start_limit == 90s);
    CHECK(g.start_attempts == 5);
    CHECK(g.first_backoff == 250ms);
    CHECK(g.most_backoff == 30s);
    CHECK(g.stop_timeout == 0s);
    CHECK(g.most_waiting == 10);
    CHECK(g.most_early_bytes == 131072);
    CHECK(g.most_wakes == 6);
    CHECK(g.wake_window == 1h);
    CHECK(out.keys.size() == 20);
    CHECK(std::ranges::is_sorted(out.keys));
}

TEST_CASE("wake labels: ports in all forms")
{
    struct row {
        std::string text;
        wake::port_protocol protocol;
        host_port listen, target;
    };
    using enum wake::port_protocol;
    row const r = GENERATE(values<row>({{"5432", tcp, {"", 5432}, {"", 5432}},
                                        {"8080:80", tcp, {"", 8080}, {"", 80}},
                                        {"53/udp", udp, {"", 53}, {"", 53}},
                                        {"53:5353/UDP", udp, {"", 53}, {"", 5353}},
                                        {"127.0.0.1:8080:80/tcp", tcp, {"127.0.0.1", 8080}, {"", 80}},
                                        {"127.0.0.1:8080", tcp, {"127.0.0.1", 8080}, {"", 8080}},
                                        {"[::1]:8080", tcp, {"::1", 8080}, {"", 8080}},
                                        {"[::1]:8080:[2001:db8::1]:80", tcp, {"::1", 8080}, {"2001:db8::1", 80}},
                                        {"5001:localhost:5000", tcp, {"", 5001}, {"localhost", 5000}}}));
    INFO(r.text);
    auto const out = read({{"listen", r.text}});
    REQUIRE(out.ports.size() == 1);
    CHECK(out.ports[0].protocol == r.protocol);
    CHECK(out.ports[0].listen == r.listen);
    REQUIRE(out.ports[0].targets.size() == 1);
    CHECK(out.ports[0].targets[0].group == "db");
    CHECK(out.ports[0].targets[0].address == r.target);
    CHECK(out.ports[0].targets[0].member == (r.target.host.empty() ? "db" : ""));
}

TEST_CASE("wake labels: a port that makes no sense is passed over, the others are opened")
{
    auto const text = GENERATE(as<std::string>(), "0", "65536", "abc", "80:", ":80", "80/sctp", "1:2:3", "a:b:80", "[::1:80", "[::1]80", "-1", "80:80:80:80:80",
                               "1.2.3.4:80:1.2.3.4", "80/", "8 0", "[::1]");
    INFO(text);
    problem_list problems;
    auto const out = settings_from_labels(container("db", {{"listen", "5432, " + text + ",53/udp"}}), problems);
    CHECK(out.ports.size() == 2);
    CHECK(told(problems) == lines{"container 'db': the label 'podproxy.wake.listen' has an entry that is no port: '" + text +
                                  "'; expected is 5432, 8080:80, 53/udp or 127.0.0.1:8080:80/tcp, with commas between"});
}

TEST_CASE("wake labels: what ports of a container have in common")
{
    auto const out = read({{"listen", "443:8443,53/udp"},
                           {"host", "localhost"},
                           {"names", "Shop.example.com, *.shop.example.com."},
                           {"allow", "10.0.0.0/8, 2001:db8::/32"},
                           {"no-wake.sources", "192.0.2.7"},
                           {"no-wake.names", "probe.example.com"},
                           {"no-wake.paths", "/healthz, /.well-known/*"},
                           {"no-wake.agents", "UptimeRobot,Pingdom"},
                           {"no-wake.bytes", R"(SSH-,\x16\x03\x00\\\r\n\t\0)"},
                           {"no-wake.silent", "true"},
                           {"proxy-protocol", "v2"},
                           {"wait-page", "yes"},
                           {"first-bytes-limit", "2s"},
                           {"udp-session", "10"},
                           {"udp-most-early", "3"},
                           {"udp-most-sessions", "99"}});
    REQUIRE(out.ports.size() == 2);
    for (auto const& port : out.ports) {
        CHECK(port.filter.allow.size() == 2);
        CHECK(port.filter.no_wake_sources == std::vector{*parse_cidr("192.0.2.7")});
        CHECK(port.filter.no_wake_names == lines{"probe.example.com"});
        CHECK(port.filter.no_wake_paths == lines{"/healthz", "/.well-known/*"});
        CHECK(port.filter.no_wake_agents == lines{"UptimeRobot", "Pingdom"});
        CHECK(port.filter.no_wake_bytes == lines{"SSH-", std::string("\x16\x03\x00\\\r\n\t\0", 8)});
        CHECK(port.filter.need_first_bytes);
        CHECK(port.send_proxy == wake::proxy_header::v2);
        CHECK(port.wait_page);
        CHECK(port.first_bytes_limit == 2s);
        CHECK(port.udp_session == 10s);
        CHECK(port.udp_most_early == 3);
        CHECK(port.udp_most_sessions == 99);
        CHECK(port.targets[0].address.host == "localhost");
        CHECK(port.targets[0].member.empty());
    }
    CHECK(out.ports[0].targets[0].names == lines{"shop.example.com", "*.shop.example.com"});
    CHECK(out.ports[1].targets[0].names.empty()); // UDP tells no names
}

TEST_CASE("wake labels: nonsense names the container, the label and what is expected")
{
    CHECK(refused({{"idle", "soon"}}) ==
          lines{"container 'db': the label 'podproxy.wake.idle' must be a time such as 300 (seconds), 90s, 5m or 1h30m, of at most 366 days"});
    CHECK(refused({{"idel", "60"}}) == lines{"container 'db': unknown label 'podproxy.wake.idel', did you mean 'podproxy.wake.idle'?"});
    CHECK(refused({{"no-wake.path", "/x"}}) ==
          lines{"container 'db': unknown label 'podproxy.wake.no-wake.path', did you mean 'podproxy.wake.no-wake.paths'?"});
    CHECK(refused({{"colour", "red"}}) == lines{"container 'db': unknown label 'podproxy.wake.colour'"});
    CHECK(refused({{"action", "kill"}}) == lines{"container 'db': the label 'podproxy.wake.action' must be stop, pause or throttle"});
    CHECK(refused({{"group", "a b"}}) == lines{"container 'db': the label 'podproxy.wake.group' must be a name of letters, digits and ._-/@: of at most 128"});
    CHECK(refused({{"allow", "10.0.0.0/33"}}) ==
          lines{"container 'db': the label 'podproxy.wake.allow' must be a list of addresses and blocks such as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32"});
    CHECK(refused({{"listen", "80,81,80"}}) == lines{"container 'db': the label 'podproxy.wake.listen' has the port 80/tcp twice; the first holds"});
    CHECK(refused({{"action", "throttle"}, {"active-cpus", "1"}}) ==
          lines{"container 'db': the label 'podproxy.wake.action' is throttle, and neither idle-cpus nor idle-memory says how far"});
}

TEST_CASE("wake labels: a value that does not fit its setting is refused, and the default stays")
{
    auto const bad = GENERATE(table<std::string, std::string>({{"idle", "-1"},          {"idle", "1.5"},        {"idle", "367d"},
                                                               {"idle", "31622401"},    {"health", "maybe"},    {"use", "Bytes and packets"},
                                                               {"threshold.bytes", "1q"}, {"threshold.packets", "-"}, {"threshold.window", "0"},
                                                               {"idle-cpus", "1025"},   {"idle-cpus", "0.1234567891"}, {"idle-cpus", "."},
                                                               {"idle-memory", "9223372036854775807k"}, {"idle-memory", "1mm"}, {"start-limit", "999ms"},
                                                               {"start-attempts", "0"}, {"first-backoff", "0"}, {"most-backoff", "0ms"},
                                                               {"stop-timeout", "1500ms"}, {"most-waiting", "0"}, {"most-early-bytes", "1023"},
                                                               {"most-wakes", "4294967296"}, {"wake-window", "0"}, {"host", "a b"},
                                                               {"names", "a..b"},       {"names", "*"},         {"names", "a.*.b"},
                                                               {"no-wake.paths", "healthz"}, {"no-wake.bytes", "\\y"}, {"no-wake.bytes", "\\x1"},
                                                               {"no-wake.bytes", "a\\"}, {"proxy-protocol", "v3"}, {"wait-page", ""},
                                                               {"first-bytes-limit", "0"}, {"udp-session", "0"}, {"udp-most-early", "0"},
                                                               {"udp-most-sessions", "1000001"}}));
    auto const& [key, value] = bad;
    INFO(key << '=' << value);
    problem_list problems;
    auto const out = settings_from_labels(container("db", {{key, value}, {"listen", "80"}}), problems);
    CHECK(problems.size() == 1);
    wake::group_config untouched;
    untouched.name = "db";
    CHECK(out.keys.empty());
    CHECK(out.config.idle == untouched.idle);
    CHECK(out.ports.size() == 1);
}

TEST_CASE("wake labels: too many labels and ports are cut with a word")
{
    labels many;
    for (int i = 0; i < 200; ++i) many["x" + std::to_string(i)] = "1";
    CHECK(refused(many).size() == max_wake_labels + 1);
    std::string ports;
    for (int i = 1; i <= 100; ++i) ports += std::to_string(i) + ",";
    problem_list problems;
    CHECK(settings_from_labels(container("db", {{"listen", ports}}), problems).ports.size() == max_wake_ports);
    CHECK(problems.size() == 1);
}

TEST_CASE("wake labels: members of a group speak together")
{
    problem_list problems;
    wake_defaults base;
    base.group.idle = 42s;
    base.port.wait_page = true;
    std::vector const all{container("web", {{"group", "shop"}, {"listen", "80"}, {"health", "no"}}),
                          container("db", {{"group", "shop"}, {"start-limit", "9"}}), container("cache", {{"group", "other"}}),
                          container("unrelated", {})};
    auto const out = settings_with_labels(all, {}, base, problems);
    CHECK(told(problems) == lines{});
    REQUIRE(out.groups.size() == 2);
    CHECK(out.groups[0].name == "other");
    CHECK(out.groups[0].idle == 42s);
    CHECK(out.groups[1].name == "shop");
    CHECK(out.groups[1].start_limit == 9s);
    CHECK_FALSE(out.groups[1].use_health);
    REQUIRE(out.ports.size() == 1);
    CHECK(out.ports[0].wait_page);
    CHECK(out.ports[0].targets[0].group == "shop");
    CHECK(out.ports[0].targets[0].member == "web");
}

TEST_CASE("wake labels: where members of a group differ, the first by name holds")
{
    problem_list problems;
    std::vector const all{container("web", {{"group", "shop"}, {"idle", "1m"}}), container("db", {{"group", "shop"}, {"idle", "5m"}}),
                          container("x", {{"group", "shop"}, {"idle", "5m"}})};
    auto const out = settings_with_labels(all, {}, {}, problems);
    CHECK(out.groups.at(0).idle == 5min);
    CHECK(told(problems) == lines{"container 'web': the label 'podproxy.wake.idle' differs from that of container 'db' of the same group, which holds"});
}

TEST_CASE("wake labels: two groups on one port are told apart by names, or one of them is refused")
{
    problem_list problems;
    std::vector all{container("a", {{"listen", "443"}}), container("b", {{"listen", "443"}, {"names", "b.example.com"}}),
                    container("c", {{"listen", "443"}, {"names", "c.example.com"}})};
    auto out = settings_with_labels(all, {}, {}, problems);
    CHECK(told(problems) == lines{});
    REQUIRE(out.ports.size() == 1);
    REQUIRE(out.ports[0].targets.size() == 3);
    CHECK(out.ports[0].targets[0].group == "b");
    CHECK(out.ports[0].targets[1].group == "c");
    CHECK(out.ports[0].targets[2].group == "a"); // the one without names is what is left

    all = {container("a", {{"listen", "443"}}), container("b", {{"listen", "443"}})};
    out = settings_with_labels(all, {}, {}, problems);
    CHECK(out.ports.at(0).targets.size() == 1);
    CHECK(told(problems) == lines{"container 'b': port 443/tcp is wanted by the groups 'a' and 'b'; give them different ports, or names that tell their "
                                  "clients apart; the first holds"});
    problems.clear();
    all = {container("a", {{"listen", "443"}, {"names", "x.example.com"}}), container("b", {{"listen", "443"}, {"names", "x.example.com"}})};
    settings_with_labels(all, {}, {}, problems);
    CHECK(told(problems) ==
          lines{"container 'b': port 443/tcp and the name 'x.example.com' are wanted by the groups 'a' and 'b'; the first holds"});
    problems.clear();
    all = {container("a", {{"listen", "127.0.0.1:443"}}), container("b", {{"listen", "443"}, {"names", "x.example.com"}})};
    settings_with_labels(all, {}, {}, problems);
    CHECK(told(problems) == lines{"container 'b': port 443/tcp of group 'b' overlaps 127.0.0.1:443/tcp of group 'a'; the first holds"});
    problems.clear();
    all = {container("a", {{"listen", "443"}, {"wait-page", "yes"}}), container("b", {{"listen", "443"}, {"names", "x.example.com"}})};
    CHECK(settings_with_labels(all, {}, {}, problems).ports.at(0).wait_page);
    CHECK(told(problems) == lines{"container 'b': port 443/tcp is shared with the group 'a', whose labels say something else of the port, which holds"});
}

TEST_CASE("wake labels: several members that are alike are one target")
{
    problem_list problems;
    std::vector const all{container("web-1", {{"group", "web"}, {"listen", "80"}}), container("web-2", {{"group", "web"}, {"listen", "80"}})};
    auto const out = settings_with_labels(all, {}, {}, problems);
    CHECK(told(problems) == lines{});
    REQUIRE(out.ports.size() == 1);
    CHECK(out.ports[0].targets.size() == 1);
}

TEST_CASE("wake labels: what a file says of a group is not changed by labels")
{
    wake::settings file;
    file.groups.emplace_back().name = "db";
    problem_list problems;
    std::vector const all{container("db", {{"idle", "nonsense"}, {"listen", "80"}}), container("db2", {{"group", "db"}})};
    auto const out = settings_with_labels(all, file, {}, problems);
    CHECK(out.groups.size() == 1);
    CHECK(out.ports.empty());
    CHECK(told(problems) == lines{"container 'db': the group 'db' is configured by the file or by arguments; its labels name the group only"});
    CHECK(problems[0].level == severity::note);
}

TEST_CASE("wake labels: a container's name can't forge a line")
{
    problem_list problems;
    settings_from_labels(container("a\nb", {{"x\ny", ""}}), problems);
    CHECK(told(problems) == lines{"container 'a?b': unknown label 'podproxy.wake.x?y'"});
}
