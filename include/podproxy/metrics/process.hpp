#ifndef PODPROXY_METRICS_PROCESS_HPP
#define PODPROXY_METRICS_PROCESS_HPP

#include <podproxy/metrics/exposition.hpp>
#include <podproxy/metrics/registry.hpp>
#include <cstdint>
#include <optional>
#include <string_view>

namespace podproxy::metrics {

/// What the system tells of this process; what it does not tell is missing. Linux tells all of it.
struct process_figures {
    std::optional<double> cpu_seconds;
    std::optional<std::uint64_t> resident_bytes;
    std::optional<std::uint64_t> virtual_bytes;
    std::optional<std::uint64_t> open_descriptors;
    std::optional<std::uint64_t> most_descriptors; ///< None where there is no limit.
    std::optional<double> start_time;              ///< Seconds since 1970.
};

/// Ask the system. Reads a few files below /proc and never waits.
process_figures read_process_figures();

/// Write them under the names that all Prometheus clients use: `process_cpu_seconds_total` and so on.
void write_process_figures(exposition_writer& out, process_figures const& figures);

/// Let a registry tell of the process: its figures, and `podproxy_build_info` with the program's name and version.
inline void add_process_metrics(registry& to, std::string_view program, std::string_view version)
{
    to.add_gauge("podproxy_build_info", "The program and its version; always 1.", {{"program", program}, {"version", version}}).set(1);
    to.add_collector([](exposition_writer& out) { write_process_figures(out, read_process_figures()); });
}

} // namespace podproxy::metrics

#include <podproxy/metrics/impl/process.ipp>

#endif
