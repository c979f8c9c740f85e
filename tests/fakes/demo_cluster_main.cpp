// demo_cluster: a Kubernetes cluster named "demo" with a small web shop, for scripts/demo. No Kubernetes is needed: the API server and
// the pods are the fake ones of the tests, in this process, on a port of 127.0.0.1.

#include <fakes/fake_kube_server.hpp>
#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <unistd.h>

using namespace podproxy::test;
namespace programs = fake_kube::programs;

namespace {

constexpr std::string_view usage = "usage: demo_cluster [--until-stdin-closes] KUBECONFIG\n"
                                   "Writes a kubeconfig with the context `demo`, prints `ready` and serves until SIGTERM or SIGINT.\n";

constexpr std::string_view token = "demo-token";

constexpr std::string_view products = "[{\"name\":\"lamp\",\"price\":39},{\"name\":\"chair\",\"price\":120},{\"name\":\"desk\",\"price\":340}]";

programs::http_reply page(std::string const& pod, fake_kube::http_request const& request)
{
    if (request.path == "/health") return {200, "text/plain; charset=utf-8", "ok\n"};
    if (request.path != "/") return {404, "text/plain; charset=utf-8", "no such page\n"};
    return {200, "text/html; charset=utf-8",
            "<!doctype html>\n<title>The demo shop</title>\n<h1>The demo shop</h1>\n"
            "<ul><li>lamp, 39<li>chair, 120<li>desk, 340</ul>\n"
            "<p>Served by pod " + pod + ". Products as JSON: <a href=\"http://api.shop.demo/products\">api.shop.demo</a></p>\n"};
}

programs::http_reply api(std::string const& pod, fake_kube::http_request const& request)
{
    if (request.path == "/health") return {200, "text/plain; charset=utf-8", "ok\n"};
    if (request.path == "/" || request.path == "/products")
        return {200, "application/json", "{\"pod\":\"" + pod + "\",\"products\":" + std::string(products) + "}\n"};
    return {404, "application/json", "{\"error\":\"no such path\"}\n"};
}

void add_pod(fake_kube_server& kube, std::string name, std::string hostname, std::uint16_t port, fake_kube::pod_program program)
{
    fake_kube::pod_spec pod;
    pod.name_space = "shop";
    pod.name = std::move(name);
    pod.hostname = std::move(hostname);
    pod.ports.emplace(port, std::move(program));
    kube.add_pod(std::move(pod));
}

void add_service(fake_kube_server& kube, std::string name, kube_port port, std::vector<std::string> pods, bool headless)
{
    kube_service service;
    service.name_space = "shop";
    service.name = std::move(name);
    service.ports.push_back(std::move(port));
    service.pods = std::move(pods);
    service.headless = headless;
    kube.add_service(std::move(service));
}

void fill(fake_kube_server& kube)
{
    for (char const* const name : {"web-5c6f8-k2x7d", "web-5c6f8-p9mzq"}) add_pod(kube, name, "", 8080, programs::http(page));
    add_pod(kube, "api-7d9b4-x4h2s", "", 3000, programs::http(api));
    add_pod(kube, "db-0", "db-0", 5432, programs::echo());
    add_service(kube, "web", {"http", 80, 8080}, {"web-5c6f8-k2x7d", "web-5c6f8-p9mzq"}, false);
    add_service(kube, "api", {"http", 80, 3000}, {"api-7d9b4-x4h2s"}, false);
    add_service(kube, "db", {"postgres", 5432, 5432}, {"db-0"}, true);
}

bool write_kubeconfig(std::string const& path, fake_kube_server const& kube)
{
    std::string const text = "apiVersion: v1\nkind: Config\ncurrent-context: demo\nclusters:\n- name: demo\n  cluster:\n    server: " + kube.url() +
                             "\n    certificate-authority-data: " + fake_kube::base64(kube.ca_pem()) +
                             "\ncontexts:\n- name: demo\n  context:\n    cluster: demo\n    user: demo\n    namespace: shop\nusers:\n- name: demo\n  user:\n    token: " +
                             std::string(token) + "\n";
    int const file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) return false;
    bool const whole = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    return ::close(file) == 0 && whole;
}

void stop_at_end(asio::posix::stream_descriptor& in, asio::io_context& ctx)
{
    static char ignored[256];
    in.async_read_some(asio::buffer(ignored), [&in, &ctx](std::error_code ec, std::size_t) { ec ? ctx.stop() : stop_at_end(in, ctx); });
}

} // namespace

int main(int argc, char** argv)
{
    bool with_stdin = false;
    std::string path;
    for (int i = 1; i < argc; ++i) {
        std::string const arg = argv[i];
        if (arg == "--until-stdin-closes")
            with_stdin = true;
        else if (!arg.starts_with("-") && path.empty())
            path = arg;
        else
            path.clear(), i = argc;
    }
    if (path.empty()) {
        std::fputs(usage.data(), stderr);
        return 2;
    }
    std::signal(SIGPIPE, SIG_IGN);
    asio::io_context ctx(1);
    asio::signal_set signals(ctx, SIGINT, SIGTERM);
    signals.async_wait([&ctx](std::error_code, int) { ctx.stop(); });

    kube_server_config config;
    config.tls = true;
    config.tokens = {std::string(token)};
    fake_kube_server kube(std::move(config));
    fill(kube);
    if (!write_kubeconfig(path, kube)) {
        std::perror(path.c_str());
        return 1;
    }
    std::printf("ready %s\n", kube.url().c_str());
    std::fflush(stdout);

    asio::posix::stream_descriptor in(ctx);
    std::error_code not_a_pipe;
    if (with_stdin) in.assign(::dup(STDIN_FILENO), not_a_pipe);
    if (in.is_open()) stop_at_end(in, ctx);
    ctx.run();
    return 0;
}
