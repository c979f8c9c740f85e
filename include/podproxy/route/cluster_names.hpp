#ifndef PODPROXY_ROUTE_CLUSTER_NAMES_HPP
#define PODPROXY_ROUTE_CLUSTER_NAMES_HPP

#include <podproxy/core/ascii.hpp>
#include <podproxy/core/host_port.hpp>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace podproxy::route {

/** The names by which clusters can be addressed: the names of kubeconfig contexts and further aliases.

    A name is any text without blanks that could end a host: it may hold dots, and also `:`, `/` and `@`, as the names of
    kubeconfig contexts do. Names differ by more than the case of their letters. */
class cluster_names {
public:
    /** Let `name` mean `cluster`.
        @return false, with nothing changed, when it can't be a name (empty, longer than 253 bytes, blanks or control characters,
                a dot at an end or two in a row) or already means another cluster. */
    [[nodiscard]] bool add(std::string_view name, std::string_view cluster)
    {
        if (name.size() > max_name_bytes || !is_host(name)) return false;
        if (name.front() == '.' || name.back() == '.' || name.find("..") != std::string_view::npos) return false;
        auto const [it, fresh] = clusters_.try_emplace(ascii_lower(name), cluster);
        return fresh || it->second == cluster;
    }

    /// Let a cluster be known by its own name.
    [[nodiscard]] bool add(std::string_view cluster) { return add(cluster, cluster); }

    /// Forget a cluster with all its names.
    void remove(std::string_view cluster)
    {
        std::erase_if(clusters_, [&](auto const& entry) { return entry.second == cluster; });
        if (default_ == cluster) default_.clear();
    }

    /// The cluster for names that end in `.svc.cluster.local` or `.svc` and in no known cluster. Empty: there is none.
    void set_default(std::string_view cluster) { default_ = cluster; }
    std::string const& default_cluster() const noexcept { return default_; }

    /// The cluster of a name in small letters, or null. Valid until the next `add` or `clear`.
    std::string const* find(std::string_view name_in_lower_case) const noexcept
    {
        auto const it = clusters_.find(name_in_lower_case);
        return it == clusters_.end() ? nullptr : &it->second;
    }

    /// From each name in small letters to its cluster, in the order of the names.
    auto const& entries() const noexcept { return clusters_; }
    bool empty() const noexcept { return clusters_.empty(); }
    std::size_t size() const noexcept { return clusters_.size(); }
    void clear() noexcept
    {
        clusters_.clear();
        default_.clear();
    }

private:
    static constexpr std::size_t max_name_bytes = 253; // a host has 255, and "s." stands before the cluster

    std::map<std::string, std::string, std::less<>> clusters_;
    std::string default_;
};

} // namespace podproxy::route

#endif
