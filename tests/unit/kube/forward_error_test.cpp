#include <podproxy/kube/forward_error.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace podproxy;
using namespace podproxy::kube;

TEST_CASE("forward error: what the runtimes say", "[kube][forward_error]")
{
    struct row {
        char const* text;
        kube::errc expected;
    };
    row const rows[] = {
        // containerd
        {"error forwarding port 4444 to pod 0123456789abcdef, uid : failed to execute portforward in network namespace \"/var/run/netns/cni-1\": "
         "failed to connect to localhost:4444 inside namespace \"0123456789abcdef\", IPv4: dial tcp4 127.0.0.1:4444: connect: connection refused "
         "IPv6 dial tcp6: address localhost: no suitable address found",
         kube::errc::port_refused},
        {"error forwarding port 9004 to pod 0123456789abcdef, uid : failed to execute portforward in network namespace \"/var/run/netns/cni-1\": "
         "read tcp4 127.0.0.1:46988->127.0.0.1:9004: read: connection reset by peer",
         kube::errc::pod_reset},
        {"error forwarding port 80 to pod 0123, uid : failed to execute portforward in network namespace \"/var/run/netns/cni-1\": write tcp4 "
         "127.0.0.1:1->127.0.0.1:80: write: broken pipe",
         kube::errc::pod_reset},
        {"error forwarding port 80 to pod 0123, uid : network namespace for sandbox \"0123\" is closed", kube::errc::pod_gone},
        {"error forwarding port 80 to pod 0123, uid : failed to find sandbox \"0123\" in store: not found", kube::errc::pod_gone},
        {"error forwarding port 80 to pod 0123, uid : sandbox container \"0123\" is not running", kube::errc::pod_gone},
        // CRI-O
        {"error forwarding port 8080 to pod 0123, uid : pod sandbox 0123 is not running", kube::errc::pod_gone},
        {"error forwarding port 8080 to pod 0123, uid : port forward into network namespace \"/var/run/netns/1\": failed to connect to localhost:8080 "
         "inside namespace 0123: dial tcp [::1]:8080: connect: connection refused",
         kube::errc::port_refused},
        // the kubelet's streaming server
        {"(conn=0xc000123456, request=1) timed out waiting for streams", kube::errc::forward_failed},
        // a tool that is not installed says nothing about the pod
        {"unable to do port forwarding: socat not found", kube::errc::forward_failed},
        {"dial tcp4 127.0.0.1:80: i/o timeout", kube::errc::forward_failed},
        {"", kube::errc::forward_failed},
    };
    for (auto const& r : rows) {
        INFO(r.text);
        CHECK(classify_forward_error(r.text) == r.expected);
    }
}

TEST_CASE("forward error: each has a condition that tells the client the right thing", "[kube][forward_error]")
{
    CHECK(std::error_code(kube::errc::port_refused) == cond::refused);
    CHECK(std::error_code(kube::errc::pod_reset) == cond::unavailable);
    CHECK(std::error_code(kube::errc::pod_gone) == cond::unavailable);
    CHECK(std::error_code(kube::errc::forward_failed) == cond::unavailable);
}
