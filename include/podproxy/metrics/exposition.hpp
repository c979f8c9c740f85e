#ifndef PODPROXY_METRICS_EXPOSITION_HPP
#define PODPROXY_METRICS_EXPOSITION_HPP

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::metrics {

/// How measurements are written for who collects them.
enum class format : std::uint8_t {
    prometheus,  ///< Prometheus text, version 0.0.4.
    openmetrics, ///< OpenMetrics text, version 1.0.0.
};

/// The value for a Content-Type field.
constexpr std::string_view content_type(format f) noexcept
{
    return f == format::openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8" : "text/plain; version=0.0.4; charset=utf-8";
}

/** Choose by the Accept field of a request: OpenMetrics where it is named, in a version that we write, with at least the weight of
    plain text; else Prometheus text, also for clients that take neither.
    @param accept The values of all Accept fields, with commas between them. */
format choose_format(std::string_view accept) noexcept;

/// What a family of measurements is.
enum class kind : std::uint8_t { counter, gauge, histogram };

/// One name and value behind a measurement. Views.
struct label {
    std::string_view name;
    std::string_view value;
};

/// Letters, digits, `_` and `:`, no digit in front.
bool is_metric_name(std::string_view name) noexcept;
/// Letters, digits and `_`, no digit and no `__` in front, and not `le`, which is a histogram's own.
bool is_label_name(std::string_view name) noexcept;

/** Writes measurements as text, family by family:

        exposition_writer w(choose_format(accept));
        w.family("podproxy_requests_total", kind::counter, "Requests that were answered.");
        w.sample({{"code", "200"}}, 17u);
        send(std::move(w).finish());

    Names are our own: one that may not be, a family that comes twice and a counter whose name does not end in `_total` are broken
    preconditions. Values of labels may hold anything; what is not UTF-8 in them becomes U+FFFD.
    @throws std::invalid_argument for a broken precondition. */
class exposition_writer {
public:
    explicit exposition_writer(metrics::format f) : format_(f) {}

    /// Begin a family. Its samples follow; no label set may come twice. @param help One sentence.
    void family(std::string_view name, kind k, std::string_view help);

    void sample(std::span<label const> labels, std::uint64_t value);
    void sample(std::span<label const> labels, double value);
    void sample(std::initializer_list<label> labels, std::uint64_t value) { sample(std::span(labels.begin(), labels.size()), value); }
    void sample(std::initializer_list<label> labels, double value) { sample(std::span(labels.begin(), labels.size()), value); }

    /** One histogram.
        @param bounds Upper bounds of the buckets, rising, without infinity.
        @param counts Of each bucket by itself, not added up; one more than bounds, for what is above the last. */
    void histogram(std::span<label const> labels, std::span<double const> bounds, std::span<std::uint64_t const> counts, double sum);

    metrics::format format() const noexcept { return format_; }

    /// The whole text.
    std::string finish() &&;

private:
    void begin_line(std::string_view suffix, std::span<label const> labels, std::string_view bound);

    metrics::format format_;
    std::string out_;
    std::string name_; ///< Of the current family, as its samples have it.
    kind kind_ = kind::gauge;
    std::vector<std::string> names_;
};

} // namespace podproxy::metrics

#include <podproxy/metrics/impl/exposition.ipp>

#endif
