#ifndef PODPROXY_TESTS_FAKES_FAKE_KUBE_IO_HPP
#define PODPROXY_TESTS_FAKES_FAKE_KUBE_IO_HPP

#include <podproxy/net/asio.hpp>
#include <asio/buffer.hpp>
#include <asio/error.hpp>
#include <asio/write.hpp>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

/** What the fake Kubernetes server is made of: waiting, TLS, HTTP heads and WebSocket frames, all written for it alone, so that a
    mistake in the library can't hide behind the same mistake here. One thread, no locks. */
namespace podproxy::test::fake_kube {

/// Wakes everybody who waits. Nothing is remembered: wait in a loop that looks at a condition.
class event {
public:
    explicit event(net::executor ex) : timer_(ex, net::clock::time_point::max()) {}
    void notify() { timer_.cancel(); }
    net::awaitable<void> wait() { co_await timer_.async_wait(asio::as_tuple(net::use_awaitable)); }

private:
    net::timer timer_;
};

inline net::awaitable<void> pause(std::chrono::milliseconds d)
{
    net::timer t(co_await asio::this_coro::executor);
    t.expires_after(d);
    co_await t.async_wait(net::use_awaitable);
}

struct ssl_release {
    void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
    void operator()(SSL* p) const { SSL_free(p); }
    void operator()(BIO* p) const { BIO_free(p); }
    void operator()(X509* p) const { X509_free(p); }
    void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
};

/// A server's TLS settings from PEM text.
inline std::shared_ptr<SSL_CTX> make_tls(std::string const& certificate_pem, std::string const& key_pem)
{
    std::shared_ptr<SSL_CTX> ctx(SSL_CTX_new(TLS_server_method()), ssl_release());
    std::unique_ptr<BIO, ssl_release> const cert_text(BIO_new_mem_buf(certificate_pem.data(), static_cast<int>(certificate_pem.size())));
    std::unique_ptr<BIO, ssl_release> const key_text(BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())));
    std::unique_ptr<X509, ssl_release> const cert(PEM_read_bio_X509(cert_text.get(), nullptr, nullptr, nullptr));
    std::unique_ptr<EVP_PKEY, ssl_release> const key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
    if (!cert || !key || SSL_CTX_use_certificate(ctx.get(), cert.get()) != 1 || SSL_CTX_use_PrivateKey(ctx.get(), key.get()) != 1)
        throw std::runtime_error("fake_kube: bad certificate");
    // Upgrades need HTTP/1.1, so that is what is chosen, whatever else is offered.
    SSL_CTX_set_alpn_select_cb(
        ctx.get(),
        [](SSL*, unsigned char const** out, unsigned char* size, unsigned char const* in, unsigned in_size, void*) -> int {
            for (unsigned i = 0; i < in_size; i += in[i] + 1u)
                if (std::string_view(reinterpret_cast<char const*>(in + i + 1), in[i]) == "http/1.1") {
                    *out = in + i + 1;
                    *size = in[i];
                    return SSL_TLSEXT_ERR_OK;
                }
            return SSL_TLSEXT_ERR_NOACK;
        },
        nullptr);
    return ctx;
}

/** One accepted connection, plain or TLS. One reader, any number of writers. Lost connections throw `std::system_error`.
    @par Lifetime shared by everything that reads or writes it. */
class wire {
public:
    wire(net::tcp_socket socket, std::shared_ptr<SSL_CTX> tls) : socket_(std::move(socket)), tls_(std::move(tls)), changed_(socket_.get_executor())
    {
        std::error_code ignored;
        socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
        if (!tls_) return;
        ssl_.reset(SSL_new(tls_.get()));
        SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        SSL_set_accept_state(ssl_.get());
    }

    net::executor get_executor() { return socket_.get_executor(); }

    /// At least one byte; an empty string at the end.
    net::awaitable<std::string> read()
    {
        std::string out(32 * 1024, '\0');
        for (;;) {
            while (frozen_) co_await changed_.wait();
            if (ssl_) {
                int const n = SSL_read(ssl_.get(), out.data(), static_cast<int>(out.size()));
                if (n > 0) {
                    out.resize(static_cast<std::size_t>(n));
                    co_return out;
                }
                int const why = SSL_get_error(ssl_.get(), n);
                co_await flush();
                if (why == SSL_ERROR_ZERO_RETURN) co_return std::string();
                if (why != SSL_ERROR_WANT_READ) throw std::system_error(asio::error::connection_reset);
            }
            auto const [ec, got] = co_await socket_.async_read_some(asio::buffer(out), asio::as_tuple(net::use_awaitable));
            if (ec == asio::error::eof) co_return std::string();
            if (ec) throw std::system_error(ec);
            if (!ssl_) {
                while (frozen_) co_await changed_.wait();
                out.resize(got);
                co_return out;
            }
            BIO_write(SSL_get_rbio(ssl_.get()), out.data(), static_cast<int>(got));
        }
    }

    /// Returns when the kernel has taken it. What is written first goes out first.
    net::awaitable<void> write(std::string bytes)
    {
        if (bytes.empty()) co_return;
        if (ssl_)
            SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
        else
            out_ += bytes;
        co_await flush();
    }

    /// From now on one byte at a time, with a pause behind each.
    void slow_down(std::chrono::milliseconds between_bytes) { slow_ = between_bytes; }
    /// Neither read nor write until told otherwise; the connection stays open.
    void freeze(bool on)
    {
        frozen_ = on;
        changed_.notify();
    }
    void close()
    {
        std::error_code ignored;
        socket_.shutdown(net::tcp_socket::shutdown_both, ignored);
        socket_.close(ignored);
        changed_.notify();
    }
    /// An end that the client sees as a failure.
    void reset()
    {
        std::error_code ignored;
        socket_.set_option(asio::socket_base::linger(true, 0), ignored);
        socket_.close(ignored);
        changed_.notify();
    }
    bool is_open() const { return socket_.is_open(); }

private:
    net::awaitable<void> flush()
    {
        for (;;) {
            while (sending_ || frozen_) co_await changed_.wait();
            std::string bytes = std::move(out_);
            out_.clear();
            if (ssl_) {
                BIO* const from = SSL_get_wbio(ssl_.get());
                bytes.resize(BIO_ctrl_pending(from));
                if (!bytes.empty()) BIO_read(from, bytes.data(), static_cast<int>(bytes.size()));
            }
            if (bytes.empty()) co_return;
            sending_ = true;
            std::error_code failed;
            std::size_t const step = slow_.count() != 0 ? 1 : bytes.size();
            for (std::size_t at = 0; at < bytes.size() && !failed; at += step) {
                auto const [ec, n] =
                    co_await asio::async_write(socket_, asio::buffer(bytes.data() + at, step), asio::as_tuple(net::use_awaitable));
                failed = ec;
                if (slow_.count() != 0) co_await pause(slow_);
            }
            sending_ = false;
            changed_.notify();
            if (failed) throw std::system_error(failed);
        }
    }

    net::tcp_socket socket_;
    std::shared_ptr<SSL_CTX> tls_;
    std::unique_ptr<SSL, ssl_release> ssl_;
    event changed_;
    std::string out_;
    std::chrono::milliseconds slow_{0};
    bool sending_ = false;
    bool frozen_ = false;
};

// ---- HTTP

inline std::string lower(std::string_view text)
{
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

/// "%2F" and "+" in a query.
inline std::string unescape(std::string_view text)
{
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size()) {
            out.push_back(static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16)));
            i += 2;
        } else {
            out.push_back(text[i] == '+' ? ' ' : text[i]);
        }
    }
    return out;
}

struct http_request {
    std::string method;
    std::string path;                                ///< without the query
    std::map<std::string, std::string> query;
    std::multimap<std::string, std::string> headers; ///< names in lower case
    std::string body;

    std::string header(std::string const& name) const
    {
        auto const it = headers.find(name);
        return it == headers.end() ? std::string() : it->second;
    }
    std::string parameter(std::string const& name) const
    {
        auto const it = query.find(name);
        return it == query.end() ? std::string() : it->second;
    }
};

/// Cut one request off the front of `buffer`. @return false when it is not complete. @throws `std::runtime_error` for nonsense.
inline bool take_request(std::string& buffer, http_request& out)
{
    std::size_t const end = buffer.find("\r\n\r\n");
    if (end == std::string::npos) {
        if (buffer.size() > 64 * 1024) throw std::runtime_error("fake_kube: a request head without an end");
        return false;
    }
    out = {};
    std::string_view head = std::string_view(buffer).substr(0, end + 2);
    auto const line = [&head] {
        std::size_t const n = head.find("\r\n");
        auto const text = head.substr(0, n);
        head.remove_prefix(n + 2);
        return text;
    };
    auto const first = line();
    auto const a = first.find(' ');
    auto const b = first.rfind(' ');
    if (a == std::string_view::npos || a == b || first.substr(b + 1) != "HTTP/1.1") throw std::runtime_error("fake_kube: not a request line");
    out.method = first.substr(0, a);
    auto target = first.substr(a + 1, b - a - 1);
    if (auto const q = target.find('?'); q != std::string_view::npos) {
        auto rest = target.substr(q + 1);
        target = target.substr(0, q);
        while (!rest.empty()) {
            auto const pair = rest.substr(0, rest.find('&'));
            rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
            auto const eq = pair.find('=');
            out.query[unescape(pair.substr(0, eq))] = eq == std::string_view::npos ? std::string() : unescape(pair.substr(eq + 1));
        }
    }
    out.path = unescape(target);
    while (!head.empty()) {
        auto const field = line();
        auto const colon = field.find(':');
        if (colon == std::string_view::npos || colon == 0) throw std::runtime_error("fake_kube: not a header line");
        auto value = field.substr(colon + 1);
        while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
        out.headers.emplace(lower(field.substr(0, colon)), value);
    }
    auto const length = out.header("content-length");
    std::size_t const size = length.empty() ? 0 : std::stoul(length);
    if (buffer.size() < end + 4 + size) return false;
    out.body = buffer.substr(end + 4, size);
    buffer.erase(0, end + 4 + size);
    return true;
}

inline std::string_view reason_of(int status)
{
    switch (status) {
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 201: return "Created";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 415: return "Unsupported Media Type";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    default: return "Unknown";
    }
}

// ---- WebSocket

inline std::string base64(std::string_view in)
{
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < in.size(); i += 3) {
        std::uint32_t v = 0;
        for (std::size_t k = 0; k < 3; ++k) v = v << 8 | (i + k < in.size() ? static_cast<std::uint8_t>(in[i + k]) : 0u);
        for (std::size_t k = 0; k < 4; ++k) out.push_back(k > in.size() - i ? '=' : digits[v >> (18 - 6 * k) & 63]);
    }
    return out;
}

inline std::string websocket_accept(std::string const& key)
{
    std::string const text = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    std::array<std::uint8_t, 20> digest{};
    SHA1(reinterpret_cast<std::uint8_t const*>(text.data()), text.size(), digest.data());
    return base64({reinterpret_cast<char const*>(digest.data()), digest.size()});
}

/// One frame as a server sends it.
inline std::string websocket_frame(int opcode, bool fin, std::string_view payload)
{
    std::string out;
    out.push_back(static_cast<char>((fin ? 0x80 : 0) | opcode));
    if (payload.size() < 126) {
        out.push_back(static_cast<char>(payload.size()));
    } else if (payload.size() < 65536) {
        out.push_back(126);
        out.push_back(static_cast<char>(payload.size() >> 8));
        out.push_back(static_cast<char>(payload.size() & 255));
    } else {
        out.push_back(127);
        for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(static_cast<std::uint64_t>(payload.size()) >> shift & 255));
    }
    out.append(payload);
    return out;
}

struct websocket_message {
    int opcode = 0;
    std::string payload;
};

/// Cut one frame of a client off the front of `buffer`. @throws `std::runtime_error` for one that is not masked.
inline bool take_websocket_frame(std::string& buffer, websocket_message& out)
{
    auto const at = [&buffer](std::size_t i) { return static_cast<std::uint64_t>(static_cast<std::uint8_t>(buffer[i])); };
    if (buffer.size() < 2) return false;
    if ((at(1) & 0x80) == 0) throw std::runtime_error("fake_kube: a client's frame without a mask");
    if ((at(0) & 0x70) != 0) throw std::runtime_error("fake_kube: reserved bits");
    std::uint64_t size = at(1) & 0x7f;
    std::size_t head = 2;
    if (size == 126) head = 4;
    if (size == 127) head = 10;
    if (buffer.size() < head + 4) return false;
    if (head > 2) {
        size = 0;
        for (std::size_t i = 2; i < head; ++i) size = size << 8 | at(i);
    }
    if (buffer.size() < head + 4 + size) return false;
    out.opcode = static_cast<int>(at(0) & 15);
    out.payload = buffer.substr(head + 4, size);
    for (std::size_t i = 0; i < out.payload.size(); ++i) out.payload[i] = static_cast<char>(out.payload[i] ^ buffer[head + i % 4]);
    buffer.erase(0, head + 4 + size);
    return true;
}

} // namespace podproxy::test::fake_kube

#endif
