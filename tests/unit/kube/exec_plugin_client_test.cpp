#include <podproxy/kube/exec_plugin_client.hpp>
#include <catch2/catch_test_macros.hpp>
#include <support/poll_until.hpp>
#include <support/spawned.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <list>
#include <optional>
#include <string>
#include <unistd.h>

using namespace podproxy;
using namespace std::chrono_literals;

namespace {

using asked = test::spawned<result<kube::exec_credential const*>>;

/// A plugin as a shell script, in a folder of its own.
struct plugin_host {
    std::filesystem::path folder;
    asio::io_context ctx{1};
    kube::exec_plugin_config config;
    std::optional<kube::exec_plugin_client> client;
    diagnostics why;

    explicit plugin_host(std::string const& script)
    {
        std::string name = (std::filesystem::temp_directory_path() / "podproxy-plugin-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()));
        folder = name;
        config.plugin.api_version = "client.authentication.k8s.io/v1";
        config.plugin.command = "/bin/sh";
        config.plugin.args = {"-c", "cd '" + name + "'; " + script};
        config.limit = 20s;
    }
    ~plugin_host()
    {
        client.reset();
        std::error_code ignored;
        std::filesystem::remove_all(folder, ignored);
    }

    kube::exec_plugin_client& plugin()
    {
        if (!client) client.emplace(ctx.get_executor(), config);
        return *client;
    }
    result<kube::exec_credential const*> ask()
    {
        why.clear();
        asked s(ctx, plugin().credential(why));
        REQUIRE(test::poll_until(ctx, [&] { return s.done(); }));
        return s.value();
    }
    std::size_t runs() const
    {
        std::error_code ec;
        auto const size = std::filesystem::file_size(folder / "runs", ec);
        return ec ? 0 : size;
    }
};

constexpr char const* count_and_print = R"sh(printf x >>runs; printf '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1",'; printf '"status":{"token":"token-%s"%s}}' $(wc -c <runs) "$EXPIRES")sh";

} // namespace

TEST_CASE("a plugin runs once, and its credential is kept until it is refused")
{
    plugin_host h(count_and_print);
    auto first = h.ask();
    REQUIRE(first);
    CHECK((*first)->token.reveal() == "token-1");
    REQUIRE(h.ask());
    CHECK(h.runs() == 1);

    auto const age = h.plugin().age();
    h.plugin().refused(age);
    auto second = h.ask();
    REQUIRE(second);
    CHECK((*second)->token.reveal() == "token-2");
    h.plugin().refused(age); // by a request that still had the first one
    REQUIRE(h.ask());
    CHECK(h.runs() == 2);
}

TEST_CASE("however many ask at the same time, the plugin runs once")
{
    plugin_host h(count_and_print);
    std::list<asked> all;
    std::list<diagnostics> whys;
    for (int i = 0; i < 20; ++i) all.emplace_back(h.ctx, h.plugin().credential(whys.emplace_back()));
    all.front().run();
    all.front().cancel(); // who gives up stops nobody else
    REQUIRE(test::poll_until(h.ctx, [&] { return std::all_of(all.begin(), all.end(), [](asked& a) { return a.done(); }); }));
    CHECK(all.front().error() == asio::error::operation_aborted);
    for (auto it = std::next(all.begin()); it != all.end(); ++it) CHECK(it->value());
    CHECK(h.runs() == 1);
}

TEST_CASE("a credential is renewed shortly before it expires")
{
    plugin_host h(count_and_print);
    h.config.plugin.env.push_back({"EXPIRES", secret(R"(,"expirationTimestamp":"2026-11-21T13:00:00Z")")});
    auto now = *parse_rfc3339("2026-11-21T12:00:00Z");
    h.config.now = [&now] { return now; };
    REQUIRE(h.ask());
    now = *parse_rfc3339("2026-11-21T12:59:29Z");
    REQUIRE(h.ask());
    CHECK(h.runs() == 1);
    now = *parse_rfc3339("2026-11-21T12:59:30Z");
    CHECK(h.ask().error() == kube::errc::bad_credential); // the new one expires just as soon
    CHECK(h.runs() == 2);
    CHECK(h.why.text().find("expired already") != std::string::npos);
}

TEST_CASE("a plugin gets its variables, its arguments and what it must know")
{
    plugin_host h(R"sh(printf '%s' "$KUBERNETES_EXEC_INFO" >info; printf '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"%s"}}' "$MINE")sh");
    h.config.plugin.env.push_back({"MINE", secret("from-env")});
    auto const got = h.ask();
    REQUIRE(got);
    CHECK((*got)->token.reveal() == "from-env");
    std::ifstream in(h.folder / "info");
    std::string const info{std::istreambuf_iterator<char>(in), {}};
    CHECK(info == R"({"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":false}})");
}

TEST_CASE("a plugin that is not installed is named with its install hint")
{
    plugin_host h("");
    h.config.plugin.command = "no-such-login-helper";
    h.config.plugin.install_hint = "get it with: pkg install helper";
    CHECK(h.ask().error() == kube::errc::bad_credential);
    CHECK(h.why.text() == "the program no-such-login-helper that gives the credentials is not installed, or not in PATH: get it with: pkg install helper");
}

TEST_CASE("a plugin that fails is named with its last words, and is not started again at once")
{
    plugin_host h("printf x >>runs; echo 'the session has expired, run: helper login' >&2; exit 7");
    CHECK(h.ask().error() == kube::errc::bad_credential);
    CHECK(h.why.text() == "the program /bin/sh that gives the credentials failed with exit code 7: the session has expired, run: helper login");
    CHECK(h.ask().error() == kube::errc::bad_credential);
    CHECK(h.why.text().find("exit code 7") != std::string::npos);
    CHECK(h.runs() == 1);

    h.client.reset();
    h.config.rest_after_failure = 0ms;
    CHECK_FALSE(h.ask());
    CHECK_FALSE(h.ask());
    CHECK(h.runs() == 3);
}

TEST_CASE("a plugin that hangs is killed at its limit")
{
    plugin_host h("sleep 1000");
    h.config.limit = 100ms;
    CHECK(h.ask().error() == kube::errc::bad_credential);
    CHECK(h.why.text().find("did not end within 100ms and was killed") != std::string::npos);
}

TEST_CASE("a plugin that prints something else is refused")
{
    plugin_host h("echo hello");
    CHECK(h.ask().error() == kube::errc::bad_credential);
    CHECK(h.why.text() == "the program /bin/sh gave no credentials: it printed no JSON object");
}

TEST_CASE("a plugin that must ask somebody fails without a terminal")
{
    plugin_host h(count_and_print);
    h.config.plugin.interactive = kube::interactive_mode::always;
    CHECK(h.ask().error() == kube::errc::bad_credential);
    CHECK(h.why.text().find("interactiveMode: Always") != std::string::npos);
    CHECK(h.runs() == 0);
}
