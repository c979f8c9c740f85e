#ifndef PODPROXY_NET_DETAIL_EPOLL_POLLER_HPP
#define PODPROXY_NET_DETAIL_EPOLL_POLLER_HPP

#if defined(__linux__)

#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <asio/error.hpp>
#include <asio/execution_context.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>
#include <asio/post.hpp>
#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <vector>

#include <sys/epoll.h>
#include <unistd.h>

namespace podproxy::net::detail {

/** An epoll set of our own beside Asio's, one per `io_context`.

    Asio re-registers a socket for every wait, and lets go of an adopted one with a call of its own. Here a socket is registered
    once, edge-triggered, and forgotten by closing it. Asio watches this set like any descriptor: one event of Asio's brings all of
    ours, which are handed out at once, from the executor's loop.

    A target is named by a place and the place's generation, so that events that are still on their way when a socket is closed
    reach nobody. As with Asio, somebody who waits keeps `io_context::run` going. */
class epoll_poller final : public asio::execution_context::service {
public:
    /// Something registered.
    class target {
    public:
        /// May destroy the target, and others.
        virtual void on_events(std::uint32_t events) = 0;
        /// Drop one waiter because the `io_context` ends. May destroy the target. @return false when nobody waits.
        virtual bool abandon_one() noexcept = 0;

    protected:
        ~target() = default;
    };
    /// The name of a registration.
    struct place {
        std::uint32_t index = 0;
        std::uint32_t generation = 0; ///< 0: none
        explicit operator bool() const noexcept { return generation != 0; }
    };

    using key_type = epoll_poller;
    inline static asio::execution_context::id id;

    explicit epoll_poller(asio::execution_context& ctx)
        : asio::execution_context::service(ctx), set_(static_cast<asio::io_context&>(ctx).get_executor(), make_set())
    {
    }

    /// Begin to watch a descriptor. Before `remove` is called it has to be closed, or taken out by `forget`.
    result<place> add(int fd, target& who, std::uint32_t events)
    {
        std::uint32_t index = first_free_;
        if (index == no_place) {
            index = static_cast<std::uint32_t>(slots_.size());
            slots_.push_back({nullptr, 1, no_place});
            first_free_ = index;
        }
        slot& s = slots_[index];
        place const p{index, s.generation};
        if (auto const ec = control(EPOLL_CTL_ADD, fd, p, events)) return ec;
        first_free_ = s.next_free;
        s.who = &who;
        return p;
    }

    /// Look again with other events, or the same: reports what is there already.
    std::error_code look_again(int fd, place p, std::uint32_t events) { return control(EPOLL_CTL_MOD, fd, p, events); }

    void remove(place p) noexcept
    {
        slot& s = slots_[p.index];
        s.who = nullptr;
        if (++s.generation == 0) s.generation = 1;
        s.next_free = first_free_;
        first_free_ = p.index;
    }

    /// Take a descriptor out that stays open.
    void forget(int fd) noexcept
    {
        epoll_event none{};
        (void)::epoll_ctl(set_.native_handle(), EPOLL_CTL_DEL, fd, &none);
    }

    void moved(place p, target& who) noexcept { slots_[p.index].who = &who; }
    bool is(place p, target const* who) const noexcept { return slots_[p.index].generation == p.generation && slots_[p.index].who == who; }

    void wait_started()
    {
        if (++waiting_ == 1 && !busy_) arm();
    }
    void wait_ended() noexcept
    {
        if (--waiting_ != 0 || !busy_ || handing_out_) return;
        std::error_code ignored;
        set_.cancel(ignored); // nobody waits: `run` may end
    }

private:
    struct slot {
        target* who;
        std::uint32_t generation;
        std::uint32_t next_free;
    };
    static constexpr std::uint32_t no_place = 0xffffffff;

    static int make_set()
    {
        int const fd = ::epoll_create1(EPOLL_CLOEXEC);
        if (fd < 0) throw std::system_error(errno, std::system_category(), "epoll_create1");
        return fd;
    }

    std::error_code control(int operation, int fd, place p, std::uint32_t events) noexcept
    {
        epoll_event e{};
        e.events = events;
        e.data.u64 = std::uint64_t{p.generation} << 32 | p.index;
        if (::epoll_ctl(set_.native_handle(), operation, fd, &e) != 0) return {errno, std::system_category()};
        return {};
    }

    void arm()
    {
        busy_ = true;
        set_.async_wait(asio::posix::descriptor_base::wait_read, [this](std::error_code ec) {
            busy_ = false;
            if (!ec) hand_out();
            else if (waiting_ != 0) arm(); // somebody came between the cancellation and this
        });
    }

    void hand_out()
    {
        if (next_ == count_) {
            int const n = ::epoll_wait(set_.native_handle(), events_.data(), static_cast<int>(events_.size()), 0);
            next_ = 0;
            count_ = static_cast<std::size_t>(std::max(n, 0));
        }
        busy_ = handing_out_ = true;
        after const at_the_end(*this);
        while (next_ != count_) {
            epoll_event const e = events_[next_++];
            slot const s = slots_[static_cast<std::uint32_t>(e.data.u64)];
            if (s.who && s.generation == e.data.u64 >> 32) s.who->on_events(e.events);
        }
    }

    /// Goes on after the events, also when somebody has thrown: an edge that is lost never comes again.
    struct after {
        epoll_poller& self;
        explicit after(epoll_poller& s) noexcept : self(s) {}
        after(after const&) = delete;
        after& operator=(after const&) = delete;
        ~after()
        {
            self.busy_ = self.handing_out_ = false;
            if (self.next_ != self.count_) {
                self.busy_ = true;
                asio::post(self.set_.get_executor(), [p = &self] {
                    p->busy_ = false;
                    p->hand_out();
                });
            } else if (self.waiting_ != 0) {
                self.arm();
            }
        }
    };

    void shutdown() override
    {
        busy_ = handing_out_ = true; // arm and cancel no more
        for (std::size_t i = 0; i < slots_.size(); ++i)
            while (slots_[i].who && slots_[i].who->abandon_one()) {}
    }

    asio::posix::basic_stream_descriptor<executor> set_;
    std::vector<slot> slots_;
    std::uint32_t first_free_ = no_place;
    std::size_t waiting_ = 0;
    bool busy_ = false;        ///< the next look at the set is on its way
    bool handing_out_ = false; ///< ... or going on
    std::array<epoll_event, 256> events_;
    std::size_t next_ = 0;
    std::size_t count_ = 0;
};

} // namespace podproxy::net::detail

#endif
#endif
