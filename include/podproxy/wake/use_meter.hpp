#ifndef PODPROXY_WAKE_USE_METER_HPP
#define PODPROXY_WAKE_USE_METER_HPP

#include <podproxy/wake/settings.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>

namespace podproxy::wake {

/** Tells use from rest by what moves, window by window.

    `use_rule::threshold` has windows of `use_threshold::window`, which count when both figures are reached. `use_rule::bytes` has
    windows of a twentieth of the idle time (50 ms to 5 s), which count when anything has moved: so no clock is read when bytes move,
    and a group is put to rest at most that much late. `use_rule::connections` counts nothing.

    A window begins with `open`, and ends when `roll` is called at or behind `ends()`. */
class use_meter {
public:
    using time_point = std::chrono::steady_clock::time_point;
    using duration = std::chrono::steady_clock::duration;

    use_meter(use_rule rule, use_threshold threshold, std::chrono::milliseconds idle) noexcept : rule_(rule)
    {
        if (rule == use_rule::threshold) {
            need_bytes_ = threshold.bytes;
            need_packets_ = threshold.packets;
            if (need_bytes_ == 0 && need_packets_ == 0) need_packets_ = 1; // silence is never use
            length_ = std::max<duration>(threshold.window, std::chrono::seconds(1));
        } else {
            need_packets_ = 1;
            length_ = std::clamp<duration>(idle / 20, std::chrono::milliseconds(50), std::chrono::seconds(5));
        }
    }

    /// Two additions: for each read.
    void add(std::uint64_t bytes, std::uint64_t packets) noexcept
    {
        bytes_ += bytes;
        packets_ += packets;
    }

    /// Whether the window that is open has reached what counts as use.
    bool counts() const noexcept { return rule_ != use_rule::connections && bytes_ >= need_bytes_ && packets_ >= need_packets_; }

    bool is_open() const noexcept { return open_; }
    duration window() const noexcept { return length_; }
    /// When the open window ends.
    time_point ends() const noexcept { return ends_; }

    /// Begin a window, unless one is open or the rule has none.
    void open(time_point now) noexcept
    {
        if (open_ || rule_ == use_rule::connections) return;
        open_ = true;
        ends_ = now + length_;
        bytes_ = packets_ = 0;
    }
    /// End the open window if it is over. @return whether it was over and counts as use.
    bool roll(time_point now) noexcept
    {
        if (!open_ || now < ends_) return false;
        bool const used = counts();
        open_ = false;
        bytes_ = packets_ = 0;
        return used;
    }

private:
    use_rule rule_;
    std::uint64_t need_bytes_ = 0;
    std::uint64_t need_packets_ = 0;
    duration length_{};
    std::uint64_t bytes_ = 0;
    std::uint64_t packets_ = 0;
    time_point ends_{};
    bool open_ = false;
};

} // namespace podproxy::wake

#endif
