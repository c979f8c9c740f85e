#ifndef PODPROXY_TLS_DETAIL_BLOCK_HPP
#define PODPROXY_TLS_DETAIL_BLOCK_HPP

#include <podproxy/core/bytes.hpp>
#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

namespace podproxy::tls::detail {

/** A run of bytes in a block of fixed size, that exists only while there is data.

    The block comes from a few spare ones of the thread and goes back there, so that a stream with a message now and then neither
    holds memory in between nor asks the allocator for it each time. */
class block {
public:
    /// Four full TLS records, and one more that begins when there is nearly that much.
    static constexpr std::size_t capacity = (64 + 17) * 1024;

    block() = default;
    block(block const&) = delete;
    block& operator=(block const&) = delete;
    ~block() { release(); }

    bool empty() const noexcept { return begin_ == end_; }
    std::size_t size() const noexcept { return end_ - begin_; }
    bytes_view data() const noexcept { return {memory_.get() + begin_, size()}; }

    /// Room behind the data, at most `n` bytes.
    std::span<std::uint8_t> prepare(std::size_t n)
    {
        if (!memory_) memory_ = spares().take();
        return {memory_.get() + end_, std::min(n, capacity - end_)};
    }
    void commit(std::size_t n) noexcept
    {
        assert(n <= capacity - end_);
        end_ += n;
    }
    void consume(std::size_t n) noexcept
    {
        assert(n <= size());
        begin_ += n;
        if (begin_ == end_) begin_ = end_ = 0;
    }
    /// Drop the data and give the memory back.
    void release() noexcept
    {
        begin_ = end_ = 0;
        if (memory_) spares().give(std::move(memory_));
    }

private:
    using memory = std::unique_ptr<std::uint8_t[]>;

    struct pool {
        std::array<memory, 4> kept;
        std::size_t count = 0;

        memory take()
        {
            if (count > 0) return std::move(kept[--count]);
            return std::make_unique_for_overwrite<std::uint8_t[]>(capacity);
        }
        void give(memory m) noexcept
        {
            if (count < kept.size()) kept[count++] = std::move(m);
        }
    };
    static pool& spares()
    {
        thread_local pool instance;
        return instance;
    }

    memory memory_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

} // namespace podproxy::tls::detail

#endif
