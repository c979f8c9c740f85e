#ifndef PODPROXY_KUBE_FORWARDED_STREAM_HPP
#define PODPROXY_KUBE_FORWARDED_STREAM_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/kube/errc.hpp>
#include <podproxy/kube/forward_error.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/stream.hpp>
#include <podproxy/net/wait_slot.hpp>
#include <podproxy/spdy/session.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace podproxy::kube {

struct forwarded_stream_config {
    /// After the pod's end of data, how long to wait for the runtime's word whether it was an error.
    std::chrono::milliseconds verdict_wait{250};
    /** The client's end of data is passed on only after the pod has been silent for so long. Today's runtimes don't carry a half-close:
        they take it as the end of the whole connection and cut the answer off a second later. */
    std::chrono::milliseconds finish_after{1000};
    /// The same when the pod has said something since the client's last byte: most likely the client has what it wanted and closes.
    std::chrono::milliseconds finish_after_answer{20};
};

/** One connection into a pod: the data stream and the error stream of a port-forward session, seen as one `net::stream`.

    Reading ends with `end_of_stream` when the pod has closed, and with a `kube::errc` when the runtime says that something failed.
    @par Source Kubernetes port-forward protocol `portforward.k8s.io`: streams come in pairs with the same `requestid`. */
class forwarded_stream final : public net::stream {
public:
    /// Both streams are open on the same session. `on_end` runs once, when the connection is over, with what the runtime said.
    using end_handler = std::function<void(std::error_code, std::string const& text)>;

    forwarded_stream(net::executor ex, std::unique_ptr<spdy::session_stream> error, std::unique_ptr<spdy::session_stream> data,
                     forwarded_stream_config config, end_handler on_end = {});
    ~forwarded_stream() override;

    /** Wait until the cluster has taken both streams, then for at most `grace` for a refusal. There is no positive sign of a
        connection in the protocol: a first byte from the pod is one, silence for `grace` has to do.
        @par Cancel total.
        @return success, or the failure with the runtime's text in `why`. */
    net::awaitable<result<void>> established(std::chrono::milliseconds grace, diagnostics& why);

    /// The pod has answered: bytes have come from it, or it has taken bytes of ours.
    bool proven() const noexcept;

    net::executor get_executor() const override;
    result<std::size_t> try_read(std::span<std::uint8_t> out) override;
    result<std::size_t> try_write(bytes_view in) override;
    void async_wait(net::wait_kind kind, wait_handler handler) override;
    result<void> shutdown_send() override;
    void close() noexcept override;
    bool lends_views() const noexcept override { return true; }
    result<bytes_view> view() override;
    void consume(std::size_t n) override;

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace podproxy::kube

#include <podproxy/kube/impl/forwarded_stream.ipp>

#endif
