#include <podproxy/core/address_port.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/http/server.hpp>
#include <podproxy/net/first_of.hpp>
#include <podproxy/net/tcp_stream.hpp>
#include <podproxy/net/timeout.hpp>
#include <podproxy/proxy_protocol/header.hpp>
#include <podproxy/wake/wait_page.hpp>
#include <asio/cancel_after.hpp>
#include <asio/error.hpp>
#include <asio/ip/address.hpp>
#include <asio/post.hpp>
#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>
#include <variant>

#include <poll.h>
#include <sys/socket.h>

namespace podproxy::wake {

namespace detail {

/// Clients accepted before everybody else on the thread gets a turn.
inline constexpr int accepts_per_turn = 32;
/// How long a client that was refused is given to take the answer.
inline constexpr std::chrono::milliseconds farewell{1000};
/// One try to connect, where nothing is known against the server.
inline constexpr std::chrono::milliseconds one_connect{2000};
/// One try to connect to a server that has just been started: a packet may be lost while its network is made.
inline constexpr std::chrono::milliseconds first_connect{250};
/// A client that is silent may be connected anew while its server ends connections for so long, and so often.
inline constexpr std::chrono::milliseconds first_moments{1000};
inline constexpr unsigned most_early_ends = 3;
/// How often a client that can't be read from is looked after.
inline constexpr std::chrono::milliseconds look_after{100};

/// One end of a connection. @return nothing when it has gone.
template <class Ask>
std::optional<address_port> end_of(net::stream& s, Ask ask)
{
    auto* const socket = s.plain_socket();
    asio::ip::tcp::endpoint end;
    auto size = static_cast<socklen_t>(end.capacity());
    if (!socket || ask(socket->native_handle(), end.data(), &size) != 0 || size > end.capacity()) return std::nullopt;
    end.resize(size);
    if (end.address().is_v4()) return address_port(end.address().to_v4().to_bytes(), end.port());
    return address_port(end.address().to_v6().to_bytes(), end.port());
}
inline std::optional<address_port> peer_of(net::stream& s) { return end_of(s, ::getpeername); }
inline std::optional<address_port> us_of(net::stream& s) { return end_of(s, ::getsockname); }

/// Whether a connection is over in both directions, looked at without reading.
inline bool has_died(net::stream& s) noexcept
{
    auto* const socket = s.plain_socket();
    if (!socket) return false;
    pollfd p{socket->native_handle(), 0, 0};
    return ::poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP)) != 0;
}

} // namespace detail

struct tcp_server::target {
    target(target_config c, std::shared_ptr<port_group> g) : config(std::move(c)), group(std::move(g))
    {
        gate = group->gate("tcp " + format_host_port(config.address) + " " + config.member);
        std::error_code no_literal;
        if (config.address.host == "localhost") { // what most have in mind, without asking anybody
            fixed.emplace_back(asio::ip::address_v4::loopback(), config.address.port);
            fixed.emplace_back(asio::ip::address_v6::loopback(), config.address.port);
        } else if (auto const literal = asio::ip::make_address(config.address.host, no_literal); !no_literal) {
            fixed.emplace_back(literal, config.address.port);
        }
    }

    target_config config;
    std::shared_ptr<port_group> group;
    std::shared_ptr<port_gate> gate;
    endpoints fixed;                  ///< Where the host is known without asking.
    endpoints own;                    ///< Of the member itself, in the life below.
    wake::group const* own_of = nullptr;
    std::uint64_t own_life = 0;
};

/// A client that is not connected yet.
struct tcp_server::held {
    /// @param s Null for a start that nobody waits for.
    held(net::any_stream s, client_place p, std::size_t most)
        : place(std::move(p)), stream(std::move(s)), early(most), arrived(place.commons()->executor, net::clock::time_point::max())
    {
    }

    client_place place;
    net::any_stream stream;
    flat_buffer early;
    net::timer arrived; ///< cancelled when the first bytes have come
    net::clock::time_point since = net::clock::now();
    std::string who;
    diagnostics why;
    bool ended = false; ///< Its side has ended, after it has sent something.
    waking may_wake = waking::allowed;
};

struct tcp_server::upstream {
    net::any_stream stream;
    group_use use;
    upstream() = default;
    upstream(net::any_stream s, group_use u) : stream(std::move(s)), use(std::move(u)) {}
};

/// A client that is relayed.
class tcp_server::connection final : public net::relay_observer, cuttable {
public:
    connection(std::shared_ptr<port_group> g, group_use use, client_place place, std::string who)
        : place_(std::move(place)), group_(std::move(g)), use_(std::move(use)), who_(std::move(who))
    {
        ++group_->counts.connections;
        ++group_->counts.open;
        group_config const& config = group_->now().config();
        if (config.action == idle_action::throttle) return; // it goes on running, with less
        use_.on_end([this, at_once = config.use != use_rule::connections] {
            if (at_once) return cut();
            doomed_ = true;
            place_.commons()->cut_later(*this);
        });
    }
    ~connection() override
    {
        if (doomed_) place_.commons()->forget(*this);
        --group_->counts.open;
    }

    void moved(std::uint64_t to_server, std::uint64_t to_client) override
    {
        group_->counts.to_server += to_server;
        group_->counts.to_client += to_client;
        std::uint64_t const bytes = to_server + to_client;
        use_.moved(bytes, 1 + bytes / 65'536);
    }
    void ended(net::relay_end const& end) override
    {
        if (who_.empty()) return;
        place_.commons()->log.debug("closed", {{"client", who_},
                                               {"group", group_->name()},
                                               {"duration", std::chrono::duration_cast<std::chrono::milliseconds>(end.duration)},
                                               {"rx", end.to_client},
                                               {"tx", end.to_server},
                                               {"error", end.error ? end.error.message() : std::string("none")}});
    }

private:
    void cut_now() override { cut(); }

    client_place place_;
    std::shared_ptr<port_group> group_;
    group_use use_;
    std::string who_; ///< Only where the log wants it.
    bool doomed_ = false;
};

inline tcp_server::tcp_server(std::shared_ptr<port_commons> commons, port_config config, std::vector<std::shared_ptr<port_group>> groups)
    : commons_(std::move(commons)), config_(std::move(config)), most_held_(most_first_bytes)
{
    targets_.reserve(config_.targets.size());
    for (std::size_t i = 0; i < config_.targets.size(); ++i) {
        most_held_ = std::max(most_held_, groups[i]->now().config().most_early_bytes);
        targets_.emplace_back(config_.targets[i], std::move(groups[i]));
    }
    client_filter const& f = config_.filter;
    asks_source_ = !f.allow.empty() || !f.no_wake_sources.empty();
    by_name_ = chooses_by_name(config_.targets);
    looks_first_ = by_name_ || f.looks_at_bytes();
}

inline net::awaitable<std::error_code> tcp_server::serve(net::listener& from)
{
    auto const self = shared_from_this();
    from.on_exhausted([this](std::error_code ec) { commons_->log.warn("no new clients for a moment: out of descriptors", {{"error", ec}}); });
    bool said = false;
    for (int accepts = 1;; ++accepts) {
        while (commons_->clients >= commons_->most_clients) {
            if (!std::exchange(said, true)) commons_->log.warn("no new clients until some have left", {{"clients", commons_->clients}});
            co_await commons_->changed.async_wait(asio::as_tuple(net::use_awaitable)); // ends when a client leaves
        }
        said = said && commons_->clients > commons_->most_clients / 2;
        auto accepted = co_await from.accept();
        if (!accepted) co_return accepted.error();
        take(std::move(*accepted));
        if (accepts % detail::accepts_per_turn == 0) { // a crowd at the door never makes us wait
            accepts = 0;
            co_await asio::post(commons_->executor, net::use_awaitable);
        }
    }
}

inline void tcp_server::take(net::ready_socket socket)
{
    client_place place(commons_);
    net::any_stream client = std::make_unique<net::tcp_stream>(std::move(socket));
    waking may_wake = waking::allowed;
    if (asks_source_) {
        auto const from = detail::peer_of(*client);
        if (!from) return;
        client_filter const& f = config_.filter;
        if (!f.allow.empty() && !contains(f.allow, from->address)) {
            commons_->unrouted.count(refusal::source);
            if (auto const more = commons_->lines[static_cast<std::size_t>(refusal::source)].next(net::clock::now()))
                commons_->log.warn("a client was refused: its address is not allowed",
                                   {{"client", format_address_port(*from)}, {"port", format_host_port(config_.listen)}, {"more", *more}});
            client->close();
            return;
        }
        if (contains(f.no_wake_sources, from->address)) may_wake = waking::forbidden;
    }
    if (!looks_first_ && may_wake == waking::allowed && serve_now(targets_.front(), client, place, {})) return;
    auto c = std::make_unique<held>(std::move(client), std::move(place), most_held_);
    c->may_wake = may_wake;
    if (looks_first_ || (config_.wait_page && may_wake == waking::allowed)) commons_->tasks.spawn(look(shared_from_this(), std::move(c)));
    else if (may_wake == waking::forbidden) commons_->tasks.spawn(serve_without_hold(shared_from_this(), targets_.front(), std::move(c)));
    else commons_->tasks.spawn(hold(shared_from_this(), targets_.front(), std::move(c)));
}

/// Where a target is, if nobody has to be asked for it; else null.
inline tcp_server::endpoints const* tcp_server::known_endpoints(target& t, group_use const& use)
{
    if (!t.config.address.host.empty()) return t.fixed.empty() ? nullptr : &t.fixed;
    if (t.own_of != &t.group->now() || t.own_life != use.life()) {
        t.own_of = &t.group->now();
        t.own_life = use.life();
        t.own.clear();
        std::error_code no_literal;
        auto const literal = asio::ip::make_address(use.address(t.config.member), no_literal);
        if (!no_literal) t.own.emplace_back(literal, t.config.address.port);
    }
    return t.own.empty() ? nullptr : &t.own;
}

/// The way of nearly all clients: the group is ready, its port is open. @return false when it is not so; then nothing was taken.
inline bool tcp_server::serve_now(target& t, net::any_stream& client, client_place& place, bytes_view early)
{
    auto use = t.group->now().try_acquire();
    if (!use || !t.gate->open_in(use->life())) return false;
    endpoints const* const where = known_endpoints(t, *use);
    if (!where) return false;
    static net::connect_config const plain;
    for (auto const& endpoint : *where) {
        net::ready_socket server(commons_->executor);
        auto const begun = net::start_connect(server, endpoint, plain);
        if (begun) {
            relay(t, std::move(client), std::make_unique<net::tcp_stream>(std::move(server)), std::move(*use), early, std::move(place));
            return true;
        }
        if (begun.error() == podproxy::errc::would_block) {
            auto c = std::make_unique<held>(std::move(client), std::move(place), most_held_);
            (void)c->early.append(early);
            commons_->tasks.spawn(finish(shared_from_this(), t, std::move(c), std::move(server), endpoint, std::move(*use)));
            return true;
        }
    }
    t.gate->shut(use->life());
    return false;
}

inline net::awaitable<void> tcp_server::finish(std::shared_ptr<tcp_server> self, target& t, held_ptr c, net::ready_socket server,
                                               asio::ip::tcp::endpoint where, group_use use)
{
    auto s = co_await net::with_deadline(net::finish_connect(std::move(server), where, c->why), detail::one_connect);
    if (s) {
        net::any_stream up = std::make_unique<net::tcp_stream>(std::move(*s));
        self->relay(t, std::move(c->stream), std::move(up), std::move(use), c->early.data(), std::move(c->place));
        co_return;
    }
    t.gate->shut(use.life());
    use = group_use();
    co_await hold(self, t, std::move(c));
}

inline void tcp_server::relay(target& t, net::any_stream client, net::any_stream server, group_use use, bytes_view early, client_place place)
{
    std::vector<std::uint8_t> headed;
    if (config_.send_proxy != proxy_header::none) {
        proxy_protocol::header h;
        auto const source = detail::peer_of(*client);
        auto const destination = detail::us_of(*client);
        if (source && destination) {
            h.transport = proxy_protocol::transport::tcp;
            h.source = *source;
            h.destination = *destination;
        }
        if (config_.send_proxy == proxy_header::v1) proxy_protocol::encode_v1(headed, h);
        else proxy_protocol::encode_v2(headed, h);
        headed.insert(headed.end(), early.begin(), early.end());
        early = headed;
    }
    std::string who;
    if (commons_->log.wants(log_level::debug)) {
        auto const source = detail::peer_of(*client);
        who = source ? format_address_port(*source) : std::string("unknown");
        commons_->log.debug("connected", {{"client", who}, {"group", t.group->name()}});
    }
    auto observer = std::make_unique<connection>(t.group, std::move(use), std::move(place), std::move(who));
    commons_->relays.start_observed(std::move(client), std::move(server), early, std::move(observer));
}

// ---- clients that have to be looked at, or to wait

inline net::awaitable<void> tcp_server::look(std::shared_ptr<tcp_server> self, held_ptr c)
{
    first_bytes_decoder d;
    if (!co_await self->read_first(*c, d)) {
        ++self->commons_->unrouted.left;
        co_return;
    }
    auto const& targets = self->config_.targets;
    std::size_t const chosen = choose_target(targets, d.get());
    if (chosen == targets.size()) {
        c->why.message = d.get().name.empty() ? "it has named no host" : "nothing is served for " + d.get().name.substr(0, 255);
        co_return co_await self->refuse(std::move(c), nullptr, refusal::no_target);
    }
    target& t = self->targets_[chosen];
    if (judge(self->config_.filter, d, c->early.data(), false) == wake_verdict::does_not_wake) c->may_wake = waking::forbidden;
    if (c->may_wake == waking::forbidden) co_return co_await serve_without_hold(self, t, std::move(c));
    if (self->serve_now(t, c->stream, c->place, c->early.data())) co_return;
    bool const has_time = self->config_.wait_page && d.get().wants_html;
    if (has_time && (t.group->page_wakes || !t.group->now().try_acquire())) co_return co_await self->give_page(t, std::move(c));
    co_await hold(self, t, std::move(c));
}

/// Read as much as the port's rules need. @return false when the client has left.
inline net::awaitable<bool> tcp_server::read_first(held& c, first_bytes_decoder& d)
{
    auto const until = c.since + config_.first_bytes_limit;
    bool const needs_decision = by_name_ || config_.wait_page;
    for (;;) {
        if ((!needs_decision || d.decided()) && judge(config_.filter, d, c.early.data(), true) != wake_verdict::undecided) co_return true;
        auto const room = c.early.prepare(4096);
        if (room.empty()) co_return true;
        auto const n = c.stream->try_read(room);
        if (n) {
            c.early.commit(*n);
            d.next(c.early.data());
            continue;
        }
        if (n.error() == podproxy::errc::end_of_stream) {
            c.ended = true;
            co_return !c.early.empty();
        }
        if (n.error() != podproxy::errc::would_block) co_return false;
        auto const left = until - net::clock::now();
        if (left <= net::clock::duration::zero()) co_return true;
        auto [ec] = co_await net::async_wait(*c.stream, net::wait_kind::read, asio::cancel_after(left, asio::as_tuple(net::use_awaitable)));
        ec = net::timeout_or(ec, co_await asio::this_coro::cancellation_state);
        if (ec) co_return ec == podproxy::errc::timed_out;
    }
}

inline net::awaitable<void> tcp_server::hold(std::shared_ptr<tcp_server> self, target& t, held_ptr c)
{
    if (self->commons_->ending) co_return co_await self->refuse(std::move(c), t.group.get(), refusal::shutting_down);
    auto const from = detail::peer_of(*c->stream);
    if (!from) {
        ++t.group->counts.left;
        co_return;
    }
    c->who = format_address_port(*from);
    if (t.group->full()) {
        c->why.message = std::to_string(t.group->counts.waiting) + " clients are waiting already";
        co_return co_await self->refuse(std::move(c), t.group.get(), refusal::too_many_waiting);
    }
    std::optional<waiting_place> waits(t.group);
    auto won = co_await net::first_of(self->connect_held(t, *c), self->watch(*c, t.group->now().config().most_early_bytes));
    waits.reset();
    if (won.index() == 1) {
        ++t.group->counts.left;
        self->commons_->log.debug("a client has left while it waited", {{"client", c->who}, {"group", t.group->name()}});
        co_return;
    }
    auto& up = std::get<0>(won);
    if (!up) co_return co_await self->refuse(std::move(c), t.group.get(), refusal_for(up.error()));
    t.group->counts.waits.add(std::chrono::duration_cast<std::chrono::microseconds>(net::clock::now() - c->since));
    self->relay(t, std::move(c->stream), std::move(up->stream), std::move(up->use), c->early.data(), std::move(c->place));
}

/// Keep what a waiting client sends. @return when it has left.
inline net::awaitable<bool> tcp_server::watch(held& c, std::size_t most)
{
    net::timer pause(commons_->executor);
    for (;;) {
        if (c.ended || c.early.size() >= most) { // nothing more is read: only a reset is of interest
            pause.expires_after(detail::look_after);
            co_await pause.async_wait(asio::as_tuple(net::use_awaitable));
            if (detail::has_died(*c.stream)) co_return true;
            continue;
        }
        auto const n = c.stream->try_read(c.early.prepare(std::min<std::size_t>(most - c.early.size(), 16 * 1024)));
        if (n) {
            bool const first = c.early.empty();
            c.early.commit(*n);
            if (first) c.arrived.cancel();
        } else if (n.error() == podproxy::errc::end_of_stream) {
            if (c.early.empty()) co_return true;
            c.ended = true;
        } else if (n.error() != podproxy::errc::would_block) {
            co_return true;
        } else {
            // Ends with the client, or with `hold`.
            auto [ec] = co_await net::async_wait(*c.stream, net::wait_kind::read, asio::as_tuple(net::use_awaitable));
            if (ec) co_return true;
        }
    }
}

inline net::awaitable<result<tcp_server::upstream>> tcp_server::connect_held(target& t, held& c)
{
    auto const config = t.group->hold(); // a replaced group's limits go on to hold for who came before
    auto const deadline = c.since + config->config().start_limit;
    std::shared_ptr<group> before;
    for (unsigned life = 1;; ++life) {
        auto const group = t.group->hold();
        c.why.clear();
        auto asked = group == before ? group->acquire_again(c.who, c.why) : group->acquire(c.who, c.why);
        before = group;
        auto use = co_await std::move(asked);
        if (!use) {
            if (use.error() == errc::shutting_down && t.group->hold() != group && !commons_->ending) continue; // another one has taken its place
            co_return use.error();
        }
        auto s = co_await connect_in_life(t, c, *use, deadline);
        if (s) co_return upstream(std::move(*s), std::move(*use));
        if (s.error() != podproxy::errc::cancelled) co_return s.error();
        if (life >= config->config().start_attempts || net::clock::now() >= deadline) {
            c.why.message = "group " + t.group->name() + ": it has ended each time before its server could be connected to";
            co_return errc::start_failed;
        }
    }
}

/// Connect while the group lives. @return `errc::cancelled` when that life has ended.
inline net::awaitable<result<net::any_stream>> tcp_server::connect_in_life(target& t, held& c, group_use const& use, net::clock::time_point deadline)
{
    for (unsigned early_ends = 0;;) {
        result<net::any_stream> server;
        auto const pass = co_await t.gate->enter(use);
        if (pass == port_gate::pass::over) co_return podproxy::errc::cancelled;
        if (pass == port_gate::pass::failed) {
            c.why.message = t.gate->failure();
            co_return errc::start_timed_out;
        }
        if (pass == port_gate::pass::probe) {
            detail::probe_guard guard(*t.gate);
            server = co_await probe(t, c, use, deadline);
            if (server) {
                guard.done().opened(use.life());
                t.group->now().port_failed({});
            } else {
                if (server.error() == errc::start_timed_out) {
                    t.group->now().port_failed(c.why.message);
                    c.why.message = "group " + t.group->name() + ": " + c.why.message;
                    guard.done().failed(c.why.message);
                }
                co_return server.error();
            }
        } else {
            server = co_await connect_once(t, use.address(t.config.member), detail::one_connect, c.why);
            if (!server) {
                if (detail::is_final(server.error())) co_return server.error();
                t.gate->shut(use.life());
                continue;
            }
        }
        // A header of ours makes the server speak: without it both sides may wait.
        bool const watch_it = c.early.empty() && !c.ended && config_.send_proxy == proxy_header::none && early_ends < detail::most_early_ends;
        if (!watch_it || co_await settle(**server, c, net::clock::duration::zero(), detail::first_moments) != sign::closed) co_return server;
        ++early_ends;
        t.gate->shut(use.life());
    }
}

/** Try the port until it lets us in.
    @return the first connection, `errc::start_timed_out`, `errc::cancelled` at the end of the group's life, or a final error. */
inline net::awaitable<result<net::any_stream>> tcp_server::probe(target& t, held& c, group_use const& use, net::clock::time_point deadline)
{
    net::timer pause(commons_->executor);
    auto const begun = net::clock::now();
    std::chrono::milliseconds limit = detail::first_connect;
    bool closed_before = false; // the port itself was closed: nothing else stands there for the server
    for (;;) {
        auto const tried = net::clock::now();
        net::clock::duration const left = deadline - tried;
        diagnostics why;
        auto const most = std::clamp<net::clock::duration>(left, std::chrono::milliseconds(1), limit);
        auto s = co_await connect_once(t, use.address(t.config.member), most, why);
        if (!use.alive()) co_return podproxy::errc::cancelled;
        if (!s && commons_->ending) co_return errc::shutting_down;
        if (s) {
            bool const may_be_front = !t.config.address.host.empty() && (*s)->plain_socket() && (!closed_before || t.gate->has_front());
            if (!may_be_front) co_return s;
            auto const connected = net::clock::now();
            if (co_await settle(**s, c, t.gate->settle_time(), net::clock::duration::zero()) != sign::closed) co_return s;
            t.gate->note_front(net::clock::now() - connected);
            why.message = "connections are closed as soon as they are made";
        } else if (detail::is_final(s.error())) {
            c.why = std::move(why);
            co_return s.error();
        } else if (s.error() == cond::timed_out) {
            limit = std::min(2 * limit, detail::one_connect);
        } else if (s.error() == cond::refused) {
            closed_before = true;
        }
        auto const now = net::clock::now();
        if (now >= deadline) {
            c.why.message = (t.config.address.host.empty() ? "port " + std::to_string(t.config.address.port) : format_host_port(t.config.address)) +
                            " is not open: " + (why.empty() ? std::string("no answer") : why.text());
            co_return errc::start_timed_out;
        }
        // A small part of the time that it has taken so far: what is lost by trying late stays small beside it.
        auto const step = std::clamp<net::clock::duration>((now - begun) / 128, std::chrono::milliseconds(2), std::chrono::milliseconds(25));
        pause.expires_at(std::min(now + step, deadline));
        co_await pause.async_wait(asio::as_tuple(net::use_awaitable));
    }
}

inline net::awaitable<result<net::any_stream>> tcp_server::connect_once(target& t, std::string own_address, net::clock::duration limit,
                                                                        diagnostics& why)
{
    static net::connect_config const plain;
    std::string const host = t.config.address.host.empty() ? std::move(own_address) : t.config.address.host;
    if (host.empty()) {
        why.message = "the engine tells no address for it";
        co_return podproxy::errc::unavailable;
    }
    host_port const where(host, t.config.address.port);
    if (commons_->dialer && t.fixed.empty() && !is_ip_literal(host)) co_return co_await net::with_deadline(commons_->dialer->dial(where, why), limit);
    auto asked = t.fixed.empty() ? net::connect(where, plain, why) : net::connect_any(t.fixed, plain, why);
    auto socket = co_await net::with_deadline(std::move(asked), limit);
    if (!socket) co_return socket.error();
    co_return result<net::any_stream>(std::make_unique<net::tcp_stream>(std::move(*socket)));
}

namespace detail {

inline net::awaitable<bool> readable(net::stream& s)
{
    auto [ec] = co_await net::async_wait(s, net::wait_kind::read, asio::as_tuple(net::use_awaitable)); // `first_of` ends it
    co_return !ec;
}

/// Until `least` from now, and until `most` from now or the first bytes of a client, whichever comes first.
inline net::awaitable<bool> quiet(flat_buffer const& early, net::timer& arrived, net::clock::duration least, net::clock::duration most)
{
    auto const begun = net::clock::now();
    for (;;) {
        auto const now = net::clock::now();
        bool const short_of_least = now < begun + least;
        if (!short_of_least && (!early.empty() || now >= begun + most)) co_return true;
        arrived.expires_at(begun + (short_of_least ? least : most));
        co_await arrived.async_wait(asio::as_tuple(net::use_awaitable));
    }
}

} // namespace detail

/// See whether a server says something, or ends a connection over which nothing was sent: for `least`, and while the client is silent up to `most`.
inline net::awaitable<tcp_server::sign> tcp_server::settle(net::stream& s, held& c, net::clock::duration least, net::clock::duration most)
{
    auto* const socket = s.plain_socket();
    if (!socket) co_return sign::none;
    (void)co_await net::first_of(detail::readable(s), detail::quiet(c.early, c.arrived, least, most));
    std::uint8_t byte;
    ssize_t n;
    do n = ::recv(socket->native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 0) co_return sign::spoke;
    co_return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? sign::none : sign::closed;
}

/// A client that may use a group that is ready, but neither wakes it nor keeps it awake.
inline net::awaitable<void> tcp_server::serve_without_hold(std::shared_ptr<tcp_server> self, target& t, held_ptr c)
{
    auto const status = t.group->now().status();
    if (status.state == group_state::running || status.state == group_state::idle) {
        std::string own;
        for (member const& m : status.members)
            if (own.empty() && (t.config.member.empty() || m.name == t.config.member)) own = m.address;
        auto server = co_await self->connect_once(t, std::move(own), detail::one_connect, c->why);
        if (server) {
            self->relay(t, std::move(c->stream), std::move(*server), group_use(), c->early.data(), std::move(c->place));
            co_return;
        }
    }
    co_await self->refuse(std::move(c), t.group.get(), refusal::not_for_this_client);
}

// ---- answers

/// Start the group and see its port open, for browsers that come back later.
inline net::awaitable<void> tcp_server::wake_for_page(std::shared_ptr<tcp_server> self, target& t, held_ptr c)
{
    struct mark {
        port_group& g;
        explicit mark(port_group& of) : g(of) { g.page_wakes = true; }
        ~mark() { g.page_wakes = false; }
    } const here(*t.group);
    c->ended = true; // nothing comes from this client
    auto const up = co_await self->connect_held(t, *c);
    if (!up) t.group->page_error = up.error();
}

inline net::awaitable<void> tcp_server::give_page(target& t, held_ptr c)
{
    auto const from = detail::peer_of(*c->stream);
    c->who = from ? format_address_port(*from) : std::string("unknown");
    if (auto const failed = std::exchange(t.group->page_error, std::nullopt)) // told once, as text: a page would try for ever
        co_return co_await refuse(std::move(c), t.group.get(), refusal_for(*failed));
    if (!t.group->page_wakes) {
        auto nobody = std::make_unique<held>(nullptr, client_place(commons_), 1);
        nobody->who = c->who;
        commons_->tasks.spawn(wake_for_page(shared_from_this(), t, std::move(nobody)));
    }
    ++t.group->counts.wait_pages;
    auto const state = t.group->now().status().state;
    co_await answer(std::move(c), wait_page(t.group->name(), state));
}

inline net::awaitable<void> tcp_server::refuse(held_ptr c, port_group* g, refusal r)
{
    if (commons_->ending) r = refusal::shutting_down;
    (g ? g->counts : commons_->unrouted).count(r);
    line_limit& lines = g ? g->lines(r) : commons_->lines[static_cast<std::size_t>(r)];
    // Checkers that do not wake anybody come all day long.
    log_level const level = r == refusal::not_for_this_client ? log_level::debug : log_level::warn;
    if (commons_->log.wants(level)) {
        if (auto const more = lines.next(net::clock::now())) {
            if (c->who.empty()) {
                auto const from = detail::peer_of(*c->stream);
                c->who = from ? format_address_port(*from) : std::string("unknown");
            }
            std::string const text = c->why.empty() ? std::string(refusal_sentence(r)) : c->why.text();
            commons_->log.log(level, "a client was refused",
                              std::initializer_list<log_field>{{"client", c->who},
                                                               {"port", format_host_port(config_.listen)},
                                                               {"group", g ? g->name() : std::string("none")},
                                                               {"reason", to_string(r)},
                                                               {"error", text},
                                                               {"more", *more}});
        }
    }
    if (c->early.empty()) {
        auto const n = c->stream->try_read(c->early.prepare(4096));
        if (n) c->early.commit(*n);
    }
    bool head_only = false;
    if (!begins_with_http(c->early.data(), head_only)) {
        c->stream->reset();
        co_return;
    }
    co_await answer(std::move(c), refusal_answer(r, head_only ? answer_form::head_only : answer_form::whole));
}

inline net::awaitable<void> tcp_server::answer(held_ptr c, std::string text)
{
    (void)c->stream->try_write(as_bytes(text)); // into an empty buffer: all of it, or nobody is there
    co_await http::linger_close(*c->stream, detail::farewell);
}

} // namespace podproxy::wake
