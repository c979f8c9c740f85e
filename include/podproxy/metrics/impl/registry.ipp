#include <cmath>
#include <stdexcept>

namespace podproxy::metrics {

inline counter registry::add_counter(std::string_view name, std::string_view help, std::initializer_list<label> labels)
{
    auto* const s = find_or_add(name, kind::counter, help, labels, {});
    return s ? counter(&s->count) : counter();
}

inline gauge registry::add_gauge(std::string_view name, std::string_view help, std::initializer_list<label> labels)
{
    auto* const s = find_or_add(name, kind::gauge, help, labels, {});
    return s ? gauge(&s->number) : gauge();
}

inline histogram registry::add_histogram(std::string_view name, std::string_view help, std::vector<double> bounds, std::initializer_list<label> labels)
{
    bool const rising = std::adjacent_find(bounds.begin(), bounds.end(), [](double a, double b) { return !(a < b); }) == bounds.end();
    bool const finite = std::all_of(bounds.begin(), bounds.end(), [](double b) { return std::isfinite(b); });
    if (bounds.empty() || !rising || !finite) throw std::invalid_argument("the bounds of a histogram do not rise: " + std::string(name));
    auto* const s = find_or_add(name, kind::histogram, help, labels, std::move(bounds));
    return s ? histogram(&s->buckets) : histogram();
}

inline registry::series* registry::find_or_add(std::string_view name, metrics::kind k, std::string_view help, std::initializer_list<label> labels,
                                               std::vector<double> bounds)
{
    auto const same_names = [&](family const& f) {
        return std::equal(f.labels.begin(), f.labels.end(), labels.begin(), labels.end(), [](std::string const& a, label const& b) { return a == b.name; });
    };
    auto found = std::find_if(families_.begin(), families_.end(), [&](family const& f) { return f.name == name; });
    if (found == families_.end()) {
        exposition_writer check(format::prometheus); // knows what names may be
        check.family(name, k, help);
        for (label const& l : labels)
            if (!is_label_name(l.name)) throw std::invalid_argument("no name for a label: " + std::string(l.name));
        family f{std::string(name), std::string(help), k, {}, std::move(bounds), {}};
        for (label const& l : labels) f.labels.emplace_back(l.name);
        families_.push_back(std::move(f));
        found = std::prev(families_.end());
    } else if (found->kind != k || !same_names(*found) || found->bounds != bounds) {
        throw std::invalid_argument("a metric is asked for in two forms: " + std::string(name));
    }
    for (series& s : found->all)
        if (std::equal(s.values.begin(), s.values.end(), labels.begin(), labels.end(), [](std::string const& a, label const& b) { return a == b.value; })) return &s;
    if (found->all.size() >= max_series) return nullptr;
    series& s = found->all.emplace_back();
    for (label const& l : labels) s.values.emplace_back(l.value);
    if (k == kind::histogram) s.buckets = {found->bounds, std::vector<std::uint64_t>(found->bounds.size() + 1), 0};
    return &s;
}

inline std::string registry::expose(format f) const
{
    exposition_writer out(f);
    std::vector<label> labels;
    for (family const& m : families_) {
        out.family(m.name, m.kind, m.help);
        for (series const& s : m.all) {
            labels.clear();
            for (std::size_t i = 0; i < m.labels.size(); ++i) labels.push_back({m.labels[i], s.values[i]});
            switch (m.kind) {
            case kind::counter: out.sample(labels, s.count); break;
            case kind::gauge: out.sample(labels, s.number); break;
            case kind::histogram: out.histogram(labels, s.buckets.bounds, s.buckets.counts, s.buckets.sum); break;
            }
        }
    }
    for (auto const& collect : collectors_) collect(out);
    return std::move(out).finish();
}

} // namespace podproxy::metrics
