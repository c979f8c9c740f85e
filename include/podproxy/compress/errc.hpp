#ifndef PODPROXY_COMPRESS_ERRC_HPP
#define PODPROXY_COMPRESS_ERRC_HPP

#include <podproxy/core/error.hpp>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace podproxy::compress {

/// What can be wrong with compressed data. The data is the peer's, so is the fault; the stream can't be continued.
enum class errc {
    bad_data = 1,     ///< Not a zlib stream, or a damaged one.
    wrong_dictionary, ///< The stream was made with a dictionary that we do not have.
    stream_ended,     ///< There is more input behind the end of the zlib stream.
    too_large,        ///< The data unpacks to more than the limit allows.
};

inline std::string_view errc_domain(errc) noexcept { return "podproxy.compress"; }

inline std::string_view describe(errc e) noexcept
{
    switch (e) {
    case errc::bad_data: return "the peer sent damaged compressed data; the connection is not usable";
    case errc::wrong_dictionary: return "the peer compressed with another dictionary; the connection is not usable";
    case errc::stream_ended: return "the peer sent data behind the end of its compressed stream; the connection is not usable";
    case errc::too_large: return "the peer's compressed data unpacks to more than the limit; the connection is not usable";
    }
    return "unknown compression error";
}

inline cond condition(errc e) noexcept { return e == errc::too_large ? cond::too_large : cond::malformed; }

inline std::error_code make_error_code(errc e) noexcept { return make_domain_error(e); }

} // namespace podproxy::compress

template <>
struct std::is_error_code_enum<podproxy::compress::errc> : std::true_type {};

#endif
