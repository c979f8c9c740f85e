#include <algorithm>
#include <cstdint>

namespace podproxy::wake {

inline group_fsm::group_fsm(group_config config, std::string noun, std::uint64_t seed)
    : config_(std::move(config)), noun_(std::move(noun)), random_(seed), meter_(config_.use, config_.threshold, config_.idle)
{
    if (config_.start_attempts == 0) config_.start_attempts = 1;
}

// What is seen ---------------------------------------------------------------------------------------------------------------------

/// It runs, and a client may be sent to it.
inline bool group_fsm::is_up(entry const& e) const
{
    if (e.m.state != member_state::running || e.expected == outcome::resting) return false;
    if (e.pending == member_command::stop || e.pending == member_command::pause) return false;
    bool const gets_less = e.pending == member_command::limit && e.wanted_level == limits_level::idle;
    if (config_.action == idle_action::throttle && (e.level != limits_level::active || gets_less)) return false;
    return !config_.use_health || e.m.health == health_state::none || e.m.health == health_state::healthy;
}

/// It does something that would have to be put to rest.
inline bool group_fsm::is_active(entry const& e) const
{
    if (e.m.state == member_state::starting || e.pending == member_command::start || e.expected == outcome::running) return true;
    return e.m.state == member_state::running && !(config_.action == idle_action::throttle && e.level == limits_level::idle);
}

inline bool group_fsm::at_rest(entry const& e) const
{
    if (e.pending != member_command::none || e.expected != outcome::seen) return false;
    switch (e.m.state) {
    case member_state::stopped:
    case member_state::dead:
    case member_state::paused: return true;
    case member_state::running: return config_.action == idle_action::throttle && e.level == limits_level::idle;
    case member_state::starting: return config_.action == idle_action::throttle; // when it runs, its turn comes
    case member_state::stopping: return false;
    }
    return false;
}

/// It would be started by an attempt.
inline bool group_fsm::wants_start(entry const& e) const
{
    if (e.pending != member_command::none || e.expected != outcome::seen || e.done) return false;
    return e.m.state == member_state::stopped || e.m.state == member_state::paused;
}

/// Whether to end with code 0 means that it has done what it is for.
inline bool group_fsm::may_be_job(std::size_t i) const
{
    return plan_.is_job(i) || (entries_[i].m.health == health_state::none && !plan_.has_to_be_healthy(i));
}

inline bool group_fsm::serving() const
{
    if (!known_) return was_ready_ && phase_ == phase::settled; // the last that was seen
    bool any = false;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        if (is_up(entries_[i]))
            any = true;
        else if (!entries_[i].done && !plan_.is_optional(i))
            return false;
    }
    return any;
}

inline bool group_fsm::any_active() const
{
    return std::any_of(entries_.begin(), entries_.end(), [this](entry const& e) { return is_active(e); });
}

inline bool group_fsm::needs_start() const
{
    return std::any_of(entries_.begin(), entries_.end(), [this](entry const& e) { return wants_start(e); });
}

inline start_progress group_fsm::progress_of(std::size_t i) const
{
    entry const& e = entries_[i];
    if (e.done) return start_progress::completed;
    if (!e.failure.empty() || e.ended || e.m.state == member_state::dead) return start_progress::failed;
    if (e.m.state != member_state::running || e.expected == outcome::resting || e.pending == member_command::stop || e.pending == member_command::pause)
        return start_progress::not_yet;
    if (!config_.use_health || e.m.health == health_state::none || e.m.health == health_state::healthy) return start_progress::healthy;
    // Unhealthy may become healthy; who does not require it does not wait for that.
    return e.m.health == health_state::unhealthy && plan_.is_optional(i) ? start_progress::failed : start_progress::started;
}

inline group_fsm::entry* group_fsm::find(std::string_view id)
{
    auto const it = std::find_if(entries_.begin(), entries_.end(), [id](entry const& e) { return e.m.id == id; });
    return it == entries_.end() ? nullptr : &*it;
}

inline std::string group_fsm::how_it_ended(member const& m)
{
    if (m.exit_code) return "exited with code " + std::to_string(*m.exit_code);
    return m.state == member_state::dead ? "is dead" : "has ended";
}

inline std::string group_fsm::not_shown(member const& m) const
{
    return named(m) + " was started, but the engine shows it as " + std::string(to_string(m.state));
}

inline std::vector<member> group_fsm::members() const
{
    std::vector<member> out;
    out.reserve(entries_.size());
    for (entry const& e : entries_) out.push_back(e.m);
    return out;
}

inline std::string group_fsm::address(std::string_view name) const
{
    for (entry const& e : entries_)
        if ((name.empty() || e.m.name == name) && !e.m.address.empty() && e.m.state == member_state::running) return e.m.address;
    return {};
}

inline group_state group_fsm::state() const
{
    auto const all_run = [this] {
        bool any = false;
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            entry const& e = entries_[i];
            if (e.m.state == member_state::running && e.expected != outcome::resting && e.pending != member_command::stop)
                any = true;
            else if (!e.done && !plan_.is_optional(i))
                return false;
        }
        return any;
    };
    switch (phase_) {
    case phase::resting: return group_state::stopping;
    case phase::waking:
        if (!attempting_ && attempts_ != 0) return group_state::failed;
        return all_run() ? group_state::waiting_for_health : group_state::starting;
    case phase::settled: break;
    }
    if (serving()) return holds_ != 0 || config_.idle.count() == 0 ? group_state::running : group_state::idle;
    if (failed_) return group_state::failed;
    bool const starting = std::any_of(entries_.begin(), entries_.end(), [](entry const& e) { return e.m.state == member_state::starting; });
    if (starting) return group_state::starting;
    bool const throttled = config_.action == idle_action::throttle && !any_active();
    return all_run() && !throttled ? group_state::waiting_for_health : group_state::stopped;
}

inline std::chrono::milliseconds group_fsm::idle_left(time_point now) const
{
    if (config_.idle.count() == 0 || phase_ != phase::settled || in_use_now() || !serving()) return std::chrono::milliseconds(0);
    return std::max(std::chrono::milliseconds(0), std::chrono::ceil<std::chrono::milliseconds>(last_use_ + config_.idle - now));
}

inline std::optional<group_fsm::time_point> group_fsm::next_timer() const
{
    if (shut_) return std::nullopt;
    std::optional<time_point> out;
    auto const at = [&out](time_point t) {
        if (!out || t < *out) out = t;
    };
    if (failure_.asking) at(failure_.until);
    if (meter_.is_open()) at(meter_.ends());
    for (entry const& e : entries_)
        if (e.expected != outcome::seen) at(e.settles);
    switch (phase_) {
    case phase::settled:
        if (known_ && config_.idle.count() != 0 && !in_use_now() && (serving() || any_active())) at(last_use_ + config_.idle);
        break;
    case phase::waking:
        if (ending_) break; // the last line is waited for
        at(deadline_);
        if (known_ && !attempting_ && !entries_.empty()) at(attempt_at_);
        break;
    case phase::resting:
        if (waiting_ != 0) at(deadline_);
        if (known_ && rest_waits_) at(rest_again_);
        break;
    }
    return out;
}

// What the engine shows ------------------------------------------------------------------------------------------------------------

inline void group_fsm::members_are(std::vector<member> all, time_point now)
{
    bool const first = !known_ && entries_.empty();
    known_ = true;
    lost_why_.clear();
    std::vector<entry> kept;
    bool another = false;
    for (member& m : all) {
        if (entry* const e = find(m.id)) {
            observe(*e, std::move(m), now);
            e->expected = outcome::seen; // what is shown is newer than what was confirmed
            kept.push_back(std::move(*e));
            e->m.id.clear(); // taken
        } else {
            entry fresh;
            fresh.m = std::move(m);
            kept.push_back(std::move(fresh));
            another = true;
        }
    }
    for (entry const& e : entries_)
        if (!e.m.id.empty()) last_removed_ = named(e.m);
    entries_ = std::move(kept);
    if (another && !first) made_anew(now);
    rebuild_plan();
    evaluate(now);
}

inline void group_fsm::member_changed(member m, time_point now)
{
    if (entry* const e = find(m.id)) {
        bool const same_plan = e->m.name == m.name && e->m.service == m.service && e->m.depends_on == m.depends_on;
        observe(*e, std::move(m), now);
        if (!same_plan) rebuild_plan();
    } else {
        // The old one of this name is gone, whether that has been told yet or not.
        std::erase_if(entries_, [&m](entry const& other) { return other.m.name == m.name; });
        entry fresh;
        fresh.m = std::move(m);
        entries_.push_back(std::move(fresh));
        made_anew(now);
        rebuild_plan();
    }
    evaluate(now);
}

inline void group_fsm::member_removed(std::string_view id, time_point now)
{
    if (entry const* const e = find(id)) {
        last_removed_ = named(e->m);
        entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(index_of(*e)));
        rebuild_plan();
    }
    evaluate(now);
}

inline void group_fsm::engine_lost(std::string why, time_point now)
{
    known_ = false;
    lost_why_ = std::move(why);
    evaluate(now);
}

/// A member that nobody knew: what failed before says nothing about it.
inline void group_fsm::made_anew(time_point now)
{
    failures_ = 0;
    failed_ = false;
    not_before_ = now;
}

inline void group_fsm::rebuild_plan()
{
    std::sort(entries_.begin(), entries_.end(), [](entry const& a, entry const& b) { return std::pair(a.m.name, a.m.id) < std::pair(b.m.name, b.m.id); });
    std::vector<member> const all = members();
    for (member const& m : all)
        if (!m.service.empty()) services_.insert(m.service);
    plan_ = start_plan(all, services_);
    for (std::size_t i = 0; i < entries_.size(); ++i) // a job that has done its work before we came
        if (plan_.is_job(i) && entries_[i].tried == 0 && entries_[i].m.state == member_state::stopped && entries_[i].m.exit_code == 0)
            entries_[i].done = true;

    auto const once = [this](log_level level, std::string text) {
        if (told_of_plan_.insert(text).second) report(level, std::move(text));
    };
    for (auto const& circle : plan_.cycles()) {
        std::string names;
        for (auto const& name : circle) names += (names.empty() ? "" : ", ") + name;
        once(log_level::warn, "these depend on each other in a circle, so their order is left open: " + names);
    }
    for (auto const& service : plan_.outside())
        once(log_level::info, "service " + service + " is depended on but not part of the group: taken as running");
}

inline void group_fsm::observe(entry& e, member m, time_point now)
{
    member const was = std::exchange(e.m, std::move(m));
    switch (e.m.state) {
    case member_state::running:
    case member_state::starting:
        e.ran = true;
        e.ended = e.done = false;
        if (e.expected == outcome::running) e.expected = outcome::seen;
        break;
    case member_state::paused:
    case member_state::stopping:
        e.done = false;
        if (e.expected == outcome::resting) e.expected = outcome::seen;
        break;
    case member_state::stopped:
    case member_state::dead: {
        if (e.expected == outcome::resting) e.expected = outcome::seen;
        if (e.m.exit_code != 0) e.done = false;
        if (e.tried == 0 || e.ended) break;
        // Is this the end of the run that we have asked for, or old news? The engine may tell the end before it confirms the start.
        bool const has_run = !e.m.run.empty() && !e.run_before.empty();
        if (has_run && e.m.run != e.run_before) e.ran = true;
        if (e.pending == member_command::start) break;
        if (e.ran || (!has_run && e.expected == outcome::running)) {
            e.ended = true;
            e.expected = outcome::seen;
        }
        break;
    }
    }

    // What nobody here has asked for goes into the log.
    bool const did_run = was.state == member_state::running || was.state == member_state::starting;
    bool const has_ended = e.m.state == member_state::stopped || e.m.state == member_state::dead;
    bool const asked = e.pending == member_command::stop || phase_ == phase::resting;
    if (did_run && has_ended && !asked && phase_ == phase::settled) {
        if (e.m.exit_code && *e.m.exit_code != 0) {
            blame(named(e.m) + " " + how_it_ended(e.m), e.m.id, now);
        } else {
            e.done = was_ready_ && e.m.exit_code && may_be_job(index_of(e));
            report(log_level::info, named(e.m) + " " + how_it_ended(e.m));
        }
    }
    if (was_ready_ && e.m.state == member_state::running && e.m.health == health_state::unhealthy && was.health != health_state::unhealthy)
        report(log_level::warn, named(e.m) + " has become unhealthy");
}

// What clients and people do -------------------------------------------------------------------------------------------------------

inline void group_fsm::hold_begins(time_point now)
{
    if (holds_++ == 0) {
        held_runs_.clear();
        for (entry const& e : entries_)
            if (e.m.state == member_state::running) held_runs_.emplace_back(e.m.id, e.m.run);
    }
    meter_.open(now);
}

inline group_fsm::arrival group_fsm::client_arrived(time_point now, client_kind kind)
{
    using k = arrival::kind;
    if (shut_) return {k::refused, errc::shutting_down, "wake-proxy is ending", {}};
    if (ready()) {
        hold_begins(now);
        if (config_.use != use_rule::threshold) touch(now);
        return {k::held, {}, {}, {}};
    }
    if (waiting_ >= config_.most_waiting) return {k::refused, errc::too_many_waiting, std::to_string(waiting_) + " clients are waiting already", {}};
    if (phase_ == phase::settled) {
        if (kind == client_kind::new_one) {
            if (known_ && !entries_.empty()) {
                time_point const at = earliest_attempt(now);
                if (at > now && at >= now + config_.start_limit) {
                    if (at > not_before_) return {k::refused, errc::too_many_wakes, too_many_text(), {}};
                    return {k::refused, errc::start_failed, failure_.text, failure_.line};
                }
            }
            attempts_ = 0;
            deadline_ = now + config_.start_limit;
        }
    } else if (waiting_ == 0) {
        deadline_ = now + config_.start_limit;
    }
    ++waiting_;
    evaluate(now);
    return {k::waits, {}, {}, {}};
}

inline void group_fsm::client_left(time_point now)
{
    if (waiting_ != 0) --waiting_;
    if (waiting_ == 0) {
        if (phase_ == phase::settled) touch(now);
        evaluate(now);
    }
}

inline bool group_fsm::take_hold(time_point now)
{
    if (!ready()) return false;
    hold_begins(now);
    if (config_.use != use_rule::threshold) touch(now);
    return true;
}

inline void group_fsm::hold_dropped(time_point now)
{
    if (holds_ == 0 || --holds_ != 0) return;
    if (config_.use == use_rule::connections) touch(now);
    evaluate(now);
}

inline void group_fsm::use_noticed(time_point now)
{
    if (!wakes_on_use_) return;
    wakes_on_use_ = false;
    if (phase_ != phase::settled) return;
    manual_ = true;
    deadline_ = now + config_.start_limit;
    attempts_ = 0;
    evaluate(now);
}

inline void group_fsm::port_opened(time_point)
{
    trial_ = false;
    attempts_ = 0;
}

inline void group_fsm::port_failed(time_point now)
{
    // Perhaps what is needed is one that has ended with code 0 and was taken for a job.
    for (std::size_t i = 0; i < entries_.size(); ++i)
        if (!plan_.is_job(i)) entries_[i].done = false;
    evaluate(now);
}

inline void group_fsm::wake(time_point now)
{
    if (shut_) return;
    not_before_ = now;
    if (ready()) {
        touch(now);
    } else {
        if (phase_ == phase::settled) attempts_ = 0;
        if (waiting_ == 0) deadline_ = now + config_.start_limit;
        manual_ = true;
    }
    evaluate(now);
}

inline void group_fsm::stop(time_point now)
{
    if (shut_) return;
    manual_ = false;
    if (!any_active()) {
        evaluate(now);
        return;
    }
    attempting_ = false;
    ending_.reset();
    begin_rest(now);
    forced_ = true;
    evaluate(now);
}

inline void group_fsm::shut_down()
{
    if (shut_) return;
    if (waiting_ != 0) refuse(errc::shutting_down, "wake-proxy is ending", {});
    shut_ = true;
}

// What became of actions -----------------------------------------------------------------------------------------------------------

inline void group_fsm::command_done(std::string_view id, member_command what, std::error_code ec, std::string text, time_point now)
{
    entry* const e = find(id);
    if (!e || e->pending != what) return; // it is gone, and another may have its name
    e->pending = member_command::none;
    auto const expect = [&](outcome o) {
        e->expected = o;
        e->settles = now + settle_limit;
    };
    bool const runs = e->m.state == member_state::running || e->m.state == member_state::starting;
    if (!ec) {
        switch (what) {
        case member_command::start:
            if (!runs && e->m.state != member_state::paused) {
                if (e->ran)
                    e->ended = true;
                else
                    expect(outcome::running);
            }
            break;
        case member_command::unpause:
            if (e->m.state == member_state::paused) expect(outcome::running);
            break;
        case member_command::stop:
        case member_command::pause:
            if (runs || (what == member_command::stop && e->m.state == member_state::paused)) expect(outcome::resting);
            break;
        case member_command::limit: e->level = e->wanted_level; break;
        case member_command::none: break;
        }
    } else if (!known_) {
        e->tried = 0; // the engine is gone: this says nothing about the member
    } else {
        std::string said = text.empty() ? ec.message() : std::move(text);
        switch (what) {
        case member_command::start:
        case member_command::unpause:
            e->failure = named(e->m) + (what == member_command::start ? " can't be started: " : " can't be unpaused: ") + said;
            if (plan_.is_optional(index_of(*e)) || phase_ != phase::waking) blame(e->failure, {}, now);
            break;
        case member_command::stop:
        case member_command::pause:
            if (what == member_command::pause && ec == make_error_code(podproxy::errc::unavailable)) {
                e->cannot_pause = true;
                report(log_level::warn, named(e->m) + " can't be paused here and is stopped instead");
                break;
            }
            ++rest_failures_;
            rest_again_ = now + pause_after(rest_failures_);
            forced_ = false;
            // One that is not ours to stop now is no fault: another of us leads, or has clients.
            report(ec == make_error_code(podproxy::errc::unavailable) ? log_level::debug : log_level::warn,
                   named(e->m) + (what == member_command::stop ? " can't be stopped: " : " can't be paused: ") + said);
            break;
        case member_command::limit:
            e->level = e->wanted_level; // it is used as it is
            report(log_level::warn, named(e->m) + " can't be given its limits: " + said);
            break;
        case member_command::none: break;
        }
    }
    evaluate(now);
}

inline void group_fsm::line_is(std::string_view id, std::string line, time_point now)
{
    if (!failure_.asking || failure_.id != id) return;
    failure_.asking = false;
    failure_.line = std::move(line);
    tell_failure();
    evaluate(now);
}

inline void group_fsm::tick(time_point now) { evaluate(now); }

inline std::string group_fsm::fingerprint(time_point now) const
{
    std::string out;
    auto const number = [&out](auto n) { out += std::to_string(static_cast<long long>(n)) + ','; };
    auto const text = [&out](std::string_view s) { (out += s) += ','; };
    auto const time = [&](time_point t) { number(std::max<std::int64_t>(-1, std::chrono::duration_cast<std::chrono::milliseconds>(t - now).count())); };
    for (entry const& e : entries_) {
        text(e.m.id);
        text(e.m.run);
        number(e.m.state);
        number(e.m.health);
        number(e.m.exit_code.value_or(-1));
        number(e.pending);
        number(e.expected);
        if (e.expected != outcome::seen) time(e.settles);
        number(e.tried == 0 ? 0 : e.tried == attempt_ ? 1 : 2);
        number(e.ran << 4 | e.ended << 3 | e.done << 2 | e.cannot_pause << 1 | (e.run_before == e.m.run));
        number(!e.failure.empty());
        number(static_cast<int>(e.level) << 2 | static_cast<int>(e.wanted_level));
    }
    number(phase_);
    number(known_ << 1 | shut_);
    number(waiting_);
    number(holds_);
    for (auto const& [id, run] : held_runs_) (text(id), text(run));
    number(meter_.is_open());
    number(meter_.counts());
    if (meter_.is_open()) time(meter_.ends());
    number(wakes_on_use_ << 3 | was_ready_ << 2 | was_active_ << 1 | manual_);
    number(begun_ << 4 | counted_ << 3 | attempting_ << 2 | trial_ << 1 | ending_.has_value());
    number(attempts_);
    number(failures_);
    number(failed_ << 2 | failure_.asking << 1 | forced_);
    number(rest_failures_);
    if (phase_ == phase::settled) time(last_use_ + config_.idle);
    if (phase_ != phase::settled) time(deadline_);
    time(not_before_);
    if (was_ready_) time(ready_since_ + stable_after);
    if (failure_.asking) time(failure_.until);
    if (rest_failures_ != 0) time(rest_again_);
    for (time_point const w : wakes_) time(w + config_.wake_window);
    return out;
}

} // namespace podproxy::wake
