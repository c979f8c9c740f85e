#include <algorithm>
#include <array>
#include <bitset>
#include <memory>
#include <system_error>

namespace podproxy::tls_records {

namespace detail {

inline constexpr std::uint8_t client_hello_message = 1;

/// Reads vectors with their length in front. A length that does not fit makes the reader fail, as with numbers.
inline bytes_view take_u8_vector(byte_reader& r) noexcept { return r.take(r.u8()); }
inline bytes_view take_u16_vector(byte_reader& r) noexcept { return r.take(r.u16()); }

inline bool ends_well(byte_reader const& r) noexcept { return r.ok() && r.remaining() == 0; }

/// Letters, digits, `-`, `.` and `_`, as DNS has them in practice.
inline bool is_server_name(std::string_view name) noexcept
{
    return !name.empty() && name.size() <= 255 && name.front() != '.' && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    });
}

/// `ServerNameList`: entries of a type and a name. Only type 0, host_name, was ever defined, and one of a type is allowed.
inline std::error_code read_server_name(bytes_view data, std::string_view& out) noexcept
{
    byte_reader all(data);
    byte_reader list(take_u16_vector(all));
    if (!ends_well(all) || list.remaining() == 0) return errc::malformed;
    bool found = false;
    while (list.remaining() != 0) {
        std::uint8_t const type = list.u8();
        std::string_view name = as_text(take_u16_vector(list));
        if (!list.ok()) return errc::malformed;
        if (type != 0) continue;
        if (std::exchange(found, true)) return errc::malformed;
        if (name.ends_with('.')) name.remove_suffix(1);
        if (!is_server_name(name)) return errc::bad_server_name;
        out = name;
    }
    return {};
}

/// `ProtocolNameList`: not empty, and no name is.
inline std::error_code read_alpn(bytes_view data, name_list& out) noexcept
{
    byte_reader all(data);
    bytes_view const raw = take_u16_vector(all);
    if (!ends_well(all) || raw.empty()) return errc::malformed;
    byte_reader list(raw);
    while (list.remaining() != 0)
        if (take_u8_vector(list).empty()) return errc::malformed;
    out = name_list(raw);
    return {};
}

/// A list of numbers, not empty, that fills its extension; `length_bytes` are those of its length.
inline std::error_code read_u16_list(bytes_view data, unsigned length_bytes, u16_list& out) noexcept
{
    byte_reader all(data);
    bytes_view const raw = length_bytes == 1 ? take_u8_vector(all) : take_u16_vector(all);
    if (!ends_well(all) || raw.empty() || raw.size() % 2 != 0) return errc::malformed;
    out = u16_list(raw);
    return {};
}

inline std::error_code read_point_formats(bytes_view data, bytes_view& out) noexcept
{
    byte_reader all(data);
    out = take_u8_vector(all);
    return ends_well(all) && !out.empty() ? std::error_code() : errc::malformed;
}

inline std::error_code read_extension(extension const& e, client_hello& out) noexcept
{
    switch (static_cast<extension_type>(e.type)) {
    case extension_type::server_name: return read_server_name(e.data, out.server_name);
    case extension_type::alpn: return read_alpn(e.data, out.alpn);
    case extension_type::supported_versions: return read_u16_list(e.data, 1, out.supported_versions);
    case extension_type::supported_groups: return read_u16_list(e.data, 2, out.groups);
    case extension_type::signature_algorithms: return read_u16_list(e.data, 2, out.signature_algorithms);
    case extension_type::ec_point_formats: return read_point_formats(e.data, out.point_formats);
    }
    return {};
}

/// Numbers of extensions that were there already: sorted out without a set for the dozen that clients send.
class seen_extensions {
public:
    /// @return false when it was there already.
    bool add(std::uint16_t type)
    {
        if (type < first_.size()) {
            if (first_.test(type)) return false;
            first_.set(type);
            return true;
        }
        if (count_ < few_.size()) {
            if (std::find(few_.begin(), few_.begin() + static_cast<std::ptrdiff_t>(count_), type) != few_.begin() + static_cast<std::ptrdiff_t>(count_)) return false;
            few_[count_++] = type;
            return true;
        }
        if (!many_) {
            many_ = std::make_unique<std::bitset<65536>>();
            for (std::uint16_t const t : few_) many_->set(t);
        }
        if (many_->test(type)) return false;
        many_->set(type);
        return true;
    }

private:
    std::bitset<64> first_;
    std::array<std::uint16_t, 16> few_{};
    std::size_t count_ = 0;
    std::unique_ptr<std::bitset<65536>> many_; ///< Only for a client that sends hundreds.
};

inline std::error_code read_client_hello(bytes_view body, client_hello& out)
{
    byte_reader r(body);
    out.legacy_version = r.u16();
    out.random = r.take(32);
    out.session_id = take_u8_vector(r);
    bytes_view const suites = take_u16_vector(r);
    out.compression_methods = take_u8_vector(r);
    if (!r.ok() || out.session_id.size() > 32 || suites.empty() || suites.size() % 2 != 0 || out.compression_methods.empty()) return errc::malformed;
    out.cipher_suites = u16_list(suites);
    if (r.remaining() == 0) return {}; // before TLS 1.3 extensions may be missing altogether

    bytes_view const raw = take_u16_vector(r);
    if (!ends_well(r)) return errc::malformed;
    byte_reader list(raw);
    seen_extensions seen;
    while (list.remaining() != 0) {
        extension e;
        e.type = list.u16();
        e.data = take_u16_vector(list);
        if (!list.ok()) return errc::malformed;
        if (!seen.add(e.type)) return errc::duplicate_extension;
        if (auto const ec = read_extension(e, out)) return ec;
    }
    out.extensions = extension_list(raw);
    return {};
}

} // namespace detail

inline parse_result<client_hello> parse_client_hello(bytes_view in, std::size_t limit)
{
    auto message = detail::parse_handshake(in, detail::client_hello_message, limit);
    if (message.needs_more()) return need_more{message.at_least()};
    if (message.failed()) return message.error();
    client_hello out;
    if (auto const ec = detail::read_client_hello(message.value().body, out)) return ec;
    out.keep(std::move(message.value().joined));
    return {std::move(out), message.consumed()};
}

} // namespace podproxy::tls_records
