#ifndef PODPROXY_TLS_STREAM_HPP
#define PODPROXY_TLS_STREAM_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/stream.hpp>
#include <podproxy/tls/context.hpp>
#include <podproxy/tls/detail/core.hpp>
#include <podproxy/tls/errc.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace podproxy::tls {

/** TLS 1.2 or 1.3 over a stream of any kind, which it owns.

    Nothing but `handshake` may be called before `handshake` has succeeded. Holds no buffer of its own while nothing is on the way
    (a record that arrived in part is kept by the TLS library).

    @par Errors    Those of the lower stream; `end_of_stream` after the peer's close_notify, `truncated` when the lower stream
                   ends without one; `tls::errc` for everything that TLS itself finds wrong. A TLS 1.3 server tells only
                   after our handshake that it does not accept our certificate: the first `try_read` then ends with
                   `certificate_required` or `certificate_refused`. When bytes that were taken can't be sent later, the next
                   write or wait for writing tells.
    @par Overlap   One wait of each kind may be in flight.
    @par Lifetime  `close` and the destructor send close_notify when there is room for it at once, and don't wait. Data that was
                   taken and has not left by then is lost; `shutdown_send`, waited for, makes sure that all has left. */
class stream final : public net::stream {
    template <class Token>
    static auto wait_for_step(detail::core& c, net::wait_kind kind, Token&& token)
    {
        return asio::async_initiate<Token, void(std::error_code)>(
            [](auto handler, detail::core* self, net::wait_kind what) { self->wait_for_step(what, std::move(handler)); }, token, &c, kind);
    }

public:
    /** The client's side.
        @param lower   A connected stream.
        @param context Its settings; kept alive by the stream.
        @param host    The name or IP address that the server's certificate must have, unless the context names another. */
    stream(net::any_stream lower, client_context const& context, std::string host)
        : core_(std::make_shared<detail::core>(std::move(lower), context.state(), std::move(host)))
    {
    }

    /// The server's side.
    stream(net::any_stream lower, server_context const& context)
        : core_(std::make_shared<detail::core>(std::move(lower), context.state()))
    {
    }

    ~stream() override { core_->abandon(); }

    /** Agree on keys and verify the peer.

        @par Lifetime `why` is borrowed until completion, and the stream must stay.
        @par Cancel   terminal; the stream can only be closed afterwards.
        @param why    Text for a person when it fails: what is wrong with whose certificate.
        @return success, or a `tls::errc`, `truncated`, or the lower stream's error. No deadline inside: use `with_deadline`. */
    net::awaitable<result<void>> handshake(diagnostics& why)
    {
        auto const core = core_; // the lower stream's last handler may come after ours has been destroyed
        for (;;) {
            auto const step = core->handshake_step(why);
            if (!step) co_return step.error();
            if (*step == detail::core::step::done) co_return result<void>{};
            // Ends when the peer answers or the lower stream ends.
            auto const kind = *step == detail::core::step::wait_read ? net::wait_kind::read : net::wait_kind::write;
            auto [ec] = co_await wait_for_step(*core, kind, asio::as_tuple(net::use_awaitable));
            if (ec) co_return ec;
        }
    }

    /// The application protocol (ALPN) that was agreed on; empty when none was.
    std::string_view alpn() const noexcept
    {
        unsigned char const* chosen = nullptr;
        unsigned size = 0;
        SSL_get0_alpn_selected(core_->ssl(), &chosen, &size);
        return {reinterpret_cast<char const*>(chosen), size};
    }

    /// True when the handshake resumed an earlier session.
    bool resumed() const noexcept { return SSL_session_reused(core_->ssl()) == 1; }

    /// "TLSv1.2" or "TLSv1.3".
    std::string_view version() const noexcept { return SSL_get_version(core_->ssl()); }

    /// The name that the server was verified by.
    std::string_view server_name() const noexcept { return core_->name(); }

    /// The TLS library's own object, for what this class does not offer. Reading and writing it directly breaks the stream.
    SSL* native_handle() const noexcept { return core_->ssl(); }

    net::executor get_executor() const override { return core_->get_executor(); }
    net::ready_socket* transport() noexcept override { return core_->transport(); }
    result<std::size_t> try_read(std::span<std::uint8_t> out) override { return core_->try_read(out); }
    result<std::size_t> try_write(bytes_view in) override { return core_->try_write(in); }
    void async_wait(net::wait_kind kind, net::stream::wait_handler handler) override { core_->wait(kind, std::move(handler)); }
    result<void> shutdown_send() override { return core_->shutdown_send(); }
    void close() noexcept override { core_->close(); }
    void reset() noexcept override { core_->reset(); }

private:
    std::shared_ptr<detail::core> core_;
};

} // namespace podproxy::tls

#endif
