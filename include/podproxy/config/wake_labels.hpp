#ifndef PODPROXY_CONFIG_WAKE_LABELS_HPP
#define PODPROXY_CONFIG_WAKE_LABELS_HPP

#include <podproxy/config/problem.hpp>
#include <podproxy/wake/member.hpp>
#include <podproxy/wake/settings.hpp>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::config {

/// What all of our labels begin with.
inline constexpr std::string_view wake_label_prefix = "podproxy.wake.";
/// The label that names a group and nothing else, as older compose files have it.
inline constexpr std::string_view proxytainer_group_label = "proxytainer.group";

/// Labels of one member that are read; more are noted and passed over.
inline constexpr std::size_t max_wake_labels = 128;
/// Ports of one member.
inline constexpr std::size_t max_wake_ports = 64;

/// What holds where neither labels nor a file say anything: of every group, and of every port.
struct wake_defaults {
    wake::group_config group; ///< Its name means nothing.
    wake::port_config port;   ///< Only what is neither its address nor its targets.
};

/// What the labels of one member say.
struct label_settings {
    std::string group;                    ///< The group's name; empty where the member is in none.
    wake::group_config config;            ///< The defaults, and above them what the labels say. Its name is `group`.
    std::vector<std::string> keys;        ///< The labels that set something in `config`, without the prefix, sorted.
    std::vector<wake::port_config> ports; ///< One for each entry of `podproxy.wake.listen`, each with one target.
};

/** The group of a member: the one that its engine has found. Where that tells none, the one that its labels name: `podproxy.wake.group`,
    else `proxytainer.group`, else, where it has any other label of ours, the member's own name.
    @return empty where it has none. */
std::string group_from_labels(wake::member const& m);

/** Read the labels of a member. One that makes no sense is a problem of severity `warning`, which names the member, the label and
    what is expected; the rest holds.
    @param base What holds where a label says nothing. */
label_settings settings_from_labels(wake::member const& m, problem_list& problems, wake_defaults const& base = {});

/** What a file and the labels of all members say together: `known`, and the groups and ports that only labels know of.

    A group that `known` has is configured there alone: of its members' labels only the membership counts, and a note says so.
    Members of one group are read in the order of their names; where two differ, the first holds and the other is a problem.
    Ports of several groups on one address become one port with several targets when names (SNI or Host) tell them apart; else the
    first holds, and a problem names both groups.
    @param base What holds for groups and ports of labels where a label says nothing. */
wake::settings settings_with_labels(std::span<wake::member const> all, wake::settings known, wake_defaults const& base,
                                    problem_list& problems);

} // namespace podproxy::config

#include <podproxy/config/impl/wake_labels.ipp>

#endif
