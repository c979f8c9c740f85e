#ifndef PODPROXY_KUBE_FORWARD_ERROR_HPP
#define PODPROXY_KUBE_FORWARD_ERROR_HPP

#include <podproxy/kube/errc.hpp>
#include <string_view>

namespace podproxy::kube {

/** What the text on the error stream of a forwarded connection means.

    There is no code in the protocol, only the runtime's sentence. Only `errc::pod_gone` says something about the session; every other
    text is about the one connection.
    @par Source texts of containerd and CRI-O: "network namespace for sandbox ... is closed", "sandbox ... is not running",
                "connect: connection refused", "read: connection reset by peer", "write: broken pipe". */
inline errc classify_forward_error(std::string_view text) noexcept
{
    auto const has = [text](std::string_view part) { return text.find(part) != std::string_view::npos; };
    if (has("network namespace for sandbox") && has("is closed")) return errc::pod_gone;
    if (has("sandbox") && (has("is not running") || has("not found"))) return errc::pod_gone;
    if (has("connection refused")) return errc::port_refused;
    if (has("connection reset") || has("broken pipe")) return errc::pod_reset;
    return errc::forward_failed;
}

} // namespace podproxy::kube

#endif
