#ifndef PODPROXY_JSON_ERRC_HPP
#define PODPROXY_JSON_ERRC_HPP

#include <podproxy/core/error.hpp>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace podproxy::json {

/// Why a text is no JSON document. The fault of whoever sent it; the connection that it came by may be usable.
enum class errc {
    malformed = 1, ///< Not JSON (RFC 8259), not UTF-8, or something stands behind the value.
    empty,         ///< Nothing but blanks.
    too_large,     ///< Longer than the limit.
    too_deep,      ///< Values in values, more than 1,000 deep.
};

inline std::string_view errc_domain(errc) noexcept { return "podproxy.json"; }

inline std::string_view describe(errc e) noexcept
{
    switch (e) {
    case errc::malformed: return "the text is not valid JSON";
    case errc::empty: return "a JSON document is expected, but the text is empty";
    case errc::too_large: return "the JSON document is larger than the limit";
    case errc::too_deep: return "the JSON document is nested too deeply";
    }
    return "unknown error";
}

inline cond condition(errc e) noexcept { return e == errc::too_large || e == errc::too_deep ? cond::too_large : cond::malformed; }
inline std::error_code make_error_code(errc e) noexcept { return make_domain_error(e); }

} // namespace podproxy::json

template <>
struct std::is_error_code_enum<podproxy::json::errc> : std::true_type {};

#endif
