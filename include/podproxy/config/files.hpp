#ifndef PODPROXY_CONFIG_FILES_HPP
#define PODPROXY_CONFIG_FILES_HPP

#include <podproxy/core/error.hpp>
#include <podproxy/core/result.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

namespace podproxy::config {

/// Where files come from: the disk, or a test's table.
class file_source {
public:
    virtual ~file_source() = default;

    /** The whole of a file.
        @return its bytes; the system's error; `std::errc::is_a_directory`; `std::errc::file_too_large` above `max_bytes`. */
    virtual result<std::string> read(std::string const& path, std::size_t max_bytes) = 0;

    /// The files (no folders) that match a pattern of `*`, `?` and `[...]`, in the order of their names. As in a shell, a leading
    /// dot must be written out.
    virtual std::vector<std::string> glob(std::string const& pattern) = 0;
};

/// The files of this machine.
class disk_files final : public file_source {
public:
    result<std::string> read(std::string const& path, std::size_t max_bytes) override
    {
        int const fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0) return last_error();
        closer const close_it{fd};
        struct stat info {};
        if (::fstat(fd, &info) != 0) return last_error();
        if (S_ISDIR(info.st_mode)) return std::make_error_code(std::errc::is_a_directory);
        std::string out;
        std::array<char, 16384> chunk;
        for (;;) {
            auto const n = ::read(fd, chunk.data(), chunk.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return last_error();
            if (n == 0) return out;
            out.append(chunk.data(), static_cast<std::size_t>(n));
            if (out.size() > max_bytes) return std::make_error_code(std::errc::file_too_large);
        }
    }

    std::vector<std::string> glob(std::string const& pattern) override
    {
        std::vector<std::string> out;
        ::glob_t found{};
        if (::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0) {
            for (std::size_t i = 0; i < found.gl_pathc; ++i) {
                struct stat info {};
                bool const folder = ::stat(found.gl_pathv[i], &info) == 0 && S_ISDIR(info.st_mode);
                if (!folder) out.emplace_back(found.gl_pathv[i]);
            }
        }
        ::globfree(&found);
        std::ranges::sort(out);
        return out;
    }

private:
    struct closer {
        int fd;
        ~closer() { ::close(fd); }
    };
    static std::error_code last_error() noexcept { return {errno, std::system_category()}; }
};

/// Does a path hold one of `*`, `?` and `[`?
inline bool is_glob(std::string_view path) noexcept { return path.find_first_of("*?[") != std::string_view::npos; }

/// `~` and `~/x` with the home folder in front; every other path, also `~name/x`, as it is.
inline std::string expand_home(std::string_view path, std::string_view home)
{
    if (home.empty() || (path != "~" && !path.starts_with("~/"))) return std::string(path);
    return std::string(home) + std::string(path.substr(1));
}

} // namespace podproxy::config

#endif
