// podproxy: one local SOCKS5 and HTTP proxy into the pods of many Kubernetes clusters. Arguments, signals and wiring; the rest is in the headers.

#include <podproxy/config/environment.hpp>
#include <podproxy/config/files.hpp>
#include <podproxy/config/log_setup.hpp>
#include <podproxy/config/podproxy_config.hpp>
#include <podproxy/config/report.hpp>
#include <podproxy/config/users_file.hpp>
#include <podproxy/kube/kubeconfig_discovery.hpp>
#include <podproxy/net/file_watcher.hpp>
#include <podproxy/net/listener.hpp>
#include <podproxy/net/program.hpp>
#include <podproxy/net/task_group.hpp>
#include <podproxy/proxy/access.hpp>
#include <podproxy/proxy/cluster_catalog.hpp>
#include <podproxy/proxy/direct_dialer.hpp>
#include <podproxy/proxy/router_dialer.hpp>
#include <podproxy/proxy/rules_dialer.hpp>
#include <podproxy/proxy/server.hpp>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <functional>
#include <iostream>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unistd.h>

using namespace podproxy;

namespace {

/// Exit codes: 1 for what the user has to mend, 2 for wrong arguments.
constexpr int exit_failure = 1;
constexpr int exit_usage = 2;

/// How long open connections may go on after SIGTERM.
constexpr std::chrono::seconds drain_limit{10};

proxy::cluster_catalog_config catalog_config(config::podproxy_config const& settings)
{
    proxy::cluster_catalog_config out;
    out.carrier = settings.carrier == config::carrier_choice::spdy        ? kube::carrier::spdy
                  : settings.carrier == config::carrier_choice::websocket ? kube::carrier::websocket
                                                                          : kube::carrier::automatic;
    out.sessions = settings.sessions == config::session_choice::exclusive ? kube::session_use::exclusive
                   : settings.sessions == config::session_choice::shared  ? kube::session_use::shared
                                                                          : kube::session_use::automatic;
    out.connect_grace = settings.connect_grace;
    out.keep_alive = settings.keep_alive;
    out.aliases = settings.aliases;
    out.default_cluster = settings.default_cluster;
    out.terminal = ::isatty(STDIN_FILENO) == 1;
    return out;
}

/// The settings file and the kubeconfigs, read at the start and again when they change.
class configuration {
public:
    configuration(std::string file, config::config_path how) : file_(std::move(file)), how_(how) {}

    /// Read the settings for the first time. @return false when they can't be used; the reasons are in `problems`.
    bool read(config::problem_list& problems)
    {
        auto read = config::load_podproxy_config(file_, how_, env_, files_, problems);
        if (!read || !read_users(*read, users_, problems)) return false;
        settings_ = *std::move(read);
        for (auto const& p : problems) said_ += config::format(p) + '\n';
        return true;
    }
    config::podproxy_config const& settings() const { return settings_; }

    /// Who may use the proxy, by the settings as they are now.
    void apply(proxy::access_control& access)
    {
        access.set_users(users_);
        access.set_allowed(settings_.allow.empty() ? std::nullopt : std::optional(settings_.allow));
    }

    /// Where destinations go, by the settings as they are now. @return false when the rules can't be used.
    bool apply(proxy::rules_dialer& rules, logger const& log)
    {
        diagnostics why;
        if (auto const done = rules.set_rules(settings_.rules, why); !done) {
            log.error("the rules can't be used", {{"error", why.empty() ? done.error().message() : why.text()}});
            return false;
        }
        auto unknown = rules.unknown_clusters();
        if (unknown != unknown_clusters_)
            for (auto const& name : unknown) log.warn("a rule sends destinations into a cluster that is not there", {{"cluster", name}});
        unknown_clusters_ = std::move(unknown);
        return true;
    }

    /// Read the kubeconfigs for the first time. @return false when one that was asked for is not there.
    bool find_clusters(proxy::cluster_catalog& catalog, logger const& log)
    {
        auto const found = discover(settings_);
        config::report(found.problems, log);
        for (auto const& p : found.problems) said_ += config::format(p) + '\n';
        if (config::has_errors(found.problems)) return false;
        take(found, catalog, log);
        return true;
    }

    /// Read everything again; what can't be used changes nothing.
    void reload(proxy::cluster_catalog& catalog, proxy::access_control& access, logger const& log)
    {
        config::problem_list problems;
        auto fresh = config::load_podproxy_config(file_, how_, env_, files_, problems);
        std::optional<auth::user_table> users;
        std::optional<kube::kubeconfig_set> found;
        if (fresh) {
            (void)read_users(*fresh, users, problems);
            found = discover(*fresh);
            problems.insert(problems.end(), found->problems.begin(), found->problems.end());
        }
        std::string said; // what has been said before is not said again each time that a file is touched
        for (auto const& p : problems) said += config::format(p) + '\n';
        bool const news = said != said_;
        said_ = std::move(said);
        if (news) config::report(problems, log);
        if (config::has_errors(problems)) {
            if (news) log.error("settings and clusters stay as they were");
            return;
        }
        if (fresh->listen != settings_.listen || fresh->http_listen != settings_.http_listen || fresh->pac_listen != settings_.pac_listen)
            log.warn("other addresses to listen on are used after a restart");
        if (fresh->log != settings_.log) log.warn("other settings of the log are used after a restart");
        bool const other_access = users != users_ || fresh->allow != settings_.allow; // what is remembered of passwords outlives a look
        settings_ = *std::move(fresh);
        users_ = std::move(users);
        if (other_access) {
            apply(access);
            log.info("other clients may use the proxy now", {{"users", users_ ? users_->size() : 0}, {"allow", settings_.allow.size()}});
        }
        take(*std::move(found), catalog, log);
    }

    /// What to watch for changes.
    void watch(net::file_watcher& watcher) const
    {
        auto places = kube::places_to_watch(sources(settings_), env_, found_);
        places.files.emplace_back(file_);
        if (!settings_.users.empty()) places.files.emplace_back(settings_.users);
        watcher.watch(places.files, places.folders);
    }

private:
    static kube::kubeconfig_sources sources(config::podproxy_config const& s) { return {s.skip_default_kubeconfig, s.skip_kubeconfig_env, s.kubeconfigs}; }
    /// @return false when there is a file of users that can't be used.
    bool read_users(config::podproxy_config const& s, std::optional<auth::user_table>& out, config::problem_list& problems)
    {
        out.reset();
        if (!s.users.empty()) out = config::load_users(s.users, files_, problems);
        return out || s.users.empty();
    }
    kube::kubeconfig_set discover(config::podproxy_config const& s) { return kube::discover_kubeconfigs(sources(s), env_, files_); }

    void take(kube::kubeconfig_set found, proxy::cluster_catalog& catalog, logger const& log)
    {
        found_ = std::move(found);
        catalog.apply(found_.contexts, catalog_config(settings_), files_);
        std::string names;
        for (auto const& entry : catalog.entries())
            if (!entry.names.empty()) names += entry.context + ' ' + entry.names.front() + '\n';
        if (names == names_) return;
        names_ = std::move(names);
        if (names_.empty())
            log.warn("no cluster can be used: every destination is connected to directly. Is there a kubeconfig (~/.kube/config, KUBECONFIG, kubeconfigs:)?");
        for (auto const& entry : catalog.entries())
            if (!entry.names.empty()) log.info("cluster", {{"name", entry.context}, {"address", "<service>.<namespace>." + entry.names.front()}});
    }

    std::string file_;
    config::config_path how_;
    config::environment env_ = config::process_environment();
    config::disk_files files_;
    config::podproxy_config settings_;
    std::optional<auth::user_table> users_;
    std::vector<std::string> unknown_clusters_; ///< of rules, as they were told last
    kube::kubeconfig_set found_;
    std::string said_;
    std::string names_;
};

/// A listener that was asked for, and what its port speaks.
struct opened_port {
    net::listener socket;
    proxy::port_kind kind;
};

bool open_port(std::list<opened_port>& ports, std::optional<host_port> const& address, std::string_view key, proxy::port_kind kind,
               asio::io_context& ctx, proxy::access_control const& access, logger const& log)
{
    if (!address) return true;
    auto socket = net::open_listener(ctx, *address, key, log);
    if (!socket) return false;
    auto const local = socket->local_endpoint();
    bool const open_to_all = !local.address().is_loopback();
    std::string const where = format_host_port(local.address().to_string(), local.port());
    char const* const what = kind == proxy::port_kind::mixed ? "serving SOCKS5, HTTP and /proxy.pac"
                             : kind == proxy::port_kind::http ? "serving HTTP"
                                                              : "serving the PAC file";
    log.info(what, {{"addr", where}});
    if (open_to_all && kind != proxy::port_kind::pac && !access.is_limited() && !access.asks_for_password())
        log.warn("this port is open to other machines and asks nobody for a password: everybody who reaches it can use your clusters",
                 {{"key", key}, {"addr", where}});
    ports.push_back({std::move(*socket), kind});
    return true;
}

net::awaitable<void> serve(proxy::server& server, opened_port& port, logger log)
{
    auto const why = co_await server.serve(port.socket, port.kind);
    if (why != asio::error::operation_aborted) log.error("a listener ended", {{"error", why}});
}

/// What runs, for the coroutine that waits for signals.
struct running {
    std::list<opened_port>& ports;
    proxy::server& server;
    proxy::router_dialer& router;
    proxy::cluster_catalog& catalog;
    std::function<void()> reload;
};

net::awaitable<void> wait_for_end(running& all, logger log)
{
    net::program_signals signals(co_await asio::this_coro::executor, net::program_signals::hangup::is_told);
    while (co_await signals.wait() == SIGHUP) all.reload();
    log.info("shutting down; a second signal ends at once", {{"connections", all.server.clients()}});
    for (auto& port : all.ports) port.socket.close();
    signals.end_at_next();
    co_await all.server.drain(drain_limit);
    all.catalog.close();
    all.router.close();
    co_await all.catalog.join();
    co_await all.router.join();
}

void print_problems(config::problem_list const& problems)
{
    for (auto const& p : problems) std::cerr << "podproxy: " << config::format(p) << '\n';
}

int run(std::string const& config_file, config::config_path how)
{
    configuration all(config_file, how);
    config::problem_list problems;
    if (!all.read(problems)) {
        print_problems(problems);
        return exit_failure;
    }
    auto const settings = all.settings();
    auto const sink = config::open_log(settings.log);
    if (!sink) {
        std::cerr << "podproxy: can't write the log file " << settings.log.file << ": " << sink.error().message() << '\n';
        return exit_failure;
    }
    logger const log(**sink, "podproxy");
    config::report(problems, log);

    net::raise_descriptor_limit();
    net::program_context ctx;
    proxy::direct_dialer direct;
    proxy::router_dialer router(direct);
    proxy::cluster_catalog catalog(ctx.get_executor(), direct, router, log);
    if (!all.find_clusters(catalog, log)) return exit_failure;
    proxy::rules_dialer rules(direct, router);
    if (!all.apply(rules, log)) return exit_failure;

    proxy::access_control access(log.named("proxy"));
    all.apply(access);
    std::list<opened_port> ports;
    if (!open_port(ports, settings.listen, "listenAddress", proxy::port_kind::mixed, ctx, access, log) ||
        !open_port(ports, settings.http_listen, "httpListenAddress", proxy::port_kind::http, ctx, access, log) ||
        !open_port(ports, settings.pac_listen, "pacListenAddress", proxy::port_kind::pac, ctx, access, log))
        return exit_failure;

    proxy::server_config server_settings;
    for (auto const& port : ports) {
        if (port.kind == proxy::port_kind::mixed) server_settings.mixed_port = port.socket.local_endpoint().port();
        if (port.kind == proxy::port_kind::http) server_settings.http_port = port.socket.local_endpoint().port();
    }
    server_settings.access = &access;
    server_settings.cluster_names = [&router] {
        std::vector<std::string> names;
        for (auto const& [name, cluster] : router.names().entries()) names.push_back(name);
        return names;
    };
    proxy::server server(ctx.get_executor(), rules, log.named("proxy"), std::move(server_settings));

    std::optional<net::file_watcher> watcher;
    auto const reload = [&] {
        all.reload(catalog, access, log);
        (void)all.apply(rules, log);
        all.watch(*watcher);
    };
    watcher.emplace(ctx.get_executor(), reload);
    all.watch(*watcher);

    net::task_group tasks(ctx.get_executor());
    for (auto& port : ports) tasks.spawn(serve(server, port, log));
    running everything{ports, server, router, catalog, reload};
    bool ended = false;
    asio::co_spawn(ctx, wait_for_end(everything, log), [&](std::exception_ptr error) {
        ended = true;
        if (error) std::rethrow_exception(error);
    });
    log.info("ready");
    net::run_until(ctx, ended, log);
    log.info("bye");
    net::leave_soon();
    return 0;
}

/// `podproxy clusters` and `podproxy check`: what would be used, without listening.
int look(std::string const& config_file, config::config_path how, bool list)
{
    configuration all(config_file, how);
    config::problem_list problems;
    if (!all.read(problems)) {
        print_problems(problems);
        return exit_failure;
    }
    print_problems(problems);
    bool fine = problems.empty();

    config::log_config quiet;
    quiet.level = log_level::warn;
    quiet.timestamp = false;
    auto const sink = config::open_log(quiet);
    logger const log(**sink, "podproxy");
    net::program_context ctx;
    proxy::direct_dialer direct;
    proxy::router_dialer router(direct);
    proxy::cluster_catalog catalog(ctx.get_executor(), direct, router, log);
    fine = all.find_clusters(catalog, log) && fine;
    proxy::rules_dialer rules(direct, router);
    fine = all.apply(rules, log) && rules.unknown_clusters().empty() && fine;
    std::size_t usable = 0;
    for (auto const& entry : catalog.entries()) usable += entry.names.empty() ? 0 : 1;
    if (list) {
        for (auto const& entry : catalog.entries()) {
            std::cout << (entry.names.empty() ? entry.context + "  (can't be used)" : entry.names.front()) << '\n';
            for (std::size_t i = 1; i < entry.names.size(); ++i) std::cout << "    also        " << entry.names[i] << '\n';
            if (!entry.names.empty() && entry.names.front() != entry.context && std::ranges::find(entry.names, entry.context) == entry.names.end())
                std::cout << "    context     " << entry.context << '\n';
            std::cout << "    server      " << entry.server << "\n    namespace   " << entry.ns << "\n    kubeconfig  " << entry.file << '\n';
            if (!entry.problem.empty()) std::cout << "    problem     " << entry.problem << '\n';
        }
    } else {
        for (auto const& entry : catalog.entries()) fine = fine && entry.problem.empty();
        std::cout << "settings " << (fine ? "are in order" : "have problems, see above") << "; " << usable << (usable == 1 ? " cluster" : " clusters") << " can be used\n";
    }
    catalog.close();
    router.close();
    bool joined = false;
    asio::co_spawn(ctx, [](proxy::cluster_catalog& c, proxy::router_dialer& r) -> net::awaitable<void> {
        co_await c.join();
        co_await r.join();
    }(catalog, router), [&](std::exception_ptr) { joined = true; });
    net::run_until(ctx, joined, log);
    return fine && (usable != 0 || !list) ? 0 : exit_failure;
}

} // namespace

int main(int argc, char** argv)
{
    std::signal(SIGPIPE, SIG_IGN);
    CLI::App app{"One local SOCKS5 and HTTP proxy into the pods of your Kubernetes clusters.\n"
                 "  curl --socks5-hostname 127.0.0.1:9080 http://<service>.<namespace>.<context>/\n"
                 "Everything that is no name of a cluster passes straight through."};
    std::string config_file = "config.yaml";
    auto* const given = app.add_option("--config", config_file, "YAML settings; without it, config.yaml here if there is one")->option_text("FILE");
    app.set_version_flag("--version", "podproxy " PODPROXY_VERSION);
    app.fallthrough(); // --config may stand behind a command
    auto* const clusters = app.add_subcommand("clusters", "List the clusters with the names by which they are addressed, and end");
    auto* const check = app.add_subcommand("check", "Check settings and kubeconfigs without listening; exit code 1 when something is wrong");
    app.require_subcommand(0, 1);
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        int const code = app.exit(e);
        return code == 0 ? 0 : exit_usage;
    }
    try {
        auto const how = given->count() != 0 ? config::config_path::given : config::config_path::standard;
        int const code = *clusters || *check ? look(config_file, how, bool(*clusters)) : run(config_file, how);
        net::do_not_leave();
        return code;
    } catch (std::exception const& e) {
        std::cerr << "podproxy: " << e.what() << '\n';
        return exit_failure;
    }
}
