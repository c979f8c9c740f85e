#include <podproxy/wake/docker_members.hpp>

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace podproxy;
using docker::container_status;
using wake::dependency;
using wake::dependency_condition;
using wake::member_state;

namespace {

using labels = std::map<std::string, std::string>;

struct engine {
    std::map<std::string, docker::container> all;
    wake::docker_member_rules rules;
    wake::shared_uses uses;
    std::string own;

    docker::container& add(std::string const& name, labels l = {}, container_status status = container_status::exited)
    {
        docker::container c;
        c.id = "id-" + name;
        c.name = name;
        c.labels = std::move(l);
        c.status = status;
        c.network_mode = "default";
        std::string id = c.id;
        return all[id] = std::move(c);
    }
    docker::container& service(std::string const& name, labels l = {}, container_status status = container_status::exited, std::string const& project = "p")
    {
        l["com.docker.compose.project"] = project;
        l["com.docker.compose.service"] = name;
        return add(project + "-" + name + "-1", std::move(l), status);
    }

    wake::docker_membership members() const
    {
        auto const it = all.find(own);
        return wake::docker_members(all, rules, it == all.end() ? nullptr : &it->second, uses);
    }
    /// `group: name name; group: name` of all members.
    std::string groups() const
    {
        std::string out;
        std::string last;
        for (auto const& m : members().members) {
            if (m.group != last || out.empty()) out += (out.empty() ? "" : "; ") + m.group + ":";
            last = m.group;
            out += " " + m.name;
        }
        return out;
    }
    wake::member one(std::string_view name, std::string_view group = "") const
    {
        for (auto& m : members().members)
            if (m.name == name && (group.empty() || m.group == group)) return m;
        FAIL("no member " << name);
        return {};
    }
};

constexpr char const* ours = "podproxy.wake.listen";
constexpr char const* our_group = "podproxy.wake.group";
constexpr char const* depends = "com.docker.compose.depends_on";

} // namespace

TEST_CASE("docker members: configured names that no container has")
{
    engine e;
    e.rules.groups = {{"db", {"postgres", "p/cache", "lost"}}, {"web", {"shop", "lost", ""}}};
    e.add("postgres");
    e.service("cache");
    using pairs = std::set<std::pair<std::string, std::string>>;
    CHECK(wake::missing_names(e.all, e.rules) == pairs{{"db", "lost"}, {"web", ""}, {"web", "lost"}, {"web", "shop"}});
    e.service("shop", {{"com.docker.compose.oneoff", "True"}});
    CHECK(wake::missing_names(e.all, e.rules).contains({"web", "shop"}));
    e.service("shop");
    CHECK_FALSE(wake::missing_names(e.all, e.rules).contains({"web", "shop"}));
    CHECK(wake::missing_names({}, {}).empty());
}

TEST_CASE("docker members: the labels that name a group, the first of them counts", "[wake][docker]")
{
    engine e;
    e.add("a", {{our_group, "one"}, {"proxytainer.group", "two"}});
    e.add("b", {{"proxytainer.group", " two "}, {"lazytainer.group", "three"}});
    e.add("c", {{"lazytainer.group", "three"}});
    e.add("d", {{ours, "80"}});
    e.add("e", {{"other", "x"}, {"podproxy.wakeful", "x"}});
    e.service("f", {{ours, "80"}});
    e.add("g", {{our_group, ""}});
    CHECK(e.groups() == "d: d; f: p-f-1; g: g; one: a; three: c; two: b");
    CHECK(e.one("b").labels == labels{{"proxytainer.group", " two "}, {"lazytainer.group", "three"}});
    CHECK(e.one("d").labels == labels{{ours, "80"}});
    CHECK(e.one("d").service.empty());
    CHECK(e.one("p-f-1").service == "f");
    CHECK(e.members().watched == std::set<std::string, std::less<>>{"id-a", "id-b", "id-c", "id-d", "id-p-f-1", "id-g"});
}

TEST_CASE("docker members: configured names stand above labels", "[wake][docker]")
{
    engine e;
    e.rules.groups["file"] = {"a", "web", "", "q/db"};
    e.add("a", {{our_group, "one"}});
    e.add("b", {{our_group, "one"}});
    e.add("web");
    e.service("web");
    e.service("db");
    e.service("db", {}, container_status::exited, "q");
    e.add("");
    CHECK(e.groups() == "file: a p-web-1 q-db-1 web; one: b");
}

TEST_CASE("docker members: containers that docker compose run made, and our own, are left alone", "[wake][docker]")
{
    engine e;
    e.service("web", {{ours, "80"}});
    e.add("p-web-run-1", {{ours, "80"}, {"com.docker.compose.project", "p"}, {"com.docker.compose.service", "web"}, {"com.docker.compose.oneoff", "True"}});
    e.add("p-db-run-1", {{"com.docker.compose.project", "p"}, {"com.docker.compose.service", "db"}, {"com.docker.compose.oneoff", "True"}});
    e.service("proxy", {{ours, "80"}});
    e.own = "id-p-proxy-1";
    e.all["id-p-web-1"].labels[depends] = "db,proxy";
    CHECK(e.groups() == "web: p-web-1");
    e.rules.groups["web"] = {"web"};
    CHECK(e.groups() == "web: p-web-1");
    e.rules.groups["web"] = {"p-web-run-1"};
    CHECK(e.groups() == "web: p-web-1 p-web-run-1");
}

TEST_CASE("docker members: what members depend on comes along, and what that depends on", "[wake][docker]")
{
    engine e;
    e.service("web", {{ours, "80"}, {depends, "api:service_started:true,nothere:service_healthy:true,own:service_started:false"}});
    e.service("api", {{depends, "db:service_healthy:false,init:service_completed_successfully:false"}});
    e.service("db", {{depends, "api"}}); // compose refuses circles; we end all the same
    e.service("init");
    e.service("own", {{our_group, "other"}});
    e.service("db", {}, container_status::exited, "q");
    e.service("stranger");
    CHECK(e.groups() == "other: p-own-1; web: p-api-1 p-db-1 p-init-1 p-web-1");
    auto const web = e.one("p-web-1");
    CHECK(web.depends_on == std::vector<dependency>{{"api", dependency_condition::started, true},
                                                    {"nothere", dependency_condition::healthy, false},
                                                    {"own", dependency_condition::started, false}});
    CHECK(e.one("p-api-1").depends_on ==
          std::vector<dependency>{{"db", dependency_condition::healthy, true}, {"init", dependency_condition::completed, true}});
}

TEST_CASE("docker members: services of several projects in one group keep apart", "[wake][docker]")
{
    engine e;
    e.service("web", {{our_group, "g"}, {depends, "db"}});
    e.service("db");
    e.service("web", {{our_group, "g"}, {depends, "db"}}, container_status::exited, "q");
    e.service("db", {}, container_status::exited, "q");
    e.add("alone", {{our_group, "g"}});
    CHECK(e.one("p-web-1").service == "p/web");
    CHECK(e.one("p-web-1").depends_on == std::vector<dependency>{{"p/db", dependency_condition::started, true}});
    CHECK(e.one("q-db-1").service == "q/db");
    CHECK(e.one("alone").service.empty());
}

TEST_CASE("docker members: states", "[wake][docker]")
{
    engine e;
    auto& c = e.add("a", {{ours, ""}});
    c.exit_code = 3;
    c.health = docker::health_status::unhealthy;
    struct row {
        container_status is;
        member_state told;
    };
    for (row const& r : {row{container_status::created, member_state::stopped}, row{container_status::exited, member_state::stopped},
                         row{container_status::running, member_state::running}, row{container_status::paused, member_state::paused},
                         row{container_status::restarting, member_state::starting}, row{container_status::removing, member_state::stopping},
                         row{container_status::stopping, member_state::stopping}, row{container_status::dead, member_state::dead}}) {
        INFO(to_string(r.is));
        c.status = r.is;
        CHECK(e.one("a").state == r.told);
    }
    CHECK(e.one("a").exit_code == 3);
    CHECK(e.one("a").health == wake::health_state::unhealthy);
    CHECK(e.one("a").id == "id-a");
    c.name.clear();
    c.id = "0123456789abcdef";
    CHECK(e.members().members.front().name == "0123456789ab");
}

TEST_CASE("docker members: addresses", "[wake][docker]")
{
    engine e;
    auto& c = e.add("a", {{ours, ""}}, container_status::running);
    c.networks = {{"alpha", "10.0.0.2", "10.0.0.1"}, {"beta", "10.1.0.2", "10.1.0.1"}, {"gamma", "", ""}};
    SECTION("of the main network, else of the first that has one")
    {
        CHECK(e.one("a").address == "10.0.0.2");
        c.network_mode = "beta";
        CHECK(e.one("a").address == "10.1.0.2");
        c.network_mode = "gamma";
        CHECK(e.one("a").address == "10.0.0.2");
        c.networks.push_back({"bridge", "172.17.0.2", ""});
        c.network_mode = "default";
        CHECK(e.one("a").address == "172.17.0.2");
        c.networks.clear();
        CHECK(e.one("a").address.empty());
    }
    SECTION("only while it runs")
    {
        c.status = container_status::paused;
        CHECK(e.one("a").address == "10.0.0.2");
        c.status = container_status::exited;
        CHECK(e.one("a").address.empty());
    }
    SECTION("of the machine")
    {
        c.network_mode = "host";
        c.status = container_status::exited;
        CHECK(e.one("a").address == "127.0.0.1");
        e.rules.host_address = "192.0.2.1";
        CHECK(e.one("a").address == "192.0.2.1");
        auto& us = e.add("us", {}, container_status::running);
        e.own = "id-us";
        CHECK(e.one("a").address == "192.0.2.1"); // we have no network yet
        us.networks = {{"none", "", ""}, {"alpha", "10.0.0.9", "10.0.0.1"}};
        CHECK(e.one("a").address == "10.0.0.1");
        us.network_mode = "host";
        CHECK(e.one("a").address == "192.0.2.1");
    }
    SECTION("in a network that we are in too")
    {
        c.network_mode = "alpha";
        auto& us = e.add("us", {}, container_status::running);
        us.networks = {{"beta", "10.1.0.9", "10.1.0.1"}};
        CHECK(e.one("a").address == "10.0.0.2");
        e.own = "id-us";
        CHECK(e.one("a").address == "10.1.0.2");
    }
    SECTION("of the container whose network it is in")
    {
        auto& b = e.add("b", {{ours, ""}}, container_status::running);
        b.network_mode = "container:id-a";
        CHECK(e.one("b").address == "10.0.0.2");
        b.network_mode = "container:a"; // Podman may name it
        CHECK(e.one("b").address == "10.0.0.2");
        b.network_mode = "container:gone";
        CHECK(e.one("b").address.empty());
        b.network_mode = "container:id-b"; // never, but who knows
        CHECK(e.one("b").address.empty());
        b.network_mode = "container:id-a";
        c.labels.clear();
        CHECK(e.groups() == "b: b");
        CHECK(e.members().watched.contains("id-a"));
    }
}

TEST_CASE("docker members: what several groups depend on is in each, and rests where it is not used", "[wake][docker]")
{
    engine e;
    e.service("a", {{ours, ""}, {depends, "db"}});
    e.service("b", {{ours, ""}, {depends, "db"}});
    e.service("db");
    CHECK(e.groups() == "a: p-a-1 p-db-1; b: p-b-1 p-db-1");
    CHECK(e.one("p-db-1", "a").id == "id-p-db-1@a");
    CHECK(e.one("p-db-1", "b").id == "id-p-db-1@b");
    CHECK(wake::container_of("id-p-db-1@a") == "id-p-db-1");
    CHECK(wake::container_of("id-p-db-1") == "id-p-db-1");
    auto const told = [&] { return std::string(to_string(e.one("p-db-1", "a").state)) + " " + std::string(to_string(e.one("p-db-1", "b").state)); };
    auto& db = e.all["id-p-db-1"];
    auto& a = e.all["id-p-a-1"];

    CHECK(told() == "stopped stopped");
    db.status = container_status::running; // by nobody's wish
    CHECK(told() == "stopped stopped");
    e.uses[{"id-p-db-1", "a"}] = wake::shared_use::wanted; // a has started it
    CHECK(told() == "running stopped");
    e.uses.clear();
    a.status = container_status::running;
    CHECK(told() == "running stopped");
    a.status = container_status::restarting;
    CHECK(told() == "running stopped");
    e.all["id-p-b-1"].status = container_status::running;
    CHECK(told() == "running running");
    e.uses[{"id-p-db-1", "a"}] = wake::shared_use::stopped; // a lets it go
    CHECK(told() == "stopped running");
    e.uses[{"id-p-db-1", "a"}] = wake::shared_use::paused;
    CHECK(told() == "paused running");
    db.status = container_status::exited;
    CHECK(told() == "stopped stopped");
    db.status = container_status::paused;
    CHECK(told() == "paused paused");

    e.all["id-p-b-1"].labels.erase(depends);
    CHECK(e.one("p-db-1").id == "id-p-db-1"); // one group's alone
    CHECK(e.one("p-db-1").state == member_state::paused);
}

TEST_CASE("docker members: what has a label of its own is in one group, whoever depends on it", "[wake][docker]")
{
    engine e;
    e.service("a", {{our_group, "g"}, {depends, "b"}}, container_status::exited);
    e.service("b", {{our_group, "g"}}, container_status::running);
    CHECK(e.one("p-b-1").id == "id-p-b-1");
    CHECK(e.one("p-b-1").state == member_state::running);
    CHECK(e.one("p-a-1").depends_on.front().required);
}

TEST_CASE("compose: depends_on with and without conditions", "[wake][docker]")
{
    using list = std::vector<dependency>;
    CHECK(wake::parse_depends_on("").empty());
    CHECK(wake::parse_depends_on(", ,:x:").empty());
    CHECK(wake::parse_depends_on("db,init") == list{{"db"}, {"init"}});
    CHECK(wake::parse_depends_on("db:service_healthy:false,init:service_completed_successfully:true,x:service_started:false") ==
          list{{"db", dependency_condition::healthy}, {"init", dependency_condition::completed}, {"x"}});
    CHECK(wake::parse_depends_on(" db : service_healthy ") == list{{"db", dependency_condition::healthy}});
    CHECK(wake::parse_depends_on("db:running_or_healthy:true:more") == list{{"db"}});
    CHECK(wake::parse_depends_on("db:service_started:true,db:service_healthy:true") == list{{"db", dependency_condition::healthy}});
}
