// The chunked coding: the cuts don't matter, content never exceeds the input, and what was decoded can be encoded and decoded again.
#include <unit/http/transcript.hpp>
#include <podproxy/http/chunked.hpp>
#include <array>
#include <cstdlib>
#include <string>
#include <vector>

using namespace podproxy;

namespace {

void demand(bool ok)
{
    if (!ok) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    bytes_view const in(data, size);
    http::body_framing const framing{http::framing_kind::chunked, 0};
    http::chunk_limits limits;
    if (size != 0 && data[size - 1] % 2 != 0) limits = {16, 24, 32, 2};
    std::size_t const cut = size ? data[size / 2] * size / 256 : 0;
    std::array<bytes_view, 1> const whole{in};
    std::array<bytes_view, 2> const halves{in.first(cut), in.subspan(cut)};
    std::vector<bytes_view> single;
    for (std::size_t i = 0; i < size; ++i) single.push_back(in.subspan(i, 1));
    std::string const expected = test::body_transcript(whole, framing, limits);
    demand(expected == test::body_transcript(halves, framing, limits));
    demand(expected == test::body_transcript(single, framing, limits));

    http::chunked_decoder d(limits);
    std::string content;
    std::string wire;
    bytes_view rest = in;
    for (;;) {
        auto const s = d.next(rest);
        if (s.status == http::body_status::failed || s.status == http::body_status::need_more) return 0;
        content += as_text(s.data);
        http::append_chunk(wire, s.data);
        rest = rest.subspan(s.consumed);
        if (s.status == http::body_status::done) break;
    }
    demand(content.size() <= size);
    demand(http::append_last_chunk(wire, d.trailers()).has_value());
    std::array<bytes_view, 1> const again{as_bytes(wire)};
    demand(test::body_transcript(again, framing) == content + "|" + test::show(d.trailers()) + "done, 0 left");
    return 0;
}
