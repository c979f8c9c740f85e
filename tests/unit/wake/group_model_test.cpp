#include <podproxy/core/error.hpp>
#include <podproxy/wake/group_fsm.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

// A model checker: the machine of a group beside a small engine and a few clients. All orders of what engine, members, clients and time can
// do are tried up to a depth, from several points of a group's life; equal states are visited once.

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PODPROXY_TEST_SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PODPROXY_TEST_SLOW 1
#endif
#endif

using namespace podproxy::wake;
using namespace std::chrono_literals;

namespace {

#ifdef PODPROXY_TEST_SLOW
constexpr int less_depth = 2;
#else
constexpr int less_depth = 0;
#endif

constexpr auto a_while = 65s; ///< Longer than the idle time.

struct violation {
    std::string what;
};

/// What a model is made of.
struct setting {
    group_config config;
    std::vector<member> members;
    bool tells_runs = false;
    bool ends_well = false; ///< Members may end with code 0, too.
};

/// A container at the engine.
struct real {
    member m;
    bool exists = true;
    bool has_health = false;
    bool is_job = false;
    bool is_optional = false;
};

/// The machine, the engine, the clients and the time. Copied for each step that is tried.
class world {
public:
    explicit world(setting const& s) : fsm(s.config), tells_runs_(s.tells_runs)
    {
        for (auto const& m : s.members) {
            real r;
            r.m = m;
            r.has_health = m.health != health_state::none;
            for (auto const& other : s.members)
                for (auto const& d : other.depends_on) {
                    r.is_job = r.is_job || (d.service == m.service && d.condition == dependency_condition::completed);
                    r.is_optional = r.is_optional || (d.service == m.service && !d.required);
                }
            reals_.push_back(std::move(r));
        }
        snapshot();
    }

    group_fsm fsm;
    std::string trace;

    // --- what can happen

    /// All steps that make sense now, by name.
    std::vector<std::pair<std::string, std::function<void(world&)>>> steps(setting const& s) const
    {
        std::vector<std::pair<std::string, std::function<void(world&)>>> out;
        auto const add = [&out](std::string name, auto f) { out.emplace_back(std::move(name), std::move(f)); };
        if (waiting_ + holds_ < 2) add("connect", [](world& w) { w.connect(); });
        if (waiting_ != 0) add("leave", [](world& w) { w.leave(); });
        if (holds_ != 0) add("close", [](world& w) { w.drop(); });
        if (holds_ != 0 && s.config.use != use_rule::connections) add("data", [](world& w) { w.data(); });
        if (fsm.next_timer()) add("timer", [](world& w) { w.timer(); });
        if (!fsm.next_timer() || *fsm.next_timer() > now_ + a_while) add("a while", [](world& w) { w.wait(); });
        if (line_asked_) add("line", [](world& w) { w.line(); });
        if (!engine_up_) {
            add("engine back", [](world& w) { w.engine_back(); });
            return out;
        }
        add("engine lost", [](world& w) { w.engine_lost(); });
        if (!news_.empty()) add("news", [](world& w) { w.deliver(); });
        for (std::size_t i = 0; i < commands_.size(); ++i) {
            auto const name = " " + commands_[i].id;
            if (commands_[i].carried_out) {
                add("answer" + name, [i](world& w) { w.answer(i); });
            } else {
                add("carry out" + name, [i](world& w) { w.carry_out(i); });
                add("fail" + name, [i](world& w) { w.fail(i); });
            }
        }
        for (std::size_t i = 0; i < reals_.size(); ++i) {
            real const& r = reals_[i];
            auto const name = " " + r.m.name;
            if (!r.exists) {
                if (!r.m.id.ends_with('\'')) add("create" + name, [i](world& w) { w.create(i); }); // once is enough, and keeps states few
                continue;
            }
            add("remove" + name, [i](world& w) { w.remove(i); });
            if (r.m.state == member_state::running) {
                add("die" + name, [i](world& w) { w.end(i, 1); });
                if (s.ends_well) add("complete" + name, [i](world& w) { w.end(i, 0); });
                add("pause" + name, [i](world& w) { w.become(i, member_state::paused); });
                if (r.has_health && r.m.health != health_state::healthy) add("healthy" + name, [i](world& w) { w.health(i, health_state::healthy); });
                if (r.has_health && r.m.health != health_state::unhealthy) add("unhealthy" + name, [i](world& w) { w.health(i, health_state::unhealthy); });
            } else if (r.m.state == member_state::stopped) {
                add("start outside" + name, [i](world& w) { w.run(i); });
            }
        }
        return out;
    }

    void connect()
    {
        ++arrived_;
        auto const a = fsm.client_arrived(now_);
        if (a.what == group_fsm::arrival::kind::waits) {
            if (waiting_++ == 0) {
                waits_since_ = now_;
                wake_starts_.clear();
                lost_ = 0;
            }
        } else if (a.what == group_fsm::arrival::kind::held) {
            hold();
        } else if (a.text.empty()) {
            throw violation{"refused without a reason"};
        }
        settle();
    }
    void leave()
    {
        --waiting_;
        fsm.client_left(now_);
        settle();
    }
    void drop()
    {
        --holds_;
        fsm.hold_dropped(now_);
        last_use_ = std::max(last_use_, connections() ? now_ : last_use_);
        settle();
    }
    void data()
    {
        last_use_ = now_;
        if (fsm.moved(1, 1)) fsm.use_noticed(now_);
        settle();
    }
    void timer()
    {
        auto const next = *fsm.next_timer();
        if (next < now_) throw violation{"a timer in the past"};
        now_ = next;
        fsm.tick(now_);
        settle();
        if (fsm.next_timer() && *fsm.next_timer() <= now_) throw violation{"a timer that does not go on"};
    }
    void wait()
    {
        now_ += a_while;
        fsm.tick(now_);
        settle();
    }
    void line()
    {
        std::string const id = std::exchange(*line_asked_, {});
        line_asked_.reset();
        fsm.line_is(id, "boom", now_);
        settle();
    }
    void engine_lost()
    {
        engine_up_ = false;
        news_.clear();
        fsm.engine_lost("gone", now_);
        // What is in flight fails; whether it was carried out, nobody knows.
        mishaps_ += commands_.size();
        lost_ += commands_.size();
        for (auto const& c : std::exchange(commands_, {})) fsm.command_done(c.id, c.what, podproxy::errc::unavailable, "gone", now_);
        settle();
    }
    void engine_back()
    {
        engine_up_ = true;
        snapshot();
        settle();
    }
    void deliver()
    {
        auto const n = std::move(news_.front());
        news_.pop_front();
        if (n.m.state != member_state::running) rested_.erase(n.m.id);
        if (n.removed)
            fsm.member_removed(n.m.id, now_);
        else
            fsm.member_changed(n.m, now_);
        settle();
    }
    void carry_out(std::size_t i)
    {
        commands_[i].carried_out = true;
        std::size_t const at = index(commands_[i].id);
        if (at == reals_.size()) return; // it has been removed meanwhile
        switch (commands_[i].what) {
        case member_command::start: run(at); break;
        case member_command::unpause:
            if (reals_[at].m.state == member_state::paused) become(at, member_state::running);
            break;
        case member_command::stop:
            if (reals_[at].m.state != member_state::stopped) end(at, 0);
            break;
        case member_command::pause:
            if (reals_[at].m.state == member_state::running) become(at, member_state::paused);
            break;
        case member_command::limit:
        case member_command::none: break;
        }
    }
    void answer(std::size_t i)
    {
        auto const c = commands_[i];
        commands_.erase(commands_.begin() + static_cast<std::ptrdiff_t>(i));
        bool const rests = c.what == member_command::stop || c.what == member_command::pause;
        // What it did may not have been told yet.
        auto const shown = fsm.members();
        bool const runs = std::any_of(shown.begin(), shown.end(), [&](member const& m) { return m.id == c.id && m.state == member_state::running; });
        auto const told = std::find_if(news_.begin(), news_.end(), [&](news const& n) { return n.m.id == c.id; });
        if (rests && runs && told != news_.end() && told->m.state != member_state::running) rested_[c.id] = now_;
        fsm.command_done(c.id, c.what, {}, {}, now_);
        settle();
    }
    void fail(std::size_t i)
    {
        auto const c = commands_[i];
        commands_.erase(commands_.begin() + static_cast<std::ptrdiff_t>(i));
        ++mishaps_;
        fsm.command_done(c.id, c.what, podproxy::errc::malformed, "no", now_);
        settle();
    }
    void create(std::size_t i)
    {
        real& r = reals_[i];
        ++mishaps_;
        r.exists = true;
        r.m.id += "'";
        r.m.state = member_state::stopped;
        r.m.exit_code.reset();
        r.m.run.clear();
        tell(i);
    }
    void remove(std::size_t i)
    {
        ++mishaps_;
        reals_[i].exists = false;
        reals_[i].m.state = member_state::stopped;
        news_.push_back({reals_[i].m, true});
    }
    void run(std::size_t i)
    {
        real& r = reals_[i];
        if (r.m.state == member_state::running) return;
        if (tells_runs_) r.m.run = std::to_string(++runs_);
        if (r.has_health) r.m.health = health_state::starting;
        r.m.exit_code.reset();
        become(i, member_state::running);
    }
    void end(std::size_t i, int code)
    {
        ++mishaps_;
        reals_[i].m.exit_code = code;
        become(i, member_state::stopped);
    }
    void become(std::size_t i, member_state s)
    {
        reals_[i].m.state = s;
        tell(i);
    }
    void health(std::size_t i, health_state h)
    {
        reals_[i].m.health = h;
        tell(i);
    }

    // --- what has to hold

    /// A step of a friendly engine. @return false: nothing more will happen.
    bool friendly()
    {
        if (!engine_up_) return engine_back(), true;
        if (!news_.empty()) return deliver(), true;
        if (!commands_.empty()) return commands_[0].carried_out ? answer(0) : carry_out(0), true;
        if (line_asked_) return line(), true;
        for (std::size_t i = 0; i < reals_.size(); ++i) {
            real const& r = reals_[i];
            if (r.exists && r.m.state == member_state::running && r.has_health && r.m.health != health_state::healthy)
                return health(i, health_state::healthy), true;
            if (r.exists && r.m.state == member_state::running && r.is_job) return end(i, 0), true;
        }
        if (!fsm.next_timer()) return false;
        timer();
        return true;
    }
    void serve()
    {
        connect();
        while (waiting_ != 0) friendly();
        while (!news_.empty() || !commands_.empty()) friendly();
    }
    void fail_all()
    {
        while (!commands_.empty()) fail(0);
    }

    /** A friendly engine from here on: it comes back, tells all news, does what it is asked for, and members get healthy. Who waits has to
        get an answer, and when all have gone the group has to come to rest. */
    void check_liveness() const
    {
        world w = *this;
        int left = 200;
        while (w.waiting_ != 0) {
            if (--left == 0) throw violation{"a client waits for ever, while much happens"};
            if (!w.friendly()) throw violation{"a client waits for ever"};
        }
        while (w.holds_ != 0) w.drop();
        left = 200;
        auto const runs = [](real const& r) { return r.exists && r.m.state == member_state::running; };
        bool const throttle = w.fsm.config().action == idle_action::throttle;
        while (w.engine_up_ == false || !w.commands_.empty() || !w.news_.empty() || w.fsm.state() != group_state::stopped ||
               (!throttle && std::any_of(w.reals_.begin(), w.reals_.end(), runs))) {
            if (--left == 0) throw violation{"it never comes to rest, while much happens"};
            if (w.friendly()) continue;
            if (w.fsm.state() == group_state::failed && (throttle || std::none_of(w.reals_.begin(), w.reals_.end(), runs))) break;
            throw violation{"it never comes to rest: " + std::string(to_string(w.fsm.state()))};
        }
    }

    std::string fingerprint() const
    {
        std::string out = fsm.fingerprint(now_);
        for (real const& r : reals_) {
            out += r.m.id + r.m.run + static_cast<char>('a' + static_cast<int>(r.m.state)) + static_cast<char>('a' + static_cast<int>(r.m.health));
            out += r.exists ? 'e' : 'x';
            out += std::to_string(r.m.exit_code.value_or(-1));
        }
        for (auto const& [id, when] : rested_) out += id + "!";
        for (auto const& c : commands_) out += c.id + static_cast<char>('a' + static_cast<int>(c.what)) + (c.carried_out ? '1' : '0');
        for (auto const& n : news_)
            out += "/" + n.m.id + n.m.run + static_cast<char>('a' + static_cast<int>(n.m.state)) + static_cast<char>('a' + static_cast<int>(n.m.health)) +
                   (n.removed ? '1' : '0') + std::to_string(n.m.exit_code.value_or(-1));
        out += engine_up_ ? 'u' : 'd';
        out += std::to_string(waiting_) + "," + std::to_string(holds_) + "," + line_asked_.value_or("-");
        return out;
    }

    std::size_t starts() const noexcept { return starts_; }

private:
    struct command {
        std::string id;
        member_command what;
        bool carried_out = false;
    };
    struct news {
        member m;
        bool removed = false;
    };

    bool connections() const { return fsm.config().use == use_rule::connections; }
    std::size_t index(std::string_view id) const
    {
        std::size_t i = 0;
        while (i < reals_.size() && !(reals_[i].exists && reals_[i].m.id == id)) ++i;
        return i;
    }
    void tell(std::size_t i)
    {
        if (engine_up_) news_.push_back({reals_[i].m});
    }
    void snapshot()
    {
        std::vector<member> all;
        for (real const& r : reals_)
            if (r.exists) all.push_back(r.m);
        news_.clear();
        rested_.clear();
        fsm.members_are(all, now_);
        settle();
    }
    void hold()
    {
        if (holds_++ == 0) held_.clear();
        for (member const& m : fsm.members())
            if (m.state == member_state::running) held_.insert(m.id);
        last_use_ = now_;
    }

    /// Take what the machine wants, and look whether it may.
    void settle()
    {
        for (auto& a : fsm.take_actions()) {
            using k = group_action::kind;
            switch (a.what) {
            case k::command: take(a); break;
            case k::ask_line: line_asked_ = a.target.id; break;
            case k::release:
                if (waiting_ == 0) throw violation{"serves nobody"};
                for (; waiting_ != 0; --waiting_) hold();
                may_serve();
                break;
            case k::refuse:
                if (waiting_ == 0) throw violation{"refuses nobody"};
                if (a.text.empty()) throw violation{"refuses without a reason"};
                waiting_ = 0;
                break;
            case k::end_holds:
                if (holds_ == 0) throw violation{"ends no holds"};
                for (member const& m : fsm.members())
                    if (connections() && m.state == member_state::running && held_.contains(m.id) && !tells_runs_) throw violation{"ends holds of what runs"};
                holds_ = 0;
                break;
            case k::wake_begun:
            case k::wake_done:
            case k::wake_failed:
            case k::rested:
            case k::report: break;
            }
        }
        if (fsm.waiting() != waiting_) throw violation{"has lost a waiting client"};
        if (fsm.in_use() != holds_) throw violation{"counts holds wrongly"};
        if (waiting_ != 0) {
            auto const next = fsm.next_timer();
            if (!next) throw violation{"nothing will ever answer a waiting client"};
            if (*next > waits_since_ + fsm.config().start_limit + group_fsm::line_limit) throw violation{"a client waits beyond its limit"};
            if (now_ > waits_since_ + fsm.config().start_limit + group_fsm::line_limit) throw violation{"a client has waited beyond its limit"};
        }
        // No storm: each client may cause `start_attempts` starts of each member; what goes wrong from outside may be set right once for each.
        if (starts_ > (arrived_ * fsm.config().start_attempts + mishaps_) * reals_.size()) throw violation{"a storm of starts"};
    }

    void take(group_action const& a)
    {
        for (auto const& c : commands_)
            if (c.id == a.target.id) throw violation{"two commands for one member at the same time"};
        if (!engine_up_) throw violation{"commands an engine that is lost"};
        auto const shown = fsm.members();
        auto const at = std::find_if(shown.begin(), shown.end(), [&](member const& m) { return m.id == a.target.id; });
        if (at == shown.end()) throw violation{"commands a stranger"};
        switch (a.command) {
        case member_command::start:
            if (at->state != member_state::stopped) throw violation{"starts what is not at rest"};
            ++starts_;
            if (waiting_ != 0 && ++wake_starts_[a.target.id] > fsm.config().start_attempts + lost_) throw violation{"more attempts than are allowed"};
            paced(a.target.id);
            break;
        case member_command::unpause:
            if (at->state != member_state::paused) throw violation{"unpauses what is not paused"};
            break;
        case member_command::stop:
        case member_command::pause:
            if (waiting_ != 0) throw violation{"stops while a client waits"};
            if (connections() && holds_ != 0) throw violation{"stops under an open connection"};
            if (now_ < last_use_ + fsm.config().idle) throw violation{"stops before the idle time is over"};
            break;
        case member_command::limit:
        case member_command::none: break;
        }
        commands_.push_back({a.target.id, a.command, false});
    }

    /// Three starts of one member in a row have pauses between them: at most the first repetition comes without one.
    void paced(std::string const& id)
    {
        auto& all = started_[id];
        all.push_back(now_);
        if (all.size() >= 4 && all.back() - all[all.size() - 4] < fsm.config().first_backoff && mishaps_ < 4) throw violation{"starts without pauses"};
    }

    void may_serve() const
    {
        bool any = false;
        for (member const& m : fsm.members()) {
            bool const stopping = std::any_of(commands_.begin(), commands_.end(), [&](command const& c) {
                return c.id == m.id && (c.what == member_command::stop || c.what == member_command::pause);
            });
            auto const rested = rested_.find(m.id);
            if (m.state == member_state::running && rested != rested_.end() && now_ < rested->second + group_fsm::settle_limit)
                throw violation{"serves what it has stopped: " + m.name};
            bool const healthy = m.health == health_state::none || m.health == health_state::healthy;
            bool const up = m.state == member_state::running && !stopping && healthy;
            bool const done = m.state == member_state::stopped && m.exit_code == 0;
            bool const matters = !std::any_of(reals_.begin(), reals_.end(), [&](real const& r) { return r.m.name == m.name && r.is_optional; });
            if (!up && !done && matters) throw violation{"serves before it is ready: " + m.name};
            any = any || up;
        }
        if (!any) throw violation{"serves while nothing runs"};
    }

    group_fsm::time_point now_{1h};
    group_fsm::time_point waits_since_{};
    group_fsm::time_point last_use_{};
    std::vector<real> reals_;
    std::vector<command> commands_;
    std::deque<news> news_; ///< Not told yet.
    std::optional<std::string> line_asked_;
    std::map<std::string, std::vector<group_fsm::time_point>> started_;
    std::map<std::string, group_fsm::time_point> rested_; ///< Stopped for us, and not told yet.
    std::set<std::string> held_; ///< Members that holds are for.
    std::map<std::string, std::size_t> wake_starts_; ///< Since somebody waits.
    std::size_t lost_ = 0;                           ///< Commands that went with the engine, since then.
    bool engine_up_ = true;
    bool tells_runs_;
    std::size_t waiting_ = 0, holds_ = 0, starts_ = 0, arrived_ = 0, mishaps_ = 0;
    int runs_ = 0;
};

struct findings {
    std::string wrong; ///< Empty: nothing.
    std::size_t states = 0;
};

/// Breadth first: the first violation that is found has the shortest story.
findings explore(setting const& s, world start, int depth)
{
    findings out;
    std::unordered_set<std::string> seen{start.fingerprint()};
    std::vector<world> level{std::move(start)};
    out.states = 1;
    for (int d = 0; d < depth; ++d) {
        std::vector<world> next;
        for (world const& from : level) {
            for (auto const& [name, step] : from.steps(s)) {
                world w = from;
                w.trace += (w.trace.empty() ? "" : " -> ") + name;
                try {
                    step(w);
                    if (!seen.insert(w.fingerprint()).second) continue;
                    ++out.states;
                    w.check_liveness();
                } catch (violation const& v) {
                    out.wrong = v.what + " after: " + w.trace;
                    return out;
                }
                if (d + 1 < depth) next.push_back(std::move(w));
            }
        }
        level = std::move(next);
    }
    return out;
}

/// The search from several points of a group's life. Where something has happened already, fewer steps lead as far.
void explore_all(setting const& s, int depth)
{
    struct {
        std::string_view name;
        int depth;
        void (*reach)(world&);
    } const roots[] = {
        {"at rest", depth, [](world&) {}},
        {"starting", depth - 2, [](world& w) { w.connect(); }},
        {"in use", depth - 2, [](world& w) { w.serve(); }},
        {"idle", depth - 2, [](world& w) { w.serve(), w.drop(); }},
        {"being put to rest", depth - 2, [](world& w) { w.serve(), w.drop(), w.timer(); }},
        {"after a failure", depth - 2, [](world& w) { w.connect(), w.fail_all(); }},
        {"without its engine", depth - 2, [](world& w) { w.serve(), w.engine_lost(); }},
    };
    std::size_t states = 0;
    for (auto const& root : roots) {
        world w(s);
        w.trace = root.name;
        root.reach(w);
        auto const found = explore(s, std::move(w), root.depth - less_depth);
        CHECK(found.wrong == "");
        states += found.states;
    }
    CHECK(states > 100);
}

group_config model_config()
{
    group_config c;
    c.name = "web";
    c.idle = 60s;
    c.start_limit = 30s;
    c.start_attempts = 2;
    c.first_backoff = 1s;
    c.most_backoff = 8s;
    return c;
}

member model_member(std::string name, std::vector<dependency> needs = {})
{
    member m;
    m.id = name;
    m.name = m.service = std::move(name);
    m.depends_on = std::move(needs);
    return m;
}

} // namespace

TEST_CASE("group model: one member")
{
    setting const s{model_config(), {model_member("web")}};
    explore_all(s, 8);
}

TEST_CASE("group model: one member, and an engine that tells runs apart")
{
    setting s{model_config(), {model_member("web")}};
    s.tells_runs = true;
    explore_all(s, 8);
}

TEST_CASE("group model: a member that gets healthy, or not")
{
    setting s{model_config(), {model_member("web")}};
    s.members[0].health = health_state::starting;
    explore_all(s, 8);
}

TEST_CASE("group model: a member that is not wanted to end, but may do so with code 0")
{
    setting s{model_config(), {model_member("web")}};
    s.ends_well = true;
    explore_all(s, 7);
}

TEST_CASE("group model: two members, one of which needs the other")
{
    setting const s{model_config(), {model_member("db"), model_member("web", {{"db", dependency_condition::started, true}})}};
    explore_all(s, 6);
}

TEST_CASE("group model: two members, one of which needs the other to be healthy")
{
    setting s{model_config(), {model_member("db"), model_member("web", {{"db", dependency_condition::healthy, true}})}};
    s.members[0].health = health_state::starting;
    explore_all(s, 6);
}

TEST_CASE("group model: a job and what needs it")
{
    setting s{model_config(), {model_member("job"), model_member("web", {{"job", dependency_condition::completed, true}})}};
    s.ends_well = true;
    explore_all(s, 6);
}

TEST_CASE("group model: what is not required may be missing")
{
    setting const s{model_config(), {model_member("cache"), model_member("web", {{"cache", dependency_condition::started, false}})}};
    explore_all(s, 6);
}

TEST_CASE("group model: to rest is to pause")
{
    setting s{model_config(), {model_member("web")}};
    s.config.action = idle_action::pause;
    explore_all(s, 7);
}

TEST_CASE("group model: to rest is to get less, and bytes are use")
{
    setting s{model_config(), {model_member("web")}};
    s.config.action = idle_action::throttle;
    s.config.use = use_rule::bytes;
    s.config.idle_resources.nano_cpus = 1;
    s.config.active_resources.nano_cpus = 2;
    explore_all(s, 7);
}

TEST_CASE("group model: bytes are use")
{
    setting s{model_config(), {model_member("web")}};
    s.config.use = use_rule::bytes;
    explore_all(s, 7);
}

TEST_CASE("group model: few wakes are allowed")
{
    setting s{model_config(), {model_member("web")}};
    s.config.most_wakes = 1;
    s.config.wake_window = 70s;
    explore_all(s, 7);
}
