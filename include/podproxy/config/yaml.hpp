#ifndef PODPROXY_CONFIG_YAML_HPP
#define PODPROXY_CONFIG_YAML_HPP

#include <podproxy/config/problem.hpp>
#include <podproxy/config/suggest.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::config {

struct yaml_member;

/** A value of a YAML document, with its place in the file. Aliases are replaced by copies of what they stand for.

    Scalars keep their text; what it means is the reader's business, as with `true` or `8080` where a text is asked for. */
struct yaml_node {
    enum class kind : std::uint8_t { null, scalar, sequence, map };

    kind type = kind::null;
    bool quoted = false; ///< A scalar in quotes, or a block of lines: never a number or a truth value.
    position where;
    std::string text;                 ///< Of a scalar.
    std::vector<yaml_node> items;     ///< Of a sequence.
    std::vector<yaml_member> members; ///< Of a map, in the order of the file; a key may be there twice.

    bool is_null() const noexcept { return type == kind::null; }
    bool is_scalar() const noexcept { return type == kind::scalar; }
    bool is_sequence() const noexcept { return type == kind::sequence; }
    bool is_map() const noexcept { return type == kind::map; }

    /// The value of a key of a map, the last one where it is there twice; null where it is not there or this is no map.
    yaml_node const* find(std::string_view key) const noexcept;
};

/// A key of a map and its value.
struct yaml_member {
    std::string key;
    position where; ///< Of the key.
    yaml_node value;
};

inline yaml_node const* yaml_node::find(std::string_view key) const noexcept
{
    for (auto m = members.rbegin(); m != members.rend(); ++m)
        if (m->key == key) return &m->value;
    return nullptr;
}

/// What a file with more than one document means.
enum class more_documents { refuse, ignore };

/// How much a file may make us do.
struct yaml_limits {
    std::size_t max_bytes = 1024 * 1024;              ///< Of the text. Default 1 MiB.
    std::size_t max_expanded_bytes = 8 * 1024 * 1024; ///< Of the tree with all aliases expanded, 64 for each value. Default 8 MiB.
    std::size_t max_depth = 32;                       ///< Of values in values. Default 32.
    more_documents more = more_documents::refuse;
};

/** Read the first document of a YAML (or JSON) text.

    Merge keys (`<<`) are applied. Refused are: text that is not UTF-8 or holds control characters, keys that are no scalars, an
    alias inside its own anchor, and what is above the limits.
    @param file  For the problems only.
    @return the tree (null for an empty text), or nothing when a problem of severity `error` was added to `problems`. */
std::optional<yaml_node> parse_yaml(std::string_view text, std::string_view file, problem_list& problems, yaml_limits const& limits = {});

/** Reads the keys of one map into typed variables, and notes everything that does not fit.

        map_reader r(root, file, problems);
        r.read("listenAddress", out.listen);
        if (auto log = r.map("log")) { log->read("level", out.level); log->finish(); }
        r.finish();

    A key that is missing or null leaves the variable as it is, so it holds the default before. Problems never quote a value.
    @par Lifetime  The node, the file's name and the list outlive it. */
class map_reader {
public:
    /// Notes a problem if `node` is neither a map nor null.
    map_reader(yaml_node const& node, std::string_view file, problem_list& problems, std::string path = {});

    /// The value of a key, or null when it is missing or null. The key is known from now on.
    yaml_node const* find(std::string_view key);

    /// @return true when the key is there and its value fits.
    bool read(std::string_view key, std::string& out);
    bool read(std::string_view key, bool& out);                      ///< `true`, `false`, and the words of YAML 1.1: `yes`, `no`, `on`, `off`.
    bool read(std::string_view key, std::uint64_t& out, std::uint64_t least = 0, std::uint64_t most = UINT64_MAX);
    bool read(std::string_view key, std::chrono::milliseconds& out); ///< As `parse_duration`.
    bool read(std::string_view key, std::vector<std::string>& out);  ///< A sequence of scalars; replaces what was there.

    /// A reader for the map under a key; nothing when the key is missing or null.
    std::optional<map_reader> map(std::string_view key);

    /// Note every key that nobody asked for, with a suggestion, and every key that is there twice.
    void finish();

    /// Note that the value of a key does not fit, at its place. `what` continues the sentence "'log.level' ...".
    void complain(std::string_view key, std::string_view what, severity level = severity::error);

private:
    yaml_node const* scalar(std::string_view key, std::string_view expected);
    std::string full(std::string_view key) const { return path_.empty() ? std::string(key) : path_ + "." + std::string(key); }

    yaml_node const* node_;
    std::string_view file_;
    problem_list* problems_;
    std::string path_;
    std::vector<std::string> known_;
};

} // namespace podproxy::config

#include <podproxy/config/impl/yaml.ipp>

#endif
