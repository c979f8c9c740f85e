#include <podproxy/core/ascii.hpp>
#include <podproxy/net/first_of.hpp>
#include <podproxy/net/task_group.hpp>
#include <podproxy/net/timeout.hpp>
#include <podproxy/wake/detail/systemd_bus_client.hpp>
#include <podproxy/wake/errc.hpp>
#include <asio/post.hpp>
#include <asio/thread_pool.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <unistd.h>

namespace podproxy::wake {

namespace detail {

/// What the manager tells of a unit, by the names of its properties.
using unit_properties = std::map<std::string, std::string>;

inline std::string unit_name(std::string_view text)
{
    std::string out(ascii_trim(text));
    return out.find('.') == std::string::npos ? out + ".service" : out;
}

/// The member that a unit with these properties is. Without `ActiveState` it is not loaded, which means that it does not run.
inline member describe_unit(systemd_unit const& u, unit_properties const& p)
{
    auto const get = [&](char const* key) {
        auto const it = p.find(key);
        return it == p.end() ? std::string_view() : std::string_view(it->second);
    };
    member m;
    m.id = u.unit;
    m.name = u.unit;
    m.service = u.unit.ends_with(".service") ? u.unit.substr(0, u.unit.size() - 8) : u.unit;
    m.group = u.group;
    m.labels["podproxy.wake.group"] = u.group;
    m.address = "127.0.0.1";
    if (auto const since = get("InactiveExitTimestampMonotonic"); since != "0") m.run = since;
    auto const active = get("ActiveState");
    auto const freezer = get("FreezerState");
    auto const load = get("LoadState");
    if (active == "active" || active == "reloading" || active == "refreshing") {
        bool const frozen = freezer.starts_with("frozen") || freezer.starts_with("freezing");
        m.state = frozen ? member_state::paused : member_state::running;
    } else if (active == "activating") {
        m.state = member_state::starting;
    } else if (active == "deactivating") {
        m.state = member_state::stopping;
    } else {
        bool const useless = load == "not-found" || load == "masked" || load == "bad-setting" || load == "error";
        m.state = useless ? member_state::dead : member_state::stopped;
        int code = 0;
        auto const status = get("ExecMainStatus");
        auto const ran = get("ExecMainCode");
        if (!ran.empty() && ran != "0" && std::from_chars(status.data(), status.data() + status.size(), code).ec == std::errc())
            m.exit_code = ran == "1" ? code : 128 + code; // CLD_EXITED, or a signal's number as shells have it
        if (active == "failed" && m.exit_code.value_or(0) == 0) m.exit_code = 1; // it failed in another way: a time limit, the start limit
    }
    return m;
}

/// The last line that a unit has written into the journal. Blocks.
inline std::string last_journal_line(std::string const& unit, systemd_manager manager)
{
    auto const* const lib = systemd_library::get();
    sd_journal* j = nullptr;
    constexpr int local_only = 1;
    if (!lib || lib->journal_open(&j, local_only) < 0) return {};
    std::string out;
    std::string const match = (manager == systemd_manager::user ? "_SYSTEMD_USER_UNIT=" : "_SYSTEMD_UNIT=") + unit;
    if (lib->journal_add_match(j, match.data(), match.size()) >= 0 && lib->journal_seek_tail(j) >= 0 && lib->journal_previous(j) > 0) {
        void const* data = nullptr;
        std::size_t size = 0;
        constexpr std::string_view key = "MESSAGE=";
        if (lib->journal_get_data(j, "MESSAGE", &data, &size) >= 0 && size > key.size())
            out.assign(static_cast<char const*>(data) + key.size(), size - key.size());
    }
    lib->journal_close(j);
    return out;
}

class systemd_provider final : public provider {
public:
    systemd_provider(net::executor ex, systemd_provider_config config, logger log)
        : executor_(ex), config_(std::move(config)), log_(log), name_(config_.manager == systemd_manager::user ? "systemd of the user" : "systemd"), stirred_(ex),
          tasks_(ex)
    {
        for (auto& u : config_.units) {
            u.unit = unit_name(u.unit);
            units_.try_emplace(u.unit, unit{.what = u});
        }
    }
    ~systemd_provider() override
    {
        if (bus_) bus_->close();
    }

    std::string_view name() const noexcept override { return name_; }

    net::awaitable<void> run(member_observer& observer) override
    {
        auto backoff = config_.first_backoff;
        bool lost = false;
        for (;;) {
            diagnostics why;
            auto const started = net::clock::now();
            auto const ec = co_await connect_and_follow(observer, lost, why);
            if (ec == asio::error::operation_aborted) co_return;
            if (std::exchange(refused_, false)) continue;
            if (!std::exchange(lost, true)) {
                if (why.message.empty()) why.message = "the connection to systemd was lost";
                if (why.server_text.empty()) why.set_server_text(ec.message());
                observer.on_lost(ec, why);
            }
            if (net::clock::now() - started > config_.most_backoff) backoff = config_.first_backoff;
            net::timer t(executor_, backoff);
            backoff = std::min(backoff * 2, config_.most_backoff);
            co_await t.async_wait(net::use_awaitable);
        }
    }

    net::awaitable<result<void>> start(member const& m, diagnostics& why) override { return command("StartUnit", m.id, why); }

    net::awaitable<result<void>> stop(member const& m, std::optional<std::chrono::seconds> timeout, diagnostics& why) override
    {
        std::string const id = m.id;
        auto const done = co_await command("StopUnit", id, why);
        if (!done || !timeout) co_return done;
        auto const t = std::make_shared<net::timer>(executor_, *timeout);
        if (auto const it = units_.find(id); it != units_.end()) it->second.end = t; // replaces that of an earlier stop
        t->async_wait([this, id, weak = std::weak_ptr(t)](std::error_code ec) {
            if (!ec && !weak.expired()) kill(id); // without us the timer is gone
        });
        co_return done;
    }

    net::awaitable<result<void>> pause(member const& m, diagnostics& why) override { return simple("FreezeUnit", m.id, why); }
    net::awaitable<result<void>> unpause(member const& m, diagnostics& why) override { return simple("ThawUnit", m.id, why); }

    net::awaitable<result<void>> set_resources(member const& m, resources const& limits, diagnostics& why) override
    {
        resources const wanted = limits;
        auto call = prepare("SetUnitProperties", why);
        if (!call) co_return call.error();
        call->add(m.id);
        call->add(true); // until the next boot
        call->open('a', "(sv)");
        auto const property = [&](char const* key, std::int64_t value) {
            if (value <= 0) return;
            call->open('r', "sv");
            call->add(key);
            call->open('v', "t");
            call->add(static_cast<std::uint64_t>(value));
            call->close();
            call->close();
        };
        property("CPUQuotaPerSecUSec", wanted.nano_cpus > 0 ? std::max<std::int64_t>(wanted.nano_cpus / 1000, 1) : 0);
        property("MemoryMax", wanted.memory_bytes);
        call->close();
        co_return co_await finish(std::move(*call), why);
    }

    net::awaitable<std::string> last_line(member const& m) override
    {
        std::string const id = m.id;
        if (!journal_) journal_ = std::make_unique<asio::thread_pool>(1); // reading it blocks
        struct reading {
            explicit reading(net::executor ex) : slot(ex) {}
            net::wait_slot slot;
            std::string text;
            bool done = false;
        };
        auto const state = std::make_shared<reading>(executor_);
        asio::post(*journal_, [state, ex = executor_, id, manager = config_.manager] {
            asio::post(ex, [state, text = last_journal_line(id, manager)] {
                state->text = text;
                state->done = true;
                state->slot.complete({});
            });
        });
        auto const waited = co_await net::with_deadline(wait_for(state->slot), std::chrono::seconds(2));
        (void)waited;
        std::string text = state->done ? state->text : std::string();
        auto const it = units_.find(id);
        if (it == units_.end()) co_return text;
        auto const get = [&](char const* key) {
            auto const p = it->second.properties.find(key);
            return p == it->second.properties.end() ? std::string() : p->second;
        };
        if (text.empty()) text = get("StatusText");
        std::string const result = get("Result"); // `exit-code` and `signal` say less than the line
        if (auto const load = it->second.load; load == "not-found" || load == "masked" || load == "bad-setting" || load == "error")
            text = "the unit file is " + (load == "not-found" ? std::string("not there") : load == "masked" ? load : "wrong");
        else if (result == "timeout" || result == "watchdog" || result == "start-limit-hit" || result == "oom-kill" || result == "resources" || (text.empty() && result != "success"))
            text = text.empty() ? result : result + ": " + text;
        diagnostics clean;
        clean.set_server_text(text);
        co_return clean.server_text;
    }

private:
    struct unit {
        systemd_unit what;
        unit_properties properties{};
        std::string id{};   ///< the manager's name for it; ours may be an alias
        std::string load{}; ///< whether the unit file can be used
        std::string path{}; ///< its object
        std::shared_ptr<net::timer> end{}; ///< when it is killed
        bool dirty = false;
        member told{};
    };

    static net::awaitable<result<void>> wait_for(net::wait_slot& slot)
    {
        auto [ec] = co_await slot.async_wait(asio::as_tuple(net::use_awaitable));
        if (ec) co_return ec;
        co_return result<void>{};
    }

    // ---- commands

    result<bus_message> prepare(char const* method, diagnostics& why)
    {
        if (!bus_) {
            why.message = "there is no connection to systemd";
            return errc::engine_unreachable;
        }
        return bus_->method(method);
    }
    net::awaitable<result<void>> finish(bus_message call, diagnostics& why)
    {
        auto const bus = bus_;
        if (!bus) co_return errc::engine_unreachable;
        auto const reply = co_await bus->call(std::move(call), config_.call_limit, why);
        if (!reply) co_return reply.error();
        co_return result<void>{};
    }
    net::awaitable<result<void>> command(char const* method, std::string id, diagnostics& why)
    {
        if (auto const it = units_.find(id); it != units_.end()) it->second.end.reset();
        auto call = prepare(method, why);
        if (!call) co_return call.error();
        call->add(id);
        call->add("replace");
        co_return co_await finish(std::move(*call), why);
    }
    net::awaitable<result<void>> simple(char const* method, std::string id, diagnostics& why)
    {
        auto call = prepare(method, why);
        if (!call) co_return call.error();
        call->add(id);
        auto const done = co_await finish(std::move(*call), why);
        // Some versions do not tell that a unit was frozen.
        if (auto const it = units_.find(id); it != units_.end()) it->second.dirty = true;
        stirred_.cancel();
        co_return done;
    }
    void kill(std::string const& id)
    {
        auto const it = units_.find(id);
        if (it == units_.end() || it->second.told.state != member_state::stopping || !bus_) return;
        log_.info("a unit has not ended in time and is killed", {{"unit", id}});
        tasks_.spawn([](std::shared_ptr<systemd_bus> bus, std::string name, std::chrono::milliseconds limit) -> net::awaitable<void> {
            diagnostics ignored;
            auto call = bus->method("KillUnit");
            call.add(name);
            call.add("all");
            call.add(std::int32_t{SIGKILL});
            (void)co_await bus->call(std::move(call), limit, ignored);
        }(bus_, id, config_.call_limit));
    }

    // ---- what the manager tells

    net::awaitable<std::error_code> connect_and_follow(member_observer& observer, bool& lost, diagnostics& why)
    {
        using kind = systemd_bus::kind;
        // The manager's own socket is for root of its own namespaces; who is refused there may be welcome on the bus.
        bool const root = ::geteuid() == 0;
        kind where = config_.manager == systemd_manager::user ? kind::user_bus : root && !use_bus_ ? kind::manager_socket : kind::system_bus;
        auto opened = systemd_bus::open(executor_, where);
        if (!opened && where == kind::manager_socket) {
            where = kind::system_bus;
            opened = systemd_bus::open(executor_, where);
        }
        use_bus_ = refused_ = where == kind::manager_socket; // the other one next time, unless this goes well
        if (!opened) {
            why.message = "systemd can't be reached: does it run on this machine?";
            co_return opened.error();
        }
        auto const bus = *opened;
        struct ending {
            systemd_provider& self;
            std::shared_ptr<systemd_bus> bus;
            ~ending()
            {
                bus->on_signal = nullptr;
                bus->close();
                self.bus_.reset();
            }
        } const guard{*this, bus};
        bus->on_signal = [this](sd_message* m) { on_signal(m); };
        bus_ = bus;
        renew_ = gone_ = false;
        auto const first = co_await net::first_of(bus->pump(), follow(*bus, observer, lost, why));
        co_return first.index() == 0 ? std::get<0>(first) : std::get<1>(first);
    }

    net::awaitable<std::error_code> follow(systemd_bus& bus, member_observer& observer, bool& lost, diagnostics& why)
    {
        diagnostics ignored;
        for (char const* const rule : {"type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1'",
                                       "type='signal',sender='org.freedesktop.systemd1',path_namespace='/org/freedesktop/systemd1/unit'",
                                       "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.freedesktop.systemd1'"}) {
            auto match = bus.method("AddMatch", "/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus");
            match.add(rule);
            (void)co_await bus.call(std::move(match), config_.call_limit, ignored); // on the manager's own socket all comes anyway
        }
        auto const subscribed = co_await bus.call(bus.method("Subscribe"), config_.call_limit, why);
        if (!subscribed && subscribed.error() != podproxy::errc::unavailable) co_return subscribed.error();
        why.clear();
        bool files_changed = true;
        bool first = true;
        for (;;) {
            renew_ = false;
            if (files_changed)
                for (auto& [id, u] : units_)
                    if (auto const ec = co_await read_file_state(bus, u, why)) co_return ec;
            std::set<std::string> wanted;
            for (auto& [id, u] : units_)
                if (std::exchange(u.dirty, false) || files_changed) wanted.insert(id);
            if (!wanted.empty())
                if (auto const ec = co_await read(bus, std::move(wanted), why)) co_return ec;
            if (first) {
                first = lost = false;
                use_bus_ = !use_bus_;
                refused_ = false;
                std::vector<member> all;
                for (auto& [id, u] : units_) all.push_back(u.told = describe(u));
                observer.on_snapshot(std::move(all));
            } else {
                for (auto& [id, u] : units_)
                    if (auto now = describe(u); !(now == u.told)) {
                        u.told = now;
                        if (u.told.state != member_state::stopping) u.end.reset();
                        observer.on_member(std::move(now));
                    }
            }
            if (gone_) {
                gone_ = false;
                why.message = "systemd has left the message bus";
                co_return std::make_error_code(std::errc::not_connected);
            }
            if (!renew_ && std::ranges::none_of(units_, [](auto const& u) { return u.second.dirty; })) {
                stirred_.expires_at(net::clock::time_point::max());
                co_await stirred_.async_wait(asio::as_tuple(net::use_awaitable)); // cancelled by a signal of the manager, or with us
                if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) co_return asio::error::operation_aborted;
            }
            files_changed = renew_;
        }
    }

    member describe(unit const& u) const
    {
        auto p = u.properties;
        p["LoadState"] = u.load;
        return describe_unit(u.what, p);
    }

    void on_signal(sd_message* m)
    {
        auto const& lib = *systemd_library::get();
        auto const is = [&](char const* interface, char const* name) { return lib.message_is_signal(m, interface, name) > 0; };
        constexpr char const* manager = "org.freedesktop.systemd1.Manager";
        if (is("org.freedesktop.DBus.Properties", "PropertiesChanged")) {
            char const* const path = lib.message_path(m);
            for (auto& [id, u] : units_)
                if (path && u.path == path) u.dirty = true;
        } else if (is(manager, "UnitNew")) { // a unit that comes with its first change tells nothing else
            bus_message text = bus_message::share(m);
            auto const name = text.text();
            for (auto& [id, u] : units_)
                if (name && u.id == *name) u.dirty = true;
        } else if (is(manager, "UnitFilesChanged") || is(manager, "Reloading")) {
            renew_ = true;
        } else if (is("org.freedesktop.DBus", "NameOwnerChanged")) {
            bus_message text = bus_message::share(m);
            (void)text.text(); // its name
            if (!text.text().value_or(std::string()).empty()) gone_ = true; // it had an owner until now
        }
        bool const any = renew_ || gone_ || std::ranges::any_of(units_, [](auto const& u) { return u.second.dirty; });
        if (any) stirred_.cancel();
    }

    /// Whether the unit file is there. Loads the unit for a moment.
    net::awaitable<std::error_code> read_file_state(systemd_bus& bus, unit& u, diagnostics& why)
    {
        auto load = bus.method("LoadUnit");
        load.add(u.what.unit);
        auto loaded = co_await bus.call(std::move(load), config_.call_limit, why);
        if (!loaded && loaded.error() == podproxy::errc::unavailable) { // not a name that a unit can have
            u.load = "error";
            co_return std::error_code();
        }
        if (!loaded) co_return loaded.error();
        u.path = loaded->text('o').value_or(std::string());
        unit_properties p;
        auto const ec = co_await read_all(bus, u.path, "org.freedesktop.systemd1.Unit", p, why);
        u.load = p["LoadState"];
        u.id = p["Id"];
        co_return ec;
    }

    /** Read the states of units. Those that are not loaded are not asked further, as that would load them, and loading is told as a change.
        Units that run or have failed stay loaded. */
    net::awaitable<std::error_code> read(systemd_bus& bus, std::set<std::string> wanted, diagnostics& why)
    {
        auto list = bus.method("ListUnitsByPatterns");
        list.open('a', "s");
        list.close();
        list.open('a', "s");
        for (auto const& id : wanted) {
            std::string pattern;
            for (char const c : units_.at(id).id) {
                if (std::string_view("\\*?[").find(c) != std::string_view::npos) pattern += '\\';
                pattern += c;
            }
            list.add(pattern);
        }
        list.close();
        auto reply = co_await bus.call(std::move(list), config_.call_limit, why);
        if (!reply) co_return reply.error();
        std::map<std::string, std::string> active;
        if (reply->enter('a', "(ssssssouso)")) {
            while (reply->enter('r', "ssssssouso")) {
                auto const id = reply->text();
                reply->skip("ss");
                auto state = reply->text();
                reply->skip("ssouso");
                reply->exit();
                if (id && state) active.emplace(*id, *state);
            }
            reply->exit();
        }
        for (auto const& id : wanted) {
            auto const it = units_.find(id);
            if (it == units_.end()) continue;
            unit_properties p;
            if (auto const state = active.find(it->second.id); state != active.end()) {
                p["ActiveState"] = state->second;
                if (state->second != "inactive") {
                    if (auto const ec = co_await read_all(bus, it->second.path, "org.freedesktop.systemd1.Unit", p, why)) co_return ec;
                    if (it->second.id.ends_with(".service"))
                        if (auto const ec = co_await read_all(bus, it->second.path, "org.freedesktop.systemd1.Service", p, why)) co_return ec;
                }
            }
            it->second.properties = std::move(p);
        }
        co_return std::error_code();
    }

    net::awaitable<std::error_code> read_all(systemd_bus& bus, std::string path, char const* interface, unit_properties& out, diagnostics& why)
    {
        auto get = bus.method("GetAll", path.c_str(), "org.freedesktop.DBus.Properties");
        get.add(interface);
        auto reply = co_await bus.call(std::move(get), config_.call_limit, why);
        if (!reply && reply.error() == podproxy::errc::unavailable) co_return std::error_code(); // gone meanwhile
        if (!reply) co_return reply.error();
        static constexpr std::array<std::string_view, 9> wanted{"Id", "InactiveExitTimestampMonotonic", "LoadState", "ActiveState", "FreezerState", "Result", "ExecMainCode", "ExecMainStatus", "StatusText"};
        if (!reply->enter('a', "{sv}")) co_return std::error_code();
        while (reply->enter('e', "sv")) {
            auto key = reply->text().value_or(std::string());
            if (std::ranges::find(wanted, key) != wanted.end()) out[std::move(key)] = reply->variant();
            else reply->skip("v");
            reply->exit();
        }
        co_return std::error_code();
    }

    net::executor executor_;
    systemd_provider_config config_;
    logger log_;
    std::string name_;
    std::map<std::string, unit> units_;
    std::shared_ptr<systemd_bus> bus_; ///< while there is a connection
    net::timer stirred_;               ///< what `follow` waits for
    bool renew_ = false;               ///< unit files have changed
    bool use_bus_ = false;             ///< the next connection is one to the message bus, for root too
    bool refused_ = false;             ///< the manager's own socket has led nowhere
    bool gone_ = false;                ///< the manager has left the bus
    net::task_group tasks_;
    std::unique_ptr<asio::thread_pool> journal_;
};

} // namespace detail

inline bool systemd_supported() noexcept { return detail::systemd_library::get() != nullptr; }

inline result<std::unique_ptr<provider>> make_systemd_provider(net::executor ex, systemd_provider_config config, logger log, diagnostics& why)
{
    if (!systemd_supported()) {
        why.message = "systemd units need libsystemd.so.0, which is not on this machine";
        return podproxy::errc::unavailable;
    }
    return result<std::unique_ptr<provider>>(std::make_unique<detail::systemd_provider>(ex, std::move(config), log));
}

} // namespace podproxy::wake
