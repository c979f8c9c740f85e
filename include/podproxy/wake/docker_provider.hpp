#ifndef PODPROXY_WAKE_DOCKER_PROVIDER_HPP
#define PODPROXY_WAKE_DOCKER_PROVIDER_HPP

#include <podproxy/core/diagnostics.hpp>
#include <podproxy/core/log.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/docker/client.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/wake/docker_members.hpp>
#include <podproxy/wake/member.hpp>
#include <podproxy/wake/provider.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace podproxy::wake {

struct docker_provider_config {
    docker_member_rules rules;
    /// The name of this machine, which in a container is the beginning of its id. None: the system is asked.
    std::optional<std::string> hostname;
    std::chrono::milliseconds first_backoff{100}; ///< After a lost engine; doubled each time, up to `most_backoff`, with jitter.
    std::chrono::milliseconds most_backoff{5'000};
    /// An engine without any event for so long is asked whether it is still there.
    std::chrono::milliseconds check_every{30'000};
    /// A container that can't be inspected within this is told as the engine's list has it, and again when more is known.
    std::chrono::milliseconds snapshot_limit{2'000};
};

/** Starts and stops containers of Docker or Podman.

    Which containers are members, and of which group, is told by `docker_members`. Events are followed first and the containers listed
    then, so that nothing between the two is missed; each event of a member leads to one inspection of that member.
    @par Lifetime `engine` outlives it. It may go away when `run` has ended. */
class docker_provider final : public provider {
public:
    docker_provider(net::executor ex, docker::client& engine, logger log, docker_provider_config config = {});
    ~docker_provider() override;

    std::string_view name() const noexcept override; ///< `docker`, `podman`
    net::awaitable<void> run(member_observer& observer) override;
    net::awaitable<result<void>> start(member const& m, diagnostics& why) override;
    net::awaitable<result<void>> stop(member const& m, std::optional<std::chrono::seconds> timeout, diagnostics& why) override;
    net::awaitable<result<void>> pause(member const& m, diagnostics& why) override;
    net::awaitable<result<void>> unpause(member const& m, diagnostics& why) override;
    net::awaitable<result<void>> set_resources(member const& m, resources const& limits, diagnostics& why) override;
    net::awaitable<std::string> last_line(member const& m) override;

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace podproxy::wake

#include <podproxy/wake/impl/docker_provider.ipp>

#endif
