#ifndef PODPROXY_NET_RESOLVE_HPP
#define PODPROXY_NET_RESOLVE_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/wait_slot.hpp>
#include <asio/error.hpp>
#include <asio/ip/address.hpp>
#include <asio/ip/resolver_base.hpp>
#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace podproxy::net {

/// At most this many addresses of one name are looked at.
inline constexpr std::size_t max_resolved_addresses = 32;

namespace detail {

/// A question to the system's resolver, which can't be taken back: an answer that nobody waits for any more is dropped.
struct resolution {
    explicit resolution(executor ex) : asked(ex), answered(ex) {}
    resolver asked;
    wait_slot answered;
    bool done = false;
    std::error_code error;
    std::vector<asio::ip::address> addresses;
};

inline void start(std::shared_ptr<resolution> const& r, std::string const& host)
{
    r->asked.async_resolve(host, "", asio::ip::resolver_base::address_configured, [r](std::error_code ec, resolver::results_type const& results) {
        r->done = true;
        r->error = ec;
        for (auto const& entry : results) { // one per kind of socket: the same address may come several times
            if (r->addresses.size() >= max_resolved_addresses) break;
            asio::ip::address const address = entry.endpoint().address();
            if (std::find(r->addresses.begin(), r->addresses.end(), address) == r->addresses.end()) r->addresses.push_back(address);
        }
        r->answered.complete({});
    });
}

template <class Token>
auto wait_for_answer(resolution& r, Token&& token)
{
    return asio::async_initiate<Token, void(std::error_code)>(
        [](auto handler, resolution* q) { q->answered.wait(std::move(handler)); }, token, &r);
}

} // namespace detail

/** Ask the system (getaddrinfo(3): hosts file, DNS, whatever is configured) for the addresses of a name.

    An address as `host` is its own answer and asks nobody. Otherwise the question is asked in Asio's resolver thread. That thread
    is one per `io_context`, so a slow name server holds up the names behind it, unless the context was made with more
    (`asio::config_from_string("resolver.threads=4")`, Asio 1.36). The destructor of the context waits for a question in flight.

    @par Lifetime `why` is borrowed until completion.
    @par Cancel   terminal, partial and total take effect at once; the question itself goes on and its answer is dropped.
    @param host   A name or an address, without brackets.
    @return the addresses in the system's order of preference (RFC 6724), each once, at least one; or `host_not_found`
            (`cond::not_found`), `host_not_found_try_again` or another error of the resolver (`cond::unavailable`). There is no
            deadline inside: use `with_deadline`. */
inline awaitable<result<std::vector<asio::ip::address>>> resolve(std::string host, diagnostics& why)
{
    std::error_code no_literal;
    asio::ip::address const literal = asio::ip::make_address(host, no_literal);
    std::vector<asio::ip::address> out;
    if (!no_literal) {
        out.push_back(literal);
        co_return out;
    }
    if (host.empty() || host.find('\0') != std::string::npos) {
        why.message = "a host name is needed to look up its address";
        co_return std::error_code(asio::error::host_not_found);
    }
    auto ex = co_await asio::this_coro::executor;
    auto const question = std::make_shared<detail::resolution>(ex);
    detail::start(question, host);
    while (!question->done) {
        auto [ec] = co_await detail::wait_for_answer(*question, asio::as_tuple(use_awaitable));
        if (ec) {
            question->asked.cancel();
            co_return ec;
        }
    }
    std::error_code ec = question->error;
    if (!ec && question->addresses.empty()) ec = asio::error::host_not_found;
    if (ec) {
        why.message = "can't find the address of " + host + ": " + ec.message();
        co_return ec;
    }
    co_return std::move(question->addresses);
}

} // namespace podproxy::net

#endif
