// What an API server may answer: a Service, a list of EndpointSlices, a line of a watch, a Status, and any other text. What is read is
// complete, and whatever slices say, only whole pod ports come out of them.
#include <podproxy/core/bytes.hpp>
#include <podproxy/kube/endpoints.hpp>
#include <podproxy/kube/objects.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

using namespace podproxy;
using namespace podproxy::kube;

namespace {

void check(bool ok)
{
    if (!ok) std::abort();
}

void check_selection(service const& svc, std::vector<endpoint_slice> const& slices)
{
    for (std::uint16_t const port : {std::uint16_t{80}, std::uint16_t{8080}, std::uint16_t{5432}}) {
        diagnostics why;
        auto const pods = select_pods(svc, slices, port, "ns/name", why);
        if (!pods) {
            check(pods.error() == kube::errc::external_name || pods.error() == kube::errc::no_endpoints || pods.error() == kube::errc::no_pods);
            check(!why.message.empty());
            continue;
        }
        check(!pods->empty());
        for (auto it = pods->begin(); it != pods->end(); ++it) {
            check(!it->pod.empty() && it->port != 0);
            check(std::find(pods->begin(), it, *it) == it);
        }
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    std::string_view const text = as_text({data, size});
    // Two documents may be given, one behind the other: a Service and what belongs to it.
    auto const cut = std::min(text.find('\n'), text.size());
    auto const svc = parse_service(text.substr(0, cut));
    check(svc || svc.error() == kube::errc::bad_answer);
    if (svc)
        for (auto const& p : svc->ports) check(p.port != 0);
    auto const list = parse_endpoint_slice_list(text.substr(std::min(cut + 1, text.size())));
    check(list || list.error() == kube::errc::bad_answer);
    if (list)
        for (auto const& s : list->slices) check(!s.name.empty());
    if (svc && list) check_selection(*svc, list->slices);

    auto const event = parse_watch_event(text);
    check(event || event.error() == kube::errc::bad_answer);
    if (event) {
        bool const has_slice = event->what == watch_event::kind::changed || event->what == watch_event::kind::deleted;
        check(has_slice == !event->slice.name.empty());
        for (auto const& p : event->slice.ports) check(p.port != 0);
    }
    (void)parse_status_message(text);
    return 0;
}
