#ifndef PODPROXY_SOCKS5_CLIENT_FSM_HPP
#define PODPROXY_SOCKS5_CLIENT_FSM_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/socks5/address.hpp>
#include <podproxy/socks5/auth.hpp>
#include <podproxy/socks5/errc.hpp>
#include <podproxy/socks5/greeting.hpp>
#include <podproxy/socks5/message.hpp>
#include <podproxy/socks5/reply.hpp>
#include <podproxy/socks5/request.hpp>
#include <array>
#include <cassert>
#include <cstddef>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

namespace podproxy::socks5 {

/// What the driver of a `client_fsm` has to do next.
struct client_action {
    enum class kind_type {
        write,  ///< Send `out`, then `resume` with the input that is left.
        read,   ///< Have at least `at_least` unconsumed bytes (fewer are fine, if at least one is new), then `resume`.
        done,   ///< The tunnel is open; `bound()` is there. What is left of the input comes from the destination.
        failed, ///< Close. `error` says why.
    };
    kind_type kind = kind_type::read;
    std::size_t consumed = 0; ///< Drop so many bytes from the front of the input, whatever the kind.
    std::size_t at_least = 0; ///< A driver that never reads more than this takes nothing from the tunnel.
    bytes_view out;           ///< Valid until the next `resume`.
    std::error_code error;
};

/** The client's side of a SOCKS5 handshake for CONNECT, without I/O (RFC 1928, RFC 1929).

    Without credentials only method 0x00 is offered; with credentials 0x00 and 0x02, and the server chooses. Each message waits for
    the answer to the one before. The first `resume`, with no input, gives the greeting to send.

    A refusal is taken from the first two bytes of a reply: some proxies send no more before they close. */
class client_fsm {
public:
    client_fsm(host_port destination, std::optional<credentials> creds)
        : destination_(std::move(destination)), credentials_(std::move(creds))
    {
    }

    /// Go on with `in`: all bytes received and not consumed yet. Not after `done` or `failed`.
    client_action resume(bytes_view in)
    {
        switch (state_) {
        case state::start: return on_start();
        case state::method_choice: return on_method_choice(in);
        case state::auth_reply: return on_auth_reply(in);
        case state::reply: return on_reply(in);
        case state::ended: break;
        }
        assert(false && "the handshake has ended");
        return fail({}, 0);
    }

    /// The proxy's address on the connection to the destination, as it says; often 0.0.0.0:0. After `done`.
    host_port const& bound() const noexcept { return bound_; }

private:
    enum class state { start, method_choice, auth_reply, reply, ended };
    using kind = client_action::kind_type;

    static client_action need(std::size_t at_least) { return {kind::read, 0, at_least, {}, {}}; }
    client_action write(bytes_view encoded, std::size_t consumed, state next)
    {
        state_ = next;
        out_.clear();
        out_.put(encoded);
        return {kind::write, consumed, 0, out_.view(), {}};
    }
    client_action fail(std::error_code error, std::size_t consumed)
    {
        state_ = state::ended;
        return {kind::failed, consumed, 0, {}, error};
    }

    client_action on_start()
    {
        // What can't be sent is found before the first byte is.
        if (!encode_request({command::connect, address(destination_)})) return fail(errc::host_not_encodable, 0);
        if (credentials_ && !encode_auth_request(credentials_->user, credentials_->password))
            return fail(errc::credentials_not_encodable, 0);
        constexpr std::array methods{method::none, method::user_password};
        return write(encode_greeting(std::span(methods).first(credentials_ ? 2 : 1)), 0, state::method_choice);
    }

    client_action on_method_choice(bytes_view in)
    {
        auto const r = parse_method_choice(in);
        if (r.needs_more()) return need(r.at_least());
        if (r.failed()) return fail(r.error(), 0);
        switch (r.value()) {
        case method::none: return write_request(r.consumed());
        case method::user_password:
            if (!credentials_) break;
            return write(*encode_auth_request(credentials_->user, credentials_->password), r.consumed(), state::auth_reply);
        case method::unacceptable: return fail(errc::no_acceptable_method, r.consumed());
        case method::gssapi: break;
        }
        return fail(errc::unsolicited_method, r.consumed());
    }

    client_action on_auth_reply(bytes_view in)
    {
        auto const r = parse_auth_reply(in);
        if (r.needs_more()) return need(r.at_least());
        if (r.failed()) return fail(r.error(), 0);
        if (r.value() != auth_status::success) return fail(errc::auth_failed, r.consumed());
        return write_request(r.consumed());
    }

    client_action write_request(std::size_t consumed)
    {
        return write(*encode_request({command::connect, address(destination_)}), consumed, state::reply);
    }

    client_action on_reply(bytes_view in)
    {
        if (in.size() >= 2 && in[0] == version && in[1] != 0x00) return fail(error_for(static_cast<reply_code>(in[1])), 2);
        auto r = parse_reply(in);
        if (r.needs_more()) return need(r.at_least());
        if (r.failed()) return fail(r.error(), 0);
        bound_ = std::move(r.value().bound).to_host_port();
        state_ = state::ended;
        return {kind::done, r.consumed(), 0, {}, {}};
    }

    host_port destination_;
    std::optional<credentials> credentials_;
    host_port bound_;
    message<max_message_bytes> out_;
    state state_ = state::start;
};

} // namespace podproxy::socks5

#endif
