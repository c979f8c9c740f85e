#ifndef PODPROXY_TESTS_FAKES_FAKE_FILES_HPP
#define PODPROXY_TESTS_FAKES_FAKE_FILES_HPP

#include <podproxy/config/files.hpp>
#include <map>
#include <string>
#include <system_error>
#include <vector>

#include <fnmatch.h>

namespace podproxy::test {

/// A table of files. A path that is not in it does not exist; a path in `broken` can't be read.
class fake_files final : public config::file_source {
public:
    std::map<std::string, std::string> files;
    std::map<std::string, std::error_code> broken;
    std::vector<std::string> reads; ///< every path that was asked for, in order

    result<std::string> read(std::string const& path, std::size_t max_bytes) override
    {
        reads.push_back(path);
        if (auto const b = broken.find(path); b != broken.end()) return b->second;
        auto const f = files.find(path);
        if (f == files.end()) return std::make_error_code(std::errc::no_such_file_or_directory);
        if (f->second.size() > max_bytes) return std::make_error_code(std::errc::file_too_large);
        return f->second;
    }

    std::vector<std::string> glob(std::string const& pattern) override
    {
        std::vector<std::string> out;
        auto const match = [&](std::string const& path) { return ::fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME | FNM_PERIOD) == 0; };
        for (auto const& [path, text] : files)
            if (match(path)) out.push_back(path);
        for (auto const& [path, ec] : broken)
            if (match(path)) out.push_back(path);
        return out;
    }
};

} // namespace podproxy::test

#endif
