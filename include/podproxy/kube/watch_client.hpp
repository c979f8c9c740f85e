#ifndef PODPROXY_KUBE_WATCH_CLIENT_HPP
#define PODPROXY_KUBE_WATCH_CLIENT_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/json/document.hpp>
#include <podproxy/kube/api_client.hpp>
#include <podproxy/kube/errc.hpp>
#include <podproxy/kube/objects.hpp>
#include <podproxy/net/asio.hpp>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

namespace podproxy::kube {

struct watch_config {
    std::chrono::seconds length{120};             ///< The server ends a watch after so long, and the next one begins.
    std::chrono::milliseconds first_backoff{200}; ///< After a lost watch; doubled each time, up to `most_backoff`.
    std::chrono::milliseconds most_backoff{15'000};
};

/// Is told what a watch sees. Its answers tell whether an object could be understood; where not, the watch begins anew after a pause.
class watch_observer {
public:
    virtual ~watch_observer() = default;

    /// All objects that there are, in `items` of `list`: comes first and after every gap.
    virtual std::error_code on_list(json::value list) = 0;
    /// One object is new, has changed (`changed`) or is gone (`deleted`).
    virtual std::error_code on_event(watch_line const& event) = 0;
    /// A watch runs from now on: what was told is the truth.
    virtual void on_watching() {}
    /// No watch runs now. @param ec None: its time has passed, and the next one begins at once.
    virtual void on_gap(std::error_code ec, diagnostics const& why) { (void)ec, (void)why; }
};

/** Keeps the objects of one list true: lists them, then watches them.

    @par Source API concepts, "efficient detection of changes": list, watch, bookmarks, 410 = list again
    @par Lifetime The API client and the observer outlive it; one coroutine of it at a time. */
class watch_client {
public:
    /// @param path Of the list, with its selectors: `/api/v1/namespaces/shop/pods?labelSelector=...`
    watch_client(net::executor ex, api_client& api, std::string path, watch_observer& observer, watch_config config = {})
        : executor_(ex), api_(api), path_(std::move(path)), observer_(observer), config_(config)
    {
    }
    watch_client(watch_client const&) = delete;
    watch_client& operator=(watch_client const&) = delete;

    /// List now. @par Cancel terminal. @return what `api_client::get` or the observer says.
    net::awaitable<result<void>> list(diagnostics& why);

    /** Watch on from the last list, and go on when a watch ends or is lost.
        @par Cancel terminal: ends with `operation_aborted`.
        @return `errc::forbidden` where watching is not allowed, or nothing after `forget`. */
    net::awaitable<std::error_code> follow();

    /// `list`, again and again until it succeeds, then `follow`. @return as `follow`; also `errc::forbidden` and `errc::not_found` of the list.
    net::awaitable<std::error_code> run();

    /// Nobody wants to know any more: end with the next event.
    void forget() noexcept { forgotten_ = true; }

private:
    net::awaitable<std::error_code> watch_once(diagnostics& why);
    net::awaitable<void> pause(std::chrono::milliseconds& backoff);

    net::executor executor_;
    api_client& api_;
    std::string path_;
    watch_observer& observer_;
    watch_config config_;
    std::string resource_version_;
    bool forgotten_ = false;
};

} // namespace podproxy::kube

#include <podproxy/kube/impl/watch_client.ipp>

#endif
