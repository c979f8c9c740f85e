#include <podproxy/kube/cluster_settings.hpp>

#include <fakes/fake_files.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>
#include <string_view>

using namespace podproxy;
using namespace podproxy::kube;

TEST_CASE("server url: its parts", "[kube][cluster_settings]")
{
    struct row {
        std::string_view text;
        bool tls;
        std::string_view host;
        std::uint16_t port;
        std::string_view path;
    };
    row const rows[] = {
        {"https://127.0.0.1:6443", true, "127.0.0.1", 6443, ""},
        {"https://api.example.com", true, "api.example.com", 443, ""},
        {"http://api.example.com", false, "api.example.com", 80, ""},
        {"http://localhost:8001/", false, "localhost", 8001, ""},
        {"api.example.com:6443", true, "api.example.com", 6443, ""},
        {"api.example.com", true, "api.example.com", 443, ""},
        {"HTTPS://api.example.com", true, "api.example.com", 443, ""},
        {"Http://api.example.com", false, "api.example.com", 80, ""},
        {"https://[::1]:6443", true, "::1", 6443, ""},
        {"https://[2001:db8::1]", true, "2001:db8::1", 443, ""},
        {"https://rancher.example.com/k8s/clusters/c-abc12", true, "rancher.example.com", 443, "/k8s/clusters/c-abc12"},
        {"https://rancher.example.com:8443/k8s/clusters/c-abc12///", true, "rancher.example.com", 8443, "/k8s/clusters/c-abc12"},
        {"https://h/a%20b/~c", true, "h", 443, "/a%20b/~c"},
    };
    for (auto const& r : rows) {
        INFO(r.text);
        auto const u = parse_server_url(r.text);
        REQUIRE(u);
        CHECK(u->tls == r.tls);
        CHECK(u->address == host_port(std::string(r.host), r.port));
        CHECK(u->path == r.path);
    }
}

TEST_CASE("server url: what is refused", "[kube][cluster_settings]")
{
    for (std::string_view const text :
         {"", "https://", "https:///", "://h", "ftp://h", "unix:///run/x.sock", "https://user@h", "https://user:pass@h/", "https://h?x=1", "https://h/p?x=1",
          "https://h#f", "https://h/p#f", "https://h:0", "https://h:65536", "https://h:", "https://h:x", "https://::1", "https://[::1", "https://[h]:1",
          "https://a b", "https://h/a b", "https://h/a\r\nX: y", "https://h\r\n", "https://h/\x7f", "https://h/\xc3\xa4", "https://https://h"}) {
        INFO(text);
        CHECK(parse_server_url(text).error() == kube::errc::bad_context);
    }
}

TEST_CASE("context material: data counts over files, and files that are not named are not read", "[kube][cluster_settings]")
{
    test::fake_files files;
    files.files = {{"/k/ca.pem", "CA FILE"}, {"/k/cert.pem", "CERT FILE"}, {"/k/key.pem", "KEY FILE"}};
    cluster_context context;
    diagnostics why;
    SECTION("nothing is named")
    {
        auto const m = read_context_material(context, files, why);
        REQUIRE(m);
        CHECK(m->roots.empty());
        CHECK(m->certificate.empty());
        CHECK(m->key.empty());
        CHECK(files.reads.empty());
    }
    SECTION("files")
    {
        context.cluster.certificate_authority = "/k/ca.pem";
        context.user.client_certificate = "/k/cert.pem";
        context.user.client_key = "/k/key.pem";
        auto const m = read_context_material(context, files, why);
        REQUIRE(m);
        CHECK(m->roots == "CA FILE");
        CHECK(m->certificate == "CERT FILE");
        CHECK(m->key.reveal() == "KEY FILE");
    }
    SECTION("both")
    {
        context.cluster.certificate_authority = "/nowhere";
        context.cluster.certificate_authority_data = "CA DATA";
        context.user.client_certificate = "/nowhere";
        context.user.client_certificate_data = "CERT DATA";
        context.user.client_key = "/nowhere";
        context.user.client_key_data = secret("KEY DATA");
        auto const m = read_context_material(context, files, why);
        REQUIRE(m);
        CHECK(m->roots == "CA DATA");
        CHECK(m->certificate == "CERT DATA");
        CHECK(m->key.reveal() == "KEY DATA");
        CHECK(files.reads.empty());
    }
    CHECK(why.empty());
}

TEST_CASE("context material: a file that can't be read is named with its role", "[kube][cluster_settings]")
{
    test::fake_files files;
    files.files = {{"/k/large.pem", std::string(1024 * 1024 + 1, 'x')}};
    files.broken = {{"/k/closed.pem", std::make_error_code(std::errc::permission_denied)}};
    cluster_context context;
    diagnostics why;
    SECTION("missing")
    {
        context.cluster.certificate_authority = "/k/none.pem";
        CHECK(read_context_material(context, files, why).error() == std::errc::no_such_file_or_directory);
        CHECK(why.message == "certificate-authority /k/none.pem: No such file or directory");
    }
    SECTION("not allowed")
    {
        context.user.client_key = "/k/closed.pem";
        CHECK(read_context_material(context, files, why).error() == std::errc::permission_denied);
        CHECK(why.message == "client-key /k/closed.pem: Permission denied");
    }
    SECTION("too large")
    {
        context.user.client_certificate = "/k/large.pem";
        CHECK(read_context_material(context, files, why).error() == std::errc::file_too_large);
        CHECK(why.message == "client-certificate /k/large.pem: File too large");
    }
}
