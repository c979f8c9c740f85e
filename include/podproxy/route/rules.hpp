#ifndef PODPROXY_ROUTE_RULES_HPP
#define PODPROXY_ROUTE_RULES_HPP

#include <podproxy/core/ascii.hpp>
#include <podproxy/core/cidr.hpp>
#include <podproxy/core/host_port.hpp>
#include <podproxy/core/ip_address.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/core/secret.hpp>
#include <podproxy/route/errc.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::route {

/// The destinations of a rule.
struct destination_pattern {
    enum class kind : std::uint8_t {
        every,  ///< Everything that belongs to no cluster.
        host,   ///< One name.
        suffix, ///< Every name that ends in it.
        block,  ///< Addresses.
    };

    kind type = kind::every;
    std::string name;                 ///< Of `host`; of `suffix` with its leading dot. In small letters.
    cidr addresses;                   ///< Of `block`.
    std::vector<std::uint16_t> ports; ///< In order, each once. Empty: every port.

    friend bool operator==(destination_pattern const&, destination_pattern const&) = default;
};

namespace detail {

/// The address that a host is written as, also with brackets or a zone.
inline std::optional<ipv6_bytes> address_of(std::string_view host) noexcept
{
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (auto const v4 = parse_ipv4(host)) return as_mapped(*v4);
    return parse_ipv6(host.substr(0, host.find('%')));
}

inline std::string_view without_last_dot(std::string_view host) noexcept { return host.ends_with('.') ? host.substr(0, host.size() - 1) : host; }

/// `443` or `80,443`
inline result<std::vector<std::uint16_t>> parse_ports(std::string_view text)
{
    std::vector<std::uint16_t> out;
    for (;;) {
        std::size_t const comma = text.find(',');
        auto const port = parse_port(ascii_trim(text.substr(0, comma)));
        if (!port || *port == 0) return errc::bad_ports;
        out.push_back(*port);
        if (comma == std::string_view::npos) break;
        text.remove_prefix(comma + 1);
    }
    std::ranges::sort(out);
    out.erase(std::ranges::unique(out).begin(), out.end());
    return out;
}

} // namespace detail

/** Read what a rule is about:

        wiki.corp.example        this name
        *.corp.example           every name that ends in .corp.example, however many parts stand before it
        192.0.2.7  2001:db8::7   this address
        10.0.0.0/8 [2001:db8::/32]:22
        *                        everything that belongs to no cluster

    Behind each may stand `:443` or `:80,443`; IPv6 then needs brackets around it. Upper and lower case mean the same, and so does a dot at the end.
    @return the pattern, or `errc::bad_pattern`, `bad_ports`. */
inline result<destination_pattern> parse_destination_pattern(std::string_view text)
{
    destination_pattern out;
    text = ascii_trim(text);
    std::string_view host = text;
    std::optional<std::string_view> ports;
    if (text.starts_with('[')) {
        std::size_t const end = text.find(']');
        if (end == std::string_view::npos) return errc::bad_pattern;
        host = text.substr(1, end - 1);
        if (host.find(':') == std::string_view::npos) return errc::bad_pattern;
        std::string_view const rest = text.substr(end + 1);
        if (rest.starts_with(':')) ports = rest.substr(1);
        else if (!rest.empty()) return errc::bad_pattern;
    } else if (auto const colon = text.find(':'); colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos) {
        host = text.substr(0, colon);
        ports = text.substr(colon + 1);
    }
    if (ports) {
        auto list = detail::parse_ports(*ports);
        if (!list) return list.error();
        out.ports = *std::move(list);
    }
    if (host == "*") return out;
    if (auto const block = parse_cidr(host)) {
        out.type = destination_pattern::kind::block;
        out.addresses = *block;
        return out;
    }
    std::string_view name = detail::without_last_dot(host);
    out.type = name.starts_with("*.") ? destination_pattern::kind::suffix : destination_pattern::kind::host;
    if (out.type == destination_pattern::kind::suffix) name.remove_prefix(1);
    std::string_view const bare = out.type == destination_pattern::kind::suffix ? name.substr(1) : name;
    bool const proper = is_host(bare) && bare.front() != '.' && bare.back() != '.' && bare.find("..") == std::string_view::npos &&
                        bare.find_first_of("*:/?#@[]\\,%") == std::string_view::npos;
    if (!proper) return errc::bad_pattern;
    out.name = ascii_lower(name);
    return out;
}

/** Whether a destination is one of a rule's.

    A name is compared as it is written: blocks of addresses hold no names, whatever those resolve to.
    @param host        As a client wrote it, an IPv6 address without brackets.
    @param in_cluster  Whether the host belongs to a cluster, so that `*` does not mean it. */
inline bool matches(destination_pattern const& pattern, std::string_view host, std::uint16_t port, bool in_cluster)
{
    if (!pattern.ports.empty() && !std::ranges::binary_search(pattern.ports, port)) return false;
    if (pattern.type == destination_pattern::kind::every) return !in_cluster;
    auto const address = detail::address_of(host);
    if (pattern.type == destination_pattern::kind::block) return address && pattern.addresses.contains(*address);
    if (address) return false;
    host = detail::without_last_dot(host);
    if (pattern.type == destination_pattern::kind::host) return ascii_iequals(host, pattern.name);
    return host.size() > pattern.name.size() && ascii_iequals(host.substr(host.size() - pattern.name.size()), pattern.name);
}

/// Where a rule sends its destinations.
enum class way : std::uint8_t {
    direct,  ///< To where this machine's name servers say, also a name that ends in a cluster.
    block,   ///< Nowhere.
    proxy,   ///< Through another proxy.
    cluster, ///< Into a cluster, whatever its name ends in.
};

/// One line of the rules.
struct rule {
    std::string text; ///< Of the destinations, as it was written, for messages.
    destination_pattern to;
    way via = way::direct;
    std::string cluster{}; ///< Of `way::cluster`: a context or an alias.
    secret proxy{};        ///< Of `way::proxy`: a URL, which may hold a password.
};

/// Read the way of a rule: `direct`, `block`, a URL, or else the name of a cluster. @return false for a text that can't be one of them.
inline bool read_way(std::string_view text, rule& out)
{
    if (text == "direct") out.via = way::direct;
    else if (text == "block") out.via = way::block;
    else if (text.find("://") != std::string_view::npos) {
        out.via = way::proxy;
        out.proxy = secret(std::string(text));
    } else {
        out.via = way::cluster;
        out.cluster = text;
        return is_host(text);
    }
    return true;
}

/// The number of the first rule that a destination matches, from 0.
inline std::optional<std::size_t> find_rule(std::span<rule const> rules, std::string_view host, std::uint16_t port, bool in_cluster)
{
    for (std::size_t i = 0; i < rules.size(); ++i)
        if (matches(rules[i].to, host, port, in_cluster)) return i;
    return std::nullopt;
}

/** The name that stands for a host within a cluster: `web.shop.svc.cluster.local` is `web.shop.<cluster>` there. A host that ends in the cluster already
    stays as it is. */
inline std::string host_in_cluster(std::string_view host, std::string_view cluster)
{
    host = detail::without_last_dot(host);
    std::string const lower = ascii_lower(host);
    std::string const tail = "." + ascii_lower(cluster);
    if (lower.ends_with(tail)) return std::string(host);
    for (std::string_view const suffix : {".cluster.local", ".svc"})
        if (std::string_view(lower).substr(0, host.size()).ends_with(suffix)) host.remove_suffix(suffix.size());
    return std::string(host) + "." + std::string(cluster);
}

} // namespace podproxy::route

#endif
