#ifndef PODPROXY_SOCKS4_SERVER_HPP
#define PODPROXY_SOCKS4_SERVER_HPP

#include <podproxy/core/flat_buffer.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/stream.hpp>
#include <podproxy/socks4/request.hpp>
#include <system_error>
#include <utility>

namespace podproxy::socks4 {

/** Take a client's request.

    What a client sends behind it stays in `in`, as early data for the destination. A client whose request can't be served has been told.
    @par Overlap   Nothing else may use `client`.
    @par Lifetime  Both are borrowed until completion.
    @par Cancel    terminal; the client can only be closed afterwards. The caller sets the time limit.
    @param in      May hold the first bytes already. Room for `max_request_bytes`.
    @return The request, to be answered with `encode_reply`; a `socks4::errc`; `errc::end_of_stream` or `errc::truncated` when the client left; or why
            the connection is lost. */
inline net::awaitable<result<request>> accept_request(net::stream& client, flat_buffer& in)
{
    for (;;) {
        auto asked = parse_request(in.data());
        if (asked.done()) {
            in.consume(asked.consumed());
            co_return std::move(asked.value());
        }
        if (asked.failed()) {
            static constexpr auto rejected = encode_reply(reply_code::rejected);
            if (asked.error() != errc::bad_version) (void)client.try_write(rejected);
            co_return asked.error();
        }
        for (;;) {
            auto const n = client.try_read(in.prepare(max_request_bytes));
            if (n) {
                in.commit(*n);
                break;
            }
            if (n.error() == podproxy::errc::end_of_stream && !in.empty()) co_return podproxy::errc::truncated;
            if (n.error() != podproxy::errc::would_block) co_return n.error();
            auto [ec] = co_await net::async_wait(client, net::wait_kind::read, asio::as_tuple(net::use_awaitable));
            if (ec) co_return ec;
        }
    }
}

} // namespace podproxy::socks4

#endif
