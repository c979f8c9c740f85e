namespace podproxy::wake {

inline start_plan::start_plan(std::vector<member> const& members, std::set<std::string> const& known) : nodes_(members.size())
{
    std::vector<unsigned> wanted(members.size(), 0), required(members.size(), 0);
    for (std::size_t i = 0; i < members.size(); ++i) {
        for (dependency const& d : members[i].depends_on) {
            edge e{{}, d.condition, d.required};
            for (std::size_t j = 0; j < members.size(); ++j)
                if (members[j].service == d.service) e.targets.push_back(j);
            if (e.targets.empty()) {
                if (!known.contains(d.service)) {
                    outside_.insert(d.service);
                    continue;
                }
                if (d.required) missing_.insert(d.service);
            }
            for (std::size_t const t : e.targets) {
                ++wanted[t];
                if (d.required) ++required[t];
                if (d.condition == dependency_condition::completed) nodes_[t].job = true;
                if (d.condition == dependency_condition::healthy) nodes_[t].health_needed = true;
            }
            nodes_[i].needs.push_back(std::move(e));
        }
    }
    for (std::size_t i = 0; i < nodes_.size(); ++i) nodes_[i].optional = wanted[i] != 0 && required[i] == 0;
    leave_out_cycles(members);
    for (std::size_t i = 0; i < nodes_.size(); ++i)
        for (edge const& e : nodes_[i].needs)
            for (std::size_t const t : e.targets) nodes_[t].needed_by.push_back(i);
}

inline void start_plan::leave_out_cycles(std::vector<member> const& members)
{
    // Groups are small: who reaches whom is enough, without the usual algorithm for components.
    std::size_t const n = nodes_.size();
    std::vector<std::vector<char>> reaches(n, std::vector<char>(n, 0));
    for (std::size_t i = 0; i < n; ++i)
        for (edge const& e : nodes_[i].needs)
            for (std::size_t const t : e.targets) reaches[i][t] = 1;
    for (std::size_t k = 0; k < n; ++k)
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; reaches[i][k] && j < n; ++j)
                if (reaches[k][j]) reaches[i][j] = 1;

    std::vector<char> told(n, 0);
    for (std::size_t i = 0; i < n; ++i) {
        if (!reaches[i][i]) continue;
        std::vector<edge> kept;
        for (edge& e : nodes_[i].needs) {
            bool const was_missing = e.targets.empty();
            std::erase_if(e.targets, [&](std::size_t t) { return reaches[t][i] != 0; });
            if (was_missing || !e.targets.empty()) kept.push_back(std::move(e));
        }
        nodes_[i].needs = std::move(kept);
        if (told[i]) continue;
        std::vector<std::string> names;
        for (std::size_t j = i; j < n; ++j)
            if (j == i || (reaches[i][j] && reaches[j][i])) {
                names.push_back(members[j].name);
                told[j] = 1;
            }
        cycles_.push_back(std::move(names));
    }
}

} // namespace podproxy::wake
