// PROXY headers from any bytes: never more consumed than there is, the same answer with more behind, and what was understood can be
// written and read again.

#include <podproxy/proxy_protocol/header.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

using namespace podproxy;

namespace {

void again(proxy_protocol::header const& h)
{
    std::vector<std::uint8_t> bytes;
    proxy_protocol::encode_v2(bytes, h);
    auto const v2 = proxy_protocol::parse_header(bytes);
    if (!v2.done() || v2.consumed() != bytes.size() || v2.value() != h) std::abort();
    bytes.clear();
    proxy_protocol::encode_v1(bytes, h);
    auto const v1 = proxy_protocol::parse_header(bytes);
    if (!v1.done() || v1.consumed() != bytes.size() || bytes.size() > proxy_protocol::max_v1_bytes) std::abort();
    if (h.has_addresses() && h.transport == proxy_protocol::transport::tcp ? v1.value() != h : v1.value() != proxy_protocol::header{}) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    bytes_view const in(data, size);
    auto const r = proxy_protocol::parse_header(in);
    if (r.done()) {
        if (r.consumed() > size) std::abort();
        again(r.value());
        auto const exact = proxy_protocol::parse_header(in.first(r.consumed()));
        if (!exact.done() || exact.value() != r.value()) std::abort();
    }
    if (r.needs_more() && r.at_least() <= size) std::abort();
    // A prefix waits or fails alike, and never asks for more than it takes.
    for (std::size_t n = 0; n < size && n < 200; ++n) {
        auto const part = proxy_protocol::parse_header(in.first(n));
        if (r.done() && (n < r.consumed() ? !part.needs_more() || part.at_least() > r.consumed() : !part.done())) std::abort();
        if (r.needs_more() && !part.needs_more()) std::abort();
        if (part.failed() && part.error() != r.error()) std::abort();
    }
    return 0;
}
