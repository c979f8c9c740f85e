// A stream of JSON objects: cut into the same objects however it arrives, none larger than the limit, and none of them longer than it has to be.
#include <podproxy/core/bytes.hpp>
#include <podproxy/json/object_decoder.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

using namespace podproxy;

namespace {

constexpr std::size_t most = 64;

void check(bool ok)
{
    if (!ok) std::abort();
}

std::string transcript(std::vector<bytes_view> const& parts)
{
    json::object_decoder decoder(most);
    std::string out;
    for (bytes_view in : parts) {
        for (;;) {
            auto const step = decoder.next(in);
            check(step.consumed <= in.size());
            in = in.subspan(step.consumed);
            if (step.status == json::object_status::failed) {
                check(static_cast<bool>(step.error));
                return out + step.error.message();
            }
            if (step.status == json::object_status::need_more) {
                check(in.empty());
                break;
            }
            check(step.text.size() >= 2 && step.text.size() <= most && step.text.front() == '{');
            check(!decoder.inside());
            out.append(step.text) += '\n';
        }
    }
    return out + (decoder.inside() ? "(inside)" : "(between)");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    bytes_view const in(data, size);
    auto const whole = transcript({in});
    std::size_t const cut = size != 0 ? data[0] % (size + 1) : 0;
    check(transcript({in.first(cut), in.subspan(cut)}) == whole);
    std::vector<bytes_view> bytes;
    for (std::size_t i = 0; i < size; ++i) bytes.push_back(in.subspan(i, 1));
    check(transcript(bytes) == whole);
    return 0;
}
