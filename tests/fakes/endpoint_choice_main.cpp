/* Prints the pods that a connection to a Service may go to, for comparison with other programs.

usage: endpoint_choice < QUESTIONS

A question is a line: a port, a Service and an EndpointSliceList, both JSON, with tabs between them. The answer is a line: `ok` and the
pods as `namespace/name:port`, sorted, or what is wrong. */
#include <podproxy/kube/endpoints.hpp>
#include <podproxy/kube/objects.hpp>
#include <algorithm>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

namespace {

using namespace podproxy;

std::string answer(std::uint16_t port, std::string const& service_text, std::string const& slices_text)
{
    auto const service = kube::parse_service(service_text);
    auto const list = kube::parse_endpoint_slice_list(slices_text);
    if (!service || !list) return "unreadable";
    diagnostics why;
    auto const pods = kube::select_pods(*service, list->slices, port, "test", why);
    if (!pods) return pods.error().message() + ": " + why.message;
    std::vector<std::string> names;
    for (auto const& p : *pods) names.push_back(p.pod_namespace + "/" + p.pod + ":" + std::to_string(p.port));
    std::sort(names.begin(), names.end());
    std::string out = "ok";
    for (auto const& name : names) out += " " + name;
    return out;
}

} // namespace

int main()
{
    std::string line;
    while (std::getline(std::cin, line)) {
        std::size_t const first = line.find('\t');
        std::size_t const second = line.find('\t', first + 1);
        if (first == std::string::npos || second == std::string::npos) return 2;
        std::cout << answer(static_cast<std::uint16_t>(std::stoul(line.substr(0, first))), line.substr(first + 1, second - first - 1), line.substr(second + 1)) << '\n';
    }
}
