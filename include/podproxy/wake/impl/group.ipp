#include <podproxy/net/task_group.hpp>
#include <podproxy/net/wait_slot.hpp>
#include <podproxy/wake/group_fsm.hpp>
#include <asio/error.hpp>
#include <asio/post.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <random>
#include <utility>

namespace podproxy::wake {

namespace detail {

/** What a group is made of. Owned by the group, by those who wait and by the holds that outlive it; without the group it does nothing. */
class group_core : public std::enable_shared_from_this<group_core> {
public:
    group_core(net::executor ex, provider& engine, group_config config, logger log)
        : executor_(ex), engine_(engine), log_(log), fsm_(std::move(config), noun_for(engine.name()), seed()), timer_(ex), tasks_(ex)
    {
        ended_.before = ended_.after = &ended_;
        held_.before = held_.after = &held_;
    }

    static net::awaitable<result<group_use>> acquire(std::shared_ptr<group_core> self, std::string who, diagnostics& why, group_fsm::client_kind kind);
    std::optional<group_use> try_acquire();

    /// Tell the machine something, then do what it wants.
    template <class Call>
    void with(Call const& call)
    {
        call(fsm_);
        pump();
    }
    group_fsm& fsm() noexcept { return fsm_; }
    void wake_now(std::string who);
    void port(std::string_view what);
    void shut_down();
    void close();
    net::awaitable<void> join() { return tasks_->join(); }
    group_status status() const;

    // For holds.
    std::uint64_t run() const noexcept { return run_; }
    void moved(std::uint64_t bytes, std::uint64_t packets) noexcept
    {
        if (fsm_.moved(bytes, packets)) use_noticed();
    }
    void dropped(group_use& use) noexcept;
    void call_on_end(group_use& use);

private:
    struct waiter {
        waiter(group_core& c, std::string w) : slot(c.executor_), who(std::move(w)) {}
        net::wait_slot slot;
        std::string who;
        bool settled = false;
        group_use use;
        errc error{};
        std::string text;
        std::string line;
    };
    /// Takes a client that leaves off the list.
    struct leaving {
        group_core& core;
        waiter& w;
        ~leaving()
        {
            if (!w.settled) core.leave(w);
        }
    };

    static std::string noun_for(std::string_view engine)
    {
        if (engine.starts_with("kubernetes")) return "workload";
        if (engine.starts_with("systemd")) return "unit";
        return "container";
    }
    static std::uint64_t seed()
    {
        std::random_device random;
        return (std::uint64_t{random()} << 32 | random()) | 1;
    }

    static net::awaitable<void> carry_out(std::shared_ptr<group_core> self, group_action a);
    static net::awaitable<void> ask_line(std::shared_ptr<group_core> self, member m);

    void pump();
    void perform(group_action& a);
    void arm();
    void leave(waiter& w) noexcept;
    void use_noticed() noexcept;
    group_use make_use();
    void settle_all(group_action const& a);
    void end_holds();
    void tell_ended();
    static void unlink(use_link& l) noexcept;
    static void link(use_link& head, use_link& l) noexcept;
    void note_state();
    void note_use();
    void note_begun();
    void note_done(group_action const& a);
    void note_failed(group_action const& a);
    std::string sentence(std::string_view text) const { return "group " + fsm_.config().name + ": " + std::string(text); }
    static std::string with_line(std::string text, std::string_view line);
    static void tell(diagnostics& why, std::string message, std::string_view line);
    std::chrono::milliseconds since_begun() const
    {
        return std::chrono::duration_cast<std::chrono::milliseconds>(net::clock::now() - begun_);
    }

    net::executor executor_;
    provider& engine_;
    logger log_;
    group_fsm fsm_;
    std::optional<net::timer> timer_;
    std::optional<net::clock::time_point> armed_;
    std::optional<net::task_group> tasks_;
    std::list<waiter*> waiters_; ///< In the order of their arrival.
    std::uint64_t run_ = 1;
    std::uint64_t life_ = 0;
    use_link ended_;             ///< Holds that have ended and are to be told.
    use_link held_;              ///< Those of the present run.
    bool pumping_ = false;
    bool closed_ = false;
    bool used_ = false; ///< As the engine was told.

    // For the log and the status page.
    group_state shown_ = group_state::stopped;
    std::string asked_by_;
    bool record_open_ = false;
    bool port_told_ = false;
    net::clock::time_point begun_{};
    std::deque<group_status::start> starts_;
    wait_histogram start_times_;
    std::uint64_t start_count_ = 0, failed_count_ = 0, stop_count_ = 0, refused_count_ = 0;
};

// Clients --------------------------------------------------------------------------------------------------------------------------

inline net::awaitable<result<group_use>> group_core::acquire(std::shared_ptr<group_core> self, std::string who, diagnostics& why,
                                                             group_fsm::client_kind kind)
{
    waiter w(*self, std::move(who));
    self->asked_by_ = w.who;
    auto a = self->fsm_.client_arrived(net::clock::now(), kind);
    if (a.what == group_fsm::arrival::kind::refused) {
        ++self->refused_count_;
        tell(why, self->sentence(a.text), a.line);
        self->pump();
        co_return a.error;
    }
    if (a.what == group_fsm::arrival::kind::held) {
        w.use = self->make_use();
        self->pump();
        co_return std::move(w.use);
    }
    self->waiters_.push_back(&w);
    leaving const guard{*self, w};
    self->pump();
    if (!w.settled) {
        auto const [ec] = co_await w.slot.async_wait(asio::as_tuple(net::use_awaitable)); // ends with the wake: `start_limit`
        if (!w.settled) co_return ec ? ec : std::error_code(asio::error::operation_aborted);
    }
    if (w.use.core_) co_return std::move(w.use);
    tell(why, self->sentence(w.text), w.line);
    co_return w.error;
}

inline std::optional<group_use> group_core::try_acquire()
{
    if (!fsm_.take_hold(net::clock::now())) return std::nullopt;
    std::optional<group_use> out(make_use());
    pump();
    return out;
}

/// A client that waited has gone. Called while its coroutine is destroyed, too.
inline void group_core::leave(waiter& w) noexcept
{
    waiters_.remove(&w);
    if (closed_) return;
    fsm_.client_left(net::clock::now());
    pump();
}

/// All who wait have an answer.
inline void group_core::settle_all(group_action const& a)
{
    auto all = std::exchange(waiters_, {});
    for (waiter* const w : all) {
        if (a.what == group_action::kind::release) {
            w->use = make_use();
        } else {
            w->error = a.error;
            w->text = a.text;
            w->line = a.line;
            ++refused_count_;
        }
        w->settled = true;
        w->slot.complete({});
    }
}

// Holds ----------------------------------------------------------------------------------------------------------------------------

inline void group_core::unlink(use_link& l) noexcept
{
    if (!l.before) return;
    l.before->after = l.after;
    l.after->before = l.before;
    l.before = l.after = nullptr;
}

inline void group_core::link(use_link& head, use_link& l) noexcept
{
    l.before = head.before;
    l.after = &head;
    head.before->after = &l;
    head.before = &l;
}

inline group_use group_core::make_use()
{
    group_use out;
    out.core_ = shared_from_this();
    out.run_ = run_;
    out.life_ = life_;
    link(held_, out);
    return out;
}

inline void group_core::dropped(group_use& use) noexcept
{
    unlink(use);
    if (closed_ || use.run_ != run_) return;
    fsm_.hold_dropped(net::clock::now());
    pump();
}

inline void group_core::call_on_end(group_use& use)
{
    if (closed_ || use.run_ == run_) return;
    unlink(use);
    link(ended_, use);
    tell_ended();
}

/// The holds of this run are not alive any more.
inline void group_core::end_holds()
{
    ++run_;
    if (held_.after == &held_) return;
    // All of them move behind those that have ended before.
    use_link* const first = held_.after;
    use_link* const last = held_.before;
    first->before = ended_.before;
    ended_.before->after = first;
    last->after = &ended_;
    ended_.before = last;
    held_.before = held_.after = &held_;
    tell_ended();
}

inline void group_core::tell_ended()
{
    asio::post(executor_, [self = shared_from_this()] {
        while (!self->closed_ && self->ended_.after != &self->ended_) {
            auto& use = static_cast<group_use&>(*self->ended_.after);
            unlink(use);
            if (auto const f = std::exchange(use.on_end_, {})) f(); // may do away with the hold
        }
    });
}

inline void group_core::use_noticed() noexcept
{
    asked_by_ = "traffic";
    with([](group_fsm& f) { f.use_noticed(net::clock::now()); });
}

// What the machine wants -----------------------------------------------------------------------------------------------------------

inline void group_core::pump()
{
    if (pumping_ || closed_) return; // a command that ends at once comes back here
    pumping_ = true;
    for (auto actions = fsm_.take_actions(); !actions.empty(); actions = fsm_.take_actions())
        for (auto& a : actions) perform(a);
    pumping_ = false;
    note_state();
    note_use();
    arm();
}

/// The engine may be one that others use, too.
inline void group_core::note_use()
{
    std::size_t const clients = fsm_.waiting() + fsm_.in_use();
    if ((clients != 0) == used_) return;
    used_ = clients != 0;
    engine_.note_use(fsm_.config().name, clients);
}

inline void group_core::perform(group_action& a)
{
    using k = group_action::kind;
    switch (a.what) {
    case k::command: tasks_->spawn(carry_out(shared_from_this(), std::move(a))); break;
    case k::ask_line: tasks_->spawn(ask_line(shared_from_this(), std::move(a.target))); break;
    case k::release:
    case k::refuse: settle_all(a); break;
    case k::end_holds: end_holds(); break;
    case k::wake_begun: note_begun(); break;
    case k::wake_done: note_done(a); break;
    case k::wake_failed: note_failed(a); break;
    case k::rested:
        ++stop_count_;
        record_open_ = false;
        break;
    case k::report: log_.log(a.level, sentence(with_line(std::move(a.text), a.line)), {}); break;
    }
}

inline net::awaitable<void> group_core::carry_out(std::shared_ptr<group_core> self, group_action a)
{
    provider& engine = self->engine_;
    diagnostics why;
    result<void> done;
    switch (a.command) {
    case member_command::start: done = co_await engine.start(a.target, why); break;
    case member_command::stop: done = co_await engine.stop(a.target, self->fsm_.config().stop_timeout, why); break;
    case member_command::pause: done = co_await engine.pause(a.target, why); break;
    case member_command::unpause: done = co_await engine.unpause(a.target, why); break;
    case member_command::limit: done = co_await engine.set_resources(a.target, a.limits, why); break;
    case member_command::none: break;
    }
    if (self->closed_) co_return;
    self->fsm_.command_done(a.target.id, a.command, done.error(), why.text(), net::clock::now());
    self->pump();
}

inline net::awaitable<void> group_core::ask_line(std::shared_ptr<group_core> self, member m)
{
    std::string line = co_await self->engine_.last_line(m);
    if (self->closed_) co_return;
    self->fsm_.line_is(m.id, std::move(line), net::clock::now());
    self->pump();
}

/// One timer, which is set anew only when it would come too late: coming early costs less than being moved for every client.
inline void group_core::arm()
{
    auto const next = fsm_.next_timer();
    if (!next || (armed_ && *armed_ <= *next)) return;
    armed_ = next;
    timer_->expires_at(*next);
    timer_->async_wait([weak = weak_from_this()](std::error_code ec) {
        auto const self = weak.lock();
        if (ec || !self || self->closed_) return;
        self->armed_.reset();
        self->fsm_.tick(net::clock::now());
        self->pump();
    });
}

inline void group_core::wake_now(std::string who)
{
    asked_by_ = std::move(who);
    with([](group_fsm& f) { f.wake(net::clock::now()); });
}

inline void group_core::port(std::string_view what)
{
    if (what.empty()) {
        port_told_ = false;
        fsm_.port_opened(net::clock::now());
        return;
    }
    if (!std::exchange(port_told_, true)) {
        log_.warn(sentence(what));
        ++failed_count_;
        if (!starts_.empty() && starts_.front().error.empty()) starts_.front().error = std::string(what);
    }
    with([](group_fsm& f) { f.port_failed(net::clock::now()); });
}

inline void group_core::shut_down()
{
    if (closed_) return;
    fsm_.shut_down();
    pump();
    timer_->cancel();
    tasks_->cancel();
}

inline void group_core::close()
{
    shut_down();
    closed_ = true;
    ++run_;
    timer_.reset();
    tasks_.reset();
}

// For the log and the status page --------------------------------------------------------------------------------------------------

inline std::string group_core::with_line(std::string text, std::string_view line)
{
    diagnostics all;
    tell(all, std::move(text), line);
    return all.text();
}

inline void group_core::tell(diagnostics& why, std::string message, std::string_view line)
{
    why.message = std::move(message);
    why.set_server_text(line);
}

inline void group_core::note_state()
{
    group_state const now = fsm_.state();
    group_state const before = std::exchange(shown_, now);
    if (now == before) return;
    auto const ready = [](group_state s) { return s == group_state::running || s == group_state::idle; };
    // Between clients that come and go there is nothing that a user wants to know.
    log_level const level = ready(now) && ready(before) ? log_level::debug : log_level::info;
    if (!log_.wants(level)) return;
    std::string const text = sentence(to_string(now));
    log_field const was("was", to_string(before));
    if (now == group_state::starting && !asked_by_.empty()) {
        log_field const fields[] = {was, {"for", asked_by_}};
        log_.log(level, text, fields);
    } else if (ready(now) && !ready(before) && !starts_.empty() && starts_.front().error.empty()) {
        log_field const fields[] = {was, {"took", starts_.front().took}, {"for", starts_.front().reason}};
        log_.log(level, text, fields);
    } else {
        log_.log(level, text, {&was, 1});
    }
}

inline void group_core::note_begun()
{
    begun_ = net::clock::now();
    record_open_ = true;
    port_told_ = false;
    ++start_count_;
    group_status::start s;
    s.when = wall_now();
    s.reason = waiters_.empty() ? asked_by_ : waiters_.front()->who;
    starts_.push_front(std::move(s));
    if (starts_.size() > 10) starts_.pop_back();
}

inline void group_core::note_done(group_action const& a)
{
    ++life_;
    if (std::exchange(record_open_, false)) {
        starts_.front().took = since_begun();
        start_times_.add(starts_.front().took);
    } else if (!a.text.empty()) {
        note_begun();
        --start_count_; // it was not us
        record_open_ = false;
        starts_.front().reason = a.text;
    }
}

inline void group_core::note_failed(group_action const& a)
{
    ++failed_count_;
    std::string error = with_line(a.text, a.line);
    if (std::exchange(record_open_, false)) {
        starts_.front().took = since_begun();
        starts_.front().error = std::move(error);
    } else if (shown_ == group_state::running || shown_ == group_state::idle) {
        if (!starts_.empty() && starts_.front().error.empty()) starts_.front().error = std::move(error); // it had seemed to succeed
    } else {
        note_begun();
        --start_count_; // nothing of it has begun
        record_open_ = false;
        starts_.front().error = std::move(error);
    }
    // What a member has done wrong has been reported already.
    if (a.error != errc::start_failed && a.error != errc::start_timed_out) log_.warn(sentence(a.text));
}

inline group_status group_core::status() const
{
    auto const now = net::clock::now();
    group_status out;
    out.name = fsm_.config().name;
    out.engine = std::string(engine_.name());
    out.state = fsm_.state();
    out.engine_reachable = fsm_.engine_known();
    out.waiting = fsm_.waiting();
    out.in_use = fsm_.in_use();
    out.idle_left = fsm_.idle_left(now);
    out.members = fsm_.members();
    out.last_starts.assign(starts_.begin(), starts_.end());
    out.starts = start_count_;
    out.failed_starts = failed_count_;
    out.stops = stop_count_;
    out.refused = refused_count_;
    out.start_times = start_times_;
    return out;
}

} // namespace detail

// group_use ------------------------------------------------------------------------------------------------------------------------

inline group_use::group_use(group_use&& other) noexcept { take(other); }

inline group_use& group_use::operator=(group_use&& other) noexcept
{
    if (this != &other) {
        drop();
        take(other);
    }
    return *this;
}

inline group_use::~group_use() { drop(); }

inline void group_use::take(group_use& other) noexcept
{
    core_ = std::move(other.core_);
    run_ = std::exchange(other.run_, 0);
    life_ = std::exchange(other.life_, 0);
    on_end_ = std::exchange(other.on_end_, {});
    before = std::exchange(other.before, nullptr);
    after = std::exchange(other.after, nullptr);
    if (before) {
        before->after = this;
        after->before = this;
    }
}

inline void group_use::drop() noexcept
{
    if (auto const core = std::exchange(core_, {})) core->dropped(*this);
    on_end_ = {};
}

inline void group_use::moved(std::uint64_t bytes, std::uint64_t packets) noexcept
{
    if (alive()) core_->moved(bytes, packets);
}

inline bool group_use::alive() const noexcept { return core_ && core_->run() == run_; }

inline void group_use::on_end(std::function<void()> f)
{
    on_end_ = std::move(f);
    if (on_end_ && core_) core_->call_on_end(*this);
}

inline std::string group_use::address(std::string_view member) const { return core_ ? core_->fsm().address(member) : std::string(); }
inline std::uint64_t group_use::life() const noexcept { return life_; }

// group ----------------------------------------------------------------------------------------------------------------------------

inline group::group(net::executor ex, provider& engine, group_config config, logger log)
    : core_(std::make_shared<detail::group_core>(ex, engine, std::move(config), log))
{
}

inline group::~group() { core_->close(); }

inline group_config const& group::config() const noexcept { return core_->fsm().config(); }

inline net::awaitable<result<group_use>> group::acquire(std::string who, diagnostics& why)
{
    return detail::group_core::acquire(core_, std::move(who), why, group_fsm::client_kind::new_one);
}

inline net::awaitable<result<group_use>> group::acquire_again(std::string who, diagnostics& why)
{
    return detail::group_core::acquire(core_, std::move(who), why, group_fsm::client_kind::back_again);
}

inline std::optional<group_use> group::try_acquire() { return core_->try_acquire(); }
inline void group::port_failed(std::string_view what) { core_->port(what); }
inline group_status group::status() const { return core_->status(); }
inline void group::wake_now(std::string who) { core_->wake_now(std::move(who)); }

inline void group::stop_now()
{
    core_->with([](group_fsm& f) { f.stop(net::clock::now()); });
}

inline void group::members_are(std::vector<member> all)
{
    core_->with([&](group_fsm& f) { f.members_are(std::move(all), net::clock::now()); });
}

inline void group::member_changed(member m)
{
    core_->with([&](group_fsm& f) { f.member_changed(std::move(m), net::clock::now()); });
}

inline void group::member_removed(std::string_view id)
{
    core_->with([&](group_fsm& f) { f.member_removed(id, net::clock::now()); });
}

inline void group::engine_lost(std::error_code ec, diagnostics const& why)
{
    core_->with([&](group_fsm& f) { f.engine_lost(why.empty() ? ec.message() : why.text(), net::clock::now()); });
}

inline void group::shut_down() { core_->shut_down(); }
inline net::awaitable<void> group::join() { return core_->join(); }

} // namespace podproxy::wake
