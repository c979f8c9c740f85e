#ifndef PODPROXY_SOCKS5_SERVER_HPP
#define PODPROXY_SOCKS5_SERVER_HPP

#include <podproxy/core/flat_buffer.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/stream.hpp>
#include <podproxy/socks5/reply.hpp>
#include <podproxy/socks5/server_fsm.hpp>
#include <cstddef>
#include <system_error>
#include <utility>

namespace podproxy::socks5 {

/** Take a client's handshake up to its request.

    Reads no more than it must wait for, in pieces of at most `max_message_bytes`; what a client sends behind its request stays in
    `in`, as early data for the destination. When the client is refused it has got the answer that says so, as far as it reads.

    @par Source    RFC 1928, RFC 1929
    @par Overlap   Nothing else may use `client`.
    @par Lifetime  All three are borrowed until completion.
    @par Cancel    terminal; the client can only be closed afterwards. The caller sets the time limit (a `task_group` child with a
                   deadline, or `net::with_deadline`): a client that says nothing waits for ever here.
    @param in      May hold the first bytes already (a mixed port has looked at them). Room for `max_message_bytes`.
    @return The request, to be answered with `send_reply`; or an `socks5::errc` (the client is at fault and has been told);
            `errc::end_of_stream` when it left between two messages, `errc::truncated` inside one; `errc::buffer_full` when `in` is
            too small; or why the connection is lost. */
inline net::awaitable<result<accepted_request>> accept_request(net::stream& client, flat_buffer& in, server_config const& config)
{
    using kind = server_action::kind_type;
    server_fsm fsm(config);
    bool asked = false;
    for (;;) {
        server_action const action = fsm.resume(in.data());
        in.consume(action.consumed);
        if (!action.out.empty()) {
            asked = true;
            // The answers are a few bytes: they fit at once but for a client that reads nothing.
            auto const n = client.try_write(action.out);
            std::error_code ec = n ? std::error_code{} : n.error();
            std::size_t const sent = n ? *n : 0;
            if (sent < action.out.size() && (!ec || ec == podproxy::errc::would_block))
                ec = (co_await net::write_all(client, action.out.subspan(sent))).error();
            if (action.kind == kind::failed) co_return action.error;
            if (ec) co_return ec;
        }
        switch (action.kind) {
        case kind::write: break;
        case kind::failed: co_return action.error;
        case kind::ready: co_return std::move(fsm.request());
        case kind::read: {
            if (in.room() == 0) co_return podproxy::errc::buffer_full;
            for (;; asked = true) {
                if (asked) { // what we have just asked for is not there yet
                    auto [ec] = co_await net::async_wait(client, net::wait_kind::read, asio::as_tuple(net::use_awaitable));
                    if (ec) co_return ec;
                }
                auto const n = client.try_read(in.prepare(max_message_bytes));
                if (n) {
                    in.commit(*n);
                    break;
                }
                if (n.error() == podproxy::errc::would_block) continue;
                if (n.error() == podproxy::errc::end_of_stream && !in.empty()) co_return podproxy::errc::truncated;
                co_return n.error();
            }
            asked = false;
            break;
        }
        }
    }
}

/** Answer a request that `accept_request` gave.

    @par Cancel    terminal; the client can only be closed afterwards.
    @par Lifetime  `client` is borrowed until completion.
    @param code    `succeeded`, or `reply_code_for(why)`; after a failure the caller closes (RFC 1928: within 10 seconds).
    @param bound   The proxy's own address on the new connection. An empty host is sent as 0.0.0.0:0, which is what is meant where
                   there is no such address; so is one that can't be encoded.
    @return success, or why the connection is lost. */
inline net::awaitable<result<void>> send_reply(net::stream& client, reply_code code, host_port bound = {})
{
    if (!bound.host.empty()) {
        if (auto const r = encode_reply(code, address(std::move(bound)))) co_return co_await net::write_all(client, *r);
    }
    auto const r = encode_reply(code);
    co_return co_await net::write_all(client, r);
}

} // namespace podproxy::socks5

#endif
