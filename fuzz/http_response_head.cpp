// Response heads: the cuts don't matter, and what is accepted can be written, read back the same, and handed to a client.
#include <unit/http/transcript.hpp>
#include <podproxy/http/forward.hpp>
#include <podproxy/http/parser.hpp>
#include <podproxy/http/serialise.hpp>
#include <array>
#include <cstdlib>
#include <string>

using namespace podproxy;

namespace {

void demand(bool ok)
{
    if (!ok) std::abort();
}

http::response_head read_back(http::response_head const& head)
{
    std::string wire;
    demand(http::encode_response_head(wire, head).has_value());
    http::response_decoder d({1 << 20, 1 << 20, 1024});
    auto const s = d.next(as_bytes(wire + "x"));
    demand(s.status == http::head_status::done && s.consumed == wire.size());
    return d.take_head();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    bytes_view const in(data, size);
    std::size_t const cut = size ? data[size - 1] * size / 256 : 0;
    std::array<bytes_view, 1> const whole{in};
    std::array<bytes_view, 2> const halves{in.first(cut), in.subspan(cut)};
    std::string const expected = test::head_transcript<http::response_decoder>(whole, {}, false);
    demand(expected == test::head_transcript<http::response_decoder>(halves, {}, false));

    http::response_decoder d;
    auto const s = d.next(in);
    if (s.status != http::head_status::done) return 0;
    http::response_head const head = d.take_head();
    http::response_head same = read_back(head);
    if (head.reason.empty()) same.reason.clear(); // the usual phrase stands in
    demand(same == head);

    for (std::string_view const method : {"GET", "HEAD", "CONNECT"}) {
        auto const framing = http::response_framing(head, method);
        if (!framing) continue;
        for (http::version const client : {http::version::http_1_0, http::version::http_1_1}) {
            auto const out = http::make_downstream_response(head, *framing, method, client, true);
            // The client must come to the same framing as we do.
            auto const seen = http::response_framing(read_back(out.head), method);
            demand(seen.has_value() && *seen == out.framing);
            if (client == http::version::http_1_0) demand(out.framing.kind != http::framing_kind::chunked && !out.keep_alive);
            if (out.framing.kind == http::framing_kind::until_close) demand(!out.keep_alive);
        }
    }
    return 0;
}
