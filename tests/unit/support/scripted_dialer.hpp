#ifndef PODPROXY_TESTS_UNIT_SUPPORT_SCRIPTED_DIALER_HPP
#define PODPROXY_TESTS_UNIT_SUPPORT_SCRIPTED_DIALER_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/net/dialer.hpp>
#include <podproxy/net/wait_slot.hpp>

#include <fakes/fake_stream.hpp>
#include <fakes/stream_pair.hpp>

#include <array>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace podproxy::test {

/// The far end of a connection that was dialled: the test reads what was sent and writes answers.
class dialed_peer {
public:
    explicit dialed_peer(std::unique_ptr<fake_stream> s) : stream_(std::move(s)) {}

    /// All that has come since the last call.
    std::string take()
    {
        std::string out;
        std::array<std::uint8_t, 4096> buf;
        while (auto const n = stream_->try_read(buf)) out += as_text(bytes_view(buf.data(), *n));
        return out;
    }
    /// Whether the client has closed (and nothing is left to read).
    bool closed()
    {
        std::array<std::uint8_t, 1> one;
        auto const n = stream_->try_read(one);
        return !n && n.error() != podproxy::errc::would_block;
    }
    void send(std::string_view text) { (void)stream_->try_write(as_bytes(text)); }
    void send(unsigned status, std::string_view body, std::string_view type = "application/json", std::string_view more = "")
    {
        send("HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: " + std::string(type) + "\r\nContent-Length: " + std::to_string(body.size()) +
             "\r\n" + std::string(more) + "\r\n" + std::string(body));
    }
    /// End the connection in an orderly way.
    void end() { (void)stream_->shutdown_send(); }
    void reset() { stream_->reset(); }

private:
    std::unique_ptr<fake_stream> stream_;
};

/// Dials give one end of a pair of fake streams, the test has the other; or they fail or wait as the test wants.
class scripted_dialer final : public net::dialer {
public:
    explicit scripted_dialer(asio::io_context& ctx) : ctx_(&ctx) {}

    std::vector<host_port> asked;                  ///< every destination, in order
    std::vector<std::unique_ptr<dialed_peer>> peers;  ///< of the dials that succeeded, in order
    std::deque<std::error_code> failures;          ///< the next dials fail with these
    std::string say;                               ///< what failures tell in words
    bool hold = false;                             ///< dials wait until they are cancelled
    fail_count* fail = nullptr;                    ///< for all streams that are given out

    dialed_peer& last() { return *peers.back(); }

    net::awaitable<result<net::any_stream>> dial(host_port destination, diagnostics& why) override
    {
        asked.push_back(std::move(destination));
        if (hold) {
            net::wait_slot forever(ctx_->get_executor());
            co_await forever.async_wait(net::use_awaitable);
        }
        if (!failures.empty()) {
            auto const ec = failures.front();
            failures.pop_front();
            why.message = say;
            co_return ec;
        }
        stream_pair pair(ctx_->get_executor());
        if (fail) pair.a->fail_with(*fail);
        peers.push_back(std::make_unique<dialed_peer>(std::move(pair.b)));
        co_return result<net::any_stream>(std::move(pair.a));
    }

private:
    asio::io_context* ctx_;
};

/// A Status object as API servers answer with.
inline std::string status_json(int code, std::string_view message)
{
    return R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":")" + std::string(message) + R"(","code":)" +
           std::to_string(code) + "}";
}

} // namespace podproxy::test

#endif
