// wake-proxy: starts containers when somebody connects and stops them when nobody does. Arguments, signals and wiring; the rest is in
// the headers.

#include "check.hpp"
#include "engines.hpp"
#include <podproxy/config/environment.hpp>
#include <podproxy/config/files.hpp>
#include <podproxy/config/log_setup.hpp>
#include <podproxy/config/report.hpp>
#include <podproxy/config/secret_file.hpp>
#include <podproxy/config/wake_config.hpp>
#include <podproxy/config/wake_labels.hpp>
#include <podproxy/metrics/process.hpp>
#include <podproxy/metrics/registry.hpp>
#include <podproxy/net/activation.hpp>
#include <podproxy/net/listener.hpp>
#include <podproxy/net/program.hpp>
#include <podproxy/net/task_group.hpp>
#include <podproxy/wake/server.hpp>
#include <podproxy/web/status_server.hpp>
#include <podproxy/web/wake_status.hpp>
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstddef>
#include <exception>
#include <iostream>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

using namespace podproxy;

namespace {

/// Exit codes: 1 for what the user has to mend, 2 for wrong arguments.
constexpr int exit_failure = 1;
constexpr int exit_usage = 2;

/// A plural where there is not one.
std::string count_of(std::size_t n, std::string_view what) { return std::to_string(n) + " " + std::string(what) + (n == 1 ? "" : "s"); }

/// Whoever reaches a port may wake what is behind it; that is what it is for, and yet not always what was meant.
void tell_open_ports(wake::settings const& settings, logger const& log)
{
    for (auto const& port : settings.ports) {
        auto const& host = port.listen.host;
        bool const loopback = host == "localhost" || host == "::1" || host.starts_with("127.");
        if (loopback || !port.filter.allow.empty()) continue;
        log.warn("this port is open to other machines: everybody who reaches it can wake the group; narrow it with --listen 127.0.0.1, or with "
                 "'allow'",
                 {{"addr", format_host_port(host.empty() ? "*" : host, port.listen.port)}, {"group", port.targets.empty() ? "" : port.targets.front().group}});
    }
}

/// The status page, where one is asked for.
struct status_port {
    std::list<net::listener> listeners;
    std::unique_ptr<web::wake_status> source;
    metrics::registry measured;
    std::unique_ptr<web::status_server> server;
};

bool is_for(net::inherited_socket const& socket, std::optional<host_port> const& address)
{
    if (!address || socket.kind != net::inherited_kind::tcp || socket.address.port != address->port) return false;
    return socket.address.host == address->host || (address->host.empty() && socket.address.host == "::") ||
           (address->host == "localhost" && (socket.address.host == "127.0.0.1" || socket.address.host == "::1"));
}

/// Give each socket of the service manager to whom it is for.
void take_inherited(std::vector<net::inherited_socket> const& sockets, config::wake_config const& settings, net::executor ex, wake::server& server,
                    status_port& status, logger const& log)
{
    for (auto const& socket : sockets) {
        std::string const where = format_host_port(socket.address);
        if (socket.kind == net::inherited_kind::tcp) {
            auto listening = net::adopt_listener(ex, socket);
            if (listening) {
                if (is_for(socket, settings.status_listen)) status.listeners.push_back(*std::move(listening));
                else server.adopt(*std::move(listening));
                log.info("taking a socket of the service manager", {{"name", socket.name}, {"addr", where + "/tcp"}});
                continue;
            }
        } else if (socket.kind == net::inherited_kind::udp) {
            auto bound = net::adopt_udp_socket(ex, socket);
            if (bound) {
                server.adopt(*std::move(bound));
                log.info("taking a socket of the service manager", {{"name", socket.name}, {"addr", where + "/udp"}});
                continue;
            }
        }
        ::close(socket.fd);
        log.warn("a socket of the service manager is neither a listening TCP socket nor a UDP socket", {{"name", socket.name}});
    }
}

net::awaitable<void> serve_status(web::status_server& server, net::listener& from, logger log)
{
    auto const why = co_await server.serve(from);
    if (why != asio::error::operation_aborted) log.error("the status page has ended", {{"error", why}});
}

net::awaitable<void> wait_for_end(wake::server& server, status_port& status, wake_tool::engine_list& engines, net::task_group& tasks,
                                  net::service_notifier const& manager, std::chrono::milliseconds drain, logger log)
{
    net::program_signals signals(co_await asio::this_coro::executor, net::program_signals::hangup::is_told);
    while (co_await signals.wait() == SIGHUP)
        log.warn("settings are read at the start only: restart to read them again; behind a socket of systemd no client is refused meanwhile");
    log.info("shutting down; a second signal ends at once", {{"connections", server.total().open}, {"waiting", server.total().waiting}});
    manager.stopping();
    signals.end_at_next();
    co_await server.drain(drain);
    for (auto& listener : status.listeners) listener.close();
    if (status.server) co_await status.server->close();
    tasks.cancel();
    co_await tasks.join();
    co_await engines.close();
}

/// What the arguments, the environment and the file say.
struct loaded {
    std::optional<config::wake_config> settings;
    config::problem_list problems;
};

loaded load(config::wake_arguments const& args, config::environment const& env, config::file_source& files)
{
    loaded out;
    out.settings = config::make_wake_config(args, env, files, out.problems);
    return out;
}

int run(config::wake_arguments const& args)
{
    auto const inherited_variables = net::take_activation_environment();
    auto const env = config::process_environment();
    config::disk_files files;
    auto const [settings, problems] = load(args, env, files);
    if (!settings) {
        for (auto const& p : problems) std::cerr << "wake-proxy: " << config::format(p) << '\n';
        return exit_failure;
    }
    auto const sink = config::open_log(settings->log);
    if (!sink) {
        std::cerr << "wake-proxy: can't write the log file " << settings->log.file << ": " << sink.error().message() << '\n';
        return exit_failure;
    }
    logger const log(**sink, "wake-proxy");
    config::report(problems, log);

    net::raise_descriptor_limit();
    net::program_context ctx;
    auto const ex = ctx.get_executor();
    net::service_notifier const manager(inherited_variables.notify_socket);

    wake_tool::engine_list engines(ex, *settings, env, files, log);
    auto const wrong = engines.make();
    for (auto const& line : wrong) log.error(line);
    if (!wrong.empty()) return exit_failure;

    wake::server_config how;
    how.dialer = engines.dialer();
    config::problem_memory told;
    if (settings->labels) {
        how.with_labels = [&](std::span<wake::member const> all, wake::settings known) {
            config::problem_list found;
            auto out = config::settings_with_labels(all, std::move(known), settings->defaults, found);
            config::report(told.news(std::move(found)), log);
            return out;
        };
    }
    wake::server server(ex, settings->settings, engines.providers(), log.named("wake"), std::move(how));
    status_port status;
    take_inherited(net::inherited_sockets(inherited_variables, ::getpid()), *settings, ex, server, status, log);
    auto const closed = server.open();
    for (auto const& line : closed) log.error(line);
    if (!closed.empty() && closed.size() == settings->settings.ports.size()) return exit_failure; // not one of them
    tell_open_ports(settings->settings, log);

    net::task_group tasks(ex);
    if (settings->status_listen) {
        if (status.listeners.empty()) {
            auto opened = net::open_listener(ctx, *settings->status_listen, "statusListenAddress", log);
            if (!opened) return exit_failure;
            status.listeners.push_back(*std::move(opened));
        }
        metrics::add_process_metrics(status.measured, "wake-proxy", PODPROXY_VERSION);
        status.source = std::make_unique<web::wake_status>(server);
        web::status_config page;
        page.program = "wake-proxy";
        page.version = PODPROXY_VERSION;
        page.names = settings->status_names;
        if (!settings->status_token_file.empty()) {
            auto token = config::read_secret_file(files, settings->status_token_file);
            if (!token) {
                log.error("the token of the status page can't be used: one line of text is expected", {{"file", settings->status_token_file}, {"error", token.error()}});
                return exit_failure;
            }
            page.token = *std::move(token);
        }
        bool const asks = !page.token.empty();
        page.actions = settings->status_buttons ? web::actions::allowed : web::actions::refused;
        status.server = std::make_unique<web::status_server>(ex, *status.source, status.measured, log.named("status"), std::move(page));
        for (auto& listener : status.listeners) {
            auto const local = listener.local_endpoint();
            std::string const where = format_host_port(local.address().to_string(), local.port());
            log.info("status page", {{"addr", where}, {"buttons", settings->status_buttons}});
            if (!local.address().is_loopback() && !asks)
                log.warn("the status page is open to other machines and asks nobody for a password: give it a 'statusTokenFile'", {{"addr", where}});
            tasks.spawn(serve_status(*status.server, listener, log));
        }
    }
    tasks.spawn(server.run());
    bool ended = false;
    asio::co_spawn(ctx, wait_for_end(server, status, engines, tasks, manager, settings->drain, log), [&](std::exception_ptr error) {
        ended = true;
        if (error) std::rethrow_exception(error);
    });
    manager.ready(count_of(settings->settings.groups.size(), "group") + " and " + count_of(settings->settings.ports.size(), "port") +
                  (settings->labels ? " by settings, others by labels" : " by settings"));
    log.info("ready");
    net::run_until(ctx, ended, log);
    log.info("bye");
    net::leave_soon();
    return 0;
}

int check(config::wake_arguments const& args)
{
    auto const env = config::process_environment();
    config::disk_files files;
    auto const [settings, problems] = load(args, env, files);
    if (!settings) {
        for (auto const& p : problems) std::cout << "error  " << config::format(p) << '\n';
        return exit_failure;
    }
    net::program_context ctx;
    wake_tool::engine_list engines(ctx.get_executor(), *settings, env, files, {});
    auto const wrong = engines.make();
    wake_tool::checker checker(ctx, *settings, engines, std::cout);
    checker.tell(problems);
    checker.ok("settings: " + count_of(settings->settings.groups.size(), "group") + ", " + count_of(settings->settings.ports.size(), "port") +
               (settings->labels ? ", labels are read" : ""));
    for (auto const& line : wrong) checker.error(line);
    bool ended = false;
    asio::co_spawn(
        ctx,
        [](wake_tool::checker& c, wake_tool::engine_list& e) -> net::awaitable<void> {
            co_await c.check_all();
            co_await e.close();
        }(checker, engines),
        [&](std::exception_ptr error) {
            ended = true;
            if (error) checker.error("an unexpected fault");
        });
    net::run_until(ctx, ended, {});
    std::cout.flush();
    int const code = checker.failed() ? exit_failure : 0;
    net::leave_soon(code);
    return code;
}

/// Options that both ways to call the program have.
void add_options(CLI::App& app, config::wake_arguments& args)
{
    app.add_option("-p,--port", args.port, "Port to listen on, on all addresses of this machine")->option_text("PORT");
    app.add_option("--host", args.host, "Server address")->option_text("HOST:PORT");
    app.add_option("-g,--group", args.group, "Container group name")->option_text("NAME");
    app.add_option("--idle", args.idle, "Container idle time: seconds, or 90s, 5m, 1h [default: 300]")->option_text("TIME");
    app.add_flag("--no-health", args.no_health, "Disable docker health check");
    app.add_option("--listen", args.listen, "Listen on this address instead of all")->option_text("ADDRESS");
    app.add_option("--config", args.config_file, "YAML settings, instead of the options above")->option_text("FILE");
    app.add_option("--status", args.status, "Status page, /metrics and /healthz on this address")->option_text("HOST:PORT");
    app.add_option("--log-level", args.log_level, "debug, info, warn or error; also WAKE_PROXY_LOG and RUST_LOG [default: info]")->option_text("LEVEL");
}

} // namespace

int main(int argc, char** argv)
{
    std::signal(SIGPIPE, SIG_IGN);
    CLI::App app{"Starts containers when somebody connects, and stops them when nobody does.\n"
                 "  wake-proxy --port 5001 --host localhost:5000 --group mygroup --idle 600\n"
                 "Without options everything comes from the labels podproxy.wake.* of containers."};
    config::wake_arguments args;
    add_options(app, args);
    auto* const checking = app.add_subcommand("check", "Look at settings, labels, engines, permissions and ports, and start nothing");
    checking->fallthrough();
    app.set_version_flag("-V,--version", "wake-proxy " PODPROXY_VERSION);
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        int const code = app.exit(e);
        return code == 0 ? 0 : exit_usage;
    }
    try {
        int const code = checking->parsed() ? check(args) : run(args);
        net::do_not_leave();
        return code;
    } catch (std::exception const& e) {
        std::cerr << "wake-proxy: " << e.what() << '\n';
        return exit_failure;
    }
}
