#include <podproxy/core/ascii.hpp>
#include <podproxy/core/percent.hpp>
#include <podproxy/json/document.hpp>
#include <podproxy/kube/errc.hpp>
#include <podproxy/kube/objects.hpp>
#include <podproxy/net/timeout.hpp>
#include <podproxy/wake/errc.hpp>
#include <algorithm>
#include <charconv>
#include <utility>

namespace podproxy::wake {

namespace detail {

inline constexpr std::string_view kube_prefix = "podproxy.wake/";
inline constexpr std::string_view kube_group_key = "podproxy.wake/group";
inline constexpr std::string_view kube_replicas_key = "podproxy.wake/replicas";
inline constexpr std::string_view kube_service_key = "podproxy.wake/service";
inline constexpr std::string_view kube_depends_key = "podproxy.wake/depends-on";

inline std::string_view kube_text(std::map<std::string, std::string> const& in, std::string_view key)
{
    auto const it = in.find(std::string(key));
    return it == in.end() ? std::string_view() : std::string_view(it->second);
}

/// How many replicas a workload shall have again; one where nobody has said so.
inline std::int64_t kube_remembered(kube::workload const& w)
{
    auto const text = kube_text(w.annotations, kube_replicas_key);
    std::int64_t n = 0;
    auto const [end, bad] = std::from_chars(text.data(), text.data() + text.size(), n);
    return bad == std::errc() && end == text.data() + text.size() && n > 0 && n <= 10'000 ? n : 1;
}

inline std::vector<dependency> kube_dependencies(std::string_view text)
{
    std::vector<dependency> out;
    while (!text.empty()) {
        std::size_t const comma = text.find(',');
        std::string_view const part = ascii_trim(text.substr(0, comma));
        text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
        std::size_t const colon = part.find(':');
        dependency d;
        d.service = ascii_trim(part.substr(0, colon));
        d.condition = colon != std::string_view::npos && ascii_trim(part.substr(colon + 1)) == "started" ? dependency_condition::started
                                                                                                          : dependency_condition::healthy;
        if (!d.service.empty()) out.push_back(std::move(d));
    }
    return out;
}

inline member_state kube_state(kube::workload const& w)
{
    if (w.deleting) return member_state::stopping;
    if (w.replicas > 0) return member_state::running;
    // Before the controller has seen the zero, its status is that of before.
    return w.existing > 0 || !w.observed ? member_state::stopping : member_state::stopped;
}

} // namespace detail

/// One list of workloads that is watched.
struct kube_provider::source final : kube::watch_observer {
    source(kube_provider& o, kube::workload_kind k, std::string_view ns, std::string_view name, std::string g)
        : owner(o), turn(o.sources_.size()), kind(k), group(std::move(g)), where(std::string(ns) + "/" + std::string(kube::plural(k)) + (name.empty() ? "" : "/" + std::string(name))),
          watch(o.executor_, o.api_,
                kube::workload_path(k, ns, {}) +
                    (name.empty() ? "?labelSelector=" + encode_percent(detail::kube_group_key) : "?fieldSelector=" + encode_percent("metadata.name=" + std::string(name))),
                *this, o.config_.watch)
    {
    }

    std::error_code on_list(json::value list) override
    {
        std::vector<kube::workload> all;
        for (json::value const item : list["items"].items()) {
            auto w = kube::read_workload(kind, item);
            if (!w) return w.error();
            all.push_back(std::move(*w));
        }
        owner.source_listed(*this, std::move(all));
        return {};
    }
    std::error_code on_event(kube::watch_line const& event) override
    {
        auto w = kube::read_workload(kind, event.object);
        if (!w) return w.error();
        if (event.what == kube::watch_event::kind::deleted) owner.source_removed(*this, w->uid);
        else owner.source_changed(*this, std::move(*w));
        return {};
    }
    void on_watching() override { owner.source_ready(*this); }
    void on_gap(std::error_code ec, diagnostics const& text) override
    {
        if (ec) owner.source_lost(*this, ec, text);
    }

    kube_provider& owner;
    std::size_t turn; ///< of two that have the same workload, the first tells
    kube::workload_kind kind;
    std::string group; ///< of a configured member; empty: the label tells
    std::string where; ///< for texts
    kube::watch_client watch;
    bool listed = false;
    bool unusable = false; ///< not allowed
    unsigned failures = 0; ///< in a row
    std::error_code error;
    diagnostics why;
};

/// The pods of a workload that is on its way up: they tell why it does not get there, long before the workload does.
struct kube_provider::pod_watch final : kube::watch_observer {
    pod_watch(kube_provider& o, kube::workload const& w)
        : owner(&o), uid(w.uid), tasks(o.executor_),
          watch(o.executor_, o.api_,
                "/api/v1/namespaces/" + encode_percent(w.ns) + "/pods?labelSelector=" + kube::encode_label_selector(w.pod_labels), *this, o.config_.watch)
    {
    }

    std::error_code on_list(json::value list) override
    {
        troubles.clear();
        for (json::value const pod : list["items"].items()) add(pod);
        changed();
        return {};
    }
    std::error_code on_event(kube::watch_line const& event) override
    {
        if (event.what == kube::watch_event::kind::deleted) troubles.erase(std::string(event.object["metadata"]["name"].text_or({})));
        else add(event.object);
        changed();
        return {};
    }
    void add(json::value pod)
    {
        auto t = kube::read_pod_trouble(pod);
        bool const ending = pod["metadata"]["deletionTimestamp"].text().has_value();
        std::string name = t.pod;
        if (ending || t.text.empty()) troubles.erase(name);
        else troubles.insert_or_assign(std::move(name), std::move(t));
    }
    bool hopeless() const
    {
        return std::ranges::any_of(troubles, [](auto const& t) { return t.second.hopeless; });
    }
    void changed()
    {
        if (owner) owner->pods_changed(uid);
    }
    void end()
    {
        owner = nullptr;
        watch.forget();
        tasks.cancel();
    }

    kube_provider* owner; ///< null: nobody wants to know any more
    std::string uid;
    net::task_group tasks;
    kube::watch_client watch;
    std::map<std::string, kube::pod_trouble> troubles; ///< by pod
};

inline kube_provider::kube_provider(net::executor ex, kube::api_client& api, kube_provider_config config, logger log)
    : executor_(ex), api_(api), config_(std::move(config)), log_(log), name_("kubernetes cluster " + api.config().name),
      lease_(ex, api, config_.lease, log), tasks_(ex)
{
    for (auto const& m : config_.members) sources_.emplace_back(*this, m.kind, m.ns, m.name, m.group);
    for (auto const& ns : config_.namespaces)
        for (auto const kind : {kube::workload_kind::deployment, kube::workload_kind::stateful_set})
            sources_.emplace_back(*this, kind, ns, std::string_view(), std::string());
}

inline kube_provider::~kube_provider() { close(); }

inline void kube_provider::close()
{
    tasks_.cancel();
    for (auto& [uid, e] : entries_)
        if (e.pods) e.pods->end();
}

inline net::awaitable<void> kube_provider::join()
{
    co_await tasks_.join();
    for (auto it = entries_.begin(); it != entries_.end(); it = entries_.begin()) {
        auto const pods = std::move(it->second.pods);
        entries_.erase(it);
        if (pods) co_await pods->tasks.join();
    }
    (void)co_await net::with_deadline(
        [](kube::lease_client& lease) -> net::awaitable<result<void>> {
            co_await lease.release();
            co_return result<void>{};
        }(lease_),
        std::chrono::seconds(2));
}

inline net::awaitable<void> kube_provider::run(member_observer& observer)
{
    struct watching {
        kube_provider& self;
        ~watching()
        {
            self.observer_ = nullptr;
            self.tasks_.cancel();
        }
    } const guard{*this};
    observer_ = &observer;
    live_ = lost_ = false;
    tasks_.spawn(lease_.run());
    for (auto& s : sources_) tasks_.spawn(keep(s));
    if (sources_.empty()) tell_all_when_ready();
    net::timer forever(executor_, net::clock::time_point::max());
    co_await forever.async_wait(net::use_awaitable); // ended by being cancelled
}

inline net::awaitable<void> kube_provider::keep(source& s)
{
    for (;;) {
        auto const ec = co_await s.watch.run();
        if (ec == asio::error::operation_aborted) co_return;
        net::timer t(executor_, std::chrono::seconds(60)); // not allowed; somebody may change that
        co_await t.async_wait(net::use_awaitable);
    }
}

// ---- what the cluster tells

inline void kube_provider::source_listed(source& s, std::vector<kube::workload> all)
{
    keep_only(s, std::move(all));
    s.listed = true;
    live_ = false; // a list comes after a gap: all is told again
    source_ready(s);
}

inline void kube_provider::keep_only(source& s, std::vector<kube::workload> all)
{
    std::set<std::string> there;
    for (auto& w : all) {
        there.insert(w.uid);
        auto const it = entries_.find(w.uid);
        if (it == entries_.end() || s.turn <= it->second.from->turn) (void)take(s, std::move(w));
    }
    for (auto it = entries_.begin(); it != entries_.end();) {
        auto const here = it++;
        if (here->second.from != &s || there.contains(here->first)) continue;
        if (here->second.pods) here->second.pods->end();
        entries_.erase(here);
    }
}

inline void kube_provider::source_ready(source& s)
{
    s.failures = 0;
    if (std::exchange(s.unusable, false)) log_.info("workloads can be watched now", {{"engine", name_}, {"workloads", s.where}});
    if (!live_) tell_all_when_ready();
}

inline void kube_provider::source_lost(source& s, std::error_code ec, diagnostics const& why)
{
    s.error = ec;
    s.why = why;
    if (ec == kube::errc::forbidden || ec == kube::errc::not_found) {
        if (!std::exchange(s.unusable, true))
            log_.warn("workloads can't be watched: allow get, list and watch of them", {{"engine", name_}, {"workloads", s.where}, {"error", why.text()}});
        keep_only(s, {});
        tell_all_when_ready();
        return;
    }
    // Connections end; one that comes back at once was no loss of the engine.
    if (++s.failures < 2 && s.listed) return;
    live_ = false;
    if (!std::exchange(lost_, true) && observer_) observer_->on_lost(ec, why);
}

inline void kube_provider::tell_all_when_ready()
{
    if (!observer_) return;
    bool any = sources_.empty();
    source const* refused = nullptr;
    for (auto const& s : sources_) {
        if (s.unusable) {
            refused = &s;
            continue;
        }
        if (!s.listed || s.failures > 0) return; // what it knows may be old; it tells when it is not
        any = true;
    }
    if (!any) { // nothing is allowed
        if (!std::exchange(lost_, true)) observer_->on_lost(refused->error, refused->why);
        return;
    }
    live_ = true;
    lost_ = false;
    std::vector<member> all;
    for (auto const& [uid, e] : entries_)
        if (!e.told.group.empty()) all.push_back(e.told);
    observer_->on_snapshot(std::move(all));
}

inline kube_provider::entry& kube_provider::take(source& s, kube::workload w)
{
    auto& e = entries_[w.uid];
    e.from = &s;
    e.workload = std::move(w);
    refresh(e);
    return e;
}

inline void kube_provider::source_changed(source& s, kube::workload w)
{
    auto const it = entries_.find(w.uid);
    if (it != entries_.end() && it->second.from != &s) return; // the other source tells it too
    bool const is_new = it == entries_.end();
    member const before = is_new ? member() : it->second.told;
    tell(take(s, std::move(w)), before);
}

inline void kube_provider::source_removed(source& s, std::string const& uid)
{
    auto const it = entries_.find(uid);
    if (it == entries_.end() || it->second.from != &s) return;
    if (it->second.pods) it->second.pods->end();
    bool const told = !it->second.told.group.empty();
    entries_.erase(it);
    if (live_ && told && observer_) observer_->on_removed(uid);
}

inline void kube_provider::pods_changed(std::string const& uid)
{
    auto const it = entries_.find(uid);
    if (it == entries_.end()) return;
    member const before = it->second.told;
    it->second.told = describe(it->second);
    tell(it->second, before);
}

/// Derive what is told from the workload, and watch its pods while it is on its way up.
inline void kube_provider::refresh(entry& e)
{
    kube::workload const& w = e.workload;
    bool const coming = detail::kube_state(w) == member_state::running && w.ready == 0 && !w.pod_labels.empty();
    if (coming && !e.pods) {
        e.pods = std::make_shared<pod_watch>(*this, w);
        e.pods->tasks.spawn(keep_pods(e.pods));
    } else if (!coming && e.pods) {
        e.pods->end();
        e.pods.reset();
    }
    e.told = describe(e);
}

inline net::awaitable<void> kube_provider::keep_pods(std::shared_ptr<pod_watch> w)
{
    (void)co_await w->watch.run(); // where pods may not be watched, the workload alone tells
}

inline void kube_provider::tell(entry& e, member const& before)
{
    // What somebody else has stopped nobody needs any more.
    if (e.told.state == member_state::stopped && before.state != member_state::stopped) agree_to_stop(e.told.group);
    if (!live_ || !observer_ || e.told == before) return;
    if (!e.told.group.empty()) observer_->on_member(e.told);
    else if (!before.group.empty()) observer_->on_removed(e.told.id);
}

inline member kube_provider::describe(entry const& e) const
{
    kube::workload const& w = e.workload;
    member m;
    m.id = w.uid;
    m.name = w.ns + "/" + w.name;
    m.service = w.name;
    m.state = detail::kube_state(w);
    if (m.state == member_state::running) {
        bool const failed = !w.failure.empty() || (e.pods && e.pods->hopeless());
        m.health = w.ready > 0 ? health_state::healthy : failed ? health_state::unhealthy : health_state::starting;
    }
    for (auto const* const texts : {&w.annotations, &w.labels})
        for (auto const& [key, value] : *texts)
            if (key.starts_with(detail::kube_prefix) && key != detail::kube_replicas_key && key != detail::kube_service_key && key != detail::kube_depends_key)
                m.labels["podproxy.wake." + key.substr(detail::kube_prefix.size())] = value;
    m.group = e.from->group.empty() ? std::string(detail::kube_text(w.labels, detail::kube_group_key)) : e.from->group;
    if (!m.group.empty()) m.labels["podproxy.wake.group"] = m.group;
    m.depends_on = detail::kube_dependencies(detail::kube_text(w.annotations, detail::kube_depends_key));
    auto const service = detail::kube_text(w.annotations, detail::kube_service_key);
    m.address = (service.empty() ? w.name : std::string(service)) + "." + w.ns + "." + config_.address_suffix;
    return m;
}

// ---- commands

inline kube_provider::entry* kube_provider::find(member const& m)
{
    auto const it = entries_.find(m.id);
    return it == entries_.end() ? nullptr : &it->second;
}

inline net::awaitable<result<kube::workload>> kube_provider::read(kube::workload w, diagnostics& why)
{
    auto const text = co_await api_.get(kube::workload_path(w.kind, w.ns, w.name), why);
    if (!text) co_return text.error();
    json::parser parser(kube::max_answer_bytes);
    auto const object = parser.parse(*text);
    if (!object) co_return kube::errc::bad_answer;
    co_return kube::read_workload(w.kind, *object);
}

/// Through the `scale` subresource, which is all that a role has to allow.
inline net::awaitable<result<void>> kube_provider::set_replicas(kube::workload w, std::int64_t replicas, diagnostics& why)
{
    auto const done = co_await api_.send("PATCH", kube::workload_path(w.kind, w.ns, w.name) + "/scale", "application/merge-patch+json",
                                         kube::encode_scale_patch(w.resource_version, replicas), kube::api_client::repetition::harmless, why);
    if (!done) co_return done.error();
    co_return result<void>{};
}

/// How often a change is tried again because somebody else has changed the workload at the same time.
inline constexpr int kube_most_conflicts = 8;

inline net::awaitable<result<void>> kube_provider::start(member const& m, diagnostics& why)
{
    entry const* const e = find(m);
    if (!e) {
        why.message = m.name + " is not there any more";
        co_return wake::errc::no_members;
    }
    kube::workload w = e->workload;
    for (int i = 0;; ++i) {
        if (w.replicas > 0) co_return result<void>{};
        auto const kept = remembered_.find(w.uid);
        auto const n = kept != remembered_.end() ? kept->second : detail::kube_remembered(w);
        auto const done = co_await set_replicas(w, n, why);
        if (done || done.error() != kube::errc::conflict || i == kube_most_conflicts) co_return done;
        auto fresh = co_await read(std::move(w), why);
        if (!fresh) co_return fresh.error();
        w = std::move(*fresh);
    }
}

/// Others may have clients of the same group.
inline net::awaitable<result<void>> kube_provider::may_stop(member m, diagnostics& why)
{
    if (!lease_.leading()) {
        why.message = m.name + " is not stopped by this wake-proxy: " + (lease_.leader().empty() ? "none" : lease_.leader()) + " leads";
        co_return podproxy::errc::unavailable;
    }
    auto const notes = co_await lease_.notes_of_others(why);
    if (!notes) co_return notes.error();
    for (auto const& n : *notes)
        for (std::string_view rest = n.text; !rest.empty();) {
            std::size_t const end = std::min(rest.find('\n'), rest.size());
            if (rest.substr(0, end) == m.group) {
                why.message = m.name + " is not stopped: wake-proxy " + n.identity + " has clients of the group";
                co_return podproxy::errc::unavailable;
            }
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    co_return result<void>{};
}

inline net::awaitable<result<void>> kube_provider::stop(member const& m, std::optional<std::chrono::seconds>, diagnostics& why)
{
    entry const* const e = find(m);
    if (!e) co_return result<void>{}; // gone is stopped
    kube::workload w = e->workload;
    agree_to_stop(m.group);
    auto const may = co_await may_stop(m, why);
    if (!may) co_return may.error();
    for (int i = 0;; ++i) {
        if (w.replicas == 0) co_return result<void>{};
        // The replicas and their memory change together or not at all.
        auto const sent = co_await api_.send("PATCH", kube::workload_path(w.kind, w.ns, w.name), "application/merge-patch+json",
                                             kube::encode_scale_patch(w.resource_version, 0, std::string(detail::kube_replicas_key), std::to_string(w.replicas)),
                                             kube::api_client::repetition::harmless, why);
        auto ec = sent.error();
        if (!ec) {
            remembered_.erase(w.uid);
            co_return result<void>{};
        }
        if (ec == kube::errc::forbidden) {
            log_.debug("the replicas can't be written into an annotation; they are remembered here", {{"workload", m.name}, {"error", why.text()}});
            why.clear();
            auto const done = co_await set_replicas(w, 0, why);
            if (done) remembered_[w.uid] = w.replicas;
            if (done) co_return result<void>{};
            ec = done.error();
        }
        if (ec != kube::errc::conflict || i == kube_most_conflicts) co_return ec;
        auto fresh = co_await read(std::move(w), why);
        if (!fresh) co_return fresh.error();
        w = std::move(*fresh);
    }
}

inline net::awaitable<result<void>> kube_provider::pause(member const&, diagnostics& why)
{
    why.message = "Kubernetes can't pause pods: use the action stop";
    co_return podproxy::errc::unavailable;
}

inline net::awaitable<result<void>> kube_provider::unpause(member const&, diagnostics& why)
{
    why.message = "Kubernetes can't pause pods: use the action stop";
    co_return podproxy::errc::unavailable;
}

inline net::awaitable<result<void>> kube_provider::set_resources(member const&, resources const&, diagnostics& why)
{
    why.message = "the resources of pods are not changed: use the action stop";
    co_return podproxy::errc::unavailable;
}

inline net::awaitable<std::string> kube_provider::last_line(member const& m)
{
    entry const* const e = find(m);
    if (!e) co_return std::string();
    diagnostics clean;
    clean.set_server_text(co_await find_last_line(e->workload));
    co_return clean.server_text;
}

inline net::awaitable<std::string> kube_provider::find_last_line(kube::workload w)
{
    diagnostics why;
    std::string const pods = "/api/v1/namespaces/" + encode_percent(w.ns) + "/pods";
    kube::pod_trouble worst;
    std::string some_pod;
    if (auto const text = co_await api_.get(pods + "?labelSelector=" + kube::encode_label_selector(w.pod_labels), why)) {
        json::parser parser(kube::max_answer_bytes);
        auto const list = parser.parse(*text);
        if (!list) co_return std::string();
        for (json::value const pod : (*list)["items"].items()) {
            auto t = kube::read_pod_trouble(pod);
            some_pod = t.pod;
            if (!t.text.empty() && (worst.text.empty() || (t.hopeless && !worst.hopeless))) worst = std::move(t);
        }
    }
    if (some_pod.empty()) {
        auto text = co_await last_event(w);
        co_return text.empty() ? w.failure : text;
    }
    if (!worst.text.empty() && !worst.crashed) co_return worst.text;
    std::string const pod = worst.text.empty() ? some_pod : worst.pod;
    std::string const container = worst.container.empty() ? std::string() : "&container=" + encode_percent(worst.container);
    for (char const* const run : {"", "&previous=true"}) {
        if (worst.text.empty() && *run) continue; // it runs: what it wrote before is of no interest
        auto const line = co_await api_.get(pods + "/" + encode_percent(pod) + "/log?tailLines=1&limitBytes=4096" + container + run, why);
        if (!line || line->empty() || line->starts_with("unable to retrieve container logs")) continue; // with status 200
        auto const text = ascii_trim(*line);
        co_return worst.text.empty() ? std::string(text) : worst.text + ": " + std::string(text);
    }
    co_return worst.text;
}

/// What the cluster says of a workload that has no pods: the newest warning.
inline net::awaitable<std::string> kube_provider::last_event(kube::workload w)
{
    diagnostics why;
    std::string const fields = "involvedObject.uid=" + w.uid + ",type=Warning";
    auto const text = co_await api_.get("/api/v1/namespaces/" + encode_percent(w.ns) + "/events?fieldSelector=" + encode_percent(fields), why);
    if (!text) co_return std::string();
    json::parser parser(kube::max_answer_bytes);
    auto const list = parser.parse(*text);
    std::string newest, out;
    if (list)
        for (json::value const event : (*list)["items"].items()) {
            auto when = event["lastTimestamp"].text_or({});
            if (when.empty()) when = event["metadata"]["creationTimestamp"].text_or({});
            if (when < newest) continue;
            newest = when;
            out = std::string(event["reason"].text_or({})) + ": " + std::string(event["message"].text_or({}));
        }
    co_return out;
}

inline void kube_provider::note_use(std::string_view group, std::size_t clients)
{
    // When the last client has gone, the group's own idle time begins: it is in use until we want to stop it ourselves.
    if (clients > 0 && used_.emplace(group).second) tell_use();
}

inline void kube_provider::agree_to_stop(std::string const& group)
{
    if (used_.erase(group) > 0) tell_use();
}

inline void kube_provider::tell_use()
{
    std::string text;
    for (auto const& g : used_) text += (text.empty() ? "" : "\n") + g;
    lease_.set_note(std::move(text));
}

} // namespace podproxy::wake
