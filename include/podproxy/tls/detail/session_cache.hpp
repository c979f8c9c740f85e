#ifndef PODPROXY_TLS_DETAIL_SESSION_CACHE_HPP
#define PODPROXY_TLS_DETAIL_SESSION_CACHE_HPP

#include <podproxy/tls/detail/handles.hpp>
#include <cstddef>
#include <deque>
#include <list>
#include <string>
#include <string_view>
#include <utility>

namespace podproxy::tls::detail {

/** Sessions that servers offered for resumption, newest first, per verified server name.

    TLS 1.3 tickets leave the cache when they are used (RFC 8446 C.4: a ticket seen twice links two connections); TLS 1.2
    sessions stay. */
class session_cache {
public:
    static constexpr std::size_t max_names = 32;

    explicit session_cache(std::size_t per_name) noexcept : per_name_(per_name) {}

    void put(std::string_view name, session_ptr session)
    {
        if (per_name_ == 0 || !SSL_SESSION_is_resumable(session.get())) return;
        auto& sessions = of(name);
        if (!single_use(session.get())) sessions.clear(); // the newest is as good as all
        sessions.push_front(std::move(session));
        if (sessions.size() > per_name_) sessions.pop_back();
    }

    /// The best session for `name`, or null.
    session_ptr take(std::string_view name)
    {
        for (auto it = names_.begin(); it != names_.end(); ++it) {
            if (it->name != name || it->sessions.empty()) continue;
            names_.splice(names_.begin(), names_, it);
            SSL_SESSION* const first = it->sessions.front().get();
            if (!single_use(first)) {
                SSL_SESSION_up_ref(first);
                return session_ptr(first);
            }
            session_ptr out = std::move(it->sessions.front());
            it->sessions.pop_front();
            return out;
        }
        return nullptr;
    }

    /// Sessions kept for `name`.
    std::size_t size(std::string_view name) const noexcept
    {
        for (auto const& n : names_)
            if (n.name == name) return n.sessions.size();
        return 0;
    }

private:
    struct entry {
        std::string name;
        std::deque<session_ptr> sessions;
    };

    static bool single_use(SSL_SESSION const* s) noexcept { return SSL_SESSION_get_protocol_version(s) >= TLS1_3_VERSION; }

    std::deque<session_ptr>& of(std::string_view name)
    {
        for (auto it = names_.begin(); it != names_.end(); ++it) {
            if (it->name != name) continue;
            names_.splice(names_.begin(), names_, it);
            return it->sessions;
        }
        if (names_.size() >= max_names) names_.pop_back();
        names_.push_front({std::string(name), {}});
        return names_.front().sessions;
    }

    std::size_t per_name_;
    std::list<entry> names_; ///< the latest used first
};

} // namespace podproxy::tls::detail

#endif
