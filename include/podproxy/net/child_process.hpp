#ifndef PODPROXY_NET_CHILD_PROCESS_HPP
#define PODPROXY_NET_CHILD_PROCESS_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace podproxy::net {

/// A program to run, and what it may do.
struct child_process_config {
    /// Program and arguments. A name without a slash is looked for in `PATH`.
    std::vector<std::string> arguments;
    /// The whole environment, `NAME=value`. No entry at all: that of this process.
    std::vector<std::string> environment;
    /// Whether it reads from our standard input and belongs to our terminal. Otherwise it reads nothing.
    bool interactive = false;
    /// It is killed when it has not ended by then.
    std::chrono::milliseconds limit{60'000};
    std::size_t most_output = 1024 * 1024; ///< It is killed when it writes more to its standard output.
    std::size_t kept_errors = 4096;        ///< Of its error output the last bytes are kept.
};

/// How a program ended.
struct child_process_end {
    int exit_code = 0;    ///< As a shell tells it: 128 + n after signal n.
    std::string output;   ///< Standard output.
    std::string errors;   ///< The end of its error output. Not to be trusted.
};

/** Run a program and collect what it writes.

    The program has its own process group, so that what it started dies with it, unless it is interactive. It inherits no descriptors
    but the three standard ones. What it leaves running behind itself is not waited for.
    @par Cancel   terminal: the program is killed.
    @return how it ended; or why it did not: `errc::unavailable` when there is no such program, the system's reason when it can't be
            started, `errc::timed_out` or `errc::buffer_full` when it was killed. `why` names the program. */
awaitable<result<child_process_end>> run_child_process(child_process_config config, diagnostics& why);

} // namespace podproxy::net

#include <podproxy/net/impl/child_process.ipp>

#endif
