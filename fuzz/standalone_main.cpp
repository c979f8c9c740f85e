// Replays inputs through a fuzz target without libFuzzer: every argument is a file, or a folder that is read recursively.
// A folder that is missing or empty is a failure, since a replay of nothing proves nothing.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size);

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_below(fs::path const& path)
{
    if (!fs::is_directory(path)) return {path};
    std::vector<fs::path> files;
    for (auto const& entry : fs::recursive_directory_iterator(path))
        if (entry.is_regular_file()) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

void replay(fs::path const& file)
{
    std::ifstream in(file, std::ios::binary);
    if (!in) throw fs::filesystem_error("cannot open", file, std::make_error_code(std::errc::io_error));
    std::vector<char> const bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    // An exact heap copy, so that a sanitizer sees a read past the end.
    std::vector<std::uint8_t> const input(bytes.begin(), bytes.end());
    // Named before it runs: when the target aborts, this is the last line.
    std::fprintf(stderr, "%s\n", file.c_str());
    LLVMFuzzerTestOneInput(input.data(), input.size());
}

} // namespace

int main(int argc, char** argv)
{
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s FILE-OR-FOLDER...\n", argv[0]);
        return 2;
    }
    std::size_t count = 0;
    try {
        for (int i = 1; i < argc; ++i) {
            fs::path const path = argv[i];
            if (!fs::exists(path)) {
                std::fprintf(stderr, "%s does not exist: every fuzz target needs a seed corpus\n", path.c_str());
                return 1;
            }
            auto const files = files_below(path);
            if (files.empty()) {
                std::fprintf(stderr, "%s holds no file: every fuzz target needs a seed corpus\n", path.c_str());
                return 1;
            }
            for (auto const& file : files) replay(file);
            count += files.size();
        }
    } catch (std::exception const& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
    LLVMFuzzerTestOneInput(nullptr, 0);
    std::printf("%zu inputs replayed\n", count);
}
