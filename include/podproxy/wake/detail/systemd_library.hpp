#ifndef PODPROXY_WAKE_DETAIL_SYSTEMD_LIBRARY_HPP
#define PODPROXY_WAKE_DETAIL_SYSTEMD_LIBRARY_HPP

#include <cstddef>
#include <cstdint>

#include <dlfcn.h>

/** What we use of libsystemd (sd-bus(3), sd-journal(3)), found when it is needed: a program that is linked with it could not be run where
    there is no systemd. The functions are as they have been since systemd 221. */
namespace podproxy::wake::detail {

struct sd_bus;
struct sd_message;
struct sd_slot;
struct sd_journal;
struct sd_error { // sd_bus_error
    char const* name;
    char const* message;
    int need_free;
};
using sd_handler = int (*)(sd_message* m, void* data, sd_error* failure);

struct systemd_library {
    int (*bus_new)(sd_bus**) = nullptr;
    int (*bus_set_address)(sd_bus*, char const*) = nullptr;
    int (*bus_start)(sd_bus*) = nullptr;
    int (*bus_open_system)(sd_bus**) = nullptr;
    int (*bus_open_user)(sd_bus**) = nullptr;
    void (*bus_close)(sd_bus*) = nullptr;
    sd_bus* (*bus_unref)(sd_bus*) = nullptr;
    int (*bus_get_fd)(sd_bus*) = nullptr;
    int (*bus_get_events)(sd_bus*) = nullptr;
    int (*bus_get_timeout)(sd_bus*, std::uint64_t*) = nullptr;
    int (*bus_process)(sd_bus*, sd_message**) = nullptr;
    int (*bus_add_filter)(sd_bus*, sd_slot**, sd_handler, void*) = nullptr;
    int (*bus_call_async)(sd_bus*, sd_slot**, sd_message*, sd_handler, void*, std::uint64_t) = nullptr;
    sd_slot* (*slot_unref)(sd_slot*) = nullptr;
    int (*message_new_call)(sd_bus*, sd_message**, char const*, char const*, char const*, char const*) = nullptr;
    sd_message* (*message_ref)(sd_message*) = nullptr;
    sd_message* (*message_unref)(sd_message*) = nullptr;
    int (*message_append_basic)(sd_message*, char, void const*) = nullptr;
    int (*message_open)(sd_message*, char, char const*) = nullptr;
    int (*message_close)(sd_message*) = nullptr;
    int (*message_read_basic)(sd_message*, char, void*) = nullptr;
    int (*message_enter)(sd_message*, char, char const*) = nullptr;
    int (*message_exit)(sd_message*) = nullptr;
    int (*message_skip)(sd_message*, char const*) = nullptr;
    int (*message_peek)(sd_message*, char*, char const**) = nullptr;
    int (*message_is_signal)(sd_message*, char const*, char const*) = nullptr;
    char const* (*message_path)(sd_message*) = nullptr;
    sd_error const* (*message_error)(sd_message*) = nullptr;
    int (*journal_open)(sd_journal**, int) = nullptr;
    void (*journal_close)(sd_journal*) = nullptr;
    int (*journal_add_match)(sd_journal*, void const*, std::size_t) = nullptr;
    int (*journal_seek_tail)(sd_journal*) = nullptr;
    int (*journal_previous)(sd_journal*) = nullptr;
    int (*journal_get_data)(sd_journal*, char const*, void const**, std::size_t*) = nullptr;

    /// The library of this process; null where there is none. Never unloaded.
    static systemd_library const* get() noexcept
    {
        static systemd_library const loaded;
        return loaded.complete_ ? &loaded : nullptr;
    }

private:
    systemd_library() noexcept
    {
        void* const from = ::dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
        if (!from) return;
        complete_ = true;
        find(from, bus_new, "sd_bus_new");
        find(from, bus_set_address, "sd_bus_set_address");
        find(from, bus_start, "sd_bus_start");
        find(from, bus_open_system, "sd_bus_open_system");
        find(from, bus_open_user, "sd_bus_open_user");
        find(from, bus_close, "sd_bus_close");
        find(from, bus_unref, "sd_bus_unref");
        find(from, bus_get_fd, "sd_bus_get_fd");
        find(from, bus_get_events, "sd_bus_get_events");
        find(from, bus_get_timeout, "sd_bus_get_timeout");
        find(from, bus_process, "sd_bus_process");
        find(from, bus_add_filter, "sd_bus_add_filter");
        find(from, bus_call_async, "sd_bus_call_async");
        find(from, slot_unref, "sd_bus_slot_unref");
        find(from, message_new_call, "sd_bus_message_new_method_call");
        find(from, message_ref, "sd_bus_message_ref");
        find(from, message_unref, "sd_bus_message_unref");
        find(from, message_append_basic, "sd_bus_message_append_basic");
        find(from, message_open, "sd_bus_message_open_container");
        find(from, message_close, "sd_bus_message_close_container");
        find(from, message_read_basic, "sd_bus_message_read_basic");
        find(from, message_enter, "sd_bus_message_enter_container");
        find(from, message_exit, "sd_bus_message_exit_container");
        find(from, message_skip, "sd_bus_message_skip");
        find(from, message_peek, "sd_bus_message_peek_type");
        find(from, message_is_signal, "sd_bus_message_is_signal");
        find(from, message_path, "sd_bus_message_get_path");
        find(from, message_error, "sd_bus_message_get_error");
        find(from, journal_open, "sd_journal_open");
        find(from, journal_close, "sd_journal_close");
        find(from, journal_add_match, "sd_journal_add_match");
        find(from, journal_seek_tail, "sd_journal_seek_tail");
        find(from, journal_previous, "sd_journal_previous");
        find(from, journal_get_data, "sd_journal_get_data");
    }

    template <class Function>
    void find(void* from, Function& out, char const* name) noexcept
    {
        out = reinterpret_cast<Function>(::dlsym(from, name));
        if (!out) complete_ = false;
    }

    bool complete_ = false;
};

} // namespace podproxy::wake::detail

#endif
