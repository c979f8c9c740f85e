#ifndef PODPROXY_TOOLS_WAKE_PROXY_CHECK_HPP
#define PODPROXY_TOOLS_WAKE_PROXY_CHECK_HPP

#include "engines.hpp"
#include <podproxy/config/detail/wake_fields.hpp>
#include <podproxy/config/secret_file.hpp>
#include <podproxy/config/wake_labels.hpp>
#include <podproxy/net/listener.hpp>
#include <podproxy/net/program.hpp>
#include <podproxy/net/task_group.hpp>
#include <podproxy/net/timeout.hpp>
#include <podproxy/net/udp_socket.hpp>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace podproxy::wake_tool {

/// `wake-proxy check`: looks at everything that the settings speak of and changes nothing.
class checker {
public:
    /// How long an engine may take to tell its members.
    static constexpr std::chrono::seconds engine_limit{15};

    checker(asio::io_context& io, config::wake_config const& settings, engine_list& engines, std::ostream& out)
        : io_(io), settings_(settings), engines_(engines), out_(out)
    {
    }

    void ok(std::string const& text) { out_ << "ok     " << text << '\n'; }
    void warn(std::string const& text) { out_ << "warn   " << text << '\n'; }
    void error(std::string const& text)
    {
        failed_ = true;
        out_ << "error  " << text << '\n';
    }
    void tell(config::problem_list const& problems)
    {
        for (auto const& p : problems) {
            if (p.level == config::severity::error) error(config::format(p));
            else if (p.level == config::severity::warning) warn(config::format(p));
            else ok(config::format(p));
        }
    }

    bool failed() const noexcept { return failed_; }

    net::awaitable<void> check_all()
    {
        for (auto const& e : engines_.all()) co_await check_engine(e);
        auto all = settings_.settings;
        if (settings_.labels) {
            config::problem_list problems;
            all = config::settings_with_labels(members_, std::move(all), settings_.defaults, problems);
            for (auto& p : problems)
                if (p.level == config::severity::warning) p.level = config::severity::error; // nonsense in a label
            tell(problems);
        }
        check_groups(all);
        for (auto const& port : all.ports) check_port(port);
        if (settings_.status_listen) check_address("the status page", *settings_.status_listen);
        check_token();
    }

private:
    /// Keeps what an engine tells first.
    class first_news final : public wake::member_observer {
    public:
        explicit first_news(net::executor ex) : told_(ex, net::clock::time_point::max()) {}

        std::optional<std::vector<wake::member>> all;
        std::error_code lost;
        std::string why;

        void on_snapshot(std::vector<wake::member> now) override
        {
            all = std::move(now);
            told_.cancel();
        }
        void on_member(wake::member) override {}
        void on_removed(std::string_view) override {}
        void on_lost(std::error_code ec, diagnostics const& text) override
        {
            lost = ec;
            why = text.empty() ? ec.message() : text.text();
            told_.cancel();
        }
        net::awaitable<void> wait(std::chrono::seconds limit)
        {
            if (all || lost) co_return;
            told_.expires_after(limit);
            co_await told_.async_wait(asio::as_tuple(net::use_awaitable));
        }

    private:
        net::timer told_;
    };

    net::awaitable<void> check_engine(engine const& e)
    {
        std::string const name = "provider " + config::quoted(e.settings->name);
        first_news news(io_.get_executor());
        net::task_group tasks(io_.get_executor());
        tasks.spawn(e.provider->run(news));
        co_await news.wait(engine_limit);
        tasks.cancel();
        co_await tasks.join();
        if (!news.all) {
            error(name + ": " + (news.lost ? news.why : "no answer within " + std::to_string(engine_limit.count()) + " seconds"));
            co_return;
        }
        std::string where;
        if (e.docker) where = std::string(e.docker->engine()) + " " + e.docker->api_version() + " at " + docker::to_string(e.docker->where()) + ", ";
        ok(name + ": " + where + std::to_string(news.all->size()) + (news.all->size() == 1 ? " member" : " members"));
        if (e.docker) co_await check_permissions(name, *e.docker);
        if (e.cluster) co_await check_permissions(name, *e.cluster, e.settings->namespaces);
        check_names(e, *news.all);
        members_.insert(members_.end(), news.all->begin(), news.all->end());
    }

    /// Commands for a container that is not there: an engine that allows them does not find it.
    net::awaitable<void> check_permissions(std::string name, docker::client& client)
    {
        std::string const nobody = "podproxy-wake-check-no-such-container";
        bool const pauses = any_group_does(wake::idle_action::pause);
        bool const throttles = any_group_does(wake::idle_action::throttle);
        diagnostics why;
        auto const start = co_await client.start(nobody, why);
        told(name, "start", start, why);
        auto const stop = co_await client.stop(nobody, std::nullopt, why);
        told(name, "stop", stop, why);
        if (pauses) {
            auto const pause = co_await client.pause(nobody, why);
            told(name, "pause", pause, why);
            auto const unpause = co_await client.unpause(nobody, why);
            told(name, "unpause", unpause, why);
        }
        if (throttles) {
            auto const update = co_await client.update(nobody, {1'000'000'000, 0}, why);
            told(name, "update", update, why);
        }
    }

    void told(std::string const& name, std::string_view what, result<void> const& answer, diagnostics& why)
    {
        if (answer.error() == docker::errc::forbidden || answer.error() == docker::errc::permission_denied)
            error(name + ": POST /containers/{id}/" + std::string(what) + " is not allowed: " + why.text());
        else if (answer || answer.error() == docker::errc::not_found)
            ok(name + ": containers may be asked to " + std::string(what));
        else
            warn(name + ": whether " + std::string(what) + " is allowed could not be found out: " + why.text());
        why.clear();
    }

    bool any_group_does(wake::idle_action action) const
    {
        return settings_.defaults.group.action == action ||
               std::ranges::any_of(settings_.settings.groups, [&](auto const& g) { return g.action == action; });
    }

    /// The API server tells what it would say.
    net::awaitable<void> check_permissions(std::string name, kube::api_client& api, std::vector<std::string> namespaces)
    {
        if (namespaces.empty()) namespaces.emplace_back("*");
        for (auto const& ns : namespaces) {
            for (std::string const kind : {"deployments", "statefulsets"}) {
                std::string const body = std::string(R"({"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":)") +
                                         R"({"group":"apps","resource":")" + kind + R"(","subresource":"scale","verb":"patch","namespace":")" +
                                         (ns == "*" ? std::string() : ns) + R"("}}})";
                std::string const where = ns == "*" ? "all namespaces" : "namespace " + ns;
                diagnostics why;
                auto const answer = co_await api.send("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "application/json", body,
                                                      kube::api_client::repetition::harmless, why);
                if (!answer) warn(name + ": whether " + kind + " may be scaled in " + where + " could not be found out: " + why.text());
                else if (answer->find(R"("allowed":true)") != std::string::npos) ok(name + ": " + kind + " may be scaled in " + where);
                else if (ns == "*") warn(name + ": " + kind + " may not be scaled in " + where + "; list the 'namespaces' that are meant");
                else error(name + ": " + kind + " may not be scaled in " + where + ": patch of " + kind + "/scale");
            }
        }
    }

    /// What the file names and the engine does not know.
    void check_names(engine const& e, std::vector<wake::member> const& known)
    {
        for (auto const& m : settings_.members) {
            if (m.provider != e.settings->name) continue;
            for (auto const* names : {&m.containers, &m.workloads, &m.units}) {
                for (auto const& name : *names) {
                    auto const slash = name.rfind('/');
                    std::string_view const last = std::string_view(name).substr(slash == std::string::npos ? 0 : slash + 1);
                    bool const there = std::ranges::any_of(known, [&](wake::member const& k) {
                        return k.group == m.group && (k.name == name || k.service == last || k.name == last || k.name.ends_with("/" + std::string(last)));
                    });
                    if (!there) error("group " + config::quoted(m.group) + ": " + config::quoted(name) + " is not there");
                }
            }
        }
    }

    void check_groups(wake::settings const& all)
    {
        if (all.groups.empty())
            error("there is no group: label a container (podproxy.wake.listen=8080:80), or write 'groups' into a file for --config");
        for (auto const& group : all.groups) {
            std::string members;
            for (auto const& m : members_)
                if (m.group == group.name) members += (members.empty() ? "" : ", ") + m.name + " (" + std::string(to_string(m.state)) + ")";
            std::string const name = "group " + config::quoted(group.name);
            if (members.empty()) error(name + ": nothing belongs to it: label a container podproxy.wake.group=" + group.name + ", or name it in the settings");
            else ok(name + ": " + members);
            bool const reached = std::ranges::any_of(all.ports, [&](auto const& port) {
                return std::ranges::find(port.targets, group.name, &wake::target_config::group) != port.targets.end();
            });
            if (!reached) warn(name + ": no port leads to it, so nobody's connection wakes it");
        }
    }

    void check_port(wake::port_config const& port)
    {
        std::string const name = "port " + config::detail::port_text(port);
        auto const endpoint = net::listen_endpoint(io_, port.listen);
        std::error_code ec = endpoint.error();
        if (endpoint && port.protocol == wake::port_protocol::tcp) {
            auto const probe = net::listener::open(io_.get_executor(), *endpoint);
            ec = probe.error();
        } else if (endpoint) {
            auto const probe = net::udp_socket::bind(io_.get_executor(), {endpoint->address(), endpoint->port()});
            ec = probe.error();
        }
        std::string groups;
        for (auto const& target : port.targets) groups += (groups.empty() ? "" : ", ") + target.group;
        if (ec) error(name + ": can't be listened on: " + ec.message() + hint(ec));
        else ok(name + ": free, wakes " + groups);
    }

    void check_address(std::string const& what, host_port const& address)
    {
        auto const endpoint = net::listen_endpoint(io_, address);
        std::error_code ec = endpoint.error();
        if (endpoint) {
            auto const probe = net::listener::open(io_.get_executor(), *endpoint);
            ec = probe.error();
        }
        if (ec) error(what + " " + format_host_port(address) + ": can't be listened on: " + ec.message() + hint(ec));
        else ok(what + " " + format_host_port(address) + ": free");
    }

    void check_token()
    {
        if (settings_.status_token_file.empty()) return;
        config::disk_files files;
        auto const token = config::read_secret_file(files, settings_.status_token_file);
        if (!token) error("the token of the status page: " + settings_.status_token_file + ": " + token.error().message());
        else ok("the token of the status page can be read");
    }

    static std::string hint(std::error_code ec)
    {
        if (is_system_error(ec, std::errc::address_in_use)) return " (by a wake-proxy that runs already?)";
        if (is_system_error(ec, std::errc::permission_denied)) return " (ports below 1024 need CAP_NET_BIND_SERVICE)";
        return {};
    }

    asio::io_context& io_;
    config::wake_config const& settings_;
    engine_list& engines_;
    std::ostream& out_;
    std::vector<wake::member> members_;
    bool failed_ = false;
};

} // namespace podproxy::wake_tool

#endif
