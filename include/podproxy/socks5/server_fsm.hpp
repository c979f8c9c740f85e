#ifndef PODPROXY_SOCKS5_SERVER_FSM_HPP
#define PODPROXY_SOCKS5_SERVER_FSM_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/socks5/address.hpp>
#include <podproxy/socks5/auth.hpp>
#include <podproxy/socks5/errc.hpp>
#include <podproxy/socks5/greeting.hpp>
#include <podproxy/socks5/reply.hpp>
#include <podproxy/socks5/request.hpp>
#include <cassert>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace podproxy::socks5 {

/// How a server treats its clients.
struct server_config {
    /** Decides about user and password. Empty (the default): no authentication, only method 0x00 is taken. Set: only method 0x02
        is taken. Compare in constant time; the views are valid during the call. */
    std::function<bool(std::string_view user, std::string_view password)> check_credentials;
};

/// What a client wants, once it was let in.
struct accepted_request {
    host_port destination;
    std::string user; ///< Empty without authentication.

    accepted_request() = default;
    accepted_request(host_port d, std::string u) noexcept : destination(std::move(d)), user(std::move(u)) {}
};

/// What the driver of a `server_fsm` has to do next.
struct server_action {
    enum class kind_type {
        read,   ///< Have at least `at_least` unconsumed bytes (fewer are fine, if at least one is new), then `resume`.
        write,  ///< Send `out`, then `resume` with the input that is left.
        ready,  ///< `request()` is there. What is left of the input is early data for the destination.
        failed, ///< Send `out` if there is any, then close. `error` says why.
    };
    kind_type kind = kind_type::read;
    std::size_t consumed = 0; ///< Drop so many bytes from the front of the input, whatever the kind.
    std::size_t at_least = 0;
    bytes_view out;           ///< Static storage: valid for ever.
    std::error_code error;
};

/** The server's side of a SOCKS5 handshake, without I/O (RFC 1928, RFC 1929).

        client                                server
          05 n methods           ----------->
                                 <-----------   05 method        05 FF: no method in common, then close
         [01 user password       ----------->
                                 <-----------   01 00 ]          01 01: refused, then close
          05 cmd 00 destination  ----------->
                                                ready: dial, then `encode_reply`

    Input stays in the caller's buffer and is parsed there: the machine allocates nothing but the strings of the result, and
    `max_message_bytes` of buffer always suffice. A client may send all messages at once.

    Only CONNECT is taken: BIND, UDP ASSOCIATE and unknown commands are answered with 0x07, unknown address types with 0x08,
    other malformed requests with 0x01. A greeting of another protocol gets no answer.

    A user name is shown in `request()` only after the check has said yes. */
class server_fsm {
public:
    /// `config` is borrowed for the life of the machine.
    explicit server_fsm(server_config const& config) noexcept : config_(&config) {}

    /// Go on with `in`: all bytes received and not consumed yet. Not after `ready` or `failed`.
    server_action resume(bytes_view in)
    {
        switch (state_) {
        case state::greeting: return on_greeting(in);
        case state::auth: return on_auth(in);
        case state::request: return on_request(in);
        case state::ended: break;
        }
        assert(false && "the handshake has ended");
        return fail({}, {}, 0);
    }

    /// The request, after `ready`. Move from it freely.
    accepted_request& request() noexcept { return request_; }

private:
    enum class state { greeting, auth, request, ended };
    using kind = server_action::kind_type;

    static server_action need(std::size_t at_least) { return {kind::read, 0, at_least, {}, {}}; }
    server_action write(bytes_view out, std::size_t consumed, state next)
    {
        state_ = next;
        return {kind::write, consumed, 0, out, {}};
    }
    server_action fail(std::error_code error, bytes_view out, std::size_t consumed)
    {
        state_ = state::ended;
        return {kind::failed, consumed, 0, out, error};
    }

    server_action on_greeting(bytes_view in)
    {
        auto const r = parse_greeting(in);
        if (r.needs_more()) return need(r.at_least());
        if (r.failed()) return fail(r.error(), r.error() == errc::no_methods ? choice(method::unacceptable) : bytes_view{}, 0);
        method const wanted = config_->check_credentials ? method::user_password : method::none;
        if (!r.value().offers(wanted)) return fail(errc::no_acceptable_method, choice(method::unacceptable), r.consumed());
        return write(choice(wanted), r.consumed(), wanted == method::none ? state::request : state::auth);
    }

    server_action on_auth(bytes_view in)
    {
        auto const r = parse_auth_request(in);
        if (r.needs_more()) return need(r.at_least());
        if (r.failed()) return fail(r.error(), verdict(auth_status::failure), 0);
        if (!config_->check_credentials(r.value().user, r.value().password))
            return fail(errc::auth_failed, verdict(auth_status::failure), r.consumed());
        request_.user = r.value().user;
        return write(verdict(auth_status::success), r.consumed(), state::request);
    }

    server_action on_request(bytes_view in)
    {
        auto r = parse_request(in);
        if (r.needs_more()) return need(r.at_least());
        if (r.failed()) return fail(r.error(), refusal(reply_code_for(r.error())), 0);
        if (r.value().cmd != command::connect) return fail(errc::unsupported_command, refusal(reply_code::command_not_supported), r.consumed());
        if (r.value().destination.port == 0) return fail(errc::bad_port, refusal(reply_code::general_failure), r.consumed());
        request_.destination = std::move(r.value().destination).to_host_port();
        state_ = state::ended;
        return {kind::ready, r.consumed(), 0, {}, {}};
    }

    static bytes_view choice(method m)
    {
        static message<2> const none = encode_method_choice(method::none);
        static message<2> const user_password = encode_method_choice(method::user_password);
        static message<2> const unacceptable = encode_method_choice(method::unacceptable);
        return m == method::none ? none.view() : m == method::user_password ? user_password.view() : unacceptable.view();
    }
    static bytes_view verdict(auth_status s)
    {
        static message<2> const success = encode_auth_reply(auth_status::success);
        static message<2> const failure = encode_auth_reply(auth_status::failure);
        return s == auth_status::success ? success.view() : failure.view();
    }
    static bytes_view refusal(reply_code code)
    {
        static message<10> const general = encode_reply(reply_code::general_failure);
        static message<10> const command = encode_reply(reply_code::command_not_supported);
        static message<10> const type = encode_reply(reply_code::address_type_not_supported);
        return code == reply_code::command_not_supported ? command.view()
               : code == reply_code::address_type_not_supported ? type.view()
                                                                 : general.view();
    }

    server_config const* config_;
    state state_ = state::greeting;
    accepted_request request_;
};

} // namespace podproxy::socks5

#endif
