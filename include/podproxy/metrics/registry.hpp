#ifndef PODPROXY_METRICS_REGISTRY_HPP
#define PODPROXY_METRICS_REGISTRY_HPP

#include <podproxy/metrics/exposition.hpp>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace podproxy::metrics {

namespace detail {

struct histogram_cell {
    std::vector<double> bounds;
    std::vector<std::uint64_t> counts;
    double sum = 0;
};

} // namespace detail

/// A number that only grows. A pointer to it: cheap to copy and to count with. One without a registry counts nothing.
class counter {
public:
    counter() = default;
    explicit counter(std::uint64_t* cell) noexcept : cell_(cell) {}

    void add(std::uint64_t n = 1) const noexcept
    {
        if (cell_) *cell_ += n;
    }
    std::uint64_t value() const noexcept { return cell_ ? *cell_ : 0; }

private:
    std::uint64_t* cell_ = nullptr;
};

/// A number that goes up and down. A pointer to it, as `counter`.
class gauge {
public:
    gauge() = default;
    explicit gauge(double* cell) noexcept : cell_(cell) {}

    void set(double v) const noexcept
    {
        if (cell_) *cell_ = v;
    }
    void add(double v) const noexcept
    {
        if (cell_) *cell_ += v;
    }
    double value() const noexcept { return cell_ ? *cell_ : 0; }

private:
    double* cell_ = nullptr;
};

/// Counts values by size. A pointer to the counts, as `counter`.
class histogram {
public:
    histogram() = default;
    explicit histogram(detail::histogram_cell* cell) noexcept : cell_(cell) {}

    /// A value that equals a bound belongs to the bucket below it. NaN is left out.
    void observe(double v) const noexcept
    {
        if (!cell_ || v != v) return;
        auto const at = std::lower_bound(cell_->bounds.begin(), cell_->bounds.end(), v);
        ++cell_->counts[static_cast<std::size_t>(at - cell_->bounds.begin())];
        cell_->sum += v;
    }
    /// In seconds.
    template <class Rep, class Period>
    void observe(std::chrono::duration<Rep, Period> v) const noexcept
    {
        observe(std::chrono::duration<double>(v).count());
    }

private:
    detail::histogram_cell* cell_ = nullptr;
};

/** All that a program measures, in one thread and without locks.

        counter const served = registry.add_counter("podproxy_requests_total", "Requests that were answered.", {{"code", "200"}});
        served.add();

    Asking again for a name with the same labels gives the same number. Families and their series are written in the order in which they
    were added. Where the labels come from outside, a family has at most `max_series` of them: what is asked for then counts nothing.
    @par Lifetime Numbers are not used after the registry is gone.
    @throws std::invalid_argument for names that may not be, and for a name that is asked for as another kind, or with other labels or bounds. */
class registry {
public:
    static constexpr std::size_t max_series = 10'000;

    registry() = default;
    registry(registry const&) = delete;
    registry& operator=(registry const&) = delete;

    counter add_counter(std::string_view name, std::string_view help, std::initializer_list<label> labels = {});
    gauge add_gauge(std::string_view name, std::string_view help, std::initializer_list<label> labels = {});
    /// @param bounds Upper bounds of the buckets, rising and finite; not empty.
    histogram add_histogram(std::string_view name, std::string_view help, std::vector<double> bounds, std::initializer_list<label> labels = {});

    /** Measurements that are best taken when somebody asks: `collect` writes families of its own, behind the others.
        @par Lifetime What it holds on to outlives the registry, or the last `expose`. */
    void add_collector(std::function<void(exposition_writer&)> collect) { collectors_.push_back(std::move(collect)); }

    /// Everything, as text.
    std::string expose(format f) const;

private:
    struct series {
        std::vector<std::string> values;
        std::uint64_t count = 0;
        double number = 0;
        detail::histogram_cell buckets;
    };
    struct family {
        std::string name;
        std::string help;
        metrics::kind kind;
        std::vector<std::string> labels;
        std::vector<double> bounds;
        std::deque<series> all; ///< Stay where they are.
    };

    series* find_or_add(std::string_view name, metrics::kind k, std::string_view help, std::initializer_list<label> labels, std::vector<double> bounds);

    std::deque<family> families_;
    std::vector<std::function<void(exposition_writer&)>> collectors_;
};

} // namespace podproxy::metrics

#include <podproxy/metrics/impl/registry.ipp>

#endif
