// The runtime's text about a connection: it is one of four things, and text around it changes nothing but to something worse.
#include <podproxy/core/bytes.hpp>
#include <podproxy/kube/forward_error.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace podproxy;

namespace {

/// How much an error says: `pod_gone` is about all connections to the pod.
int weight(kube::errc e)
{
    switch (e) {
    case kube::errc::forward_failed: return 0;
    case kube::errc::pod_reset: return 1;
    case kube::errc::port_refused: return 2;
    case kube::errc::pod_gone: return 3;
    default: std::abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    std::string_view const text = as_text({data, size});
    int const whole = weight(kube::classify_forward_error(text));
    std::size_t const cut = size ? data[0] % (size + 1) : 0;
    if (weight(kube::classify_forward_error(text.substr(0, cut))) > whole) std::abort();
    if (weight(kube::classify_forward_error(text.substr(cut))) > whole) std::abort();
    if (weight(kube::classify_forward_error("x " + std::string(text) + " x")) != whole) std::abort();
    return 0;
}
