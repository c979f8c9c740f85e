#include <podproxy/net/timeout.hpp>
#include <asio/error.hpp>
#include <algorithm>
#include <cstdint>

namespace podproxy::kube {

inline net::awaitable<result<void>> watch_client::list(diagnostics& why)
{
    auto const text = co_await api_.get(path_, why);
    if (!text) co_return text.error();
    json::parser parser(max_answer_bytes);
    auto const list = parser.parse(*text);
    if (!list) co_return errc::bad_answer;
    if (auto const ec = observer_.on_list(*list)) co_return ec;
    resource_version_ = (*list)["metadata"]["resourceVersion"].text_or({});
    co_return result<void>{};
}

inline net::awaitable<std::error_code> watch_client::run()
{
    auto backoff = config_.first_backoff;
    while (!forgotten_) {
        diagnostics why;
        auto const listed = co_await list(why);
        if (listed) co_return co_await follow();
        auto const ec = listed.error();
        observer_.on_gap(ec, why);
        if (ec == errc::forbidden || ec == errc::not_found) co_return ec;
        co_await pause(backoff);
    }
    co_return std::error_code();
}

inline net::awaitable<std::error_code> watch_client::follow()
{
    auto backoff = config_.first_backoff;
    bool expired = false; // was the last end a 410?
    while (!forgotten_) {
        auto const started = net::clock::now();
        diagnostics why;
        auto const ec = co_await watch_once(why);
        auto const ended = net::clock::now();
        if (ec == asio::error::operation_aborted) co_return ec;
        bool const lasted = ended - started >= config_.first_backoff;
        bool const expired_again = std::exchange(expired, ec == errc::resource_expired) && !lasted;
        bool const orderly = (!ec && lasted) || (ec == errc::resource_expired && !expired_again);
        observer_.on_gap(orderly ? std::error_code() : ec ? ec : make_error_code(podproxy::errc::end_of_stream), why);
        if (forgotten_) break;
        if (ec == errc::forbidden) co_return ec;
        if (!ec && lasted) { // the server ended it as asked
            backoff = config_.first_backoff;
            continue;
        }
        if (ended - started > config_.most_backoff) backoff = config_.first_backoff;
        if (orderly) { // too old: once at once; a server that always says so is not asked without a pause
            if (co_await list(why)) continue;
        }
        co_await pause(backoff);
        (void)co_await list(why); // what happened meanwhile
    }
    co_return std::error_code();
}

/// Many watches lose their server at the same moment, so each waits a little differently.
inline net::awaitable<void> watch_client::pause(std::chrono::milliseconds& backoff)
{
    auto const chance = static_cast<std::uint32_t>(net::clock::now().time_since_epoch().count()) * 2654435761u >> 24;
    auto const wait = backoff / 2 + backoff / 2 * chance / 255;
    backoff = std::min(backoff * 2, config_.most_backoff);
    net::timer t(executor_, std::chrono::duration_cast<net::clock::duration>(wait));
    co_await t.async_wait(net::use_awaitable);
}

inline net::awaitable<std::error_code> watch_client::watch_once(diagnostics& why)
{
    constexpr std::size_t most_line = 4 * 1024 * 1024;
    auto c = co_await api_.watch(path_ + (path_.find('?') == std::string::npos ? "?" : "&") + "watch=true&allowWatchBookmarks=true&timeoutSeconds=" +
                                     std::to_string(config_.length.count()) + "&resourceVersion=" + resource_version_,
                                 why);
    if (!c) co_return c.error();
    observer_.on_watching();
    while (!forgotten_) {
        // The server ends the watch itself; a path that died without a word is found a little later.
        auto const line = co_await net::with_deadline((*c)->read_line(most_line), config_.length + std::chrono::seconds(15));
        if (!line) co_return line.error() == podproxy::errc::end_of_stream ? std::error_code() : line.error();
        json::parser parser(max_answer_bytes); // for each anew: a watch that waits keeps no memory
        auto const event = read_watch_line(parser, *line);
        if (!event) co_return event.error();
        switch (event->what) {
        case watch_event::kind::changed:
        case watch_event::kind::deleted:
            if (auto const ec = observer_.on_event(*event)) co_return ec;
            break;
        case watch_event::kind::bookmark: break;
        case watch_event::kind::error: co_return event->code == 410 ? errc::resource_expired : errc::api_error;
        }
        if (!event->resource_version.empty()) resource_version_ = event->resource_version;
    }
    co_return std::error_code();
}

} // namespace podproxy::kube
