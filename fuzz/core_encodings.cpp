// base64, hex and percent: what decodes must encode to the same text again (there is one spelling), and every byte string
// survives a round trip.
#include <podproxy/core/base64.hpp>
#include <podproxy/core/hex.hpp>
#include <podproxy/core/percent.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

using namespace podproxy;

namespace {

void check(bool ok)
{
    if (!ok) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    bytes_view const in(data, size);
    std::string_view const text = as_text(in);
    for (auto const form : {base64_form::standard, base64_form::url, base64_form::url_unpadded}) {
        if (auto const bytes = decode_base64(text, form)) check(encode_base64(*bytes, form) == text);
        auto const back = decode_base64(encode_base64(in, form), form);
        check(back && std::ranges::equal(*back, in));
    }
    for (auto const letters : {hex_case::lower, hex_case::upper}) {
        auto const back = decode_hex(encode_hex(in, letters));
        check(back && std::ranges::equal(*back, in));
    }
    if (auto const bytes = decode_hex(text)) check(bytes->size() * 2 == size);
    auto const plain = decode_percent(encode_percent(text));
    check(plain && *plain == text);
    if (auto const decoded = decode_percent(text)) {
        check(decoded->size() <= size);
        check(*decode_percent(encode_percent(*decoded)) == *decoded);
    }
    return 0;
}
