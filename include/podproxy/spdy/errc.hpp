#ifndef PODPROXY_SPDY_ERRC_HPP
#define PODPROXY_SPDY_ERRC_HPP

#include <podproxy/core/error.hpp>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace podproxy::spdy {

/// What a peer can do wrong in SPDY/3.1 frames. Where `concerns_stream` is false, the whole connection is lost.
enum class errc {
    bad_version = 1,        ///< A control frame of another version than 3.
    frame_too_large,        ///< A control frame longer than our limit.
    bad_length,             ///< The length does not fit the frame's type or its own counts.
    bad_flags,              ///< A flag that the frame's type does not have.
    reserved_bit,           ///< A bit that must be zero is set.
    zero_stream_id,         ///< Stream 0 in a frame that belongs to a stream.
    bad_status,             ///< RST_STREAM with status 0.
    bad_window_delta,       ///< WINDOW_UPDATE by nothing.
    bad_header_compression, ///< A header block is no continuation of the connection's zlib stream.
    header_block_too_large, ///< A header block unpacks to more than our limit.
    bad_header_block,       ///< Counts and lengths inside a header block do not fit its size.
    too_many_headers,       ///< A header block with more pairs than our limit.
    bad_header_name,        ///< An empty name, or one with upper-case letters or bytes that no name has.
    duplicate_header,       ///< The same name twice in one block.
    bad_header_value,       ///< A value that begins or ends with NUL or has two in a row.
    session_closed,         ///< The session has ended.
    going_away,             ///< The peer takes no more streams on this session.
    stream_reset,           ///< The peer reset the stream; the session goes on.
    stream_cancelled,       ///< We reset the stream; the session goes on.
    no_answer,              ///< The peer is silent where it would have to answer: the path to it is dead. The session has ended.
    reader_too_slow,        ///< A stream on a shared session was not read; we reset it so that the others go on.
};

inline std::string_view errc_domain(errc) noexcept { return "podproxy.spdy"; }

/// Whether only the stream of that frame is lost (answer with RST_STREAM PROTOCOL_ERROR); the connection goes on.
inline bool concerns_stream(errc e) noexcept
{
    return e == errc::bad_header_block || e == errc::too_many_headers || e == errc::bad_header_name || e == errc::duplicate_header ||
           e == errc::bad_header_value;
}

inline std::string_view describe(errc e) noexcept
{
    switch (e) {
    case errc::bad_version: return "the peer sent a SPDY frame of another version than 3; the connection is not usable";
    case errc::frame_too_large: return "the peer sent a SPDY control frame above the size limit; the connection is not usable";
    case errc::bad_length: return "the peer sent a SPDY frame whose length does not fit its type; the connection is not usable";
    case errc::bad_flags: return "the peer sent a SPDY frame with flags that its type does not have; the connection is not usable";
    case errc::reserved_bit: return "the peer sent a SPDY frame with a reserved bit set; the connection is not usable";
    case errc::zero_stream_id: return "the peer sent a SPDY stream frame for stream 0; the connection is not usable";
    case errc::bad_status: return "the peer reset a SPDY stream without a status; the connection is not usable";
    case errc::bad_window_delta: return "the peer sent a SPDY window update of nothing; the connection is not usable";
    case errc::bad_header_compression: return "the peer sent SPDY headers that can't be unpacked; the connection is not usable";
    case errc::header_block_too_large: return "the peer sent SPDY headers above the size limit; the connection is not usable";
    case errc::bad_header_block: return "the peer sent SPDY headers whose lengths do not fit; the stream is not usable";
    case errc::too_many_headers: return "the peer sent more SPDY headers than the limit; the stream is not usable";
    case errc::bad_header_name: return "the peer sent a SPDY header with a bad name; the stream is not usable";
    case errc::duplicate_header: return "the peer sent the same SPDY header twice; the stream is not usable";
    case errc::bad_header_value: return "the peer sent a SPDY header with a bad value; the stream is not usable";
    case errc::session_closed: return "the SPDY session has ended";
    case errc::going_away: return "the peer takes no more streams on this SPDY session";
    case errc::stream_reset: return "the peer reset the SPDY stream; the session goes on";
    case errc::stream_cancelled: return "the SPDY stream was given up; the session goes on";
    case errc::no_answer: return "the server has stopped answering: the path to it is dead, or it hangs; the SPDY session has ended";
    case errc::reader_too_slow: return "more data came than its reader took, on a session that others share; the SPDY stream was reset";
    }
    return "unknown SPDY error";
}

inline cond condition(errc e) noexcept
{
    switch (e) {
    case errc::frame_too_large:
    case errc::header_block_too_large:
    case errc::too_many_headers:
    case errc::reader_too_slow: return cond::too_large;
    case errc::session_closed:
    case errc::going_away:
    case errc::stream_reset: return cond::unavailable;
    case errc::stream_cancelled: return cond::cancelled;
    case errc::no_answer: return cond::timed_out;
    default: return cond::malformed;
    }
}

inline std::error_code make_error_code(errc e) noexcept { return make_domain_error(e); }

} // namespace podproxy::spdy

template <>
struct std::is_error_code_enum<podproxy::spdy::errc> : std::true_type {};

namespace podproxy::spdy {

/// The same for an error code of any kind: false for those of other domains.
inline bool concerns_stream(std::error_code ec) noexcept
{
    return ec.category() == category_of<errc>() && concerns_stream(static_cast<errc>(ec.value()));
}

} // namespace podproxy::spdy

#endif
