#ifndef PODPROXY_NET_IMPL_FILE_WATCHER_IPP
#define PODPROXY_NET_IMPL_FILE_WATCHER_IPP

#include <podproxy/net/file_watcher.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <unistd.h>
#if defined(__linux__)
#include <sys/inotify.h>
#endif

namespace podproxy::net {

struct file_watcher::state : std::enable_shared_from_this<state> {
    using descriptor = asio::posix::basic_stream_descriptor<executor>;

    state(executor ex, std::function<void()> f, file_watcher_config c)
        : changed(std::move(f)), config(c), events(ex), settling(ex), polling(ex)
    {
    }

    void open()
    {
#if defined(__linux__)
        int const fd = config.ask_system ? ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1;
        if (fd < 0) return;
        std::error_code ec;
        events.assign(fd, ec);
        if (ec) ::close(fd);
        else wait_for_events();
#endif
    }

    void close()
    {
        changed = nullptr;
        std::error_code ignored;
        events.close(ignored);
        settling.cancel();
        polling.cancel();
    }

    /// The folder itself, or the nearest one above it that is there.
    static std::filesystem::path existing(std::filesystem::path folder)
    {
        std::error_code ec;
        while (folder.has_parent_path() && folder != folder.parent_path() && !std::filesystem::is_directory(folder, ec)) folder = folder.parent_path();
        return folder.empty() ? std::filesystem::path(".") : folder;
    }

    /// Watch the folders in which something of ours is or may appear. Folders may have come or gone since the last time.
    void follow_folders()
    {
        std::set<std::filesystem::path> wanted;
        auto const add = [&](std::filesystem::path const& folder) { wanted.insert(existing(folder)); };
        for (auto const& folder : folders) add(folder);
        for (auto const& file : files) {
            add(file.has_parent_path() ? file.parent_path() : std::filesystem::path("."));
            std::error_code ec;
            if (auto const target = std::filesystem::weakly_canonical(file, ec); !ec && target.has_parent_path()) add(target.parent_path());
        }
        bool all = events.is_open();
#if defined(__linux__)
        if (events.is_open()) {
            for (auto it = watches.begin(); it != watches.end();) {
                if (wanted.contains(it->first)) {
                    ++it;
                } else {
                    ::inotify_rm_watch(events.native_handle(), it->second);
                    it = watches.erase(it);
                }
            }
            for (auto const& folder : wanted) {
                // Adding a watch again gives the same number, or a new one when another folder has taken the place.
                constexpr std::uint32_t what = IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
                int const number = ::inotify_add_watch(events.native_handle(), folder.c_str(), what);
                if (number >= 0) watches[folder] = number;
                else all = false;
            }
        }
#endif
        if (all) polling.cancel();
        else if (!poll_running) poll();
        by_system = all;
    }

    void wait_for_events()
    {
        events.async_wait(descriptor::wait_read, [self = shared_from_this()](std::error_code ec) {
            if (ec || !self->changed) return;
            alignas(8) std::array<char, 16 * 1024> buffer;
            while (::read(self->events.native_handle(), buffer.data(), buffer.size()) > 0) {}
            self->settle();
            self->wait_for_events();
        });
    }

    void settle()
    {
        auto const now = clock::now();
        if (!unsettled) unsettled_since = now;
        unsettled = true;
        settling.expires_at(std::min(now + config.settle, unsettled_since + config.most_settle));
        settling.async_wait([self = shared_from_this()](std::error_code ec) {
            if (ec || !self->changed) return;
            self->unsettled = false;
            self->follow_folders();
            auto const tell = self->changed; // it may end the watcher
            tell();
        });
    }

    /// What is seen of a file without opening it.
    struct look {
        bool there = false;
        std::uintmax_t size = 0;
        std::filesystem::file_time_type written{};
        friend bool operator==(look const&, look const&) = default;
    };

    std::map<std::filesystem::path, look> look_at_all() const
    {
        std::map<std::filesystem::path, look> out;
        auto const add = [&](std::filesystem::path const& file) {
            std::error_code ec;
            look l;
            l.there = std::filesystem::exists(file, ec);
            if (l.there && std::filesystem::is_regular_file(file, ec)) l.size = std::filesystem::file_size(file, ec);
            if (l.there) l.written = std::filesystem::last_write_time(file, ec);
            out[file] = l;
        };
        for (auto const& file : files) add(file);
        for (auto const& folder : folders) {
            std::error_code ec;
            for (std::filesystem::directory_iterator it(folder, ec), end; !ec && it != end && out.size() < 10'000; it.increment(ec)) add(it->path());
        }
        return out;
    }

    void poll()
    {
        if (!poll_running) seen = look_at_all();
        poll_running = true;
        polling.expires_after(config.poll);
        polling.async_wait([self = shared_from_this()](std::error_code ec) {
            self->poll_running = false;
            if (ec || !self->changed) return;
            auto now = self->look_at_all();
            bool const other = now != self->seen;
            self->poll_running = true;
            self->seen = std::move(now);
            self->poll();
            if (other) self->settle();
        });
    }

    std::function<void()> changed;
    file_watcher_config config;
    descriptor events;
    timer settling;
    timer polling;
    std::vector<std::filesystem::path> files;
    std::vector<std::filesystem::path> folders;
    std::map<std::filesystem::path, int> watches;
    std::map<std::filesystem::path, look> seen;
    clock::time_point unsettled_since{};
    bool unsettled = false;
    bool poll_running = false;
    bool by_system = false;
};

inline file_watcher::file_watcher(executor ex, std::function<void()> changed, file_watcher_config config)
    : state_(std::make_shared<state>(ex, std::move(changed), config))
{
    state_->open();
}

inline file_watcher::~file_watcher() { state_->close(); }

inline void file_watcher::watch(std::vector<std::filesystem::path> const& files, std::vector<std::filesystem::path> const& folders)
{
    state_->files = files;
    state_->folders = folders;
    state_->seen = state_->look_at_all();
    state_->follow_folders();
}

inline bool file_watcher::told_by_system() const noexcept { return state_->by_system; }

} // namespace podproxy::net

#endif
