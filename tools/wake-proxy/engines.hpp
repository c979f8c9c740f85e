#ifndef PODPROXY_TOOLS_WAKE_PROXY_ENGINES_HPP
#define PODPROXY_TOOLS_WAKE_PROXY_ENGINES_HPP

#include <podproxy/config/environment.hpp>
#include <podproxy/config/files.hpp>
#include <podproxy/config/report.hpp>
#include <podproxy/config/wake_config.hpp>
#include <podproxy/docker/client.hpp>
#include <podproxy/docker/endpoint.hpp>
#include <podproxy/kube/api_client.hpp>
#include <podproxy/kube/cluster_dialer.hpp>
#include <podproxy/kube/in_cluster.hpp>
#include <podproxy/kube/kubeconfig_discovery.hpp>
#include <podproxy/proxy/direct_dialer.hpp>
#include <podproxy/proxy/router_dialer.hpp>
#include <podproxy/wake/docker_provider.hpp>
#include <podproxy/wake/kube_provider.hpp>
#include <podproxy/wake/systemd_provider.hpp>
#include <algorithm>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace podproxy::wake_tool {

/// One engine of the settings, made.
struct engine {
    config::wake_provider const* settings = nullptr;
    std::unique_ptr<docker::client> docker;   ///< Of docker and podman.
    std::unique_ptr<kube::api_client> cluster; ///< Of kubernetes.
    std::unique_ptr<wake::provider> provider;
    wake::kube_provider* kubernetes = nullptr; ///< `provider`, where it is one.
};

/// The engines that the settings name, and the way to addresses that only they know.
class engine_list {
public:
    /// @par Lifetime The settings outlive it.
    engine_list(net::executor ex, config::wake_config const& settings, config::environment const& env, config::file_source& files, logger log)
        : executor_(std::move(ex)), settings_(settings), env_(env), files_(files), log_(log), router_(direct_)
    {
    }

    /// Make all of them; nothing is connected to yet. @return what could not be made, a line each.
    std::vector<std::string> make()
    {
        std::vector<std::string> wrong;
        for (auto const& p : settings_.providers) {
            engine made;
            made.settings = &p;
            diagnostics why;
            result<void> done;
            if (p.engine == config::wake_engine::kubernetes) done = make_kubernetes(made, why);
            else if (p.engine == config::wake_engine::systemd) done = make_systemd(made, why);
            else done = make_docker(made, why);
            if (done) engines_.push_back(std::move(made));
            else wrong.push_back("provider " + config::quoted(p.name) + ": " + (why.empty() ? done.error().message() : why.text()));
        }
        return wrong;
    }

    std::list<engine> const& all() const noexcept { return engines_; }

    std::vector<wake::provider*> providers() const
    {
        std::vector<wake::provider*> out;
        for (auto const& e : engines_) out.push_back(e.provider.get());
        return out;
    }

    /// Reaches targets whose host is a name: of a cluster by its API server, all others directly. Null: nothing but direct ways.
    net::dialer* dialer() noexcept { return router_.names().empty() ? nullptr : &router_; }

    net::awaitable<void> close()
    {
        for (auto const& e : engines_)
            if (e.kubernetes) e.kubernetes->close();
        router_.close();
        for (auto const& e : engines_)
            if (e.kubernetes) co_await e.kubernetes->join();
        co_await router_.join();
    }

private:
    result<void> make_docker(engine& to, diagnostics& why)
    {
        auto env = docker::process_environment();
        auto const& p = *to.settings;
        if (!p.cert_path.empty()) {
            env.cert_path = p.cert_path;
            env.tls_verify = "1";
        }
        bool const podman = p.engine == config::wake_engine::podman;
        result<docker::endpoint> where = docker::errc::bad_endpoint;
        if (!p.host.empty()) {
            where = docker::parse_endpoint(p.host, env, why);
        } else if (podman) {
            if (env_.container_host && !env_.container_host->empty()) {
                where = docker::parse_endpoint(*env_.container_host, env, why);
            } else {
                docker::endpoint usual;
                usual.sockets.push_back("/run/podman/podman.sock");
                if (env.runtime_dir && !env.runtime_dir->empty()) usual.sockets.push_back(*env.runtime_dir + "/podman/podman.sock");
                where = std::move(usual);
            }
        } else {
            where = docker::find_endpoint(env, why);
        }
        if (!where) return where.error();
        auto client = docker::client::create(executor_, *std::move(where), why);
        if (!client) return client.error();
        to.docker = *std::move(client);
        wake::docker_provider_config rules;
        for (auto const& m : settings_.members)
            if (m.provider == p.name && !m.containers.empty()) rules.rules.groups[m.group] = m.containers;
        to.provider = std::make_unique<wake::docker_provider>(executor_, *to.docker, log_.named(podman ? "podman" : "docker"), std::move(rules));
        return {};
    }

    bool is_own_cluster(config::wake_provider const& p) const { return p.kubeconfig.empty() && p.context.empty() && kube::in_cluster(env_); }

    result<kube::cluster_context> find_context(config::wake_provider const& p, diagnostics& why)
    {
        if (is_own_cluster(p)) return kube::in_cluster_context(env_, files_, why);
        kube::kubeconfig_sources sources;
        if (!p.kubeconfig.empty()) sources = {true, true, {p.kubeconfig}};
        auto found = kube::discover_kubeconfigs(sources, env_, files_);
        config::report(found.problems, log_);
        std::string const& wanted = p.context.empty() ? found.current_context : p.context;
        auto const at = std::ranges::find(found.contexts, wanted, &kube::cluster_context::name);
        if (at != found.contexts.end()) return std::move(*at);
        why.message = wanted.empty() ? "no kubeconfig names a current context: name one with 'context'"
                                     : "no kubeconfig has a usable context " + config::quoted(wanted);
        return kube::errc::bad_context;
    }

    result<void> make_kubernetes(engine& to, diagnostics& why)
    {
        auto const& p = *to.settings;
        auto const context = find_context(p, why);
        if (!context) return context.error();
        auto cluster = kube::make_cluster_config(*context, files_, why);
        if (!cluster) return cluster.error();
        std::string const ns = cluster->default_namespace;
        wake::kube_provider_config rules;
        for (auto const& m : settings_.members) {
            if (m.provider != p.name) continue;
            for (auto const& workload : m.workloads) {
                wake::kube_member one;
                auto const slash = workload.find('/');
                one.group = m.group;
                one.kind = workload.starts_with("statefulset/") ? kube::workload_kind::stateful_set : kube::workload_kind::deployment;
                one.name = workload.substr(slash + 1);
                one.ns = m.name_space.empty() ? ns : m.name_space;
                rules.members.push_back(std::move(one));
            }
        }
        rules.namespaces = p.namespaces;
        if (rules.namespaces.empty()) rules.namespaces.push_back(ns);
        for (auto& name : rules.namespaces)
            if (name == "*") name.clear();
        if (auto const slash = p.lease.find('/'); slash != std::string::npos) {
            rules.lease.ns = p.lease.substr(0, slash);
            rules.lease.name = p.lease.substr(slash + 1);
        }
        auto api = kube::api_client::create(executor_, direct_, cluster->api, why);
        if (!api) return api.error();
        to.cluster = *std::move(api);
        if (!is_own_cluster(p)) {
            // Services have no addresses out here: connections go through the API server.
            auto way = kube::cluster_dialer::create(executor_, direct_, *std::move(cluster), log_.named("kube"), why);
            if (!way) return way.error();
            rules.address_suffix = (*way)->name();
            if (!router_.add(*std::move(way))) {
                why.message = "the context " + config::quoted(context->name) + " can't be part of an address: rename it";
                return kube::errc::bad_context;
            }
        }
        auto provider = std::make_unique<wake::kube_provider>(executor_, *to.cluster, std::move(rules), log_.named("kube"));
        to.kubernetes = provider.get();
        to.provider = std::move(provider);
        return {};
    }

    result<void> make_systemd(engine& to, diagnostics& why)
    {
        wake::systemd_provider_config rules;
        rules.manager = to.settings->user ? wake::systemd_manager::user : wake::systemd_manager::system;
        for (auto const& m : settings_.members)
            if (m.provider == to.settings->name)
                for (auto const& unit : m.units) rules.units.push_back({m.group, unit});
        auto provider = wake::make_systemd_provider(executor_, std::move(rules), log_.named("systemd"), why);
        if (!provider) return provider.error();
        to.provider = *std::move(provider);
        return {};
    }

    net::executor executor_;
    config::wake_config const& settings_;
    config::environment const& env_;
    config::file_source& files_;
    logger log_;
    proxy::direct_dialer direct_;
    proxy::router_dialer router_;
    std::list<engine> engines_;
};

} // namespace podproxy::wake_tool

#endif
