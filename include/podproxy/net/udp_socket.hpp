#ifndef PODPROXY_NET_UDP_SOCKET_HPP
#define PODPROXY_NET_UDP_SOCKET_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/stream.hpp>
#include <asio/basic_datagram_socket.hpp>
#include <asio/ip/address.hpp>
#include <asio/ip/udp.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace podproxy::net {

/// The largest payload that UDP has, over IPv4 as well as over IPv6 without jumbograms.
inline constexpr std::size_t max_datagram_bytes = 65'535;

/// The address of ours that a peer has sent to, and that an answer has to come from.
struct local_address {
    asio::ip::address address;   ///< Unspecified: not known, the system chooses.
    std::uint32_t interface = 0; ///< Only of link-local addresses; else zero.

    friend bool operator==(local_address const&, local_address const&) = default;
};

/// Room for the datagrams that one call receives, and what came into it.
class datagram_batch {
public:
    /// @param most datagrams per call, at most 64.
    explicit datagram_batch(std::size_t most = 32);

    std::size_t size() const noexcept { return size_; }
    bytes_view payload(std::size_t i) const noexcept { return payloads_[i]; }
    /// All of them. Valid until the next call that receives.
    std::span<bytes_view const> payloads() const noexcept { return {payloads_.data(), size_}; }
    asio::ip::udp::endpoint const& peer(std::size_t i) const noexcept { return peers_[i]; }
    local_address const& local(std::size_t i) const noexcept { return locals_[i]; }

private:
    friend class udp_socket;

    std::size_t most_;
    std::size_t size_ = 0;
    std::unique_ptr<std::uint8_t[]> storage_; ///< pages that no datagram has reached take no memory
    std::vector<bytes_view> payloads_;
    std::vector<asio::ip::udp::endpoint> peers_;
    std::vector<local_address> locals_;
};

/** A UDP socket in the manner of `stream`: calls never wait, `async_wait` tells when trying again makes sense.

    Several datagrams go through one system call where the system can do that (Linux).
    @par Overlap One wait of each kind may be in flight. */
class udp_socket {
public:
    using endpoint = asio::ip::udp::endpoint;
    using native_handle_type = asio::basic_datagram_socket<asio::ip::udp, executor>::native_handle_type;

    /// Receive from anybody at `where` (port 0: any free one). On all addresses (`::`) IPv4 is received too.
    static result<udp_socket> bind(executor ex, endpoint const& where);
    /// Take over a descriptor that somebody else has bound (systemd socket activation).
    static result<udp_socket> adopt(executor ex, asio::ip::udp const& protocol, native_handle_type fd);
    /// Talk to one peer only. That nobody listens there is told by a later call: `connection_refused`.
    static result<udp_socket> connect(executor ex, endpoint const& peer);

    executor get_executor() { return socket_.get_executor(); }
    endpoint local_endpoint() const;

    /** Receive what is there, into `into`, which forgets what it held.
        @return how many (> 0), or `errc::would_block`, or an error: of a connected socket `connection_refused` means that what was sent
                before has met a closed port; the socket stays usable. */
    result<std::size_t> receive(datagram_batch& into);

    /** Send to the peer of a connected socket.
        @return how many of `payloads` were taken, from the first on (> 0), or `errc::would_block`, or why the first was not. An error that an
                earlier datagram has met (`connection_refused`) is told here once, instead of sending. */
    result<std::size_t> send(std::span<bytes_view const> payloads) { return send(payloads, nullptr, {}); }
    /// The same to `peer`, from the address `from`.
    result<std::size_t> send_to(std::span<bytes_view const> payloads, endpoint const& peer, local_address const& from)
    {
        return send(payloads, &peer, from);
    }

    /// The error that an earlier datagram has met, which is forgotten with that; empty where there is none.
    std::error_code take_error();

    template <class Token>
    auto async_wait(wait_kind kind, Token&& token)
    {
        return socket_.async_wait(kind == wait_kind::read ? asio::socket_base::wait_read : asio::socket_base::wait_write, std::forward<Token>(token));
    }

    /// Waits in flight complete with `operation_aborted`.
    void cancel() noexcept;
    /// The same, and nothing more goes through.
    void close() noexcept;
    bool is_open() const noexcept { return socket_.is_open(); }

private:
    explicit udp_socket(executor ex) : socket_(ex) {}

    result<std::size_t> send(std::span<bytes_view const> payloads, endpoint const* peer, local_address const& from);
    std::error_code open(asio::ip::udp const& protocol);
    void tell_local_addresses();

    asio::basic_datagram_socket<asio::ip::udp, executor> socket_;
    bool connected_ = false;
};

} // namespace podproxy::net

#include <podproxy/net/impl/udp_socket.ipp>

#endif
