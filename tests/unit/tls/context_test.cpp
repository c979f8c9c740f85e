#include "peers.hpp"
#include <catch2/catch_test_macros.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace podproxy;
using namespace podproxy::test;

namespace {

std::error_code client_error(tls::client_config config, diagnostics& why) { return tls::client_context::create(std::move(config), why).error(); }
std::error_code server_error(tls::server_config config, diagnostics& why) { return tls::server_context::create(std::move(config), why).error(); }

} // namespace

TEST_CASE("tls context: the system's roots, given roots and none at all make a client context")
{
    diagnostics why;
    CHECK_FALSE(client_error({}, why));
    CHECK_FALSE(client_error(trusting_config(), why));
    tls::client_config none;
    none.verify = tls::verification::insecure_skip;
    CHECK_FALSE(client_error(none, why));
    CHECK(why.empty());
}

TEST_CASE("tls context: PEM text that holds no certificate is refused with the place named")
{
    diagnostics why;
    tls::client_config c;
    c.roots_pem = "not PEM at all";
    CHECK(client_error(c, why) == tls::errc::bad_certificate);
    CHECK(why.message.find("authority") != std::string::npos);

    std::string cut = test_ca().pem();
    cut.resize(cut.size() / 2);
    c.roots_pem = cut;
    CHECK(client_error(c, why) == tls::errc::bad_certificate);

    c.roots_pem = test_ca().pem() + cut; // the second one is broken
    CHECK(client_error(c, why) == tls::errc::bad_certificate);

    c.roots_pem = "subject=/CN=test\n" + test_ca().pem() + "some text behind it\n" + authority("another").pem();
    CHECK_FALSE(client_error(c, why));
}

TEST_CASE("tls context: roots from a file")
{
    auto const path = std::filesystem::temp_directory_path() / ("podproxy-tls-" + std::to_string(::getpid()) + ".pem");
    diagnostics why;
    tls::client_config c;
    c.roots_file = path;
    CHECK(client_error(c, why) == std::errc::no_such_file_or_directory);
    CHECK(why.message.find(path.string()) != std::string::npos);

    std::ofstream(path) << test_ca().pem();
    CHECK_FALSE(client_error(c, why));
    std::ofstream(path) << "nothing of use";
    CHECK(client_error(c, why) == tls::errc::bad_certificate);
    std::filesystem::remove(path);

    c.roots_file = std::filesystem::temp_directory_path(); // a folder
    CHECK(client_error(c, why));
}

TEST_CASE("tls context: a key that is missing, broken, protected or of another certificate is refused")
{
    identity const& good = api_identity();
    identity const other = test_ca().issue({});
    diagnostics why;
    tls::client_config c = trusting_config();
    c.certificate_pem = good.certificate_pem;
    CHECK(client_error(c, why) == tls::errc::bad_settings);
    c.key_pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    CHECK(client_error(c, why) == tls::errc::bad_key);
    c.key_pem = authority::encrypted(good.key_pem, "secret");
    CHECK(client_error(c, why) == tls::errc::encrypted_key);
    c.key_pem = other.key_pem;
    CHECK(client_error(c, why) == tls::errc::key_mismatch);
    c.key_pem = good.key_pem;
    CHECK_FALSE(client_error(c, why));
    c.certificate_pem = "garbage";
    CHECK(client_error(c, why) == tls::errc::bad_certificate);
    CHECK(why.message.find(good.key_pem.substr(60, 20)) == std::string::npos);

    tls::server_config s;
    CHECK(server_error(s, why) == tls::errc::bad_certificate);
    s = server_settings();
    s.key_pem.clear();
    CHECK(server_error(s, why) == tls::errc::bad_key);
    s = server_settings();
    s.client_roots_pem = "garbage";
    CHECK(server_error(s, why) == tls::errc::bad_certificate);
    CHECK_FALSE(server_error(server_settings(), why));
}

TEST_CASE("tls context: ALPN names have 1 to 255 bytes")
{
    diagnostics why;
    tls::client_config c = trusting_config();
    c.alpn = {""};
    CHECK(client_error(c, why) == tls::errc::bad_settings);
    c.alpn = {std::string(255, 'a')};
    CHECK_FALSE(client_error(c, why));
    c.alpn = {std::string(256, 'a')};
    CHECK(client_error(c, why) == tls::errc::bad_settings);
    c.alpn.assign(1000, std::string(255, 'a'));
    CHECK(client_error(c, why) == tls::errc::bad_settings);
}

TEST_CASE("tls errors: every code has a text and a condition of its kind")
{
    for (int i = 1; i <= static_cast<int>(tls::errc::internal); ++i) {
        std::error_code const ec = static_cast<tls::errc>(i);
        CHECK(ec.message() != "unknown error");
        CHECK(ec.category().name() == std::string_view("podproxy.tls"));
    }
    CHECK(make_error_code(tls::errc::expired) == cond::unauthorized);
    CHECK(make_error_code(tls::errc::not_tls) == cond::malformed);
    CHECK(make_error_code(tls::errc::no_application_protocol) == cond::refused);
}
