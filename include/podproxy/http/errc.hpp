#ifndef PODPROXY_HTTP_ERRC_HPP
#define PODPROXY_HTTP_ERRC_HPP

#include <podproxy/core/error.hpp>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace podproxy::http {

/** What can be wrong with an HTTP/1.1 message, and who did it.

    Every error found while reading a message makes its connection unusable: where the next message begins is not known any
    more. The errors of `parse_target`, `encode_*` and the forwarding functions leave the connection as it was. */
enum class errc {
    bad_request_line = 1, ///< The first line is not `method SP target SP version`. Peer's fault.
    bad_status_line,      ///< The first line is not `version SP status SP reason`. Peer's fault.
    bad_method,           ///< The method is not a token. Peer's fault; most likely it does not speak HTTP at all.
    bad_version,          ///< The version is not written as `HTTP/digit.digit`. Peer's fault.
    unsupported_version,  ///< A major version other than 1.
    bad_line_end,         ///< A line ends in a bare LF, or a CR stands alone. Peer's fault.
    bad_field_name,       ///< A field name is empty or not a token. Peer's fault.
    space_before_colon,   ///< White space between a field name and its colon. Peer's fault.
    obs_fold,             ///< A field is continued on the next line. Peer's fault.
    bad_field_value,      ///< A control character in a field value. Peer's fault.
    request_line_too_long,///< Longer than `head_limits::max_request_line_bytes`.
    head_too_large,       ///< Longer than `head_limits::max_head_bytes`.
    too_many_fields,      ///< More than `head_limits::max_fields`.
    missing_host,         ///< An HTTP/1.1 request without Host. Peer's fault.
    several_hosts,        ///< More than one Host field. Peer's fault.
    bad_host,             ///< A Host field that is not `host [":" port]`. Peer's fault.
    bad_content_length,   ///< Content-Length is not a plain decimal number below 2^63. Peer's fault.
    conflicting_lengths,  ///< Several Content-Length values that differ. Peer's fault.
    length_and_encoding,  ///< Content-Length together with Transfer-Encoding. Peer's fault.
    bad_transfer_encoding,///< Transfer-Encoding is malformed, or does not end in exactly one `chunked`. Peer's fault.
    unsupported_coding,   ///< A transfer coding other than `chunked`.
    encoding_in_http10,   ///< Transfer-Encoding in an HTTP/1.0 message. Peer's fault.
    content_not_allowed,  ///< Content in a CONNECT or TRACE request. Peer's fault.
    bad_chunk_size,       ///< A chunk size is not hexadecimal, or is 2^63 or more. Peer's fault.
    bad_chunk_extension,  ///< A chunk extension that breaks the grammar. Peer's fault.
    bad_chunk_end,        ///< The data of a chunk is not followed by CRLF. Peer's fault.
    chunk_line_too_long,  ///< Longer than `chunk_limits::max_line_bytes`.
    extensions_too_large, ///< More than `chunk_limits::max_extension_bytes` in one body.
    trailers_too_large,   ///< More than `chunk_limits::max_trailer_bytes` or `max_trailer_fields`.
    body_too_large,       ///< More content than the reader is willing to take.
    bad_target,           ///< A request target of no known form, or not of the form that the method wants.
    userinfo_in_target,   ///< `user@` in a request target.
    unsupported_scheme,   ///< A proxy request for a scheme other than `http`.
    loop_limit,           ///< More interim responses than `client_config::max_interim_responses`. Peer's fault.
    unexpected_upgrade,   ///< 101 without an upgrade having been asked for. Peer's fault.
    unsafe_head,          ///< A head of ours would break out of its line (CR, LF, NUL or not a token). Our caller's fault.
    not_ready,            ///< The connection is in the middle of another message. Our caller's fault.
};

inline std::string_view errc_domain(errc) noexcept { return "podproxy.http"; }

inline std::string_view describe(errc e) noexcept
{
    switch (e) {
    case errc::bad_request_line: return "the peer sent a malformed HTTP request line";
    case errc::bad_status_line: return "the peer sent a malformed HTTP status line";
    case errc::bad_method: return "the peer sent a request whose method is not a token; it may not speak HTTP";
    case errc::bad_version: return "the peer sent a malformed HTTP version";
    case errc::unsupported_version: return "the peer uses an HTTP version other than 1.x";
    case errc::bad_line_end: return "the peer sent a header line that does not end in CRLF";
    case errc::bad_field_name: return "the peer sent a malformed header field name";
    case errc::space_before_colon: return "the peer sent white space between a header field name and its colon";
    case errc::obs_fold: return "the peer sent a folded header field, which is obsolete and ambiguous";
    case errc::bad_field_value: return "the peer sent a control character in a header field";
    case errc::request_line_too_long: return "the request line is longer than the limit";
    case errc::head_too_large: return "the message head is larger than the limit";
    case errc::too_many_fields: return "the message has more header fields than the limit";
    case errc::missing_host: return "the request has no Host header field";
    case errc::several_hosts: return "the request has more than one Host header field";
    case errc::bad_host: return "the request has a malformed Host header field";
    case errc::bad_content_length: return "the peer sent a malformed Content-Length";
    case errc::conflicting_lengths: return "the peer sent Content-Length values that differ";
    case errc::length_and_encoding: return "the peer sent both Content-Length and Transfer-Encoding";
    case errc::bad_transfer_encoding: return "the peer sent a Transfer-Encoding that does not end in one chunked coding";
    case errc::unsupported_coding: return "the peer uses a transfer coding other than chunked";
    case errc::encoding_in_http10: return "the peer sent Transfer-Encoding in an HTTP/1.0 message";
    case errc::content_not_allowed: return "the request has content, which its method does not allow";
    case errc::bad_chunk_size: return "the peer sent a malformed chunk size";
    case errc::bad_chunk_extension: return "the peer sent a malformed chunk extension";
    case errc::bad_chunk_end: return "the peer sent a chunk that does not end where its size says";
    case errc::chunk_line_too_long: return "a chunk size line is longer than the limit";
    case errc::extensions_too_large: return "the chunk extensions are larger than the limit";
    case errc::trailers_too_large: return "the trailer section is larger than the limit";
    case errc::body_too_large: return "the content is larger than the limit";
    case errc::bad_target: return "the request target has none of the forms that its method allows";
    case errc::userinfo_in_target: return "the request target contains user information, which is not allowed";
    case errc::unsupported_scheme: return "only http targets can be forwarded; use CONNECT for anything else";
    case errc::loop_limit: return "the server sent too many interim responses";
    case errc::unexpected_upgrade: return "the server switched protocols without having been asked";
    case errc::unsafe_head: return "a message head of ours contains characters that are not allowed there";
    case errc::not_ready: return "the connection is in the middle of another message";
    }
    return "unknown HTTP error";
}

inline cond condition(errc e) noexcept
{
    switch (e) {
    case errc::request_line_too_long:
    case errc::head_too_large:
    case errc::too_many_fields:
    case errc::chunk_line_too_long:
    case errc::extensions_too_large:
    case errc::trailers_too_large:
    case errc::body_too_large:
    case errc::loop_limit: return cond::too_large;
    case errc::not_ready: return cond::unavailable;
    default: return cond::malformed;
    }
}

inline std::error_code make_error_code(errc e) noexcept { return make_domain_error(e); }

/// The status of the answer to a request that fails with `e`: 400, or a more exact one.
inline unsigned status_for(errc e) noexcept
{
    switch (e) {
    case errc::request_line_too_long: return 414;
    case errc::head_too_large:
    case errc::too_many_fields:
    case errc::trailers_too_large: return 431;
    case errc::body_too_large: return 413;
    case errc::unsupported_coding: return 501;
    case errc::unsupported_version: return 505;
    case errc::unsafe_head:
    case errc::not_ready: return 500;
    default: return 400;
    }
}

} // namespace podproxy::http

template <>
struct std::is_error_code_enum<podproxy::http::errc> : std::true_type {};

namespace podproxy::http {

/// The status of the answer to a request that can't be read: 408 after a timeout, else by `errc`, 400 for anything else.
inline unsigned status_for(std::error_code ec) noexcept
{
    if (ec.category() == category_of<errc>()) return status_for(static_cast<errc>(ec.value()));
    if (ec == cond::timed_out) return 408;
    if (ec == cond::too_large) return 431;
    return 400;
}

} // namespace podproxy::http

#endif
