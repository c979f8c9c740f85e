#ifndef PODPROXY_CONFIG_LOG_SETUP_HPP
#define PODPROXY_CONFIG_LOG_SETUP_HPP

#include <podproxy/core/log.hpp>
#include <podproxy/core/result.hpp>
#include <cerrno>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace podproxy::config {

enum class log_format : std::uint8_t { text, json };

/// What is logged, how and where to.
struct log_config {
    log_level level = log_level::info;   ///< The least level that is written. Default info.
    log_format format = log_format::text; ///< Default text.
    std::string file{};                  ///< Written to as well as standard error. Default none.
    bool colors = false;                 ///< Levels in colour on standard error, in text only. Default no.
    std::optional<bool> timestamp{};     ///< Default: yes in JSON and in the file, no in text on standard error.

    friend bool operator==(log_config const&, log_config const&) = default;
};

/** Writes each event as one line with one write(2), so that lines of several processes in one file stay whole.

    What can't be written at once (a full pipe, a full disk) is lost: a log never holds up the traffic. */
class descriptor_log_sink final : public log_sink {
public:
    enum class owned { no, yes };
    using clock_function = std::function<wall_time()>;

    descriptor_log_sink(int fd, owned keep, log_level least, log_format format, log_colors colors, clock_function clock)
        : fd_(fd), owned_(keep), least_(least), format_(format), colors_(colors), clock_(std::move(clock))
    {
    }
    descriptor_log_sink(descriptor_log_sink const&) = delete;
    descriptor_log_sink& operator=(descriptor_log_sink const&) = delete;
    ~descriptor_log_sink() override
    {
        if (owned_ == owned::yes) ::close(fd_);
    }

    bool wants(log_level level) const noexcept override { return level >= least_; }

    void write(log_event const& event) noexcept override
    {
        try {
            std::optional<wall_time> time;
            if (clock_) time = clock_();
            std::string const line = format_ == log_format::json ? format_log_json(event, time) : format_log_text(event, time, colors_);
            std::string_view rest = line;
            while (!rest.empty()) {
                auto const n = ::write(fd_, rest.data(), rest.size());
                if (n < 0 && errno == EINTR) continue;
                if (n <= 0) return;
                rest.remove_prefix(static_cast<std::size_t>(n));
            }
        } catch (std::exception const&) { // no memory for a line: the line is lost
        }
    }

private:
    int fd_;
    owned owned_;
    log_level least_;
    log_format format_;
    log_colors colors_;
    clock_function clock_; ///< empty: no times
};

/// Passes every event on to two sinks.
class tee_log_sink final : public log_sink {
public:
    tee_log_sink(std::unique_ptr<log_sink> a, std::unique_ptr<log_sink> b) noexcept : a_(std::move(a)), b_(std::move(b)) {}
    bool wants(log_level level) const noexcept override { return a_->wants(level) || b_->wants(level); }
    void write(log_event const& event) noexcept override
    {
        if (a_->wants(event.level)) a_->write(event);
        if (b_->wants(event.level)) b_->write(event);
    }

private:
    std::unique_ptr<log_sink> a_;
    std::unique_ptr<log_sink> b_;
};

/** The sink of a tool: standard error, and the file where one is configured. The file is made with mode 0600 and appended to.
    @param console  The descriptor of standard error; stays open.
    @return the system's error when the file can't be opened. */
inline result<std::unique_ptr<log_sink>> open_log(log_config const& config, int console = 2, descriptor_log_sink::clock_function clock = wall_now)
{
    using sink = descriptor_log_sink;
    bool const json = config.format == log_format::json;
    auto const clock_if = [&](bool on) { return on ? clock : sink::clock_function(); };
    std::unique_ptr<log_sink> out = std::make_unique<sink>(console, sink::owned::no, config.level, config.format,
                                                           config.colors && !json ? log_colors::on : log_colors::off,
                                                           clock_if(config.timestamp.value_or(json)));
    if (config.file.empty()) return out;
    int const fd = ::open(config.file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0) return std::error_code(errno, std::system_category());
    auto file = std::make_unique<sink>(fd, sink::owned::yes, config.level, config.format, log_colors::off, clock_if(config.timestamp.value_or(true)));
    return std::unique_ptr<log_sink>(std::make_unique<tee_log_sink>(std::move(out), std::move(file)));
}

} // namespace podproxy::config

#endif
