// podproxy: one local SOCKS5 and HTTP proxy into the pods of many Kubernetes clusters. Arguments, signals and wiring; the rest is in the headers.

#include <podproxy/config/environment.hpp>
#include <podproxy/config/files.hpp>
#include <podproxy/config/log_setup.hpp>
#include <podproxy/config/podproxy_config.hpp>
#include <podproxy/config/report.hpp>
#include <podproxy/kube/cluster_dialer.hpp>
#include <podproxy/kube/kubeconfig_discovery.hpp>
#include <podproxy/net/listener.hpp>
#include <podproxy/net/program.hpp>
#include <podproxy/net/task_group.hpp>
#include <podproxy/proxy/direct_dialer.hpp>
#include <podproxy/proxy/router_dialer.hpp>
#include <podproxy/proxy/server.hpp>
#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>
#include <list>
#include <memory>
#include <string>

using namespace podproxy;

namespace {

/// Exit codes: 1 for what the user has to mend, 2 for wrong arguments.
constexpr int exit_failure = 1;
constexpr int exit_usage = 2;

/// How long open connections may go on after SIGTERM.
constexpr std::chrono::seconds drain_limit{10};

void add_clusters(proxy::router_dialer& router, config::podproxy_config const& settings, kube::kubeconfig_set const& found, net::dialer& direct,
                  asio::io_context& ctx, config::file_source& files, logger const& log)
{
    for (auto const& context : found.contexts) {
        diagnostics why;
        auto cluster = kube::make_cluster_config(context, files, why);
        if (cluster) {
            cluster->carrier = settings.carrier == config::carrier_choice::spdy        ? kube::carrier::spdy
                               : settings.carrier == config::carrier_choice::websocket ? kube::carrier::websocket
                                                                                       : kube::carrier::automatic;
            cluster->sessions.use = settings.sessions == config::session_choice::exclusive ? kube::session_use::exclusive
                                    : settings.sessions == config::session_choice::shared  ? kube::session_use::shared
                                                                                           : kube::session_use::automatic;
            cluster->sessions.connect_grace = settings.connect_grace;
            if (cluster->api.plugin) cluster->api.plugin->terminal = ::isatty(STDIN_FILENO) == 1;
            auto dialer = kube::cluster_dialer::create(ctx.get_executor(), direct, std::move(*cluster), log.named("kube"), why);
            if (dialer) {
                if (!router.add(std::move(*dialer))) log.warn("skipping a cluster: its name can't end an address", {{"cluster", context.name}});
                continue;
            }
        }
        log.warn("skipping a cluster that can't be used", {{"cluster", context.name}, {"kubeconfig", context.file}, {"error", why.text()}});
    }
}

/// A listener that was asked for, and what its port speaks.
struct opened_port {
    net::listener socket;
    proxy::port_kind kind;
};

bool open_port(std::list<opened_port>& ports, std::optional<host_port> const& address, std::string_view key, proxy::port_kind kind,
               asio::io_context& ctx, logger const& log)
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
    if (open_to_all)
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

net::awaitable<void> wait_for_end(std::list<opened_port>& ports, proxy::server& server, proxy::router_dialer& router, logger log)
{
    net::program_signals signals(co_await asio::this_coro::executor);
    co_await signals.wait();
    log.info("shutting down; a second signal ends at once", {{"connections", server.clients()}});
    for (auto& port : ports) port.socket.close();
    signals.end_at_next();
    co_await server.drain(drain_limit);
    router.close();
    co_await router.join();
}

int run(std::string const& config_file, config::config_path how)
{
    auto const env = config::process_environment();
    config::disk_files files;
    config::problem_list problems;
    auto const settings = config::load_podproxy_config(config_file, how, env, files, problems);
    if (!settings) {
        for (auto const& p : problems) std::cerr << "podproxy: " << config::format(p) << '\n';
        return exit_failure;
    }
    auto const sink = config::open_log(settings->log);
    if (!sink) {
        std::cerr << "podproxy: can't write the log file " << settings->log.file << ": " << sink.error().message() << '\n';
        return exit_failure;
    }
    logger const log(**sink, "podproxy");
    config::report(problems, log);

    net::raise_descriptor_limit();
    net::program_context ctx;
    proxy::direct_dialer direct;
    proxy::router_dialer router(direct);
    auto const found = kube::discover_kubeconfigs({settings->skip_default_kubeconfig, settings->skip_kubeconfig_env, settings->kubeconfigs}, env, files);
    config::report(found.problems, log);
    if (config::has_errors(found.problems)) return exit_failure;
    add_clusters(router, *settings, found, direct, ctx, files, log);
    if (router.names().empty())
        log.warn("no cluster can be used: every destination is connected to directly. Is there a kubeconfig (~/.kube/config, KUBECONFIG, kubeconfigs:)?");
    for (auto const& [name, cluster] : router.names().entries()) log.info("cluster", {{"name", cluster}, {"address", "<service>.<namespace>." + name}});

    std::list<opened_port> ports;
    if (!open_port(ports, settings->listen, "listenAddress", proxy::port_kind::mixed, ctx, log) ||
        !open_port(ports, settings->http_listen, "httpListenAddress", proxy::port_kind::http, ctx, log) ||
        !open_port(ports, settings->pac_listen, "pacListenAddress", proxy::port_kind::pac, ctx, log))
        return exit_failure;

    proxy::server_config server_settings;
    for (auto const& port : ports) {
        if (port.kind == proxy::port_kind::mixed) server_settings.mixed_port = port.socket.local_endpoint().port();
        if (port.kind == proxy::port_kind::http) server_settings.http_port = port.socket.local_endpoint().port();
    }
    server_settings.cluster_names = [&router] {
        std::vector<std::string> names;
        for (auto const& [name, cluster] : router.names().entries()) names.push_back(name);
        return names;
    };
    proxy::server server(ctx.get_executor(), router, log.named("proxy"), std::move(server_settings));
    net::task_group tasks(ctx.get_executor());
    for (auto& port : ports) tasks.spawn(serve(server, port, log));
    bool ended = false;
    asio::co_spawn(ctx, wait_for_end(ports, server, router, log), [&](std::exception_ptr error) {
        ended = true;
        if (error) std::rethrow_exception(error);
    });
    log.info("ready");
    net::run_until(ctx, ended, log);
    log.info("bye");
    net::leave_soon();
    return 0;
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
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        int const code = app.exit(e);
        return code == 0 ? 0 : exit_usage;
    }
    try {
        int const code = run(config_file, given->count() != 0 ? config::config_path::given : config::config_path::standard);
        net::do_not_leave();
        return code;
    } catch (std::exception const& e) {
        std::cerr << "podproxy: " << e.what() << '\n';
        return exit_failure;
    }
}
