#ifndef PODPROXY_WAKE_GROUP_FSM_HPP
#define PODPROXY_WAKE_GROUP_FSM_HPP

#include <podproxy/core/duration.hpp>
#include <podproxy/core/log.hpp>
#include <podproxy/wake/errc.hpp>
#include <podproxy/wake/group_state.hpp>
#include <podproxy/wake/member.hpp>
#include <podproxy/wake/settings.hpp>
#include <podproxy/wake/start_plan.hpp>
#include <podproxy/wake/use_meter.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace podproxy::wake {

/// What an engine is asked to do with a member.
enum class member_command : std::uint8_t { none, start, stop, pause, unpause, limit };

/// What `group_fsm` wants done, or tells.
struct group_action {
    enum class kind : std::uint8_t {
        command,     ///< Have `command` carried out on `target`; then `command_done`.
        ask_line,    ///< Ask for the last line of `target`; then `line_is`.
        release,     ///< All that wait are served: each has a hold now.
        refuse,      ///< All that wait are refused with `error`.
        end_holds,   ///< All holds have ended: they count no more, and must not be dropped any more.
        wake_begun,  ///< A start of the group: the first command of a wake goes out.
        wake_done,   ///< The group is ready after it was not.
        wake_failed, ///< A wake has ended without success, or what it had started has ended at once.
        rested,      ///< The group has been put to rest.
        report,      ///< Something for the log.
    };
    kind what = kind::report;
    member_command command = member_command::none;
    member target;
    resources limits;                 ///< For `member_command::limit`.
    errc error{};                     ///< For `refuse` and `wake_failed`.
    log_level level = log_level::info; ///< For `report`.
    std::string text;                 ///< Our words, without the group's name.
    std::string line;                 ///< The last line of the member that is to blame: not ours, not to be trusted.
};

/** Decides when the members of a group are started and put to rest, and which clients are served.

    A machine without I/O: it is told what the engine shows, what clients do, what became of its commands, and the time; it answers with
    actions. What it does follows from what is observed now and what is wanted now, not from a chain of expected events, so that
    anything may happen at any moment.

    - A client that arrives while the group is not ready waits; members are started (paused ones unpaused) in the order of
      `start_plan`, each at most once in an attempt. When all that is needed runs, is healthy or has completed, all who wait are served.
    - An attempt fails when a member that is needed ends, is dead or can't be started. The next one follows after a pause that doubles,
      with jitter. After `start_attempts`, or at the end of `start_limit` since the first client has waited, all who wait are refused.
      After a failure the next attempt is made only for a client, and not before the pause is over.
    - A group that is not in use for `idle` is put to rest: those that nobody depends on first. A client that arrives meanwhile turns this
      round at once: what was being stopped is started when it has ended.
    - Jobs: a member that has ended with code 0 since the wake began, while others run, is complete. It has no health check, or others
      wait for its completion. Jobs run again when all of the group was at rest.
    - What others do at the engine is not fought: what was stopped from outside stays so until a client arrives, and what is
      found running is taken as it is, with the idle time beginning then.

    Every call may leave actions: `take_actions` gives them, in order. `next_timer` tells when `tick` is due. */
class group_fsm {
public:
    using time_point = std::chrono::steady_clock::time_point;
    using duration = std::chrono::steady_clock::duration;

    /// What becomes of a client that has arrived.
    struct arrival {
        enum class kind : std::uint8_t { held, waits, refused };
        kind what;
        errc error{}; ///< Why it is refused.
        std::string text;
        std::string line; ///< As `group_action::line`.
    };
    /// A client comes for the first time, or had been served and lost its hold before it could connect.
    enum class client_kind : std::uint8_t { new_one, back_again };

    /// How long an engine may take to show what it has confirmed. Then what it shows is believed.
    static constexpr std::chrono::seconds settle_limit{5};
    /// Who is up for so long has been started well: what ends earlier counts as a failed start.
    static constexpr std::chrono::seconds stable_after{10};
    /// How long the report of a failure waits for a member's last line.
    static constexpr std::chrono::seconds line_limit{1};

    /** @param noun  What members are called in texts.
        @param seed  For the jitter of pauses, which is a quarter to both sides. Zero: none. */
    explicit group_fsm(group_config config, std::string noun = "container", std::uint64_t seed = 0);

    group_config const& config() const noexcept { return config_; }

    // What the engine shows.
    void members_are(std::vector<member> all, time_point now);
    void member_changed(member m, time_point now);
    void member_removed(std::string_view id, time_point now);
    void engine_lost(std::string why, time_point now);

    // What clients do.
    arrival client_arrived(time_point now, client_kind kind = client_kind::new_one);
    void client_left(time_point now); ///< One of those that waited.
    bool take_hold(time_point now);   ///< Without waiting and waking. @return false: not ready.
    void hold_dropped(time_point now);
    /// Bytes and packets have moved under a hold. @return whether `use_noticed` has to be called, which is rarely so.
    bool moved(std::uint64_t bytes, std::uint64_t packets) noexcept
    {
        meter_.add(bytes, packets);
        return wakes_on_use_;
    }
    void use_noticed(time_point now);
    /// Whether a client could connect to a member's port.
    void port_opened(time_point now);
    void port_failed(time_point now);

    // What a person wants.
    void wake(time_point now);
    void stop(time_point now); ///< Also under open holds.
    void shut_down();          ///< Refuse who waits; no command goes out any more.

    // What became of actions.
    void command_done(std::string_view id, member_command what, std::error_code ec, std::string text, time_point now);
    void line_is(std::string_view id, std::string line, time_point now);
    void tick(time_point now);

    std::vector<group_action> take_actions() { return std::exchange(actions_, {}); }
    std::optional<time_point> next_timer() const;

    // What there is to see.
    bool ready() const { return !shut_ && phase_ == phase::settled && serving(); }
    group_state state() const;
    bool engine_known() const noexcept { return known_; }
    std::size_t waiting() const noexcept { return waiting_; }
    std::size_t in_use() const noexcept { return holds_; }
    /// Until it is put to rest, if nothing happens; zero where that is not so.
    std::chrono::milliseconds idle_left(time_point now) const;
    std::vector<member> members() const;
    /// The address of the member of this name, or of the first one that runs and has one.
    std::string address(std::string_view name = {}) const;
    /// All that decides what it will do, with times as seen from `now`: machines with the same text behave alike.
    std::string fingerprint(time_point now) const;

private:
    enum class phase : std::uint8_t {
        settled, ///< Nothing is being done.
        waking,  ///< Clients (or a person) want it up.
        resting, ///< It is being put to rest.
    };
    enum class limits_level : std::uint8_t { unknown, active, idle };
    /// What a command that has succeeded leads to; until that is seen, what is shown is not believed.
    enum class outcome : std::uint8_t { seen, running, resting };

    struct entry {
        member m;
        member_command pending = member_command::none;
        outcome expected = outcome::seen;
        time_point settles{};          ///< When what is shown is believed again.
        std::uint64_t tried = 0;       ///< The attempt that started it.
        bool ran = false;              ///< Has been seen to run since then.
        bool ended = false;            ///< And has ended.
        bool done = false;             ///< A job that has completed since the group is up.
        bool cannot_pause = false;
        std::string run_before;        ///< `member::run` before the start.
        std::string failure;           ///< Why a command of this attempt has failed.
        limits_level level = limits_level::unknown;
        limits_level wanted_level = limits_level::unknown; ///< Of the command in flight.
    };
    struct failure_report {
        std::string id;
        std::string text;
        std::string line;
        bool asking = false; ///< The last line is being asked for.
        bool told = true;
        time_point until{};
    };
    struct verdict {
        errc error;
        std::string text;
        std::string id;      ///< Who is to blame.
        bool blames = false; ///< `failure_` has its last line.
    };

    // What is seen.
    bool is_up(entry const& e) const;
    bool is_active(entry const& e) const;
    bool at_rest(entry const& e) const;
    bool wants_start(entry const& e) const;
    bool may_be_job(std::size_t i) const;
    bool serving() const;
    bool any_active() const;
    bool needs_start() const;
    start_progress progress_of(std::size_t i) const;
    entry* find(std::string_view id);
    std::size_t index_of(entry const& e) const { return static_cast<std::size_t>(&e - entries_.data()); }
    std::string named(member const& m) const { return noun_ + " " + m.name; }
    static std::string how_it_ended(member const& m);
    std::string not_shown(member const& m) const;

    // What changes.
    void observe(entry& e, member m, time_point now);
    void made_anew(time_point now);
    void rebuild_plan();
    void enter_waking();
    void use_noticed_by_window(time_point now);
    void evaluate(time_point now);
    bool step(time_point now);
    bool settled(time_point now);
    bool waking(time_point now);
    bool resting(time_point now);
    bool drive_attempt(time_point now);
    void begin_attempt(time_point now);
    void fail_attempt(std::string text, std::string id, time_point now);
    void blame(std::string text, std::string id, time_point now);
    void tell_failure();
    verdict why_late() const;
    void finish_give_up(time_point now);
    void succeed(time_point now);
    void lose_ready(time_point now);
    void check_holds();
    void begin_rest(time_point now);
    void release(time_point now);
    void refuse(errc e, std::string text, std::string line);
    void issue(entry& e, member_command what);
    group_action& add(group_action::kind what);
    void report(log_level level, std::string text, std::string line = {});
    void touch(time_point now) noexcept { last_use_ = now; }
    bool in_use_now() const noexcept { return waiting_ != 0 || (config_.use == use_rule::connections && holds_ != 0); }
    bool idle_due(time_point now);
    void hold_begins(time_point now);
    time_point earliest_attempt(time_point now) const;
    duration pause_after(unsigned failures);
    std::string too_many_text() const;

    group_config config_;
    std::string noun_;
    std::uint64_t random_;
    start_plan plan_;
    std::vector<entry> entries_; ///< By name.
    std::set<std::string> services_; ///< That the group has had.
    std::set<std::string> told_of_plan_;
    std::string last_removed_;
    bool known_ = false; ///< What is shown is the truth.
    std::string lost_why_;
    bool shut_ = false;

    phase phase_ = phase::settled;
    std::size_t waiting_ = 0;
    std::size_t holds_ = 0;
    std::vector<std::pair<std::string, std::string>> held_runs_; ///< (id, run) that holds are for.
    use_meter meter_;
    bool wakes_on_use_ = false;
    time_point last_use_{};
    bool was_ready_ = false;
    bool was_active_ = false;
    time_point ready_since_{};

    // The wake.
    bool manual_ = false;        ///< A person wants it, whoever waits.
    bool begun_ = false;         ///< A command of it has gone out.
    bool counted_ = false;       ///< It counts for `most_wakes`.
    bool attempting_ = false;
    bool trial_ = false;         ///< It has succeeded, and no client has connected yet.
    unsigned attempts_ = 0;      ///< Of this wake.
    std::uint64_t attempt_ = 0;  ///< Of all: names one.
    time_point deadline_{};
    time_point attempt_at_{};    ///< When the next attempt is made.
    std::optional<verdict> ending_; ///< How it ends, when the last line has come.

    // Failures.
    unsigned failures_ = 0; ///< In a row.
    bool failed_ = false;
    time_point not_before_{};
    failure_report failure_;
    std::deque<time_point> wakes_;

    // The rest.
    bool forced_ = false; ///< A person wants it.
    unsigned rest_failures_ = 0;
    time_point rest_again_{};
    bool rest_waits_ = false; ///< For that time.

    std::vector<group_action> actions_;
};

} // namespace podproxy::wake

#include <podproxy/wake/impl/group_fsm.ipp>
#include <podproxy/wake/impl/group_fsm_steps.ipp>

#endif
