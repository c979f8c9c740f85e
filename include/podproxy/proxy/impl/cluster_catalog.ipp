#ifndef PODPROXY_PROXY_IMPL_CLUSTER_CATALOG_IPP
#define PODPROXY_PROXY_IMPL_CLUSTER_CATALOG_IPP

#include <podproxy/core/hex.hpp>
#include <podproxy/crypto/digest.hpp>
#include <podproxy/proxy/cluster_catalog.hpp>
#include <podproxy/route/cluster_alias.hpp>
#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>

namespace podproxy::proxy {

namespace detail {

/// A hash of everything that a cluster is made from, so that a change is seen and no key is kept for comparing.
class fingerprint {
public:
    fingerprint& add(std::string_view text)
    {
        std::string const size = std::to_string(text.size()) + ":"; // so that parts can't run into each other
        hasher_.update(as_bytes(size)).update(as_bytes(text));
        return *this;
    }
    fingerprint& add(secret const& text) { return add(text.reveal()); }
    fingerprint& add(std::vector<std::string> const& texts)
    {
        add(std::to_string(texts.size()));
        for (auto const& t : texts) add(t);
        return *this;
    }
    std::string finish() { return encode_hex(hasher_.finish()); }

private:
    crypto::sha256_hasher hasher_;
};

inline std::string fingerprint_of(kube::cluster_config const& c)
{
    fingerprint f;
    auto const& api = c.api;
    f.add(format_host_port(api.server)).add(api.tls ? "tls" : "plain").add(api.base_path).add(c.default_namespace);
    f.add(api.tls_settings.roots_pem).add(api.tls_settings.certificate_pem).add(api.tls_settings.key_pem).add(api.tls_settings.server_name);
    f.add(api.tls_settings.verify == tls::verification::full ? "verified" : "not verified");
    auto const& who = api.credentials;
    f.add(who.token).add(who.token_file.string()).add(who.username).add(who.password).add(who.impersonate_user).add(who.impersonate_uid);
    f.add(who.impersonate_groups);
    for (auto const& [key, values] : who.impersonate_extra) f.add(key).add(values);
    if (api.proxy) f.add(upstream::shown(*api.proxy)).add(api.proxy->user).add(api.proxy->password);
    if (api.plugin) {
        auto const& p = api.plugin->plugin;
        f.add(p.api_version).add(p.command).add(p.args).add(kube::exec_info(p, api.plugin->cluster, {}, api.plugin->terminal));
        for (auto const& v : p.env) f.add(v.name).add(v.value);
    }
    f.add(std::to_string(static_cast<int>(c.carrier))).add(std::to_string(static_cast<int>(c.sessions.use)));
    f.add(std::to_string(c.sessions.connect_grace.count())).add(std::to_string(c.session.keep_alive.count()));
    return f.finish();
}

} // namespace detail

inline void cluster_catalog::apply(std::vector<kube::cluster_context> const& contexts, cluster_catalog_config const& config, config::file_source& files)
{
    std::set<std::string> there;
    entries_.clear();
    // Aliases are given anew each time, behind the names: one of before must not keep a new context from its own name.
    for (auto const& [name, known] : clusters_) (void)router_.remove(name);
    for (auto const& [name, known] : clusters_) (void)router_.add(known.dialer);
    for (auto const& context : contexts) {
        there.insert(context.name);
        auto& entry = entries_.emplace_back(catalog_entry{context.name, context.file, context.cluster.server, context.ns});
        diagnostics why;
        auto settings = kube::make_cluster_config(context, files, why);
        auto const known = clusters_.find(context.name);
        if (settings) {
            settings->carrier = config.carrier;
            settings->sessions.use = config.sessions;
            settings->sessions.connect_grace = config.connect_grace;
            settings->session.keep_alive = config.keep_alive;
            if (settings->api.plugin) settings->api.plugin->terminal = config.terminal;
            std::string print = detail::fingerprint_of(*settings);
            if (known != clusters_.end() && known->second.fingerprint == print) continue;
            auto dialer = kube::cluster_dialer::create(executor_, out_, std::move(*settings), log_.named("kube"), why);
            if (dialer) {
                if (known != clusters_.end()) {
                    log_.info("a cluster's settings have changed; new connections use them", {{"cluster", context.name}});
                    retire(router_.remove(context.name));
                    clusters_.erase(known);
                }
                std::shared_ptr<kube::cluster_dialer> shared = std::move(*dialer);
                if (router_.add(shared)) {
                    clusters_[context.name] = {std::move(shared), std::move(print)};
                    continue;
                }
                retire(std::move(shared));
                why.message = "its name can't end an address";
            }
        }
        // What worked before is better than nothing: a file may just be written anew.
        if (clusters_.contains(context.name)) log_.warn("keeping a cluster as it was: its new settings can't be used", {{"cluster", context.name}, {"kubeconfig", context.file}, {"error", why.text()}});
        else log_.warn("skipping a cluster that can't be used", {{"cluster", context.name}, {"kubeconfig", context.file}, {"error", why.text()}});
        entry.problem = why.text();
    }
    for (auto it = clusters_.begin(); it != clusters_.end();) {
        if (there.contains(it->first)) {
            ++it;
            continue;
        }
        log_.info("a cluster is gone from the kubeconfigs; open connections go on", {{"cluster", it->first}, {"connections", it->second.dialer->connections()}});
        retire(router_.remove(it->first));
        it = clusters_.erase(it);
    }
    name_all(config);
}

inline void cluster_catalog::name_all(cluster_catalog_config const& config)
{
    for (auto const& [alias, context] : config.aliases) {
        if (router_.add_alias(alias, context)) continue;
        log_.warn(clusters_.contains(context) ? "an alias can't be used: it is the name of another cluster, or can't end an address"
                                              : "an alias stands for a context that is not there",
                  {{"alias", alias}, {"context", context}});
    }
    std::map<std::string, std::size_t> wanted;
    for (auto const& [name, known] : clusters_)
        if (!route::is_host_label(name)) ++wanted[route::cluster_alias(name)];
    for (auto const& [name, known] : clusters_) {
        if (route::is_host_label(name)) continue;
        std::string const plain = route::cluster_alias(name);
        if (wanted[plain] > 1 || !router_.add_alias(plain, name)) (void)router_.add_alias(route::cluster_alias(name, route::alias_form::with_hash), name);
    }
    if (!router_.set_default_cluster(config.default_cluster))
        log_.warn("the default cluster is not among the contexts", {{"defaultCluster", config.default_cluster}});

    for (auto& entry : entries_) {
        for (auto const& [name, cluster] : router_.names().entries())
            if (cluster == entry.context) entry.names.push_back(name);
        // Easy to type, and short, comes first.
        std::ranges::sort(entry.names, {}, [](std::string const& name) { return std::tuple(!route::is_host_label(name), name.size(), name); });
    }
}

inline void cluster_catalog::retire(std::shared_ptr<kube::cluster_dialer> gone)
{
    if (!gone) return;
    retired_.push_back(std::move(gone));
    if (closed_) return;
    if (!ending_retired_) {
        ending_retired_ = true;
        retirement_.spawn(end_retired());
    }
}

inline net::awaitable<void> cluster_catalog::end_retired()
{
    net::timer pause(executor_);
    while (!retired_.empty()) {
        pause.expires_after(std::chrono::seconds(1));
        co_await pause.async_wait(asio::as_tuple(net::use_awaitable));
        for (auto it = retired_.begin(); it != retired_.end();) {
            auto const here = it++;
            // Nobody dials through it any more, and nothing is open.
            if (here->use_count() != 1 || (*here)->connections() != 0) continue;
            auto const gone = *here;
            gone->close();
            co_await gone->join();
            retired_.erase(here);
            it = retired_.begin(); // the list may have changed in the meantime
        }
    }
    ending_retired_ = false;
}

inline void cluster_catalog::close()
{
    closed_ = true;
    retirement_.cancel();
    for (auto const& gone : retired_) gone->close();
}

inline net::awaitable<void> cluster_catalog::join()
{
    co_await retirement_.join();
    while (!retired_.empty()) {
        auto const gone = retired_.front();
        retired_.pop_front();
        co_await gone->join();
    }
}

} // namespace podproxy::proxy

#endif
