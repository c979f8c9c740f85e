#ifndef PODPROXY_NET_ASIO_HPP
#define PODPROXY_NET_ASIO_HPP

#include <asio/any_completion_handler.hpp>
#include <asio/as_tuple.hpp>
#include <asio/awaitable.hpp>
#include <asio/basic_stream_socket.hpp>
#include <asio/basic_waitable_timer.hpp>
#include <asio/cancel_after.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/basic_resolver.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/version.hpp>
#include <chrono>

static_assert(ASIO_VERSION >= 103100, "podproxy needs standalone Asio 1.31 or newer: run scripts/setup, or point CMAKE_PREFIX_PATH at one");

namespace podproxy::net {

/// Everything runs on one `io_context` with one thread; its executor is named, so that no call goes through a type-erased one.
using executor = asio::io_context::executor_type;

/// A coroutine on that executor.
template <class T>
using awaitable = asio::awaitable<T, executor>;

/// The completion token that gives an `awaitable` of ours.
inline constexpr asio::use_awaitable_t<executor> use_awaitable{};

using clock = std::chrono::steady_clock;
using tcp_socket = asio::basic_stream_socket<asio::ip::tcp, executor>;
using timer = asio::basic_waitable_timer<clock, asio::wait_traits<clock>, executor>;
using resolver = asio::ip::basic_resolver<asio::ip::tcp, executor>;

} // namespace podproxy::net

#endif
