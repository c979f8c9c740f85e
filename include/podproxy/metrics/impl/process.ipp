#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <ctime>
#include <string>

#if defined(__unix__) || defined(__APPLE__)
#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace podproxy::metrics {

namespace detail {

/// The start of a file, or all of a small one; empty where it can't be read.
inline std::string read_start(char const* path)
{
    std::string out;
    if (std::FILE* const file = std::fopen(path, "re")) {
        out.resize(64 * 1024);
        out.resize(std::fread(out.data(), 1, out.size(), file));
        std::fclose(file);
    }
    return out;
}

/// The word number `index` of a text, from 0.
inline std::optional<std::uint64_t> number_at(std::string_view text, std::size_t index)
{
    for (;; --index) {
        std::size_t const begin = text.find_first_not_of(" \n");
        if (begin == std::string_view::npos) return std::nullopt;
        text.remove_prefix(begin);
        if (index == 0) break;
        text.remove_prefix(std::min(text.find_first_of(" \n"), text.size()));
    }
    std::uint64_t value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc()) return std::nullopt;
    return value;
}

/// Seconds since 1970 from /proc/self/stat and /proc/stat; the program's name in the former may hold anything, also `)`.
inline std::optional<double> start_time(std::string_view self, std::string_view system, long ticks_per_second)
{
    std::size_t const name_end = self.rfind(')');
    std::size_t const boot = system.find("\nbtime ");
    if (name_end == std::string_view::npos || boot == std::string_view::npos || ticks_per_second <= 0) return std::nullopt;
    auto const started = number_at(self.substr(name_end + 1), 19); // field 22, starttime
    auto const booted = number_at(system.substr(boot + 7), 0);
    if (!started || !booted) return std::nullopt;
    return static_cast<double>(*booted) + static_cast<double>(*started) / static_cast<double>(ticks_per_second);
}

#if defined(__unix__) || defined(__APPLE__)
/// Newer kernels tell the number as the folder's size; elsewhere it is counted.
inline std::optional<std::uint64_t> open_descriptors()
{
    struct stat folder {};
    if (::stat("/proc/self/fd", &folder) != 0) return std::nullopt;
    if (folder.st_size > 0) return static_cast<std::uint64_t>(folder.st_size);
    DIR* const all = ::opendir("/proc/self/fd");
    if (!all) return std::nullopt;
    std::uint64_t n = 0;
    while (dirent const* const entry = ::readdir(all)) n += entry->d_name[0] != '.';
    ::closedir(all);
    return n == 0 ? n : n - 1; // without the one that has just counted
}
#endif

} // namespace detail

inline process_figures read_process_figures()
{
    process_figures out;
#if defined(__unix__) || defined(__APPLE__)
    rusage used{};
    if (::getrusage(RUSAGE_SELF, &used) == 0) {
        auto const seconds = [](timeval const& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
        out.cpu_seconds = seconds(used.ru_utime) + seconds(used.ru_stime);
    }
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) out.most_descriptors = static_cast<std::uint64_t>(limit.rlim_cur);
    auto const pages = detail::read_start("/proc/self/statm");
    auto const page = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PAGESIZE), 0L));
    if (auto const n = detail::number_at(pages, 0)) out.virtual_bytes = *n * page;
    if (auto const n = detail::number_at(pages, 1)) out.resident_bytes = *n * page;
    out.open_descriptors = detail::open_descriptors();
    // The moment of a start does not change, and /proc/stat is long on large machines.
    static std::optional<double> const started = detail::start_time(detail::read_start("/proc/self/stat"), detail::read_start("/proc/stat"), ::sysconf(_SC_CLK_TCK));
    out.start_time = started;
#endif
    return out;
}

inline void write_process_figures(exposition_writer& out, process_figures const& figures)
{
    auto const write = [&out](std::string_view name, kind k, std::string_view help, auto const& value) {
        if (!value) return;
        out.family(name, k, help);
        out.sample({}, *value);
    };
    write("process_cpu_seconds_total", kind::counter, "CPU time of the process, user and system, in seconds.", figures.cpu_seconds);
    write("process_resident_memory_bytes", kind::gauge, "Memory of the process that is in RAM, in bytes.", figures.resident_bytes);
    write("process_virtual_memory_bytes", kind::gauge, "Virtual memory of the process, in bytes.", figures.virtual_bytes);
    write("process_open_fds", kind::gauge, "Open file descriptors of the process.", figures.open_descriptors);
    write("process_max_fds", kind::gauge, "The most file descriptors that the process may open.", figures.most_descriptors);
    write("process_start_time_seconds", kind::gauge, "When the process was started, in seconds since 1970.", figures.start_time);
}

} // namespace podproxy::metrics
