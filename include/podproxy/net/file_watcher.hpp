#ifndef PODPROXY_NET_FILE_WATCHER_HPP
#define PODPROXY_NET_FILE_WATCHER_HPP

#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace podproxy::net {

struct file_watcher_config {
    /// Changes that follow each other so closely are told once: editors and tools write a file in several steps.
    std::chrono::milliseconds settle{200};
    std::chrono::milliseconds most_settle{2'000}; ///< A file that never rests is told all the same.
    bool ask_system = true;                       ///< False for file systems that tell nothing, such as NFS: look every `poll`.
    std::chrono::milliseconds poll{2'000};        ///< How often files are looked at where the system does not tell (not Linux, or out of watches).
};

/** Tells when files may have changed, come or gone, also by being replaced with another of their name.

    On Linux their folders are watched with inotify(7). It may tell although nothing has changed, so who is told compares what it reads. A folder
    that is not there yet is waited for. A file that is a link is watched where the link is and where it leads.
    @par Lifetime The handler is called from the executor, never after the watcher has gone. */
class file_watcher {
public:
    file_watcher(executor ex, std::function<void()> changed, file_watcher_config config = {});
    file_watcher(file_watcher const&) = delete;
    file_watcher& operator=(file_watcher const&) = delete;
    ~file_watcher();

    /** Watch these files and folders, and no others.
        @param files   Files that are there or may come.
        @param folders Folders of which every file matters (those of globs). */
    void watch(std::vector<std::filesystem::path> const& files, std::vector<std::filesystem::path> const& folders = {});

    /// Whether the system tells of changes; otherwise they are looked for every `poll`.
    bool told_by_system() const noexcept;

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace podproxy::net

#include <podproxy/net/impl/file_watcher.ipp>

#endif
