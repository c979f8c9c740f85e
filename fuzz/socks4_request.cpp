// A SOCKS4 request: what has been refused or read stays so however much follows, and a shorter part of what was read always needs more.
#include <podproxy/core/bytes.hpp>
#include <podproxy/socks4/request.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace podproxy;

namespace {

void check(bool ok)
{
    if (!ok) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    if (size > 2048) return 0;
    bytes_view const in(data, size);
    auto const whole = socks4::parse_request(in);
    if (whole.needs_more()) check(whole.at_least() > size && size < socks4::max_request_bytes);
    if (whole.done()) {
        auto const& r = whole.value();
        check(whole.consumed() <= size && whole.consumed() <= socks4::max_request_bytes);
        check(is_host(r.destination.host) && r.destination.port != 0 && r.user.size() <= socks4::max_user_bytes);
        check(r.user.find('\0') == std::string_view::npos);
        auto const exact = socks4::parse_request(in.first(whole.consumed()));
        check(exact.done() && exact.value().destination == r.destination);
    }
    bool decided = false;
    for (std::size_t n = 0; n <= size; ++n) {
        auto const part = socks4::parse_request(in.first(n));
        if (part.needs_more()) {
            check(!decided && part.at_least() > n);
            continue;
        }
        decided = true;
        check(part.failed() == whole.failed() && part.error() == whole.error());
        if (part.done()) check(part.consumed() == whole.consumed());
    }
    return 0;
}
