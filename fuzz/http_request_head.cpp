// Request heads: the cuts don't matter, limits hold, and what is accepted can be written, read back the same, and forwarded.
#include <unit/http/transcript.hpp>
#include <podproxy/http/forward.hpp>
#include <podproxy/http/parser.hpp>
#include <podproxy/http/serialise.hpp>
#include <algorithm>
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

/// A head that we wrote must be read as exactly that.
void check_round_trip(http::request_head const& head, http::body_framing framing)
{
    std::string wire;
    demand(http::encode_request_head(wire, head).has_value());
    http::request_decoder d({1 << 20, 1 << 20, 1024});
    auto const s = d.next(as_bytes(wire + "x"));
    demand(s.status == http::head_status::done && s.consumed == wire.size());
    demand(d.framing() == framing);
    demand(d.take_head() == head);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    bytes_view const in(data, size);
    http::head_limits limits;
    std::size_t const small = size != 0 ? data[size - 1] : 0;
    if (small % 2 != 0) limits = {64 + small, 32 + small / 2, 4};
    std::size_t const cut = size ? data[0] * size / 256 : 0;
    std::array<bytes_view, 1> const whole{in};
    std::array<bytes_view, 2> const halves{in.first(cut), in.subspan(cut)};
    std::vector<bytes_view> single;
    for (std::size_t i = 0; i < size; ++i) single.push_back(in.subspan(i, 1));
    std::string const expected = test::head_transcript<http::request_decoder>(whole, limits, false);
    demand(expected == test::head_transcript<http::request_decoder>(halves, limits, false));
    demand(expected == test::head_transcript<http::request_decoder>(single, limits, false));

    http::request_decoder d(limits);
    auto const s = d.next(in);
    if (s.status != http::head_status::done) return 0;
    demand(s.consumed <= std::min(size, limits.max_head_bytes));
    http::request_head head = d.take_head();
    demand(head.fields.size() <= limits.max_fields);
    check_round_trip(head, d.framing());

    bool const had_secret = head.fields.contains("Proxy-Authorization");
    auto const forwarded = http::make_upstream_request(std::move(head), d.framing());
    if (!forwarded) return 0;
    check_round_trip(forwarded->head, forwarded->framing);
    demand(forwarded->head.fields.count("Host") == 1 && forwarded->head.fields[0].name == "Host");
    demand(!forwarded->head.fields.contains("Keep-Alive") && !forwarded->head.fields.contains("Proxy-Connection"));
    if (had_secret) demand(!forwarded->head.fields.contains("Proxy-Authorization"));
    demand(http::parse_target(forwarded->head.method, forwarded->head.target).has_value());
    if (forwarded->answer_here) (void)http::answer_max_forwards(*forwarded);
    return 0;
}
