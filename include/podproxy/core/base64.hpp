#ifndef PODPROXY_CORE_BASE64_HPP
#define PODPROXY_CORE_BASE64_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/error.hpp>
#include <podproxy/core/result.hpp>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy {

/// The forms of base64 that protocols ask for. @par Source RFC 4648 sections 4, 5 and 3.2
enum class base64_form {
    standard,     ///< `+` and `/`, padded with `=` to a multiple of four characters.
    url,          ///< `-` and `_`, padded with `=` to a multiple of four characters.
    url_unpadded, ///< `-` and `_`, without padding (JSON Web Tokens, WebSocket subprotocols).
};

namespace detail {

inline constexpr std::string_view base64_standard_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
inline constexpr std::string_view base64_url_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

inline constexpr std::uint8_t not_base64 = 0xff;

constexpr std::array<std::uint8_t, 256> base64_values(std::string_view alphabet) noexcept
{
    std::array<std::uint8_t, 256> out{};
    for (auto& v : out) v = not_base64;
    for (std::size_t i = 0; i < alphabet.size(); ++i) out[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
    return out;
}

inline constexpr auto base64_standard_values = base64_values(base64_standard_alphabet);
inline constexpr auto base64_url_values = base64_values(base64_url_alphabet);

} // namespace detail

/// Write bytes as base64, without line breaks.
inline std::string encode_base64(bytes_view in, base64_form form = base64_form::standard)
{
    auto const alphabet = form == base64_form::standard ? detail::base64_standard_alphabet : detail::base64_url_alphabet;
    std::string out;
    out.reserve((in.size() + 2) / 3 * 4);
    while (!in.empty()) {
        std::size_t const n = in.size() < 3 ? in.size() : 3;
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; ++i) bits = bits << 8 | (i < n ? in[i] : 0u);
        // n bytes give n + 1 characters; padding fills up to four.
        for (std::size_t i = 0; i <= n; ++i) out += alphabet[bits >> (18 - 6 * i) & 0x3f];
        if (form != base64_form::url_unpadded) out.append(3 - n, '=');
        in = in.subspan(n);
    }
    return out;
}

/** Read base64 exactly as `encode_base64` writes it.

    Strict: no blanks or line breaks, the alphabet and the padding of `form` only, and the bits that the last character has too
    many are zero, so that every byte string has one spelling.
    @return the bytes, or `errc::malformed`. */
inline result<std::vector<std::uint8_t>> decode_base64(std::string_view in, base64_form form = base64_form::standard)
{
    auto const& values = form == base64_form::standard ? detail::base64_standard_values : detail::base64_url_values;
    if (form != base64_form::url_unpadded) {
        if (in.size() % 4 != 0) return errc::malformed;
        for (int i = 0; i < 2 && !in.empty() && in.back() == '='; ++i) in.remove_suffix(1);
    }
    if (in.size() % 4 == 1) return errc::malformed;

    std::vector<std::uint8_t> out;
    out.reserve(in.size() / 4 * 3 + 2);
    while (!in.empty()) {
        std::size_t const n = in.size() < 4 ? in.size() : 4;
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            std::uint8_t const v = i < n ? values[static_cast<unsigned char>(in[i])] : std::uint8_t{0};
            if (v == detail::not_base64) return errc::malformed;
            bits = bits << 6 | v;
        }
        // n characters give n - 1 bytes; what is left of the 24 bits must be zero.
        for (std::size_t i = 0; i + 1 < n; ++i) out.push_back(static_cast<std::uint8_t>(bits >> (16 - 8 * i)));
        if (n < 4 && (bits & ((1u << (8 * (4 - n))) - 1)) != 0) return errc::malformed;
        in.remove_prefix(n);
    }
    return out;
}

} // namespace podproxy

#endif
