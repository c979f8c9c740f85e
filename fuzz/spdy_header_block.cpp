// Header blocks from any bytes: the first byte tells how they are cut into blocks, and the rest is compressed data, or plain blocks.

#include <podproxy/spdy/header_block.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

namespace {

using namespace podproxy;

bool same(spdy::header_list const& a, spdy::header_list const& b)
{
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (a[i].name != b[i].name || a[i].value != b[i].value) return false;
    return true;
}

std::vector<spdy::header_view> views(spdy::header_list const& list)
{
    std::vector<spdy::header_view> out;
    for (auto const& h : list) out.push_back({h.name, h.value});
    return out;
}

/// A plain block that is understood is the only way to write its headers.
void plain(bytes_view in)
{
    auto const parsed = spdy::parse_header_block(in, 50);
    if (!parsed) {
        if (!spdy::concerns_stream(parsed.error())) std::abort();
        return;
    }
    std::vector<std::uint8_t> out;
    spdy::encode_header_block(out, views(*parsed));
    if (out != std::vector<std::uint8_t>(in.begin(), in.end())) std::abort();
}

/// A sequence of compressed blocks; those that are understood survive our own coders.
void compressed(bytes_view in, std::size_t block_size)
{
    spdy::header_decoder decoder({.max_block = 4096, .max_headers = 50});
    spdy::header_encoder encoder;
    spdy::header_decoder second;
    bool lost = false;
    while (!in.empty()) {
        bytes_view const block = in.first(std::min(in.size(), block_size));
        in = in.subspan(block.size());
        auto const list = decoder.decode(block);
        if (lost && list) std::abort();
        if (!list) {
            lost = lost || !spdy::concerns_stream(list.error());
            continue;
        }
        std::vector<std::uint8_t> again;
        encoder.encode(again, views(*list));
        auto const back = second.decode(again);
        if (!back || !same(*list, *back)) std::abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    if (size == 0) return 0;
    bytes_view const in(data + 1, size - 1);
    if (data[0] == 0)
        plain(in);
    else
        compressed(in, data[0] == 0xff ? in.size() + 1 : data[0]);

    // Any text as plain blocks through a peer's compressor: reaches the parser behind valid compression.
    compress::deflater peer({.dictionary = spdy::detail::header_dictionary});
    std::vector<std::uint8_t> packed;
    peer.write(in, packed);
    spdy::header_decoder decoder({.max_block = 4096, .max_headers = 50});
    auto const through = decoder.decode(packed);
    auto const direct = spdy::parse_header_block(in, 50);
    if (in.size() > 4096 ? through.error() != spdy::errc::header_block_too_large : through.error() != direct.error()) std::abort();
    return 0;
}
