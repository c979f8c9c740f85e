#ifndef PODPROXY_HTTP_DETAIL_FIELD_LINE_HPP
#define PODPROXY_HTTP_DETAIL_FIELD_LINE_HPP

#include <podproxy/http/detail/chars.hpp>
#include <podproxy/http/errc.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <system_error>

namespace podproxy::http::detail {

/** Take one field line apart, `name ":" OWS value OWS` without its CRLF.

    @param line    The line; `offset` is where it starts in the text that owns it.
    @param out     Receives places relative to that text.
    @return an empty code, or what is wrong. */
inline std::error_code parse_field_line(std::string_view line, std::size_t offset, field_span& out) noexcept
{
    if (!line.empty() && is_blank(line.front())) return errc::obs_fold;
    std::size_t const colon = line.find(':');
    if (colon == std::string_view::npos) return errc::bad_field_name;
    std::string_view const name = line.substr(0, colon);
    if (!is_token(name)) return !name.empty() && is_blank(name.back()) ? errc::space_before_colon : errc::bad_field_name;
    std::string_view const value = trim(line.substr(colon + 1));
    if (!all(value, field_char)) return value.find('\r') != std::string_view::npos ? errc::bad_line_end : errc::bad_field_value;
    out.name = static_cast<std::uint32_t>(offset);
    out.name_size = static_cast<std::uint32_t>(name.size());
    out.value = static_cast<std::uint32_t>(offset) + static_cast<std::uint32_t>(value.data() - line.data());
    out.value_size = static_cast<std::uint32_t>(value.size());
    return {};
}

} // namespace podproxy::http::detail

#endif
