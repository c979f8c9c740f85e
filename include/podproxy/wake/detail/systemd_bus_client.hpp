#ifndef PODPROXY_WAKE_DETAIL_SYSTEMD_BUS_CLIENT_HPP
#define PODPROXY_WAKE_DETAIL_SYSTEMD_BUS_CLIENT_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/wait_slot.hpp>
#include <podproxy/wake/detail/systemd_library.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>
#include <cerrno>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace podproxy::wake::detail {

/// A D-Bus message, counted.
class bus_message {
public:
    bus_message() = default;
    explicit bus_message(sd_message* m) noexcept : m_(m) {}
    bus_message(bus_message&& other) noexcept : m_(std::exchange(other.m_, nullptr)) {}
    bus_message& operator=(bus_message&& other) noexcept
    {
        std::swap(m_, other.m_);
        return *this;
    }
    ~bus_message()
    {
        if (m_) lib().message_unref(m_);
    }
    static bus_message share(sd_message* m) { return bus_message(lib().message_ref(m)); }
    sd_message* get() const noexcept { return m_; }

    // ---- writing; a failure shows when the message is sent
    void add(char const* text) { lib().message_append_basic(m_, 's', text); }
    void add(std::string const& text) { add(text.c_str()); }
    void add(bool yes)
    {
        int const n = yes ? 1 : 0; // what a boolean is in D-Bus
        lib().message_append_basic(m_, 'b', &n);
    }
    void add(std::int32_t n) { lib().message_append_basic(m_, 'i', &n); }
    void add(std::uint64_t n) { lib().message_append_basic(m_, 't', &n); }
    void open(char type, char const* contents) { lib().message_open(m_, type, contents); }
    void close() { lib().message_close(m_); }

    // ---- reading
    std::optional<std::string> text(char type = 's')
    {
        char const* out = nullptr;
        if (lib().message_read_basic(m_, type, &out) <= 0 || !out) return std::nullopt;
        return out;
    }
    bool enter(char type, char const* contents) { return lib().message_enter(m_, type, contents) > 0; }
    void exit() { lib().message_exit(m_); }
    bool skip(char const* types) { return lib().message_skip(m_, types) >= 0; }
    /// The one value of a variant: texts and numbers as text, others passed over as nothing.
    std::string variant()
    {
        char type = 0;
        char const* contents = nullptr;
        if (lib().message_peek(m_, &type, &contents) <= 0 || type != 'v' || !contents) return {};
        std::string out;
        if (contents[0] != '\0' && contents[1] == '\0' && std::string_view("siut").find(contents[0]) != std::string_view::npos) {
            if (!enter('v', contents)) return {};
            std::int32_t i = 0;
            std::uint32_t u = 0;
            std::uint64_t t = 0;
            switch (contents[0]) {
            case 's': out = text().value_or(std::string()); break;
            case 'i': lib().message_read_basic(m_, 'i', &i), out = std::to_string(i); break;
            case 'u': lib().message_read_basic(m_, 'u', &u), out = std::to_string(u); break;
            default: lib().message_read_basic(m_, 't', &t), out = std::to_string(t); break;
            }
            exit();
        } else {
            skip("v");
        }
        return out;
    }

private:
    static systemd_library const& lib() { return *systemd_library::get(); }

    sd_message* m_ = nullptr;
};

/** A connection to a message bus or to the manager itself.
    @par Overlap any number of calls; `pump` once, and nothing moves without it. */
class systemd_bus : public std::enable_shared_from_this<systemd_bus> {
public:
    enum class kind { manager_socket, system_bus, user_bus };

    static result<std::shared_ptr<systemd_bus>> open(net::executor ex, kind where)
    {
        auto const& lib = *systemd_library::get();
        auto out = std::shared_ptr<systemd_bus>(new systemd_bus(ex));
        int r = 0;
        if (where == kind::manager_socket) {
            r = lib.bus_new(&out->bus_);
            if (r >= 0) r = lib.bus_set_address(out->bus_, "unix:path=/run/systemd/private");
            if (r >= 0) r = lib.bus_start(out->bus_);
        } else {
            r = where == kind::system_bus ? lib.bus_open_system(&out->bus_) : lib.bus_open_user(&out->bus_);
        }
        if (r < 0) return system_error(r);
        r = lib.bus_add_filter(out->bus_, nullptr, &systemd_bus::on_message, out.get());
        if (r < 0) return system_error(r);
        int const fd = lib.bus_get_fd(out->bus_);
        if (fd < 0) return system_error(fd);
        // A descriptor of our own, so that each of the two can close one.
        int const mine = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (mine < 0) return std::error_code(errno, std::system_category());
        out->fd_.assign(mine);
        return out;
    }

    ~systemd_bus()
    {
        if (!bus_) return;
        systemd_library::get()->bus_close(bus_);
        systemd_library::get()->bus_unref(bus_);
    }

    /// Is told every signal.
    std::function<void(sd_message*)> on_signal;

    bus_message method(char const* member, char const* path = "/org/freedesktop/systemd1", char const* interface = "org.freedesktop.systemd1.Manager",
                       char const* destination = "org.freedesktop.systemd1")
    {
        sd_message* m = nullptr;
        systemd_library::get()->message_new_call(bus_, &m, destination, path, interface, member);
        return bus_message(m);
    }

    /// Send a call and wait for its answer. @par Cancel terminal.
    net::awaitable<result<bus_message>> call(bus_message m, std::chrono::milliseconds limit, diagnostics& why)
    {
        auto const keep = shared_from_this();
        auto const& lib = *systemd_library::get();
        struct waiting {
            explicit waiting(net::executor ex) : slot(ex) {}
            ~waiting()
            {
                if (among) among->erase(&slot);
                if (handle) systemd_library::get()->slot_unref(handle);
            }
            net::wait_slot slot;
            std::set<net::wait_slot*>* among = nullptr;
            sd_slot* handle = nullptr;
            bus_message reply;
        } state(executor_);
        if (!m.get()) co_return std::make_error_code(std::errc::not_connected);
        int const r = lib.bus_call_async(
            bus_, &state.handle, m.get(),
            [](sd_message* reply, void* data, sd_error*) {
                auto& s = *static_cast<waiting*>(data);
                s.reply = bus_message::share(reply);
                s.slot.complete({});
                return 1;
            },
            &state, static_cast<std::uint64_t>(std::chrono::microseconds(limit).count()));
        if (r < 0) co_return system_error(r);
        wake_.cancel(); // there may be something to write, and a deadline
        state.among = &calls_;
        calls_.insert(&state.slot);
        auto [ec] = co_await state.slot.async_wait(asio::as_tuple(net::use_awaitable));
        if (ec) co_return ec;
        if (auto const* const e = lib.message_error(state.reply.get())) co_return refusal(*e, why);
        co_return std::move(state.reply);
    }

    /// Move what there is to move, until the connection ends. @par Cancel terminal.
    net::awaitable<std::error_code> pump()
    {
        auto const keep = shared_from_this();
        auto const& lib = *systemd_library::get();
        for (;;) {
            int r = 0;
            while ((r = lib.bus_process(bus_, nullptr)) > 0) {}
            if (r < 0) co_return system_error(r);
            int const events = lib.bus_get_events(bus_);
            if (events < 0) co_return system_error(events);
            std::uint64_t until = UINT64_MAX; // on the steady clock
            if (lib.bus_get_timeout(bus_, &until) < 0) until = UINT64_MAX;
            if ((events & POLLIN) != 0) arm(asio::posix::descriptor_base::wait_read, reading_);
            if ((events & POLLOUT) != 0) arm(asio::posix::descriptor_base::wait_write, writing_);
            if (until == UINT64_MAX) wake_.expires_at(net::clock::time_point::max());
            else wake_.expires_at(net::clock::time_point(std::chrono::duration_cast<net::clock::duration>(std::chrono::microseconds(until))));
            co_await wake_.async_wait(asio::as_tuple(net::use_awaitable)); // cancelled by what happens, or with us
            if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) co_return asio::error::operation_aborted;
        }
    }

    /// End it: all calls fail, `pump` ends.
    void close()
    {
        std::error_code ignored;
        fd_.close(ignored);
        if (bus_) systemd_library::get()->bus_close(bus_);
        for (auto* const c : calls_) c->complete(std::make_error_code(std::errc::not_connected));
        wake_.cancel();
    }

private:
    explicit systemd_bus(net::executor ex) : executor_(ex), fd_(ex), wake_(ex) {}

    static std::error_code system_error(int negative) { return {-negative, std::system_category()}; }

    static int on_message(sd_message* m, void* data, sd_error*)
    {
        auto* const self = static_cast<systemd_bus*>(data);
        if (self->on_signal && systemd_library::get()->message_is_signal(m, nullptr, nullptr) > 0) self->on_signal(m);
        return 0; // others may look at it too
    }

    void arm(asio::posix::descriptor_base::wait_type what, bool& armed)
    {
        if (std::exchange(armed, true)) return;
        fd_.async_wait(what, [keep = shared_from_this(), &armed](std::error_code) {
            armed = false;
            keep->wake_.cancel();
        });
    }

    static std::error_code refusal(sd_error const& e, diagnostics& why)
    {
        std::string_view const name = e.name ? e.name : "";
        why.set_server_text(e.message ? e.message : e.name ? e.name : "");
        if (name == "org.freedesktop.DBus.Error.AccessDenied" || name == "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired") {
            why.message = "systemd does not allow this user to do that: run as root, or allow org.freedesktop.systemd1.manage-units in a polkit rule";
            return std::make_error_code(std::errc::permission_denied);
        }
        bool const silent = name == "org.freedesktop.DBus.Error.NoReply" || name == "org.freedesktop.DBus.Error.Timeout" || name == "System.Error.ETIMEDOUT";
        if (name == "org.freedesktop.DBus.Error.Disconnected" || name == "System.Error.ECONNRESET" || (silent && why.server_text == "Connection terminated")) {
            why.message = "the connection to systemd was lost";
            why.server_text.clear();
            return std::make_error_code(std::errc::not_connected);
        }
        if (silent) {
            why.message = "systemd has not answered";
            return podproxy::errc::timed_out;
        }
        why.message = "systemd refuses";
        return podproxy::errc::unavailable;
    }

    net::executor executor_;
    sd_bus* bus_ = nullptr;
    asio::posix::basic_stream_descriptor<net::executor> fd_;
    net::timer wake_; ///< what `pump` waits for
    std::set<net::wait_slot*> calls_;
    bool reading_ = false;
    bool writing_ = false;
};

} // namespace podproxy::wake::detail

#endif
