#ifndef PODPROXY_TLS_RECORDS_CLIENT_HELLO_HPP
#define PODPROXY_TLS_RECORDS_CLIENT_HELLO_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/parse_result.hpp>
#include <podproxy/tls_records/detail/handshake.hpp>
#include <podproxy/tls_records/errc.hpp>
#include <podproxy/tls_records/lists.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace podproxy::tls_records {

/// Types of extensions that are looked into. RFC 6066, 7301, 8422, 8446
enum class extension_type : std::uint16_t {
    server_name = 0,
    supported_groups = 10,
    ec_point_formats = 11,
    signature_algorithms = 13,
    alpn = 16,
    supported_versions = 43,
};

/** What a client says when it begins TLS, RFC 8446 section 4.1.2. The lists are as sent, with the values that clients put in to keep
    servers tolerant (GREASE, RFC 8701).

    @par Lifetime  Views into the parsed input, or, when the message came in several records, into memory of its own that goes along
                   when it is moved. Keep the input as long as this. */
class client_hello {
public:
    std::uint16_t legacy_version = 0; ///< 0x0303 for TLS 1.2 and newer.
    bytes_view random;                ///< 32 bytes.
    bytes_view session_id;            ///< At most 32 bytes.
    u16_list cipher_suites;
    bytes_view compression_methods;
    extension_list extensions;

    /// Without a dot at the end, in letters of any case; an address where a client sends one. Empty where the client names no server.
    std::string_view server_name;
    name_list alpn;              ///< `h2`, `http/1.1`; empty without the extension.
    u16_list supported_versions; ///< Empty without the extension: the client speaks up to `legacy_version`.
    u16_list groups;
    u16_list signature_algorithms;
    bytes_view point_formats;

    client_hello() = default;
    client_hello(client_hello&&) noexcept = default;
    client_hello& operator=(client_hello&&) noexcept = default;

    /// For the parser: keep the memory that the views point into.
    void keep(std::vector<std::uint8_t> joined) noexcept { joined_ = std::move(joined); }

private:
    std::vector<std::uint8_t> joined_;
};

/// The most bytes of records that a ClientHello may take, if nothing else is said.
inline constexpr std::size_t default_max_hello_bytes = 65536;

/** Whether a connection that begins with these bytes can begin with a ClientHello. May be asked from the first byte on: the answer
    true is final with six bytes, the answer false at once. */
inline bool is_tls_client_hello_start(bytes_view in) noexcept
{
    if (!detail::may_be_handshake_record(in)) return false;
    if (in.size() >= 4 && in[3] > detail::max_record_content >> 8) return false;
    if (in.size() >= 5) {
        std::size_t const length = static_cast<std::size_t>(in[3] << 8 | in[4]);
        if (length == 0 || length > detail::max_record_content) return false;
    }
    return in.size() < 6 || in[5] == 1;
}

/** Parse the ClientHello in the first records of a connection.

    The message may be spread over several records; nothing may stand behind it in the last one. When more is needed, `at_least`
    is what has to come even in the fewest records: waiting for it keeps the work small, however small the client's pieces are.
    @par Source   RFC 8446 sections 4.1.2, 4.2 and 5.1; RFC 6066 section 3; RFC 7301
    @param limit  Of all records together, in bytes.
    @return the hello and how many bytes its records took, or one of `errc`. */
parse_result<client_hello> parse_client_hello(bytes_view in, std::size_t limit = default_max_hello_bytes);

} // namespace podproxy::tls_records

#include <podproxy/tls_records/impl/client_hello.ipp>

#endif
