#ifndef PODPROXY_TLS_DETAIL_CORE_HPP
#define PODPROXY_TLS_DETAIL_CORE_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/stream.hpp>
#include <podproxy/net/wait_slot.hpp>
#include <podproxy/tls/context.hpp>
#include <podproxy/tls/detail/block.hpp>
#include <podproxy/tls/detail/handles.hpp>
#include <podproxy/tls/detail/verify.hpp>
#include <podproxy/tls/errc.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

namespace podproxy::tls::detail {

/** One TLS connection over a lower stream: what a `tls::stream` owns, and what its background flush keeps alive a moment longer.

    Reading: the library asks for a record's header and its body apart; both come out of `in_`, which one lower read fills with up
    to 64 KiB. Writing: the library's records gather in `out_` and leave in one lower write; what finds no room below is sent by
    `flush_later` without the caller's help, and until then no new data is taken. So the library never sees a blocked write
    while data flows, and whoever called `try_write` owes nothing for the bytes that it took. */
class core final : public std::enable_shared_from_this<core> {
public:
    core(net::any_stream lower, std::shared_ptr<client_state> client, std::string host);
    core(net::any_stream lower, std::shared_ptr<server_state> server);

    /// What a step of the handshake needs before the next one.
    enum class step { done, wait_read, wait_write };
    result<step> handshake_step(diagnostics& why);
    void wait_for_step(net::wait_kind kind, net::stream::wait_handler handler);

    result<std::size_t> try_read(std::span<std::uint8_t> out);
    result<std::size_t> try_write(bytes_view in);
    void wait(net::wait_kind kind, net::stream::wait_handler handler);
    result<void> shutdown_send();
    void close() noexcept;
    void reset() noexcept;
    net::ready_socket* transport() noexcept { return lower_ ? lower_->transport() : nullptr; }
    /// The owner goes away: drop the lower stream, so that nothing refers to us but handlers that are about to be called.
    void abandon() noexcept;

    net::executor get_executor() const noexcept { return executor_; }
    SSL* ssl() const noexcept { return ssl_.get(); }
    std::string_view name() const noexcept { return name_; }

    // Callbacks of the library.
    static int on_verify(int ok, X509_STORE_CTX* ctx) noexcept;
    static int on_new_session(SSL* ssl, SSL_SESSION* session) noexcept;

private:
    /// More is encrypted only while less than this is waiting to leave.
    static constexpr std::size_t stage_limit = 64 * 1024;
    static constexpr std::size_t read_chunk = 64 * 1024;

    void attach(SSL_CTX* ctx);
    void set_up_client(client_state& client);
    static BIO_METHOD const* bio_method();
    static core& of(BIO* bio) noexcept { return *static_cast<core*>(BIO_get_data(bio)); }
    static int bio_read(BIO* bio, char* out, int size) noexcept;
    static int bio_write(BIO* bio, char const* in, int size) noexcept;
    static long bio_ctrl(BIO* bio, int command, long number, void* pointer) noexcept;
    int read_lower(BIO* bio, std::span<std::uint8_t> out);

    void flush();
    void flush_later();
    void on_writable(std::error_code ec);
    /// Why the library's last call, which answered `ret`, did not do its work; empty where it only waits.
    std::error_code failure(int ret);
    std::error_code library_failure() const;
    std::error_code explain_handshake(std::error_code ec, diagnostics& why) const;
    bool is_client() const noexcept { return client_ != nullptr; }

    net::executor executor_;
    net::any_stream lower_;
    std::shared_ptr<client_state> client_; ///< one of the two is set
    std::shared_ptr<server_state> server_;
    std::string name_; ///< the server's name as we verify it, or "the client"
    ssl_ptr ssl_;
    block in_;
    block out_;
    net::wait_slot read_wait_;  ///< a reader that needs `out_` to be sent first
    net::wait_slot write_wait_; ///< a writer that waits until `out_` is sent
    verify_failure verify_failure_;
    std::error_code set_up_error_; ///< the host can't be verified, told by the handshake
    std::error_code lower_error_;  ///< what the lower stream's reading ended with
    std::error_code read_error_;   ///< what reading ended with
    std::error_code write_error_;  ///< what writing ended with
    std::optional<std::uint8_t> first_byte_; ///< of what the peer sent
    bool drained_ = false;       ///< the lower stream gave less than asked: don't ask again in this call
    bool readable_ = true;       ///< `try_read` may have something without new bytes from below
    bool read_needs_flush_ = false;
    bool flushing_ = false;      ///< a wait of ours for the lower stream's room is in flight
    bool established_ = false;
    bool broken_ = false;        ///< the library reported a fatal error
    bool closed_ = false;
    bool goodbye_ = false;       ///< our close_notify is in `out_` or sent
};

} // namespace podproxy::tls::detail

#include <podproxy/tls/impl/core.ipp>

#endif
