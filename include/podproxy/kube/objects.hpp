#ifndef PODPROXY_KUBE_OBJECTS_HPP
#define PODPROXY_KUBE_OBJECTS_HPP

#include <podproxy/core/result.hpp>
#include <podproxy/json/document.hpp>
#include <podproxy/kube/endpoints.hpp>
#include <podproxy/kube/errc.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::kube {

/// Longest API answer that is read, in bytes: a list of a few thousand endpoints.
inline constexpr std::size_t max_answer_bytes = 16 * 1024 * 1024;

/// Read a Service, core/v1. @return `errc::bad_answer` for anything that is no Service.
result<service> parse_service(std::string_view json);

/// EndpointSlices of one list answer, with the version from which a watch goes on.
struct endpoint_slice_list {
    std::vector<endpoint_slice> slices;
    std::string resource_version;
};

/// Read an EndpointSliceList, discovery.k8s.io/v1.
result<endpoint_slice_list> read_endpoint_slice_list(json::value list);
result<endpoint_slice_list> parse_endpoint_slice_list(std::string_view json);

/// One line of a watch.
struct watch_event {
    enum class kind {
        changed,  ///< ADDED or MODIFIED: `slice` is its new state.
        deleted,  ///< `slice.name` is gone.
        bookmark, ///< Only `resource_version` is new.
        error,    ///< The server ends the watch with a Status; `code` is its number (410: list again).
    };
    kind what = kind::bookmark;
    endpoint_slice slice;
    std::string resource_version;
    std::int64_t code = 0;
    std::string message;
};

/// One line of a watch on objects of any kind.
struct watch_line {
    watch_event::kind what = watch_event::kind::bookmark;
    json::value object; ///< A view into the parser.
    std::string resource_version;
    std::int64_t code = 0;
    std::string message;
};

/// Read one line of a watch. @param parser Holds what `object` shows.
result<watch_line> read_watch_line(json::parser& parser, std::string_view json);

/// Read an EndpointSlice, discovery.k8s.io/v1. @return `errc::bad_answer` for one without a name.
result<endpoint_slice> read_endpoint_slice(json::value object);

/// Read one line of a watch on EndpointSlices.
result<watch_event> parse_watch_event(std::string_view json);

/// Read a Status, meta/v1: the sentence that the API server has for a person. @return an empty text for anything else.
std::string parse_status_message(std::string_view json);

} // namespace podproxy::kube

#include <podproxy/kube/impl/objects.ipp>

#endif
