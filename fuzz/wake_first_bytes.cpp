// The first bytes of connections: how they are cut does not matter, what is decided stays, and rules that are asked early never
// change their mind.

#include <podproxy/wake/first_bytes.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <vector>

using namespace podproxy;

namespace {

void demand(bool ok)
{
    if (!ok) std::abort();
}

wake::client_filter rules()
{
    wake::client_filter f;
    f.no_wake_names = {"*.monitor.example", "a.example"};
    f.no_wake_paths = {"/health*", "/x"};
    f.no_wake_agents = {"bot"};
    f.no_wake_bytes = {"PING\r\n", "GET /x"};
    return f;
}

struct outcome {
    std::optional<wake::first_bytes> found;
    wake::wake_verdict verdict = wake::wake_verdict::undecided;
    wake::wake_verdict at_end = wake::wake_verdict::undecided; ///< When no more comes.
};

/// Everything is told after each piece, in memory of its own size.
outcome run(bytes_view in, std::size_t step, wake::client_filter const& filter)
{
    wake::first_bytes_decoder d;
    outcome out;
    for (std::size_t end = 0; end < in.size();) {
        end = std::min(in.size(), end + step);
        std::vector<std::uint8_t> const all(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(end));
        bool const decided = d.next(all);
        demand(decided == d.decided());
        if (out.found) demand(d.get() == *out.found);
        if (decided && !out.found) out.found = d.get();
        auto const now = wake::judge(filter, d, all, true);
        out.at_end = wake::judge(filter, d, all, false);
        demand(out.at_end != wake::wake_verdict::undecided);
        if (out.verdict != wake::wake_verdict::undecided) demand(now == out.verdict);
        out.verdict = now;
    }
    demand(!out.found || out.found->kind != wake::first_bytes_kind::other || *out.found == wake::first_bytes{});
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    if (size > 2 * wake::most_first_bytes) return 0;
    bytes_view const in(data, size);
    wake::client_filter const filter = rules();
    outcome const whole = run(in, std::max<std::size_t>(size, 1), filter);
    std::size_t const step = size == 0 ? 1 : std::max<std::size_t>(1 + data[size - 1] % 16, size / 256);
    outcome const cut = run(in, step, filter);
    // That a ClientHello is none may be seen later when its records are looked at less often; nothing hangs on it.
    bool const late = size != 0 && data[0] == 0x16 && !cut.found;
    demand(late ? !whole.found || *whole.found == wake::first_bytes{} : cut.found == whole.found);
    demand(late || cut.verdict == whole.verdict);
    demand(cut.at_end == whole.at_end);

    bool head_only = false;
    if (whole.found && whole.found->kind == wake::first_bytes_kind::http) demand(wake::begins_with_http(in, head_only));
    if (head_only) demand(whole.found->method == "HEAD");
    return 0;
}
