#include <podproxy/core/host_port.hpp>
#include <podproxy/net/first_of.hpp>
#include <podproxy/net/resolve.hpp>
#include <podproxy/net/timeout.hpp>
#include <podproxy/wake/wait_page.hpp>
#include <asio/cancel_after.hpp>
#include <asio/error.hpp>
#include <asio/ip/address.hpp>
#include <asio/post.hpp>
#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

namespace podproxy::wake {

namespace detail {

/// A datagram that was not refused for so long has been taken.
inline constexpr std::chrono::milliseconds taken_after{5};
/// Calls of one socket before everybody else on the thread gets a turn.
inline constexpr int receives_per_turn = 8;

inline ipv6_bytes bytes_of(asio::ip::address const& a)
{
    return a.is_v4() ? as_mapped(a.to_v4().to_bytes()) : ipv6_bytes(a.to_v6().to_bytes());
}

} // namespace detail

struct udp_server::session {
    session(net::executor ex, client_key k, net::udp_socket::endpoint p, net::local_address l)
        : key(k), peer(std::move(p)), local(std::move(l)), ended(ex, net::clock::time_point::max())
    {
    }

    client_key key;
    net::udp_socket::endpoint peer;
    net::local_address local;
    std::optional<net::udp_socket> up; ///< Once it is open.
    group_use use;
    std::deque<std::vector<std::uint8_t>> early;
    std::size_t early_bytes = 0;
    net::clock::time_point since = net::clock::now();
    net::clock::time_point heard = since;
    std::list<session*>::iterator place;
    net::timer ended; ///< cancelled when the session is ended from outside
    diagnostics why;
    bool open = false;
    bool counted = false;
    bool over = false;
};

inline udp_server::udp_server(std::shared_ptr<port_commons> commons, port_config config, std::shared_ptr<port_group> group, net::udp_socket socket)
    : commons_(std::move(commons)), config_(std::move(config)), group_(std::move(group)), socket_(std::move(socket)), silence_(commons_->executor)
{
    target_config const& t = config_.targets.front();
    gate_ = group_->gate("udp " + format_host_port(t.address) + " " + t.member);
}

inline net::awaitable<std::error_code> udp_server::serve()
{
    auto const self = shared_from_this();
    for (int calls = 1; hears_; ++calls) {
        auto const n = socket_.receive(from_clients_);
        if (!n) {
            if (!socket_.is_open()) break;
            // Whatever else it says was about one datagram.
            auto [ec] = co_await socket_.async_wait(net::wait_kind::read, asio::as_tuple(net::use_awaitable)); // ends with the next one, or the port
            if (ec) co_return ec;
            continue;
        }
        for (std::size_t i = 0; i < *n;) { // datagrams of one client go on together
            std::size_t end = i + 1;
            while (end < *n && from_clients_.peer(end) == from_clients_.peer(i) && from_clients_.local(end) == from_clients_.local(i)) ++end;
            take(from_clients_.peer(i), from_clients_.local(i), from_clients_.payloads().subspan(i, end - i));
            i = end;
        }
        if (calls % detail::receives_per_turn == 0) {
            calls = 0;
            co_await asio::post(commons_->executor, net::use_awaitable);
        }
    }
    co_return std::error_code(asio::error::operation_aborted);
}

inline void udp_server::take(net::udp_socket::endpoint const& peer, net::local_address const& local, payloads data)
{
    client_key key;
    key.peer = address_port(detail::bytes_of(peer.address()), peer.port());
    key.local = detail::bytes_of(local.address);
    auto const found = sessions_.find(key);
    if (found == sessions_.end()) return begin(key, peer, local, data);
    session& s = *found->second;
    touch(s);
    if (s.open) to_server(s, data);
    else keep(s, data);
}

/// Whether a client that is new here is let in.
inline bool udp_server::may_begin(client_key const& key)
{
    client_filter const& f = config_.filter;
    if (!f.allow.empty() && !contains(f.allow, key.peer.address)) {
        commons_->unrouted.count(refusal::source);
        if (auto const more = commons_->lines[static_cast<std::size_t>(refusal::source)].next(net::clock::now()))
            commons_->log.warn("a client was refused: its address is not allowed",
                               {{"client", format_address_port(key.peer)}, {"port", format_host_port(config_.listen)}, {"more", *more}});
        return false;
    }
    if (!make_room()) {
        group_->counts.count(refusal::too_many_waiting);
        if (auto const more = group_->lines(refusal::too_many_waiting).next(net::clock::now()))
            commons_->log.warn("a client was refused: there are as many sessions as allowed",
                               {{"client", format_address_port(key.peer)}, {"port", format_host_port(config_.listen)}, {"more", *more}});
        return false;
    }
    return true;
}

/// The first datagrams of a client.
inline void udp_server::begin(client_key const& key, net::udp_socket::endpoint const& peer, net::local_address const& local, payloads data)
{
    if (!may_begin(key)) {
        group_->counts.dropped_datagrams += data.size();
        return;
    }
    auto const s = std::make_shared<session>(commons_->executor, key, peer, local);
    sessions_.emplace(key, s);
    s->place = by_silence_.insert(by_silence_.end(), s.get());
    if (!armed_) arm();
    keep(*s, data);

    client_filter const& f = config_.filter;
    auto const begins_so = [first = as_text(data.front())](std::string const& p) { return !p.empty() && first.starts_with(p); };
    bool const no_wake = contains(f.no_wake_sources, key.peer.address) || std::ranges::any_of(f.no_wake_bytes, begins_so);
    if (no_wake) {
        commons_->tasks.spawn(serve_without_hold(shared_from_this(), s));
    } else if (open_now(*s)) {
        opened(*s);
        commons_->tasks.spawn(listen(shared_from_this(), s));
    } else if (group_->full()) {
        drop(*s, refusal::too_many_waiting);
    } else {
        commons_->tasks.spawn(hold(shared_from_this(), s));
    }
}

/// Whether one more session may begin, perhaps in the place of one that has been silent.
inline bool udp_server::make_room()
{
    if (sessions_.size() < config_.udp_most_sessions) return true;
    auto const silent_for = std::min<net::clock::duration>(config_.udp_session / 4, std::chrono::seconds(10));
    for (session* const oldest : by_silence_) {
        if (oldest->heard + silent_for > net::clock::now()) return false;
        if (!oldest->open) continue; // it waits: its turn comes
        end(*oldest);
        return true;
    }
    return false;
}

inline udp_server::endpoints udp_server::known_endpoints(group_use const& use) const
{
    endpoints out;
    target_config const& t = config_.targets.front();
    std::error_code no_literal;
    if (t.address.host == "localhost") {
        out.emplace_back(asio::ip::address_v4::loopback(), t.address.port);
        out.emplace_back(asio::ip::address_v6::loopback(), t.address.port);
        return out;
    }
    auto const literal = asio::ip::make_address(t.address.host.empty() ? use.address(t.member) : t.address.host, no_literal);
    if (!no_literal) out.emplace_back(literal, t.address.port);
    return out;
}

/// Where the server is. Never empty without a reason in `why`.
inline net::awaitable<udp_server::endpoints> udp_server::find(std::string own_address, diagnostics& why) const
{
    target_config const& t = config_.targets.front();
    endpoints out;
    std::string const host = t.address.host.empty() ? std::move(own_address) : t.address.host;
    if (host.empty()) {
        why.message = "the engine tells no address for it";
        co_return out;
    }
    auto const all = co_await net::with_deadline(net::resolve(host, why), std::chrono::seconds(5));
    if (!all) co_return out;
    for (auto const& a : *all) out.emplace_back(a, t.address.port);
    co_return out;
}

/// The way of nearly all sessions: the group is ready, its server is known to listen.
inline bool udp_server::open_now(session& s)
{
    auto use = group_->now().try_acquire();
    if (!use || !gate_->open_in(use->life()) || known_endpoints(*use).empty()) return false;
    auto up = net::udp_socket::connect(commons_->executor, good_);
    if (!up) return false;
    s.up.emplace(std::move(*up));
    s.use = std::move(*use);
    return true;
}

/// A session has its socket: what was kept goes out, in its order, before anything newer.
inline void udp_server::opened(session& s)
{
    s.open = true;
    s.counted = true;
    touch(s);
    ++group_->counts.connections;
    ++group_->counts.open;
    for (auto const& datagram : std::exchange(s.early, {})) {
        bytes_view const one(datagram);
        to_server(s, {&one, 1});
    }
    s.early_bytes = 0;
    if (group_->now().config().action == idle_action::throttle) return;
    s.use.on_end([this, which = &s] { end(*which); }); // the hold is part of the session, which is part of this
}

inline void udp_server::keep(session& s, payloads data)
{
    for (bytes_view const d : data) {
        bool const full = s.early.size() >= config_.udp_most_early || s.early_bytes + d.size() > group_->now().config().most_early_bytes;
        if (full && !s.early.empty()) { // one is always kept: with it the server is tried
            ++group_->counts.dropped_datagrams;
            continue;
        }
        s.early.emplace_back(d.begin(), d.end());
        s.early_bytes += d.size();
    }
}

inline void udp_server::to_server(session& s, payloads data)
{
    std::uint64_t bytes = 0;
    std::uint64_t count = 0;
    for (int errors = 0; !data.empty();) {
        auto const n = s.up->send(data);
        if (!n) {
            if (n.error() != podproxy::errc::would_block && ++errors <= 1) continue; // it was about an earlier one
            group_->counts.dropped_datagrams += data.size();
            break;
        }
        for (bytes_view const d : data.first(*n)) bytes += d.size();
        count += *n;
        data = data.subspan(*n);
    }
    group_->counts.to_server += bytes;
    if (count != 0) s.use.moved(bytes, count);
}

inline void udp_server::to_client(session& s, payloads data)
{
    std::uint64_t bytes = 0;
    std::uint64_t count = 0;
    while (!data.empty()) {
        auto const n = socket_.send_to(data, s.peer, s.local);
        if (!n) {
            group_->counts.dropped_datagrams += data.size();
            break;
        }
        for (bytes_view const d : data.first(*n)) bytes += d.size();
        count += *n;
        data = data.subspan(*n);
    }
    group_->counts.to_client += bytes;
    if (count != 0) s.use.moved(bytes, count);
}

inline void udp_server::touch(session& s)
{
    s.heard = net::clock::now();
    by_silence_.splice(by_silence_.end(), by_silence_, s.place);
}

/// The session is no more. What still waits in its name ends by itself.
inline void udp_server::end(session& s)
{
    if (std::exchange(s.over, true)) return;
    if (s.counted) --group_->counts.open;
    by_silence_.erase(s.place);
    s.ended.cancel();
    if (s.up) s.up->close();
    s.use = group_use();
    s.early.clear();
    client_key const key = s.key;
    sessions_.erase(key); // perhaps the last to hold it
}

inline void udp_server::drop(session& s, refusal r)
{
    if (commons_->ending) r = refusal::shutting_down;
    group_->counts.count(r);
    group_->counts.dropped_datagrams += s.early.size();
    log_level const level = r == refusal::not_for_this_client ? log_level::debug : log_level::warn;
    if (commons_->log.wants(level)) {
        if (auto const more = group_->lines(r).next(net::clock::now())) {
            std::string const text = s.why.empty() ? std::string(refusal_sentence(r)) : s.why.text();
            commons_->log.log(level, "a client was refused",
                              std::initializer_list<log_field>{{"client", format_address_port(s.key.peer)},
                                                               {"port", format_host_port(config_.listen)},
                                                               {"group", group_->name()},
                                                               {"reason", to_string(r)},
                                                               {"error", text},
                                                               {"more", *more}});
        }
    }
    end(s);
}

/// One timer for all sessions, set for the one that has been silent longest.
inline void udp_server::arm()
{
    armed_ = !by_silence_.empty();
    if (!armed_) return;
    silence_.expires_at(by_silence_.front()->heard + config_.udp_session);
    silence_.async_wait([weak = weak_from_this()](std::error_code ec) {
        auto const self = weak.lock();
        if (!self || ec) return;
        auto const now = net::clock::now();
        while (!self->by_silence_.empty() && self->by_silence_.front()->heard + self->config_.udp_session <= now) {
            session& oldest = *self->by_silence_.front();
            if (oldest.open) self->end(oldest);
            else self->touch(oldest); // who waits for a start has nothing to say until there is an answer
        }
        self->arm();
    });
}

inline void udp_server::stop_listening()
{
    hears_ = false;
    socket_.cancel();
}

inline void udp_server::close()
{
    hears_ = false;
    while (!by_silence_.empty()) end(*by_silence_.front());
    silence_.cancel();
    armed_ = false;
    socket_.close();
}

// ---- sessions

namespace detail {

inline net::awaitable<bool> until_cancelled(net::timer& t)
{
    co_await t.async_wait(asio::as_tuple(net::use_awaitable));
    co_return true;
}

} // namespace detail

inline net::awaitable<void> udp_server::hold(std::shared_ptr<udp_server> self, session_ptr s)
{
    {
        waiting_place const waits(self->group_);
        auto won = co_await net::first_of(self->connect_held(*s), detail::until_cancelled(s->ended));
        if (won.index() == 1 || s->over) {
            ++self->group_->counts.left;
            co_return;
        }
        auto const& connected = std::get<0>(won);
        if (!connected) {
            self->drop(*s, refusal_for(connected.error()));
            co_return;
        }
    }
    self->group_->counts.waits.add(std::chrono::duration_cast<std::chrono::microseconds>(net::clock::now() - s->since));
    self->opened(*s);
    co_await listen(self, s);
}

/// Pass on what the server answers.
inline net::awaitable<void> udp_server::listen(std::shared_ptr<udp_server> self, session_ptr s)
{
    int errors = 0;
    for (int calls = 1; !s->over; ++calls) {
        auto const n = s->up->receive(self->from_servers_);
        if (n) {
            errors = 0;
            self->touch(*s);
            self->to_client(*s, self->from_servers_.payloads());
        } else if (n.error() == podproxy::errc::would_block) {
            auto [ec] = co_await s->up->async_wait(net::wait_kind::read, asio::as_tuple(net::use_awaitable)); // ends with the session
            if (ec) co_return;
            calls = 0;
        } else if (++errors > 100) { // one is told for each datagram that has met a closed port: those are lost, as on any network
            self->end(*s);
        }
        if (calls % detail::receives_per_turn == 0) co_await asio::post(self->commons_->executor, net::use_awaitable);
    }
}

inline net::awaitable<result<void>> udp_server::connect_held(session& s)
{
    auto const config = group_->hold();
    auto const deadline = s.since + config->config().start_limit;
    std::string const who = format_address_port(s.key.peer);
    std::shared_ptr<group> before;
    for (unsigned life = 1;; ++life) {
        auto const group = group_->hold();
        s.why.clear();
        auto asked = group == before ? group->acquire_again(who, s.why) : group->acquire(who, s.why);
        before = group;
        auto use = co_await std::move(asked);
        if (!use) {
            if (use.error() == errc::shutting_down && group_->hold() != group && !commons_->ending) continue;
            co_return use.error();
        }
        s.use = std::move(*use);
        auto const done = co_await connect_in_life(s, deadline);
        if (s.over) co_return podproxy::errc::cancelled;
        if (done || done.error() != podproxy::errc::cancelled) co_return done;
        s.use = group_use();
        if (life >= config->config().start_attempts || net::clock::now() >= deadline) {
            s.why.message = "group " + group_->name() + ": it has ended each time before it listened";
            co_return errc::start_failed;
        }
    }
}

inline net::awaitable<result<void>> udp_server::connect_in_life(session& s, net::clock::time_point deadline)
{
    auto const pass = co_await gate_->enter(s.use);
    if (pass == port_gate::pass::over) co_return podproxy::errc::cancelled;
    if (pass == port_gate::pass::failed) {
        s.why.message = gate_->failure();
        co_return errc::start_timed_out;
    }
    if (pass == port_gate::pass::open) {
        auto up = net::udp_socket::connect(commons_->executor, good_);
        if (!up) co_return up.error();
        s.up.emplace(std::move(*up));
        co_return result<void>();
    }
    detail::probe_guard guard(*gate_);
    auto const done = co_await probe(s, deadline);
    if (done) {
        guard.done().opened(s.use.life());
        group_->now().port_failed({});
    } else if (done.error() == errc::start_timed_out) {
        group_->now().port_failed(s.why.message);
        s.why.message = "group " + group_->name() + ": " + s.why.message;
        guard.done().failed(s.why.message);
    }
    co_return done;
}

/** Send the first datagram until it is not refused, and leave the socket in the session.
    @return `errc::start_timed_out`, `errc::cancelled` at the end of the group's life, or a final error. */
inline net::awaitable<result<void>> udp_server::probe(session& s, net::clock::time_point deadline)
{
    net::timer pause(commons_->executor);
    auto const begun = net::clock::now();
    std::string last = "no answer";
    for (std::size_t attempt = 0;; ++attempt) {
        diagnostics why;
        endpoints where = known_endpoints(s.use);
        if (where.empty()) where = co_await find(s.use.address(config_.targets.front().member), why);
        if (s.over || !s.use.alive()) co_return podproxy::errc::cancelled;
        if (!where.empty()) {
            good_ = where[attempt % where.size()];
            auto up = net::udp_socket::connect(commons_->executor, good_);
            std::error_code refused = up.error();
            if (up) {
                s.up.emplace(std::move(*up));
                bytes_view const first(s.early.front());
                auto const sent = s.up->send({&first, 1});
                if (!sent) {
                    refused = sent.error();
                } else {
                    auto const token = asio::cancel_after(detail::taken_after, asio::as_tuple(net::use_awaitable));
                    auto [waited] = co_await s.up->async_wait(net::wait_kind::read, token);
                    if (!waited) refused = s.up->take_error(); // an answer is left for `listen`
                }
                if (s.over) co_return podproxy::errc::cancelled;
                if (!refused) {
                    group_->counts.to_server += first.size();
                    s.use.moved(first.size(), 1);
                    s.early_bytes -= first.size();
                    s.early.pop_front();
                    co_return result<void>();
                }
                s.up.reset();
            }
            if (detail::is_final(refused)) {
                s.why.message = "can't send to " + good_.address().to_string() + ": " + refused.message();
                co_return refused;
            }
            last = refused.message();
        } else {
            last = why.empty() ? "its address is not known" : why.text();
        }
        if (s.over || !s.use.alive()) co_return podproxy::errc::cancelled;
        if (commons_->ending) co_return errc::shutting_down;
        auto const now = net::clock::now();
        if (now >= deadline) {
            s.why.message = "UDP port " + std::to_string(config_.targets.front().address.port) + " is not open: " + last;
            co_return errc::start_timed_out;
        }
        bool const next_address = attempt % std::max<std::size_t>(where.size(), 1) + 1 < where.size();
        if (next_address) continue;
        auto const step = std::clamp<net::clock::duration>((now - begun) / 128, std::chrono::milliseconds(2), std::chrono::milliseconds(25));
        pause.expires_at(std::min(now + step, deadline));
        co_await pause.async_wait(asio::as_tuple(net::use_awaitable));
    }
}

/// A client that may use a group that is ready, but neither wakes it nor keeps it awake.
inline net::awaitable<void> udp_server::serve_without_hold(std::shared_ptr<udp_server> self, session_ptr s)
{
    auto const status = self->group_->now().status();
    if (status.state == group_state::running || status.state == group_state::idle) {
        std::string own;
        std::string const& wanted = self->config_.targets.front().member;
        for (member const& m : status.members)
            if (own.empty() && (wanted.empty() || m.name == wanted)) own = m.address;
        auto const where = co_await self->find(std::move(own), s->why);
        if (s->over) co_return;
        if (!where.empty()) {
            auto up = net::udp_socket::connect(self->commons_->executor, where.front());
            if (up) {
                s->up.emplace(std::move(*up));
                self->opened(*s);
                co_return co_await listen(self, s);
            }
        }
    }
    self->drop(*s, refusal::not_for_this_client);
}

} // namespace podproxy::wake
