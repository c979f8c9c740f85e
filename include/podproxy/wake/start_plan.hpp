#ifndef PODPROXY_WAKE_START_PLAN_HPP
#define PODPROXY_WAKE_START_PLAN_HPP

#include <podproxy/wake/member.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace podproxy::wake {

/// How far a member has come, for those that depend on it.
enum class start_progress : std::uint8_t {
    not_yet,   ///< At rest, or on its way.
    started,   ///< It runs.
    healthy,   ///< It runs, and its health check has passed (or has not to be waited for).
    completed, ///< It has ended by itself with code 0.
    failed,    ///< It has ended otherwise, can't be started, or is unhealthy where that is final.
};

/// Whether a member may be started.
enum class start_verdict : std::uint8_t {
    now,
    later, ///< When others have come further.
    never, ///< One that it needs has failed.
};

/** The order within a group, from `member::depends_on`.

    A service stands for all members that name it: a condition is met when all of them meet it. Services that the group has never had
    are outside of it: nobody here could start them, so they are taken as met. Dependencies that go round in a circle are left out,
    and reported.
    @par Source compose specification, `depends_on`: the conditions, `required` */
class start_plan {
public:
    start_plan() = default;
    /** @param members  Positions in it are what the other functions speak of.
        @param known    Services that the group has had, those of `members` included: one that is missing now is waited for. */
    explicit start_plan(std::vector<member> const& members, std::set<std::string> const& known = {});

    std::size_t size() const noexcept { return nodes_.size(); }

    /// Whether `i` may be started. @param progress_of Tells the `start_progress` of a position.
    template <class ProgressOf>
    start_verdict may_start(std::size_t i, ProgressOf const& progress_of) const
    {
        auto out = start_verdict::now;
        for (edge const& e : nodes_[i].needs) {
            auto one = e.targets.empty() && e.required ? start_verdict::later : start_verdict::now;
            for (std::size_t const t : e.targets) one = std::max(one, met(e.condition, progress_of(t)));
            if (one == start_verdict::never && !e.required) one = start_verdict::now; // tried, and does not matter
            out = std::max(out, one);
        }
        return out;
    }

    /// Whether `i` may be stopped: nobody who depends on it is active. @param is_active Tells it of a position.
    template <class IsActive>
    bool may_stop(std::size_t i, IsActive const& is_active) const
    {
        return std::none_of(nodes_[i].needed_by.begin(), nodes_[i].needed_by.end(), [&](std::size_t j) { return is_active(j); });
    }

    /// Others depend on it, and none of them requires it: its failure does not matter.
    bool is_optional(std::size_t i) const noexcept { return nodes_[i].optional; }
    /// Others wait until it has completed: a job.
    bool is_job(std::size_t i) const noexcept { return nodes_[i].job; }
    /// Others wait until it is healthy.
    bool has_to_be_healthy(std::size_t i) const noexcept { return nodes_[i].health_needed; }

    /// The members of each circle of dependencies, by name.
    std::vector<std::vector<std::string>> const& cycles() const noexcept { return cycles_; }
    /// Services that are depended on and not part of the group.
    std::set<std::string> const& outside() const noexcept { return outside_; }
    /// Services that are required, and of which the group has no member any more.
    std::set<std::string> const& missing() const noexcept { return missing_; }

private:
    struct edge {
        std::vector<std::size_t> targets; ///< Empty: missing.
        dependency_condition condition;
        bool required;
    };
    struct node {
        std::vector<edge> needs;
        std::vector<std::size_t> needed_by;
        bool optional = false;
        bool job = false;
        bool health_needed = false;
    };

    static start_verdict met(dependency_condition wanted, start_progress p) noexcept
    {
        if (p == start_progress::failed) return start_verdict::never;
        bool ok = false;
        switch (wanted) {
        case dependency_condition::started: ok = p != start_progress::not_yet; break;
        case dependency_condition::healthy:
            if (p == start_progress::completed) return start_verdict::never;
            ok = p == start_progress::healthy;
            break;
        case dependency_condition::completed: ok = p == start_progress::completed; break;
        }
        return ok ? start_verdict::now : start_verdict::later;
    }

    void leave_out_cycles(std::vector<member> const& members);

    std::vector<node> nodes_;
    std::vector<std::vector<std::string>> cycles_;
    std::set<std::string> outside_;
    std::set<std::string> missing_;
};

} // namespace podproxy::wake

#include <podproxy/wake/impl/start_plan.ipp>

#endif
