#ifndef PODPROXY_KUBE_SECOND_TRY_STREAM_HPP
#define PODPROXY_KUBE_SECOND_TRY_STREAM_HPP

#include <podproxy/core/result.hpp>
#include <podproxy/kube/errc.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/stream.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>

namespace podproxy::kube {

/** A connection into a pod that goes to another pod when the first one turns out to have refused it.

    Kubernetes tells of a refusal after the connection was reported as open, when the client may have sent something already. A refused
    connection has never reached a program, so what was sent (up to `most_kept` bytes) is sent again to the next pod. From the first byte
    of an answer on, and after any other error, this is the inner stream and nothing more.
    @par Lifetime As `net::stream`. */
class second_try_stream final : public net::stream {
public:
    /// Bytes that are kept to be sent again. Who has sent more gets the refusal as it is.
    static constexpr std::size_t most_kept = 16 * 1024;

    using done_handler = std::function<void(result<net::any_stream>)>;
    /// Starts a dial to another pod; `done` is called once, at any time. @return false when there is no dialing any more.
    using dial_again = std::function<bool(done_handler done)>;

    second_try_stream(net::any_stream first, dial_again again);
    ~second_try_stream() override { close(); }

    net::executor get_executor() const override;
    result<std::size_t> try_read(std::span<std::uint8_t> out) override;
    result<std::size_t> try_write(bytes_view in) override;
    void async_wait(net::wait_kind kind, wait_handler handler) override;
    result<void> shutdown_send() override;
    void close() noexcept override;
    void reset() noexcept override;
    bool lends_views() const noexcept override { return true; }
    result<bytes_view> view() override;
    void consume(std::size_t n) override;

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace podproxy::kube

#include <podproxy/kube/impl/second_try_stream.ipp>

#endif
