// Measurements with any texts in labels and help: a reader of its own understands both formats, and finds the same numbers. The second
// half is an Accept field.

#include <podproxy/metrics/exposition.hpp>
#include <podproxy/core/bytes.hpp>

#include <unit/metrics/text_parser.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

using namespace podproxy;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    std::string_view const all = as_text({data, size});
    std::string_view const text = all.substr(0, size / 2);
    auto const chosen = metrics::choose_format(all.substr(size / 2));
    std::string_view const second = text.substr(text.size() / 2);
    for (auto const f : {metrics::format::prometheus, metrics::format::openmetrics}) {
        metrics::exposition_writer w(f);
        w.family("a_total", metrics::kind::counter, text);
        w.sample({{"x", text}, {"y", "1"}}, std::uint64_t{size});
        w.sample({{"x", second}, {"y", "2"}}, 0.5);
        w.family("h_seconds", metrics::kind::histogram, second);
        std::array const bounds{0.25, 3.0};
        std::array<std::uint64_t, 3> const counts{1, size, 2};
        w.histogram(std::array<metrics::label, 1>{{{"x", second}}}, bounds, counts, 1e9);
        auto const read = test::parse_exposition(std::move(w).finish(), f);
        if (!read.problem.empty() || read.samples.size() != 2 + 3 + 2) std::abort();
        double sum = 0;
        for (auto const& [series, value] : read.samples) sum += value;
        if (sum != static_cast<double>(size) + 0.5 + (1 + (1 + static_cast<double>(size)) + (3 + static_cast<double>(size))) + (3 + static_cast<double>(size)) + 1e9) std::abort();
    }
    // Nobody gets OpenMetrics who does not name it.
    if (chosen == metrics::format::openmetrics && all.substr(size / 2).size() < std::string_view("application/openmetrics-text").size()) std::abort();
    return 0;
}
