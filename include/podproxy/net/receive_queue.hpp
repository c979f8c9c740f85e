#ifndef PODPROXY_NET_RECEIVE_QUEUE_HPP
#define PODPROXY_NET_RECEIVE_QUEUE_HPP

#include <podproxy/core/bytes.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <list>
#include <memory>
#include <span>
#include <utility>

namespace podproxy::net {

/** Received bytes that wait for their reader, kept where they were received.

    A multiplexer reads into one block and lends runs of it to the queues of its streams; the block lives as long as one of the
    runs does. Short runs are copied, so that a few bytes don't pin a whole block. */
class receive_queue {
public:
    using block = std::shared_ptr<std::uint8_t[]>;

    static constexpr std::size_t copy_below = 4096;

    void push(block const& owner, bytes_view bytes)
    {
        if (bytes.empty()) return;
        size_ += bytes.size();
        if (bytes.size() >= copy_below) {
            runs_.push_back({owner, bytes});
            return;
        }
        if (!runs_.empty() && runs_.back().spare >= bytes.size()) { // behind the last short run there is room
            run& last = runs_.back();
            std::uint8_t* const end = const_cast<std::uint8_t*>(last.bytes.data()) + last.bytes.size(); // our own copy
            std::memcpy(end, bytes.data(), bytes.size());
            last.bytes = {last.bytes.data(), last.bytes.size() + bytes.size()};
            last.spare -= bytes.size();
            return;
        }
        std::size_t const room = runs_.empty() ? bytes.size() : copy_below;
        block copy = std::make_shared_for_overwrite<std::uint8_t[]>(room);
        std::memcpy(copy.get(), bytes.data(), bytes.size());
        bytes_view const view(copy.get(), bytes.size());
        runs_.push_back({std::move(copy), view, room - bytes.size()});
    }

    bool empty() const noexcept { return runs_.empty(); }
    std::size_t size() const noexcept { return size_; }

    /// The oldest run; empty when there is nothing.
    bytes_view front() const noexcept { return runs_.empty() ? bytes_view{} : runs_.front().bytes; }

    /// Drop `n` bytes of the oldest run.
    void consume(std::size_t n)
    {
        if (n == 0) return;
        size_ -= n;
        run& first = runs_.front();
        first.bytes = first.bytes.subspan(n);
        if (first.bytes.empty()) runs_.pop_front();
    }

    /// Copy out as much as fits.
    std::size_t read(std::span<std::uint8_t> out)
    {
        std::size_t total = 0;
        while (!runs_.empty() && total < out.size()) {
            std::size_t const n = std::min(front().size(), out.size() - total);
            std::memcpy(out.data() + total, front().data(), n);
            consume(n);
            total += n;
        }
        return total;
    }

    void clear()
    {
        runs_.clear();
        size_ = 0;
    }

private:
    struct run {
        block owner;
        bytes_view bytes;
        std::size_t spare = 0;
    };
    std::list<run> runs_;
    std::size_t size_ = 0;
};

} // namespace podproxy::net

#endif
