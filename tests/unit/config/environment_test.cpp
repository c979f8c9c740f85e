#include <podproxy/config/environment.hpp>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <optional>
#include <string>

using namespace podproxy::config;

namespace {

/// Sets a variable for the time of a test.
class variable {
public:
    variable(char const* name, char const* value) : name_(name)
    {
        if (char const* const old = std::getenv(name)) old_ = old;
        if (value) ::setenv(name, value, 1);
        else ::unsetenv(name);
    }
    ~variable()
    {
        if (old_) ::setenv(name_, old_->c_str(), 1);
        else ::unsetenv(name_);
    }

private:
    char const* name_;
    std::optional<std::string> old_;
};

} // namespace

TEST_CASE("environment: HOME and KUBECONFIG of the process")
{
    variable const home("HOME", "/home/jane//");
    variable const kubeconfig("KUBECONFIG", "/a:/b");
    CHECK(process_environment().home == "/home/jane");
    CHECK(process_environment().kubeconfig == "/a:/b");
}

TEST_CASE("environment: without HOME the password database is asked")
{
    variable const home("HOME", nullptr);
    variable const kubeconfig("KUBECONFIG", nullptr);
    auto const env = process_environment();
    CHECK_FALSE(env.kubeconfig);
    if (auto const* const entry = ::getpwuid(::getuid())) CHECK(env.home == entry->pw_dir);
}

TEST_CASE("environment: an empty KUBECONFIG is not the same as none")
{
    variable const kubeconfig("KUBECONFIG", "");
    CHECK(process_environment().kubeconfig == "");
}

TEST_CASE("environment: what wake-proxy looks at")
{
    variable const level("WAKE_PROXY_LOG", "debug");
    variable const rust("RUST_LOG", nullptr);
    variable const podman("CONTAINER_HOST", "unix:///run/p.sock");
    CHECK(process_environment().wake_proxy_log == "debug");
    CHECK(process_environment().rust_log == std::nullopt);
    CHECK(process_environment().container_host == "unix:///run/p.sock");
}
