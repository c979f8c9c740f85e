#include <podproxy/socks5/server_fsm.hpp>

#include "octets.hpp"
#include <catch2/catch_test_macros.hpp>
#include <unit/support/socks5_transcripts.hpp>
#include <unit/support/splits.hpp>
#include <cstdlib>
#include <new>
#include <string>

using namespace podproxy;
using namespace podproxy::socks5;
using namespace podproxy::test;

namespace {
std::size_t allocations = 0;
}

// Sanitizers bring their own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS 0
#elif defined(__has_feature)
#define COUNTS_ALLOCATIONS (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer) && !__has_feature(memory_sanitizer))
#else
#define COUNTS_ALLOCATIONS 1
#endif

#if COUNTS_ALLOCATIONS
void* operator new(std::size_t n)
{
    ++allocations;
    if (void* const p = std::malloc(n == 0 ? 1 : n)) return p;
    throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
#endif

namespace {

server_config const open_to_all;

server_config only_anna()
{
    server_config c;
    c.check_credentials = [](std::string_view user, std::string_view password) { return user == "anna" && password == "pw"; };
    return c;
}

std::string play(octets const& in, server_config const& config = open_to_all)
{
    return check_all_splits(in, [&config](std::span<bytes_view const> parts) { return server_transcript(parts, config); });
}

octets const greeting_none{0x05, 0x01, 0x00};
octets const greeting_both{0x05, 0x02, 0x00, 0x02};
octets const auth_anna{0x01, 0x04, 'a', 'n', 'n', 'a', 0x02, 'p', 'w'};
octets const connect_web{0x05, 0x01, 0x00, 0x03, 0x03, 'w', 'e', 'b', 0x00, 0x50};

} // namespace

TEST_CASE("socks5 server: without authentication the request follows the greeting", "[socks5]")
{
    CHECK(play(cat({greeting_none, connect_web})) == "> 05 00\nready web:80 user ''\nearly \n");
    CHECK(play(cat({greeting_both, connect_web})) == "> 05 00\nready web:80 user ''\nearly \n");
}

TEST_CASE("socks5 server: IPv4 and IPv6 destinations come as text", "[socks5]")
{
    octets const v4{0x05, 0x01, 0x00, 0x01, 192, 0, 2, 1, 0x1f, 0x90};
    octets const v6{0x05, 0x01, 0x00, 0x04, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x1f, 0x90};
    CHECK(play(cat({greeting_none, v4})) == "> 05 00\nready 192.0.2.1:8080 user ''\nearly \n");
    CHECK(play(cat({greeting_none, v6})) == "> 05 00\nready [2001:db8::1]:8080 user ''\nearly \n");
}

TEST_CASE("socks5 server: what follows the request is kept for the destination", "[socks5]")
{
    CHECK(play(cat({greeting_none, connect_web, {0x05, 0x16, 0x03}})) == "> 05 00\nready web:80 user ''\nearly 05 16 03\n");
    CHECK(play(cat({greeting_both, auth_anna, connect_web, {0x47}}), only_anna()) ==
          "> 05 02\n> 01 00\nready web:80 user 'anna'\nearly 47\n");
}

TEST_CASE("socks5 server: credentials are asked for and checked", "[socks5]")
{
    CHECK(play(cat({greeting_both, auth_anna, connect_web}), only_anna()) == "> 05 02\n> 01 00\nready web:80 user 'anna'\nearly \n");
    octets const wrong{0x01, 0x04, 'a', 'n', 'n', 'a', 0x02, 'n', 'o'};
    CHECK(play(cat({greeting_both, wrong, connect_web}), only_anna()) ==
          "> 05 02\n> 01 01\nfailed: the proxy's user name or password is wrong\n");
    octets const no_password{0x01, 0x04, 'a', 'n', 'n', 'a', 0x00};
    CHECK(play(cat({greeting_both, no_password}), only_anna()) ==
          "> 05 02\n> 01 01\nfailed: the proxy's user name or password is wrong\n");
    CHECK(play(cat({greeting_both, {0x01, 0x00}}), only_anna()) == "> 05 02\n> 01 01\nfailed: the client sent an empty user name\n");
    CHECK(play(cat({greeting_both, {0x05}}), only_anna()) ==
          "> 05 02\n> 01 01\nfailed: the peer's user/password message has an unknown version\n");
}

TEST_CASE("socks5 server: no method in common is answered with FF", "[socks5]")
{
    CHECK(play({0x05, 0x01, 0x02}) == "> 05 ff\nfailed: client and proxy share no authentication method\n");
    CHECK(play({0x05, 0x02, 0x01, 0x80}) == "> 05 ff\nfailed: client and proxy share no authentication method\n");
    CHECK(play({0x05, 0x01, 0x00}, only_anna()) == "> 05 ff\nfailed: client and proxy share no authentication method\n");
    CHECK(play({0x05, 0x00}) == "> 05 ff\nfailed: the client offered no authentication method\n");
}

TEST_CASE("socks5 server: another protocol gets no answer", "[socks5]")
{
    CHECK(play({0x04, 0x01, 0x00, 0x50, 192, 0, 2, 1, 0x00}) == "failed: the peer does not speak SOCKS version 5\n");
    CHECK(play("GET / HTTP/1.1\r\n\r\n"_b) == "failed: the peer does not speak SOCKS version 5\n");
}

TEST_CASE("socks5 server: requests that are not taken have their reply", "[socks5]")
{
    struct row {
        char const* name;
        octets request;
        std::string_view rep;
        socks5::errc why;
    };
    row const rows[] = {
        {"BIND", {0x05, 0x02, 0x00, 0x01, 0, 0, 0, 0, 0, 0}, "07", socks5::errc::unsupported_command},
        {"UDP ASSOCIATE", {0x05, 0x03, 0x00, 0x01, 0, 0, 0, 0, 0, 0}, "07", socks5::errc::unsupported_command},
        {"command 0", {0x05, 0x00, 0x00, 0x01, 0, 0, 0, 0, 0, 1}, "07", socks5::errc::unsupported_command},
        {"Tor's RESOLVE", {0x05, 0xf0, 0x00, 0x03, 0x01, 'x', 0, 0}, "07", socks5::errc::unsupported_command},
        {"ATYP 0", {0x05, 0x01, 0x00, 0x00}, "08", socks5::errc::bad_address_type},
        {"ATYP 2", {0x05, 0x01, 0x00, 0x02}, "08", socks5::errc::bad_address_type},
        {"ATYP 5", {0x05, 0x01, 0x00, 0x05, 0, 0, 0, 0, 0, 1}, "08", socks5::errc::bad_address_type},
        {"version 4", {0x04, 0x01, 0x00, 0x01, 0, 0, 0, 0, 0, 1}, "01", socks5::errc::bad_version},
        {"RSV", {0x05, 0x01, 0x01, 0x01, 0, 0, 0, 0, 0, 1}, "01", socks5::errc::bad_reserved},
        {"empty name", {0x05, 0x01, 0x00, 0x03, 0x00, 0, 80}, "01", socks5::errc::empty_name},
        {"NUL in the name", {0x05, 0x01, 0x00, 0x03, 0x03, 'a', 0, 'b', 0, 80}, "01", socks5::errc::bad_name},
        {"new line in the name", {0x05, 0x01, 0x00, 0x03, 0x03, 'a', '\n', 'b', 0, 80}, "01", socks5::errc::bad_name},
        {"port 0", {0x05, 0x01, 0x00, 0x01, 127, 0, 0, 1, 0, 0}, "01", socks5::errc::bad_port},
    };
    for (row const& r : rows) {
        INFO(r.name);
        CHECK(play(cat({greeting_none, r.request})) == "> 05 00\n> 05 " + std::string(r.rep) + " 00 01 00 00 00 00 00 00\nfailed: " +
                                                            make_error_code(r.why).message() + '\n');
    }
}

TEST_CASE("socks5 server: an unfinished handshake only waits", "[socks5]")
{
    octets const all = cat({greeting_both, auth_anna, connect_web});
    server_config const config = only_anna();
    for (std::size_t n = 0; n < all.size(); ++n) {
        pieces p(all);
        std::string const log = server_transcript(p.cut(n).views(), config);
        INFO("the first " << n << " bytes");
        CHECK(log.ends_with("reading\n"));
    }
}

TEST_CASE("socks5 server: a request needs no allocation but a long host name", "[socks5]")
{
    octets const in = cat({greeting_none, {0x05, 0x01, 0x00, 0x03, 0x0d}, "web.shop.kube"_b, {0x00, 0x50}});
    (void)play(in); // constants made at the first use are not counted
    std::size_t const before = allocations;
    server_fsm fsm(open_to_all);
    auto const first = fsm.resume(in);
    auto const second = fsm.resume(bytes_view(in).subspan(first.consumed));
    std::size_t const used = allocations - before;
    CHECK(second.kind == server_action::kind_type::ready);
    CHECK(fsm.request().destination == host_port("web.shop.kube", 80));
    CHECK((!COUNTS_ALLOCATIONS || used == 0));
    CHECK(sizeof(server_fsm) <= 128);
}
