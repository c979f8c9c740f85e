// get_from_pod <context> <namespace> <service>: fetches / from port 80 of a Service, through the cluster's API server.
#include <podproxy/config/environment.hpp>
#include <podproxy/http/client.hpp>
#include <podproxy/kube/cluster_dialer.hpp>
#include <podproxy/kube/kubeconfig_discovery.hpp>
#include <podproxy/net/timeout.hpp>
#include <podproxy/proxy/direct_dialer.hpp>
#include <iostream>

using namespace podproxy;

net::awaitable<result<std::string>> get(kube::cluster_dialer& cluster, std::string ns, std::string service, diagnostics& why)
{
    auto stream = co_await net::with_deadline(cluster.dial_service(ns, service, 80, why), std::chrono::seconds(10));
    if (!stream) co_return stream.error();
    http::client_config settings;
    settings.host = service + "." + ns;
    http::client client(std::move(*stream), std::move(settings));
    auto const head = co_await client.request("GET", "/");
    if (!head) co_return head.error();
    co_return co_await client.read_all(1024 * 1024);
}

net::awaitable<void> show(kube::cluster_dialer& cluster, std::string ns, std::string service)
{
    diagnostics why;
    auto const body = co_await get(cluster, ns, service, why);
    if (body) std::cout << *body;
    else std::cerr << (why.empty() ? body.error().message() : why.text()) << '\n';
    cluster.close();
    co_await cluster.join();
}

int main(int argc, char** argv)
{
    if (argc != 4) return 2;
    config::disk_files files;
    diagnostics why;
    auto const found = kube::discover_kubeconfigs({}, config::process_environment(), files);
    for (auto const& context : found.contexts) {
        if (context.name != argv[1]) continue;
        asio::io_context io(1);
        proxy::direct_dialer direct; // how the API server is reached
        auto settings = kube::make_cluster_config(context, files, why);
        if (!settings) break;
        auto cluster = kube::cluster_dialer::create(io.get_executor(), direct, std::move(*settings), logger(), why);
        if (!cluster) break;
        asio::co_spawn(io, show(**cluster, argv[2], argv[3]), [](std::exception_ptr e) {
            if (e) std::rethrow_exception(e);
        });
        io.run();
        return 0;
    }
    std::cerr << (why.empty() ? "there is no such context" : why.text()) << '\n';
    return 1;
}
