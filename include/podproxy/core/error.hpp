#ifndef PODPROXY_CORE_ERROR_HPP
#define PODPROXY_CORE_ERROR_HPP

#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace podproxy {

/** What kind of failure an error code is, for policy: retry, fallback and metric labels compare these, never exact codes.

    Compare with `ec == cond::refused`. Every domain maps its own `errc` onto these, and `system_category` codes
    (sockets, files) are mapped here. */
enum class cond {
    timed_out = 1, ///< A deadline or an idle limit passed.
    cancelled,     ///< We gave up on purpose.
    end_of_stream, ///< The peer ended cleanly, at a message boundary.
    malformed,     ///< The peer broke the protocol; the connection is not usable any more.
    too_large,     ///< A limit of ours was reached.
    refused,       ///< The far side answered and said no (closed port, not allowed by rules of the destination).
    unauthorized,  ///< Credentials are missing, wrong or not sufficient.
    not_found,     ///< The named object does not exist.
    unavailable,   ///< The far side can't be reached or can't serve now; trying again later may help.
};

} // namespace podproxy

template <>
struct std::is_error_condition_enum<podproxy::cond> : std::true_type {};

namespace podproxy {

/// Whether the operating system is the source of `ec`, whoever reports it: Asio has a category of its own for these.
inline bool is_from_system(std::error_code ec) noexcept
{
    std::string_view const category = ec.category().name();
    return category == "system" || category == "generic" || category == "asio.system";
}

/// Whether `ec` is this error of the operating system. Asio's own category does not compare with `std::errc`.
inline bool is_system_error(std::error_code ec, std::errc e) noexcept { return ec.value() == static_cast<int>(e) && is_from_system(ec); }

namespace detail {

inline bool system_code_is(int value, cond c) noexcept
{
    switch (static_cast<std::errc>(value)) {
    case std::errc::timed_out: return c == cond::timed_out || c == cond::unavailable;
    case std::errc::operation_canceled: return c == cond::cancelled;
    case std::errc::connection_refused: return c == cond::refused;
    case std::errc::permission_denied:
    case std::errc::operation_not_permitted: return c == cond::unauthorized;
    case std::errc::no_such_file_or_directory: return c == cond::not_found;
    case std::errc::message_size:
    case std::errc::file_too_large: return c == cond::too_large;
    case std::errc::network_unreachable:
    case std::errc::host_unreachable:
    case std::errc::network_down:
    case std::errc::connection_reset:
    case std::errc::connection_aborted:
    case std::errc::broken_pipe:
    case std::errc::not_connected:
    case std::errc::too_many_files_open:
    case std::errc::too_many_files_open_in_system: return c == cond::unavailable;
    default: return false;
    }
}

class cond_category_type final : public std::error_category {
public:
    char const* name() const noexcept override { return "podproxy.cond"; }
    std::string message(int value) const override
    {
        switch (static_cast<cond>(value)) {
        case cond::timed_out: return "timed out";
        case cond::cancelled: return "cancelled";
        case cond::end_of_stream: return "end of stream";
        case cond::malformed: return "malformed data from the peer";
        case cond::too_large: return "larger than the limit";
        case cond::refused: return "refused by the far side";
        case cond::unauthorized: return "not authorized";
        case cond::not_found: return "not found";
        case cond::unavailable: return "unavailable";
        }
        return "unknown condition";
    }
    bool equivalent(std::error_code const& ec, int value) const noexcept override
    {
        // Asio has categories of its own: known by their names here, where there is no Asio.
        std::string_view const category = ec.category().name();
        if (is_from_system(ec)) return system_code_is(ec.value(), static_cast<cond>(value));
        if (category == "asio.misc" && ec.value() == 2) return static_cast<cond>(value) == cond::end_of_stream;
        if (category == "asio.netdb" && ec.value() == 1) return static_cast<cond>(value) == cond::not_found;
        if (category == "asio.netdb" || category == "asio.addrinfo") return static_cast<cond>(value) == cond::unavailable;
        return false;
    }
};

} // namespace detail

inline std::error_category const& cond_category() noexcept
{
    static detail::cond_category_type const instance;
    return instance;
}

inline std::error_condition make_error_condition(cond c) noexcept { return {static_cast<int>(c), cond_category()}; }

/** The error category of one domain, made from three functions that the domain declares beside its `errc`:

        std::string_view errc_domain(errc) noexcept;   // "podproxy.socks5"
        std::string_view describe(errc) noexcept;      // a complete phrase: who is at fault, is the connection usable
        cond             condition(errc) noexcept;     // the broad kind

    and used as `inline std::error_code make_error_code(errc e) noexcept { return make_domain_error(e); }`. */
template <class Errc>
class domain_category final : public std::error_category {
public:
    char const* name() const noexcept override { return errc_domain(Errc{}).data(); }
    std::string message(int value) const override { return std::string(describe(static_cast<Errc>(value))); }
    std::error_condition default_error_condition(int value) const noexcept override
    {
        return make_error_condition(condition(static_cast<Errc>(value)));
    }
};

template <class Errc>
inline std::error_category const& category_of() noexcept
{
    static domain_category<Errc> const instance;
    return instance;
}

template <class Errc>
inline std::error_code make_domain_error(Errc e) noexcept
{
    return {static_cast<int>(e), category_of<Errc>()};
}

/// Errors that belong to no protocol: they are about the use of a stream or a limit of ours.
enum class errc {
    would_block = 1, ///< Nothing can be read or written at this moment; wait and try again.
    end_of_stream,   ///< The peer ended its direction at a message boundary. The other direction may go on.
    truncated,       ///< The stream ended inside a message. The connection is not usable.
    buffer_full,     ///< A buffer reached its `max_size`.
    timed_out,       ///< A deadline of ours passed.
    cancelled,       ///< The operation was given up on purpose.
    unavailable,     ///< What is needed is not there now.
    malformed,       ///< Text or bytes that do not follow their grammar.
};

inline std::string_view errc_domain(errc) noexcept { return "podproxy"; }

inline std::string_view describe(errc e) noexcept
{
    switch (e) {
    case errc::would_block: return "nothing to read or no room to write at this moment";
    case errc::end_of_stream: return "the peer has ended its side of the connection";
    case errc::truncated: return "the connection ended in the middle of a message";
    case errc::buffer_full: return "more data than the configured limit allows";
    case errc::timed_out: return "timed out";
    case errc::cancelled: return "cancelled";
    case errc::unavailable: return "not available now";
    case errc::malformed: return "not in the expected form";
    }
    return "unknown error";
}

inline cond condition(errc e) noexcept
{
    switch (e) {
    case errc::end_of_stream: return cond::end_of_stream;
    case errc::truncated:
    case errc::malformed: return cond::malformed;
    case errc::buffer_full: return cond::too_large;
    case errc::timed_out: return cond::timed_out;
    case errc::cancelled: return cond::cancelled;
    case errc::would_block:
    case errc::unavailable: return cond::unavailable;
    }
    return cond::malformed;
}

inline std::error_code make_error_code(errc e) noexcept { return make_domain_error(e); }

} // namespace podproxy

template <>
struct std::is_error_code_enum<podproxy::errc> : std::true_type {};

#endif
