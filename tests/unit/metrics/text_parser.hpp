#ifndef PODPROXY_TESTS_UNIT_METRICS_TEXT_PARSER_HPP
#define PODPROXY_TESTS_UNIT_METRICS_TEXT_PARSER_HPP

#include <podproxy/metrics/exposition.hpp>
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace podproxy::test {

/// Measurements read back from their text, or the first line that breaks the format.
struct exposition {
    std::map<std::string, double> samples; ///< By name and labels as they are written.
    std::string problem;

    std::optional<double> value(std::string const& series) const
    {
        auto const at = samples.find(series);
        return at == samples.end() ? std::nullopt : std::optional(at->second);
    }
};

/** Reads the text formats as strictly as their descriptions are, from those descriptions: families in one piece with HELP and TYPE first, names and
    escapes, no series twice, suffixes that fit the type, buckets that rise to +Inf and agree with the count. */
class exposition_reader {
public:
    exposition_reader(std::string_view text, metrics::format f) : text_(text), open_(f == metrics::format::openmetrics) {}

    exposition read()
    {
        if (!text_.empty() && text_.back() != '\n') return fail("the last line has no end");
        bool ended = false;
        while (!text_.empty() && out_.problem.empty()) {
            auto const end = text_.find('\n');
            line_ = text_.substr(0, end);
            text_.remove_prefix(end + 1);
            if (ended) return fail("something behind # EOF");
            if (open_ && line_ == "# EOF") ended = true;
            else if (line_.starts_with("# ")) comment();
            else sample();
        }
        if (out_.problem.empty()) end_family();
        if (open_ && !ended && out_.problem.empty()) return fail("no # EOF");
        return out_;
    }

private:
    exposition fail(std::string_view why)
    {
        if (out_.problem.empty()) out_.problem = std::string(why) + ": " + std::string(line_);
        return out_;
    }

    static bool name_char(char c, bool first) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == ':' || (!first && std::isdigit(static_cast<unsigned char>(c))); }

    std::string take_name(std::string_view& s)
    {
        std::size_t n = 0;
        while (n < s.size() && name_char(s[n], n == 0)) ++n;
        std::string out(s.substr(0, n));
        s.remove_prefix(n);
        return out;
    }

    void comment()
    {
        std::string_view rest = line_.substr(2);
        std::string_view const word = rest.substr(0, rest.find(' '));
        rest.remove_prefix(std::min(word.size() + 1, rest.size()));
        std::string const name = take_name(rest);
        if (name.empty() || rest.empty() || rest.front() != ' ') return void(fail("no name"));
        rest.remove_prefix(1);
        if (word == "HELP") {
            end_family();
            if (!families_.insert(name).second) return void(fail("a family twice"));
            family_ = name;
            type_.clear();
            for (std::size_t i = 0; i < rest.size(); ++i) {
                if (rest[i] == '"' && open_) return void(fail("a quote in HELP"));
                if (rest[i] != '\\') continue;
                if (++i == rest.size() || (rest[i] != '\\' && rest[i] != 'n' && !(open_ && rest[i] == '"'))) return void(fail("an escape in HELP"));
            }
        } else if (word == "TYPE") {
            if (name != family_ || !type_.empty()) return void(fail("TYPE in the wrong place"));
            type_ = rest;
            if (type_ != "counter" && type_ != "gauge" && type_ != "histogram") return void(fail("an unknown type"));
        } else if (word == "UNIT" && open_) {
            if (name != family_ || !name.ends_with("_" + std::string(rest))) return void(fail("UNIT does not fit"));
        } else {
            fail("an unknown comment");
        }
    }

    void sample()
    {
        std::string_view rest = line_;
        std::string const name = take_name(rest);
        std::string labels, bound;
        if (rest.starts_with('{') && !take_labels(rest, labels, bound)) return void(fail("labels"));
        if (!rest.starts_with(' ')) return void(fail("no blank"));
        std::string const number(rest.substr(1));
        char* end = nullptr;
        double const value = std::strtod(number.c_str(), &end);
        if (number.empty() || *end != '\0' || std::isspace(static_cast<unsigned char>(number[0]))) return void(fail("no number"));

        std::string suffix;
        if (type_ == "counter") suffix = open_ ? "_total" : "";
        if (type_ == "histogram") suffix = name.ends_with("_bucket") ? "_bucket" : name.ends_with("_sum") ? "_sum" : "_count";
        if (type_.empty() || name != family_ + suffix) return void(fail("a sample outside of its family"));
        if (type_ == "counter" && !name.ends_with("_total")) return void(fail("the name of a counter"));
        if (type_ == "counter" && value < 0) return void(fail("a counter below zero"));
        if ((suffix == "_bucket") != !bound.empty()) return void(fail("le in the wrong place"));
        if (suffix == "_bucket") {
            double const le = bound == "+Inf" ? 1e300 : std::strtod(bound.c_str(), nullptr);
            if (open_ && bound.find_first_of(".eI") == std::string::npos) return void(fail("le is no float"));
            auto& series = buckets_[labels];
            if (!series.empty() && (series.back().first >= le || series.back().second > value)) return void(fail("buckets do not rise"));
            series.push_back({le, value});
        }
        if (suffix == "_count") counts_[labels] = value;
        std::string const key = name + (labels.empty() && bound.empty() ? "" : "{" + labels + (bound.empty() ? "" : (labels.empty() ? "" : ",") + ("le=\"" + bound + "\"")) + "}");
        if (!out_.samples.emplace(key, value).second) return void(fail("a series twice"));
    }

    bool take_labels(std::string_view& rest, std::string& labels, std::string& bound)
    {
        std::set<std::string> names;
        rest.remove_prefix(1);
        for (;;) {
            std::string const name = take_name(rest);
            if (name.empty() || name.find(':') != std::string::npos || !names.insert(name).second || !rest.starts_with("=\"")) return false;
            rest.remove_prefix(2);
            std::string value;
            while (!rest.empty() && rest.front() != '"') {
                if (rest.front() == '\\') {
                    if (rest.size() < 2 || (rest[1] != '\\' && rest[1] != 'n' && rest[1] != '"')) return false;
                    value += rest.front();
                    rest.remove_prefix(1);
                }
                value += rest.front();
                rest.remove_prefix(1);
            }
            if (rest.empty()) return false;
            rest.remove_prefix(1);
            if (name == "le") bound = value;
            else labels += (labels.empty() ? "" : ",") + name + "=\"" + value + "\"";
            if (rest.starts_with('}')) {
                rest.remove_prefix(1);
                return true;
            }
            if (!rest.starts_with(',')) return false;
            rest.remove_prefix(1);
        }
    }

    void end_family()
    {
        for (auto const& [labels, series] : buckets_)
            if (series.back().first != 1e300 || !counts_.contains(labels) || counts_[labels] != series.back().second) fail("a histogram without its end");
        if (type_ == "histogram" && counts_.size() != buckets_.size()) fail("a count without buckets");
        buckets_.clear();
        counts_.clear();
    }

    std::string_view text_;
    bool open_;
    std::string_view line_;
    exposition out_;
    std::set<std::string> families_;
    std::string family_, type_;
    std::map<std::string, std::vector<std::pair<double, double>>> buckets_;
    std::map<std::string, double> counts_;
};

inline exposition parse_exposition(std::string_view text, metrics::format f) { return exposition_reader(text, f).read(); }

} // namespace podproxy::test

#endif
