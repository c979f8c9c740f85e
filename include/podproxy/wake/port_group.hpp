#ifndef PODPROXY_WAKE_PORT_GROUP_HPP
#define PODPROXY_WAKE_PORT_GROUP_HPP

#include <podproxy/core/log.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/dialer.hpp>
#include <podproxy/net/relay.hpp>
#include <podproxy/net/task_group.hpp>
#include <podproxy/wake/group.hpp>
#include <podproxy/wake/traffic.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_set>
#include <utility>

namespace podproxy::wake {

/** Whether one port of a group is open, in the group's present life, and who finds out.

    The group is ready before its servers listen. So the first client to come in a life tries the port, in small steps; the others wait
    until it is through. Whoever finds an open port closed shuts the gate again.
    @par Lifetime Held by who waits at it. */
class port_gate {
public:
    explicit port_gate(net::executor ex) : changed_(ex, net::clock::time_point::max()) {}

    bool open_in(std::uint64_t life) const noexcept { return open_ && life_ == life; }

    /// What a client has to do.
    enum class pass {
        open,   ///< Connect.
        probe,  ///< Try the port, then call `opened`, `failed` or `left`.
        failed, ///< The port was not open in time: `failure` says more.
        over,   ///< The life of `use` has ended.
    };
    /// Wait until the port is open, or until it falls to the caller to try. @par Lifetime `use` is borrowed. @par Cancel all types.
    net::awaitable<pass> enter(group_use const& use)
    {
        auto const failures = failures_;
        for (;;) {
            if (!use.alive()) co_return pass::over;
            if (life_ != use.life()) begin(use.life());
            if (open_) co_return pass::open;
            if (failures_ != failures) co_return pass::failed;
            if (!probing_) {
                probing_ = true;
                co_return pass::probe;
            }
            co_await changed_.async_wait(asio::as_tuple(net::use_awaitable)); // ends with the next event, or with us
        }
    }

    /// The port has let us in.
    void opened(std::uint64_t life)
    {
        if (life == life_) open_ = true;
        left();
    }
    /// The port was not open in time: all who wait are told.
    void failed(std::string why)
    {
        ++failures_;
        failure_ = std::move(why);
        left();
    }
    /// Who tried it tries no more; the next one may.
    void left()
    {
        probing_ = false;
        changed_.cancel();
    }
    /// An open port was found closed.
    void shut(std::uint64_t life) noexcept
    {
        if (life == life_) open_ = false;
    }
    /// Forget everything: lives of another group are counted anew.
    void reset()
    {
        begin(0);
        changed_.cancel();
    }

    std::string const& failure() const noexcept { return failure_; }

    /** What stands before the server (docker-proxy) has taken a connection and closed it at once, after `took`: there, being
        connected proves nothing. */
    void note_front(net::clock::duration took) noexcept
    {
        front_ = true;
        slowest_ = std::max(slowest_, took);
    }
    bool has_front() const noexcept { return front_; }
    /// How long a new connection is watched for being closed at once.
    net::clock::duration settle_time() const noexcept
    {
        return std::clamp<net::clock::duration>(4 * slowest_, std::chrono::milliseconds(5), std::chrono::milliseconds(50));
    }

private:
    void begin(std::uint64_t life) noexcept
    {
        life_ = life;
        open_ = false;
    }

    net::timer changed_; ///< cancelled whenever something has changed
    std::uint64_t life_ = 0;
    std::uint64_t failures_ = 0;
    std::string failure_;
    net::clock::duration slowest_{};
    bool open_ = false;
    bool probing_ = false;
    bool front_ = false;
};

namespace detail {

/// Errors of connecting that waiting does not change: they are ours, or the configuration's.
inline bool is_final(std::error_code ec) noexcept
{
    for (auto const e : {std::errc::too_many_files_open, std::errc::too_many_files_open_in_system, std::errc::no_buffer_space,
                         std::errc::not_enough_memory, std::errc::permission_denied, std::errc::operation_not_permitted,
                         std::errc::address_not_available, std::errc::invalid_argument, std::errc::address_family_not_supported})
        if (is_system_error(ec, e)) return true;
    return false;
}

/// Leaves a gate to the next one, if nothing else was said.
struct probe_guard {
    explicit probe_guard(port_gate& g) noexcept : gate(&g) {}
    probe_guard(probe_guard const&) = delete;
    probe_guard& operator=(probe_guard const&) = delete;
    ~probe_guard()
    {
        if (gate) gate->left();
    }
    port_gate& done() noexcept { return *std::exchange(gate, nullptr); }
    port_gate* gate;
};

} // namespace detail

/// Keeps lines of one kind apart: at most one a second, with the number of those that were left out.
class line_limit {
public:
    /// @return how many were left out since the last one; none when this one is to be left out too.
    std::optional<std::uint64_t> next(net::clock::time_point now) noexcept
    {
        if (now < next_) {
            ++left_out_;
            return std::nullopt;
        }
        next_ = now + std::chrono::seconds(1);
        return std::exchange(left_out_, 0);
    }

private:
    net::clock::time_point next_{};
    std::uint64_t left_out_ = 0;
};

/// What all ports share of one group: the group itself, who waits, what is known of its servers' ports, and the counts.
class port_group {
public:
    port_group(net::executor ex, std::shared_ptr<group> g) : executor_(ex), group_(std::move(g)), name_(group_->config().name) {}

    std::string const& name() const noexcept { return name_; }
    group& now() const noexcept { return *group_; }
    /// The group, which another may replace while somebody waits for it.
    std::shared_ptr<group> const& hold() const noexcept { return group_; }
    /// Its configuration has changed: from now on another one is woken. The one before is to be shut down.
    void replace(std::shared_ptr<group> g)
    {
        group_ = std::move(g);
        for (auto const& [where, gate] : gates_) gate->reset();
    }

    /// The gate of one server. @param where Tells servers of the group apart: `tcp localhost:80`.
    std::shared_ptr<port_gate> gate(std::string const& where)
    {
        auto& out = gates_[where];
        if (!out) out = std::make_shared<port_gate>(executor_);
        return out;
    }

    /// Nobody is to wait for a port any more.
    void end_gates(std::string_view why)
    {
        for (auto const& [where, gate] : gates_) gate->failed(std::string(why));
    }

    bool full() const noexcept { return counts.waiting >= group_->config().most_waiting; }
    line_limit& lines(refusal r) noexcept { return lines_[static_cast<std::size_t>(r)]; }

    traffic counts;
    bool page_wakes = false;               ///< A start for browsers with the wait page is on its way.
    std::optional<std::error_code> page_error; ///< Why the last one of those has failed, until a browser was told.

private:
    net::executor executor_;
    std::shared_ptr<group> group_;
    std::string name_;
    std::map<std::string, std::shared_ptr<port_gate>> gates_;
    std::array<line_limit, refusals> lines_;
};

/// Somebody who is counted as waiting while this lives.
class waiting_place {
public:
    explicit waiting_place(std::shared_ptr<port_group> g) : group_(std::move(g)) { ++group_->counts.waiting; }
    waiting_place(waiting_place&& o) noexcept : group_(std::exchange(o.group_, nullptr)) {}
    waiting_place& operator=(waiting_place const&) = delete;
    ~waiting_place()
    {
        if (group_) --group_->counts.waiting;
    }

private:
    std::shared_ptr<port_group> group_;
};

/// May be cut when its group has ended.
class cuttable {
public:
    virtual void cut_now() = 0;

protected:
    ~cuttable() = default;
};

/** What all ports of one wake-proxy share.

    @par Lifetime Held by ports and their clients, which it holds: `close` and end them before the end. Made by `make_shared`. */
class port_commons : public std::enable_shared_from_this<port_commons> {
public:
    port_commons(net::executor ex, logger l, net::relay_config relay, std::size_t most)
        : executor(ex), log(l), relays(ex, relay), tasks(ex), most_clients(most), changed(ex, net::clock::time_point::max()), cutting_(ex)
    {
    }

    net::executor executor;
    logger log;
    net::relay_engine relays;
    net::task_group tasks; ///< clients that wait
    net::dialer* dialer = nullptr; ///< for targets whose host is a name
    traffic unrouted;      ///< clients that were turned away before a group was chosen
    std::array<line_limit, refusals> lines;
    std::size_t clients = 0;
    std::size_t most_clients;
    net::timer changed;    ///< cancelled whenever a client has left
    bool ending = false;   ///< nobody is let in any more

    void left()
    {
        --clients;
        changed.cancel();
    }

    /** The group of this connection has ended: its server ends it in an orderly way, or is gone without a word and never will. Cut it
        after a while, unless `forget` is called before. */
    void cut_later(cuttable& c)
    {
        doomed_.insert(&c);
        if (std::exchange(cutting, true)) return;
        cutting_.expires_after(std::chrono::seconds(15));
        cutting_.async_wait([weak = weak_from_this()](std::error_code) {
            auto const self = weak.lock();
            if (!self || self->ending) return;
            self->cutting = false;
            for (cuttable* const one : std::exchange(self->doomed_, {})) one->cut_now();
        });
    }
    void forget(cuttable& c) noexcept { doomed_.erase(&c); }

    void close()
    {
        ending = true;
        cutting_.cancel();
    }

private:
    std::unordered_set<cuttable*> doomed_;
    net::timer cutting_;
    bool cutting = false;
};

/// Counts a TCP client while it is here, whichever part has it.
class client_place {
public:
    explicit client_place(std::shared_ptr<port_commons> c) noexcept : commons_(std::move(c)) { ++commons_->clients; }
    client_place(client_place&& o) noexcept : commons_(std::move(o.commons_)) {}
    client_place& operator=(client_place const&) = delete;
    ~client_place()
    {
        if (commons_) commons_->left();
    }
    std::shared_ptr<port_commons> const& commons() const noexcept { return commons_; }

private:
    std::shared_ptr<port_commons> commons_;
};

} // namespace podproxy::wake

#endif
