#include <podproxy/core/ascii.hpp>
#include <podproxy/core/utf8.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <stdexcept>

namespace podproxy::metrics {

namespace detail {

/// Takes the text up to a separator off the front.
inline std::string_view take_until(std::string_view& text, char separator) noexcept
{
    std::size_t const end = text.find(separator);
    std::string_view const out = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return ascii_trim(out);
}

/// A weight in thousandths, RFC 9110 section 12.4.2; what is no weight counts as none at all.
inline int parse_weight(std::string_view text) noexcept
{
    if (text.empty() || (text[0] != '0' && text[0] != '1')) return 0;
    int value = (text[0] - '0') * 1000;
    if (text.size() > 1 && text[1] != '.') return 0;
    int unit = 100;
    for (std::size_t i = 2; i < text.size() && unit != 0; ++i, unit /= 10) {
        if (text[i] < '0' || text[i] > '9') return 0;
        value += (text[i] - '0') * unit;
    }
    return std::min(value, 1000);
}

inline bool is_name_char(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

/// Text with what the format would take for its own signs escaped.
inline void append_escaped(std::string& out, std::string_view text, bool quotes)
{
    while (!text.empty()) {
        auto const c = first_utf8(text);
        if (!c.valid) out += "\xef\xbf\xbd";
        else if (text[0] == '\\') out += "\\\\";
        else if (text[0] == '\n') out += "\\n";
        else if (text[0] == '"' && quotes) out += "\\\"";
        else out += text.substr(0, c.size);
        text.remove_prefix(c.size);
    }
}

inline void append_number(std::string& out, std::uint64_t value)
{
    std::array<char, 20> text;
    out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr);
}

inline void append_number(std::string& out, double value)
{
    if (std::isnan(value)) {
        out += "NaN";
    } else if (std::isinf(value)) {
        out += value < 0 ? "-Inf" : "+Inf";
    } else {
        std::array<char, 32> text;
        out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr);
    }
}

/// A bucket's bound. OpenMetrics wants whole numbers to have a fraction.
inline std::string format_bound(double bound, metrics::format f)
{
    std::string out;
    append_number(out, bound);
    if (f == metrics::format::openmetrics && out.find_first_of(".eIN") == std::string::npos) out += ".0";
    return out;
}

} // namespace detail

inline format choose_format(std::string_view accept) noexcept
{
    int open = 0, text = -1, any_text = -1, any = -1;
    while (!accept.empty()) {
        std::string_view range = detail::take_until(accept, ',');
        std::string_view const type = detail::take_until(range, ';');
        int weight = 1000;
        bool version_fits = true;
        while (!range.empty()) {
            std::string_view parameter = detail::take_until(range, ';');
            std::string_view const name = detail::take_until(parameter, '=');
            if (ascii_iequals(name, "q")) weight = detail::parse_weight(parameter);
            if (ascii_iequals(name, "version")) version_fits = parameter == "1.0.0";
        }
        if (ascii_iequals(type, "application/openmetrics-text") && version_fits) open = std::max(open, weight);
        if (ascii_iequals(type, "text/plain")) text = std::max(text, weight);
        if (type == "text/*") any_text = std::max(any_text, weight);
        if (type == "*/*") any = std::max(any, weight);
    }
    if (text < 0) text = any_text >= 0 ? any_text : any;
    return open > 0 && open >= text ? format::openmetrics : format::prometheus;
}

inline bool is_metric_name(std::string_view name) noexcept
{
    return !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::all_of(name.begin(), name.end(), [](char c) { return detail::is_name_char(c) || c == ':'; });
}

inline bool is_label_name(std::string_view name) noexcept
{
    return !name.empty() && !(name[0] >= '0' && name[0] <= '9') && !name.starts_with("__") && name != "le" &&
           std::all_of(name.begin(), name.end(), detail::is_name_char);
}

inline void exposition_writer::family(std::string_view name, kind k, std::string_view help)
{
    if (!is_metric_name(name)) throw std::invalid_argument("no name for a metric: " + std::string(name));
    bool const total = name.ends_with("_total");
    if (total != (k == kind::counter)) throw std::invalid_argument("the name of a counter, and of nothing else, ends in _total: " + std::string(name));
    std::string_view const base = total ? name.substr(0, name.size() - 6) : name;
    if (std::find(names_.begin(), names_.end(), base) != names_.end()) throw std::invalid_argument("a metric is there twice: " + std::string(name));
    names_.emplace_back(base);
    name_ = name;
    kind_ = k;

    bool const open = format_ == format::openmetrics;
    std::string_view const shown = open ? base : name;
    std::string_view const type = k == kind::counter ? "counter" : k == kind::gauge ? "gauge" : "histogram";
    out_.append("# HELP ").append(shown).append(" ");
    detail::append_escaped(out_, help, open);
    out_.append("\n# TYPE ").append(shown).append(" ").append(type).append("\n");
    for (std::string_view const unit : {"seconds", "bytes"})
        if (open && base.ends_with(unit) && base.size() > unit.size() && base[base.size() - unit.size() - 1] == '_')
            out_.append("# UNIT ").append(base).append(" ").append(unit).append("\n");
}

inline void exposition_writer::begin_line(std::string_view suffix, std::span<label const> labels, std::string_view bound)
{
    if (name_.empty()) throw std::invalid_argument("a measurement without a family");
    out_.append(name_).append(suffix);
    if (!labels.empty() || !bound.empty()) {
        char before = '{';
        for (label const& l : labels) {
            if (!is_label_name(l.name)) throw std::invalid_argument("no name for a label: " + std::string(l.name));
            out_ += before;
            before = ',';
            out_.append(l.name).append("=\"");
            detail::append_escaped(out_, l.value, true);
            out_ += '"';
        }
        if (!bound.empty()) {
            out_ += before;
            out_.append("le=\"").append(bound).append("\"");
        }
        out_ += '}';
    }
    out_ += ' ';
}

inline void exposition_writer::sample(std::span<label const> labels, std::uint64_t value)
{
    if (kind_ == kind::histogram) throw std::invalid_argument("a single value for a histogram");
    begin_line({}, labels, {});
    detail::append_number(out_, value);
    out_ += '\n';
}

inline void exposition_writer::sample(std::span<label const> labels, double value)
{
    if (kind_ == kind::histogram) throw std::invalid_argument("a single value for a histogram");
    begin_line({}, labels, {});
    detail::append_number(out_, value);
    out_ += '\n';
}

inline void exposition_writer::histogram(std::span<label const> labels, std::span<double const> bounds, std::span<std::uint64_t const> counts, double sum)
{
    if (kind_ != kind::histogram || counts.size() != bounds.size() + 1) throw std::invalid_argument("no histogram");
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        count += counts[i];
        begin_line("_bucket", labels, i < bounds.size() ? detail::format_bound(bounds[i], format_) : "+Inf");
        detail::append_number(out_, count);
        out_ += '\n';
    }
    begin_line("_sum", labels, {});
    detail::append_number(out_, sum);
    out_ += '\n';
    begin_line("_count", labels, {});
    detail::append_number(out_, count);
    out_ += '\n';
}

inline std::string exposition_writer::finish() &&
{
    if (format_ == format::openmetrics) out_ += "# EOF\n";
    return std::move(out_);
}

} // namespace podproxy::metrics
