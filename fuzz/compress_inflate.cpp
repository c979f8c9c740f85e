// Any bytes through the inflater: limits hold, the result does not depend on the cut, and our own streams come back.

#include <podproxy/compress/zlib.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <vector>

namespace {

using namespace podproxy;

constexpr std::size_t limit = 2000;
constexpr std::string_view dictionary = "dictionary";

struct outcome {
    std::vector<std::uint8_t> out;
    std::error_code error;
};

outcome inflated(std::initializer_list<bytes_view> parts)
{
    outcome o;
    compress::inflater z({.dictionary = as_bytes(dictionary)});
    for (bytes_view const part : parts) {
        if (auto const done = z.append(part, o.out, limit); !done) {
            o.error = done.error();
            break;
        }
        if (o.out.size() > limit) std::abort();
    }
    return o;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    bytes_view const in(data, size);
    std::size_t const cut = size != 0 ? data[0] % (size + 1) : 0;
    outcome const whole = inflated({in});
    outcome const parts = inflated({in.first(cut), in.subspan(cut)});
    if (whole.error != parts.error) std::abort();
    if (!whole.error && whole.out != parts.out) std::abort();

    int const window_bits = 9 + static_cast<int>(size % 7);
    int const mem_level = 1 + static_cast<int>(size % 9);
    int const level = static_cast<int>(size % 10);
    compress::deflater z({.level = level, .window_bits = window_bits, .mem_level = mem_level, .dictionary = as_bytes(dictionary)});
    compress::inflater back({.dictionary = as_bytes(dictionary)});
    std::vector<std::uint8_t> out;
    for (bytes_view const part : {in.first(cut), in.subspan(cut)}) {
        std::vector<std::uint8_t> packed;
        z.write(part, packed);
        if (!back.append(packed, out, size)) std::abort();
    }
    if (out != std::vector<std::uint8_t>(in.begin(), in.end())) std::abort();
    return 0;
}
