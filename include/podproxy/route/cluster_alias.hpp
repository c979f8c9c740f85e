#ifndef PODPROXY_ROUTE_CLUSTER_ALIAS_HPP
#define PODPROXY_ROUTE_CLUSTER_ALIAS_HPP

#include <podproxy/core/ascii.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace podproxy::route {

/// Whether a text can stand as one label of a host name. RFC 1123 section 2.1
constexpr bool is_host_label(std::string_view text) noexcept
{
    if (text.empty() || text.size() > 63 || text.front() == '-' || text.back() == '-') return false;
    for (char const c : text)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-')) return false;
    return true;
}

namespace detail {

/// Eight characters that depend on every byte of a text. FNV-1a, so that they stay the same everywhere and for ever.
inline std::string short_hash(std::string_view text)
{
    std::uint32_t hash = 2166136261u;
    for (char const c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
    std::string out;
    for (int shift = 28; shift >= 0; shift -= 4) out += "0123456789abcdef"[hash >> shift & 15];
    return out;
}

} // namespace detail

/// What tells the aliases of two names apart that would have the same.
enum class alias_form { plain, with_hash };

/** The host label by which a context can be addressed whose name is none, such as `arn:aws:eks:eu-west-1:1234:cluster/prod` or
    `jane@prod.eu-west-1.eksctl.io`: in small letters, everything else as a hyphen. It depends on the name only, so it stays the same.
    @param form  With a hash of the name where the plain form is taken; so is a name that is too long for a label, always. */
inline std::string cluster_alias(std::string_view context, alias_form form = alias_form::plain)
{
    std::string out;
    for (char const c : ascii_lower(context)) {
        bool const keep = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (keep) out += c;
        else if (!out.empty() && out.back() != '-') out += '-';
    }
    while (!out.empty() && out.back() == '-') out.pop_back();
    if (out.empty()) return "cluster-" + detail::short_hash(context);
    constexpr std::size_t room_beside_hash = 63 - 9;
    if (form == alias_form::plain && out.size() <= 63) return out;
    out.resize(std::min(out.size(), room_beside_hash));
    while (out.back() == '-') out.pop_back();
    return out + "-" + detail::short_hash(context);
}

} // namespace podproxy::route

#endif
