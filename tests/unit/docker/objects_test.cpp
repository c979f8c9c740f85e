#include <podproxy/docker/objects.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

using namespace podproxy;
using docker::container_status;
using docker::event_kind;
using docker::health_status;

namespace {

/// An inspection with this as its `State`.
docker::container with_state(std::string const& state)
{
    auto c = docker::parse_container(R"({"Id":"a","State":)" + state + "}");
    REQUIRE(c);
    return *c;
}

docker::container listed(std::string const& members)
{
    auto all = docker::parse_container_list(R"([{"Id":"a",)" + members + "}]");
    REQUIRE(all);
    REQUIRE(all->size() == 1);
    return all->front();
}

docker::event parse(std::string const& text)
{
    json::parser parser;
    auto e = docker::parse_event(parser, text);
    REQUIRE(e);
    return *e;
}

std::string frame(std::uint8_t kind, std::string_view text)
{
    auto const n = text.size();
    std::string out{static_cast<char>(kind), 0, 0, 0};
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(n >> shift & 255));
    return out.append(text);
}

std::string last(std::string_view log) { return docker::last_log_line(as_bytes(log)); }

} // namespace

TEST_CASE("docker inspection: what an engine says of a container that runs", "[docker][objects]")
{
    auto const c = docker::parse_container(R"({
        "Id": "8eb5e8d1b8ca", "Created": "2026-11-21T16:58:26Z", "Path": "/bin/sleep", "Name": "/shop-web-1",
        "State": {"Status": "running", "Running": true, "ExitCode": 0, "Error": "", "Health": {"Status": "starting", "FailingStreak": 0, "Log": []}},
        "HostConfig": {"NetworkMode": "shop_default", "Memory": 0},
        "Config": {"Labels": {"podproxy.wake.group": "shop", "n": 5}, "Tty": false},
        "NetworkSettings": {"IPAddress": "", "Networks": {
            "back": {"Gateway": "", "IPAddress": "", "GlobalIPv6Address": "fd00::5", "IPv6Gateway": "fd00::1"},
            "shop_default": {"Gateway": "172.18.0.1", "IPAddress": "172.18.0.2", "GlobalIPv6Address": "fd01::5"}}}})");
    REQUIRE(c);
    CHECK(c->id == "8eb5e8d1b8ca");
    CHECK(c->name == "shop-web-1");
    CHECK(c->labels == std::map<std::string, std::string>{{"podproxy.wake.group", "shop"}});
    CHECK(c->label("podproxy.wake.group") == "shop");
    CHECK(c->label("other").empty());
    CHECK(c->status == container_status::running);
    CHECK(c->health == health_status::starting);
    CHECK_FALSE(c->exit_code);
    CHECK(c->network_mode == "shop_default");
    CHECK(c->networks == std::vector<docker::attached_network>{{"back", "fd00::5", "fd00::1"}, {"shop_default", "172.18.0.2", "172.18.0.1"}});
}

TEST_CASE("docker inspection: states, and the exit code of those that have ended", "[docker][objects]")
{
    CHECK(with_state(R"({"Status":"exited","ExitCode":137})").exit_code == 137);
    CHECK(with_state(R"({"Status":"exited","ExitCode":0})").exit_code == 0);
    CHECK_FALSE(with_state(R"({"Status":"exited","ExitCode":99999999999})").exit_code);
    CHECK_FALSE(with_state(R"({"Status":"running","ExitCode":0})").exit_code);
    auto const failed = with_state(R"({"Status":"created","ExitCode":127,"Error":"no such file"})");
    CHECK_FALSE(failed.exit_code);
    CHECK(failed.error == "no such file");
    for (auto const s : {container_status::created, container_status::running, container_status::paused, container_status::restarting,
                         container_status::stopping, container_status::exited, container_status::removing, container_status::dead})
        CHECK(with_state(R"({"Status":")" + std::string(to_string(s)) + "\"}").status == s);
    CHECK(with_state(R"({"Status":"configured"})").status == container_status::created); // Podman's own words
    CHECK(with_state(R"({"Status":"initialized"})").status == container_status::created);
    CHECK(with_state(R"({"Status":"stopped"})").status == container_status::exited);
    CHECK(with_state("5").status == container_status::exited);
}

TEST_CASE("docker inspection: health, which Podman may call otherwise", "[docker][objects]")
{
    CHECK(with_state(R"({"Status":"running"})").health == health_status::none);
    CHECK(with_state(R"({"Health":null})").health == health_status::none);
    CHECK(with_state(R"({"Health":{"Status":""}})").health == health_status::none);
    CHECK(with_state(R"({"Health":{"Status":"none"}})").health == health_status::none);
    CHECK(with_state(R"({"Health":{"Status":"healthy"}})").health == health_status::healthy);
    CHECK(with_state(R"({"Health":{"Status":"unhealthy"}})").health == health_status::unhealthy);
    CHECK(with_state(R"({"Healthcheck":{"Status":"healthy"}})").health == health_status::healthy);
}

TEST_CASE("docker inspection: what is no container", "[docker][objects]")
{
    for (char const* const text : {"", "[]", "5", "null", "{}", R"({"Id":5})", R"({"Id":""})", R"({"Id":"a")", "<html>", R"({"message":"no"})"}) {
        INFO(text);
        CHECK(docker::parse_container(text).error() == docker::errc::bad_answer);
    }
}

TEST_CASE("docker list: containers with their words for people taken apart", "[docker][objects]")
{
    auto c = listed(R"x("Names":["/web"],"State":"running","Status":"Up 5 minutes (healthy)","Labels":{"a":"b"},
                       "HostConfig":{"NetworkMode":"host"},"NetworkSettings":{"Networks":{"host":{"IPAddress":""}}})x");
    CHECK(c.name == "web");
    CHECK(c.health == health_status::healthy);
    CHECK(c.status == container_status::running);
    CHECK(c.network_mode == "host");
    CHECK(c.label("a") == "b");
    CHECK(c.networks.size() == 1);
    CHECK(listed(R"x("State":"running","Status":"Up 5 minutes (unhealthy)")x").health == health_status::unhealthy);
    CHECK(listed(R"x("State":"running","Status":"Up 1 second (health: starting)")x").health == health_status::starting);
    CHECK(listed(R"x("State":"running","Status":"Up 1 second")x").health == health_status::none);
    CHECK(listed(R"x("State":"exited","Status":"Exited (137) 3 days ago")x").exit_code == 137);
    CHECK(listed(R"x("State":"exited","Status":"Exited (-1) 3 days ago")x").exit_code == -1);
    CHECK_FALSE(listed(R"x("State":"exited","Status":"Exited (x) 3 days ago")x").exit_code);
    CHECK_FALSE(listed(R"x("State":"exited","Status":"Exited (1")x").exit_code);
    CHECK_FALSE(listed(R"x("State":"exited","Status":"Exited (")x").exit_code);
    CHECK_FALSE(listed(R"("State":"exited","Status":"")").exit_code);
    CHECK(listed(R"("State":"exited","ExitCode":3)").exit_code == 3); // Podman's own
    CHECK_FALSE(listed(R"("State":"running","ExitCode":0)").exit_code);
}

TEST_CASE("docker list: of several names the one that is no link counts", "[docker][objects]")
{
    CHECK(listed(R"("Names":["/other/alias","/web"])").name == "web");
    CHECK(listed(R"("Names":["/web","/other/alias"])").name == "web");
    CHECK(listed(R"("Names":["/other/alias"])").name == "other/alias");
    CHECK(listed(R"("Names":null)").name.empty());
    CHECK(listed(R"("Names":["web",5])").name == "web");
}

TEST_CASE("docker list: what is no list, and entries without an id", "[docker][objects]")
{
    for (char const* const text : {"", "{}", "5", "[", R"({"message":"no"})"}) CHECK(docker::parse_container_list(text).error() == docker::errc::bad_answer);
    CHECK(docker::parse_container_list("[]")->empty());
    CHECK(docker::parse_container_list(R"([5,{},{"Id":"x"},null])")->size() == 1);
}

TEST_CASE("docker events: Docker's shape, old and new, and Podman's", "[docker][objects]")
{
    auto e = parse(R"({"status":"start","id":"abc","from":"bb:1","Type":"container","Action":"start",
                       "Actor":{"ID":"abc","Attributes":{"image":"bb:1","name":"web"}},"scope":"local","time":1795281044,"timeNano":1795281044233981945})");
    CHECK(e == docker::event{event_kind::started, "abc", "start"});
    e = parse(R"({"Type":"container","Action":"health_status: healthy","Actor":{"ID":"abc","Attributes":{}}})");
    CHECK(e == docker::event{event_kind::changed, "abc", "health_status: healthy"});
    CHECK(parse(R"({"status":"die","id":"abc","from":"x","time":5})").kind == event_kind::changed); // API 1.21
    CHECK(parse(R"({"status":"remove","id":"abc","Type":"container","Action":"remove","Actor":{"ID":"abc"}})").kind == event_kind::removed);
    e = parse(R"({"Type":"network","Action":"connect","Actor":{"ID":"net","Attributes":{"container":"abc","name":"n"}}})");
    CHECK(e == docker::event{event_kind::moved, "abc", "connect"});
    CHECK(parse(R"({"Type":"network","Action":"connect","Actor":{"ID":"net"}})").kind == event_kind::other);
    CHECK(parse(R"({"Type":"network","Action":"create","Actor":{"ID":"net"}})").kind == event_kind::other);
    CHECK(parse(R"({"Type":"image","Action":"remove","Actor":{"ID":"abc"}})").kind == event_kind::other);
    CHECK(parse(R"({"Type":"container","Action":"start","Actor":{}})").kind == event_kind::other);
}

TEST_CASE("docker events: what the actions mean", "[docker][objects]")
{
    CHECK(docker::kind_of_action("create") == event_kind::created);
    CHECK(docker::kind_of_action("start") == event_kind::started);
    CHECK(docker::kind_of_action("rename") == event_kind::renamed);
    for (char const* const a : {"die", "died", "stop", "restart", "pause", "unpause", "oom", "update", "cleanup", "health_status", "health_status: unhealthy"})
        CHECK(docker::kind_of_action(a) == event_kind::changed);
    for (char const* const a : {"destroy", "remove"}) CHECK(docker::kind_of_action(a) == event_kind::removed);
    for (char const* const a : {"", "exec_create: /bin/true", "exec_start: x", "exec_die", "attach", "kill", "top", "resize", "init", "health_statusx"})
        CHECK(docker::kind_of_action(a) == event_kind::other);
}

TEST_CASE("docker events: what is no event", "[docker][objects]")
{
    json::parser parser;
    for (char const* const text : {"", "[]", "5", "{}", R"({"Type":"container"})", R"({"Action":"start")"}) {
        INFO(text);
        CHECK(docker::parse_event(parser, text).error() == docker::errc::bad_answer);
    }
}

TEST_CASE("docker errors: the engine's sentence", "[docker][objects]")
{
    CHECK(docker::parse_error_message(R"({"message":"No such container: x"})") == "No such container: x");
    CHECK(docker::parse_error_message(R"({"cause":"c","message":"m","response":500})") == "m");
    CHECK(docker::parse_error_message(R"({"x":1})").empty());
    CHECK(docker::parse_error_message(" Not Found\n") == "Not Found");
    CHECK(docker::parse_error_message("").empty());
}

TEST_CASE("docker logs: the last line, from frames and from plain text", "[docker][objects]")
{
    CHECK(last("").empty());
    CHECK(last("hello\n") == "hello");
    CHECK(last("one\r\ntwo \r\n\r\n") == "two");
    CHECK(last(frame(1, "one\n") + frame(2, "two\n")) == "two");
    CHECK(last(frame(2, "one\ntwo") + frame(2, " and three\n")) == "two and three");
    CHECK(last(frame(1, "cut off").substr(0, 8 + 3)) == "cut");
    CHECK(last(frame(1, "whole\n") + frame(1, "x").substr(0, 5)) == "whole");
    CHECK(last(frame(1, "")).empty());
    CHECK(last("a\x1b[31mred\x07 b") == "a [31mred  b");
    CHECK(last("\xc3\xa4 \xff") == "\xc3\xa4 ?");
    CHECK(last(std::string(docker::max_log_line + 5, 'x')).size() == docker::max_log_line);
    std::string const wide = std::string(docker::max_log_line - 1, 'x') + "\xc3\xa4";
    CHECK(last(wide).size() == docker::max_log_line - 1); // no half character
}

TEST_CASE("docker objects: an inspection tells when the container was started, which tells its runs apart")
{
    auto const c = docker::parse_container(R"({"Id": "abc", "State": {"Status": "exited", "ExitCode": 1, "StartedAt": "2026-11-21T10:00:00.123Z"}})");
    REQUIRE(c);
    CHECK(c->started_at == "2026-11-21T10:00:00.123Z");
    auto const never = docker::parse_container(R"({"Id": "abc", "State": {"Status": "created"}})");
    REQUIRE(never);
    CHECK(never->started_at.empty());
}
