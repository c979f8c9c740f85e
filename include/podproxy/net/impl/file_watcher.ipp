#ifndef PODPROXY_NET_IMPL_FILE_WATCHER_IPP
#define PODPROXY_NET_IMPL_FILE_WATCHER_IPP

#include <podproxy/net/file_watcher.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
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

    /// What matters in a folder.
    struct interest {
        int number = -1;                 ///< of the system's watch
        bool everything = false;
        std::set<std::string> names;     ///< if not everything
    };

    /// Note that `path` matters: in its folder, or in the nearest one above it that is there, where its way down may appear.
    static void add_interest(std::map<std::filesystem::path, interest>& wanted, std::filesystem::path const& path)
    {
        std::error_code ec;
        std::filesystem::path name = path.filename(), folder = path.parent_path();
        while (!folder.empty() && folder != folder.parent_path() && !std::filesystem::is_directory(folder, ec)) {
            name = folder.filename();
            folder = folder.parent_path();
        }
        wanted[folder.empty() ? std::filesystem::path(".") : folder].names.insert(name.string());
    }

    /// Watch the folders in which something of ours is or may appear. Folders may have come or gone since the last time.
    void follow_folders()
    {
        std::map<std::filesystem::path, interest> wanted;
        for (auto folder : folders) {
            std::error_code ec;
            if (!folder.has_filename() && folder.has_relative_path()) folder = folder.parent_path(); // "a/" is "a"
            if (std::filesystem::is_directory(folder, ec)) wanted[folder].everything = true;
            if (folder != ".") add_interest(wanted, folder);
        }
        for (auto const& file : files) {
            add_interest(wanted, file);
            std::error_code ec;
            if (auto const target = std::filesystem::weakly_canonical(file, ec); !ec) add_interest(wanted, target);
        }
        bool all = events.is_open();
#if defined(__linux__)
        if (events.is_open()) {
            for (auto const& [folder, old] : watches)
                if (old.number >= 0 && !wanted.contains(folder)) ::inotify_rm_watch(events.native_handle(), old.number);
            for (auto& [folder, what] : wanted) {
                // Adding a watch again gives the same number, or a new one when another folder has taken the place.
                constexpr std::uint32_t mask = IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
                what.number = ::inotify_add_watch(events.native_handle(), folder.c_str(), mask);
                if (what.number < 0) all = false;
            }
            watches = std::move(wanted);
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
            if (self->read_events()) self->settle();
            self->wait_for_events();
        });
    }

    /// @return whether one of the events matters.
    bool read_events()
    {
        bool matters = false;
#if defined(__linux__)
        alignas(::inotify_event) std::array<char, 16 * 1024> buffer;
        ssize_t n;
        while ((n = ::read(events.native_handle(), buffer.data(), buffer.size())) > 0) {
            for (std::size_t at = 0; at < static_cast<std::size_t>(n);) {
                ::inotify_event event;
                std::memcpy(&event, buffer.data() + at, sizeof event);
                std::string const name = event.len != 0 ? std::string(buffer.data() + at + sizeof event) : std::string();
                at += sizeof event + event.len;
                if (event.mask & IN_IGNORED) continue; // follows our own removal, or the folder's end, which is told by itself
                auto const it = std::ranges::find(watches, event.wd, [](auto const& w) { return w.second.number; });
                // Without a name it is the folder itself, or events were lost.
                matters = matters || name.empty() || (it != watches.end() && (it->second.everything || it->second.names.contains(name)));
            }
        }
#endif
        return matters;
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
    std::map<std::filesystem::path, interest> watches;
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
