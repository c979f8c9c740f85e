#include <podproxy/config/secret_file.hpp>

#include <catch2/catch_test_macros.hpp>
#include <fakes/fake_files.hpp>
#include <string>
#include <system_error>

using namespace podproxy;

TEST_CASE("secret file: one line, however it ends")
{
    test::fake_files files;
    for (std::string const text : {"s3cret", "s3cret\n", "s3cret\r\n", "  s3cret \n\n"}) {
        files.files["token"] = text;
        CHECK(config::read_secret_file(files, "token").value().reveal() == "s3cret");
    }
    files.files["token"] = "two words\n";
    CHECK(config::read_secret_file(files, "token").value().reveal() == "two words");
}

TEST_CASE("secret file: what holds no secret is an error, never an empty secret")
{
    test::fake_files files;
    for (std::string const& text : {std::string(), std::string("\n"), std::string("  \r\n"), std::string("a\nb"), std::string("a\0b", 3), std::string("a\x7f")}) {
        files.files["token"] = text;
        CHECK(config::read_secret_file(files, "token").error() == podproxy::errc::malformed);
    }
    files.files["token"] = std::string(4097, 'a');
    CHECK(config::read_secret_file(files, "token").error() == std::errc::file_too_large);
    CHECK(config::read_secret_file(files, "none").error() == std::errc::no_such_file_or_directory);
}
