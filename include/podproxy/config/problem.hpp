#ifndef PODPROXY_CONFIG_PROBLEM_HPP
#define PODPROXY_CONFIG_PROBLEM_HPP

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace podproxy::config {

/// A place in a file, counted from 1. Zero: the file as a whole.
struct position {
    std::size_t line = 0;
    std::size_t column = 0;

    friend auto operator<=>(position const&, position const&) = default;
};

/// What a problem means for whoever asked for the file.
enum class severity : std::uint8_t {
    note,    ///< Worth knowing: something was passed over on purpose.
    warning, ///< A part can't be used; the rest goes on.
    error,   ///< What was asked for can't be done.
};

/// Something in a file that is not as it should be. Never holds a value that could be a secret.
struct problem {
    severity level = severity::error;
    std::string file;
    position where;
    std::string message;

    friend bool operator==(problem const&, problem const&) = default;
};

/// A name from a file, for a message: in single quotes, cut at 128 bytes, control characters as `?`.
inline std::string quoted(std::string_view name)
{
    constexpr std::size_t longest = 128;
    std::string out = "'" + std::string(name.substr(0, longest));
    for (char& c : out)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    return out + (name.size() > longest ? "...'" : "'");
}

/// `config.yaml:3:1: unknown key 'listenAdress'`: the form that editors and terminals know how to open.
inline std::string format(problem const& p)
{
    std::string out = p.file;
    if (p.where.line != 0) out += ':' + std::to_string(p.where.line) + ':' + std::to_string(p.where.column);
    if (!out.empty()) out += ": ";
    return out + p.message;
}

/// Everything that is wrong, to be shown at once.
using problem_list = std::vector<problem>;

/// Is there one of severity `error`?
inline bool has_errors(problem_list const& problems) noexcept
{
    return std::ranges::any_of(problems, [](problem const& p) { return p.level == severity::error; });
}

} // namespace podproxy::config

#endif
