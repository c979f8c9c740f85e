#include <podproxy/socks5/reply.hpp>

#include "octets.hpp"
#include <catch2/catch_test_macros.hpp>
#include <asio/error.hpp>
#include <unit/support/splits.hpp>

using namespace podproxy;
using namespace podproxy::socks5;
using namespace podproxy::test;

TEST_CASE("socks5 reply: success and failure are read and written", "[socks5]")
{
    octets const success{
        0x05,             // VER
        0x00,             // REP: succeeded
        0x00,             // RSV
        0x01, 10, 0, 0, 7, // ATYP, BND.ADDR
        0xc0, 0x01,       // BND.PORT
    };
    auto const r = check_all_prefixes(success, parse_reply);
    CHECK(r.value().code == reply_code::succeeded);
    CHECK(r.value().bound == address(address_type::ipv4, "10.0.0.7", 0xc001));
    CHECK(to_octets(*encode_reply(reply_code::succeeded, r.value().bound)) == success);

    octets const refused{0x05, 0x05, 0x00, 0x01, 0, 0, 0, 0, 0, 0};
    CHECK(check_all_prefixes(refused, parse_reply).value().code == reply_code::connection_refused);
    CHECK(to_octets(encode_reply(reply_code::connection_refused)) == refused);

    octets const six{0x05, 0x00, 0x00, 0x04, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x1f, 0x90};
    CHECK(check_all_prefixes(six, parse_reply).value().bound.host == "::1");
}

TEST_CASE("socks5 reply: malformed ones are refused", "[socks5]")
{
    CHECK(parse_reply(octets{0x00}).error() == socks5::errc::bad_version);
    CHECK(parse_reply(octets{0x05, 0x00, 0x01}).error() == socks5::errc::bad_reserved);
    CHECK(parse_reply(octets{0x05, 0x00, 0x00, 0x05}).error() == socks5::errc::bad_address_type);
    CHECK(encode_reply(reply_code::succeeded, {address_type::name, "a b", 1}).error() == socks5::errc::host_not_encodable);
}

TEST_CASE("socks5 reply: each cause of a failed dial has its code", "[socks5]")
{
    auto const system = [](std::errc e) { return std::error_code(static_cast<int>(e), std::system_category()); };
    struct row {
        char const* name;
        std::error_code cause;
        reply_code code;
    };
    for (row const& r : {
             row{"none", {}, reply_code::succeeded},
             row{"ECONNREFUSED", system(std::errc::connection_refused), reply_code::connection_refused},
             row{"Asio's refused", asio::error::connection_refused, reply_code::connection_refused},
             row{"generic refused", make_error_code(std::errc::connection_refused), reply_code::connection_refused},
             row{"ENETUNREACH", system(std::errc::network_unreachable), reply_code::network_unreachable},
             row{"Asio's network unreachable", asio::error::network_unreachable, reply_code::network_unreachable},
             row{"ENETDOWN", system(std::errc::network_down), reply_code::network_unreachable},
             row{"no IPv6 here", system(std::errc::address_family_not_supported), reply_code::network_unreachable},
             row{"EHOSTUNREACH", system(std::errc::host_unreachable), reply_code::host_unreachable},
             row{"EHOSTDOWN", {EHOSTDOWN, std::system_category()}, reply_code::host_unreachable},
             row{"Asio's host unreachable", asio::error::host_unreachable, reply_code::host_unreachable},
             row{"EACCES", system(std::errc::permission_denied), reply_code::not_allowed},
             row{"EPERM", system(std::errc::operation_not_permitted), reply_code::not_allowed},
             row{"ETIMEDOUT", system(std::errc::timed_out), reply_code::ttl_expired},
             row{"our deadline", podproxy::errc::timed_out, reply_code::ttl_expired},
             row{"name not found", asio::error::host_not_found, reply_code::host_unreachable},
             row{"name server silent", asio::error::host_not_found_try_again, reply_code::host_unreachable},
             row{"no data for the name", asio::error::no_data, reply_code::host_unreachable},
             row{"nothing to reach", podproxy::errc::unavailable, reply_code::host_unreachable},
             row{"out of descriptors", system(std::errc::too_many_files_open), reply_code::general_failure},
             row{"reset while dialling", system(std::errc::connection_reset), reply_code::general_failure},
             row{"cancelled", asio::error::operation_aborted, reply_code::general_failure},
             row{"cut off", podproxy::errc::truncated, reply_code::general_failure},
             row{"end of stream", podproxy::errc::end_of_stream, reply_code::general_failure},
             row{"next proxy: auth", socks5::errc::auth_failed, reply_code::general_failure},
             row{"next proxy: closed", socks5::errc::proxy_closed, reply_code::general_failure},
             row{"next proxy: odd reply", socks5::errc::unknown_reply, reply_code::general_failure},
         }) {
        INFO(r.name);
        CHECK(reply_code_for(r.cause) == r.code);
    }
}

TEST_CASE("socks5 reply: a code and its error stand for each other", "[socks5]")
{
    for (unsigned c = 0; c <= 8; ++c) {
        auto const code = static_cast<reply_code>(c);
        CHECK(reply_code_for(error_for(code)) == code);
    }
    CHECK_FALSE(error_for(reply_code::succeeded));
    CHECK(error_for(static_cast<reply_code>(9)) == socks5::errc::unknown_reply);
    CHECK(error_for(reply_code::connection_refused) == cond::refused);
    CHECK(error_for(reply_code::not_allowed) == cond::refused);
    CHECK(error_for(reply_code::ttl_expired) == cond::timed_out);
    CHECK(error_for(reply_code::host_unreachable) == cond::unavailable);
    CHECK(std::error_code(socks5::errc::auth_failed) == cond::unauthorized);
}

TEST_CASE("socks5 errors: every one has a phrase and a category", "[socks5]")
{
    CHECK(std::error_code(socks5::errc::bad_version).category().name() == std::string_view("podproxy.socks5"));
    for (int e = 1; e <= static_cast<int>(socks5::errc::proxy_closed); ++e) {
        INFO(e);
        CHECK(make_error_code(static_cast<socks5::errc>(e)).message() != "unknown error");
    }
}
