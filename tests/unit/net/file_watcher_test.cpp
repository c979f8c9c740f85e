#include <podproxy/net/file_watcher.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <support/poll_until.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

using namespace podproxy;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

struct watched_folder {
    fs::path root;
    asio::io_context ctx{1};
    int told = 0;
    net::file_watcher_config config;

    watched_folder()
    {
        std::string name = (fs::temp_directory_path() / "podproxy-watch-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()));
        root = name;
        config.settle = 5ms;
        config.most_settle = 50ms;
        config.poll = 5ms;
    }
    ~watched_folder()
    {
        std::error_code ignored;
        fs::remove_all(root, ignored);
    }
    void write(fs::path const& file, std::string const& text) const { std::ofstream(root / file) << text; }
    /// Whether a change was told, and forget it.
    bool was_told()
    {
        bool const yes = test::poll_until(ctx, [&] { return told != 0; });
        // What belongs to the same change comes at once.
        auto const until = net::clock::now() + 2 * config.most_settle;
        while (net::clock::now() < until) ctx.run_one_until(until), ctx.restart();
        told = 0;
        return yes;
    }
    net::file_watcher watcher()
    {
        return net::file_watcher(ctx.get_executor(), [this] { ++told; }, config);
    }
};

} // namespace

TEST_CASE("a file is watched while it comes, changes, is replaced and goes")
{
    watched_folder h;
    h.config.ask_system = GENERATE(true, false);
    auto w = h.watcher();
    w.watch({h.root / "config"});
    CHECK(w.told_by_system() == h.config.ask_system);
    h.ctx.poll();
    CHECK(h.told == 0);
    h.write("config", "one");
    CHECK(h.was_told());
    h.write("config", "three");
    CHECK(h.was_told());
    h.write("other", "three");
    fs::rename(h.root / "other", h.root / "config");
    CHECK(h.was_told());
    fs::remove(h.root / "config");
    CHECK(h.was_told());
}

TEST_CASE("many changes at once are told once, and one that never rests is told all the same")
{
    watched_folder h;
    h.config.settle = 20ms;
    auto w = h.watcher();
    w.watch({h.root / "config"});
    for (int i = 0; i < 50; ++i) h.write("config", std::to_string(i));
    REQUIRE(test::poll_until(h.ctx, [&] { return h.told != 0; }));
    CHECK(h.told == 1);

    h.told = 0;
    auto const until = net::clock::now() + 10s;
    for (int i = 0; h.told == 0 && net::clock::now() < until; ++i) {
        h.write("config", std::to_string(i));
        h.ctx.run_one_for(1ms);
        h.ctx.restart();
    }
    CHECK(h.told == 1);
}

TEST_CASE("a folder that is not there yet is waited for")
{
    watched_folder h;
    h.config.ask_system = GENERATE(true, false);
    auto w = h.watcher();
    w.watch({h.root / "a" / "b" / "config"}, {h.root / "globs"});
    fs::create_directories(h.root / "a" / "b");
    if (h.config.ask_system) CHECK(h.was_told());
    h.write("a/b/config", "x");
    CHECK(h.was_told());
    fs::create_directory(h.root / "globs");
    if (h.config.ask_system) CHECK(h.was_told());
    h.write("globs/new.yaml", "x");
    CHECK(h.was_told());
    fs::remove_all(h.root / "a");
    CHECK(h.was_told());
    fs::create_directories(h.root / "a" / "b");
    if (h.config.ask_system) CHECK(h.was_told());
    h.write("a/b/config", "y");
    CHECK(h.was_told());
}

TEST_CASE("the target of a link is watched")
{
    watched_folder h;
    h.config.ask_system = GENERATE(true, false);
    fs::create_directory(h.root / "real");
    fs::create_directory(h.root / "links");
    h.write("real/config", "one");
    fs::create_symlink(h.root / "real" / "config", h.root / "links" / "config");
    auto w = h.watcher();
    w.watch({h.root / "links" / "config"});
    h.write("real/config", "three");
    CHECK(h.was_told());
}

TEST_CASE("what is not watched any more is not told")
{
    watched_folder h;
    fs::create_directory(h.root / "a");
    fs::create_directory(h.root / "b");
    auto w = h.watcher();
    w.watch({h.root / "a" / "config"});
    w.watch({h.root / "b" / "config"});
    h.write("a/config", "x");
    h.write("b/config", "x");
    CHECK(h.was_told());
    h.write("a/config", "y");
    auto const until = net::clock::now() + 100ms;
    while (net::clock::now() < until) h.ctx.run_one_until(until), h.ctx.restart();
    CHECK(h.told == 0);
}

TEST_CASE("a watcher that goes away tells nothing more")
{
    watched_folder h;
    {
        auto w = h.watcher();
        w.watch({h.root / "config"});
        h.write("config", "one");
        h.ctx.poll();
    }
    h.ctx.restart();
    h.ctx.run();
    CHECK(h.told == 0);
}

TEST_CASE("the handler may end its watcher")
{
    watched_folder h;
    std::unique_ptr<net::file_watcher> w;
    w = std::make_unique<net::file_watcher>(h.ctx.get_executor(), [&] { ++h.told; w.reset(); }, h.config);
    w->watch({h.root / "config"});
    h.write("config", "one");
    CHECK(h.was_told());
    CHECK_FALSE(w);
}

TEST_CASE("other files of the same folder are not told: a log file there must not feed itself")
{
    watched_folder h;
    auto w = h.watcher();
    w.watch({h.root / "config"});
    h.write("log", "a line");
    fs::create_directory(h.root / "cache");
    auto const until = net::clock::now() + 100ms;
    while (net::clock::now() < until) h.ctx.run_one_until(until), h.ctx.restart();
    CHECK(h.told == 0);
    h.write("config", "x");
    CHECK(h.was_told());
}
