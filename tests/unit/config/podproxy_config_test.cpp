#include <podproxy/config/podproxy_config.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fakes/fake_files.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

using namespace podproxy;
using namespace podproxy::config;
using namespace std::chrono_literals;

namespace {

using lines = std::vector<std::string>;

environment const env{"/home/jane", std::nullopt};

podproxy_config parsed(std::string_view text)
{
    problem_list problems;
    auto out = parse_podproxy_config(text, "c.yaml", env, problems);
    for (auto const& p : problems) UNSCOPED_INFO(format(p));
    REQUIRE(out);
    REQUIRE(problems.empty());
    return *std::move(out);
}

lines refused(std::string_view text)
{
    problem_list problems;
    auto const out = parse_podproxy_config(text, "c.yaml", env, problems);
    CHECK_FALSE(out);
    lines told;
    for (auto const& p : problems) told.push_back(format(p));
    return told;
}

void check_defaults(podproxy_config const& c)
{
    CHECK(c.listen == host_port("127.0.0.1", 9080));
    CHECK_FALSE(c.http_listen);
    CHECK_FALSE(c.pac_listen);
    CHECK_FALSE(c.skip_default_kubeconfig);
    CHECK_FALSE(c.skip_kubeconfig_env);
    CHECK(c.kubeconfigs == lines{"~/.kube/configs/*.yml", "~/.kube/configs/*.yaml", "~/.kube/conf/*.yml", "~/.kube/conf/*.yaml"});
    CHECK(c.connect_grace == 50ms);
    CHECK(c.log == log_config{});
}

} // namespace

TEST_CASE("podproxy config: an empty file means the defaults")
{
    check_defaults({});
    auto const text = GENERATE(std::string_view(""), "# nothing\n", "{}", "listenAddress:\nlog:\nkubeconfigs: ~\n", "log: {}\n");
    check_defaults(parsed(text));
}

TEST_CASE("podproxy config: every key")
{
    auto const c = parsed(R"(
listenAddress: "0.0.0.0:1080"
httpListenAddress: "[::1]:8080"
pacListenAddress: :0
users: ~/users
allow: [10.1.2.3/8, "2001:db8::1"]
skipDefaultKubeconfig: true
skipKubeconfigEnv: true
kubeconfigs:
  - ~/.kube/configs/*.yaml
  - ~/.kube/config-production
connectGrace: 2s
keepAlive: 1m
log:
  level: DEBUG
  format: json
  file: ~/podproxy.log
  colors: true
  timestamp: false
)");
    CHECK(c.listen == host_port("0.0.0.0", 1080));
    CHECK(c.http_listen == host_port("::1", 8080));
    CHECK(c.pac_listen == host_port("", 0));
    CHECK(c.users == "/home/jane/users");
    CHECK(c.allow == std::vector{*parse_cidr("10.0.0.0/8"), *parse_cidr("2001:db8::1")});
    CHECK(c.skip_default_kubeconfig);
    CHECK(c.skip_kubeconfig_env);
    CHECK(c.kubeconfigs == lines{"~/.kube/configs/*.yaml", "~/.kube/config-production"});
    CHECK(c.connect_grace == 2s);
    CHECK(c.keep_alive == 60s);
    CHECK(c.log == log_config{log_level::debug, log_format::json, "/home/jane/podproxy.log", true, false});
}

TEST_CASE("podproxy config: an empty address switches a listener off")
{
    auto const c = parsed("listenAddress: ''\nhttpListenAddress: localhost:8080\npacListenAddress: \"\"\n");
    CHECK_FALSE(c.listen);
    CHECK(c.http_listen == host_port("localhost", 8080));
    CHECK_FALSE(c.pac_listen);
    CHECK(refused("listenAddress: ''\npacListenAddress: :1\n") ==
          lines{"c.yaml:1:16: 'listenAddress' and 'httpListenAddress' are both empty: nothing would listen"});
}

TEST_CASE("podproxy config: an empty list replaces the default")
{
    CHECK(parsed("kubeconfigs: []\n").kubeconfigs.empty());
}

TEST_CASE("podproxy config: both names of the log format")
{
    CHECK(parsed("log: {formatter: JSON}\n").log.format == log_format::json);
    CHECK(parsed("log: {format: json, formatter: json}\n").log.format == log_format::json);
    CHECK(refused("log: {format: json, formatter: text}\n") == lines{"c.yaml:1:32: 'log.formatter' means the same as 'log.format', and they differ"});
}

TEST_CASE("podproxy config: names of levels")
{
    struct line {
        std::string name;
        log_level level;
    };
    auto const [name, level] = GENERATE(line{"debug", log_level::debug}, line{"info", log_level::info}, line{"warn", log_level::warn},
                                        line{"warning", log_level::warn}, line{"error", log_level::error}, line{"fatal", log_level::error},
                                        line{"panic", log_level::error}, line{"dpanic", log_level::error}, line{"Info", log_level::info});
    CHECK(parsed("log: {level: " + name + "}\n").log.level == level);
}

TEST_CASE("podproxy config: addresses are host and port")
{
    auto const text = GENERATE(std::string_view("9080"), "127.0.0.1", "localhost:", "localhost:x", "localhost:70000", "::1:80", "[::1]", "a b:1", "http://x:1");
    INFO(text);
    auto const told = refused("listenAddress: '" + std::string(text) + "'\n");
    REQUIRE(told.size() == 1);
    CHECK(told.front().starts_with("c.yaml:1:16: 'listenAddress' is not an address to listen on: "));
}

TEST_CASE("podproxy config: all problems at once, in the order of the file")
{
    CHECK(refused("listenAdress: 127.0.0.1:9080\n"
                  "httpListenAddress: nowhere\n"
                  "kubeconfigs: ~/.kube/config\n"
                  "skipDefaultKubeconfig: maybe\n"
                  "connectGrace: 50\n"
                  "log:\n"
                  "  level: loud\n"
                  "  fromat: json\n"
                  "  colors: 'yes'\n"
                  "  format: xml\n"
                  "log: {}\n") ==
          lines{"c.yaml:1:1: unknown key 'listenAdress', did you mean 'listenAddress'?",
                "c.yaml:2:20: 'httpListenAddress' is not an address to listen on: the port is missing: host:port is expected",
                "c.yaml:3:14: 'kubeconfigs' must be a list of texts",
                "c.yaml:4:24: 'skipDefaultKubeconfig' must be true or false",
                "c.yaml:5:15: 'connectGrace' must be a time such as 50ms, 2s or 1m30s",
                "c.yaml:11:1: the key 'log' is there twice, first in line 6"});
    CHECK(refused("log:\n  level: loud\n  fromat: json\n  colors: 'yes'\n  format: xml\n  file: [x]\n") ==
          lines{"c.yaml:2:10: 'log.level' must be debug, info, warn or error", "c.yaml:3:3: unknown key 'log.fromat', did you mean 'log.format'?",
                "c.yaml:4:11: 'log.colors' must be true or false, without quotes", "c.yaml:5:11: 'log.format' must be text or json",
                "c.yaml:6:9: 'log.file' must be a text, not a list"});
}

TEST_CASE("podproxy config: values that make no sense together or alone")
{
    CHECK(refused("httpListenAddress: 127.0.0.1:9080\n") == lines{"c.yaml:1:20: 'httpListenAddress' is the same address as 'listenAddress'"});
    CHECK(parsed("listenAddress: :0\nhttpListenAddress: :0\n").http_listen); // any free port is never the same
    CHECK(refused("connectGrace: 10001ms\n") == lines{"c.yaml:1:15: 'connectGrace' must be at most 10s"});
    CHECK(parsed("connectGrace: 10s\n").connect_grace == 10s);
    CHECK(parsed("connectGrace: 0\n").connect_grace == 0ms);
    CHECK(parsed("keepAlive: 0\n").keep_alive == 0ms);
    CHECK(parsed("keepAlive: 1s\n").keep_alive == 1s);
    CHECK(parsed("keepAlive: 60m\n").keep_alive == 1h);
    for (char const* wrong : {"999ms", "3601s"})
        CHECK(refused(std::string("keepAlive: ") + wrong + "\n") == lines{"c.yaml:1:12: 'keepAlive' must be 0 or from 1s to 1h"});
    CHECK(refused("allow: [10.0.0.0/33]\n") == lines{"c.yaml:1:8: 'allow' has '10.0.0.0/33', which is no address and no block such as 10.0.0.0/8 or 2001:db8::/32"});
    CHECK(refused("allow: example.com\n") == lines{"c.yaml:1:8: 'allow' must be a list of texts"});
    CHECK(refused("kubeconfigs: ['']\n") == lines{"c.yaml:1:14: 'kubeconfigs' has an empty entry"});
    CHECK(refused("- x\n") == lines{"c.yaml:1:1: the file must be a map of keys and values"});
    CHECK(refused("a: [\n").size() == 1);
}

TEST_CASE("podproxy config: rules")
{
    auto const c = parsed("rules:\n- {to: '*.corp.example:443', via: 'http://ann:sesame@proxy:3128'}\n- to: 10.0.0.0/8\n  via: block\n- {to: '*', via: direct}\n- {to: db, via: prod}\n");
    REQUIRE(c.rules.size() == 4);
    CHECK(c.rules[0].text == "*.corp.example:443");
    CHECK(c.rules[0].to == *route::parse_destination_pattern("*.corp.example:443"));
    CHECK(c.rules[0].via == route::way::proxy);
    CHECK(c.rules[0].proxy.reveal() == "http://ann:sesame@proxy:3128");
    CHECK(c.rules[1].via == route::way::block);
    CHECK(c.rules[2].via == route::way::direct);
    CHECK(c.rules[3].cluster == "prod");
    CHECK(parsed("rules: []\n").rules.empty());

    CHECK(refused("rules: block\n") == lines{"c.yaml:1:8: 'rules' must be a list: [{to: \"*.corp.example\", via: direct}]"});
    CHECK(refused("rules: [block]\n") == lines{"c.yaml:1:9: 'rules[0]' must be a map of keys and values"});
    CHECK(refused("rules: [{to: a}, {via: block}]\n") == lines{"c.yaml:1:9: 'rules[0].via' is missing", "c.yaml:1:18: 'rules[1].to' is missing"});
    CHECK(refused("rules: [{to: 'a b', via: block}]\n") ==
          lines{"c.yaml:1:14: 'rules[0].to' names no destinations: a host, *.suffix, an address, a block such as 10.0.0.0/8, or * is expected"});
    CHECK(refused("rules: [{to: a, via: 'two words'}]\n") == lines{"c.yaml:1:22: 'rules[0].via' must be direct, block, the URL of a proxy or the name of a cluster"});
    CHECK(refused("rules: [{to: a, from: b, via: block}]\n").size() == 1);
    auto const bad_url = refused("rules: [{to: a, via: 'ftp://ann:sesame@proxy'}]\n");
    REQUIRE(bad_url.size() == 1);
    CHECK(bad_url[0].starts_with("c.yaml:1:22: 'rules[0].via' is not a URL such as "));
    CHECK(bad_url[0].find("sesame") == std::string::npos);
}

TEST_CASE("podproxy config: a file that is given must be there, the standard one need not")
{
    test::fake_files files;
    files.files = {{"c.yaml", "connectGrace: 1s\n"}, {"bad.yaml", "x: 1\n"}, {"big.yaml", std::string(1024 * 1024 + 1, ' ')}};
    files.broken = {{"locked.yaml", std::make_error_code(std::errc::permission_denied)}};
    problem_list problems;
    auto const load = [&](std::string const& path, config_path how) { return load_podproxy_config(path, how, env, files, problems); };
    CHECK(load("c.yaml", config_path::given)->connect_grace == 1s);
    CHECK(load("c.yaml", config_path::standard)->connect_grace == 1s);
    check_defaults(*load("config.yaml", config_path::standard));
    CHECK(problems.empty());
    CHECK_FALSE(load("config.yaml", config_path::given));
    CHECK_FALSE(load("locked.yaml", config_path::standard));
    CHECK_FALSE(load("big.yaml", config_path::standard));
    CHECK_FALSE(load("bad.yaml", config_path::standard));
    lines told;
    for (auto const& p : problems) told.push_back(format(p));
    CHECK(told == lines{"config.yaml: can't be read: No such file or directory", "locked.yaml: can't be read: Permission denied",
                        "big.yaml: can't be read: File too large", "bad.yaml:1:1: unknown key 'x'"});
}

TEST_CASE("podproxy config: aliases stand for contexts, and one context may be the default")
{
    auto const c = parsed("aliases: {prod: 'arn:aws:eks:eu:1:cluster/prod', eu.prod: 'arn:aws:eks:eu:1:cluster/prod'}\ndefaultCluster: staging\n");
    CHECK(c.aliases == std::map<std::string, std::string>{{"prod", "arn:aws:eks:eu:1:cluster/prod"}, {"eu.prod", "arn:aws:eks:eu:1:cluster/prod"}});
    CHECK(c.default_cluster == "staging");
    CHECK(refused("aliases: [prod]\n") == lines{"c.yaml:1:10: 'aliases' must be a map from a name to a context: {prod: \"arn:aws:eks:...\"}"});
    CHECK(refused("aliases: {prod: {}}\n") == lines{"c.yaml:1:10: 'aliases' needs the name of a context behind 'prod'"});
    CHECK(refused("aliases: {.prod: a}\n") == lines{"c.yaml:1:10: 'aliases' has the name '.prod', which can't end an address"});
}
