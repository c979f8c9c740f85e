// The server of a kubeconfig: what is taken fits into a request, and written down again it means the same.
#include <podproxy/core/bytes.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/kube/cluster_settings.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
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
    auto const url = kube::parse_server_url(as_text({data, size}));
    if (!url) {
        check(url.error() == kube::errc::bad_context);
        return 0;
    }
    check(is_host(url->address.host) && url->address.port != 0);
    check(url->path.empty() || (url->path.front() == '/' && url->path.back() != '/'));
    check(std::all_of(url->path.begin(), url->path.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '?' && c != '#'; }));
    auto const again = kube::parse_server_url((url->tls ? "https://" : "http://") + format_host_port(url->address) + url->path + "/");
    check(again && again->tls == url->tls && again->address == url->address && again->path == url->path);
    return 0;
}
