#ifndef PODPROXY_TLS_RECORDS_DETAIL_HANDSHAKE_HPP
#define PODPROXY_TLS_RECORDS_DETAIL_HANDSHAKE_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/parse_result.hpp>
#include <podproxy/tls_records/errc.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace podproxy::tls_records::detail {

inline constexpr std::uint8_t handshake_record = 22;
inline constexpr std::size_t record_head_bytes = 5;
inline constexpr std::size_t message_head_bytes = 4;
inline constexpr std::size_t max_record_content = 16384;

/** A handshake message without its head. Where it came in one record `body` is a view into the input; where it came in several,
    into `joined`, whose bytes stay where they are when this is moved. */
struct handshake_message {
    std::uint8_t type = 0;
    bytes_view body;
    std::vector<std::uint8_t> joined;

    handshake_message() = default;
    handshake_message(handshake_message&&) noexcept = default;
    handshake_message& operator=(handshake_message&&) noexcept = default;
};

/// Whether bytes can be the first of a record of a handshake, as far as they go.
inline bool may_be_handshake_record(bytes_view in) noexcept
{
    if (!in.empty() && in[0] != handshake_record) return false;
    return in.size() < 2 || in[1] == 3;
}

/** Take one handshake message, alone in its records, off the front.

        record: | 22 | version 16 | length 16 | content |    message, over the contents of one or more records: | type 8 | length 24 | body |

    Nothing is copied before the whole message is there.
    @param wanted The message's type: another one is refused as soon as it is seen.
    @param limit  Of the bytes of all records. */
inline parse_result<handshake_message> parse_handshake(bytes_view in, std::uint8_t wanted, std::size_t limit)
{
    std::size_t pos = 0;
    std::size_t records = 0;
    std::size_t have = 0; // of the message, its head included
    std::size_t total = message_head_bytes;
    std::uint8_t head[message_head_bytes] = {};
    while (have < total) {
        bytes_view const rest = in.subspan(pos);
        // What is missing of the message comes in one more record at least.
        std::size_t const at_least = pos + record_head_bytes + (total - have);
        if (at_least > limit) return errc::too_long;
        if (!may_be_handshake_record(rest)) return pos == 0 ? errc::not_tls : errc::bad_record;
        if (rest.size() >= 4 && rest[3] > max_record_content >> 8) return errc::bad_record;
        if (rest.size() < record_head_bytes) return need_more{at_least};
        std::size_t const length = static_cast<std::size_t>(rest[3] << 8 | rest[4]);
        if (length == 0 || length > max_record_content) return errc::bad_record;
        ++records;
        std::size_t const end = pos + record_head_bytes + length;
        bytes_view const content = rest.subspan(record_head_bytes, std::min(length, rest.size() - record_head_bytes));
        for (std::size_t i = 0; i < content.size() && have + i < message_head_bytes; ++i) head[have + i] = content[i];
        if (have + content.size() >= 1 && head[0] != wanted) return errc::not_client_hello;
        if (have + content.size() >= message_head_bytes)
            total = message_head_bytes + (static_cast<std::size_t>(head[1]) << 16 | static_cast<std::size_t>(head[2]) << 8 | head[3]);
        bool const known = have + content.size() >= message_head_bytes;
        if (known && have + length > total) return errc::malformed; // something stands behind the message
        if (end > limit || (known && end + (have + length < total ? record_head_bytes + total - have - length : 0) > limit)) return errc::too_long;
        if (content.size() < length) {
            std::size_t const more = have + length < total ? record_head_bytes + (total - have - length) : 0;
            return need_more{end + more};
        }
        have += length;
        pos = end;
    }

    handshake_message out;
    out.type = wanted;
    if (records == 1) {
        out.body = in.subspan(record_head_bytes + message_head_bytes, total - message_head_bytes);
        return {std::move(out), pos};
    }
    out.joined.reserve(total);
    for (std::size_t at = 0; at < pos;) {
        std::size_t const length = static_cast<std::size_t>(in[at + 3] << 8 | in[at + 4]);
        bytes_view const content = in.subspan(at + record_head_bytes, length);
        out.joined.insert(out.joined.end(), content.begin(), content.end());
        at += record_head_bytes + length;
    }
    out.body = bytes_view(out.joined).subspan(message_head_bytes);
    return {std::move(out), pos};
}

} // namespace podproxy::tls_records::detail

#endif
