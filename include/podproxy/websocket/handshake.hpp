#ifndef PODPROXY_WEBSOCKET_HANDSHAKE_HPP
#define PODPROXY_WEBSOCKET_HANDSHAKE_HPP

#include <podproxy/core/ascii.hpp>
#include <podproxy/core/base64.hpp>
#include <podproxy/core/bytes.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/crypto/digest.hpp>
#include <podproxy/websocket/errc.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace podproxy::websocket {

/// One header field of the handshake. The functions below read any sequence of things with a `name` and a `value`.
struct handshake_field {
    std::string name;
    std::string value;
};

/// `Sec-WebSocket-Key`: 16 random bytes in base64.
inline std::string make_key(std::span<std::uint8_t const, 16> random_bytes) { return encode_base64(random_bytes); }

/// `Sec-WebSocket-Accept` for a key, RFC 6455 section 4.2.2: base64 of the SHA-1 of the key and a constant.
inline std::string accept_for(std::string_view key)
{
    std::string text(key);
    text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    return encode_base64(crypto::sha1(as_bytes(text)));
}

namespace detail {

/// Call `f(element)` for each comma-separated element of every field with that name.
template <class Fields, class F>
void for_each_token(Fields const& fields, std::string_view name, F&& f)
{
    for (auto const& field : fields) {
        if (!ascii_iequals(field.name, name)) continue;
        std::string_view rest = field.value;
        while (!rest.empty()) {
            std::size_t const comma = rest.find(',');
            std::string_view const element = ascii_trim(rest.substr(0, comma));
            if (!element.empty()) f(element);
            rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
        }
    }
}

template <class Fields>
bool has_token(Fields const& fields, std::string_view name, std::string_view token)
{
    bool found = false;
    for_each_token(fields, name, [&](std::string_view element) { found = found || ascii_iequals(element, token); });
    return found;
}

/// How often a field occurs, and its last value.
template <class Fields>
std::size_t count_of(Fields const& fields, std::string_view name, std::string& value)
{
    std::size_t n = 0;
    for (auto const& field : fields) {
        if (!ascii_iequals(field.name, name)) continue;
        value = std::string(ascii_trim(field.value));
        ++n;
    }
    return n;
}

} // namespace detail

/// What a client asks for.
struct client_handshake {
    std::string key;                         ///< From `make_key`, fresh for each connection.
    std::vector<std::string> subprotocols{}; ///< In order of preference.
    bool need_subprotocol = false;           ///< An answer that chooses none is an error.
};

/// Header fields that make a GET request an upgrade. Method, target, `Host` and authorization are the caller's.
inline std::vector<handshake_field> request_fields(client_handshake const& h)
{
    std::vector<handshake_field> out{{"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Key", h.key}, {"Sec-WebSocket-Version", "13"}};
    if (!h.subprotocols.empty()) {
        std::string list;
        for (std::string const& p : h.subprotocols) {
            if (!list.empty()) list += ", ";
            list += p;
        }
        out.push_back({"Sec-WebSocket-Protocol", std::move(list)});
    }
    return out;
}

/** Check the answer to a client's handshake, RFC 6455 section 4.1.
    @return the chosen subprotocol (empty: none), or `errc::upgrade_refused` for a status other than 101 (its body tells why), or
            `bad_upgrade`, `bad_accept`, `bad_subprotocol`, `unexpected_extension`. */
template <class Fields>
result<std::string> check_response(int status, Fields const& fields, client_handshake const& h)
{
    if (status != 101) return errc::upgrade_refused;
    if (!detail::has_token(fields, "Upgrade", "websocket") || !detail::has_token(fields, "Connection", "Upgrade")) return errc::bad_upgrade;
    std::string value;
    if (detail::count_of(fields, "Sec-WebSocket-Accept", value) != 1 || value != accept_for(h.key)) return errc::bad_accept;
    value.clear();
    if (detail::count_of(fields, "Sec-WebSocket-Extensions", value) != 0 && !value.empty()) return errc::unexpected_extension;
    value.clear();
    std::size_t const chosen = detail::count_of(fields, "Sec-WebSocket-Protocol", value);
    if (chosen == 0) {
        if (h.need_subprotocol) return errc::bad_subprotocol;
        return std::string();
    }
    if (chosen > 1) return errc::bad_subprotocol;
    for (std::string const& offered : h.subprotocols) // the names are compared as they are
        if (offered == value) return value;
    return errc::bad_subprotocol;
}

/// What a server learns from a valid request.
struct server_offer {
    std::string key;
    std::vector<std::string> subprotocols{}; ///< In the client's order of preference.
};

/** Check a client's request, RFC 6455 section 4.2.1. That it is a GET of HTTP/1.1 or later is for the caller to check.
    @return the offer, or `errc::bad_upgrade`, `bad_version` (answer 426 with `Sec-WebSocket-Version: 13`), `bad_key` (answer 400). */
template <class Fields>
result<server_offer> check_request(Fields const& fields)
{
    if (!detail::has_token(fields, "Upgrade", "websocket") || !detail::has_token(fields, "Connection", "Upgrade")) return errc::bad_upgrade;
    std::string value;
    if (detail::count_of(fields, "Sec-WebSocket-Version", value) != 1 || value != "13") return errc::bad_version;
    server_offer offer;
    if (detail::count_of(fields, "Sec-WebSocket-Key", offer.key) != 1) return errc::bad_key;
    auto const key = decode_base64(offer.key);
    if (!key || key->size() != 16) return errc::bad_key;
    detail::for_each_token(fields, "Sec-WebSocket-Protocol", [&](std::string_view p) { offer.subprotocols.emplace_back(p); });
    return offer;
}

/// The first of the client's subprotocols that the server has; empty: none.
inline std::string select_subprotocol(server_offer const& offer, std::span<std::string_view const> supported)
{
    for (std::string const& p : offer.subprotocols)
        for (std::string_view const s : supported)
            if (p == s) return p;
    return {};
}

/// Header fields of the 101 answer. An empty subprotocol is left out.
inline std::vector<handshake_field> response_fields(server_offer const& offer, std::string_view subprotocol = {})
{
    std::vector<handshake_field> out{{"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Accept", accept_for(offer.key)}};
    if (!subprotocol.empty()) out.push_back({"Sec-WebSocket-Protocol", std::string(subprotocol)});
    return out;
}

} // namespace podproxy::websocket

#endif
