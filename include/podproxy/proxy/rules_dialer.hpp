#ifndef PODPROXY_PROXY_RULES_DIALER_HPP
#define PODPROXY_PROXY_RULES_DIALER_HPP

#include <podproxy/core/ascii.hpp>
#include <podproxy/kube/errc.hpp>
#include <podproxy/net/dialer.hpp>
#include <podproxy/proxy/router_dialer.hpp>
#include <podproxy/route/errc.hpp>
#include <podproxy/route/rules.hpp>
#include <podproxy/upstream/dialer.hpp>
#include <podproxy/upstream/proxy_url.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace podproxy::proxy {

/** Sends destinations where rules say; those that no rule is about go on to the router.

    @par Lifetime Both dialers are borrowed and outlive it. */
class rules_dialer final : public net::dialer {
public:
    rules_dialer(net::dialer& direct, router_dialer& router) : direct_(direct), router_(router) {}

    /** The rules from now on; dials that have begun go on by the old ones.
        @return why they can't be used, and then nothing has changed: a proxy's URL, or this system's certificate authorities for an https proxy. */
    result<void> set_rules(std::vector<route::rule> rules, diagnostics& why)
    {
        auto fresh = std::make_shared<table>();
        for (auto const& rule : rules) {
            std::unique_ptr<upstream::dialer> proxy;
            if (rule.via == route::way::proxy) {
                auto url = upstream::parse_proxy_url(rule.proxy.reveal());
                if (!url) return url.error();
                auto made = upstream::dialer::create(direct_, *std::move(url), tls::client_config{}, why);
                if (!made) return made.error();
                proxy = *std::move(made);
            }
            fresh->proxies.push_back(std::move(proxy));
        }
        fresh->rules = std::move(rules);
        table_ = std::move(fresh);
        return {};
    }
    std::size_t size() const noexcept { return table_->rules.size(); }

    /// Names that rules send into clusters which the router does not know.
    std::vector<std::string> unknown_clusters() const
    {
        std::vector<std::string> out;
        for (auto const& rule : table_->rules)
            if (rule.via == route::way::cluster && !router_.names().find(ascii_lower(rule.cluster))) out.push_back(rule.cluster);
        return out;
    }

    net::awaitable<result<net::any_stream>> dial(host_port destination, diagnostics& why) override
    {
        if (table_->rules.empty()) return router_.dial(std::move(destination), why);
        bool const in_cluster = router_.way_of(destination) != "direct";
        auto const number = route::find_rule(table_->rules, destination.host, destination.port, in_cluster);
        if (!number) return router_.dial(std::move(destination), why);
        auto const& rule = table_->rules[*number];
        switch (rule.via) {
        case route::way::direct: return direct_.dial(std::move(destination), why);
        case route::way::proxy: return dial_proxy(table_, *number, std::move(destination), why);
        case route::way::cluster: return dial_cluster(rule, *number, std::move(destination), why);
        case route::way::block: break;
        }
        why.message = named(rule, *number) + " blocks " + shown(destination);
        return refuse(route::errc::blocked);
    }

private:
    struct table {
        std::vector<route::rule> rules;
        std::vector<std::unique_ptr<upstream::dialer>> proxies; ///< one for each rule, null where it needs none
    };

    static std::string named(route::rule const& rule, std::size_t number) { return "rule " + std::to_string(number + 1) + " (to: " + rule.text + ")"; }
    static std::string shown(host_port const& destination) { return is_host(destination.host) ? format_host_port(destination) : "the destination"; }

    static net::awaitable<result<net::any_stream>> refuse(std::error_code ec) { co_return ec; }

    /// It keeps the table, for there may be another one before the proxy has answered.
    static net::awaitable<result<net::any_stream>> dial_proxy(std::shared_ptr<table const> keep, std::size_t number, host_port destination, diagnostics& why)
    {
        co_return co_await keep->proxies[number]->dial(std::move(destination), why);
    }

    net::awaitable<result<net::any_stream>> dial_cluster(route::rule const& rule, std::size_t number, host_port destination, diagnostics& why)
    {
        auto const* const cluster = router_.names().find(ascii_lower(rule.cluster));
        if (!cluster) {
            why.message = named(rule, number) + " sends it to cluster " + rule.cluster + ", which is not there";
            return refuse(kube::errc::unknown_cluster);
        }
        if (is_ip_literal(destination.host)) {
            why.message = named(rule, number) + " sends it to cluster " + rule.cluster + ": " + make_error_code(route::errc::not_in_cluster).message();
            return refuse(route::errc::not_in_cluster);
        }
        if (router_.way_of(destination) != *cluster) destination.host = route::host_in_cluster(destination.host, rule.cluster);
        return router_.dial(std::move(destination), why);
    }

    net::dialer& direct_;
    router_dialer& router_;
    std::shared_ptr<table const> table_ = std::make_shared<table>();
};

} // namespace podproxy::proxy

#endif
