// The SOCKS5 client machine: the first byte chooses credentials and destination, the second how the proxy's answers are cut. The story
// must not depend on the cut, and what the machine promises to its driver is checked on the way (socks5_transcripts.hpp).
#include <podproxy/socks5/client_fsm.hpp>

#include <unit/support/socks5_transcripts.hpp>
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

using namespace podproxy;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    if (size < 2 || size > 4096) return 0;
    std::optional<socks5::credentials> creds;
    if (data[0] & 1) creds.emplace("user", "password");
    std::array const hosts{"web.shop.kube", "192.0.2.1", "2001:db8::1", "a b"};
    host_port const destination(hosts[(data[0] >> 4) % hosts.size()], 80);
    bytes_view const in(data + 2, size - 2);

    std::array const whole{in};
    std::string const expected = test::client_transcript(whole, destination, creds);
    if (expected.size() > 16384) std::abort(); // three messages, one result, and the early data in hex

    std::size_t const cut = data[1] % (in.size() + 1);
    std::array const two{in.first(cut), in.subspan(cut)};
    if (test::client_transcript(two, destination, creds) != expected) std::abort();

    std::size_t const step = 1u + (data[0] >> 1) % 8u;
    std::vector<bytes_view> many;
    for (std::size_t at = 0; at < in.size(); at += step) many.push_back(in.subspan(at, std::min(step, in.size() - at)));
    many.emplace_back();
    if (test::client_transcript(many, destination, creds) != expected) std::abort();
    return 0;
}
