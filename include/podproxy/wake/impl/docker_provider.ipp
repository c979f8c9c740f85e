#include <podproxy/net/task_group.hpp>
#include <podproxy/net/timeout.hpp>
#include <asio/error.hpp>
#include <asio/post.hpp>
#include <algorithm>
#include <array>
#include <cstdint>
#include <exception>
#include <map>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include <unistd.h>

namespace podproxy::wake {

namespace detail {

inline std::string system_hostname()
{
    std::array<char, 256> text{};
    return ::gethostname(text.data(), text.size() - 1) == 0 ? std::string(text.data()) : std::string();
}

} // namespace detail

/// What is known of an engine, and who is told. Shared with the coroutines that ask it.
struct docker_provider::state : std::enable_shared_from_this<docker_provider::state> {
    state(net::executor ex, docker::client& e, logger l, docker_provider_config c) : executor(ex), engine(e), log(l), config(std::move(c)), tasks(ex)
    {
        if (!config.hostname) config.hostname = detail::system_hostname();
    }

    /// Whether what is on its way has to be asked again, since something has happened after it was asked.
    enum class repeat { no, unless_running, yes };

    // ---- what is known

    docker::container const* own() const
    {
        auto const it = known.find(own_id);
        return it == known.end() ? nullptr : &it->second;
    }

    /// A container's id begins with its hostname, unless it was given another one.
    void find_own()
    {
        own_id.clear();
        std::string const& name = *config.hostname;
        if (name.size() < 12 || name.find_first_not_of("0123456789abcdef") != std::string::npos) return;
        auto const it = known.lower_bound(name);
        if (it != known.end() && it->first.starts_with(name)) own_id = it->first;
    }

    bool is_watched(std::string const& id) const { return watched.contains(id) || (!id.empty() && id == own_id); }

    /// Forget everything but what groups want: the engine is lost.
    void forget()
    {
        known.clear();
        watched.clear();
        inspected.clear();
        inspecting.clear();
        told.clear();
        snapshot_given = false;
    }

    void learn(docker::container c)
    {
        auto const ended = [](docker::container_status st) { return st == docker::container_status::exited || st == docker::container_status::dead; };
        auto const before = known.find(c.id);
        if (before != known.end() && !ended(before->second.status) && ended(c.status)) forget_uses(c.id, shared_use::wanted);
        inspected.insert(c.id);
        std::string id = c.id;
        known.insert_or_assign(std::move(id), std::move(c));
        update();
    }

    void unlearn(std::string const& id)
    {
        if (known.erase(id) == 0) return;
        inspected.erase(id);
        std::erase_if(uses, [&](auto const& u) { return u.first.first == id; });
        update();
    }

    void forget_uses(std::string const& id, shared_use what)
    {
        std::erase_if(uses, [&](auto const& u) { return u.first.first == id && u.second == what; });
    }

    /// Something has changed: who is a member now, and who has to be told?
    void update()
    {
        auto now = docker_members(known, config.rules, own(), uses);
        if (drop_old_uses(now.members)) now = docker_members(known, config.rules, own(), uses);
        watched = std::move(now.watched);
        std::erase_if(inspected, [this](std::string const& id) { return !watched.contains(id); });
        for (auto const& id : watched)
            if (!inspected.contains(id)) inspect_soon(id);
        if (snapshot_given) tell(std::move(now.members));
        else if (inspecting.empty()) give_snapshot();
    }

    /// A group whose own members run has what it shares in use again, whatever it did before.
    bool drop_old_uses(std::vector<member> const& members)
    {
        std::set<std::string, std::less<>> in_use;
        for (auto const& m : members)
            if (m.id.find('@') == std::string::npos && (m.state == member_state::running || m.state == member_state::starting)) in_use.insert(m.group);
        return std::erase_if(uses, [&](auto const& u) { return u.second != shared_use::wanted && in_use.contains(u.first.second); }) != 0;
    }

    // ---- telling

    void give_snapshot()
    {
        if (snapshot_given || !observer || !listed) return;
        snapshot_given = true;
        auto all = docker_members(known, config.rules, own(), uses).members;
        told.clear();
        for (auto const& m : all) told.emplace(m.id, m);
        auto missing = missing_names(known, config.rules);
        for (auto const& name : missing)
            if (!missed.contains(name)) log.warn("no container has this name yet", {{"name", name.second}, {"group", name.first}});
        missed = std::move(missing);
        observer->on_snapshot(std::move(all));
    }

    void tell(std::vector<member> members)
    {
        std::vector<member> changed;
        std::map<std::string, member> next;
        for (auto& m : members) {
            auto const before = told.find(m.id);
            // What has just become a member is told when it has been looked at.
            if (before == told.end() && !inspected.contains(std::string(container_of(m.id)))) continue;
            if (before == told.end() || before->second != m) changed.push_back(m);
            std::string id = m.id;
            next.emplace(std::move(id), std::move(m));
        }
        std::vector<std::string> gone;
        for (auto const& [id, m] : told)
            if (!next.contains(id)) gone.push_back(id);
        told = std::move(next);
        for (auto const& id : gone)
            if (observer) observer->on_removed(id);
        for (auto& m : changed)
            if (observer) observer->on_member(std::move(m));
    }

    void update_soon()
    {
        asio::post(executor, [self = weak_from_this()] {
            if (auto const s = self.lock(); s && s->snapshot_given) s->update();
        });
    }

    // ---- asking

    void inspect_soon(std::string const& id)
    {
        auto const [it, fresh] = inspecting.try_emplace(id, repeat::no);
        if (!fresh) it->second = repeat::yes; // what is on its way may be old
        else tasks.spawn(inspect(shared_from_this(), id));
    }

    /// It was started: the answer that says so may be on its way, or here already.
    void inspect_until_running(std::string const& id)
    {
        auto const it = inspecting.find(id);
        auto const c = known.find(id);
        if (it == inspecting.end() && c != known.end() && c->second.status == docker::container_status::running && inspected.contains(id)) return;
        if (it == inspecting.end()) inspect_soon(id);
        else if (it->second == repeat::no) it->second = repeat::unless_running;
    }

    /// After a command of ours: events may be late (Podman writes them to a file, and reads that four times a second).
    void look_after(std::string const& container, docker::container_status wanted)
    {
        auto const it = known.find(container);
        if (it == known.end() || it->second.status == wanted || !watched.contains(container)) return;
        if (wanted == docker::container_status::running) take_as_started(it->second);
        if (!inspecting.contains(container)) inspect_soon(container);
    }

    void look_after_soon(std::string container, docker::container_status wanted)
    {
        asio::post(executor, [self = weak_from_this(), container = std::move(container), wanted] {
            if (auto const s = self.lock(); s && s->snapshot_given) s->look_after(container, wanted);
        });
    }

    /// In the network of the machine its address does not change: that it was started tells all.
    void take_as_started(docker::container c)
    {
        bool const runs = c.status == docker::container_status::running || c.status == docker::container_status::paused; // the event was late
        if (c.network_mode != "host" || !inspected.contains(c.id) || runs) return;
        c.status = docker::container_status::running;
        c.exit_code.reset();
        c.error.clear();
        c.started_at.clear(); // the inspection tells
        if (c.health != docker::health_status::none) c.health = docker::health_status::starting;
        learn(std::move(c));
    }

    static net::awaitable<void> inspect(std::shared_ptr<state> s, std::string id)
    {
        auto pause = s->config.first_backoff;
        for (;;) {
            diagnostics why;
            auto c = co_await s->engine.inspect(id, why);
            auto const it = s->inspecting.find(id);
            if (it == s->inspecting.end()) co_return; // the engine was lost meanwhile
            if (!c && c.error() != docker::errc::not_found) {
                if (c.error() == asio::error::operation_aborted) co_return;
                bool const engine_is_there = c.error() == docker::errc::engine_error || c.error() == docker::errc::forbidden || c.error() == docker::errc::bad_answer;
                s->log.log(engine_is_there ? log_level::warn : log_level::debug, "a container can't be inspected",
                           std::array<log_field, 2>{log_field("container", id), log_field("error", why.text())});
                if (c.error() == docker::errc::forbidden) { // and never can
                    s->fail(c.error(), why);
                    co_return;
                }
                net::timer t(s->executor, pause);
                co_await t.async_wait(net::use_awaitable);
                pause = std::min(pause * 2, s->config.most_backoff);
                continue;
            }
            repeat const wish = std::exchange(it->second, repeat::no);
            bool const again = wish == repeat::yes || (wish == repeat::unless_running && c && c->status != docker::container_status::running);
            if (!again) s->inspecting.erase(it);
            // Told at once in any case: events that come faster than answers must not hide everything.
            if (c && c->id == id) {
                s->learn(std::move(*c));
            } else {
                s->unlearn(id);
                s->inspecting.erase(id);
                if (!s->snapshot_given) s->update();
                co_return;
            }
            if (!again) co_return;
        }
    }

    static net::awaitable<void> give_snapshot_later(std::shared_ptr<state> s)
    {
        net::timer t(s->executor, s->config.snapshot_limit);
        co_await t.async_wait(net::use_awaitable);
        s->give_snapshot();
    }

    /// The engine can't be used as it is.
    void fail(std::error_code ec, diagnostics const& why)
    {
        failure = ec;
        failure_why = why;
        if (events) events->close();
    }

    // ---- following

    void on_event(docker::event const& e)
    {
        using kind = docker::event_kind;
        auto const it = known.find(e.id);
        switch (e.kind) {
        case kind::other: return;
        case kind::removed: unlearn(e.id); return;
        case kind::created:
        case kind::renamed: break;
        case kind::moved:
            if (it == known.end() || !is_watched(e.id) || it->second.status != docker::container_status::running) return;
            break;
        case kind::started:
        case kind::changed:
            if (it != known.end() && !is_watched(e.id)) return;
            break;
        }
        if (e.kind == kind::started) {
            inspect_until_running(e.id);
            if (it != known.end()) take_as_started(it->second);
        } else {
            inspect_soon(e.id);
        }
    }

    /// From a connection to its end.
    static net::awaitable<std::error_code> follow(std::shared_ptr<state> s, diagnostics& why)
    {
        s->failure.clear();
        auto const there = co_await s->engine.connect(why);
        if (!there) co_return there.error();
        auto stream = co_await s->engine.events(why);
        if (!stream) co_return stream.error();
        auto all = co_await s->engine.list(why);
        if (!all) co_return all.error();
        s->known.clear();
        for (auto& c : *all) {
            std::string id = c.id;
            s->known.insert_or_assign(std::move(id), std::move(c));
        }
        s->find_own();
        std::erase_if(s->uses, [&](auto const& u) { return !s->known.contains(u.first.first); });

        struct listing {
            state* s;
            ~listing()
            {
                s->listed = false;
                s->events = nullptr;
            }
        } const until_lost{s.get()};
        s->listed = true;
        s->events = stream->get();
        s->tasks.spawn(give_snapshot_later(s));
        s->update();
        for (;;) {
            auto e = co_await net::with_deadline((*stream)->next(), s->config.check_every);
            if (s->failure) {
                why = s->failure_why;
                co_return s->failure;
            }
            if (e) {
                s->on_event(*e);
                while (auto const more = (*stream)->next_buffered()) s->on_event(*more);
                continue;
            }
            if (e.error() == asio::error::operation_aborted) co_return e.error();
            if (e.error() != podproxy::errc::timed_out) {
                why.message = "the container engine at " + to_string(s->engine.where()) + " has ended its events: " + e.error().message();
                co_return e.error();
            }
            auto const still = co_await s->engine.connect(why);
            if (!still) co_return still.error();
        }
    }

    static net::awaitable<void> follow_for_ever(std::shared_ptr<state> s)
    {
        auto backoff = s->config.first_backoff;
        std::error_code last;
        for (;;) {
            diagnostics why;
            auto const begun = net::clock::now();
            std::error_code const ec = co_await follow(s, why);
            auto const cancelled = co_await asio::this_coro::cancellation_state;
            if (cancelled.cancelled() != asio::cancellation_type::none) co_return;
            s->tasks.cancel();
            co_await s->tasks.join();
            bool const was_there = s->snapshot_given;
            s->forget();
            if (net::clock::now() - begun > s->config.most_backoff) backoff = s->config.first_backoff;
            if ((was_there || ec != last) && s->observer) s->observer->on_lost(ec, why);
            last = ec;
            s->jitter = s->jitter * 1664525u + 1013904223u;
            auto const wait = backoff / 2 + backoff / 2 * (s->jitter >> 24) / 255;
            backoff = std::min(backoff * 2, s->config.most_backoff);
            net::timer t(s->executor, wait);
            co_await t.async_wait(net::use_awaitable);
        }
    }

    // ---- members that several groups share

    static bool is_shared(std::string const& member_id) { return member_id.find('@') != std::string::npos; }

    /// Whether a container is in use by another group than `group`.
    bool used_by_others(std::string const& container, std::string const& group) const
    {
        auto const all = docker_members(known, config.rules, own(), uses).members;
        return std::ranges::any_of(all, [&](member const& m) {
            return container_of(m.id) == container && m.group != group && (m.state == member_state::running || m.state == member_state::starting);
        });
    }

    // ---- commands

    static net::awaitable<result<void>> start(std::shared_ptr<state> s, member who, diagnostics& why)
    {
        std::string const container(container_of(who.id));
        auto const done = co_await s->engine.start(container, why);
        if (!done) {
            why.message = "can't start " + who.name + ": " + why.message;
        } else if (is_shared(who.id)) {
            s->uses[{container, who.group}] = shared_use::wanted;
            s->update_soon();
        }
        if (done) s->look_after_soon(container, docker::container_status::running);
        co_return done;
    }

    static net::awaitable<result<void>> stop(std::shared_ptr<state> s, member who, std::optional<std::chrono::seconds> timeout, diagnostics& why)
    {
        std::string const container(container_of(who.id));
        if (is_shared(who.id)) {
            s->uses[{container, who.group}] = shared_use::stopped;
            s->update_soon();
            if (s->used_by_others(container, who.group)) co_return result<void>{};
        }
        auto const done = co_await s->engine.stop(container, timeout, why);
        if (!done) {
            s->uses.erase({container, who.group});
            s->update_soon();
            why.message = "can't stop " + who.name + ": " + why.message;
        }
        if (done) s->look_after_soon(container, docker::container_status::exited);
        co_return done;
    }

    static net::awaitable<result<void>> pause(std::shared_ptr<state> s, member who, diagnostics& why)
    {
        std::string const container(container_of(who.id));
        if (is_shared(who.id)) {
            s->uses[{container, who.group}] = shared_use::paused;
            s->update_soon();
            if (s->used_by_others(container, who.group)) co_return result<void>{};
        }
        auto const done = co_await s->engine.pause(container, why);
        if (!done) {
            s->uses.erase({container, who.group});
            s->update_soon();
            why.message = "can't pause " + who.name + ": " + why.message;
        }
        if (done) s->look_after_soon(container, docker::container_status::paused);
        co_return done;
    }

    static net::awaitable<result<void>> unpause(std::shared_ptr<state> s, member who, diagnostics& why)
    {
        std::string const container(container_of(who.id));
        auto const done = co_await s->engine.unpause(container, why);
        if (!done) {
            why.message = "can't unpause " + who.name + ": " + why.message;
        } else if (is_shared(who.id)) {
            s->uses[{container, who.group}] = shared_use::wanted;
            s->update_soon();
        }
        if (done) s->look_after_soon(container, docker::container_status::running);
        co_return done;
    }

    static net::awaitable<result<void>> set_resources(std::shared_ptr<state> s, member who, resources limits, diagnostics& why)
    {
        std::string const container(container_of(who.id));
        docker::limits what;
        what.nano_cpus = limits.nano_cpus;
        what.memory_bytes = limits.memory_bytes;
        if (is_shared(who.id) && s->used_by_others(container, who.group)) co_return result<void>{};
        auto const done = co_await s->engine.update(container, what, why);
        if (!done) why.message = "can't change the limits of " + who.name + ": " + why.message;
        co_return done;
    }

    static net::awaitable<std::string> last_line(std::shared_ptr<state> s, member who)
    {
        std::string const container(container_of(who.id));
        co_return co_await s->engine.last_line(container);
    }

    net::executor executor;
    docker::client& engine;
    logger log;
    docker_provider_config config;
    net::task_group tasks;

    member_observer* observer = nullptr;
    docker::event_stream* events = nullptr;
    std::map<std::string, docker::container> known; ///< all containers of the engine; what is not watched may be old
    std::string own_id;
    std::set<std::string, std::less<>> watched;
    std::set<std::string, std::less<>> inspected;   ///< of the watched ones: those that were looked at since they are
    std::map<std::string, repeat> inspecting;       ///< on its way
    std::map<std::string, member> told;
    shared_uses uses;
    bool listed = false;
    bool snapshot_given = false;
    std::set<std::pair<std::string, std::string>> missed; ///< Configured names that no container had, by group: said once.
    std::error_code failure;
    diagnostics failure_why;
    std::uint32_t jitter = static_cast<std::uint32_t>(net::clock::now().time_since_epoch().count());
};

inline docker_provider::docker_provider(net::executor ex, docker::client& engine, logger log, docker_provider_config config)
    : state_(std::make_shared<state>(ex, engine, log, std::move(config)))
{
}

inline docker_provider::~docker_provider()
{
    state_->observer = nullptr;
    state_->tasks.cancel();
}

inline std::string_view docker_provider::name() const noexcept { return state_->engine.engine(); }

inline net::awaitable<void> docker_provider::run(member_observer& observer)
{
    auto const s = state_;
    s->observer = &observer;
    std::exception_ptr ended;
    try {
        co_await state::follow_for_ever(s);
    } catch (...) {
        ended = std::current_exception();
    }
    co_await asio::this_coro::reset_cancellation_state();
    s->observer = nullptr;
    s->tasks.cancel();
    co_await s->tasks.join(); // ends at once: all of them are cancelled
    s->forget();
    if (ended) std::rethrow_exception(ended);
}

// The members are copied before the commands begin: whoever calls may let them go.

inline net::awaitable<result<void>> docker_provider::start(member const& m, diagnostics& why) { return state::start(state_, m, why); }

inline net::awaitable<result<void>> docker_provider::stop(member const& m, std::optional<std::chrono::seconds> timeout, diagnostics& why)
{
    return state::stop(state_, m, timeout, why);
}

inline net::awaitable<result<void>> docker_provider::pause(member const& m, diagnostics& why) { return state::pause(state_, m, why); }

inline net::awaitable<result<void>> docker_provider::unpause(member const& m, diagnostics& why) { return state::unpause(state_, m, why); }

inline net::awaitable<result<void>> docker_provider::set_resources(member const& m, resources const& limits, diagnostics& why)
{
    return state::set_resources(state_, m, limits, why);
}

inline net::awaitable<std::string> docker_provider::last_line(member const& m) { return state::last_line(state_, m); }

} // namespace podproxy::wake
