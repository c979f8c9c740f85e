#ifndef PODPROXY_TESTS_UNIT_WEB_FAKE_SOURCE_HPP
#define PODPROXY_TESTS_UNIT_WEB_FAKE_SOURCE_HPP

#include <podproxy/web/status_source.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::test {

/// A program with one group, whose buttons are written down.
class fake_source final : public web::status_source {
public:
    web::health state{true, "All is well."};
    web::page_content content;
    nlohmann::json told = {{"groups", nlohmann::json::array()}};
    std::vector<std::string> pressed;

    web::health check_health() const override { return state; }
    web::page_content page() const override { return content; }
    nlohmann::json status() const override { return told; }
    void collect(metrics::exposition_writer& out) const override
    {
        out.family("fake_groups", metrics::kind::gauge, "Groups.");
        out.sample({}, std::uint64_t{1});
    }
    web::action_result act(std::string_view kind, std::string_view name, std::string_view action) override
    {
        if (kind != "groups" || name == "nobody") return web::action_result::no_such_thing;
        pressed.push_back(std::string(name) + ": " + std::string(action));
        return web::action_result::done;
    }
};

} // namespace podproxy::test

#endif
