#ifndef PODPROXY_CORE_LOG_HPP
#define PODPROXY_CORE_LOG_HPP

#include <podproxy/core/clock.hpp>
#include <podproxy/core/duration.hpp>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace podproxy {

/// How much an event matters, from least to most.
enum class log_level : std::uint8_t {
    debug, ///< For finding a fault: every step of a connection.
    info,  ///< What a user wants to know: started, a connection closed with its byte counts.
    warn,  ///< Something is not as it should be, but goes on.
    error, ///< Something that was asked for can't be done.
};

/// `debug`, `info`, `warn` or `error`.
constexpr std::string_view to_string(log_level level) noexcept
{
    switch (level) {
    case log_level::debug: return "debug";
    case log_level::info: return "info";
    case log_level::warn: return "warn";
    case log_level::error: return "error";
    }
    return "error";
}

/// The level of a name in small letters; `warning` is taken too.
constexpr std::optional<log_level> parse_log_level(std::string_view name) noexcept
{
    for (auto const level : {log_level::debug, log_level::info, log_level::warn, log_level::error})
        if (to_string(level) == name) return level;
    if (name == "warning") return log_level::warn;
    return std::nullopt;
}

/// One named value of an event. Numbers and truth values stay what they are in JSON.
struct log_field {
    enum class kind : std::uint8_t { text, literal };

    std::string_view name; ///< Ours, a constant in small letters: never a peer's text.
    std::string text_buffer; ///< Holds values that were made into text here.
    std::string_view text_view; ///< A borrowed text, when `text_buffer` is not used.
    kind type = kind::text;

    log_field(std::string_view n, std::string_view value) noexcept : name(n), text_view(value) {}
    log_field(std::string_view n, char const* value) noexcept : name(n), text_view(value) {}
    log_field(std::string_view n, std::string const& value) noexcept : name(n), text_view(value) {}
    log_field(std::string_view n, std::error_code const& value) : name(n), text_buffer(value.message()) {}
    /// As `parse_duration` reads it: `1m30s`. @pre not negative
    log_field(std::string_view n, std::chrono::milliseconds value) : name(n), text_buffer(format_duration(value)) {}
    log_field(std::string_view n, bool value) noexcept : name(n), text_view(value ? "true" : "false"), type(kind::literal) {}
    template <std::integral Number>
        requires(!std::same_as<Number, bool> && !std::same_as<Number, char>)
    log_field(std::string_view n, Number value) : name(n), text_buffer(std::to_string(value)), type(kind::literal)
    {
    }

    std::string_view value() const noexcept { return text_buffer.empty() ? text_view : std::string_view(text_buffer); }
};

/// What happened, as views: valid during the call that it is given to.
struct log_event {
    log_level level = log_level::info;
    std::string_view component; ///< Which part speaks: `socks5`, `kube`. Ours, a constant.
    std::string_view message;   ///< What happened, in small letters without a full stop; values go into fields.
    std::span<log_field const> fields;
};

/** Where events go. Values may hold a peer's text: a sink makes sure that it can't forge a line. Secrets are the caller's duty:
    they never get here. */
class log_sink {
public:
    virtual ~log_sink() = default;

    /// Is it worth the work to make an event of this level?
    virtual bool wants(log_level level) const noexcept = 0;

    /// Take an event. A sink that can't write loses it: logging never fails.
    virtual void write(log_event const& event) noexcept = 0;
};

/// For who has nothing to say to: wants nothing.
class null_log_sink final : public log_sink {
public:
    bool wants(log_level) const noexcept override { return false; }
    void write(log_event const&) noexcept override {}
};

/** A component's voice in a sink: what objects keep and call.

        log_.info("closed", {{"cluster", name}, {"rx", received}, {"tx", sent}});

    Cheap to copy. Without a sink it is silent.
    @par Lifetime  The sink outlives it; `component` is a constant. */
class logger {
public:
    logger() = default;
    logger(log_sink& sink, std::string_view component) noexcept : sink_(&sink), component_(component) {}

    /// The same sink under another component's name.
    logger named(std::string_view component) const noexcept
    {
        logger out = *this;
        out.component_ = component;
        return out;
    }

    bool wants(log_level level) const noexcept { return sink_ && sink_->wants(level); }

    void log(log_level level, std::string_view message, std::span<log_field const> fields) const noexcept
    {
        if (wants(level)) sink_->write({level, component_, message, fields});
    }
    void debug(std::string_view message, std::initializer_list<log_field> fields = {}) const noexcept { log(log_level::debug, message, as_span(fields)); }
    void info(std::string_view message, std::initializer_list<log_field> fields = {}) const noexcept { log(log_level::info, message, as_span(fields)); }
    void warn(std::string_view message, std::initializer_list<log_field> fields = {}) const noexcept { log(log_level::warn, message, as_span(fields)); }
    void error(std::string_view message, std::initializer_list<log_field> fields = {}) const noexcept { log(log_level::error, message, as_span(fields)); }

private:
    static std::span<log_field const> as_span(std::initializer_list<log_field> fields) noexcept { return {fields.begin(), fields.size()}; }

    log_sink* sink_ = nullptr;
    std::string_view component_;
};

/// Is the level told apart by colour? Only for a terminal.
enum class log_colors { off, on };

/** One event as a line for people, with a line end:

        2026-11-21T13:52:08.123Z INFO  socks5: closed cluster=staging rx=1024 error="connection reset"

    Values that hold blanks, quotes, `=` or nothing are quoted. Control characters, backslashes and quotes are written as
    escapes everywhere, and so are bytes that are not UTF-8 and the invisible characters that reverse the direction of a line.
    @param time  None: the line begins with the level. */
std::string format_log_text(log_event const& event, std::optional<wall_time> time, log_colors colors = log_colors::off);

/** One event as a JSON object in one line, with a line end: `time`, `level`, `component`, `msg`, then the fields.

    A field that is called like one of those four gets an underscore behind its name. Bytes that are not UTF-8 become U+FFFD. */
std::string format_log_json(log_event const& event, std::optional<wall_time> time);

} // namespace podproxy

#include <podproxy/core/impl/log.ipp>

#endif
