#ifndef PODPROXY_NET_DIALER_HPP
#define PODPROXY_NET_DIALER_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/stream.hpp>

namespace podproxy::net {

/** A way to reach a destination: directly, through a cluster, through another proxy ...

    A new way out is a new dialer and nothing else. */
class dialer {
public:
    dialer() = default;
    dialer(dialer const&) = delete;
    dialer& operator=(dialer const&) = delete;
    virtual ~dialer() = default;

    /** Connect to `destination`; a name is resolved by whoever is on that way.

        @par Lifetime `why` is borrowed until completion; the dialer outlives its dials.
        @par Cancel   terminal; nothing is left open.
        @return a connected stream, or why there is none, with `why` saying it to a person. There is no deadline inside: callers
                use `with_deadline`. */
    virtual awaitable<result<any_stream>> dial(host_port destination, diagnostics& why) = 0;
};

} // namespace podproxy::net

#endif
