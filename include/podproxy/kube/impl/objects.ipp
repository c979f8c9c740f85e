namespace podproxy::kube {

namespace detail {

inline std::uint16_t port_number(json::value v) noexcept
{
    auto const n = v.integer().value_or(0);
    return n > 0 && n <= 65535 ? static_cast<std::uint16_t>(n) : std::uint16_t{0};
}

/// The default protocol is TCP; others can't be forwarded.
inline bool is_tcp(json::value port) noexcept { return port["protocol"].text_or("TCP") == "TCP"; }

inline address_family family_of(std::string_view name) noexcept
{
    return name == "IPv4" ? address_family::ipv4 : name == "IPv6" ? address_family::ipv6 : address_family::other;
}

inline endpoint_slice read_slice(json::value object)
{
    endpoint_slice out;
    json::value const metadata = object["metadata"];
    out.name = metadata["name"].text_or({});
    out.family = family_of(object["addressType"].text_or("IPv4"));
    for (json::value const e : object["endpoints"].items()) {
        endpoint& point = out.endpoints.emplace_back();
        for (json::value const address : e["addresses"].items()) {
            point.address = address.text_or({});
            break;
        }
        point.hostname = e["hostname"].text_or({});
        json::value const ref = e["targetRef"];
        if (ref["kind"].text() == "Pod") {
            point.pod = ref["name"].text_or({});
            point.pod_namespace = ref["namespace"].text_or({});
            if (point.pod_namespace.empty()) point.pod_namespace = metadata["namespace"].text_or({}); // in slices that people write
        }
        json::value const conditions = e["conditions"];
        point.ready = conditions["ready"].boolean().value_or(true);
        point.serving = conditions["serving"].boolean().value_or(true);
        point.terminating = conditions["terminating"].boolean().value_or(false);
    }
    for (json::value const p : object["ports"].items()) {
        json::value const number = p["port"];
        bool const any = !number || number.is_null();
        auto const n = port_number(number);
        if (!is_tcp(p) || (n == 0 && !any)) continue;
        endpoint_port& port = out.ports.emplace_back();
        port.name = p["name"].text_or({});
        if (!any) port.port = n;
    }
    return out;
}

} // namespace detail

inline result<service> parse_service(std::string_view text)
{
    json::parser parser(max_answer_bytes);
    auto const d = parser.parse(text);
    if (!d || (*d)["kind"].text() != "Service") return errc::bad_answer;
    service out;
    out.resource_version = (*d)["metadata"]["resourceVersion"].text_or({});
    json::value const spec = (*d)["spec"];
    for (json::value const p : spec["ports"].items()) {
        auto const number = detail::port_number(p["port"]);
        if (detail::is_tcp(p) && number != 0) out.ports.push_back({std::string(p["name"].text_or({})), number});
    }
    for (json::value const family : spec["ipFamilies"].items()) out.families.push_back(detail::family_of(family.text_or({})));
    out.headless = spec["clusterIP"].text() == "None";
    if (spec["type"].text() == "ExternalName") out.external_name = spec["externalName"].text_or({});
    return out;
}

inline result<endpoint_slice_list> read_endpoint_slice_list(json::value list)
{
    if (list["kind"].text() != "EndpointSliceList") return errc::bad_answer;
    endpoint_slice_list out;
    out.resource_version = list["metadata"]["resourceVersion"].text_or({});
    for (json::value const item : list["items"].items()) {
        auto slice = read_endpoint_slice(item);
        if (!slice) return slice.error();
        out.slices.push_back(std::move(*slice));
    }
    return out;
}

inline result<endpoint_slice_list> parse_endpoint_slice_list(std::string_view text)
{
    json::parser parser(max_answer_bytes);
    auto const d = parser.parse(text);
    if (!d) return errc::bad_answer;
    return read_endpoint_slice_list(*d);
}

inline result<watch_line> read_watch_line(json::parser& parser, std::string_view text)
{
    auto const d = parser.parse(text);
    if (!d) return errc::bad_answer;
    auto const type = (*d)["type"].text_or({});
    watch_line out;
    out.object = (*d)["object"];
    if (type == "ERROR") {
        out.what = watch_event::kind::error;
        out.code = out.object["code"].integer().value_or(0);
        out.message = out.object["message"].text_or({});
        return out;
    }
    out.resource_version = out.object["metadata"]["resourceVersion"].text_or({});
    if (type == "BOOKMARK") return out;
    if (type != "ADDED" && type != "MODIFIED" && type != "DELETED") return errc::bad_answer;
    out.what = type == "DELETED" ? watch_event::kind::deleted : watch_event::kind::changed;
    return out;
}

inline result<endpoint_slice> read_endpoint_slice(json::value object)
{
    endpoint_slice out = detail::read_slice(object);
    if (out.name.empty()) return errc::bad_answer;
    return out;
}

inline result<watch_event> parse_watch_event(std::string_view text)
{
    json::parser parser(max_answer_bytes);
    auto const line = read_watch_line(parser, text);
    if (!line) return line.error();
    watch_event out;
    out.what = line->what;
    out.resource_version = line->resource_version;
    out.code = line->code;
    out.message = line->message;
    if (out.what != watch_event::kind::changed && out.what != watch_event::kind::deleted) return out;
    if (line->object["kind"].text() != "EndpointSlice") return errc::bad_answer;
    auto slice = read_endpoint_slice(line->object);
    if (!slice) return slice.error();
    out.slice = std::move(*slice);
    return out;
}

inline std::string parse_status_message(std::string_view text)
{
    json::parser parser(max_answer_bytes);
    auto const d = parser.parse(text);
    if (!d || (*d)["kind"].text() != "Status") return {};
    return std::string((*d)["message"].text_or({}));
}

} // namespace podproxy::kube
