#ifndef PODPROXY_TESTS_FAKES_FAKE_WAKE_PROVIDER_HPP
#define PODPROXY_TESTS_FAKES_FAKE_WAKE_PROVIDER_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/error.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/wait_slot.hpp>
#include <podproxy/wake/group.hpp>
#include <podproxy/wake/member.hpp>
#include <podproxy/wake/provider.hpp>
#include <podproxy/wake/settings.hpp>
#include <asio/post.hpp>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace podproxy::test {

/// A member that rests, for a test. Its id is made of its name.
inline wake::member fake_member(std::string name, std::string group, std::vector<wake::dependency> depends_on = {})
{
    wake::member m;
    m.id = "id-of-" + name;
    m.group = std::move(group);
    m.service = name;
    m.name = std::move(name);
    m.depends_on = std::move(depends_on);
    return m;
}

/** An engine in memory: it starts and stops what the test has put into it, and misbehaves as it is told.

        fake_wake_provider engine(ctx.get_executor());
        engine.put(fake_member("web", "shop"));
        engine.by_hand.insert("start web");   // this command waits for finish() or fail()
        ...
        engine.finish("start web");           // now it runs, and the observer hears of it

    No real time passes anywhere. What the observer is told is posted, in order. Commands are called `verb name`: the verbs are start,
    stop, pause, unpause, limit and line. */
class fake_wake_provider final : public wake::provider {
public:
    explicit fake_wake_provider(net::executor ex) : executor_(ex), state_(std::make_shared<state>()) {}

    // What the engine is asked for.
    std::vector<std::string> commands;              ///< In the order of their arrival, without `line`.
    std::vector<std::optional<std::chrono::seconds>> stop_timeouts;
    std::vector<std::string> uses;                  ///< What `note_use` was told: `shop used`, `shop unused`.
    std::map<std::string, wake::resources> limits;  ///< By name: the last ones set.

    // How it answers.
    std::set<std::string> by_hand;                  ///< Commands that wait for `finish` or `fail`.
    std::map<std::string, std::pair<std::error_code, std::string>> failing; ///< Commands that fail at once, each time.
    std::map<std::string, int> exits;               ///< By name: ends with this code as soon as it runs.
    std::map<std::string, int> exits_unseen;        ///< The same, and only its end is told.
    std::map<std::string, std::string> last_lines;  ///< By name.
    std::string engine_name = "docker";
    /// What becomes of the health check of a member that has one, when it starts.
    wake::health_state health_after_start = wake::health_state::healthy;

    // What happens at the engine.
    void put(wake::member m)
    {
        members_[m.id] = m;
        if (!lost_) tell([m](wake::member_observer& o) { o.on_member(m); });
    }
    void change(std::string_view name, std::function<void(wake::member&)> const& edit)
    {
        wake::member m = at(name);
        edit(m);
        put(std::move(m));
    }
    void become(std::string_view name, wake::health_state health)
    {
        change(name, [=](wake::member& m) { m.health = health; });
    }
    void end(std::string_view name, int exit_code)
    {
        change(name, [=](wake::member& m) {
            m.state = wake::member_state::stopped;
            m.exit_code = exit_code;
            m.address.clear();
        });
    }
    void remove(std::string_view name)
    {
        std::string const id = at(name).id;
        members_.erase(id);
        if (!lost_) tell([id](wake::member_observer& o) { o.on_removed(id); });
    }
    /// As compose does: the old one goes, one of the same name with another id comes, at rest.
    void recreate(std::string_view name)
    {
        wake::member m = at(name);
        remove(name);
        m.id += "'";
        m.state = wake::member_state::stopped;
        m.exit_code.reset();
        m.run.clear();
        put(std::move(m));
    }
    /// The engine is gone: commands that wait fail, and so do new ones.
    void lose(std::string text = "the engine does not answer")
    {
        lost_ = text;
        for (auto const& w : state_->waiting)
            if (auto const h = w.lock()) h->end(errc::unavailable, text);
        diagnostics why;
        why.message = std::move(text);
        tell([why](wake::member_observer& o) { o.on_lost(errc::unavailable, why); });
    }
    /// It is back, with what it has now.
    void come_back()
    {
        lost_.reset();
        std::vector<wake::member> all;
        for (auto const& [id, m] : members_) all.push_back(m);
        tell([all](wake::member_observer& o) { o.on_snapshot(all); });
    }
    bool lost() const noexcept { return lost_.has_value(); }

    wake::member& at(std::string_view name)
    {
        for (auto& [id, m] : members_)
            if (m.name == name) return m;
        throw std::logic_error("fake_wake_provider: no member " + std::string(name));
    }
    std::map<std::string, wake::member> const& members() const noexcept { return members_; }

    // Commands that wait.
    bool waits(std::string_view command) const { return find(command) != nullptr; }
    void finish(std::string_view command) { held_for(command).end({}, {}); }
    void fail(std::string_view command, std::error_code ec, std::string text) { held_for(command).end(ec, std::move(text)); }
    std::size_t count(std::string_view command) const
    {
        return static_cast<std::size_t>(std::count(commands.begin(), commands.end(), command));
    }

    // The provider.
    std::string_view name() const noexcept override { return engine_name; }

    net::awaitable<void> run(wake::member_observer& observer) override
    {
        auto keep = state_;
        keep->observer = &observer;
        if (!lost_) come_back();
        net::wait_slot ever(executor_);
        (void)co_await ever.async_wait(asio::as_tuple(net::use_awaitable)); // until we are cancelled
        keep->observer = nullptr;
    }

    net::awaitable<result<void>> start(wake::member const& m, diagnostics& why) override
    {
        return command("start", m.id, m.name, why, [this](wake::member& found) {
            if (found.state == wake::member_state::running) return;
            found.state = wake::member_state::running;
            found.exit_code.reset();
            found.run = std::to_string(++runs_);
            if (found.health != wake::health_state::none) found.health = health_after_start;
            if (found.address.empty()) found.address = "10.0.0." + std::to_string(runs_);
            if (auto const unseen = exits_unseen.find(found.name); unseen != exits_unseen.end()) {
                end(std::string(found.name), unseen->second);
                return;
            }
            auto const exit = exits.find(found.name);
            auto const name = found.name;
            put(wake::member(found));
            if (exit != exits.end()) end(name, exit->second);
        });
    }
    net::awaitable<result<void>> stop(wake::member const& m, std::optional<std::chrono::seconds> timeout, diagnostics& why) override
    {
        stop_timeouts.push_back(timeout);
        return command("stop", m.id, m.name, why, [this](wake::member& found) {
            if (found.state != wake::member_state::stopped) end(std::string(found.name), 0);
        });
    }
    net::awaitable<result<void>> pause(wake::member const& m, diagnostics& why) override
    {
        return command("pause", m.id, m.name, why, [this](wake::member& found) {
            found.state = wake::member_state::paused;
            put(wake::member(found));
        });
    }
    net::awaitable<result<void>> unpause(wake::member const& m, diagnostics& why) override
    {
        return command("unpause", m.id, m.name, why, [this](wake::member& found) {
            found.state = wake::member_state::running;
            put(wake::member(found));
        });
    }
    net::awaitable<result<void>> set_resources(wake::member const& m, wake::resources const& r, diagnostics& why) override
    {
        return command("limit", m.id, m.name, why, [this, r](wake::member& found) { limits[found.name] = r; });
    }
    void note_use(std::string_view group, std::size_t clients) override { uses.push_back(std::string(group) + (clients > 0 ? " used" : " unused")); }
    net::awaitable<std::string> last_line(wake::member const& m) override
    {
        std::string const name = m.name;
        auto keep = state_;
        if (by_hand.contains("line " + name)) {
            auto const here = keep->hold(executor_, "line " + name);
            (void)co_await here->slot.async_wait(asio::as_tuple(net::use_awaitable));
        }
        auto const it = last_lines.find(name);
        co_return it == last_lines.end() ? std::string() : it->second;
    }

private:
    /// A command that waits for the test.
    struct held {
        held(net::executor ex, std::string command) : what(std::move(command)), slot(ex) {}
        void end(std::error_code e, std::string t)
        {
            ended = true;
            ec = e;
            text = std::move(t);
            slot.complete({});
        }
        std::string what;
        net::wait_slot slot;
        bool ended = false;
        std::error_code ec;
        std::string text;
    };
    /// Outlives the fake as long as coroutines of it are there.
    struct state {
        wake::member_observer* observer = nullptr;
        std::list<std::weak_ptr<held>> waiting;

        std::shared_ptr<held> hold(net::executor ex, std::string command)
        {
            auto out = std::make_shared<held>(ex, std::move(command));
            std::erase_if(waiting, [](auto const& w) { return w.expired(); });
            waiting.push_back(out);
            return out;
        }
    };

    std::shared_ptr<held> find(std::string_view command) const
    {
        for (auto const& w : state_->waiting)
            if (auto const h = w.lock(); h && h->what == command && !h->ended) return h;
        return nullptr;
    }
    held& held_for(std::string_view command) const
    {
        auto const h = find(command);
        if (!h) throw std::logic_error("fake_wake_provider: nobody waits for " + std::string(command));
        return *h;
    }

    net::awaitable<result<void>> command(std::string_view verb, std::string id, std::string name, diagnostics& why,
                                         std::function<void(wake::member&)> carry_out)
    {
        std::string const what = std::string(verb) + " " + name;
        commands.push_back(what);
        if (by_hand.contains(what)) {
            auto const here = state_->hold(executor_, what);
            auto const [ec] = co_await here->slot.async_wait(asio::as_tuple(net::use_awaitable));
            if (ec) co_return ec;
            if (here->ec) {
                why.message = here->text;
                co_return here->ec;
            }
        }
        if (lost_) {
            why.message = *lost_;
            co_return errc::unavailable;
        }
        if (auto const f = failing.find(what); f != failing.end()) {
            why.message = f->second.second;
            co_return f->second.first;
        }
        auto const it = members_.find(id);
        if (it == members_.end()) {
            why.message = "no such container";
            co_return errc::unavailable;
        }
        carry_out(it->second);
        co_return result<void>{};
    }

    template <class Function>
    void tell(Function f)
    {
        asio::post(executor_, [s = state_, f = std::move(f)] {
            if (s->observer) f(*s->observer);
        });
    }

    net::executor executor_;
    std::shared_ptr<state> state_;
    std::map<std::string, wake::member> members_; ///< By id.
    std::optional<std::string> lost_;
    unsigned runs_ = 0;
};

/// Passes what a provider tells on to one group: to those of its members that name it.
class group_observer final : public wake::member_observer {
public:
    explicit group_observer(wake::group& g) : group_(g) {}

    void on_snapshot(std::vector<wake::member> all) override
    {
        std::erase_if(all, [this](wake::member const& m) { return m.group != group_.config().name; });
        group_.members_are(std::move(all));
    }
    void on_member(wake::member m) override
    {
        if (m.group == group_.config().name) group_.member_changed(std::move(m));
    }
    void on_removed(std::string_view id) override { group_.member_removed(id); }
    void on_lost(std::error_code ec, diagnostics const& why) override { group_.engine_lost(ec, why); }

private:
    wake::group& group_;
};

} // namespace podproxy::test

#endif
