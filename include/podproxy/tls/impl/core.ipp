#ifndef PODPROXY_TLS_IMPL_CORE_IPP
#define PODPROXY_TLS_IMPL_CORE_IPP

#include <podproxy/tls/detail/core.hpp>
#include <asio/append.hpp>
#include <asio/error.hpp>
#include <asio/ip/address.hpp>
#include <asio/post.hpp>
#include <openssl/err.h>
#include <algorithm>
#include <cassert>
#include <climits>
#include <cstring>
#include <new>
#include <utility>

namespace podproxy::tls::detail {

inline core::core(net::any_stream lower, std::shared_ptr<client_state> client, std::string host)
    : executor_(lower->get_executor()), lower_(std::move(lower)), client_(std::move(client)),
      name_(client_->server_name.empty() ? std::move(host) : client_->server_name), read_wait_(executor_), write_wait_(executor_)
{
    attach(client_->ctx.get());
    set_up_client(*client_);
}

inline core::core(net::any_stream lower, std::shared_ptr<server_state> server)
    : executor_(lower->get_executor()), lower_(std::move(lower)), server_(std::move(server)), name_("the client"),
      read_wait_(executor_), write_wait_(executor_)
{
    attach(server_->ctx.get());
    SSL_set_accept_state(ssl_.get());
}

inline void core::attach(SSL_CTX* ctx)
{
    ssl_.reset(SSL_new(ctx));
    BIO* const bio = ssl_ ? BIO_new(const_cast<BIO_METHOD*>(bio_method())) : nullptr;
    if (!bio) throw std::bad_alloc();
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);
    if (SSL_set_ex_data(ssl_.get(), 0, this) != 1) throw std::bad_alloc();
}

inline void core::set_up_client(client_state& client)
{
    SSL_set_connect_state(ssl_.get());
    if (name_.size() > 1 && name_.back() == '.') name_.pop_back(); // a rooted name is the same name
    std::error_code no_address;
    auto const address = asio::ip::make_address(name_, no_address);
    bool const is_name = static_cast<bool>(no_address);

    if (is_name) { // SNI carries names only (RFC 6066 section 3)
        bool const usable = !name_.empty() && name_.size() <= 255 && name_.find('\0') == std::string::npos;
        if (usable && SSL_set_tlsext_host_name(ssl_.get(), name_.c_str()) != 1) set_up_error_ = errc::bad_settings;
        if (!usable && client.verify == verification::full) set_up_error_ = errc::bad_settings;
    }
    if (client.verify == verification::full && !set_up_error_) {
        X509_VERIFY_PARAM* const param = SSL_get0_param(ssl_.get());
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
        int ok = 0;
        if (is_name) {
            ok = X509_VERIFY_PARAM_set1_host(param, name_.data(), name_.size());
        } else if (address.is_v4()) {
            auto const raw = address.to_v4().to_bytes();
            ok = X509_VERIFY_PARAM_set1_ip(param, raw.data(), raw.size());
        } else {
            auto const raw = address.to_v6().to_bytes();
            ok = X509_VERIFY_PARAM_set1_ip(param, raw.data(), raw.size());
        }
        if (ok != 1) set_up_error_ = errc::bad_settings;
    }
    if (auto const session = client.sessions.take(name_)) SSL_set_session(ssl_.get(), session.get());
    ERR_clear_error();
}

// ---- the library's side: a BIO over the lower stream ----------------------------------------------------------------

inline BIO_METHOD const* core::bio_method()
{
    static BIO_METHOD const* const method = [] {
        BIO_METHOD* const m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "podproxy stream");
        if (!m) throw std::bad_alloc();
        BIO_meth_set_read(m, &core::bio_read);
        BIO_meth_set_write(m, &core::bio_write);
        BIO_meth_set_ctrl(m, &core::bio_ctrl);
        return m; // lives as long as the process
    }();
    return method;
}

inline long core::bio_ctrl(BIO*, int command, long, void*) noexcept { return command == BIO_CTRL_FLUSH ? 1 : 0; }

inline int core::bio_read(BIO* bio, char* out, int size) noexcept
{
    BIO_clear_retry_flags(bio);
    if (size <= 0) return 0;
    core& self = of(bio);
    try {
        return self.read_lower(bio, {reinterpret_cast<std::uint8_t*>(out), static_cast<std::size_t>(size)});
    } catch (std::bad_alloc const&) { // must not travel through the library
        self.lower_error_ = std::make_error_code(std::errc::not_enough_memory);
        return -1;
    }
}

inline int core::read_lower(BIO* bio, std::span<std::uint8_t> out)
{
    if (in_.empty()) {
        if (lower_error_) return lower_error_ == podproxy::errc::end_of_stream ? 0 : -1;
        if (drained_) {
            BIO_set_retry_read(bio);
            return -1;
        }
        auto const room = in_.prepare(read_chunk);
        auto const n = lower_->try_read(room);
        if (!n) {
            if (n.error() == podproxy::errc::would_block) {
                BIO_set_retry_read(bio);
                drained_ = true;
                return -1;
            }
            lower_error_ = n.error();
            return lower_error_ == podproxy::errc::end_of_stream ? 0 : -1;
        }
        in_.commit(*n);
        drained_ = *n < room.size(); // asking once more would most likely be in vain
        if (!first_byte_) first_byte_ = in_.data().front();
    }
    std::size_t const n = std::min(out.size(), in_.size());
    std::memcpy(out.data(), in_.data().data(), n);
    in_.consume(n);
    return static_cast<int>(n);
}

inline int core::bio_write(BIO* bio, char const* in, int size) noexcept
{
    BIO_clear_retry_flags(bio);
    if (size <= 0) return 0;
    core& self = of(bio);
    if (self.write_error_) return -1;
    try {
        auto const room = self.out_.prepare(static_cast<std::size_t>(size));
        if (room.empty()) { // only a handshake message beyond 80 KiB comes here
            BIO_set_retry_write(bio);
            return -1;
        }
        std::memcpy(room.data(), in, room.size());
        self.out_.commit(room.size());
        return static_cast<int>(room.size());
    } catch (std::bad_alloc const&) {
        self.write_error_ = std::make_error_code(std::errc::not_enough_memory);
        return -1;
    }
}

inline int core::on_verify(int ok, X509_STORE_CTX* ctx) noexcept
{
    if (ok == 1) return 1;
    auto* const ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* const self = ssl ? static_cast<core*>(SSL_get_ex_data(ssl, 0)) : nullptr;
    if (!self || self->verify_failure_.code) return 0;
    try {
        verify_subject const subject{self->name_, self->is_client(), self->is_client() && self->client_->system_roots};
        self->verify_failure_ = explain(ctx, subject);
    } catch (std::bad_alloc const&) {
        self->verify_failure_ = {errc::unacceptable, {}, {}};
    }
    return 0;
}

inline int core::on_new_session(SSL* ssl, SSL_SESSION* session) noexcept
{
    auto* const self = static_cast<core*>(SSL_get_ex_data(ssl, 0));
    if (!self || !self->client_) return 0;
    session_ptr kept(session);
    try {
        self->client_->sessions.put(self->name_, std::move(kept));
    } catch (std::bad_alloc const&) { // then the next handshake is a full one
    }
    return 1;
}

// ---- errors ----------------------------------------------------------------------------------------------------------

inline std::error_code core::failure(int ret)
{
    switch (SSL_get_error(ssl_.get(), ret)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return write_error_ && !lower_error_ && !established_ ? write_error_ : std::error_code{};
    case SSL_ERROR_ZERO_RETURN: return podproxy::errc::end_of_stream;
    default: break;
    }
    broken_ = true;
    std::error_code const by_library = library_failure();
    ERR_clear_error();
    if (verify_failure_.code && !established_) return verify_failure_.code;
    // Handshake records begin with 22, alerts with 21; an answer in plain text begins with a letter.
    if (!established_ && first_byte_ && *first_byte_ != 22 && *first_byte_ != 21) return errc::not_tls;
    if (by_library && by_library != errc::protocol_error) return by_library;
    if (lower_error_) return lower_error_ == podproxy::errc::end_of_stream ? std::error_code(podproxy::errc::truncated) : lower_error_;
    if (write_error_) return write_error_;
    return by_library ? by_library : errc::internal;
}

inline std::error_code core::library_failure() const
{
    unsigned long const why = ERR_peek_error();
    if (why == 0) return {};
    if (ERR_GET_LIB(why) != ERR_LIB_SSL) return errc::protocol_error;
    int const reason = ERR_GET_REASON(why);
    switch (reason) {
    case SSL_R_UNSUPPORTED_PROTOCOL: return errc::version_mismatch;
    case SSL_R_NO_SHARED_CIPHER: return errc::no_shared_parameters;
    case SSL_R_NO_APPLICATION_PROTOCOL: return errc::no_application_protocol;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return errc::certificate_required;
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST: return errc::not_tls;
    default: break;
    }
    if (reason < SSL_AD_REASON_OFFSET || reason > SSL_AD_REASON_OFFSET + 255) return errc::protocol_error;
    switch (reason - SSL_AD_REASON_OFFSET) { // the peer's alert, RFC 8446 section 6
    case 70: return errc::version_mismatch;
    case 40:                                           // handshake_failure
    case 71: return errc::no_shared_parameters;        // insufficient_security
    case 41:                                           // no_certificate (old)
    case 116: return errc::certificate_required;
    case 42: case 43: case 44: case 45: case 46: case 48: // bad, unsupported, revoked, expired, unknown certificate; unknown authority
    case 49: return errc::certificate_refused;         // access_denied
    case 120: return errc::no_application_protocol;
    default: return errc::peer_alert;
    }
}

inline std::error_code core::explain_handshake(std::error_code ec, diagnostics& why) const
{
    std::string const who = name_.empty() ? "the server" : name_;
    if (ec == verify_failure_.code) {
        why.message = verify_failure_.message;
        why.set_server_text(verify_failure_.peer);
    } else if (ec == podproxy::errc::truncated) {
        why.message = who + " closed the connection during the TLS handshake";
    } else if (ec == errc::not_tls) {
        why.message = is_client() ? who + " does not speak TLS on this port" : "the client does not speak TLS";
    } else {
        why.message = "TLS handshake with " + who + " failed: " + ec.message();
    }
    return ec;
}

// ---- the stream's side -----------------------------------------------------------------------------------------------

inline result<core::step> core::handshake_step(diagnostics& why)
{
    if (closed_) return std::error_code(asio::error::bad_descriptor);
    if (set_up_error_) {
        why.message = "'" + name_.substr(0, 80) + "' is not a host name that a certificate can be checked against";
        return set_up_error_;
    }
    if (read_error_) return explain_handshake(read_error_, why);
    drained_ = false;
    ERR_clear_error();
    int const ret = SSL_do_handshake(ssl_.get());
    bool const wants_write = ret != 1 && SSL_get_error(ssl_.get(), ret) == SSL_ERROR_WANT_WRITE;
    std::error_code ec = ret == 1 ? std::error_code{} : failure(ret);
    flush(); // the answer, or the alert that tells the peer why
    flush_later();
    if (ec) {
        read_error_ = write_error_ = ec;
        return explain_handshake(ec, why);
    }
    if (in_.empty()) in_.release();
    if (ret != 1) return wants_write ? step::wait_write : step::wait_read;

    if (client_ && !client_->alpn.empty()) { // a server may leave it open, but must not invent one
        unsigned char const* chosen = nullptr;
        unsigned size = 0;
        SSL_get0_alpn_selected(ssl_.get(), &chosen, &size);
        std::string_view const name(reinterpret_cast<char const*>(chosen), size);
        if (size != 0 && std::find(client_->alpn.begin(), client_->alpn.end(), name) == client_->alpn.end()) {
            broken_ = true;
            read_error_ = write_error_ = errc::no_application_protocol;
            return explain_handshake(read_error_, why);
        }
    }
    established_ = true;
    return step::done;
}

inline void core::wait_for_step(net::wait_kind kind, net::stream::wait_handler handler)
{
    if (kind == net::wait_kind::read && !closed_) return lower_->async_wait(kind, std::move(handler));
    wait(kind, std::move(handler));
}

inline result<std::size_t> core::try_read(std::span<std::uint8_t> out)
{
    assert(!out.empty());
    if (closed_) return std::error_code(asio::error::bad_descriptor);
    std::size_t total = 0;
    drained_ = false;
    read_needs_flush_ = false;
    readable_ = true;
    while (total < out.size() && !read_error_ && readable_) { // one call gives one record
        ERR_clear_error();
        int const want = static_cast<int>(std::min<std::size_t>(out.size() - total, INT_MAX));
        int const n = SSL_read(ssl_.get(), out.data() + total, want);
        if (n > 0) {
            total += static_cast<std::size_t>(n);
            continue;
        }
        read_error_ = failure(n);
        if (read_error_) break;
        readable_ = false;
        read_needs_flush_ = SSL_get_error(ssl_.get(), n) == SSL_ERROR_WANT_WRITE;
    }
    if (in_.empty()) in_.release();
    if (!out_.empty() && !flushing_) { // an alert, or the answer to a key update
        flush();
        flush_later();
    }
    if (total > 0) return total;
    if (read_error_) return read_error_;
    return podproxy::errc::would_block;
}

inline result<std::size_t> core::try_write(bytes_view in)
{
    if (closed_) return std::error_code(asio::error::bad_descriptor);
    flush();
    std::size_t total = 0;
    while (!write_error_ && out_.empty() && total < in.size()) {
        while (total < in.size() && out_.size() < stage_limit) {
            ERR_clear_error();
            int const size = static_cast<int>(std::min<std::size_t>(in.size() - total, INT_MAX));
            int const n = SSL_write(ssl_.get(), in.data() + total, size);
            if (n <= 0) {
                write_error_ = failure(n);
                if (!write_error_) write_error_ = errc::internal; // `out_` has room for a record: it must not block
                break;
            }
            total += static_cast<std::size_t>(n);
        }
        flush();
    }
    flush_later();
    if (write_error_) return write_error_;
    if (total == 0) return podproxy::errc::would_block;
    return total;
}

inline void core::flush()
{
    while (!out_.empty() && !write_error_) {
        auto const n = lower_->try_write(out_.data());
        if (!n) {
            if (n.error() == podproxy::errc::would_block) return;
            write_error_ = n.error();
            break;
        }
        out_.consume(*n);
    }
    out_.release();
}

inline void core::flush_later()
{
    if (out_.empty() || flushing_ || closed_) return;
    flushing_ = true;
    lower_->async_wait(net::wait_kind::write, [self = shared_from_this()](std::error_code ec) { self->on_writable(ec); });
}

inline void core::on_writable(std::error_code ec)
{
    flushing_ = false;
    if (closed_) return;
    if (ec) {
        write_error_ = ec;
        out_.release();
    } else {
        flush();
    }
    if (!out_.empty()) {
        flush_later();
        return;
    }
    write_wait_.complete(write_error_);
    if (read_needs_flush_) readable_ = true;
    read_wait_.complete({});
}

inline void core::wait(net::wait_kind kind, net::stream::wait_handler handler)
{
    std::error_code now;
    if (closed_) {
        now = asio::error::bad_descriptor;
    } else if (kind == net::wait_kind::write) {
        if (!out_.empty()) return write_wait_.wait(std::move(handler));
    } else if (!readable_ && !read_error_) {
        if (read_needs_flush_ && !out_.empty()) return read_wait_.wait(std::move(handler));
        return lower_->async_wait(kind, std::move(handler));
    }
    asio::post(executor_, asio::append(std::move(handler), now));
}

inline result<void> core::shutdown_send()
{
    if (closed_) return std::error_code(asio::error::bad_descriptor);
    flush();
    if (write_error_) return write_error_;
    if (!goodbye_ && out_.empty()) {
        if (established_ && !broken_) {
            ERR_clear_error();
            SSL_shutdown(ssl_.get());
            ERR_clear_error();
        }
        goodbye_ = true;
        flush();
        if (write_error_) return write_error_;
    }
    if (!out_.empty()) {
        flush_later();
        return podproxy::errc::would_block;
    }
    return lower_->shutdown_send();
}

inline void core::close() noexcept
{
    if (closed_) return;
    if (established_ && !broken_ && !goodbye_ && !write_error_ && out_.empty()) {
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
        ERR_clear_error();
        goodbye_ = true;
        flush();
    }
    closed_ = true;
    lower_->close();
    in_.release();
    out_.release();
    read_wait_.complete(asio::error::operation_aborted);
    write_wait_.complete(asio::error::operation_aborted);
}

inline void core::reset() noexcept
{
    if (closed_) return;
    closed_ = true;
    lower_->reset();
    in_.release();
    out_.release();
    read_wait_.complete(asio::error::operation_aborted);
    write_wait_.complete(asio::error::operation_aborted);
}

inline void core::abandon() noexcept
{
    close();
    lower_.reset();
}

} // namespace podproxy::tls::detail

#endif
