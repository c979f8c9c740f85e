// The SOCKS5 server machine: the first byte chooses whether authentication is needed, the second how the rest is cut. The story
// must not depend on the cut, and what the machine promises to its driver is checked on the way (socks5_transcripts.hpp).
#include <podproxy/socks5/server_fsm.hpp>

#include <unit/support/socks5_transcripts.hpp>
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

using namespace podproxy;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    if (size < 2 || size > 4096) return 0;
    socks5::server_config config;
    if (data[0] & 1)
        config.check_credentials = [](std::string_view user, std::string_view password) { return user.size() >= password.size(); };
    bytes_view const in(data + 2, size - 2);

    std::array const whole{in};
    std::string const expected = test::server_transcript(whole, config);
    if (expected.size() > 16384) std::abort(); // at most a few answers, one request, and the early data in hex

    std::size_t const cut = data[1] % (in.size() + 1);
    std::array const two{in.first(cut), in.subspan(cut)};
    if (test::server_transcript(two, config) != expected) std::abort();

    std::size_t const step = 1u + (data[0] >> 1) % 8u;
    std::vector<bytes_view> many;
    for (std::size_t at = 0; at < in.size(); at += step) many.push_back(in.subspan(at, std::min(step, in.size() - at)));
    many.emplace_back();
    if (test::server_transcript(many, config) != expected) std::abort();
    return 0;
}
