#ifndef PODPROXY_WEB_STATUS_SOURCE_HPP
#define PODPROXY_WEB_STATUS_SOURCE_HPP

#include <podproxy/metrics/exposition.hpp>
#include <nlohmann/json.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace podproxy::web {

/// How something on the page looks: its meaning, never a colour.
enum class tone : std::uint8_t { plain, good, busy, bad, quiet };

/// A piece of text on the page. Any text: the page escapes it.
struct cell {
    std::string text;
    web::tone tone = tone::plain;
    std::string hint; ///< Smaller, below the text; may be empty.

    cell() = default;
    cell(std::string t, web::tone how = tone::plain, std::string h = {}) : text(std::move(t)), tone(how), hint(std::move(h)) {}
};

/// A button: `POST /api/<kind>/<name>/<action>`.
struct button {
    std::string label; ///< `Wake`
    std::string kind;  ///< `groups`
    std::string name;  ///< Any text.
    std::string action; ///< `wake`
    std::string question; ///< Asked before; empty: nothing is asked.
};

struct table_row {
    std::vector<cell> cells;
    std::vector<button> buttons;
};

/// A part of the page: a heading and a table.
struct section {
    std::string title;
    std::vector<std::string> columns;
    std::vector<table_row> rows;
    std::string when_empty; ///< Instead of a table without rows.
};

/// A figure at the head of the page.
struct figure {
    std::string label;
    cell value;
};

struct page_content {
    std::vector<figure> figures;
    std::vector<section> sections;
};

/// Whether the program can do its work, and one sentence about it.
struct health {
    bool ok = true;
    std::string sentence;
};

enum class action_result : std::uint8_t { done, no_such_thing };

/** What a program tells of itself on its status port. Everything is asked for anew at each request, from the executor. */
class status_source {
public:
    virtual ~status_source() = default;

    virtual health check_health() const = 0;
    /// What the page shows. Buttons are shown only where they are allowed.
    virtual page_content page() const = 0;
    /// For programs: an object. `program`, `version`, `time`, `started` and `health` are added to it.
    virtual nlohmann::json status() const = 0;
    /// Measurements that are taken when somebody asks, in families of their own.
    virtual void collect(metrics::exposition_writer&) const {}
    /// A button was pressed. Begins what it asks for and does not wait.
    virtual action_result act(std::string_view kind, std::string_view name, std::string_view action)
    {
        (void)kind, (void)name, (void)action;
        return action_result::no_such_thing;
    }
};

} // namespace podproxy::web

#endif
