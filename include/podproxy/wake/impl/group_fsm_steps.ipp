#include <algorithm>
#include <cstdint>

namespace podproxy::wake {

// What follows ---------------------------------------------------------------------------------------------------------------------

inline void group_fsm::evaluate(time_point now)
{
    if (shut_) return;
    if (meter_.roll(now)) {
        touch(now);
        use_noticed_by_window(now);
    }
    if (holds_ != 0) meter_.open(now);
    for (entry& e : entries_) {
        if (e.expected == outcome::seen || now < e.settles) continue;
        bool const should_run = e.expected == outcome::running;
        e.expected = outcome::seen; // what is shown is the truth after all
        if (should_run && e.tried != 0) {
            e.failure = not_shown(e.m);
            if (plan_.is_optional(index_of(e))) blame(e.failure, {}, now);
        }
    }
    if (failure_.asking && now >= failure_.until) {
        failure_.asking = false;
        tell_failure();
    }
    check_holds();
    while (step(now)) {
    }
}

inline bool group_fsm::step(time_point now)
{
    switch (phase_) {
    case phase::settled: return settled(now);
    case phase::waking: return waking(now);
    case phase::resting: return resting(now);
    }
    return false;
}

inline bool group_fsm::settled(time_point now)
{
    if (serving()) {
        was_active_ = true;
        manual_ = false;
        if (!was_ready_) { // without us
            was_ready_ = true;
            ready_since_ = now;
            failed_ = trial_ = false;
            touch(now);
            group_action& a = add(group_action::kind::wake_done);
            a.text = "found running";
        }
        if (waiting_ != 0) release(now);
        if (known_ && idle_due(now)) {
            begin_rest(now);
            return true;
        }
        return false;
    }
    if (was_ready_ && known_) lose_ready(now);
    if (waiting_ != 0 || manual_) {
        enter_waking();
        return true;
    }
    if (!known_) return false;
    bool const active = any_active();
    if (active && !was_active_) touch(now);
    was_active_ = active;
    if (active && idle_due(now)) {
        begin_rest(now);
        return true;
    }
    return false;
}

inline void group_fsm::enter_waking()
{
    phase_ = phase::waking;
    begun_ = counted_ = attempting_ = false;
    wakes_on_use_ = false;
    ending_.reset();
}

inline bool group_fsm::waking(time_point now)
{
    if (serving()) {
        succeed(now);
        return true;
    }
    if (ending_) {
        if (failure_.asking) return false;
        finish_give_up(now);
        return true;
    }
    if (now >= deadline_) {
        verdict v = why_late();
        if (v.blames && v.error == errc::start_timed_out) blame(v.text, v.id, now);
        ending_ = std::move(v);
        return true;
    }
    if (!known_ || entries_.empty()) {
        if (waiting_ != 0 || manual_) return false;
        phase_ = phase::settled; // nobody waits for it any more
        return true;
    }
    if (attempting_) return drive_attempt(now);
    if (attempts_ >= config_.start_attempts || (waiting_ == 0 && !manual_)) {
        if (attempts_ == 0) {
            phase_ = phase::settled;
            return true;
        }
        ending_ = verdict{errc::start_failed, failure_.text, {}, true};
        return true;
    }
    attempt_at_ = earliest_attempt(now);
    if (attempt_at_ <= now) {
        begin_attempt(now);
        return true;
    }
    if (attempt_at_ < deadline_) return false;
    // It can't be tried again in time: nobody is kept waiting for nothing.
    if (attempt_at_ > not_before_)
        ending_ = verdict{errc::too_many_wakes, too_many_text(), {}, false};
    else
        ending_ = verdict{errc::start_failed, failure_.text, {}, true};
    return true;
}

inline void group_fsm::begin_attempt(time_point now)
{
    ++attempt_;
    ++attempts_;
    attempting_ = true;
    bool const up = std::any_of(entries_.begin(), entries_.end(),
                                [this](entry const& e) { return is_active(e) || e.m.state == member_state::paused; });
    for (entry& e : entries_) {
        e.tried = e.pending == member_command::start ? attempt_ : 0;
        if (e.pending != member_command::start) e.ran = false;
        e.ended = false;
        e.failure.clear();
        if (!up) e.done = false; // all begins anew
    }
    if (!counted_ && needs_start()) {
        counted_ = true;
        wakes_.push_back(now);
        while (wakes_.size() > std::max(1u, config_.most_wakes)) wakes_.pop_front();
    }
}

/// Start what may be started, and see whether the attempt can still succeed. @return whether something has changed.
inline bool group_fsm::drive_attempt(time_point now)
{
    bool open = false; // something may still come by itself
    bool runs = false;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        entry& e = entries_[i];
        bool const needed = !plan_.is_optional(i);
        if (e.pending != member_command::none || e.expected != outcome::seen) {
            open = true;
            continue;
        }
        std::string wrong = e.failure;
        if (e.ended && !e.done) {
            if (e.m.exit_code == 0 && may_be_job(i))
                e.done = true;
            else
                wrong = named(e.m) + " " + how_it_ended(e.m);
        }
        if (e.m.state == member_state::stopped && e.tried == attempt_ && !e.ended && wrong.empty()) wrong = not_shown(e.m);
        if (e.m.state == member_state::dead) wrong = named(e.m) + " is dead and can't be started: it has to be removed and created anew";
        if (!wrong.empty()) {
            if (!needed) continue;
            fail_attempt(std::move(wrong), e.failure.empty() ? e.m.id : std::string(), now);
            return true;
        }
        if (e.done) continue;
        switch (e.m.state) {
        case member_state::running:
            runs = true;
            if (config_.action == idle_action::throttle && e.level != limits_level::active) {
                if (config_.active_resources == resources{}) {
                    e.level = limits_level::active;
                    return true;
                }
                issue(e, member_command::limit);
                open = true;
            }
            break;
        case member_state::starting:
        case member_state::stopping: open = true; break;
        case member_state::paused:
            open = true;
            if (e.tried != attempt_) issue(e, member_command::unpause);
            break;
        case member_state::stopped:
            switch (plan_.may_start(i, [this](std::size_t j) { return progress_of(j); })) {
            case start_verdict::now: issue(e, member_command::start); [[fallthrough]];
            case start_verdict::later: open = true; break;
            case start_verdict::never:
                if (!needed) break;
                fail_attempt(named(e.m) + " can't be started: what it depends on has ended too early", {}, now);
                return true;
            }
            break;
        case member_state::dead: break;
        }
    }
    if (open || runs) return false;
    fail_attempt("nothing of the group stays up: " + named(entries_.front().m) + " " + how_it_ended(entries_.front().m), entries_.front().m.id, now);
    return true;
}

inline void group_fsm::fail_attempt(std::string text, std::string id, time_point now)
{
    attempting_ = false;
    ++failures_;
    not_before_ = now + pause_after(failures_);
    blame(std::move(text), std::move(id), now);
}

/// Keep why something has failed, and put it into the log: with the last line of `id`, if there is one.
inline void group_fsm::blame(std::string text, std::string id, time_point now)
{
    if (!failure_.told) tell_failure();
    failure_ = failure_report{std::move(id), std::move(text), {}, false, false, now + line_limit};
    entry const* const e = failure_.id.empty() ? nullptr : find(failure_.id);
    if (!e) {
        tell_failure();
        return;
    }
    failure_.asking = true;
    group_action& a = add(group_action::kind::ask_line);
    a.target = e->m;
}

inline void group_fsm::tell_failure()
{
    failure_.told = true;
    report(log_level::warn, failure_.text, failure_.line);
}

inline group_fsm::verdict group_fsm::why_late() const
{
    if (!known_) return {errc::engine_unreachable, lost_why_.empty() ? "the engine has not answered yet" : "the engine can't be reached: " + lost_why_, {}, false};
    if (entries_.empty())
        return {errc::no_members, last_removed_.empty() ? "no " + noun_ + " belongs to it" : last_removed_ + " was removed, and none has taken its place", {}, false};
    if (!plan_.missing().empty()) return {errc::no_members, "service " + *plan_.missing().begin() + " is needed, and has no " + noun_ + " any more", {}, false};
    if (!attempting_ && attempts_ != 0) return {errc::start_failed, failure_.text, {}, true};
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        entry const& e = entries_[i];
        if (is_up(e) || e.done || plan_.is_optional(i)) continue;
        auto const late = [&](std::string text) { return verdict{errc::start_timed_out, std::move(text), e.m.id, true}; };
        if (e.pending == member_command::start) return late("the engine has not answered to the start of " + named(e.m));
        switch (e.m.state) {
        case member_state::running:
            if (e.m.health == health_state::unhealthy) return late(named(e.m) + " never became healthy: its health check fails");
            return late(named(e.m) + " never became healthy: its health check has not passed yet");
        case member_state::starting:
            if (e.m.exit_code) return late(named(e.m) + " does not stay up: the engine restarts it (exit code " + std::to_string(*e.m.exit_code) + ")");
            return late(named(e.m) + " is still being started by the engine");
        case member_state::stopping: return late(named(e.m) + " is still stopping");
        case member_state::paused: return late(named(e.m) + " is still paused");
        case member_state::stopped:
        case member_state::dead: break;
        }
    }
    return {errc::start_timed_out, "not all of it could be started in time", {}, true};
}

inline void group_fsm::finish_give_up(time_point now)
{
    verdict v = std::move(*ending_);
    ending_.reset();
    if (v.error == errc::start_timed_out) {
        ++failures_;
        not_before_ = now + pause_after(failures_);
    }
    failed_ = v.error == errc::start_failed || v.error == errc::start_timed_out;
    std::string const line = v.blames ? failure_.line : std::string();
    if (v.error == errc::start_failed && attempts_ > 1) v.text += " (" + std::to_string(attempts_) + " attempts)";

    phase_ = phase::settled;
    manual_ = attempting_ = trial_ = false;
    was_active_ = true;
    touch(now);
    group_action& a = add(group_action::kind::wake_failed);
    a.error = v.error;
    a.text = v.text;
    a.line = line;
    if (waiting_ != 0) refuse(v.error, std::move(v.text), line);
}

inline void group_fsm::succeed(time_point now)
{
    phase_ = phase::settled;
    trial_ = begun_;
    manual_ = attempting_ = failed_ = false;
    ending_.reset();
    was_ready_ = was_active_ = true;
    ready_since_ = now;
    touch(now);
    add(group_action::kind::wake_done);
}

/// What was ready is so no more, without us.
inline void group_fsm::lose_ready(time_point now)
{
    was_ready_ = false;
    entry const* culprit = nullptr;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        entry const& e = entries_[i];
        if (!e.done && !plan_.is_optional(i) && (e.m.state == member_state::stopped || e.m.state == member_state::dead)) culprit = &e;
    }
    if (!culprit || now - ready_since_ >= stable_after) {
        failures_ = attempts_ = 0;
    } else {
        // It has come up and ended at once: for those who have not connected yet the wake goes on. The first time nothing is waited for.
        ++failures_;
        not_before_ = now + (failures_ > 1 ? pause_after(failures_ - 1) : duration::zero());
        int const code = culprit->m.exit_code.value_or(0);
        bool const killed = code == 130 || code == 137 || code == 143; // signals that people send
        if (trial_) {
            failed_ = !killed;
            std::string text = named(culprit->m) + " " + how_it_ended(culprit->m);
            if (failure_.id != culprit->m.id) blame(text, culprit->m.id, now);
            group_action& a = add(group_action::kind::wake_failed);
            a.error = errc::start_failed;
            a.text = std::move(text);
        }
    }
    trial_ = false;
}

/// Holds end when none of the runs that they were given for is left.
inline void group_fsm::check_holds()
{
    if (!known_ || holds_ == 0) return;
    std::vector<std::pair<std::string, std::string>> runs;
    bool common = false;
    for (entry const& e : entries_) {
        if (e.m.state != member_state::running && e.m.state != member_state::paused && e.m.state != member_state::stopping) continue;
        auto const same = [&e](auto const& held) { return held.first == e.m.id && (held.second == e.m.run || held.second.empty() || e.m.run.empty()); };
        common = common || std::any_of(held_runs_.begin(), held_runs_.end(), same);
        runs.emplace_back(e.m.id, e.m.run);
    }
    if (common) {
        held_runs_ = std::move(runs);
    } else {
        holds_ = 0;
        add(group_action::kind::end_holds);
    }
}

inline void group_fsm::begin_rest(time_point now)
{
    if (was_ready_) failures_ = attempts_ = 0;
    phase_ = phase::resting;
    forced_ = was_ready_ = trial_ = failed_ = false;
    rest_failures_ = 0;
    rest_again_ = now;
    if (config_.action != idle_action::throttle && holds_ != 0) {
        holds_ = 0;
        add(group_action::kind::end_holds);
    }
}

inline bool group_fsm::resting(time_point now)
{
    if ((waiting_ != 0 || manual_) && !forced_) {
        enter_waking();
        return true;
    }
    if (waiting_ != 0 && now >= deadline_) refuse(errc::start_timed_out, "it is still being put to rest", {});
    if (!known_) return false;
    bool all = true;
    rest_waits_ = false;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        entry& e = entries_[i];
        if (at_rest(e)) continue;
        all = false;
        if (e.pending != member_command::none || e.expected != outcome::seen || e.m.state == member_state::stopping) continue;
        if (!plan_.may_stop(i, [this](std::size_t j) { return !at_rest(entries_[j]); })) continue;
        if (now < rest_again_) {
            rest_waits_ = true;
            continue;
        }
        if (config_.action == idle_action::throttle) {
            if (config_.idle_resources == resources{}) {
                e.level = limits_level::idle;
                return true;
            }
            issue(e, member_command::limit);
        } else if (config_.action == idle_action::pause && e.m.state == member_state::running && !e.cannot_pause) {
            issue(e, member_command::pause);
        } else {
            issue(e, member_command::stop);
        }
    }
    if (!all) return false;
    phase_ = phase::settled;
    forced_ = was_active_ = false;
    wakes_on_use_ = config_.action == idle_action::throttle && config_.use == use_rule::bytes && holds_ != 0;
    add(group_action::kind::rested);
    return true;
}

inline void group_fsm::use_noticed_by_window(time_point now)
{
    if (config_.action != idle_action::throttle || phase_ != phase::settled || !known_ || serving() || holds_ == 0) return;
    bool const throttled = std::any_of(entries_.begin(), entries_.end(),
                                       [](entry const& e) { return e.m.state == member_state::running && e.level == limits_level::idle; });
    if (!throttled) return;
    manual_ = true;
    attempts_ = 0;
    deadline_ = now + config_.start_limit;
}

inline void group_fsm::release(time_point now)
{
    touch(now);
    for (; waiting_ != 0; --waiting_) hold_begins(now);
    add(group_action::kind::release);
}

inline void group_fsm::refuse(errc error, std::string text, std::string line)
{
    waiting_ = 0;
    group_action& a = add(group_action::kind::refuse);
    a.error = error;
    a.text = std::move(text);
    a.line = std::move(line);
}

inline void group_fsm::issue(entry& e, member_command what)
{
    if (phase_ == phase::waking && !begun_) {
        begun_ = true;
        add(group_action::kind::wake_begun);
    }
    e.pending = what;
    group_action& a = add(group_action::kind::command);
    a.command = what;
    a.target = e.m;
    if (what == member_command::limit) {
        e.wanted_level = phase_ == phase::resting ? limits_level::idle : limits_level::active;
        a.limits = phase_ == phase::resting ? config_.idle_resources : config_.active_resources;
    }
    if (what == member_command::start || what == member_command::unpause) {
        e.tried = attempt_;
        e.ran = e.ended = false;
        e.run_before = e.m.run;
    }
}

inline group_action& group_fsm::add(group_action::kind what)
{
    group_action& out = actions_.emplace_back();
    out.what = what;
    return out;
}

inline void group_fsm::report(log_level level, std::string text, std::string line)
{
    group_action& a = add(group_action::kind::report);
    a.level = level;
    a.text = std::move(text);
    a.line = std::move(line);
}

inline bool group_fsm::idle_due(time_point now)
{
    if (config_.idle.count() == 0 || in_use_now() || now < last_use_ + config_.idle) return false;
    if (!meter_.counts()) return true;
    touch(now); // the window that is open has been used already
    return false;
}

inline group_fsm::time_point group_fsm::earliest_attempt(time_point now) const
{
    bool const counts = config_.most_wakes != 0 && !manual_ && !(phase_ == phase::waking && counted_);
    if (!counts || wakes_.size() < config_.most_wakes || !needs_start()) return std::max(now, not_before_);
    return std::max({now, not_before_, wakes_[wakes_.size() - config_.most_wakes] + config_.wake_window});
}

inline std::string group_fsm::too_many_text() const
{
    return "it was woken " + std::to_string(config_.most_wakes) + " times within " + format_duration(config_.wake_window) + " already";
}

inline group_fsm::duration group_fsm::pause_after(unsigned failures)
{
    if (failures == 0) return duration::zero();
    auto pause = std::min(config_.first_backoff, config_.most_backoff);
    for (unsigned i = 1; i < failures && pause < config_.most_backoff; ++i) pause = std::min(pause * 2, config_.most_backoff);
    if (random_ == 0) return pause;
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return pause * 3 / 4 + pause * static_cast<std::int64_t>(random_ % 1024) / 2048;
}

} // namespace podproxy::wake
