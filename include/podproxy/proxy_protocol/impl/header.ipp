#include <podproxy/core/host_port.hpp>
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace podproxy::proxy_protocol {

namespace detail {

inline constexpr std::string_view v1_start = "PROXY ";
inline constexpr std::string_view v1_unknown = "PROXY UNKNOWN\r\n"; // the shortest line of all
inline constexpr std::array<std::uint8_t, 12> v2_signature{0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
inline constexpr std::size_t v2_fixed_bytes = 16;

/// Whether `in` begins like `start`, as far as it goes.
inline bool begins_like(bytes_view in, bytes_view start) noexcept
{
    std::size_t const n = std::min(in.size(), start.size());
    return std::equal(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(n), start.begin());
}

/// Takes the text up to a single blank off the front; the last word has none behind it.
inline std::string_view take_word(std::string_view& line) noexcept
{
    std::size_t const blank = line.find(' ');
    std::string_view const word = line.substr(0, blank);
    line.remove_prefix(blank == std::string_view::npos ? line.size() : blank + 1);
    return word;
}

inline std::optional<std::uint16_t> parse_v1_port(std::string_view text) noexcept
{
    if (text.size() > 1 && text.front() == '0') return std::nullopt;
    return parse_port(text);
}

inline std::optional<ipv6_bytes> parse_v1_address(std::string_view text, bool v4) noexcept
{
    if (!v4) return parse_ipv6(text);
    auto const address = parse_ipv4(text);
    return address ? std::optional(as_mapped(*address)) : std::nullopt;
}

inline ipv6_bytes take_ipv6(byte_reader& r) noexcept
{
    ipv6_bytes out{};
    std::ranges::copy(r.take(out.size()), out.begin());
    return out;
}

inline ipv6_bytes take_ipv4(byte_reader& r) noexcept
{
    ipv4_bytes out{};
    std::ranges::copy(r.take(out.size()), out.begin());
    return as_mapped(out);
}

} // namespace detail

inline void encode_v1(std::vector<std::uint8_t>& out, header const& h)
{
    byte_writer w(out);
    if (h.command == command::local || h.transport != transport::tcp) {
        w.put(detail::v1_unknown);
        return;
    }
    bool const v4 = h.source.ipv4() && h.destination.ipv4();
    std::string line(detail::v1_start);
    line += v4 ? "TCP4 " : "TCP6 ";
    line += v4 ? format_address(h.source.address) : format_ip(h.source.address);
    line += ' ';
    line += v4 ? format_address(h.destination.address) : format_ip(h.destination.address);
    line += ' ' + std::to_string(h.source.port) + ' ' + std::to_string(h.destination.port) + "\r\n";
    w.put(line);
}

inline void encode_v2(std::vector<std::uint8_t>& out, header const& h)
{
    byte_writer w(out);
    w.put(detail::v2_signature).u8(h.command == command::local ? 0x20 : 0x21);
    if (!h.has_addresses()) {
        w.u8(0x00).u16(0);
        return;
    }
    std::uint8_t const kind = h.transport == transport::tcp ? 1 : 2;
    auto const from = h.source.ipv4();
    auto const to = h.destination.ipv4();
    if (from && to) w.u8(0x10 | kind).u16(12).put(*from).put(*to);
    else w.u8(0x20 | kind).u16(36).put(h.source.address).put(h.destination.address);
    w.u16(h.source.port).u16(h.destination.port);
}

inline parse_result<header> parse_v1(bytes_view in)
{
    if (!detail::begins_like(in, as_bytes(detail::v1_start))) return errc::no_header;
    std::string_view const text = as_text(in.first(std::min(in.size(), max_v1_bytes)));
    std::size_t const end = text.find('\n');
    if (end == std::string_view::npos) {
        if (in.size() >= max_v1_bytes) return errc::too_long;
        return need_more{std::max(detail::v1_unknown.size(), in.size() + 1)};
    }
    if (end == 0 || text[end - 1] != '\r') return errc::bad_line;
    std::string_view line = text.substr(0, end - 1);
    std::size_t const consumed = end + 1;
    if (line.size() < detail::v1_start.size()) return errc::bad_line;
    line.remove_prefix(detail::v1_start.size());

    if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return {header{}, consumed};
    std::string_view const family = detail::take_word(line);
    if (family != "TCP4" && family != "TCP6") return errc::bad_line;
    bool const v4 = family == "TCP4";
    auto const from = detail::parse_v1_address(detail::take_word(line), v4);
    auto const to = detail::parse_v1_address(detail::take_word(line), v4);
    auto const from_port = detail::parse_v1_port(detail::take_word(line));
    auto const to_port = detail::parse_v1_port(line); // all that is left: a blank behind it is an error
    if (!from || !to || !from_port || !to_port) return errc::bad_line;
    header h;
    h.transport = transport::tcp;
    h.source = {*from, *from_port};
    h.destination = {*to, *to_port};
    return {h, consumed};
}

inline parse_result<header> parse_v2(bytes_view in, std::size_t limit)
{
    if (!detail::begins_like(in, detail::v2_signature)) return errc::no_header;
    if (in.size() < detail::v2_fixed_bytes) return need_more{detail::v2_fixed_bytes};
    byte_reader r(in.subspan(detail::v2_signature.size()));
    std::uint8_t const version_command = r.u8();
    std::uint8_t const family_transport = r.u8();
    std::size_t const length = r.u16();
    if (version_command >> 4 != 2) return errc::bad_version;
    if ((version_command & 0x0f) > 1) return errc::bad_command;
    unsigned const family = family_transport >> 4;
    unsigned const kind = family_transport & 0x0f;
    if (family > 3 || kind > 2) return errc::bad_family;

    header h;
    h.command = (version_command & 0x0f) == 0 ? command::local : command::proxy;
    bool const addresses = h.command == command::proxy && (family == 1 || family == 2) && kind != 0;
    if (addresses && length < (family == 1 ? 12u : 36u)) return errc::bad_length;
    std::size_t const total = detail::v2_fixed_bytes + length;
    if (total > limit) return errc::too_long;
    if (in.size() < total) return need_more{total};
    if (addresses) {
        h.transport = kind == 1 ? transport::tcp : transport::udp;
        h.source.address = family == 1 ? detail::take_ipv4(r) : detail::take_ipv6(r);
        h.destination.address = family == 1 ? detail::take_ipv4(r) : detail::take_ipv6(r);
        h.source.port = r.u16();
        h.destination.port = r.u16();
    }
    return {h, total};
}

} // namespace podproxy::proxy_protocol
