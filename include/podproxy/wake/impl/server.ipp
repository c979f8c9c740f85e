#include <podproxy/net/task_group.hpp>
#include <podproxy/wake/port_group.hpp>
#include <podproxy/wake/tcp_server.hpp>
#include <podproxy/wake/udp_server.hpp>
#include <asio/error.hpp>
#include <asio/ip/address.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/ip/udp.hpp>
#include <algorithm>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <unordered_map>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/resource.h>
#endif

namespace podproxy::wake {

namespace detail {

/// Two descriptors each; some are kept back for listeners, engines, log files and pipes.
inline std::size_t client_limit(std::size_t wanted)
{
    if (wanted != 0) return wanted;
    std::size_t descriptors = 1024;
#if defined(__unix__) || defined(__APPLE__)
    rlimit now{};
    if (::getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur != RLIM_INFINITY) descriptors = static_cast<std::size_t>(now.rlim_cur);
#endif
    std::size_t const reserve = std::min<std::size_t>(descriptors / 4, 100);
    return std::max<std::size_t>((descriptors - reserve) / 2, 1);
}

constexpr std::string_view to_string(port_protocol p) noexcept { return p == port_protocol::tcp ? "tcp" : "udp"; }

inline bool same_port(port_config const& a, port_config const& b) { return a.protocol == b.protocol && a.listen == b.listen; }

/// `127.0.0.1:80/tcp`
inline std::string name_of(port_config const& p) { return format_host_port(p.listen) + "/" + std::string(to_string(p.protocol)); }

/// Sends each command to the engine that has told of the member.
class engine_router final : public provider {
public:
    explicit engine_router(std::vector<provider*> engines) : engines_(std::move(engines))
    {
        for (provider* const e : engines_) name_ += (name_.empty() ? "" : ", ") + std::string(e->name());
    }
    void owns(std::string const& id, provider* engine) { owners_[id] = engine; }
    void gone(std::string const& id) { owners_.erase(id); }

    std::string_view name() const noexcept override { return name_; }
    net::awaitable<void> run(member_observer&) override { co_return; } // each engine is followed by itself
    net::awaitable<result<void>> start(member const& m, diagnostics& why) override { return owner(m).start(m, why); }
    net::awaitable<result<void>> stop(member const& m, std::optional<std::chrono::seconds> timeout, diagnostics& why) override
    {
        return owner(m).stop(m, timeout, why);
    }
    net::awaitable<result<void>> pause(member const& m, diagnostics& why) override { return owner(m).pause(m, why); }
    net::awaitable<result<void>> unpause(member const& m, diagnostics& why) override { return owner(m).unpause(m, why); }
    net::awaitable<result<void>> set_resources(member const& m, resources const& limits, diagnostics& why) override
    {
        return owner(m).set_resources(m, limits, why);
    }
    net::awaitable<std::string> last_line(member const& m) override { return owner(m).last_line(m); }
    void note_use(std::string_view group, std::size_t clients) override
    {
        for (provider* const e : engines_) e->note_use(group, clients);
    }

private:
    /// One that is not known any more is nobody's: the first engine says that there is no such thing.
    provider& owner(member const& m) const
    {
        auto const at = owners_.find(m.id);
        return at == owners_.end() ? *engines_.front() : *at->second;
    }

    std::vector<provider*> engines_;
    std::string name_;
    std::unordered_map<std::string, provider*> owners_;
};

} // namespace detail

class server::state : public std::enable_shared_from_this<server::state> {
public:
    state(net::executor ex, settings known, std::vector<provider*> engines, logger log, server_config config)
        : executor_(ex), log_(log), config_(std::move(config)), known_(std::move(known)), engines_(std::move(engines)), router_(engines_),
          commons_(std::make_shared<port_commons>(ex, log, config_.relay, detail::client_limit(config_.most_clients))), purge_(ex)
    {
        commons_->dialer = config_.dialer;
        for (std::size_t i = 0; i < engines_.size(); ++i) sources_.emplace_back(*this, i);
    }
    ~state()
    {
        close();
        commons_->close();
        commons_->tasks.cancel();
        commons_->relays.cancel();
    }

    void adopt(net::listener l) { adopted_.push_back(std::make_shared<net::listener>(std::move(l))); }
    void adopt(net::udp_socket s) { adopted_udp_.push_back(std::move(s)); }
    std::vector<std::string> open();
    net::awaitable<void> run();
    void close();
    net::awaitable<void> drain(std::chrono::milliseconds limit);

    std::vector<group_status> status() const;
    std::vector<port_status> ports() const;
    traffic total() const;
    port_group* find(std::string_view name) const
    {
        auto const at = groups_.find(std::string(name));
        return at == groups_.end() ? nullptr : at->second.ports.get();
    }

private:
    /// What one engine tells.
    class source final : public member_observer {
    public:
        source(state& s, std::size_t index) noexcept : state_(s), index_(index) {}
        void on_snapshot(std::vector<member> all) override { state_.on_snapshot(index_, std::move(all)); }
        void on_member(member m) override { state_.on_member(index_, std::move(m)); }
        void on_removed(std::string_view id) override { state_.on_removed(index_, id); }
        void on_lost(std::error_code ec, diagnostics const& reason) override { state_.on_lost(index_, ec, reason); }

        std::map<std::string, member, std::less<>> members; ///< By id.
        bool seen = false;                 ///< It has told all that it has.
        std::error_code lost;              ///< Or it can't be reached.
        diagnostics why;

    private:
        state& state_;
        std::size_t index_;
    };
    struct group_entry {
        std::shared_ptr<port_group> ports;
        group_config config;
    };
    struct port_entry {
        port_config config;
        bool from_labels = false;
        std::string error;
        std::vector<std::shared_ptr<net::listener>> listeners;
        std::shared_ptr<tcp_server> tcp;
        std::vector<std::shared_ptr<udp_server>> udp;
        std::shared_ptr<net::task_group> tasks; ///< who accepts
    };
    struct departed {
        member was;
        net::clock::time_point when;
    };

    provider& engine() { return engines_.size() == 1 ? *engines_.front() : static_cast<provider&>(router_); }

    void on_snapshot(std::size_t i, std::vector<member> all);
    void on_member(std::size_t i, member m);
    void on_removed(std::size_t i, std::string_view id);
    void on_lost(std::size_t i, std::error_code ec, diagnostics const& why);
    std::vector<member> members_of(std::string_view group) const;
    void tell_all(std::string const& name, group& g) const;
    void left(member const& m);
    void read_labels();
    void arm_purge();

    std::vector<std::string> apply(settings wanted);
    void apply_groups(settings const& wanted);
    std::shared_ptr<group> make_group(group_config const& config);
    void retire(std::shared_ptr<group> g);
    std::string open_port(port_entry& p);
    std::string open_tcp(port_entry& p);
    std::string open_udp(port_entry& p);
    void serve(port_entry& p);
    void shut(port_entry& p);
    static net::awaitable<void> serve_tcp(std::shared_ptr<tcp_server> port, std::shared_ptr<net::listener> from,
                                          std::shared_ptr<net::task_group> before, logger log);
    static net::awaitable<void> serve_udp(std::shared_ptr<udp_server> port, logger log);
    static net::awaitable<void> follow(provider& engine, member_observer& to) { co_await engine.run(to); }

    net::executor executor_;
    logger log_;
    server_config config_;
    settings known_;
    std::vector<provider*> engines_;
    detail::engine_router router_;
    std::list<source> sources_;
    std::shared_ptr<port_commons> commons_;
    std::map<std::string, group_entry> groups_;
    std::list<port_entry> ports_;
    std::vector<std::shared_ptr<net::listener>> adopted_;
    std::vector<net::udp_socket> adopted_udp_;
    std::vector<std::shared_ptr<group>> retired_; ///< shut down, with commands perhaps in flight
    std::vector<departed> departed_;
    std::set<std::string> told_;  ///< problems with ports of labels, each once
    traffic past_;                ///< of groups that are no more
    net::timer purge_;
    bool purging_ = false;
    bool opened_ = false;
    bool closed_ = false;
};

// ---- what engines tell

inline void server::state::on_snapshot(std::size_t i, std::vector<member> all)
{
    source& s = *std::next(sources_.begin(), static_cast<std::ptrdiff_t>(i));
    auto const before = std::exchange(s.members, {});
    s.seen = true;
    if (s.lost) log_.info("an engine is reached again", {{"engine", engines_[i]->name()}});
    s.lost = {};
    for (member& m : all) {
        router_.owns(m.id, engines_[i]);
        std::string id = m.id;
        s.members.insert_or_assign(std::move(id), std::move(m));
    }
    for (auto const& [id, m] : before) {
        if (s.members.contains(id)) continue;
        router_.gone(id);
        left(m);
    }
    read_labels();
    for (auto const& [name, g] : groups_) tell_all(name, g.ports->now());
}

inline void server::state::on_member(std::size_t i, member m)
{
    source& s = *std::next(sources_.begin(), static_cast<std::ptrdiff_t>(i));
    router_.owns(m.id, engines_[i]);
    std::string const name = m.group;
    auto const at = s.members.find(m.id);
    bool const news = at == s.members.end() || at->second.labels != m.labels || at->second.group != m.group || at->second.name != m.name;
    if (at != s.members.end() && at->second.group != name)
        if (port_group* const old = find(at->second.group)) old->now().member_removed(m.id);
    member const& kept = s.members.insert_or_assign(m.id, std::move(m)).first->second;
    if (news) {
        std::erase_if(departed_, [&kept](departed const& d) { return d.was.name == kept.name && d.was.group == kept.group; });
        read_labels();
    }
    // A group that was made just now has been told of all.
    if (port_group* const g = find(name)) g->now().member_changed(kept);
}

inline void server::state::on_removed(std::size_t i, std::string_view id)
{
    source& s = *std::next(sources_.begin(), static_cast<std::ptrdiff_t>(i));
    auto const at = s.members.find(id);
    if (at == s.members.end()) return;
    member const was = std::move(at->second);
    s.members.erase(at);
    router_.gone(was.id);
    left(was);
    read_labels();
    if (port_group* const g = find(was.group)) g->now().member_removed(was.id);
}

inline void server::state::on_lost(std::size_t i, std::error_code ec, diagnostics const& why)
{
    source& s = *std::next(sources_.begin(), static_cast<std::ptrdiff_t>(i));
    log_.warn("an engine can't be reached; it is tried again", {{"engine", engines_[i]->name()}, {"error", why.empty() ? ec.message() : why.text()}});
    s.seen = false;
    s.lost = ec;
    s.why = why;
    for (auto const& [name, g] : groups_) {
        bool const has = std::ranges::any_of(s.members, [&name](auto const& m) { return m.second.group == name; });
        if (has || members_of(name).empty()) g.ports->now().engine_lost(ec, why);
    }
}

inline std::vector<member> server::state::members_of(std::string_view group) const
{
    std::vector<member> out;
    for (source const& s : sources_)
        for (auto const& [id, m] : s.members)
            if (m.group == group) out.push_back(m);
    return out;
}

/// All that is known of a group's members. While an engine has not told yet, they may be there.
inline void server::state::tell_all(std::string const& name, group& g) const
{
    auto all = members_of(name);
    for (source const& s : sources_) {
        if (s.seen) continue;
        bool const has = std::ranges::any_of(s.members, [&name](auto const& m) { return m.second.group == name; });
        if (!has && !all.empty()) continue;
        if (s.lost) g.engine_lost(s.lost, s.why);
        return;
    }
    g.members_are(std::move(all));
}

/// A member is gone. What its labels have said holds for a while.
inline void server::state::left(member const& m)
{
    if (!config_.with_labels || m.labels.empty()) return;
    departed_.push_back({m, net::clock::now()});
    arm_purge();
}

inline void server::state::arm_purge()
{
    if (departed_.empty() || std::exchange(purging_, true)) return;
    purge_.expires_at(departed_.front().when + config_.labels_stay);
    purge_.async_wait([weak = weak_from_this()](std::error_code ec) {
        auto const self = weak.lock();
        if (!self || ec) return;
        self->purging_ = false;
        auto const now = net::clock::now();
        std::erase_if(self->departed_, [&](departed const& d) { return d.when + self->config_.labels_stay <= now; });
        self->read_labels();
        self->arm_purge();
    });
}

inline void server::state::read_labels()
{
    if (!config_.with_labels || closed_ || !opened_) return;
    std::vector<member> all;
    std::set<std::pair<std::string, std::string>> there;
    for (source const& s : sources_)
        for (auto const& [id, m] : s.members) {
            there.emplace(m.group, m.name);
            all.push_back(m);
        }
    for (departed const& d : departed_)
        if (!there.contains({d.was.group, d.was.name})) all.push_back(d.was);
    if (told_.size() > 1000) told_.clear(); // texts of labels: bounded, even when somebody plays with them
    for (std::string const& line : apply(config_.with_labels(all, known_)))
        if (told_.insert(line).second) log_.error(line);
}

// ---- groups and ports

inline std::shared_ptr<group> server::state::make_group(group_config const& config)
{
    auto out = std::make_shared<group>(executor_, engine(), config, log_);
    tell_all(config.name, *out);
    return out;
}

inline void server::state::retire(std::shared_ptr<group> g)
{
    g->shut_down();
    retired_.push_back(std::move(g));
    if (retired_.size() > 64) retired_.erase(retired_.begin());
}

inline void server::state::apply_groups(settings const& wanted)
{
    std::map<std::string, group_config> configs;
    for (group_config const& g : wanted.groups) configs.emplace(g.name, g);
    for (port_config const& p : wanted.ports)
        for (target_config const& t : p.targets)
            if (auto const [at, added] = configs.try_emplace(t.group); added) at->second.name = t.group;
    for (auto const& [name, config] : configs) {
        auto const at = groups_.find(name);
        if (at == groups_.end()) {
            groups_.emplace(name, group_entry{std::make_shared<port_group>(executor_, make_group(config)), config});
        } else if (at->second.config != config) {
            auto const old = at->second.ports->hold();
            at->second.config = config;
            at->second.ports->replace(make_group(config));
            retire(old);
            log_.info("a group has other settings now", {{"group", name}});
        }
    }
    for (auto at = groups_.begin(); at != groups_.end();) {
        if (configs.contains(at->first)) {
            ++at;
            continue;
        }
        log_.info("a group is no more", {{"group", at->first}});
        traffic last = at->second.ports->counts;
        last.open = last.waiting = 0;
        past_ += last;
        retire(at->second.ports->hold());
        at = groups_.erase(at);
    }
}

/// Have exactly the groups and ports that are wanted. @return a line for each port that can't be had.
inline std::vector<std::string> server::state::apply(settings wanted)
{
    std::vector<std::string> problems;
    // Ports that are gone or changed go first: they hold on to groups. A TCP port's listener stays where only its rules have changed.
    std::vector<std::pair<port_config, bool>> ports;
    for (port_config& p : wanted.ports) {
        bool const from_labels = std::ranges::none_of(known_.ports, [&p](port_config const& k) { return detail::same_port(k, p); });
        auto const same = std::ranges::find_if(ports, [&p](auto const& o) { return detail::same_port(o.first, p); });
        if (p.targets.empty()) continue;
        if (same != ports.end() && p.listen.port != 0) {
            problems.push_back("port " + detail::name_of(p) + " is wanted by group " + same->first.targets.front().group + " and by group " +
                               p.targets.front().group + ": the first one keeps it");
            continue;
        }
        ports.emplace_back(std::move(p), from_labels);
    }
    for (auto at = ports_.begin(); at != ports_.end();) {
        bool const stays = std::ranges::any_of(ports, [&](auto const& o) { return detail::same_port(o.first, at->config); });
        if (!stays) {
            log_.info("a port is closed", {{"addr", format_host_port(at->config.listen)}, {"protocol", detail::to_string(at->config.protocol)}});
            shut(*at);
            at = ports_.erase(at);
        } else {
            ++at;
        }
    }
    wanted.ports.clear();
    for (auto const& [p, from_labels] : ports) wanted.ports.push_back(p);
    apply_groups(wanted);
    std::set<port_entry*> taken;
    for (auto& [config, from_labels] : ports) {
        auto const at = std::ranges::find_if(ports_, [&](port_entry const& o) {
            return detail::same_port(o.config, config) && !taken.contains(const_cast<port_entry*>(&o));
        });
        if (at != ports_.end()) {
            taken.insert(&*at);
            bool const same = at->config == config;
            if (same && at->error.empty()) continue;
            at->config = config;
            if (at->error.empty() && config.protocol == port_protocol::tcp) {
                serve(*at);
                continue;
            }
            shut(*at);
            at->error = open_port(*at);
            if (!at->error.empty()) problems.push_back(at->error);
            continue;
        }
        port_entry& p = ports_.emplace_back();
        taken.insert(&p);
        p.config = config;
        p.from_labels = from_labels;
        p.error = open_port(p);
        if (!p.error.empty()) problems.push_back(p.error);
    }
    return problems;
}

inline std::string server::state::open_port(port_entry& p)
{
    if (closed_) return "wake-proxy is ending";
    std::string const error = p.config.protocol == port_protocol::tcp ? open_tcp(p) : open_udp(p);
    if (!error.empty()) return "can't listen on " + detail::name_of(p.config) + " for group " + p.config.targets.front().group + ": " + error;
    std::string groups;
    for (target_config const& t : p.config.targets) groups += (groups.empty() ? "" : ", ") + t.group;
    std::uint16_t const port = p.listeners.empty() ? p.udp.front()->local_endpoint().port() : p.listeners.front()->local_endpoint().port();
    std::string const addr = format_host_port(p.config.listen.host.empty() ? "*" : p.config.listen.host, port);
    log_.info("listening", {{"addr", addr}, {"protocol", detail::to_string(p.config.protocol)}, {"groups", groups}});
    serve(p);
    return {};
}

namespace detail {

/// The addresses that a host to listen on stands for; empty for a name.
inline std::vector<asio::ip::address> listen_addresses(std::string const& host)
{
    using namespace asio::ip;
    if (host.empty() || host == "*") return {address_v6::any(), address_v4::any()}; // the second one where there is no IPv6
    if (host == "localhost") return {address_v4::loopback(), address_v6::loopback()};
    std::error_code no_literal;
    auto const literal = make_address(host, no_literal);
    if (no_literal) return {};
    return {literal};
}

inline bool listens_for(asio::ip::address const& bound, std::uint16_t bound_port, host_port const& wanted)
{
    auto const all = listen_addresses(wanted.host);
    return bound_port == wanted.port && std::ranges::find(all, bound) != all.end();
}

/// A machine without one of the two families.
inline bool no_such_family(std::error_code ec)
{
    return is_system_error(ec, std::errc::address_family_not_supported) || is_system_error(ec, std::errc::address_not_available);
}

/** Open one socket for each address: all of `localhost`, the first that there is for every address of the machine.
    @param open Gives a result. */
template <class Open>
std::string open_all(host_port const& listen, Open open)
{
    auto const all = listen_addresses(listen.host);
    if (all.empty()) return "this is no address of a machine; use a number, localhost, or nothing for all addresses";
    bool const one_is_enough = all.front().is_unspecified();
    bool any = false;
    std::error_code last;
    for (auto const& address : all) {
        std::error_code const ec = open(address);
        if (ec && !no_such_family(ec)) return ec.message();
        if (!ec && one_is_enough) return {};
        any = any || !ec;
        last = ec ? ec : last;
    }
    return any ? std::string() : last.message();
}

} // namespace detail

inline std::string server::state::open_tcp(port_entry& p)
{
    for (auto& l : adopted_) {
        auto const local = l->local_endpoint();
        if (!detail::listens_for(local.address(), local.port(), p.config.listen)) continue;
        p.listeners.push_back(std::move(l));
    }
    std::erase(adopted_, nullptr);
    if (!p.listeners.empty()) return {};
    std::uint16_t port = p.config.listen.port;
    auto error = detail::open_all(p.config.listen, [&](asio::ip::address const& address) {
        auto l = net::listener::open(executor_, {address, port});
        if (!l) return l.error();
        port = l->local_endpoint().port();
        p.listeners.push_back(std::make_shared<net::listener>(std::move(*l)));
        return std::error_code();
    });
    if (!error.empty()) p.listeners.clear();
    return error;
}

inline std::string server::state::open_udp(port_entry& p)
{
    auto const make = [&](net::udp_socket s) {
        p.udp.push_back(std::make_shared<udp_server>(commons_, p.config, groups_.at(p.config.targets.front().group).ports, std::move(s)));
    };
    for (auto at = adopted_udp_.begin(); at != adopted_udp_.end();) {
        auto const local = at->local_endpoint();
        if (detail::listens_for(local.address(), local.port(), p.config.listen)) {
            make(std::move(*at));
            at = adopted_udp_.erase(at);
        } else {
            ++at;
        }
    }
    if (!p.udp.empty()) return {};
    std::uint16_t port = p.config.listen.port;
    auto error = detail::open_all(p.config.listen, [&](asio::ip::address const& address) {
        auto s = net::udp_socket::bind(executor_, {address, port});
        if (!s) return s.error();
        port = s->local_endpoint().port();
        make(std::move(*s));
        return std::error_code();
    });
    if (!error.empty()) p.udp.clear();
    return error;
}

/// Accept by the port's present rules. Who accepted by others ends; nobody who knocks is lost.
inline void server::state::serve(port_entry& p)
{
    auto const before = std::exchange(p.tasks, std::make_shared<net::task_group>(executor_));
    if (before) before->cancel();
    if (p.config.protocol == port_protocol::udp) {
        for (auto const& u : p.udp) p.tasks->spawn(serve_udp(u, log_));
        return;
    }
    std::vector<std::shared_ptr<port_group>> groups;
    for (target_config const& t : p.config.targets) groups.push_back(groups_.at(t.group).ports);
    p.tcp = std::make_shared<tcp_server>(commons_, p.config, std::move(groups));
    for (auto const& l : p.listeners) p.tasks->spawn(serve_tcp(p.tcp, l, before, log_));
}

inline net::awaitable<void> server::state::serve_tcp(std::shared_ptr<tcp_server> port, std::shared_ptr<net::listener> from,
                                                     std::shared_ptr<net::task_group> before, logger log)
{
    if (before) co_await before->join();
    auto const why = co_await port->serve(*from);
    if (why != asio::error::operation_aborted)
        log.error("a port does not accept clients any more", {{"addr", format_host_port(port->config().listen)}, {"error", why}});
}

inline net::awaitable<void> server::state::serve_udp(std::shared_ptr<udp_server> port, logger log)
{
    auto const why = co_await port->serve();
    if (why != asio::error::operation_aborted)
        log.error("a port does not hear clients any more", {{"addr", format_host_port(port->config().listen)}, {"error", why}});
}

inline void server::state::shut(port_entry& p)
{
    for (auto const& l : p.listeners) l->close();
    p.listeners.clear();
    p.tcp.reset();
    for (auto const& u : p.udp) u->close();
    p.udp.clear();
}

inline std::vector<std::string> server::state::open()
{
    opened_ = true;
    settings all = known_;
    auto const problems = apply(std::move(all));
    told_.insert(problems.begin(), problems.end());
    return problems;
}

inline net::awaitable<void> server::state::run()
{
    auto const keep = shared_from_this();
    net::task_group following(executor_);
    std::size_t i = 0;
    for (source& s : sources_) {
        following.spawn(follow(*engines_[i], s));
        ++i;
    }
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await following.join(); // until we are cancelled
    following.cancel();
    co_await asio::this_coro::reset_cancellation_state();
    co_await following.join();
}

// ---- the end

inline void server::state::close()
{
    closed_ = true;
    purge_.cancel();
    for (port_entry& p : ports_) {
        for (auto const& l : p.listeners) l->close();
        for (auto const& u : p.udp) u->stop_listening();
    }
}

inline net::awaitable<void> server::state::drain(std::chrono::milliseconds limit)
{
    auto const keep = shared_from_this();
    close();
    auto const until = net::clock::now() + limit;
    for (;;) {
        std::size_t waiting = 0;
        for (auto const& [name, g] : groups_) {
            waiting += g.ports->counts.waiting;
            if (g.ports->counts.waiting == 0 && !g.ports->page_wakes) g.ports->now().shut_down(); // it is left as it is from now on
        }
        auto const now = net::clock::now();
        if ((waiting == 0 && commons_->clients == 0) || now >= until) break;
        commons_->changed.expires_at(std::min(until, now + std::chrono::milliseconds(100))); // UDP clients end without a word
        co_await commons_->changed.async_wait(asio::as_tuple(net::use_awaitable));
    }
    commons_->close();
    for (auto const& [name, g] : groups_) {
        g.ports->now().shut_down();
        g.ports->end_gates("wake-proxy is ending");
    }
    for (port_entry& p : ports_)
        for (auto const& u : p.udp) u->close();
    commons_->relays.cancel();
    auto const last = net::clock::now() + std::chrono::milliseconds(1500); // who waited is told so
    while (commons_->tasks.size() != 0 && net::clock::now() < last) {
        commons_->changed.expires_at(std::min(last, net::clock::now() + std::chrono::milliseconds(10)));
        co_await commons_->changed.async_wait(asio::as_tuple(net::use_awaitable));
    }
    commons_->tasks.cancel();
    co_await commons_->tasks.join();
    commons_->relays.cancel();
    while (commons_->clients != 0) { // the ends of relays are told a little later
        commons_->changed.expires_at(net::clock::time_point::max());
        co_await commons_->changed.async_wait(asio::as_tuple(net::use_awaitable));
    }
    for (auto const& [name, g] : groups_) retired_.push_back(g.ports->hold());
    for (auto const& g : std::exchange(retired_, {})) co_await g->join();
    for (port_entry& p : ports_)
        if (p.tasks) co_await p.tasks->join();
}

// ---- what is told

inline std::vector<group_status> server::state::status() const
{
    std::vector<group_status> out;
    for (auto const& [name, g] : groups_) {
        out.push_back(g.ports->now().status());
        out.back().waiting = std::max(out.back().waiting, g.ports->counts.waiting); // the port counts, too
    }
    return out;
}

inline std::vector<port_status> server::state::ports() const
{
    std::vector<port_status> out;
    for (port_entry const& p : ports_) {
        port_status s;
        s.protocol = p.config.protocol;
        s.listen = p.config.listen;
        s.from_labels = p.from_labels;
        s.error = p.error;
        if (!p.listeners.empty()) s.listen.port = p.listeners.front()->local_endpoint().port();
        if (!p.udp.empty()) s.listen.port = p.udp.front()->local_endpoint().port();
        for (target_config const& t : p.config.targets)
            if (std::ranges::find(s.groups, t.group) == s.groups.end()) s.groups.push_back(t.group);
        out.push_back(std::move(s));
    }
    return out;
}

inline traffic server::state::total() const
{
    traffic out = commons_->unrouted;
    out += past_;
    for (auto const& [name, g] : groups_) out += g.ports->counts;
    return out;
}

// ---- server

inline server::server(net::executor ex, settings known, std::vector<provider*> engines, logger log, server_config config)
    : state_(std::make_shared<state>(ex, std::move(known), std::move(engines), log, std::move(config)))
{
}
inline server::~server() = default;

inline void server::adopt(net::listener listening) { state_->adopt(std::move(listening)); }
inline void server::adopt(net::udp_socket bound) { state_->adopt(std::move(bound)); }
inline std::vector<std::string> server::open() { return state_->open(); }
inline net::awaitable<void> server::run() { return state_->run(); }
inline void server::close() { state_->close(); }
inline net::awaitable<void> server::drain(std::chrono::milliseconds limit) { return state_->drain(limit); }
inline std::vector<group_status> server::status() const { return state_->status(); }
inline std::vector<port_status> server::ports() const { return state_->ports(); }
inline traffic server::total() const { return state_->total(); }
inline traffic const* server::traffic_of(std::string_view group) const
{
    port_group const* const g = state_->find(group);
    return g ? &g->counts : nullptr;
}
inline bool server::wake_now(std::string_view group, std::string who)
{
    port_group* const g = state_->find(group);
    if (g) g->now().wake_now(std::move(who));
    return g != nullptr;
}
inline bool server::stop_now(std::string_view group)
{
    port_group* const g = state_->find(group);
    if (g) g->now().stop_now();
    return g != nullptr;
}

} // namespace podproxy::wake
