#ifndef PODPROXY_DOCKER_OBJECTS_HPP
#define PODPROXY_DOCKER_OBJECTS_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/docker/container.hpp>
#include <podproxy/docker/errc.hpp>
#include <podproxy/json/document.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::docker {

/// Longest answers that are read, in bytes: a list of ten thousand containers, an inspection with long logs of health checks.
inline constexpr std::size_t max_list_bytes = 64 * 1024 * 1024;
inline constexpr std::size_t max_inspect_bytes = 8 * 1024 * 1024;
inline constexpr std::size_t max_event_bytes = 1024 * 1024;
/// Of a container's log: its last line.
inline constexpr std::size_t max_log_bytes = 256 * 1024;
/// Longest line that `last_log_line` gives.
inline constexpr std::size_t max_log_line = 512;

/** Read the answer to `GET /containers/{id}/json`. Members that are not known are passed over.
    @return `errc::bad_answer` for anything that is no container with an id. */
result<container> parse_container(std::string_view json);

/** Read the answer to `GET /containers/json`: health and exit code are taken from its words for people (`Up 2 minutes (healthy)`,
    `Exited (1) 3 days ago`).
    @return `errc::bad_answer` when it is no array; entries without an id are left out. */
result<std::vector<container>> parse_container_list(std::string_view json);

/** Read one object of `GET /events`, Docker's or Podman's.
    @return `errc::bad_answer` for anything that is no event; one of something else than a container is of the kind `other`. */
result<event> parse_event(json::parser& parser, std::string_view json);

/// What an action means, `start` or `health_status: healthy`.
event_kind kind_of_action(std::string_view action) noexcept;

/// The sentence of an error's answer, `{"message":"..."}`; the text itself where it is no JSON.
std::string parse_error_message(std::string_view body);

/** The last line that is not blank of what `GET /containers/{id}/logs` gives: of frames (a type, three zeros, the length in four bytes,
    the content), or of plain text where the container has a terminal. Control characters become blanks, and what is no UTF-8 becomes `?`.
    A frame that is cut counts as far as it goes. */
std::string last_log_line(bytes_view log);

} // namespace podproxy::docker

#include <podproxy/docker/impl/objects.ipp>

#endif
