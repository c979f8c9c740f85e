#ifndef PODPROXY_TESTS_UNIT_HTTP_TRANSCRIPT_HPP
#define PODPROXY_TESTS_UNIT_HTTP_TRANSCRIPT_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/http/parser.hpp>
#include <span>
#include <string>
#include <string_view>

namespace podproxy::test {

inline std::string show(http::fields const& f)
{
    std::string out;
    for (http::field const x : f) out.append("<").append(x.name).append(">=<").append(x.value).append(">\n");
    return out;
}

inline std::string show(http::request_head const& h)
{
    return "<" + h.method + "> <" + h.target + "> " + std::string(to_string(h.version)) + "\n" + show(h.fields);
}

inline std::string show(http::response_head const& h)
{
    return std::to_string(h.status) + " <" + h.reason + "> " + std::string(to_string(h.version)) + "\n" + show(h.fields);
}

inline std::string show(http::body_framing f)
{
    switch (f.kind) {
    case http::framing_kind::none: return "none";
    case http::framing_kind::length: return "length " + std::to_string(f.length);
    case http::framing_kind::chunked: return "chunked";
    case http::framing_kind::until_close: return "until close";
    }
    return "?";
}

/// Reads heads one after the other, without content between them; the last line says what was left.
template <class Decoder>
std::string head_transcript(std::span<bytes_view const> pieces, http::head_limits limits = {}, bool once = true)
{
    Decoder d(limits);
    std::string out;
    std::size_t rest = 0;
    bool ended = false;
    for (bytes_view in : pieces) {
        while (!ended && !in.empty()) {
            http::head_step const s = d.next(in);
            if (s.consumed > in.size()) return "consumed too much";
            in = in.subspan(s.consumed);
            if (s.status == http::head_status::failed) return out + "error: " + s.error.message();
            if (s.status == http::head_status::need_more) {
                if (!in.empty()) return "left bytes although it wants more";
                continue;
            }
            out += show(d.take_head());
            if constexpr (requires { d.framing(); }) out += "framing " + show(d.framing()) + "\n";
            d.reset();
            ended = once;
        }
        rest += in.size();
    }
    return out + (d.started() ? "partial, " : "") + std::to_string(rest) + " left";
}

inline std::string body_transcript(std::span<bytes_view const> pieces, http::body_framing framing, http::chunk_limits limits = {})
{
    http::body_decoder d(framing, limits);
    std::string content;
    std::size_t rest = 0;
    bool ended = d.done();
    for (bytes_view in : pieces) {
        while (!ended && !in.empty()) {
            http::body_step const s = d.next(in);
            if (s.consumed > in.size()) return "consumed too much";
            if (s.status == http::body_status::failed) return content + "|error: " + s.error.message();
            content += as_text(s.data);
            in = in.subspan(s.consumed);
            ended = d.done();
            if (s.status == http::body_status::need_more && !in.empty()) return "left bytes although it wants more";
        }
        rest += in.size();
    }
    return content + "|" + show(d.trailers()) + (ended ? "done, " : "open, ") + std::to_string(rest) + " left";
}

} // namespace podproxy::test

#endif
