#include <podproxy/core/duration.hpp>
#include <podproxy/core/error.hpp>
#include <podproxy/net/task_group.hpp>
#include <podproxy/net/timeout.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <optional>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

extern char** environ;

namespace podproxy::net {

namespace detail {

using file_descriptor = asio::posix::basic_stream_descriptor<executor>;

/// One output of a program: the end of a pipe that we read.
class child_output {
public:
    explicit child_output(executor ex) : fd_(ex) {}

    /// @return the end for the program, or -1.
    int open()
    {
        std::array<int, 2> ends{};
        if (::pipe(ends.data()) != 0) return -1;
        for (int const fd : ends) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
        fd_.assign(ends[0]);
        fd_.non_blocking(true);
        return ends[1];
    }

    /// Read until its end, or until `take` returns false. @par Cancel total.
    template <class Take>
    awaitable<void> follow(Take take)
    {
        while (read_now(take)) co_await fd_.async_wait(file_descriptor::wait_read, asio::as_tuple(use_awaitable));
    }

    /// Read what is there. @return whether more may come.
    template <class Take>
    bool read_now(Take take)
    {
        std::array<char, 4096> part{};
        for (;;) {
            ssize_t const n = ::read(fd_.native_handle(), part.data(), part.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
            if (n == 0 || !take(std::string_view(part.data(), static_cast<std::size_t>(n)))) return false;
        }
    }

private:
    file_descriptor fd_;
};

/// A running program; kills what is left of it when it goes.
class child_handle {
public:
    explicit child_handle(executor ex) : ended_(ex), pause_(ex) {}
    child_handle(child_handle const&) = delete;
    child_handle& operator=(child_handle const&) = delete;
    ~child_handle()
    {
        if (pid_ <= 0) return;
        kill();
        ::waitpid(pid_, nullptr, 0); // SIGKILL can't be put off
    }

    std::error_code start(child_process_config const& config, int output, int errors)
    {
        std::vector<char*> arguments, variables;
        for (auto const& a : config.arguments) arguments.push_back(const_cast<char*>(a.c_str()));
        for (auto const& v : config.environment) variables.push_back(const_cast<char*>(v.c_str()));
        arguments.push_back(nullptr);
        variables.push_back(nullptr);

        ::posix_spawn_file_actions_t files;
        ::posix_spawn_file_actions_init(&files);
        if (!config.interactive) ::posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_adddup2(&files, output, 1);
        ::posix_spawn_file_actions_adddup2(&files, errors, 2);
#if defined(__GLIBC__)
#if __GLIBC_PREREQ(2, 34)
        ::posix_spawn_file_actions_addclosefrom_np(&files, 3); // sockets, which Asio opens without FD_CLOEXEC
#endif
#endif
        ::posix_spawnattr_t how;
        ::posix_spawnattr_init(&how);
        ::sigset_t none, standard;
        ::sigemptyset(&none);
        ::sigemptyset(&standard);
        for (int const s : {SIGPIPE, SIGHUP, SIGINT, SIGTERM}) ::sigaddset(&standard, s); // what this process ignores, its children would too
        ::posix_spawnattr_setsigmask(&how, &none);
        ::posix_spawnattr_setsigdefault(&how, &standard);
        short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
        own_group_ = !config.interactive; // a terminal stops background groups that read from it
        if (own_group_) flags |= POSIX_SPAWN_SETPGROUP;
        ::posix_spawnattr_setpgroup(&how, 0);
        ::posix_spawnattr_setflags(&how, flags);

        int const failed = ::posix_spawnp(&pid_, arguments.front(), &files, &how, arguments.data(), config.environment.empty() ? environ : variables.data());
        ::posix_spawnattr_destroy(&how);
        ::posix_spawn_file_actions_destroy(&files);
        if (failed == 0) return {};
        pid_ = -1;
        return {failed, std::system_category()};
    }

    /// @par Cancel total. @return the exit code, or none when cancelled.
    awaitable<std::optional<int>> wait()
    {
#if defined(__linux__) && defined(SYS_pidfd_open)
        if (int const fd = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)); fd >= 0) {
            ended_.assign(fd);
            auto [ec] = co_await ended_.async_wait(file_descriptor::wait_read, asio::as_tuple(use_awaitable));
            if (ec) co_return std::nullopt;
        }
#endif
        for (;;) {
            int status = 0;
            pid_t const got = ::waitpid(pid_, &status, WNOHANG);
            if (got == pid_ || (got < 0 && errno != EINTR)) {
                if (own_group_) ::kill(-pid_, SIGKILL); // what it left behind in its group
                pid_ = -1;
                co_return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
            }
            pause_.expires_after(std::chrono::milliseconds(10));
            auto [ec] = co_await pause_.async_wait(asio::as_tuple(use_awaitable));
            if (ec) co_return std::nullopt;
        }
    }

    void kill() const noexcept
    {
        if (pid_ > 0) ::kill(own_group_ ? -pid_ : pid_, SIGKILL);
    }

private:
    pid_t pid_ = -1;
    bool own_group_ = true;
    file_descriptor ended_;
    timer pause_;
};

inline awaitable<result<child_process_end>> run_child(child_process_config const& config, diagnostics& why)
{
    auto ex = co_await asio::this_coro::executor;
    std::string const program = config.arguments.front();
    child_output out(ex), err(ex);
    int const out_end = out.open();
    int const err_end = err.open();
    if (out_end < 0 || err_end < 0) {
        std::error_code const ec(errno, std::system_category());
        if (out_end >= 0) ::close(out_end);
        why.message = "can't start " + program + ": " + ec.message();
        co_return ec;
    }
    child_handle child(ex);
    auto const failed = child.start(config, out_end, err_end);
    ::close(out_end);
    ::close(err_end);
    if (failed) {
        bool const missing = failed.value() == ENOENT;
        why.message = missing ? "there is no program " + program : "can't start " + program + ": " + failed.message();
        if (missing) co_return errc::unavailable;
        co_return failed;
    }

    child_process_end end;
    bool too_much = false;
    auto const keep_output = [&](std::string_view part) {
        too_much = part.size() > config.most_output - end.output.size();
        if (too_much) child.kill();
        else end.output += part;
        return !too_much;
    };
    auto const keep_errors = [&](std::string_view part) {
        end.errors += part;
        if (end.errors.size() > config.kept_errors) end.errors.erase(0, end.errors.size() - config.kept_errors);
        return true;
    };
    task_group readers(ex);
    readers.spawn(out.follow(keep_output));
    readers.spawn(err.follow(keep_errors));
    auto const code = co_await child.wait();
    if (!code) {
        child.kill();
        readers.cancel();
        co_await asio::this_coro::reset_cancellation_state();
        co_await readers.join();
        co_return std::error_code(asio::error::operation_aborted);
    }
    // What it wrote is in the pipes already; who else holds their other ends is not waited for.
    readers.cancel();
    co_await readers.join();
    if (!too_much) out.read_now(keep_output);
    err.read_now(keep_errors);
    if (too_much) {
        why.message = program + " wrote more than " + std::to_string(config.most_output) + " bytes";
        co_return errc::buffer_full;
    }
    end.exit_code = *code;
    co_return end;
}

} // namespace detail

inline awaitable<result<child_process_end>> run_child_process(child_process_config config, diagnostics& why)
{
    auto ended = co_await with_deadline(detail::run_child(config, why), config.limit);
    if (!ended && ended.error() == errc::timed_out)
        why.message = config.arguments.front() + " did not end within " + format_duration(config.limit) + " and was killed";
    co_return ended;
}

} // namespace podproxy::net
