#ifndef PODPROXY_CONFIG_REPORT_HPP
#define PODPROXY_CONFIG_REPORT_HPP

#include <podproxy/config/problem.hpp>
#include <podproxy/core/log.hpp>
#include <algorithm>
#include <iterator>
#include <utility>

namespace podproxy::config {

/// Write each problem as a line of its own level: a note as information.
inline void report(problem_list const& problems, logger const& log)
{
    for (auto const& p : problems) {
        if (p.level == severity::error) log.error(format(p));
        else if (p.level == severity::warning) log.warn(format(p));
        else log.info(format(p));
    }
}

/// Remembers what has been told, where the same thing is looked at again and again.
class problem_memory {
public:
    /// Those of `now` that were not there the last time. What has gone and comes back is told again.
    problem_list news(problem_list now)
    {
        problem_list out;
        std::ranges::copy_if(now, std::back_inserter(out), [&](problem const& p) { return std::ranges::find(told_, p) == told_.end(); });
        told_ = std::move(now);
        return out;
    }

private:
    problem_list told_;
};

} // namespace podproxy::config

#endif
