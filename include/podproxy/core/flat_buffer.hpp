#ifndef PODPROXY_CORE_FLAT_BUFFER_HPP
#define PODPROXY_CORE_FLAT_BUFFER_HPP

#include <podproxy/core/bytes.hpp>
#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

namespace podproxy {

/** One contiguous run of received bytes, with a hard upper size.

    `prepare(n)` gives room behind the data, `commit(n)` makes what was written there part of it, `consume(n)` drops bytes from
    the front. Views from `data()` are valid until the next `prepare`, `consume`, `release` or move. An empty buffer
    that was `release`d holds no memory. */
class flat_buffer {
public:
    explicit flat_buffer(std::size_t max_size) noexcept : max_size_(max_size) {}

    flat_buffer(flat_buffer&& o) noexcept
        : max_size_(o.max_size_), storage_(std::move(o.storage_)), capacity_(std::exchange(o.capacity_, 0)),
          begin_(std::exchange(o.begin_, 0)), end_(std::exchange(o.end_, 0))
    {
    }
    flat_buffer& operator=(flat_buffer&& o) noexcept
    {
        max_size_ = o.max_size_;
        storage_ = std::move(o.storage_);
        capacity_ = std::exchange(o.capacity_, 0);
        begin_ = std::exchange(o.begin_, 0);
        end_ = std::exchange(o.end_, 0);
        return *this;
    }

    std::size_t size() const noexcept { return end_ - begin_; }
    bool empty() const noexcept { return begin_ == end_; }
    std::size_t max_size() const noexcept { return max_size_; }
    std::size_t capacity() const noexcept { return capacity_; }
    /// How many more bytes may ever be added to what is there now.
    std::size_t room() const noexcept { return max_size_ - size(); }

    bytes_view data() const noexcept { return {storage_.get() + begin_, size()}; }

    /// Room for up to `n` bytes behind the data: fewer near `max_size`, none when it is reached.
    std::span<std::uint8_t> prepare(std::size_t n)
    {
        n = std::min(n, room());
        if (capacity_ - end_ < n) make_room(n);
        return {storage_.get() + end_, n};
    }

    void commit(std::size_t n) noexcept
    {
        assert(n <= capacity_ - end_);
        end_ += n;
    }

    void consume(std::size_t n) noexcept
    {
        assert(n <= size());
        begin_ += n;
        if (begin_ == end_) begin_ = end_ = 0;
    }

    /// Append a copy of `bytes`. @return false, with nothing appended, when they do not fit under `max_size`.
    [[nodiscard]] bool append(bytes_view bytes)
    {
        if (bytes.size() > room()) return false;
        if (bytes.empty()) return true;
        std::memcpy(prepare(bytes.size()).data(), bytes.data(), bytes.size());
        commit(bytes.size());
        return true;
    }

    void clear() noexcept { begin_ = end_ = 0; }

    /// Drop the data and give the memory back.
    void release() noexcept
    {
        clear();
        storage_.reset();
        capacity_ = 0;
    }

private:
    void make_room(std::size_t n)
    {
        std::size_t const used = size();
        if (capacity_ >= used + n) { // enough in all: move the data to the front
            std::memmove(storage_.get(), storage_.get() + begin_, used);
        } else {
            std::size_t const grown = std::min(max_size_, std::max({used + n, capacity_ * 2, std::size_t{512}}));
            auto fresh = std::make_unique_for_overwrite<std::uint8_t[]>(grown);
            if (used != 0) std::memcpy(fresh.get(), storage_.get() + begin_, used);
            storage_ = std::move(fresh);
            capacity_ = grown;
        }
        begin_ = 0;
        end_ = used;
    }

    std::size_t max_size_;
    std::unique_ptr<std::uint8_t[]> storage_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

} // namespace podproxy

#endif
