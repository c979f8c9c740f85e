#include <podproxy/config/wake_config.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fakes/fake_files.hpp>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace podproxy;
using namespace podproxy::config;
using namespace std::chrono_literals;

namespace {

using lines = std::vector<std::string>;

environment const env{"/home/jane", std::nullopt};

lines told(problem_list const& problems)
{
    lines out;
    for (auto const& p : problems) out.push_back(format(p));
    return out;
}

wake_config parsed(std::string_view text)
{
    problem_list problems;
    auto out = parse_wake_config(text, "w.yaml", env, problems);
    CHECK(told(problems) == lines{});
    REQUIRE(out);
    return *std::move(out);
}

lines refused(std::string_view text)
{
    problem_list problems;
    CHECK_FALSE(parse_wake_config(text, "w.yaml", env, problems));
    return told(problems);
}

std::optional<wake_config> made(wake_arguments const& args, problem_list& problems, environment const& with = env)
{
    test::fake_files files;
    files.files["w.yaml"] = "groups: {db: {listen: 5432}}\nlog: {level: warn}\n";
    return make_wake_config(args, with, files, problems);
}

wake_arguments classic()
{
    wake_arguments args;
    args.port = "5001";
    args.host = "localhost:5000";
    args.group = "mygroup";
    return args;
}

} // namespace

TEST_CASE("wake config: an empty file means docker and its labels")
{
    auto const c = parsed(GENERATE(as<std::string_view>(), "", "# nothing\n", "{}", "groups:\nports:\nproviders:\n"));
    CHECK(c.settings.groups.empty());
    CHECK(c.settings.ports.empty());
    REQUIRE(c.providers.size() == 1);
    CHECK(c.providers[0].name == "docker");
    CHECK(c.providers[0].engine == wake_engine::docker);
    CHECK(c.labels);
    CHECK_FALSE(c.status_listen);
    CHECK_FALSE(c.status_buttons);
    CHECK(c.drain == 10s);
    CHECK(c.log == log_config{});
}

TEST_CASE("wake config: groups with ports of their own")
{
    auto const c = parsed(R"(
defaults: {idle: 10m, waitPage: true, threshold: {window: 1m}, noWake: {sources: [192.0.2.7]}}
groups:
  shop:
    containers: [shop-web, shop-db]
    listen: [8080:80, 127.0.0.1:5353:53/udp]
    idle: 60
    health: no
    startLimit: 90s
    threshold: {packets: 5}
    noWake: {paths: /healthz}
    stopTimeout: 20
  db:
    listen: 5432
    host: localhost
    waitPage: off
)");
    REQUIRE(c.settings.groups.size() == 2);
    auto const& shop = c.settings.groups[0];
    CHECK(shop.name == "shop");
    CHECK(shop.idle == 60s);
    CHECK_FALSE(shop.use_health);
    CHECK(shop.start_limit == 90s);
    CHECK(shop.threshold.packets == 5);
    CHECK(shop.threshold.window == 60s);
    CHECK(shop.stop_timeout == 20s);
    CHECK(c.settings.groups[1].idle == 10min);
    REQUIRE(c.settings.ports.size() == 3);
    auto const& web = c.settings.ports[0];
    CHECK(web.protocol == wake::port_protocol::tcp);
    CHECK(web.listen == host_port("", 8080));
    CHECK(web.targets.at(0).address == host_port("", 80));
    CHECK(web.targets.at(0).group == "shop");
    CHECK(web.wait_page);
    CHECK(web.filter.no_wake_paths == lines{"/healthz"});
    CHECK(web.filter.no_wake_sources == std::vector{*parse_cidr("192.0.2.7")});
    CHECK(c.settings.ports[1].protocol == wake::port_protocol::udp);
    CHECK(c.settings.ports[1].listen == host_port("127.0.0.1", 5353));
    CHECK(c.settings.ports[2].targets.at(0).address == host_port("localhost", 5432));
    CHECK_FALSE(c.settings.ports[2].wait_page);
    CHECK(c.members.at(0).containers == lines{"shop-web", "shop-db"});
    CHECK(c.members.at(0).provider == "docker");
    CHECK(c.providers.size() == 1);
}

TEST_CASE("wake config: ports with several targets by name")
{
    auto const c = parsed(R"(
groups: {a: , b: , c: {listen: 443, names: c.example.com}}
ports:
- listen: 443
  targets:
  - {names: [A.example.com, '*.a.example.com'], group: a, to: 8443}
  - {group: b, to: 'localhost:9000'}
)");
    REQUIRE(c.settings.ports.size() == 1);
    auto const& targets = c.settings.ports[0].targets;
    REQUIRE(targets.size() == 3);
    CHECK(targets[0].group == "c");
    CHECK(targets[0].address == host_port("", 443));
    CHECK(targets[1].names == lines{"a.example.com", "*.a.example.com"});
    CHECK(targets[1].address == host_port("", 8443));
    CHECK(targets[2].group == "b");
    CHECK(targets[2].address == host_port("localhost", 9000));
}

TEST_CASE("wake config: engines of all kinds")
{
    auto const c = parsed(R"(
statusListenAddress: 127.0.0.1:9081
statusButtons: true
statusNames: [status.example.com, wake-proxy]
statusTokenFile: ~/token
labels: false
drain: 1m
log: {level: debug, format: json}
providers:
  docker: {host: 'unix:///run/user/1000/docker.sock'}
  lab: {type: docker, host: 'tcp://lab:2376', certPath: ~/lab}
  staging: {type: kubernetes, kubeconfig: ~/.kube/staging, context: st, namespaces: [shop, blog], lease: kube-system/wake}
  mine: {type: systemd, user: true}
groups:
  a: {listen: 1, containers: [x]}
  b: {listen: 2, provider: lab, containers: [x]}
  c: {listen: 3, provider: staging, namespace: shop, workloads: [deployment/web, statefulset/db], host: web.shop.svc}
  d: {listen: 4, provider: mine, units: [web.service]}
  e: {listen: 5, provider: podman, containers: [y]}
)");
    CHECK(c.status_listen == host_port("127.0.0.1", 9081));
    CHECK(c.status_buttons);
    CHECK(c.status_names == lines{"status.example.com", "wake-proxy"});
    CHECK(c.status_token_file.ends_with("/token"));
    CHECK_FALSE(c.status_token_file.starts_with('~'));
    CHECK(c.drain == 1min);
    CHECK(c.log.level == log_level::debug);
    REQUIRE(c.providers.size() == 5);
    CHECK(c.providers[0].host == "unix:///run/user/1000/docker.sock");
    CHECK_FALSE(c.labels);
    CHECK(c.providers[1].cert_path == "/home/jane/lab");
    CHECK(c.providers[2].engine == wake_engine::kubernetes);
    CHECK(c.providers[2].kubeconfig == "/home/jane/.kube/staging");
    CHECK(c.providers[2].context == "st");
    CHECK(c.providers[2].namespaces == lines{"shop", "blog"});
    CHECK(c.providers[2].lease == "kube-system/wake");
    CHECK(c.providers[3].user);
    CHECK(c.providers[4].engine == wake_engine::podman);
    CHECK(c.members[2].workloads == lines{"deployment/web", "statefulset/db"});
    CHECK(c.members[2].name_space == "shop");
    CHECK(c.members[3].units == lines{"web.service"});
}

TEST_CASE("wake config: a mistake has its place, and a suggestion")
{
    struct row {
        std::string_view text;
        lines problems;
    };
    auto const r = GENERATE(values<row>(
        {{"group:\n", {"w.yaml:1:1: unknown key 'group', did you mean 'groups'?"}},
         {"groups:\n  db:\n    listen: 1\n    idel: 5m\n", {"w.yaml:4:5: unknown key 'groups.db.idel', did you mean 'groups.db.idle'?"}},
         {"groups:\n  db:\n    listen: 1\n    noWake: {path: /x}\n", {"w.yaml:4:14: unknown key 'groups.db.noWake.path', did you mean 'groups.db.noWake.paths'?"}},
         {"groups: {db: {listen: 1, idle: soon}}",
          {"w.yaml:1:32: 'groups.db.idle' must be a time such as 300 (seconds), 90s, 5m or 1h30m, of at most 366 days"}},
         {"groups: {db: {listen: 1, idle: [5m]}}",
          {"w.yaml:1:32: 'groups.db.idle' must be a time such as 300 (seconds), 90s, 5m or 1h30m, of at most 366 days, not a list"}},
         {"groups: {db: {listen: 1, action: kill}}", {"w.yaml:1:34: 'groups.db.action' must be stop, pause or throttle"}},
         {"groups: {db: {listen: [1, x]}}",
          {"w.yaml:1:23: 'groups.db.listen' has an entry that is no port: 'x'; expected is 5432, 8080:80, 53/udp or 127.0.0.1:8080:80/tcp"}},
         {"groups: {a: {listen: 80}, b: {listen: 80}}",
          {"w.yaml:1:39: 'groups.b.listen': port 80/tcp is wanted by the groups 'a' and 'b'; give them different ports, or names that tell their clients apart"}},
         {"groups: {a: {listen: '127.0.0.1:80'}, b: {listen: 80}}",
          {"w.yaml:1:51: 'groups.b.listen': port 80/tcp of group 'b' overlaps 127.0.0.1:80/tcp of group 'a'"}},
         {"groups: {a: {listen: 80, names: x.org}, b: {listen: 80, names: x.org}}",
          {"w.yaml:1:53: 'groups.b.listen': port 80/tcp and the name 'x.org' are wanted by the groups 'a' and 'b'"}},
         {"groups: {a: {listen: 80, waitPage: true}, b: {listen: 80, names: x.org}}",
          {"w.yaml:1:55: 'groups.b.listen': port 80/tcp is there twice, with other settings: make one entry of 'ports' of it, with several targets"}},
         {"groups: {a: }\nports:\n- {listen: 53/udp, group: a, names: x.org}", {"w.yaml:3:3: 'ports[0]' is UDP, which tells no names"}},
         {"groups: {shop: {listen: 1}}\nports:\n- {listen: 2, group: shpo}\n",
          {"w.yaml:3:22: 'ports[0].group' is 'shpo', and no such group is below 'groups', did you mean 'shop'?"}},
         {"groups: {shop: {listen: 1}}\nports:\n- {listen: 2}\n", {"w.yaml:3:3: this port needs a 'group', which it wakes"}},
         {"groups: {shop: {listen: 1}}\nports:\n- {group: shop}\n", {"w.yaml:3:3: 'ports[0]' needs 'listen', the port to listen on"}},
         {"groups: {shop: {listen: 1}}\nports:\n- {listen: 2, targets: []}\n", {"w.yaml:3:24: 'ports[0].targets' is empty: the port needs a group"}},
         {"groups: {shop: {listen: 1}}\nports:\n- {listen: '2:3', group: shop}\n",
          {"w.yaml:3:12: 'ports[0].listen' must be a port to listen on such as 5432, 127.0.0.1:8080 or 53/udp; where it leads is told by 'to'"}},
         {"groups: {shop: {listen: 1}}\nports:\n- {listen: 2, group: shop, to: x}\n",
          {"w.yaml:3:32: 'ports[0].to' must be a port of the group's container such as 80, or an address such as localhost:5000"}},
         {"groups: {a: {listen: 1}, a: {listen: 2}}", {"w.yaml:1:26: the key 'groups.a' is there twice, first in line 1"}},
         {"groups: {'a b': {listen: 1}}", {"w.yaml:1:10: a group can't be called 'a b': a name has letters, digits and ._-/@: only"}},
         {"groups: {a: {listen: 1, provider: dokcer}}",
          {"w.yaml:1:35: 'groups.a.provider' is 'dokcer', which is neither below 'providers' nor docker, podman, kubernetes or systemd, did you mean 'docker'?"}},
         {"groups: {a: {listen: 1, provider: systemd}}", {"w.yaml:1:10: group 'a' has no members: list its 'units'"}},
         {"groups: {a: {listen: 1, units: [x.service]}}", {"w.yaml:1:32: 'groups.a.units' is for provider systemd only"}},
         {"groups: {a: {listen: 1, provider: kubernetes, workloads: [web]}}",
          {"w.yaml:1:58: 'groups.a.workloads' has an entry that is neither deployment/NAME nor statefulset/NAME: 'web'"}},
         {"groups: {a: {listen: 1, provider: kubernetes, action: pause}}",
          {"w.yaml:1:55: 'groups.a.action' must be stop for provider kubernetes: pods are neither paused nor throttled"}},
         {"groups: {a: {listen: 1, containers: [x]}, b: {listen: 2, containers: [x]}}",
          {"w.yaml:1:43: 'x' is in the groups 'a' and 'b'; it can be in one only"}},
         {"groups: {a: {listen: 1, containers: [x, x]}}", {"w.yaml:1:37: 'groups.a.containers' has 'x' twice"}},
         {"providers: {lab: {host: 'tcp://x:1'}}", {"w.yaml:1:13: the provider 'lab' needs a 'type': docker, podman, kubernetes or systemd"}},
         {"providers: {lab: }", {"w.yaml:1:13: the provider 'lab' needs a 'type': docker, podman, kubernetes or systemd"}},
         {"providers: {docker: {host: 'ssh://x'}}",
          {"w.yaml:1:28: 'providers.docker.host' must be the address of an engine such as unix:///var/run/docker.sock or tcp://10.0.0.5:2376"}},
         {"providers: {docker: {context: x}}", {"w.yaml:1:31: 'providers.docker.context' is for kubernetes only"}},
         {"providers: {kubernetes: {lease: x}}", {"w.yaml:1:33: 'providers.kubernetes.lease' must be namespace/name"}},
         {"groups: {a: {listen: 1, action: throttle}}",
          {"w.yaml:1:33: 'groups.a.action' is throttle, and neither active-cpus nor active-memory says what the group gets when it is used",
           "w.yaml:1:33: 'groups.a.action' is throttle, and neither idle-cpus nor idle-memory says how far"}},
         {"groups: [a]\n", {"w.yaml:1:9: 'groups' must be a map of keys and values"}},
         {"ports: {}\n", {"w.yaml:1:8: 'ports' must be a list"}},
         {"drain: x\n", {"w.yaml:1:8: 'drain' must be a time such as 300 (seconds), 90s, 5m or 1h30m, of at most 366 days"}},
         {"log: {level: loud}\n", {"w.yaml:1:14: 'log.level' must be debug, info, warn or error"}},
         {"statusListenAddress: 80\n", {"w.yaml:1:22: 'statusListenAddress' is not an address to listen on: the port is missing: host:port is expected"}},
         {"groups: {a: {listen: 1, threshold: 5}}", {"w.yaml:1:36: 'groups.a.threshold' must be a map of keys and values"}}}));
    INFO(r.text);
    CHECK(refused(r.text) == r.problems);
}

TEST_CASE("wake config: a group that no port leads to is worth a warning")
{
    problem_list problems;
    CHECK(parse_wake_config("groups: {a: {containers: [x]}}", "w.yaml", env, problems));
    CHECK(told(problems) == lines{"w.yaml:1:10: group 'a' has no port: nobody's connection wakes it"});
    CHECK(problems[0].level == severity::warning);
}

TEST_CASE("wake config: the arguments of the original program")
{
    auto args = classic();
    problem_list problems;
    auto c = made(args, problems);
    CHECK(told(problems) == lines{});
    REQUIRE(c);
    REQUIRE(c->settings.groups.size() == 1);
    CHECK(c->settings.groups[0].name == "mygroup");
    CHECK(c->settings.groups[0].idle == 300s);
    CHECK(c->settings.groups[0].use_health);
    REQUIRE(c->settings.ports.size() == 1);
    CHECK(c->settings.ports[0].listen == host_port("", 5001));
    CHECK(c->settings.ports[0].targets.at(0).address == host_port("localhost", 5000));
    CHECK(c->settings.ports[0].targets.at(0).group == "mygroup");
    CHECK(c->log.level == log_level::info);
    REQUIRE(c->providers.size() == 1);
    CHECK_FALSE(c->labels); // other groups are none of its business

    args.idle = "600";
    args.no_health = true;
    args.listen = "[::1]";
    args.status = "127.0.0.1:9081";
    args.log_level = "DEBUG";
    c = made(args, problems);
    CHECK(told(problems) == lines{});
    REQUIRE(c);
    CHECK(c->settings.groups[0].idle == 600s);
    CHECK_FALSE(c->settings.groups[0].use_health);
    CHECK(c->settings.ports[0].listen.host == "::1");
    CHECK(c->status_listen == host_port("127.0.0.1", 9081));
    CHECK(c->log.level == log_level::debug);
}

TEST_CASE("wake config: wrong arguments are all told")
{
    problem_list problems;
    wake_arguments args;
    args.port = "0";
    args.host = "localhost";
    args.group = "a b";
    args.idle = "-1";
    args.listen = "eth0";
    args.log_level = "loud";
    args.status = "x";
    CHECK_FALSE(made(args, problems));
    CHECK(told(problems) == lines{"--group must be a name of letters, digits and ._-/@: of at most 128",
                                  "--idle must be a time such as 300 (seconds), 90s, 5m or 1h30m, of at most 366 days",
                                  "--port must be a number from 1 to 65535",
                                  "--listen must be an address of this machine such as 127.0.0.1",
                                  "--host must be an address with a port such as localhost:5000: the port is missing: host:port is expected",
                                  "--status must be an address to listen on such as 127.0.0.1:9081: the port is missing: host:port is expected",
                                  "--log-level must be debug, info, warn or error"});
    problems.clear();
    args = {};
    args.idle = "5";
    CHECK_FALSE(made(args, problems));
    CHECK(told(problems) == lines{"--port is missing: --port, --host and --group belong together", "--host is missing: --port, --host and --group belong together",
                                  "--group is missing: --port, --host and --group belong together"});
    problems.clear();
    args = classic();
    args.config_file = "w.yaml";
    CHECK_FALSE(made(args, problems));
    CHECK(problems.size() == 1);
    problems.clear();
    args = {};
    args.config_file = "none.yaml";
    CHECK_FALSE(made(args, problems));
    CHECK(told(problems) == lines{"none.yaml: can't be read: No such file or directory"});
}

TEST_CASE("wake config: without options everything comes from labels")
{
    problem_list problems;
    wake_arguments args;
    args.status = ":9081";
    auto const c = made(args, problems);
    CHECK(told(problems) == lines{});
    REQUIRE(c);
    CHECK(c->labels);
    CHECK(c->settings.groups.empty());
    CHECK(c->providers.at(0).engine == wake_engine::docker);
    CHECK(c->status_listen == host_port("", 9081));
}

TEST_CASE("wake config: the log's level comes from the argument, the environment, the file")
{
    wake_arguments args;
    args.config_file = "w.yaml";
    problem_list problems;
    environment with = env;
    CHECK(made(args, problems, with)->log.level == log_level::warn);
    with.rust_log = "hyper=trace,debug";
    CHECK(made(args, problems, with)->log.level == log_level::debug);
    with.rust_log = "proxytainer=debug"; // says nothing about the whole
    CHECK(made(args, problems, with)->log.level == log_level::warn);
    with.wake_proxy_log = "error";
    CHECK(made(args, problems, with)->log.level == log_level::error);
    CHECK(problems.empty());
    with.wake_proxy_log = "loud";
    CHECK(made(args, problems, with)->log.level == log_level::warn);
    CHECK(told(problems) == lines{"WAKE_PROXY_LOG must be debug, info, warn or error; it is passed over"});
    args.log_level = "info";
    CHECK(made(args, problems, with)->log.level == log_level::info);
}

TEST_CASE("wake config: simple words of RUST_LOG")
{
    CHECK(simple_log_level("info") == log_level::info);
    CHECK(simple_log_level("WARN") == log_level::warn);
    CHECK(simple_log_level("trace") == log_level::debug);
    CHECK(simple_log_level("off") == log_level::error);
    CHECK(simple_log_level("a=trace, warn") == log_level::warn);
    CHECK_FALSE(simple_log_level(""));
    CHECK_FALSE(simple_log_level("proxytainer"));
}

TEST_CASE("wake config: the example in deploy/ is in order, and its defaults are the defaults")
{
    char const* const root = std::getenv("PODPROXY_SOURCE_DIR");
    if (!root) SKIP("PODPROXY_SOURCE_DIR is not set");
    disk_files files;
    auto const text = files.read(std::string(root) + "/deploy/wake-proxy/config.example.yaml", 1 << 20);
    REQUIRE(text);
    auto const c = parsed(*text);
    wake::group_config const g;
    auto const& d = c.defaults.group;
    CHECK(d.idle == g.idle);
    CHECK(d.use_health == g.use_health);
    CHECK(d.action == g.action);
    CHECK(d.use == g.use);
    CHECK(d.threshold.bytes == g.threshold.bytes);
    CHECK(d.threshold.packets == g.threshold.packets);
    CHECK(d.threshold.window == g.threshold.window);
    CHECK(d.idle_resources == g.idle_resources);
    CHECK(d.active_resources == g.active_resources);
    CHECK(d.start_limit == g.start_limit);
    CHECK(d.start_attempts == g.start_attempts);
    CHECK(d.first_backoff == g.first_backoff);
    CHECK(d.most_backoff == g.most_backoff);
    CHECK(d.stop_timeout == g.stop_timeout);
    CHECK(d.most_waiting == g.most_waiting);
    CHECK(d.most_early_bytes == g.most_early_bytes);
    CHECK(d.most_wakes == g.most_wakes);
    CHECK(d.wake_window == g.wake_window);
    CHECK(config::detail::same_manners(c.defaults.port, {}));
    wake_config const none;
    CHECK(c.labels == none.labels);
    CHECK(c.drain == none.drain);
    CHECK(c.status_listen == none.status_listen);
    CHECK(c.status_buttons == none.status_buttons);
    CHECK(c.status_names == none.status_names);
    CHECK(c.status_token_file == none.status_token_file);
    CHECK(c.log == none.log);
    CHECK(c.settings.groups.size() == 4);
    CHECK(c.settings.ports.size() == 4);
}
