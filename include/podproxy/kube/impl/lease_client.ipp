#include <podproxy/core/ascii.hpp>
#include <podproxy/core/hex.hpp>
#include <podproxy/core/percent.hpp>
#include <podproxy/crypto/random.hpp>
#include <podproxy/kube/objects.hpp>
#include <podproxy/net/timeout.hpp>
#include <array>

#include <unistd.h>

namespace podproxy::kube {

namespace detail {

/// The part of a name of an object that says who made it.
inline std::string clean_identity(std::string text)
{
    if (text.empty()) {
        std::array<char, 256> host{};
        if (::gethostname(host.data(), host.size() - 1) == 0) text = host.data();
        std::array<std::uint8_t, 3> chance{};
        crypto::random(chance);
        text += "-" + encode_hex(chance);
    }
    std::string out;
    for (char const c : ascii_lower(text)) out += (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
    if (out.size() > 120) out.erase(0, out.size() - 120); // what differs most is at the end
    while (out.starts_with('-')) out.erase(0, 1);
    while (out.ends_with('-')) out.pop_back();
    return out.empty() ? "x" : out;
}

} // namespace detail

inline lease_client::lease_client(net::executor ex, api_client& api, lease_config config, logger log)
    : api_(api), config_(std::move(config)), log_(log), wake_(ex)
{
    config_.identity = detail::clean_identity(std::move(config_.identity));
}

inline bool lease_client::leading() const noexcept
{
    if (config_.name.empty() || alone_) return true;
    return renewed_ && net::clock::now() - *renewed_ < std::chrono::milliseconds(config_.duration) * 2 / 3;
}

inline std::string lease_client::path(std::string_view name) const
{
    std::string out = "/apis/coordination.k8s.io/v1/namespaces/" + encode_percent(config_.ns) + "/leases";
    if (!name.empty()) out += "/" + encode_percent(name);
    return out;
}

inline lease lease_client::make(std::string name) const
{
    lease l;
    l.ns = config_.ns;
    l.name = std::move(name);
    l.labels.emplace(label, config_.name);
    l.holder = config_.identity;
    l.duration = config_.duration;
    l.renew_time = format_micro_time(wall_now());
    l.acquire_time = l.renew_time;
    return l;
}

inline void lease_client::remember(lease l)
{
    auto const now = net::clock::now();
    auto const it = seen_.find(l.name);
    bool const same = it != seen_.end() && it->second.lease.renew_time == l.renew_time && it->second.lease.holder == l.holder;
    auto const since = same ? it->second.since : now;
    std::string name = l.name;
    seen_.insert_or_assign(std::move(name), seen{std::move(l), since});
}

inline bool lease_client::expired(seen const& s) const
{
    if (s.lease.holder.empty() || net::clock::now() - s.since > s.lease.duration) return true;
    // Seen for the first time, but hours old: no clock is that wrong.
    auto const renewed = parse_rfc3339(s.lease.renew_time);
    return renewed && wall_now() - *renewed > std::chrono::hours(1) + s.lease.duration;
}

inline net::awaitable<result<void>> lease_client::look(diagnostics& why)
{
    auto const text = co_await api_.get(path({}) + "?labelSelector=" + encode_percent(std::string(label) + "=" + config_.name), why);
    if (!text) co_return text.error();
    json::parser parser(max_answer_bytes);
    auto const list = parser.parse(*text);
    if (!list || (*list)["kind"].text() != "LeaseList") co_return errc::bad_answer;
    std::map<std::string, seen> before = std::exchange(seen_, {});
    for (json::value const item : (*list)["items"].items()) {
        auto l = read_lease(item);
        if (!l) co_return l.error();
        if (auto it = before.find(l->name); it != before.end()) seen_.insert(before.extract(it));
        remember(std::move(*l));
    }
    co_return result<void>{};
}

/// Create or change a Lease. What the server answers is what is known then.
inline net::awaitable<result<void>> lease_client::put(lease l, diagnostics& why)
{
    bool const is_new = l.resource_version.empty();
    std::string method = is_new ? "POST" : "PATCH";
    std::string where = path(is_new ? std::string() : l.name);
    std::string type = is_new ? "application/json" : "application/merge-patch+json";
    auto const text = co_await api_.send(std::move(method), std::move(where), std::move(type), encode_lease(l), api_client::repetition::harmless, why);
    if (!text) co_return text.error();
    json::parser parser(max_answer_bytes);
    auto const object = parser.parse(*text);
    if (!object) co_return errc::bad_answer;
    auto changed = read_lease(*object);
    if (!changed) co_return changed.error();
    remember(std::move(*changed));
    co_return result<void>{};
}

/// Renew what is ours, take what is nobody's.
inline net::awaitable<result<void>> lease_client::contend(diagnostics& why)
{
    auto it = seen_.find(config_.name);
    if (it == seen_.end()) { // it may be there without our label
        auto const text = co_await api_.get(path(config_.name), why);
        if (text) {
            json::parser parser(max_answer_bytes);
            auto const object = parser.parse(*text);
            if (!object) co_return errc::bad_answer;
            auto l = read_lease(*object);
            if (!l) co_return l.error();
            remember(std::move(*l));
            it = seen_.find(config_.name);
        } else if (text.error() != errc::not_found) {
            co_return text.error();
        }
    }
    auto const now = net::clock::now(); // before the request: another counts from when it was written
    lease wanted = make(config_.name);
    if (it != seen_.end()) {
        seen const& s = it->second;
        leader_ = s.lease.holder;
        bool const ours = s.lease.holder == config_.identity;
        if (!ours && !expired(s)) {
            renewed_.reset();
            co_return result<void>{};
        }
        wanted.resource_version = s.lease.resource_version;
        wanted.transitions = s.lease.transitions + (ours ? 0 : 1);
        if (ours) wanted.acquire_time = s.lease.acquire_time;
    }
    bool const led = leading();
    auto const done = co_await put(std::move(wanted), why);
    if (done) {
        renewed_ = now;
        leader_ = config_.identity;
        if (!led) log_.info("leading from now on", {{"lease", config_.ns + "/" + config_.name}, {"identity", config_.identity}});
    } else if (done.error() == errc::conflict) { // somebody else was faster
        renewed_.reset();
        why.clear();
        co_return result<void>{};
    }
    co_return done;
}

inline net::awaitable<result<void>> lease_client::write_note(diagnostics& why)
{
    auto const it = seen_.find(note_name());
    if (note_.empty()) {
        if (it == seen_.end() && !note_written_) co_return result<void>{};
        auto const gone = co_await api_.send("DELETE", path(note_name()), {}, {}, api_client::repetition::harmless, why);
        if (!gone && gone.error() != errc::not_found) co_return gone.error();
        note_written_ = false;
        seen_.erase(note_name());
        co_return result<void>{};
    }
    lease wanted = make(note_name());
    wanted.annotations.emplace(annotation, note_);
    if (it != seen_.end()) {
        wanted.resource_version = it->second.lease.resource_version;
        wanted.acquire_time.clear();
    }
    auto const done = co_await put(std::move(wanted), why);
    if (done) note_written_ = true;
    co_return done;
}

inline net::awaitable<result<void>> lease_client::round(diagnostics& why)
{
    note_changed_ = false;
    bool const led = leading();
    if (auto const looked = co_await look(why); !looked) co_return looked.error();
    if (auto const done = co_await contend(why); !done) co_return done.error();
    if (led && !leading()) log_.info("not leading any more", {{"lease", config_.ns + "/" + config_.name}, {"leader", leader_}});
    if (auto const written = co_await write_note(why); !written) co_return written.error();
    if (leading()) // what the dead have left
        for (auto it = seen_.begin(); it != seen_.end(); ++it)
            if (it->first != config_.name && it->first != note_name() && expired(it->second) && net::clock::now() - it->second.since > 10 * config_.duration) {
                std::string where = path(it->first);
                seen_.erase(it);
                (void)co_await api_.send("DELETE", std::move(where), {}, {}, api_client::repetition::harmless, why);
                break; // one in each round
            }
    co_return result<void>{};
}

inline net::awaitable<void> lease_client::run()
{
    if (config_.name.empty()) co_return;
    for (;;) {
        diagnostics why;
        bool const led = leading();
        auto const done = co_await round(why);
        auto wait = config_.renew_every;
        if (done) {
            if (std::exchange(alone_, false)) log_.info("Leases can be used again", {{"lease", config_.ns + "/" + config_.name}});
        } else if (done.error() == errc::forbidden || done.error() == errc::not_found) {
            if (!std::exchange(alone_, true))
                log_.warn("Leases can't be used, so this one acts as if it were alone: run only one, or allow get, list, create, patch and delete of leases",
                          {{"lease", config_.ns + "/" + config_.name}, {"error", why.text()}});
            wait = std::max(wait, std::chrono::milliseconds(60'000));
        } else if (done.error() != asio::error::operation_aborted) {
            log_.debug("no news of the lease", {{"lease", config_.ns + "/" + config_.name}, {"error", why.text()}});
            if (led && !leading()) log_.warn("not leading any more: the lease could not be renewed", {{"error", why.text()}});
            wait = std::min(wait, std::chrono::milliseconds(1'000));
        }
        if (note_changed_) continue;
        // Another's end may come before the next look.
        if (auto const it = seen_.find(config_.name); done && it != seen_.end() && !leading()) {
            auto const left = it->second.since + it->second.lease.duration - net::clock::now();
            wait = std::clamp(std::chrono::ceil<std::chrono::milliseconds>(left) + std::chrono::milliseconds(1), std::chrono::milliseconds(1), wait);
        }
        wake_.expires_after(wait);
        auto [ec] = co_await wake_.async_wait(asio::as_tuple(net::use_awaitable)); // cancelled by `set_note`, or with us
        auto const cancelled = (co_await asio::this_coro::cancellation_state).cancelled();
        if (ec && cancelled != asio::cancellation_type::none) co_return;
    }
}

inline net::awaitable<void> lease_client::release()
{
    if (config_.name.empty() || alone_) co_return;
    diagnostics why;
    if (auto const it = seen_.find(config_.name); leading() && it != seen_.end()) {
        lease l = it->second.lease;
        l.holder.clear();
        l.duration = std::chrono::seconds(1);
        l.renew_time = format_micro_time(wall_now());
        renewed_.reset();
        (void)co_await put(std::move(l), why);
    }
    note_.clear();
    if (note_written_) (void)co_await write_note(why);
}

inline void lease_client::set_note(std::string text)
{
    if (note_ == text) return;
    note_ = std::move(text);
    if (alone_) return; // nobody could read it
    note_changed_ = true;
    wake_.cancel();
}

inline net::awaitable<result<std::vector<lease_client::note>>> lease_client::notes_of_others(diagnostics& why)
{
    std::vector<note> out;
    if (config_.name.empty() || alone_) co_return out;
    if (auto const looked = co_await look(why); !looked) co_return looked.error();
    for (auto const& [name, s] : seen_) {
        auto const it = s.lease.annotations.find(std::string(annotation));
        if (name == config_.name || name == note_name() || it == s.lease.annotations.end() || it->second.empty() || expired(s)) continue;
        out.push_back({s.lease.holder, it->second});
    }
    co_return out;
}

} // namespace podproxy::kube
