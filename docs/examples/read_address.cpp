// Where would podproxy send a connection? Needs podproxy::core: the standard library, no sockets.
#include <podproxy/route/address.hpp>
#include <cstddef>
#include <iostream>
#include <span>
#include <variant>

int main(int argc, char** argv)
{
    podproxy::route::cluster_names clusters;
    if (!clusters.add("staging")) return 1;
    for (char const* host : std::span(argv, static_cast<std::size_t>(argc)).subspan(1)) {
        auto const target = podproxy::route::parse_address(host, clusters);
        if (!target) std::cout << host << ": " << target.error().message() << '\n';
        else if (auto const* service = std::get_if<podproxy::route::service_target>(&*target))
            std::cout << host << ": Service " << service->service << " of cluster " << service->cluster << '\n';
        else if (auto const* pod = std::get_if<podproxy::route::pod_target>(&*target))
            std::cout << host << ": pod " << pod->pod << " of cluster " << pod->cluster << '\n';
        else std::cout << host << ": direct\n";
    }
}
