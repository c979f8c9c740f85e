#ifndef PODPROXY_SOCKS5_GREETING_HPP
#define PODPROXY_SOCKS5_GREETING_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/parse_result.hpp>
#include <podproxy/socks5/errc.hpp>
#include <podproxy/socks5/message.hpp>
#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

namespace podproxy::socks5 {

/// Authentication methods, RFC 1928 section 3.
enum class method : std::uint8_t {
    none = 0x00,
    gssapi = 0x01,
    user_password = 0x02, ///< RFC 1929
    unacceptable = 0xff,  ///< The server's "none of yours".
};

/// Client greeting. `methods` points into the parsed input.
struct greeting {
    bytes_view methods;

    bool offers(method m) const noexcept
    {
        return std::find(methods.begin(), methods.end(), static_cast<std::uint8_t>(m)) != methods.end();
    }
};

/** Read a client's greeting, RFC 1928 section 3: VER (0x05), NMETHODS (1 to 255), METHODS.
    @return the greeting, or `errc::bad_version`, `no_methods`. */
inline parse_result<greeting> parse_greeting(bytes_view in)
{
    if (in.empty()) return need_more{2};
    if (in[0] != version) return errc::bad_version;
    if (in.size() < 2) return need_more{2};
    std::size_t const total = 2u + in[1];
    if (total == 2u) return errc::no_methods;
    if (in.size() < total) return need_more{total};
    return {greeting{in.subspan(2, total - 2)}, total};
}

/// The counterpart of `parse_greeting`. From 1 to 255 methods.
inline message<max_greeting_bytes> encode_greeting(std::span<method const> methods)
{
    assert(!methods.empty() && methods.size() <= 255);
    message<max_greeting_bytes> out;
    out.u8(version).u8(static_cast<std::uint8_t>(methods.size()));
    for (method const m : methods) out.u8(static_cast<std::uint8_t>(m));
    return out;
}

/// Read the server's choice: VER (0x05), METHOD. @return the method, of any value, or `errc::bad_version`.
inline parse_result<method> parse_method_choice(bytes_view in)
{
    if (in.empty()) return need_more{2};
    if (in[0] != version) return errc::bad_version;
    if (in.size() < 2) return need_more{2};
    return {static_cast<method>(in[1]), 2};
}

/// The counterpart of `parse_method_choice`.
inline message<2> encode_method_choice(method m)
{
    message<2> out;
    out.u8(version).u8(static_cast<std::uint8_t>(m));
    return out;
}

} // namespace podproxy::socks5

#endif
