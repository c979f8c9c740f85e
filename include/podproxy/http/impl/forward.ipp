#ifndef PODPROXY_HTTP_IMPL_FORWARD_IPP
#define PODPROXY_HTTP_IMPL_FORWARD_IPP

#include <podproxy/http/forward.hpp>
#include <podproxy/http/serialise.hpp>
#include <algorithm>
#include <utility>
#include <vector>

namespace podproxy::http {

namespace detail {

inline bool is_hop_by_hop(std::string_view name) noexcept
{
    static constexpr std::string_view names[] = {
        "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info",
        "TE",         "Transfer-Encoding", "Upgrade"};
    return std::any_of(std::begin(names), std::end(names), [&](std::string_view n) { return iequals(n, name); });
}

/// Add our entry behind the others, in one field where there is one already.
inline void append_via(fields& f, version received, std::string_view pseudonym)
{
    std::string value;
    for (field const x : f) {
        if (!iequals(x.name, "Via")) continue;
        if (!value.empty()) value += ", ";
        value += x.value;
    }
    if (!value.empty()) value += ", ";
    value.append(received == version::http_1_0 ? "1.0 " : "1.1 ").append(pseudonym);
    f.set("Via", value);
}

inline void add_framing(fields& f, body_framing framing)
{
    f.remove("Content-Length");
    f.remove("Transfer-Encoding");
    if (framing.kind == framing_kind::chunked) f.add("Transfer-Encoding", "chunked");
    if (framing.kind == framing_kind::length) f.add("Content-Length", std::to_string(framing.length));
}

/// All values of the lists in the fields with that name, as one list.
inline std::string joined(fields const& f, std::string_view name)
{
    std::string out;
    f.for_each_element(name, [&](std::string_view element) {
        if (!out.empty()) out += ", ";
        out += element;
    });
    return out;
}

} // namespace detail

inline void remove_hop_by_hop(fields& f)
{
    std::vector<std::string> named;
    f.for_each_element("Connection", [&](std::string_view name) { named.emplace_back(name); });
    f.remove_if([&](field const& x) {
        return detail::is_hop_by_hop(x.name) ||
               std::any_of(named.begin(), named.end(), [&](std::string const& n) { return iequals(n, x.name); });
    });
}

inline result<forward_request> make_upstream_request(request_head in, body_framing framing, std::string_view pseudonym)
{
    auto const target = parse_target(in.method, in.target);
    if (!target) return target.error();
    if (target->form != target_form::absolute) return errc::bad_target;
    bool const websocket = iequals(target->scheme, "ws");
    if (!iequals(target->scheme, "http") && !websocket) return errc::unsupported_scheme;

    forward_request out;
    out.framing = framing;
    out.destination = target->authority.with_default_port(80);

    std::string origin(target->path_and_query);
    if (origin.empty() && in.method == "OPTIONS") origin = "*";
    else if (origin.empty() || origin[0] == '?') origin.insert(0, "/");

    std::string host;
    if (target->authority.ipv6) host.append("[").append(target->authority.host).append("]");
    else host = target->authority.host;
    if (target->authority.port) host.append(":").append(std::to_string(*target->authority.port));

    std::string const protocols = wants_upgrade(in) ? detail::joined(in.fields, "Upgrade") : std::string();
    out.upgrade = !protocols.empty();
    bool const trailers = in.fields.has_token("TE", "trailers");

    fields& f = in.fields;
    bool const has_length = f.contains("Content-Length"); // `Content-Length: 0` is kept: it tells that there is no content
    remove_hop_by_hop(f);
    f.remove("Host");
    if (in.version == version::http_1_0) f.remove("Expect");
    detail::add_framing(f, framing);
    if (has_length && framing.kind == framing_kind::none) f.add("Content-Length", "0");
    detail::append_via(f, in.version, pseudonym);

    if (in.method == "TRACE" || in.method == "OPTIONS") {
        if (auto const left = f.find("Max-Forwards")) {
            auto const hops = detail::parse_length(*left);
            if (hops && *hops == 0) out.answer_here = true;
            else if (hops) f.set("Max-Forwards", std::to_string(*hops - 1));
        }
    }
    std::string connection;
    if (out.upgrade) connection = "Upgrade";
    if (trailers) connection += connection.empty() ? "TE" : ", TE";

    out.head.method = std::move(in.method);
    out.head.target = std::move(origin);
    out.head.fields.add("Host", host);
    for (field const x : f) out.head.fields.add(x.name, x.value);
    if (trailers) out.head.fields.add("TE", "trailers");
    if (out.upgrade) out.head.fields.add("Upgrade", protocols);
    if (!connection.empty()) out.head.fields.add("Connection", connection);
    return out;
}

inline local_answer answer_max_forwards(forward_request const& request)
{
    local_answer out;
    if (request.head.method == "OPTIONS") {
        out.head.fields.add("Allow", "GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH");
        out.head.fields.add("Content-Length", "0");
        return out;
    }
    request_head shown = request.head;
    for (std::string_view const secret : {"Authorization", "Cookie", "Proxy-Authorization"}) shown.fields.remove(secret);
    // A head that came in well-formed can be written again.
    if (!encode_request_head(out.body, shown)) out.body.clear();
    out.head.fields.add("Content-Type", "message/http");
    out.head.fields.add("Content-Length", std::to_string(out.body.size()));
    return out;
}

inline forward_response make_downstream_response(response_head in, body_framing framing, std::string_view method, version client,
                                                 bool client_keep_alive, std::string_view pseudonym)
{
    forward_response out;
    fields& f = in.fields;
    bool const interim = in.status < 200;
    std::string const protocols = in.status == 101 ? detail::joined(f, "Upgrade") : std::string();
    // Answers without content may tell the length that it would have: to HEAD, and 304.
    std::optional<std::uint64_t> told_length;
    if (framing.kind == framing_kind::none && !interim && in.status != 204)
        if (auto const length = content_length(f)) told_length = *length;

    version const received = in.version;
    remove_hop_by_hop(f);
    out.framing = framing;
    out.keep_alive = client_keep_alive && client == version::http_1_1;
    if (framing.kind == framing_kind::until_close || (framing.kind == framing_kind::chunked && client == version::http_1_0)) {
        if (client == version::http_1_1) out.framing.kind = framing_kind::chunked;
        else out.framing.kind = framing_kind::until_close;
    }
    detail::add_framing(f, out.framing);
    if (client == version::http_1_0) f.remove("Trailer");
    bool const without_content = method == "HEAD" || in.status == 304 || in.status == 204 || interim || (method == "CONNECT" && in.status < 300);
    if (told_length) f.add("Content-Length", std::to_string(*told_length));
    else if (framing.kind == framing_kind::none && !without_content) f.add("Content-Length", "0");
    detail::append_via(f, received, pseudonym);
    if (in.status == 101) {
        f.add("Upgrade", protocols);
        f.add("Connection", "Upgrade");
    } else if (!interim && !out.keep_alive) {
        f.add("Connection", "close");
    }
    in.version = version::http_1_1;
    out.head = std::move(in);
    return out;
}

inline fields forward_trailers(fields const& in)
{
    fields out;
    for (field const f : in)
        if (is_allowed_trailer(f.name)) out.add(f.name, f.value);
    return out;
}

} // namespace podproxy::http

#endif
