#include <podproxy/docker/endpoint.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

using namespace podproxy;
using docker::endpoint_tls;

namespace {

docker::environment user()
{
    docker::environment env;
    env.home = "/home/u";
    return env;
}

docker::endpoint parse(std::string const& text, docker::environment const& env = user())
{
    diagnostics why;
    auto e = docker::parse_endpoint(text, env, why);
    INFO(text << ": " << why.text());
    REQUIRE(e);
    return *e;
}

} // namespace

TEST_CASE("docker endpoint: without DOCKER_HOST the usual sockets are looked at", "[docker][endpoint]")
{
    auto env = user();
    diagnostics why;
    CHECK(docker::find_endpoint(env, why)->sockets == std::vector<std::string>{"/var/run/docker.sock", "/run/podman/podman.sock"});
    env.docker_host = "";
    env.runtime_dir = "/run/user/7";
    auto const e = docker::find_endpoint(env, why);
    REQUIRE(e);
    CHECK(e->sockets == std::vector<std::string>{"/var/run/docker.sock", "/run/user/7/docker.sock", "/run/podman/podman.sock", "/run/user/7/podman/podman.sock"});
    CHECK(to_string(*e) == "unix:///var/run/docker.sock");
    env.docker_host = "unix:///x";
    CHECK(docker::find_endpoint(env, why)->sockets == std::vector<std::string>{"/x"});
}

TEST_CASE("docker endpoint: sockets and hosts", "[docker][endpoint]")
{
    CHECK(parse("unix:///run/my.sock").sockets == std::vector<std::string>{"/run/my.sock"});
    CHECK(parse("UNIX://@abstract").sockets == std::vector<std::string>{"@abstract"});
    CHECK(parse(" /run/my.sock\n").is_unix());
    CHECK(parse("tcp://box:1234").server == host_port("box", 1234));
    CHECK(parse("tcp://box").server == host_port("box", 2375));
    CHECK(parse("tcp://").server == host_port("localhost", 2375));
    CHECK(parse("tcp://:99").server == host_port("localhost", 99));
    CHECK(parse("tcp://[::1]:5/").server == host_port("::1", 5));
    CHECK(parse("tcp://box:1/gate/way/").base_path == "/gate/way");
    CHECK(to_string(parse("tcp://[::1]:5/a")) == "tcp://[::1]:5/a");
    CHECK(parse("tcp://box").tls == endpoint_tls::off);
    CHECK(parse("http://box").tls == endpoint_tls::off);
}

TEST_CASE("docker endpoint: TLS is asked for by variables or by https", "[docker][endpoint]")
{
    auto env = user();
    CHECK(parse("https://box", env).tls == endpoint_tls::verified);
    env.tls = "1";
    CHECK(parse("tcp://box", env).tls == endpoint_tls::unverified);
    env.tls_verify = "0"; // any text
    auto const e = parse("tcp://box", env);
    CHECK(e.tls == endpoint_tls::verified);
    CHECK(e.server.port == 2376);
    CHECK(e.cert_path == "/home/u/.docker");
    env.cert_path = "/certs";
    CHECK(parse("tcp://box:2375", env).cert_path == "/certs");
    CHECK(parse("tcp://box:2375", env).server.port == 2375);
    CHECK(parse("unix:///x", env).tls == endpoint_tls::off);
    CHECK(parse("http://box", env).tls == endpoint_tls::off);
    env.tls_verify = "";
    env.tls.reset();
    CHECK(parse("tcp://box", env).tls == endpoint_tls::off);
}

TEST_CASE("docker endpoint: what is not spoken is refused with what to do instead", "[docker][endpoint]")
{
    diagnostics why;
    CHECK(docker::parse_endpoint("ssh://me@box", user(), why).error() == docker::errc::unsupported_endpoint);
    CHECK(why.message.find("ssh -nNT") != std::string::npos);
    for (char const* const text : {"npipe:////./pipe/docker_engine", "fd://"}) {
        CHECK(docker::parse_endpoint(text, user(), why).error() == docker::errc::unsupported_endpoint);
        CHECK(why.message.find("unix:///path") != std::string::npos);
    }
}

TEST_CASE("docker endpoint: what is no address is told with the text and what is expected", "[docker][endpoint]")
{
    for (char const* const text : {"", "docker", "unix://", "unix://relative", "unix:///", "unix://@", "ftp://x", "tcp://a b", "tcp://box:0", "tcp://box:99999",
                                   "tcp://me@box", "tcp://[::1", "tcp://::1:5", "tcp://box/a?b", "tcp://box/a b"}) {
        INFO(text);
        diagnostics why;
        auto const e = docker::parse_endpoint(text, user(), why);
        REQUIRE_FALSE(e);
        CHECK(e.error() == docker::errc::bad_endpoint);
        CHECK(why.message.starts_with("\"" + std::string(text) + "\" is not the address of a container engine: "));
    }
}
