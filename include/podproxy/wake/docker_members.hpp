#ifndef PODPROXY_WAKE_DOCKER_MEMBERS_HPP
#define PODPROXY_WAKE_DOCKER_MEMBERS_HPP

#include <podproxy/docker/container.hpp>
#include <podproxy/wake/member.hpp>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace podproxy::wake {

/// What is configured about containers and groups.
struct docker_member_rules {
    /** Names of containers for each group, from a file or arguments. A name is the container's own, its compose service, or
        `project/service` where several projects have a service of that name. Stands above labels. */
    std::map<std::string, std::vector<std::string>> groups;
    /// Where containers in the network of the engine's machine are reached.
    std::string host_address = "127.0.0.1";
};

/// What a group has done with a container that several groups depend on.
enum class shared_use : std::uint8_t {
    wanted,  ///< Started for the group.
    stopped, ///< Let go; it may run on for others.
    paused,  ///< The same, where the group would pause it.
};

/// By container id and group.
using shared_uses = std::map<std::pair<std::string, std::string>, shared_use>;

struct docker_membership {
    std::vector<member> members; ///< In the order of group, name, id.
    /// Ids of the containers that members are made of: those whose changes have to be known.
    std::set<std::string, std::less<>> watched;
};

/** Which containers are members of which groups.

    A container belongs to the group
    1. for which its name, or its compose service, is configured;
    2. that its label `podproxy.wake.group` names, or else `proxytainer.group` or `lazytainer.group`;
    3. that is called like its compose service, or else like itself, where it has any other label `podproxy.wake.*`.

    What a member depends on by compose's label `com.docker.compose.depends_on` belongs to its group too, when it is of the same project and
    has no group of its own, and so on from there. A dependency that is in another group, or not there at all, is not `required`: it
    is somebody else's affair. Containers of `docker compose run` are in no group, unless by name; `own` is in none.

    A container that members of several groups depend on is in each of them, under the id `<container>@<group>`. It counts as stopped in a
    group that does not use it: one whose other members all rest and that has not started it (`uses`).

    The address is the one in a network that `own` is in too, else in the network that is the container's main one, else in the
    first that has one. For containers in the network of another container it is that one's; for those in the network of the engine's machine it
    is `rules.host_address`, or from within a container the gateway of its network.
    @param all By id.
    @param own The container that we run in; null: none. */
docker_membership docker_members(std::map<std::string, docker::container> const& all, docker_member_rules const& rules,
                                 docker::container const* own = nullptr, shared_uses const& uses = {});

/// Names of the rules that no container has, each with its group: `db: postgres`. Sorted.
std::set<std::pair<std::string, std::string>> missing_names(std::map<std::string, docker::container> const& all, docker_member_rules const& rules);

/// The container's id in a member's id.
std::string_view container_of(std::string_view member_id) noexcept;

/** Read compose's label `com.docker.compose.depends_on`: `db:service_healthy:false,init:service_completed_successfully:true`, or `db,init` as
    older ones write it. The third part, whether to restart, is not for us. A condition that is not known means started. */
std::vector<dependency> parse_depends_on(std::string_view label);

} // namespace podproxy::wake

#include <podproxy/wake/impl/docker_members.ipp>

#endif
