#ifndef PODPROXY_TESTS_UNIT_SUPPORT_POLL_UNTIL_HPP
#define PODPROXY_TESTS_UNIT_SUPPORT_POLL_UNTIL_HPP

#include <podproxy/net/asio.hpp>
#include <chrono>
#include <thread>

namespace podproxy::test {

/** Run the context until `condition()` holds, for tests that wait for sockets, timers or another thread.
    @return whether it came to hold before the limit. */
template <class Condition>
bool poll_until(asio::io_context& ctx, Condition condition, std::chrono::milliseconds limit = std::chrono::seconds(20))
{
    auto const until = net::clock::now() + limit;
    while (!condition()) {
        if (net::clock::now() >= until) return false;
        ctx.restart();
        // Without work the context does not wait: what is waited for happens in another thread.
        if (ctx.run_one_for(std::chrono::milliseconds(2)) == 0 && ctx.stopped()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

} // namespace podproxy::test

#endif
