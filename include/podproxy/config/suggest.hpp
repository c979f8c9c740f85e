#ifndef PODPROXY_CONFIG_SUGGEST_HPP
#define PODPROXY_CONFIG_SUGGEST_HPP

#include <podproxy/core/ascii.hpp>
#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

namespace podproxy::config {

/** How many letters must be added, left out, changed or swapped with their neighbour to turn `a` into `b`? Case costs nothing. */
inline std::size_t edit_distance(std::string_view a, std::string_view b)
{
    // Three rows of the table of Damerau and Levenshtein, with swaps of neighbours only.
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> previous(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        before.swap(previous);
        previous.swap(row);
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            char const x = ascii_lower(a[i - 1]);
            char const y = ascii_lower(b[j - 1]);
            row[j] = std::min({previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (x == y ? 0u : 1u)});
            if (i > 1 && j > 1 && x == ascii_lower(b[j - 2]) && ascii_lower(a[i - 2]) == y) row[j] = std::min(row[j], before[j - 2] + 1);
        }
    }
    return row[b.size()];
}

/** The known word that was most likely meant: the nearest one, if it is near enough (a third of its letters).
    @return empty when nothing is near. */
inline std::string_view suggest(std::string_view word, std::span<std::string_view const> known)
{
    constexpr std::size_t max_word = 64; // nobody types a longer key, and the work grows with its length
    if (word.size() > max_word) return {};
    std::string_view best;
    std::size_t best_distance = 0;
    for (std::string_view const candidate : known) {
        std::size_t const distance = edit_distance(word, candidate);
        if (distance > std::max<std::size_t>(1, candidate.size() / 3)) continue;
        if (best.empty() || distance < best_distance) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

} // namespace podproxy::config

#endif
