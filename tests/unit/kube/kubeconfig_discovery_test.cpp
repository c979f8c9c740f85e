#include <podproxy/kube/kubeconfig_discovery.hpp>

#include <catch2/catch_test_macros.hpp>
#include <fakes/fake_files.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <unistd.h>

using namespace podproxy;
using namespace podproxy::kube;

namespace {

using lines = std::vector<std::string>;

/// A kubeconfig with one context of each name, on a server of that name behind the file's own `kubernetes`.
std::string file_with(std::string const& server, lines const& contexts, std::string const& current = {})
{
    std::string out = "clusters: [{name: kubernetes, cluster: {server: '" + server + "'}}]\nusers: [{name: admin, user: {token: x}}]\ncontexts:\n";
    for (auto const& name : contexts) out += "- {name: " + name + ", context: {cluster: kubernetes, user: admin}}\n";
    if (!current.empty()) out += "current-context: " + current + "\n";
    return out;
}

/// "name=server", in order.
lines found(kubeconfig_set const& set)
{
    lines out;
    for (auto const& c : set.contexts) out.push_back(c.name + "=" + c.cluster.server);
    return out;
}

lines formatted(kubeconfig_set const& set)
{
    lines out;
    for (auto const& p : set.problems) {
        std::string_view const level = p.level == config::severity::note ? "note " : p.level == config::severity::warning ? "warning " : "error ";
        out.push_back(std::string(level) + config::format(p));
    }
    return out;
}

config::environment env_of(std::optional<std::string> kubeconfig = {}) { return {"/home/jane", std::move(kubeconfig)}; }

} // namespace

TEST_CASE("discovery: the three phases in their order")
{
    test::fake_files files;
    files.files = {{"/home/jane/.kube/config", file_with("s1", {"a"})},
                   {"/etc/k1", file_with("s2", {"b"})},
                   {"/home/jane/x", file_with("s3", {"c"}, "c")},
                   {"/home/jane/.kube/configs/2.yaml", file_with("s5", {"e"})},
                   {"/home/jane/.kube/configs/1.yaml", file_with("s4", {"d"}, "d")},
                   {"/home/jane/.kube/configs/.hidden.yaml", file_with("s6", {"h"})}};
    auto const set = discover_kubeconfigs({.patterns = {"~/.kube/configs/*.yaml"}}, env_of("/etc/k1: ~/x ::"), files);
    CHECK(found(set) == lines{"a=s1", "b=s2", "c=s2", "d=s4", "e=s5"}); // KUBECONFIG is merged as kubectl does: the first cluster of a name wins
    CHECK(set.current_context == "c");
    CHECK(formatted(set).empty());
    CHECK(set.files == lines{"/home/jane/.kube/config", "/etc/k1", "/home/jane/x", "/home/jane/.kube/configs/1.yaml", "/home/jane/.kube/configs/2.yaml"});
    CHECK(set.contexts[3].file == "/home/jane/.kube/configs/1.yaml");
}

TEST_CASE("discovery: each phase can be switched off")
{
    test::fake_files files;
    files.files = {{"/home/jane/.kube/config", file_with("s1", {"a"})}, {"/k", file_with("s2", {"b"})}, {"/p", file_with("s3", {"c"})}};
    auto const env = env_of("/k");
    CHECK(found(discover_kubeconfigs({.skip_default = true, .patterns = {"/p"}}, env, files)) == lines{"b=s2", "c=s3"});
    CHECK(found(discover_kubeconfigs({.skip_env = true, .patterns = {"/p"}}, env, files)) == lines{"a=s1", "c=s3"});
    CHECK(found(discover_kubeconfigs({}, env, files)) == lines{"a=s1", "b=s2"});
    CHECK(found(discover_kubeconfigs({.skip_default = true, .skip_env = true}, env, files)).empty());
}

TEST_CASE("discovery: the first phase that has a context wins, and the later one is noted")
{
    test::fake_files files;
    files.files = {{"/home/jane/.kube/config", file_with("s1", {"a"})}, {"/k", file_with("s2", {"a", "b"})}, {"/p", file_with("s3", {"b", "c"})}};
    auto const set = discover_kubeconfigs({.patterns = {"/p"}}, env_of("/k"), files);
    CHECK(found(set) == lines{"a=s1", "b=s2", "c=s3"});
    CHECK(formatted(set) == lines{"note /k:4:3: context 'a' is passed over: /home/jane/.kube/config has it already",
                                  "note /p:4:3: context 'b' is passed over: /k has it already"});
}

TEST_CASE("discovery: a context that leads nowhere leaves its name to a later file")
{
    test::fake_files files;
    files.files = {{"/home/jane/.kube/config", "contexts: [{name: a, context: {cluster: nope}}]\n"}, {"/p", file_with("s3", {"a"})}};
    auto const set = discover_kubeconfigs({.patterns = {"/p"}}, env_of(), files);
    CHECK(found(set) == lines{"a=s3"});
    CHECK(formatted(set) == lines{"warning /home/jane/.kube/config:1:12: context 'a' is skipped: its cluster 'nope' is not there"});
}

TEST_CASE("discovery: a file is read once, however it is named")
{
    test::fake_files files;
    files.files = {{"/home/jane/.kube/config", file_with("s1", {"a"})}};
    auto const set = discover_kubeconfigs({.patterns = {"~/.kube/config", "/home/jane/./.kube/../.kube/config", "~/.kube/c*"}},
                                          env_of("/home/jane/.kube/config:~/.kube/config"), files);
    CHECK(files.reads == lines{"/home/jane/.kube/config"});
    CHECK(found(set) == lines{"a=s1"});
    CHECK(formatted(set).empty());
}

TEST_CASE("discovery: what a missing file means depends on who named it")
{
    test::fake_files files;
    files.files = {{"/p", file_with("s3", {"c"})}};
    auto const set = discover_kubeconfigs({.patterns = {"/none/*.yaml", "~/gone.yaml", "/p"}}, env_of("/gone"), files);
    CHECK(found(set) == lines{"c=s3"});
    CHECK(formatted(set) == lines{"note /home/jane/.kube/config: the default kubeconfig is not there", "warning /gone: is listed in KUBECONFIG and not there",
                                  "error /home/jane/gone.yaml: is listed under 'kubeconfigs' and not there"});
}

TEST_CASE("discovery: a file that can't be read or understood is a warning, and the others go on")
{
    test::fake_files files;
    files.broken = {{"/home/jane/.kube/config", std::make_error_code(std::errc::permission_denied)},
                    {"/d/1", std::make_error_code(std::errc::is_a_directory)}};
    files.files = {{"/d/2", "a: [\n"}, {"/d/3", "kind: Pod\n"}, {"/d/4", file_with("s", {"c"})}, {"/d/5", std::string(4 * 1024 * 1024 + 1, '\n')}};
    auto const set = discover_kubeconfigs({.patterns = {"/d/*"}}, env_of(), files);
    CHECK(found(set) == lines{"c=s"});
    auto const problems = formatted(set);
    REQUIRE(problems.size() == 5);
    CHECK(problems[0] == "warning /home/jane/.kube/config: can't be read: Permission denied");
    CHECK(problems[1].starts_with("warning /d/2:1:"));
    CHECK(problems[2] == "warning /d/3:1:7: not a kubeconfig: its kind is 'Pod'");
    CHECK(problems[3] == "warning /d/5: can't be read: File too large");
    CHECK(problems[4] == "warning /d/1: can't be read: Is a directory");
}

TEST_CASE("discovery: without a home folder there is no default file")
{
    test::fake_files files;
    auto const set = discover_kubeconfigs({.patterns = {"~/x"}}, {}, files);
    CHECK(set.contexts.empty());
    CHECK(formatted(set).front() == "note the home folder is not known, so there is no default kubeconfig");
    CHECK(set.problems.back().level == config::severity::error);
}

TEST_CASE("discovery: files of this machine")
{
    namespace fs = std::filesystem;
    fs::path const home = fs::temp_directory_path() / ("podproxy-discovery-" + std::to_string(::getpid()));
    fs::create_directories(home / ".kube/configs/folder.yaml");
    std::ofstream(home / ".kube/config") << file_with("https://one", {"a"}, "a");
    std::ofstream(home / ".kube/configs/b.yaml") << file_with("https://two", {"b"});
    std::ofstream(home / ".kube/configs/c.yml") << file_with("https://three", {"c"});
    config::disk_files disk;
    config::environment const env{home.string(), std::nullopt};
    auto const set = discover_kubeconfigs({.patterns = {"~/.kube/configs/*.yaml", "~/.kube/configs/?.yml", "~/.kube/conf/*"}}, env, disk);
    fs::remove_all(home);
    CHECK(found(set) == lines{"a=https://one", "b=https://two", "c=https://three"});
    CHECK(formatted(set).empty());
}

TEST_CASE("discovery: every place that can change what is found is to be watched")
{
    using paths = std::vector<std::filesystem::path>;
    kubeconfig_set found;
    found.contexts.emplace_back();
    found.contexts.back().cluster.certificate_authority = "/pki/ca.pem";
    found.contexts.back().user.client_certificate = "/pki/me.pem";
    found.contexts.back().user.client_key = "/pki/me.key";
    kubeconfig_sources sources;
    sources.patterns = {"~/.kube/configs/*.yaml", "/etc/k8s/one.yaml", "x*.yaml", "/a/*/b/c.yaml"};
    auto const all = kube::places_to_watch(sources, env_of("/etc/k1: ~/x :"), found);
    CHECK(all.files == paths{"/home/jane/.kube/config", "/etc/k1", "/home/jane/x", "/etc/k8s/one.yaml", "/pki/ca.pem", "/pki/me.pem", "/pki/me.key"});
    CHECK(all.folders == paths{"/home/jane/.kube/configs/", ".", "/a/"});

    sources = {};
    sources.skip_default = sources.skip_env = true;
    auto const none = kube::places_to_watch(sources, env_of("/etc/k1"), {});
    CHECK(none.files.empty());
    CHECK(none.folders.empty());
}
