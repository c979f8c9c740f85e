#ifndef PODPROXY_HTTP_BASIC_CREDENTIALS_HPP
#define PODPROXY_HTTP_BASIC_CREDENTIALS_HPP

#include <podproxy/core/ascii.hpp>
#include <podproxy/core/base64.hpp>
#include <podproxy/core/bytes.hpp>
#include <podproxy/core/error.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/core/secret.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace podproxy::http {

/// What a client shows in `Authorization` or `Proxy-Authorization`. Never logged.
struct basic_credentials {
    std::string user; ///< Without a colon; may be empty.
    secret password;
};

/** Read `Basic <base64 of user:password>`.

    Strict in its base64; the scheme may be written in either case, with blanks behind it. User and password may hold any byte but control characters.
    @par Source RFC 7617 section 2
    @return both, or `podproxy::errc::malformed` for any other text. */
inline result<basic_credentials> parse_basic_credentials(std::string_view field)
{
    field = ascii_trim(field);
    std::size_t const blank = field.find(' ');
    if (blank == std::string_view::npos || !ascii_iequals(field.substr(0, blank), "Basic")) return podproxy::errc::malformed;
    auto const bytes = decode_base64(ascii_trim(field.substr(blank)));
    if (!bytes) return bytes.error();
    std::string_view const text = as_text(*bytes);
    std::size_t const colon = text.find(':');
    if (colon == std::string_view::npos) return podproxy::errc::malformed;
    for (char const c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return podproxy::errc::malformed;
    basic_credentials out;
    out.user = text.substr(0, colon);
    out.password = secret(std::string(text.substr(colon + 1)));
    return out;
}

} // namespace podproxy::http

#endif
