#ifndef PODPROXY_HTTP_MESSAGE_HPP
#define PODPROXY_HTTP_MESSAGE_HPP

#include <podproxy/http/fields.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace podproxy::http {

/// The versions that we speak. A peer with a higher minor version is treated as 1.1, RFC 9110 section 2.5.
enum class version { http_1_0, http_1_1 };

constexpr std::string_view to_string(version v) noexcept { return v == version::http_1_0 ? "HTTP/1.0" : "HTTP/1.1"; }

/// A request without its content. Like `response_head` it has constructors on purpose: GCC 12 destroys an aggregate temporary
/// twice when it is built inside a `co_await` expression.
struct request_head {
    std::string method;  ///< Case counts: `GET`.
    std::string target;  ///< As it stands on the wire; `parse_target` takes it apart.
    http::version version = http::version::http_1_1;
    http::fields fields;

    request_head() = default;
    request_head(std::string m, std::string t, http::fields f = {}) : method(std::move(m)), target(std::move(t)), fields(std::move(f)) {}

    friend bool operator==(request_head const&, request_head const&) = default;
};

/// A response without its content.
struct response_head {
    unsigned status = 200; ///< 100 to 999.
    std::string reason;    ///< May be empty.
    http::version version = http::version::http_1_1;
    http::fields fields;

    response_head() = default;
    explicit response_head(unsigned s, http::fields f = {}) : status(s), fields(std::move(f)) {}

    friend bool operator==(response_head const&, response_head const&) = default;
};

/** Whether the sender of this head is willing to keep the connection for another message, RFC 9112 section 9.3:
    HTTP/1.1 unless it says `close`, HTTP/1.0 only if it says `keep-alive`. */
template <class Head>
bool wants_keep_alive(Head const& head)
{
    if (head.fields.has_token("Connection", "close")) return false;
    return head.version == version::http_1_1 || head.fields.has_token("Connection", "keep-alive");
}

/// Whether the request asks to switch to another protocol: HTTP/1.1, `Connection: upgrade` and a list in `Upgrade`.
inline bool wants_upgrade(request_head const& head)
{
    return head.version == version::http_1_1 && head.fields.has_token("Connection", "upgrade") &&
           !head.fields.get("Upgrade").empty();
}

/// Whether the client waits for `100 Continue` before it sends the content, RFC 9110 section 10.1.1.
inline bool expects_continue(request_head const& head)
{
    return head.version == version::http_1_1 && head.fields.has_token("Expect", "100-continue");
}

/// GET, HEAD, OPTIONS, TRACE, PUT, DELETE: sending the request twice has the effect of sending it once, RFC 9110 section 9.2.2.
inline bool is_idempotent(std::string_view method) noexcept
{
    return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE" || method == "PUT" || method == "DELETE";
}

/// The usual phrase for a status, empty for those that have none.
constexpr std::string_view reason_phrase(unsigned status) noexcept
{
    switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 407: return "Proxy Authentication Required";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return {};
    }
}

} // namespace podproxy::http

#endif
