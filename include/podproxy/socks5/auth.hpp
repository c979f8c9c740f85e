#ifndef PODPROXY_SOCKS5_AUTH_HPP
#define PODPROXY_SOCKS5_AUTH_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/parse_result.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/socks5/errc.hpp>
#include <podproxy/socks5/message.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace podproxy::socks5 {

/// What a client shows to a proxy. Never logged. (Constructors: see `host_port`.)
struct credentials {
    std::string user;
    std::string password;

    credentials() = default;
    credentials(std::string u, std::string p) noexcept : user(std::move(u)), password(std::move(p)) {}
};

inline constexpr std::uint8_t auth_version = 0x01;

/// A client's user/password message. Both point into the parsed input.
struct auth_request {
    std::string_view user;
    std::string_view password;
};

/** Read a user/password message, RFC 1929 section 2: VER (0x01), ULEN, UNAME (1 to 255 bytes), PLEN, PASSWD.

    An empty password is read, beyond the letter of the RFC: curl and others send one when the user has none, and whoever checks
    the credentials decides. Any byte may stand in either.
    @return both parts, or `errc::bad_auth_version`, `empty_user`. */
inline parse_result<auth_request> parse_auth_request(bytes_view in)
{
    if (in.empty()) return need_more{4};
    if (in[0] != auth_version) return errc::bad_auth_version;
    if (in.size() < 2) return need_more{4};
    std::size_t const user_length = in[1];
    if (user_length == 0) return errc::empty_user;
    if (in.size() < 3 + user_length) return need_more{3 + user_length};
    std::size_t const password_length = in[2 + user_length];
    std::size_t const total = 3 + user_length + password_length;
    if (in.size() < total) return need_more{total};
    return {auth_request{as_text(in.subspan(2, user_length)), as_text(in.subspan(3 + user_length, password_length))}, total};
}

/// The counterpart of `parse_auth_request`. @return the message, or `errc::credentials_not_encodable`.
inline result<message<max_auth_bytes>> encode_auth_request(std::string_view user, std::string_view password)
{
    if (user.empty() || user.size() > 255 || password.size() > 255) return errc::credentials_not_encodable;
    message<max_auth_bytes> out;
    out.u8(auth_version).u8(static_cast<std::uint8_t>(user.size())).put(user);
    out.u8(static_cast<std::uint8_t>(password.size())).put(password);
    return out;
}

enum class auth_status : std::uint8_t { success = 0x00, failure = 0x01 };

/// Read the server's verdict: VER (0x01), STATUS. Every status but 0x00 is a failure. @return it, or `errc::bad_auth_version`.
inline parse_result<auth_status> parse_auth_reply(bytes_view in)
{
    if (in.empty()) return need_more{2};
    if (in[0] != auth_version) return errc::bad_auth_version;
    if (in.size() < 2) return need_more{2};
    return {in[1] == 0 ? auth_status::success : auth_status::failure, 2};
}

/// The counterpart of `parse_auth_reply`.
inline message<2> encode_auth_reply(auth_status s)
{
    message<2> out;
    out.u8(auth_version).u8(static_cast<std::uint8_t>(s));
    return out;
}

} // namespace podproxy::socks5

#endif
