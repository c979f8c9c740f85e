#ifndef PODPROXY_NET_ACTIVATION_HPP
#define PODPROXY_NET_ACTIVATION_HPP

#include <podproxy/core/host_port.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/listener.hpp>
#include <podproxy/net/udp_socket.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace podproxy::net {

/// What a service manager tells a program by variables, as a value, so that tests have their own. None: not set.
struct activation_environment {
    std::optional<std::string> listen_pid;     ///< `LISTEN_PID`: whom the sockets are for.
    std::optional<std::string> listen_fds;     ///< `LISTEN_FDS`: how many there are, from descriptor 3 on.
    std::optional<std::string> listen_fdnames; ///< `LISTEN_FDNAMES`: their names with colons between them.
    std::optional<std::string> notify_socket;  ///< `NOTIFY_SOCKET`
};

/// Those of this process, which are unset then, so that no child takes them for its own. Not for use beside `setenv`.
activation_environment take_activation_environment();

enum class inherited_kind : std::uint8_t {
    tcp,   ///< A listening TCP socket.
    udp,   ///< A UDP socket that is bound.
    other, ///< Anything else: of no use here.
};

/// A socket that the service manager has opened for us.
struct inherited_socket {
    int fd = -1;
    std::string name; ///< Of the socket unit, or `FileDescriptorName=`; empty where it was not told.
    inherited_kind kind = inherited_kind::other;
    bool ipv6 = false;
    host_port address; ///< An address as numbers.
};

/** The sockets that were handed to this process. They are made non-inheritable.

    Systemd keeps a socket open while the program behind it is restarted, so no client is refused in between.
    @par Source sd_listen_fds(3)
    @param self  This process; with another one in `LISTEN_PID` there is nothing for us.
    @param first The first descriptor; another one than 3 is for tests. */
std::vector<inherited_socket> inherited_sockets(activation_environment const& env, ::pid_t self, int first = 3);

/// Take over an inherited socket of kind `tcp`. It belongs to the listener then. @return the system's reason.
result<listener> adopt_listener(executor ex, inherited_socket const& socket);
/// The same for kind `udp`.
result<udp_socket> adopt_udp_socket(executor ex, inherited_socket const& socket);

/** Tells the service manager what this program does (sd_notify). Without `NOTIFY_SOCKET` it is silent; what can't be sent is lost.
    @par Source sd_notify(3) */
class service_notifier {
public:
    /// @param address A path, or `@name` in the abstract namespace. Anything else: silent.
    explicit service_notifier(std::optional<std::string> address = std::nullopt);

    bool is_active() const noexcept { return !address_.empty(); }

    /// Ready to serve. @param status A line for `systemctl status`.
    void ready(std::string_view status) const;
    void stopping() const;
    /// Reading settings again; `ready` follows.
    void reloading() const;
    void status(std::string_view text) const;

private:
    void send(std::string const& text) const;

    std::string address_;
};

} // namespace podproxy::net

#include <podproxy/net/impl/activation.ipp>

#endif
