// SOCKS5 messages and the texts in them: whatever parses takes no more than there is, needs every one of its bytes, and encodes to
// the same bytes again. The first byte chooses the message.
#include <podproxy/core/host_port.hpp>
#include <podproxy/socks5/address.hpp>
#include <podproxy/socks5/auth.hpp>
#include <podproxy/socks5/greeting.hpp>
#include <podproxy/socks5/reply.hpp>
#include <podproxy/socks5/request.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

using namespace podproxy;

namespace {

void check(bool ok)
{
    if (!ok) std::abort();
}

template <class Parse, class Encode>
void round_trip(bytes_view in, Parse parse, Encode encode)
{
    auto const r = parse(in);
    if (r.needs_more()) check(r.at_least() > in.size() && r.at_least() <= socks5::max_message_bytes);
    if (r.failed()) check(static_cast<bool>(r.error()));
    if (!r.done()) return;
    check(r.consumed() <= in.size());
    check(std::ranges::equal(bytes_view(encode(r.value())), in.first(r.consumed())));
    for (std::size_t n = 0; n < r.consumed(); ++n) check(parse(in.first(n)).needs_more());
}

void host_port_text(std::string_view text)
{
    host_port_rules const rules{.default_port = std::uint16_t{80}, .allow_port_zero = true, .allow_empty_host = true};
    for (auto const& r : {host_port_rules{}, rules}) {
        auto const hp = parse_host_port(text, r);
        if (!hp) continue;
        check(hp->host.empty() ? r.allow_empty_host : is_host(hp->host));
        auto const again = parse_host_port(format_host_port(*hp), r);
        check(again && *again == *hp);
    }
    if (auto const v4 = parse_ipv4(text)) check(format_ip(*v4) == text);
    if (auto const v6 = parse_ipv6(text)) {
        check(format_ip(*v6).size() <= 39);
        check(parse_ipv6(format_ip(*v6)) == v6);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    if (size == 0 || size > 1024) return 0;
    bytes_view const in(data + 1, size - 1);
    using namespace socks5;
    switch (data[0] % 8) {
    case 0:
        round_trip(in, parse_greeting, [](greeting const& g) {
            std::vector<method> methods;
            for (std::uint8_t const m : g.methods) methods.push_back(static_cast<method>(m));
            return encode_greeting(methods);
        });
        break;
    case 1: round_trip(in, parse_method_choice, encode_method_choice); break;
    case 2: round_trip(in, parse_auth_request, [](auth_request const& a) { return *encode_auth_request(a.user, a.password); }); break;
    case 3: {
        // Every failure is written with the same byte, so only success comes back as it was.
        auto const r = parse_auth_reply(in);
        if (r.done()) check(r.consumed() == 2 && (r.value() == auth_status::success) == (in[1] == 0));
        break;
    }
    case 4: round_trip(in, parse_request, [](request const& r) { return *encode_request(r); }); break;
    case 5: round_trip(in, parse_reply, [](reply const& r) { return *encode_reply(r.code, r.bound); }); break;
    case 6: round_trip(in, parse_address, [](address const& a) { return *encode_address(a); }); break;
    default: host_port_text(as_text(in)); break;
    }
    return 0;
}
