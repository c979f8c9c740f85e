#ifndef PODPROXY_NET_DETAIL_ASIO_WATCH_HPP
#define PODPROXY_NET_DETAIL_ASIO_WATCH_HPP

#include <podproxy/net/asio.hpp>
#include <podproxy/net/detail/ready_waiter.hpp>
#include <podproxy/net/stream.hpp>
#include <asio/error.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>
#include <array>
#include <cassert>
#include <cstdint>
#include <memory>
#include <system_error>
#include <utility>

namespace podproxy::net::detail {

/// The readiness of one descriptor, as Asio tells it: for systems without epoll. The same interface as `epoll_watch`.
class asio_watch {
public:
    explicit asio_watch(executor ex) : descriptor_(ex), waits_(std::make_shared<waits>()) {}
    asio_watch(asio_watch&& o) noexcept : descriptor_(std::move(o.descriptor_)), waits_(std::exchange(o.waits_, nullptr)), drained_(o.drained_) {}
    asio_watch& operator=(asio_watch const&) = delete;

    executor get_executor() const noexcept { return const_cast<decltype(descriptor_)&>(descriptor_).get_executor(); }

    std::error_code wait(int fd, wait_kind kind, ready_waiter& who)
    {
        assert(!(*waits_)[which(kind)].who && "one wait of each kind at a time");
        if (!descriptor_.is_open()) {
            std::error_code ec;
            descriptor_.assign(fd, ec);
            if (ec) return ec;
        }
        (*waits_)[which(kind)].who = &who;
        start(kind);
        return {};
    }

    void stop(wait_kind kind)
    {
        wait_state& w = (*waits_)[which(kind)];
        if (!std::exchange(w.who, nullptr)) return;
        ++w.round;
        std::error_code ignored;
        descriptor_.cancel(ignored);
        wait_kind const other = kind == wait_kind::read ? wait_kind::write : wait_kind::read;
        if ((*waits_)[which(other)].who) start(other);
    }

    void set_drained() noexcept { drained_ = true; }
    void read_short() noexcept { drained_ = true; }
    void read_full() noexcept { drained_ = false; }
    bool drained() const noexcept { return drained_; } // as of the last read: each wait looks again

    /// To be called before the descriptor is closed.
    void end(int, bool = false)
    {
        if (!waits_ || !descriptor_.is_open()) return;
        auto const keep = std::exchange(waits_, std::make_shared<waits>());
        (void)descriptor_.release();
        ready_waiter* const reader = std::exchange((*keep)[0].who, nullptr);
        ready_waiter* const writer = std::exchange((*keep)[1].who, nullptr);
        if (reader) reader->on_closed();
        if (writer) writer->on_closed();
    }

private:
    struct wait_state {
        ready_waiter* who = nullptr;
        std::uint64_t round = 0; ///< which of the operations that are under way counts
    };
    using waits = std::array<wait_state, 2>;

    /// The operation's handler; knows when it was dropped without a call.
    struct pending {
        std::shared_ptr<waits> all;
        std::size_t which;
        std::uint64_t round;

        pending(std::shared_ptr<waits> w, std::size_t i) noexcept : all(std::move(w)), which(i), round((*all)[i].round) {}
        pending(pending&&) noexcept = default;
        ~pending()
        {
            if (ready_waiter* const who = take()) who->on_abandoned();
        }
        ready_waiter* take() noexcept
        {
            auto const from = std::exchange(all, nullptr);
            if (!from || (*from)[which].round != round) return nullptr;
            return std::exchange((*from)[which].who, nullptr);
        }
        void operator()(std::error_code)
        {
            if (ready_waiter* const who = take()) who->on_ready();
        }
    };

    static constexpr std::size_t which(wait_kind kind) noexcept { return kind == wait_kind::read ? 0 : 1; }

    void start(wait_kind kind)
    {
        ++(*waits_)[which(kind)].round;
        descriptor_.async_wait(kind == wait_kind::read ? asio::posix::descriptor_base::wait_read : asio::posix::descriptor_base::wait_write,
                               pending(waits_, which(kind)));
    }

    asio::posix::basic_stream_descriptor<executor> descriptor_;
    std::shared_ptr<waits> waits_;
    bool drained_ = false;
};

} // namespace podproxy::net::detail

#endif
