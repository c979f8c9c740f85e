#ifndef PODPROXY_NET_PIPE_POOL_HPP
#define PODPROXY_NET_PIPE_POOL_HPP

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <fcntl.h>
#include <unistd.h>
#endif

namespace podproxy::net {

/// Whether data can move between two sockets inside the kernel.
#if defined(__linux__)
inline constexpr bool have_splice = true;
#else
inline constexpr bool have_splice = false;
#endif

struct pipe_pool_config {
    /// Bytes a pipe should hold. 256 KiB moves as much as 1 MiB does, and a normal user may own 64 MiB of them in all
    /// (pipe-user-pages-soft), beyond which the kernel gives out pipes of 8 KiB that are worse than copying.
    std::size_t pipe_size = 256 * 1024;
    std::size_t most = 224; ///< Pipes at the same time, in use and spare. 0: never splice.
    std::size_t spare = 4;  ///< Empty ones that are kept for the next transfer.
};

/// One end to write into, one to read from. Owns both.
class pipe {
public:
    pipe(int read_end, int write_end) noexcept : read_(read_end), write_(write_end) {}
    pipe(pipe&& o) noexcept : read_(std::exchange(o.read_, -1)), write_(std::exchange(o.write_, -1)) {}
    pipe& operator=(pipe&& o) noexcept
    {
        std::swap(read_, o.read_);
        std::swap(write_, o.write_);
        return *this;
    }
    ~pipe()
    {
#if defined(__linux__)
        if (read_ >= 0) ::close(read_);
        if (write_ >= 0) ::close(write_);
#endif
    }

    int read_end() const noexcept { return read_; }
    int write_end() const noexcept { return write_; }

private:
    int read_;
    int write_;
};

/** A few pipes for splice(2), shared by all relays of one thread. A relay holds one only while data is in it. */
class pipe_pool {
public:
    explicit pipe_pool(pipe_pool_config config = {}) : config_(config) {}

    /// An empty pipe of the configured size, or nothing: then the caller copies.
    std::optional<pipe> take()
    {
        if (!spare_.empty()) {
            pipe p = std::move(spare_.back());
            spare_.pop_back();
            ++in_use_;
            return p;
        }
        if (in_use_ >= config_.most) return std::nullopt;
#if defined(__linux__)
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return std::nullopt;
        pipe p(ends[0], ends[1]);
        if (::fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(config_.pipe_size)) < static_cast<int>(config_.pipe_size))
            return std::nullopt; // over the user's limit: a small pipe would be slower than a copy
        ++in_use_;
        return p;
#else
        return std::nullopt;
#endif
    }

    /// Give an empty pipe back.
    void give(pipe p)
    {
        --in_use_;
        if (spare_.size() < config_.spare) spare_.push_back(std::move(p));
    }

    /// Count a pipe out that still has data in it and was closed with its relay.
    void lost() noexcept { --in_use_; }

    std::size_t in_use() const noexcept { return in_use_; }
    pipe_pool_config const& config() const noexcept { return config_; }

private:
    pipe_pool_config config_;
    std::vector<pipe> spare_;
    std::size_t in_use_ = 0;
};

} // namespace podproxy::net

#endif
