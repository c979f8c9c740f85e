#ifndef PODPROXY_WEB_STATUS_PAGES_HPP
#define PODPROXY_WEB_STATUS_PAGES_HPP

#include <podproxy/core/clock.hpp>
#include <podproxy/core/log.hpp>
#include <podproxy/core/secret.hpp>
#include <podproxy/http/message.hpp>
#include <podproxy/metrics/registry.hpp>
#include <podproxy/web/status_source.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::web {

/// Whether the page has buttons, and what they ask for is done.
enum class actions : std::uint8_t { refused, allowed };

struct status_config {
    std::string program; ///< `wake-proxy`
    std::string version;
    /// Names, without port, by which the port may be asked beside IP addresses and `localhost`: a page of somebody else whose name leads to
    /// this machine must not be able to read it.
    std::vector<std::string> names;
    /// Asked of everybody, as bearer token or as the password of Basic authentication, but for the bare answer of `/healthz`. Empty: nobody is asked.
    secret token;
    web::actions actions = actions::refused;
    std::chrono::seconds refresh{2}; ///< Of the page with JavaScript; without, 5 seconds.
};

struct answer {
    http::response_head head;
    std::string body;
};

/** Decides what is answered on a status port. No I/O.

    | path | answer |
    |---|---|
    | `/` | the page; `/style.css`, `/script.js` and `/icon.svg` belong to it |
    | `/api/status` | the same for programs, as JSON |
    | `/metrics` | measurements, as Prometheus or OpenMetrics text |
    | `/healthz` | 200 or 503 with a sentence |
    | `POST /api/<kind>/<name>/<action>` | 202, what a button asks for has begun |

    Who may ask: a Host that is an IP address, `localhost` or one of `status_config::names` (else 421: DNS rebinding); with a token only who
    has it (401). A POST needs the field `X-Podproxy-Action`, which pages of other origins can't send, and an Origin and Sec-Fetch-Site, where they
    are there, of the same origin (403).
    @par Lifetime The source and the registry outlive it. */
class status_pages {
public:
    status_pages(status_source& source, metrics::registry& measured, status_config config, wall_time started = wall_now());

    /// @param log Told what a button has begun.
    web::answer answer(http::request_head const& request, logger const& log = {}) const;

private:
    std::optional<web::answer> refuse_host(http::request_head const& request) const;
    bool has_token(http::request_head const& request) const;
    std::optional<web::answer> refuse_foreign(http::request_head const& request) const;
    web::answer get(http::request_head const& request, std::string_view path) const;
    web::answer post(http::request_head const& request, std::string_view path, logger const& log) const;
    web::answer health_answer(bool with_sentence) const;

    status_source& source_;
    metrics::registry& measured_;
    status_config config_;
    wall_time started_;
};

/// The page as HTML: works without JavaScript, loads nothing from elsewhere. Texts are escaped.
std::string render_page(page_content const& content, health const& state, status_config const& config, wall_time now);

} // namespace podproxy::web

#include <podproxy/web/impl/status_pages.ipp>

#endif
