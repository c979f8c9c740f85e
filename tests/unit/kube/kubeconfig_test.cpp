#include <podproxy/kube/kubeconfig.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace podproxy;
using namespace podproxy::kube;

namespace {

using lines = std::vector<std::string>;

std::string const path = "/home/jane/.kube/config";

lines formatted(config::problem_list const& problems)
{
    lines out;
    for (auto const& p : problems) out.push_back(config::format(p));
    return out;
}

kubeconfig parsed(std::string_view text)
{
    config::problem_list problems;
    auto out = parse_kubeconfig(text, path, problems);
    for (auto const& p : problems) UNSCOPED_INFO(config::format(p));
    REQUIRE(out);
    REQUIRE(problems.empty());
    return *std::move(out);
}

cluster_context resolved(kubeconfig const& from, std::string const& name)
{
    config::problem_list problems;
    auto out = resolve_context(from, name, problems);
    for (auto const& p : problems) UNSCOPED_INFO(config::format(p));
    REQUIRE(out);
    return *std::move(out);
}

/// The context `c` of a file with this cluster and this user, in flow style; or the reason why there is none.
std::string reason(std::string const& cluster, std::string const& user)
{
    auto const file = parsed("clusters: [{name: k, cluster: " + cluster + "}]\nusers: [{name: u, user: " + user +
                             "}]\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n");
    config::problem_list problems;
    if (resolve_context(file, "c", problems)) return "fine";
    REQUIRE(problems.size() == 1);
    CHECK(problems.front().level == config::severity::warning);
    return problems.front().message;
}

} // namespace

TEST_CASE("kubeconfig: every field finds its place")
{
    auto const file = parsed(R"(
apiVersion: v1
kind: Config
current-context: prod
preferences: {}
clusters:
- name: k
  cluster:
    server: https://10.0.0.1:6443/prefix
    certificate-authority: ca.crt
    certificate-authority-data: LS0tQ0EtLS0=
    insecure-skip-tls-verify: true
    tls-server-name: kubernetes.default
    proxy-url: socks5://me:secret@proxy:1080
    disable-compression: true
    extensions:
    - name: other
      extension: {x: y}
    - name: client.authentication.k8s.io/exec
      extension: {audience: abc}
users:
- name: u
  user:
    client-certificate: certs/c.crt
    client-certificate-data: Q0VSVA==
    client-key: ../c.key
    client-key-data: S0VZ
    token: t0ken
    tokenFile: /var/run/token
    username: jane
    password: pass word
    as: admin
    as-uid: "42"
    as-groups: [a, b]
    as-user-extra:
      reason: [x, y]
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: ./bin/login
      args: [--cluster, prod]
      env:
      - {name: PROFILE, value: p}
      - {name: EMPTY}
      installHint: install login
      provideClusterInfo: true
      interactiveMode: Never
contexts:
- name: prod
  context: {cluster: k, user: u, namespace: shop}
)");
    CHECK(file.current_context == "prod");
    auto const c = resolved(file, "prod");
    CHECK(c.name == "prod");
    CHECK(c.ns == "shop");
    CHECK(c.cluster_name == "k");
    CHECK(c.user_name == "u");
    CHECK(c.file == path);
    CHECK(c.cluster.server == "https://10.0.0.1:6443/prefix");
    CHECK(c.cluster.certificate_authority == "/home/jane/.kube/ca.crt");
    CHECK(c.cluster.certificate_authority_data == "---CA---");
    CHECK(c.cluster.insecure_skip_tls_verify);
    CHECK(c.cluster.tls_server_name == "kubernetes.default");
    CHECK(c.cluster.proxy_url.reveal() == "socks5://me:secret@proxy:1080");
    CHECK(c.cluster.disable_compression);
    REQUIRE(c.cluster.exec_config);
    CHECK(c.cluster.exec_config->find("audience")->text == "abc");
    CHECK(c.user.client_certificate == "/home/jane/.kube/certs/c.crt");
    CHECK(c.user.client_certificate_data == "CERT");
    CHECK(c.user.client_key == "/home/jane/c.key");
    CHECK(c.user.client_key_data.reveal() == "KEY");
    CHECK(c.user.token.reveal() == "t0ken");
    CHECK(c.user.token_file == "/var/run/token");
    CHECK(c.user.username == "jane");
    CHECK(c.user.password.reveal() == "pass word");
    CHECK(c.user.as.user == "admin");
    CHECK(c.user.as.uid == "42");
    CHECK(c.user.as.groups == lines{"a", "b"});
    CHECK(c.user.as.extra.at("reason") == lines{"x", "y"});
    CHECK_FALSE(c.user.as.empty());
    REQUIRE(c.user.exec);
    CHECK(c.user.exec->api_version == "client.authentication.k8s.io/v1");
    CHECK(c.user.exec->command == "/home/jane/.kube/bin/login");
    CHECK(c.user.exec->args == lines{"--cluster", "prod"});
    REQUIRE(c.user.exec->env.size() == 2);
    CHECK(c.user.exec->env[0].name == "PROFILE");
    CHECK(c.user.exec->env[0].value.reveal() == "p");
    CHECK(c.user.exec->env[1].value.empty());
    CHECK(c.user.exec->install_hint == "install login");
    CHECK(c.user.exec->provide_cluster_info);
    CHECK(c.user.exec->interactive == interactive_mode::never);
}

TEST_CASE("kubeconfig: defaults")
{
    auto const c = resolved(parsed("clusters: [{name: k, cluster: {server: 'https://x'}}]\ncontexts: [{name: c, context: {cluster: k}}]\n"), "c");
    CHECK(c.ns == "default");
    CHECK(c.user_name.empty());
    CHECK_FALSE(c.cluster.insecure_skip_tls_verify);
    CHECK(c.cluster.certificate_authority.empty()); // not the folder
    CHECK(c.user.token.empty());
    CHECK_FALSE(c.user.exec);
    CHECK(c.user.as.empty());
}

TEST_CASE("kubeconfig: JSON is read too")
{
    auto const file = parsed(R"({"kind":"Config","apiVersion":"v1","current-context":"c",
        "clusters":[{"name":"k","cluster":{"server":"https://x:6443","insecure-skip-tls-verify":true}}],
        "users":[{"name":"u","user":{"token":"abc"}}],"contexts":[{"name":"c","context":{"cluster":"k","user":"u"}}]})");
    CHECK(resolved(file, "c").user.token.reveal() == "abc");
}

TEST_CASE("kubeconfig: base64 may stand in several lines")
{
    auto const file = parsed("clusters:\n- name: k\n  cluster:\n    server: https://x\n    certificate-authority-data: |\n      LS0t\n      Q0EtLS0=\n"
                             "contexts: [{name: c, context: {cluster: k}}]\n");
    CHECK(resolved(file, "c").cluster.certificate_authority_data == "---CA---");
}

TEST_CASE("kubeconfig: a command without a slash is looked for in PATH")
{
    auto const file = parsed("clusters: [{name: k, cluster: {server: s}}]\nusers: [{name: u, user: {exec: {apiVersion: "
                             "client.authentication.k8s.io/v1beta1, command: aws}}}]\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n");
    auto const c = resolved(file, "c");
    CHECK(c.user.exec->command == "aws");
    CHECK(c.user.exec->interactive == interactive_mode::if_available);
}

TEST_CASE("kubeconfig: an empty file has nothing in it")
{
    auto const text = GENERATE(std::string_view(""), "{}", "# nothing\n", "clusters:\nusers: null\ncontexts: []\n", "kind: Config\napiVersion: v1\n");
    auto const file = parsed(text);
    CHECK(file.contexts.empty());
    CHECK(file.context_order.empty());
    CHECK(file.current_context.empty());
}

TEST_CASE("kubeconfig: a file of another kind is refused")
{
    struct line {
        std::string_view text, problem;
    };
    auto const [text, problem] = GENERATE(line{"kind: Pod\n", ":1:7: not a kubeconfig: its kind is 'Pod'"},
                                          line{"- a\n", ":1:1: not a kubeconfig: it must be a map"},
                                          line{"hello world\n", ":1:1: not a kubeconfig: it must be a map"});
    config::problem_list problems;
    CHECK_FALSE(parse_kubeconfig(text, path, problems));
    CHECK(formatted(problems) == lines{path + std::string(problem)});
    problems.clear();
    CHECK_FALSE(parse_kubeconfig("a: [", path, problems));
    CHECK(formatted(problems).front().starts_with(path + ":1:1: not valid YAML"));
}

TEST_CASE("kubeconfig: what is wrong in a part makes that part unusable, and says where")
{
    struct line {
        std::string cluster, user, reason;
    };
    auto const [cluster, user, why] = GENERATE(
        line{"{server: s}", "{}", "fine"}, line{"{server: s}", "{token: t, unknown: [1]}", "fine"},
        line{"{}", "{}", "context 'c' is skipped: its cluster 'k' can't be used: 'server' is missing"},
        line{"null", "{}", "context 'c' is skipped: its cluster 'k' can't be used: 'server' is missing"},
        line{"[x]", "{}", "context 'c' is skipped: its cluster 'k' can't be used: the file must be a map of keys and values"},
        line{"{server: [x]}", "{}", "context 'c' is skipped: its cluster 'k' can't be used: 'server' must be a text, not a list"},
        line{"{server: s, insecure-skip-tls-verify: maybe}", "{}",
             "context 'c' is skipped: its cluster 'k' can't be used: 'insecure-skip-tls-verify' must be true or false"},
        line{"{server: s, certificate-authority-data: '?'}", "{}",
             "context 'c' is skipped: its cluster 'k' can't be used: 'certificate-authority-data' must be base64"},
        line{"{server: s}", "{client-key-data: S0V}", "context 'c' is skipped: its user 'u' can't be used: 'client-key-data' must be base64"},
        line{"{server: s}", "{token: {a: b}}", "context 'c' is skipped: its user 'u' can't be used: 'token' must be a text, not a map"},
        line{"{server: s}", "{as-groups: x}", "context 'c' is skipped: its user 'u' can't be used: 'as-groups' must be a list of texts"},
        line{"{server: s}", "{as-user-extra: {a: b}}", "context 'c' is skipped: its user 'u' can't be used: 'as-user-extra.a' must be a list of texts"},
        line{"{server: s}", "{exec: {apiVersion: client.authentication.k8s.io/v1}}",
             "context 'c' is skipped: its user 'u' can't be used: 'exec.command' is missing"},
        line{"{server: s}", "{exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}}",
             "context 'c' is skipped: its user 'u' can't be used: 'exec.apiVersion' must be client.authentication.k8s.io/v1 or "
             "client.authentication.k8s.io/v1beta1"},
        line{"{server: s}", "{exec: {apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: never}}",
             "context 'c' is skipped: its user 'u' can't be used: 'exec.interactiveMode' must be Never, IfAvailable or Always"},
        line{"{server: s}", "{exec: {apiVersion: client.authentication.k8s.io/v1, command: x, env: [a]}}",
             "context 'c' is skipped: its user 'u' can't be used: 'exec.env' must be a list of maps with name and value"},
        line{"{server: s}", "{exec: {apiVersion: client.authentication.k8s.io/v1, command: x, env: {a: b}}}",
             "context 'c' is skipped: its user 'u' can't be used: 'exec.env' must be a list of maps with name and value"},
        line{"{server: s}", "{auth-provider: {name: gcp, config: {}}}",
             "context 'c' is skipped: its user 'u' needs the auth-provider 'gcp', which Kubernetes gave up in 1.26: use an exec plugin"});
    INFO(cluster << " " << user);
    CHECK(reason(cluster, user) == why);
}

TEST_CASE("kubeconfig: no message holds a value that could be a secret")
{
    for (std::string const& user :
         {std::string("{client-key-data: hunter2!}"), std::string("{token: [hunter2]}"), std::string("{password: {x: hunter2}}"),
          std::string("{exec: {command: x, apiVersion: hunter2}}"), std::string("{exec: {env: [hunter2]}}")})
        CHECK(reason("{server: s}", user).find("hunter2") == std::string::npos);
}

TEST_CASE("kubeconfig: contexts that lead nowhere")
{
    auto const file = parsed("clusters: [{name: k, cluster: {server: s}}]\n"
                             "contexts:\n"
                             "- {name: a, context: {cluster: nope}}\n"
                             "- {name: b, context: {cluster: k, user: nobody}}\n"
                             "- {name: c, context: {user: u}}\n"
                             "- {name: d}\n"
                             "- {name: e, context: {cluster: [k]}}\n"
                             "- {name: good, context: {cluster: k}}\n");
    config::problem_list problems;
    for (auto const& name : file.context_order) {
        auto const found = resolve_context(file, name, problems);
        CHECK(found.has_value() == (name == "good"));
    }
    CHECK_FALSE(resolve_context(file, "absent", problems));
    CHECK(formatted(problems) == lines{path + ":3:3: context 'a' is skipped: its cluster 'nope' is not there",
                                       path + ":4:3: context 'b' is skipped: its user 'nobody' is not there",
                                       path + ":5:3: context 'c' is skipped: it names no cluster",
                                       path + ":6:3: context 'd' is skipped: it names no cluster",
                                       path + ":7:3: context 'e' is skipped: 'cluster' must be a text, not a list",
                                       "there is no context 'absent'"});
}

TEST_CASE("kubeconfig: parts without a name and second ones of a name are passed over")
{
    config::problem_list problems;
    auto const file = parse_kubeconfig("clusters:\n- {name: k, cluster: {server: first}}\n- {name: k, cluster: {server: second}}\n- cluster: {}\n- x\n"
                                       "users: {a: b}\ncontexts:\n- {name: c, context: {cluster: k}}\n- {name: '', context: {}}\n- {name: c}\n",
                                       path, problems);
    REQUIRE(file);
    CHECK(resolved(*file, "c").cluster.server == "first");
    CHECK(formatted(problems) == lines{path + ":3:3: a second cluster of the name 'k' is passed over", path + ":4:3: a cluster without a name is passed over",
                                       path + ":5:3: a cluster without a name is passed over", path + ":6:8: 'users' must be a list",
                                       path + ":9:3: a context without a name is passed over",
                                       path + ":10:3: a second context of the name 'c' is passed over"});
    for (auto const& p : problems) CHECK(p.level == config::severity::warning);
}

TEST_CASE("kubeconfig: merging keeps what is there first, name by name")
{
    auto merged = parsed("clusters: [{name: k, cluster: {server: one}}]\ncontexts: [{name: a, context: {cluster: k, namespace: n1}}]\n");
    merge_kubeconfig(merged, parsed("current-context: b\nclusters: [{name: k, cluster: {server: two}}, {name: l, cluster: {server: three}}]\n"
                                    "users: [{name: u, user: {token: t}}]\n"
                                    "contexts: [{name: b, context: {cluster: l, user: u}}, {name: a, context: {cluster: l, namespace: n2}}]\n"));
    merge_kubeconfig(merged, parsed("current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"));
    CHECK(merged.context_order == lines{"a", "b", "c"});
    CHECK(merged.current_context == "b");
    CHECK(resolved(merged, "a").cluster.server == "one");
    CHECK(resolved(merged, "a").ns == "n1");
    CHECK(resolved(merged, "b").cluster.server == "three");
    CHECK(resolved(merged, "c").cluster.server == "one"); // from the first file
    CHECK(resolved(merged, "c").user.token.reveal() == "t");
}
