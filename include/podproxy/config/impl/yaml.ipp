#ifndef PODPROXY_CONFIG_IMPL_YAML_IPP
#define PODPROXY_CONFIG_IMPL_YAML_IPP

#include <podproxy/config/yaml.hpp>
#include <podproxy/core/ascii.hpp>
#include <podproxy/core/duration.hpp>
#include <podproxy/core/utf8.hpp>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>
#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>

namespace podproxy::config {

namespace detail {

/// Leaves the YAML parser from inside an event: caught by `parse_yaml`.
struct yaml_refused {
    position where;
    std::string message;
};

/// Our place of the parser's, which may be behind the text's last line, in the mark for the end that we add.
inline position position_of(YAML::Mark const& mark, std::size_t lines) noexcept
{
    if (mark.is_null()) return {};
    position const where{static_cast<std::size_t>(mark.line) + 1, static_cast<std::size_t>(mark.column) + 1};
    return where.line <= lines ? where : position{lines, 1};
}

/// Builds the tree from the parser's events.
class yaml_builder final : public YAML::EventHandler {
public:
    yaml_builder(yaml_limits const& limits, std::size_t lines) : limits_(limits), lines_(lines) {}

    yaml_node take() { return std::move(root_); }

    void OnDocumentStart(YAML::Mark const& mark) override
    {
        root_.where = place_of(mark);
    }
    void OnDocumentEnd() override {}

    void OnNull(YAML::Mark const& mark, YAML::anchor_t anchor) override { add(leaf(mark, yaml_node::kind::null), anchor); }

    void OnScalar(YAML::Mark const& mark, std::string const& tag, YAML::anchor_t anchor, std::string const& value) override
    {
        yaml_node node = leaf(mark, yaml_node::kind::scalar);
        node.quoted = tag == "!";
        node.text = value;
        if (!node.quoted && (value.empty() || value == "~" || value == "null" || value == "Null" || value == "NULL"))
            node.type = yaml_node::kind::null; // a key keeps the text
        add(std::move(node), anchor);
    }

    void OnAlias(YAML::Mark const& mark, YAML::anchor_t anchor) override
    {
        auto const known = anchors_.find(anchor);
        if (known == anchors_.end()) throw yaml_refused{place_of(mark), "an alias stands inside its own anchor"};
        charge(known->second.cost, place_of(mark)); // before the copy is made
        yaml_node copy = known->second.node;
        copy.where = place_of(mark);
        place(std::move(copy));
    }

    void OnSequenceStart(YAML::Mark const& mark, std::string const&, YAML::anchor_t anchor, YAML::EmitterStyle::value) override
    {
        open(leaf(mark, yaml_node::kind::sequence), anchor);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(YAML::Mark const& mark, std::string const&, YAML::anchor_t anchor, YAML::EmitterStyle::value) override
    {
        open(leaf(mark, yaml_node::kind::map), anchor);
    }
    void OnMapEnd() override { close(); }

private:
    struct level {
        yaml_node node;
        YAML::anchor_t anchor;
        std::optional<yaml_member> key; ///< Of a map: the key whose value comes next.
    };
    struct anchored {
        yaml_node node;
        std::size_t cost;
    };
    static constexpr std::size_t node_cost = 64;

    position place_of(YAML::Mark const& mark) const noexcept { return position_of(mark, lines_); }

    yaml_node leaf(YAML::Mark const& mark, yaml_node::kind type) const
    {
        yaml_node out;
        out.type = type;
        out.where = place_of(mark);
        return out;
    }

    void charge(std::size_t cost, position where)
    {
        if (cost > limits_.max_expanded_bytes - spent_) throw yaml_refused{where, "the values are too many or too large, aliases counted as copies"};
        spent_ += cost;
    }

    static std::size_t cost_of(yaml_node const& node)
    {
        std::size_t sum = node_cost + node.text.size();
        for (auto const& item : node.items) sum += cost_of(item);
        for (auto const& member : node.members) sum += node_cost + member.key.size() + cost_of(member.value);
        return sum;
    }

    void add(yaml_node node, YAML::anchor_t anchor)
    {
        charge(node_cost + node.text.size(), node.where);
        remember(node, anchor);
        place(std::move(node));
    }

    void open(yaml_node node, YAML::anchor_t anchor)
    {
        if (levels_.size() >= limits_.max_depth) throw yaml_refused{node.where, "values are nested too deeply"};
        charge(node_cost, node.where);
        levels_.push_back({std::move(node), anchor, std::nullopt});
    }

    void close()
    {
        level done = std::move(levels_.back());
        levels_.pop_back();
        merge(done.node);
        remember(done.node, done.anchor);
        place(std::move(done.node));
    }

    /// Keep a copy of an anchor's value for its aliases.
    void remember(yaml_node const& node, YAML::anchor_t anchor)
    {
        if (anchor == YAML::NullAnchor) return;
        std::size_t const cost = cost_of(node);
        charge(cost, node.where);
        anchors_.insert_or_assign(anchor, anchored{node, cost});
    }

    /// A finished value goes where it belongs.
    void place(yaml_node node)
    {
        if (levels_.size() + depth_of(node) > limits_.max_depth + 1) throw yaml_refused{node.where, "values are nested too deeply"};
        if (levels_.empty()) {
            root_ = std::move(node);
            return;
        }
        level& top = levels_.back();
        if (top.node.is_sequence()) {
            top.node.items.push_back(std::move(node));
        } else if (top.key) {
            top.key->value = std::move(node);
            top.node.members.push_back(std::move(*top.key));
            top.key.reset();
        } else {
            if (node.is_sequence() || node.is_map()) throw yaml_refused{node.where, "a key must be a text"};
            top.key.emplace(yaml_member{std::move(node.text), node.where, {}});
        }
    }

    static std::size_t depth_of(yaml_node const& node) // no deeper than max_depth, since each part was placed before
    {
        std::size_t deepest = 0;
        for (auto const& item : node.items) deepest = std::max(deepest, depth_of(item));
        for (auto const& member : node.members) deepest = std::max(deepest, depth_of(member.value));
        return deepest + 1;
    }

    /// `<<: {...}` and `<<: [{...}, {...}]`: keys that the map does not have itself, the first of several maps wins.
    static void merge(yaml_node& map)
    {
        auto const is_merge = [](yaml_member const& m) { return m.key == "<<" && (m.value.is_map() || m.value.is_sequence()); };
        auto const at = std::ranges::find_if(map.members, is_merge);
        if (at == map.members.end()) return;
        yaml_node const source = std::move(at->value);
        map.members.erase(at);
        std::set<std::string> keys;
        for (auto const& member : map.members) keys.insert(member.key);
        auto const add_missing = [&](yaml_node const& from) {
            for (auto const& member : from.members)
                if (keys.insert(member.key).second) map.members.push_back(member);
        };
        add_missing(source);
        for (auto const& item : source.items) add_missing(item);
    }

    yaml_limits limits_;
    std::size_t lines_; ///< of the text
    std::size_t spent_ = 0;
    yaml_node root_;
    std::vector<level> levels_;
    std::map<YAML::anchor_t, anchored> anchors_;
};

/// Stops the parser when a second document begins.
class second_document final : public YAML::EventHandler {
public:
    explicit second_document(std::size_t lines) : lines_(lines) {}
    void OnDocumentStart(YAML::Mark const& mark) override
    {
        throw yaml_refused{position_of(mark, lines_), "a second document begins, only one is expected"};
    }
    void OnDocumentEnd() override {}
    void OnNull(YAML::Mark const&, YAML::anchor_t) override {}
    void OnAlias(YAML::Mark const&, YAML::anchor_t) override {}
    void OnScalar(YAML::Mark const&, std::string const&, YAML::anchor_t, std::string const&) override {}
    void OnSequenceStart(YAML::Mark const&, std::string const&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(YAML::Mark const&, std::string const&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}

private:
    std::size_t lines_;
};

/// The place of the first byte that YAML does not allow, or nothing.
inline std::optional<position> find_bad_byte(std::string_view text)
{
    position at{1, 1};
    while (!text.empty()) {
        utf8_char const c = first_utf8(text);
        bool const control = c.code < 0x20 ? c.code != '\t' && c.code != '\n' && c.code != '\r' : c.code == 0x7f;
        if (!c.valid || control) return at;
        if (c.code == '\n') at = {at.line + 1, 1};
        else ++at.column;
        text.remove_prefix(c.size);
    }
    return std::nullopt;
}

} // namespace detail

inline std::optional<yaml_node> parse_yaml(std::string_view text, std::string_view file, problem_list& problems, yaml_limits const& limits)
{
    auto const fail = [&](position where, std::string message) {
        problems.push_back({severity::error, std::string(file), where, std::move(message)});
        return std::nullopt;
    };
    if (text.size() > limits.max_bytes) return fail({}, "the file is larger than " + std::to_string(limits.max_bytes) + " bytes");
    if (auto const bad = detail::find_bad_byte(text)) return fail(*bad, "a byte that is not UTF-8 text, or a control character");
    // Without a mark for the end, yaml-cpp 0.7 takes a quote that is never closed for a text that ends with the file.
    std::istringstream in(std::string(text) + (text.empty() || text.ends_with('\n') ? "...\n" : "\n...\n"));
    std::size_t const lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + (text.ends_with('\n') ? 0u : 1u);
    detail::yaml_builder builder(limits, lines);
    try {
        YAML::Parser parser(in);
        parser.HandleNextDocument(builder);
        detail::second_document second(lines);
        if (limits.more == more_documents::refuse) parser.HandleNextDocument(second);
    } catch (detail::yaml_refused const& e) {
        return fail(e.where, e.message);
    } catch (YAML::Exception const& e) {
        return fail(detail::position_of(e.mark, lines), "not valid YAML: " + e.msg);
    }
    return builder.take();
}

inline map_reader::map_reader(yaml_node const& node, std::string_view file, problem_list& problems, std::string path)
    : node_(&node), file_(file), problems_(&problems), path_(std::move(path))
{
    if (node.is_map() || node.is_null()) return;
    std::string const what = path_.empty() ? "the file" : config::quoted(path_);
    problems_->push_back({severity::error, std::string(file_), node.where, what + " must be a map of keys and values"});
}

inline yaml_node const* map_reader::find(std::string_view key)
{
    known_.emplace_back(key);
    yaml_node const* const value = node_->find(key);
    return value && !value->is_null() ? value : nullptr;
}

inline void map_reader::complain(std::string_view key, std::string_view what, severity level)
{
    yaml_node const* const value = node_->find(key);
    problems_->push_back({level, std::string(file_), value ? value->where : node_->where, config::quoted(full(key)) + " " + std::string(what)});
}

inline yaml_node const* map_reader::scalar(std::string_view key, std::string_view expected)
{
    yaml_node const* const value = find(key);
    if (!value || value->is_scalar()) return value;
    complain(key, "must be " + std::string(expected) + ", not a " + (value->is_map() ? "map" : "list"));
    return nullptr;
}

inline bool map_reader::read(std::string_view key, std::string& out)
{
    yaml_node const* const value = scalar(key, "a text");
    if (value) out = value->text;
    return value != nullptr;
}

inline bool map_reader::read(std::string_view key, bool& out)
{
    yaml_node const* const value = scalar(key, "true or false");
    if (!value) return false;
    if (!value->quoted) {
        for (std::string_view const word : {"true", "yes", "on"})
            if (ascii_iequals(value->text, word)) return out = true;
        for (std::string_view const word : {"false", "no", "off"}) {
            if (!ascii_iequals(value->text, word)) continue;
            out = false;
            return true;
        }
    }
    complain(key, value->quoted ? "must be true or false, without quotes" : "must be true or false");
    return false;
}

inline bool map_reader::read(std::string_view key, std::uint64_t& out, std::uint64_t least, std::uint64_t most)
{
    yaml_node const* const value = scalar(key, "a number");
    if (!value) return false;
    std::uint64_t number = 0;
    char const* const end = value->text.data() + value->text.size();
    auto const [last, ec] = std::from_chars(value->text.data(), end, number);
    if (ec == std::errc() && last == end && number >= least && number <= most) {
        out = number;
        return true;
    }
    std::string expected = "must be a whole number";
    if (most != UINT64_MAX) expected += " from " + std::to_string(least) + " to " + std::to_string(most);
    else if (least != 0) expected += " of at least " + std::to_string(least);
    complain(key, expected);
    return false;
}

inline bool map_reader::read(std::string_view key, std::chrono::milliseconds& out)
{
    yaml_node const* const value = scalar(key, "a time such as 50ms or 2s");
    if (!value) return false;
    if (auto const time = parse_duration(value->text)) {
        out = *time;
        return true;
    }
    complain(key, "must be a time such as 50ms, 2s or 1m30s");
    return false;
}

inline bool map_reader::read(std::string_view key, std::vector<std::string>& out)
{
    yaml_node const* const value = find(key);
    if (!value) return false;
    bool const fits = value->is_sequence() && std::ranges::all_of(value->items, [](yaml_node const& item) { return item.is_scalar(); });
    if (!fits) {
        complain(key, "must be a list of texts");
        return false;
    }
    out.clear();
    for (auto const& item : value->items) out.push_back(item.text);
    return true;
}

inline std::optional<map_reader> map_reader::map(std::string_view key)
{
    yaml_node const* const value = find(key);
    if (!value) return std::nullopt;
    return map_reader(*value, file_, *problems_, full(key));
}

inline void map_reader::finish()
{
    std::vector<std::string_view> const known(known_.begin(), known_.end());
    std::map<std::string_view, position> seen;
    for (auto const& member : node_->members) {
        auto const note = [&](std::string message) { problems_->push_back({severity::error, std::string(file_), member.where, std::move(message)}); };
        if (auto const [first, fresh] = seen.emplace(member.key, member.where); !fresh) {
            note("the key " + config::quoted(full(member.key)) + " is there twice, first in line " + std::to_string(first->second.line));
            continue;
        }
        if (std::ranges::find(known, member.key) != known.end()) continue;
        std::string_view const meant = suggest(member.key, known);
        note("unknown key " + config::quoted(full(member.key)) + (meant.empty() ? std::string() : ", did you mean " + config::quoted(full(meant)) + "?"));
    }
}

} // namespace podproxy::config

#endif
