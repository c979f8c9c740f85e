#ifndef PODPROXY_SOCKS5_MESSAGE_HPP
#define PODPROXY_SOCKS5_MESSAGE_HPP

#include <podproxy/core/bytes.hpp>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace podproxy::socks5 {

/** An encoded message in place: no SOCKS5 message is long, so none needs the heap. Converts to a `bytes_view` of itself.

    Appending beyond `Capacity` is a broken precondition. */
template <std::size_t Capacity>
class message {
public:
    static constexpr std::size_t capacity = Capacity;

    message& u8(std::uint8_t v) noexcept
    {
        assert(size_ < Capacity);
        bytes_[size_++] = v;
        return *this;
    }
    message& u16(std::uint16_t v) noexcept { return u8(static_cast<std::uint8_t>(v >> 8)).u8(static_cast<std::uint8_t>(v)); }
    message& put(bytes_view bytes) noexcept
    {
        assert(bytes.size() <= Capacity - size_);
        if (!bytes.empty()) std::memcpy(bytes_.data() + size_, bytes.data(), bytes.size());
        size_ += bytes.size();
        return *this;
    }
    message& put(std::string_view text) noexcept { return put(as_bytes(text)); }

    void clear() noexcept { size_ = 0; }

    std::size_t size() const noexcept { return size_; }
    bytes_view view() const noexcept { return {bytes_.data(), size_}; }
    operator bytes_view() const noexcept { return view(); }

private:
    std::array<std::uint8_t, Capacity> bytes_{};
    std::size_t size_ = 0;
};

inline constexpr std::uint8_t version = 0x05;

/// ATYP + length + name of 255 bytes + port.
inline constexpr std::size_t max_address_bytes = 1 + 1 + 255 + 2;
inline constexpr std::size_t max_greeting_bytes = 2 + 255;
inline constexpr std::size_t max_request_bytes = 3 + max_address_bytes;
inline constexpr std::size_t max_reply_bytes = 3 + max_address_bytes;
inline constexpr std::size_t max_auth_bytes = 1 + 1 + 255 + 1 + 255;
/// The longest message of all: a buffer of this size carries any handshake.
inline constexpr std::size_t max_message_bytes = max_auth_bytes;

} // namespace podproxy::socks5

#endif
