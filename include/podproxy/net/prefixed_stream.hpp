#ifndef PODPROXY_NET_PREFIXED_STREAM_HPP
#define PODPROXY_NET_PREFIXED_STREAM_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/flat_buffer.hpp>
#include <podproxy/net/stream.hpp>
#include <asio/append.hpp>
#include <asio/post.hpp>
#include <algorithm>
#include <system_error>
#include <utility>

namespace podproxy::net {

/// A stream of which some bytes have been read already: they come first. Made by `with_prefix`.
class prefixed_stream final : public stream {
public:
    /// @pre `lower` is no null.
    prefixed_stream(any_stream lower, flat_buffer early) : lower_(std::move(lower)), early_(std::move(early)) {}

    executor get_executor() const override { return lower_->get_executor(); }

    result<std::size_t> try_read(std::span<std::uint8_t> out) override
    {
        auto const there = early_.data();
        if (there.empty()) return lower_->try_read(out);
        std::size_t const n = std::min(there.size(), out.size());
        std::copy_n(there.begin(), n, out.begin());
        early_.consume(n);
        return n;
    }
    result<std::size_t> try_write(bytes_view in) override { return lower_->try_write(in); }

    void async_wait(wait_kind kind, wait_handler handler) override
    {
        if (kind == wait_kind::read && !early_.data().empty())
            asio::post(get_executor(), asio::append(std::move(handler), std::error_code()));
        else lower_->async_wait(kind, std::move(handler));
    }

    result<void> shutdown_send() override { return lower_->shutdown_send(); }
    void close() noexcept override { lower_->close(); }
    void reset() noexcept override { lower_->reset(); }

private:
    any_stream lower_;
    flat_buffer early_;
};

/// Put bytes that were read too far back in front of a stream. Without any, the stream stays what it is.
inline any_stream with_prefix(any_stream lower, flat_buffer early)
{
    if (early.data().empty()) return lower;
    return std::make_unique<prefixed_stream>(std::move(lower), std::move(early));
}

} // namespace podproxy::net

#endif
