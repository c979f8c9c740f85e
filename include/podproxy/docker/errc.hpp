#ifndef PODPROXY_DOCKER_ERRC_HPP
#define PODPROXY_DOCKER_ERRC_HPP

#include <podproxy/core/error.hpp>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace podproxy::docker {

/// What an engine, or the way to it, can do to a request. The connection is taken care of: the next request may be made.
enum class errc {
    bad_endpoint = 1,     ///< DOCKER_HOST is not an address. Ours to mend.
    unsupported_endpoint, ///< DOCKER_HOST is of a kind that is not spoken here: `ssh://`, `npipe://`. Ours to mend.
    bad_certificates,     ///< The files below DOCKER_CERT_PATH can't be read or used. Ours to mend.
    unreachable,          ///< The engine does not listen there, or does not answer.
    permission_denied,    ///< This user may not open the engine's socket.
    forbidden,            ///< The engine, or a filter in front of it, does not allow the request.
    not_found,            ///< There is no such container (any more).
    conflict,             ///< The container's state does not allow it.
    engine_error,         ///< The engine answered with another error; its sentence is in the diagnostics.
    bad_answer,           ///< The engine's answer can't be understood.
};

inline std::string_view errc_domain(errc) noexcept { return "podproxy.docker"; }

inline std::string_view describe(errc e) noexcept
{
    switch (e) {
    case errc::bad_endpoint: return "the container engine's address is not valid";
    case errc::unsupported_endpoint: return "a container engine can't be reached that way from here";
    case errc::bad_certificates: return "the certificates for the container engine can't be used";
    case errc::unreachable: return "the container engine can't be reached";
    case errc::permission_denied: return "no permission to use the container engine's socket";
    case errc::forbidden: return "the container engine does not allow this request";
    case errc::not_found: return "there is no such container";
    case errc::conflict: return "the container's state does not allow this";
    case errc::engine_error: return "the container engine answered with an error";
    case errc::bad_answer: return "the container engine's answer can't be understood";
    }
    return "unknown error";
}

inline cond condition(errc e) noexcept
{
    switch (e) {
    case errc::bad_endpoint:
    case errc::unsupported_endpoint:
    case errc::bad_certificates:
    case errc::bad_answer: return cond::malformed;
    case errc::unreachable:
    case errc::engine_error: return cond::unavailable;
    case errc::permission_denied:
    case errc::forbidden: return cond::unauthorized;
    case errc::not_found: return cond::not_found;
    case errc::conflict: return cond::refused;
    }
    return cond::malformed;
}

inline std::error_code make_error_code(errc e) noexcept { return make_domain_error(e); }

} // namespace podproxy::docker

template <>
struct std::is_error_code_enum<podproxy::docker::errc> : std::true_type {};

#endif
