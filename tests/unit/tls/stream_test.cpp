#include "peers.hpp"
#include <podproxy/net/timeout.hpp>
#include <asio/error.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <openssl/sha.h>
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

using namespace podproxy;
using namespace podproxy::test;

namespace {

using digest = std::array<std::uint8_t, SHA256_DIGEST_LENGTH>;

/// Bytes that differ everywhere, the same for the same seed.
std::vector<std::uint8_t> noise(std::size_t size, std::uint32_t seed = 1)
{
    std::vector<std::uint8_t> out(size);
    std::uint32_t x = seed;
    for (auto& b : out) {
        x = x * 1664525u + 1013904223u;
        b = static_cast<std::uint8_t>(x >> 24);
    }
    return out;
}

digest sha(bytes_view in)
{
    digest out;
    SHA256(in.data(), in.size(), out.data());
    return out;
}

net::awaitable<result<void>> send_all(net::stream& s, bytes_view data)
{
    auto ok = co_await net::write_all(s, data);
    if (!ok) co_return ok;
    co_return co_await net::shutdown_send(s);
}

net::awaitable<result<std::vector<std::uint8_t>>> receive_all(net::stream& s, std::size_t chunk)
{
    std::vector<std::uint8_t> out;
    std::vector<std::uint8_t> buf(chunk);
    for (;;) {
        auto n = co_await net::read_some(s, buf);
        if (!n && n.error() == errc::end_of_stream) co_return out;
        if (!n) co_return n.error();
        out.insert(out.end(), buf.begin(), buf.begin() + static_cast<std::ptrdiff_t>(*n));
    }
}

net::awaitable<result<std::vector<std::uint8_t>>> receive(net::stream& s, std::size_t size)
{
    std::vector<std::uint8_t> out(size);
    for (std::size_t got = 0; got < size;) {
        auto n = co_await net::read_some(s, std::span(out).subspan(got));
        if (!n) co_return n.error();
        got += *n;
    }
    co_return out;
}

/// The client's handshake error for a server with this certificate.
std::error_code refused(identity const& id, tls::client_config config, diagnostics& why, std::string host = "api.test")
{
    asio::io_context ctx;
    peers p(ctx, client_of(std::move(config)), server_of(server_settings(id)), std::move(host));
    p.shake();
    REQUIRE(p.client_hand->done());
    why = p.client_why;
    return p.client_hand->error();
}

} // namespace

TEST_CASE("tls stream: a client and a server agree, and bytes pass both ways")
{
    asio::io_context ctx;
    peers p(ctx, client_of(trusting_config()), server_of(server_settings()));
    p.shake();
    REQUIRE(p.shaken());
    CHECK(p.client->version() == "TLSv1.3");
    CHECK(p.client->alpn().empty());
    CHECK_FALSE(p.client->resumed());
    CHECK(p.client->server_name() == "api.test");
    CHECK(p.client->plain_socket() == nullptr);

    std::array<std::uint8_t, 16> buf{};
    CHECK(p.server->try_read(buf).error() == errc::would_block);
    CHECK(*p.client->try_write(as_bytes("hello")) == 5);
    run_ready(ctx);
    REQUIRE(*p.server->try_read(buf) == 5);
    CHECK(as_text(bytes_view(buf).first(5)) == "hello");
    CHECK_FALSE(p.ping());
}

TEST_CASE("tls stream: the name or address must be in the certificate")
{
    auto good = [](std::string host) {
        asio::io_context ctx;
        peers p(ctx, client_of(trusting_config()), server_of(server_settings()), std::move(host));
        p.shake();
        return p.shaken();
    };
    CHECK(good("api.test"));
    CHECK(good("api.test."));
    CHECK(good("API.test"));
    CHECK(good("a.wild.test"));
    CHECK(good("127.0.0.1"));
    CHECK(good("::1"));

    diagnostics why;
    for (char const* host : {"other.test", "wild.test", "a.b.wild.test", "127.0.0.2", "::2", "api.test.evil"}) {
        CAPTURE(host);
        CHECK(refused(api_identity(), trusting_config(), why, host) == tls::errc::name_mismatch);
        CHECK(why.message.find(host) != std::string::npos);
        CHECK(why.server_text == "api.test, *.wild.test, 127.0.0.1, ::1");
    }
    // A common name is no name (RFC 9525): only SANs count.
    certificate_request r;
    r.common_name = "api.test";
    CHECK(refused(test_ca().issue(r), trusting_config(), why) == tls::errc::name_mismatch);
    CHECK(why.message.find("none at all") != std::string::npos);
}

TEST_CASE("tls stream: a name that can't be checked is refused before anything is sent")
{
    diagnostics why;
    for (std::string const& host : {std::string(), std::string(256, 'a'), std::string("a\0b", 3)})
        CHECK(refused(api_identity(), trusting_config(), why, host) == tls::errc::bad_settings);
}

TEST_CASE("tls stream: server_name takes the place of the host")
{
    tls::client_config c = trusting_config();
    c.server_name = "api.test";
    asio::io_context ctx;
    peers p(ctx, client_of(c), server_of(server_settings()), "10.1.2.3");
    p.shake();
    CHECK(p.shaken());
    CHECK(p.client->server_name() == "api.test");
}

TEST_CASE("tls stream: a certificate of an unknown authority is refused, and says so")
{
    diagnostics why;
    authority const other("somebody else");
    certificate_request r;
    r.names = "DNS:api.test";
    CHECK(refused(other.issue(r), trusting_config(), why) == tls::errc::untrusted);
    CHECK(why.message == "certificate of api.test is not signed by the given authority");
    CHECK(why.server_text.find("somebody else") != std::string::npos);
    CHECK(refused(authority::self_signed(r), trusting_config(), why) == tls::errc::untrusted);
    CHECK(refused(api_identity(), {}, why) == tls::errc::untrusted);
    CHECK(why.message == "certificate of api.test is not signed by an authority that this system trusts");
}

TEST_CASE("tls stream: an authority of the same name with another key is not the authority")
{
    diagnostics why;
    certificate_request r;
    r.names = "DNS:api.test";
    CHECK(refused(authority().issue(r), trusting_config(), why) == tls::errc::untrusted);
}

TEST_CASE("tls stream: validity in time is checked")
{
    diagnostics why;
    certificate_request r;
    r.names = "DNS:api.test";
    r.valid_from = -7200;
    r.valid_until = -3600;
    CHECK(refused(test_ca().issue(r), trusting_config(), why) == tls::errc::expired);
    CHECK(why.message.find("certificate of api.test has expired on ") == 0);
    CHECK(why.message.find("GMT") != std::string::npos);
    r.valid_from = 3600;
    r.valid_until = 7200;
    CHECK(refused(test_ca().issue(r), trusting_config(), why) == tls::errc::not_yet_valid);
    CHECK(why.message.find("clock") != std::string::npos);
}

TEST_CASE("tls stream: a certificate that is not for servers is refused")
{
    diagnostics why;
    certificate_request r;
    r.names = "DNS:api.test";
    r.usage = "clientAuth";
    CHECK(refused(test_ca().issue(r), trusting_config(), why) == tls::errc::unacceptable);
    CHECK(why.message.find("purpose") != std::string::npos);
}

TEST_CASE("tls stream: intermediates are sent and followed; a given intermediate is trusted as it is")
{
    authority const middle = test_ca().issue_authority("middle");
    certificate_request r;
    r.names = "DNS:api.test";
    identity id = middle.issue(r);
    diagnostics why;
    CHECK(refused(id, trusting_config(), why) == tls::errc::untrusted);
    tls::client_config pinned;
    pinned.roots_pem = middle.pem();
    CHECK_FALSE(refused(id, pinned, why));
    id.certificate_pem += middle.pem();
    CHECK_FALSE(refused(id, trusting_config(), why));
}

TEST_CASE("tls stream: verification can be skipped by name only")
{
    diagnostics why;
    tls::client_config c;
    c.verify = tls::verification::insecure_skip;
    certificate_request r;
    r.valid_from = -7200;
    r.valid_until = -3600;
    CHECK_FALSE(refused(authority::self_signed(r), c, why));
    CHECK_FALSE(refused(authority::self_signed(r), c, why, ""));
}

TEST_CASE("tls stream: client certificates are asked for, accepted and refused")
{
    authority const clients("client authority");
    tls::server_config s = server_settings();
    s.client_roots_pem = clients.pem();
    asio::io_context ctx;
    std::uint8_t byte = 0;

    SECTION("a good one")
    {
        tls::client_config c = trusting_config();
        identity const id = clients.issue({});
        c.certificate_pem = id.certificate_pem;
        c.key_pem = id.key_pem;
        peers p(ctx, client_of(c), server_of(s));
        p.shake();
        CHECK(p.shaken());
        CHECK_FALSE(p.ping());
    }
    SECTION("none, where it is required")
    {
        peers p(ctx, client_of(trusting_config()), server_of(s));
        p.shake();
        CHECK(p.server_hand->error() == tls::errc::certificate_required);
        CHECK_FALSE(p.client_hand->error()); // in TLS 1.3 the client learns it later
        CHECK(p.client->try_read({&byte, 1}).error() == tls::errc::certificate_required);
    }
    SECTION("none, where it is optional")
    {
        s.clients = tls::client_certificates::optional;
        peers p(ctx, client_of(trusting_config()), server_of(s));
        p.shake();
        CHECK(p.shaken());
    }
    SECTION("one of another authority")
    {
        s.clients = tls::client_certificates::optional;
        tls::client_config c = trusting_config();
        identity const id = test_ca().issue({});
        c.certificate_pem = id.certificate_pem;
        c.key_pem = id.key_pem;
        peers p(ctx, client_of(c), server_of(s));
        p.shake();
        CHECK(p.server_hand->error() == tls::errc::untrusted);
        CHECK(p.server_why.message == "certificate of the client is not signed by the given authority");
        CHECK(p.client->try_read({&byte, 1}).error() == tls::errc::certificate_refused);
        CHECK(p.client->try_read({&byte, 1}).error() == tls::errc::certificate_refused); // and stays so
    }
}

TEST_CASE("tls stream: the server hears that its certificate was refused")
{
    asio::io_context ctx;
    peers p(ctx, client_of(trusting_config()), server_of(server_settings(authority("other").issue({}))));
    p.shake();
    CHECK(p.client_hand->error() == tls::errc::untrusted);
    CHECK(p.server_hand->error() == tls::errc::certificate_refused);
}

TEST_CASE("tls stream: application protocols are agreed on, or the connection is refused")
{
    tls::client_config c = trusting_config();
    tls::server_config s = server_settings();
    asio::io_context ctx;
    SECTION("the server's order wins")
    {
        c.alpn = {"h2", "http/1.1"};
        s.alpn = {"http/1.1", "h2"};
        peers p(ctx, client_of(c), server_of(s));
        p.shake();
        REQUIRE(p.shaken());
        CHECK(p.client->alpn() == "http/1.1");
        CHECK(p.server->alpn() == "http/1.1");
    }
    SECTION("none in common")
    {
        c.alpn = {"http/1.1"};
        s.alpn = {"h2"};
        peers p(ctx, client_of(c), server_of(s));
        p.shake();
        CHECK(p.client_hand->error() == tls::errc::no_application_protocol);
        CHECK(p.server_hand->error() == tls::errc::no_application_protocol);
    }
    SECTION("a server that ignores ALPN")
    {
        c.alpn = {"http/1.1"};
        peers p(ctx, client_of(c), server_of(s));
        p.shake();
        CHECK(p.shaken());
        CHECK(p.client->alpn().empty());
    }
}

TEST_CASE("tls stream: a second connection resumes the first one's session")
{
    auto const client = client_of(trusting_config());
    auto const server = server_of(server_settings());
    asio::io_context ctx;
    {
        peers p(ctx, client, server);
        p.shake();
        REQUIRE(p.shaken());
        CHECK(p.client->resumed() == false);
        REQUIRE_FALSE(p.ping()); // tickets come behind the handshake
    }
    std::size_t const kept = client.kept_sessions("api.test");
    REQUIRE(kept > 0);
    {
        peers p(ctx, client, server);
        CHECK(client.kept_sessions("api.test") == kept - 1); // a ticket is used once
        p.shake();
        REQUIRE(p.shaken());
        CHECK(p.client->resumed());
        CHECK(p.server->resumed());
        REQUIRE_FALSE(p.ping());
        CHECK(client.kept_sessions("api.test") >= kept);
    }
    {
        peers p(ctx, client, server, "127.0.0.1"); // another name: not verified by that session
        p.shake();
        REQUIRE(p.shaken());
        CHECK_FALSE(p.client->resumed());
    }
    {
        peers p(ctx, client, server_of(server_settings())); // a server that does not know the ticket
        p.shake();
        REQUIRE(p.shaken());
        CHECK_FALSE(p.client->resumed());
    }
    for (int i = 0; i < 30; ++i) {
        peers p(ctx, client, server);
        p.shake();
        REQUIRE(p.shaken());
        REQUIRE_FALSE(p.ping());
    }
    CHECK(client.kept_sessions("api.test") <= 16);
}

TEST_CASE("tls stream: a session with a client certificate is resumed too")
{
    authority const clients("client authority");
    tls::server_config s = server_settings();
    s.client_roots_pem = clients.pem();
    tls::client_config c = trusting_config();
    identity const id = clients.issue({});
    c.certificate_pem = id.certificate_pem;
    c.key_pem = id.key_pem;
    auto const client = client_of(c);
    auto const server = server_of(s);
    asio::io_context ctx;
    for (bool const again : {false, true}) {
        peers p(ctx, client, server);
        p.shake();
        REQUIRE(p.shaken());
        CHECK(p.client->resumed() == again);
        REQUIRE_FALSE(p.ping());
    }
}

TEST_CASE("tls stream: no sessions are kept where none are wanted")
{
    tls::client_config c = trusting_config();
    c.kept_sessions = 0;
    auto const client = client_of(c);
    auto const server = server_of(server_settings());
    asio::io_context ctx;
    for (int i = 0; i < 2; ++i) {
        peers p(ctx, client, server);
        p.shake();
        REQUIRE(p.shaken());
        REQUIRE_FALSE(p.ping());
        CHECK_FALSE(p.client->resumed());
    }
    CHECK(client.kept_sessions("api.test") == 0);
}

TEST_CASE("tls stream: TLS 1.2 works, resumes, and nothing older does")
{
    auto const client = client_of(trusting_config());
    auto const server = server_of(server_settings());
    SSL_CTX_set_max_proto_version(server.state()->ctx.get(), TLS1_2_VERSION);
    asio::io_context ctx;
    for (bool const again : {false, true, true}) {
        peers p(ctx, client, server);
        p.shake();
        REQUIRE(p.shaken());
        CHECK(p.client->version() == "TLSv1.2");
        CHECK(p.client->resumed() == again);
        REQUIRE_FALSE(p.ping());
    }
    auto const old = server_of(server_settings());
    SSL_CTX_set_min_proto_version(old.state()->ctx.get(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(old.state()->ctx.get(), TLS1_1_VERSION);
    peers p(ctx, client, old);
    p.shake();
    CHECK(p.client_hand->error() == tls::errc::version_mismatch);
}

TEST_CASE("tls stream: a client certificate refused in TLS 1.2 fails the client's handshake")
{
    tls::server_config s = server_settings();
    s.client_roots_pem = authority("client authority").pem();
    auto const server = server_of(s);
    SSL_CTX_set_max_proto_version(server.state()->ctx.get(), TLS1_2_VERSION);
    asio::io_context ctx;
    peers p(ctx, client_of(trusting_config()), server);
    p.shake();
    CHECK(p.server_hand->error() == tls::errc::certificate_required);
    CHECK(p.client_hand->error()); // which alert an old server sends differs
}

TEST_CASE("tls stream: a peer that speaks no TLS is named as such")
{
    asio::io_context ctx;
    diagnostics why;
    SECTION("a plain server")
    {
        stream_pair link(ctx.get_executor());
        tls::stream client(std::move(link.a), client_of(trusting_config()), "api.test");
        spawned<result<void>> hand(ctx, client.handshake(why));
        (void)link.b->try_write(as_bytes("HTTP/1.0 400 Bad Request\r\n\r\nClient sent something strange to a plain server.\n"));
        run_ready(ctx);
        CHECK(hand.error() == tls::errc::not_tls);
        CHECK(why.message == "api.test does not speak TLS on this port");
    }
    SECTION("a plain client")
    {
        stream_pair link(ctx.get_executor());
        tls::stream server(std::move(link.b), server_of(server_settings()));
        spawned<result<void>> hand(ctx, server.handshake(why));
        auto const text = GENERATE("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "SSH-2.0-OpenSSH_9\r\n", "\x05\x01");
        (void)link.a->try_write(as_bytes(text));
        link.a->close();
        run_ready(ctx);
        CHECK(hand.error() == tls::errc::not_tls);
    }
}

TEST_CASE("tls stream: a peer that goes away during the handshake")
{
    asio::io_context ctx;
    diagnostics why;
    stream_pair link(ctx.get_executor());
    tls::stream client(std::move(link.a), client_of(trusting_config()), "api.test");
    spawned<result<void>> hand(ctx, client.handshake(why));
    run_ready(ctx);
    CHECK_FALSE(hand.done());
    SECTION("in order")
    {
        link.b->close();
        run_ready(ctx);
        CHECK(hand.error() == errc::truncated);
        CHECK(why.message == "api.test closed the connection during the TLS handshake");
    }
    SECTION("by a reset")
    {
        link.b->reset();
        run_ready(ctx);
        CHECK(hand.error() == asio::error::connection_reset);
    }
}

TEST_CASE("tls stream: close_notify is the end of the stream, its absence is truncation")
{
    asio::io_context ctx;
    peers p(ctx, client_of(trusting_config()), server_of(server_settings()));
    p.shake();
    REQUIRE(p.shaken());
    std::array<std::uint8_t, 64> buf{};
    CHECK(*p.server->try_write(as_bytes("last words")) == 10);
    SECTION("shutdown_send, and the other direction goes on")
    {
        REQUIRE(p.server->shutdown_send());
        REQUIRE(p.server->shutdown_send());
        run_ready(ctx);
        CHECK(*p.client->try_read(buf) == 10);
        CHECK(p.client->try_read(buf).error() == errc::end_of_stream);
        CHECK(p.client->try_read(buf).error() == errc::end_of_stream);
        CHECK(*p.client->try_write(as_bytes("answer")) == 6);
        CHECK(*p.server->try_read(buf) == 6);
        CHECK(p.server->try_write(as_bytes("x")).error());
        REQUIRE(p.client->shutdown_send());
        CHECK(p.server->try_read(buf).error() == errc::end_of_stream);
    }
    SECTION("close")
    {
        p.server->close();
        CHECK(*p.client->try_read(buf) == 10);
        CHECK(p.client->try_read(buf).error() == errc::end_of_stream);
        CHECK(p.server->try_read(buf).error() == asio::error::bad_descriptor);
        CHECK(p.server->try_write(as_bytes("x")).error() == asio::error::bad_descriptor);
        CHECK(p.server->shutdown_send().error() == asio::error::bad_descriptor);
    }
    SECTION("destruction")
    {
        p.server.reset();
        CHECK(*p.client->try_read(buf) == 10);
        CHECK(p.client->try_read(buf).error() == errc::end_of_stream);
    }
    SECTION("the lower stream just ends")
    {
        REQUIRE(p.link.b_raw->shutdown_send());
        CHECK(*p.client->try_read(buf) == 10);
        CHECK(p.client->try_read(buf).error() == errc::truncated);
        CHECK(p.client->try_read(buf).error() == errc::truncated);
    }
    SECTION("reset")
    {
        p.server->reset();
        CHECK(p.client->try_read(buf).error() == asio::error::connection_reset);
        CHECK(p.link.a_raw->is_closed() == false);
    }
}

TEST_CASE("tls stream: altered data is a protocol error")
{
    asio::io_context ctx;
    peers p(ctx, client_of(trusting_config()), server_of(server_settings()));
    p.shake();
    REQUIRE(p.shaken());
    REQUIRE_FALSE(p.ping());
    auto const forged = GENERATE(std::vector<std::uint8_t>{0x17, 0x03, 0x03, 0x00, 0x20, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
                                                           19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31},
                                 std::vector<std::uint8_t>{0x17, 0x03, 0x03, 0xff, 0xff, 0}, // longer than any record
                                 std::vector<std::uint8_t>{'G', 'E', 'T', ' ', '/', ' '});
    p.link.a_raw->provide(bytes_view(forged));
    std::array<std::uint8_t, 64> buf{};
    auto const ec = p.client->try_read(buf).error();
    CHECK(ec == tls::errc::protocol_error);
    CHECK(ec == cond::malformed);
    CHECK(p.client->try_read(buf).error() == tls::errc::protocol_error);
}

TEST_CASE("tls stream: a wait for reading completes at once when decrypted data is left")
{
    asio::io_context ctx;
    peers p(ctx, client_of(trusting_config()), server_of(server_settings()));
    p.shake();
    REQUIRE(p.shaken());
    std::array<std::uint8_t, 64> buf{};
    CHECK(p.client->try_read(buf).error() == errc::would_block);
    CHECK(*p.server->try_write(as_bytes("abcdef")) == 6);
    CHECK(*p.client->try_read(std::span(buf).first(2)) == 2);
    REQUIRE(p.link.a_raw->unread() == 0); // the rest is above the lower stream
    bool called = false;
    p.client->async_wait(net::wait_kind::read, [&](std::error_code ec) { called = !ec; });
    CHECK_FALSE(called); // never from inside
    run_ready(ctx);
    CHECK(called);
    CHECK(*p.client->try_read(buf) == 4);
    CHECK(p.client->try_read(buf).error() == errc::would_block);
    called = false;
    p.client->async_wait(net::wait_kind::read, [&](std::error_code ec) { called = !ec; });
    run_ready(ctx);
    CHECK_FALSE(called);
    CHECK(p.link.a_raw->waiting(net::wait_kind::read));
    CHECK_FALSE(p.ping());
    run_ready(ctx);
    CHECK(called);
}

TEST_CASE("tls stream: what was taken leaves by itself when the lower stream has room again")
{
    asio::io_context ctx;
    peers p(ctx, client_of(trusting_config()), server_of(server_settings()));
    p.shake();
    REQUIRE(p.shaken());
    REQUIRE_FALSE(p.ping());
    p.link.a_raw->write_room(3);
    CHECK(*p.client->try_write(as_bytes("hello")) == 5);
    CHECK(p.client->try_write(as_bytes("other words")).error() == errc::would_block); // nothing is owed for the first ones
    bool writable = false;
    p.client->async_wait(net::wait_kind::write, [&](std::error_code ec) { writable = !ec; });
    run_ready(ctx);
    CHECK_FALSE(writable);
    CHECK(p.client->shutdown_send().error() == errc::would_block);
    p.link.a_raw->write_room(fake_stream::unlimited);
    run_ready(ctx);
    CHECK(writable);
    std::array<std::uint8_t, 64> buf{};
    CHECK(*p.server->try_read(buf) == 5);
    CHECK(*p.client->try_write(as_bytes("bye")) == 3);
    REQUIRE(p.client->shutdown_send());
    CHECK(*p.server->try_read(buf) == 3);
    CHECK(p.server->try_read(buf).error() == errc::end_of_stream);
}

TEST_CASE("tls stream: destroyed while waits and a flush are in flight, it leaves nothing behind")
{
    asio::io_context ctx;
    std::error_code on_read, on_write;
    {
        peers p(ctx, client_of(trusting_config()), server_of(server_settings()));
        p.shake();
        REQUIRE(p.shaken());
        REQUIRE_FALSE(p.ping());
        p.link.a_raw->write_room(0);
        CHECK(*p.client->try_write(as_bytes("hello")) == 5);
        std::array<std::uint8_t, 8> buf{};
        CHECK(p.client->try_read(buf).error() == errc::would_block);
        p.client->async_wait(net::wait_kind::read, [&](std::error_code ec) { on_read = ec; });
        p.client->async_wait(net::wait_kind::write, [&](std::error_code ec) { on_write = ec; });
        run_ready(ctx);
        CHECK_FALSE(on_read);
        p.client.reset();
        run_ready(ctx);
    }
    CHECK(on_read == asio::error::operation_aborted);
    CHECK(on_write == asio::error::operation_aborted);
}

TEST_CASE("tls stream: waits can be cancelled, and the stream stays usable")
{
    asio::io_context ctx;
    peers p(ctx, client_of(trusting_config()), server_of(server_settings()));
    p.shake();
    REQUIRE(p.shaken());
    REQUIRE_FALSE(p.ping());
    std::array<std::uint8_t, 8> buf{};
    CHECK(p.client->try_read(buf).error() == errc::would_block);
    spawned<result<std::size_t>> read(ctx, net::read_some(*p.client, buf));
    p.link.a_raw->write_room(0);
    CHECK(*p.client->try_write(as_bytes("hello")) == 5);
    spawned<result<void>> write(ctx, net::write_all(*p.client, as_bytes("more")));
    run_ready(ctx);
    CHECK_FALSE(read.done());
    CHECK_FALSE(write.done());
    read.cancel();
    write.cancel();
    run_ready(ctx);
    CHECK(read.error() == asio::error::operation_aborted);
    CHECK(write.error() == asio::error::operation_aborted);
    p.link.a_raw->write_room(fake_stream::unlimited);
    run_ready(ctx);
    CHECK(*p.server->try_read(buf) == 5);
    CHECK_FALSE(p.ping());
}

TEST_CASE("tls stream: a key update is answered")
{
    asio::io_context ctx;
    peers p(ctx, client_of(trusting_config()), server_of(server_settings()));
    p.shake();
    REQUIRE(p.shaken());
    for (int i = 0; i < 3; ++i) {
        REQUIRE(SSL_key_update(p.server->native_handle(), SSL_KEY_UPDATE_REQUESTED) == 1);
        REQUIRE_FALSE(p.ping());
        CHECK(*p.client->try_write(as_bytes("x")) == 1);
        std::array<std::uint8_t, 8> buf{};
        CHECK(*p.server->try_read(buf) == 1);
    }
}

TEST_CASE("tls stream: 16 MiB both ways at once through windows of all sizes")
{
    struct shape {
        pair_config link;
        std::size_t chunk;
        std::size_t size;
    };
    constexpr std::size_t all = fake_stream::unlimited;
    auto const s = GENERATE(shape{{all, all, all}, 65536, 16 << 20}, shape{{4096, all, all}, 65536, 16 << 20},
                            shape{{1000, 700, 300}, 10000, 16 << 20}, shape{{100, 1, 3}, 7, 1 << 16});
    asio::io_context ctx;
    peers p(ctx, client_of(trusting_config()), server_of(server_settings()), "api.test", s.link);
    p.shake();
    REQUIRE(p.shaken());
    auto const up = noise(s.size, 1);
    auto const down = noise(s.size, 2);
    spawned<result<void>> client_out(ctx, send_all(*p.client, up));
    spawned<result<void>> server_out(ctx, send_all(*p.server, down));
    spawned<result<std::vector<std::uint8_t>>> client_in(ctx, receive_all(*p.client, s.chunk));
    spawned<result<std::vector<std::uint8_t>>> server_in(ctx, receive_all(*p.server, s.chunk));
    run_ready(ctx);
    REQUIRE_FALSE(client_out.error());
    REQUIRE_FALSE(server_out.error());
    REQUIRE_FALSE(client_in.error());
    REQUIRE_FALSE(server_in.error());
    CHECK(sha(*server_in.value()) == sha(up));
    CHECK(sha(*client_in.value()) == sha(down));
}

TEST_CASE("tls stream: TLS inside TLS")
{
    asio::io_context ctx;
    pair_config const narrow{3000, 1100, 900};
    auto const client = client_of(trusting_config());
    auto const server = server_of(server_settings());
    peers outer(ctx, client, server, "api.test", narrow);
    outer.shake();
    REQUIRE(outer.shaken());
    tls::stream inner_client(std::move(outer.client), client, "127.0.0.1");
    tls::stream inner_server(std::move(outer.server), server);
    diagnostics why;
    spawned<result<void>> a(ctx, inner_client.handshake(why));
    spawned<result<void>> b(ctx, inner_server.handshake(why));
    run_ready(ctx);
    REQUIRE_FALSE(a.error());
    REQUIRE_FALSE(b.error());
    auto const up = noise(1 << 20, 3);
    auto const down = noise(1 << 20, 4);
    spawned<result<void>> client_out(ctx, send_all(inner_client, up));
    spawned<result<void>> server_out(ctx, send_all(inner_server, down));
    spawned<result<std::vector<std::uint8_t>>> client_in(ctx, receive_all(inner_client, 65536));
    spawned<result<std::vector<std::uint8_t>>> server_in(ctx, receive_all(inner_server, 65536));
    run_ready(ctx);
    CHECK(sha(*server_in.value()) == sha(up));
    CHECK(sha(*client_in.value()) == sha(down));
}

namespace {

/// Handshake, a message, its echo, and a goodbye.
net::awaitable<result<void>> talk_as_client(tls::stream& s, diagnostics& why)
{
    if (auto ok = co_await s.handshake(why); !ok) co_return ok;
    auto const message = noise(50000);
    if (auto ok = co_await net::write_all(s, message); !ok) co_return ok;
    auto echo = co_await receive(s, message.size());
    if (!echo) co_return echo.error();
    if (*echo != message) co_return errc::truncated;
    if (auto ok = co_await net::shutdown_send(s); !ok) co_return ok;
    std::uint8_t byte = 0;
    auto end = co_await net::read_some(s, {&byte, 1});
    if (end || end.error() != errc::end_of_stream) co_return end ? std::error_code(errc::truncated) : end.error();
    co_return result<void>{};
}

net::awaitable<result<void>> talk_as_server(tls::stream& s, diagnostics& why)
{
    if (auto ok = co_await s.handshake(why); !ok) co_return ok;
    auto message = co_await receive(s, 50000);
    if (!message) co_return message.error();
    if (auto ok = co_await net::write_all(s, *message); !ok) co_return ok;
    std::uint8_t byte = 0;
    auto end = co_await net::read_some(s, {&byte, 1});
    if (end || end.error() != errc::end_of_stream) co_return end ? std::error_code(errc::truncated) : end.error();
    co_return co_await net::shutdown_send(s);
}

} // namespace

TEST_CASE("tls stream: every failure point of the lower stream ends in that failure")
{
    auto const client = client_of(trusting_config());
    auto const server = server_of(server_settings());
    pair_config const narrow{5000, 2000, 1500};
    bool const of_server = GENERATE(false, true);
    std::size_t points = 0;
    for (std::size_t n = 0;; ++n) {
        CAPTURE(n, of_server);
        asio::io_context ctx;
        fail_count fail(n);
        peers p(ctx, client, server, "api.test", narrow);
        (of_server ? p.link.b_raw : p.link.a_raw)->fail_with(fail);
        spawned<result<void>> c(ctx, talk_as_client(*p.client, p.client_why));
        spawned<result<void>> s(ctx, talk_as_server(*p.server, p.server_why));
        run_ready(ctx);
        auto& failing = of_server ? s : c;
        if (!fail.hit()) {
            CHECK_FALSE(c.error());
            CHECK_FALSE(s.error());
            break;
        }
        ++points;
        if (failing.done()) {
            // The very last operations may fail when all is said; then nothing is wrong with what was said.
            if (failing.error()) CHECK(failing.error() == fake_errc::injected);
        } else { // the flush behind our back failed while we wait for an answer: writing knows it
            CHECK((of_server ? p.server : p.client)->try_write(as_bytes("x")).error() == fake_errc::injected);
        }
        (of_server ? p.server : p.client).reset(); // the other side hears of it and ends by itself
        run_ready(ctx);
        CHECK(c.done());
        CHECK(s.done());
    }
    CHECK(points > 20);
}

TEST_CASE("tls stream: every cancellation point ends the conversation and leaves nothing behind")
{
    auto const client = client_of(trusting_config());
    auto const server = server_of(server_settings());
    pair_config const narrow{5000, 2000, 1500};
    std::size_t points = 0;
    for (std::size_t n = 0;; ++n) {
        CAPTURE(n);
        asio::io_context ctx;
        peers p(ctx, client, server, "api.test", narrow);
        spawned<result<void>> c(ctx, talk_as_client(*p.client, p.client_why));
        spawned<result<void>> s(ctx, talk_as_server(*p.server, p.server_why));
        std::size_t steps = 0;
        while (steps < n && c.step()) ++steps;
        if (c.done()) break;
        ++points;
        c.cancel();
        run_ready(ctx);
        REQUIRE(c.done());
        CHECK((c.error() == asio::error::operation_aborted || !c.error())); // the last step may have been on its way already
        p.client.reset();
        run_ready(ctx);
        REQUIRE(s.done());
        CHECK((s.error() == errc::truncated || s.error() == errc::end_of_stream || !s.error()));
    }
    CHECK(points > 20);
}

TEST_CASE("tls stream: a handshake with a silent peer ends at the deadline")
{
    asio::io_context ctx;
    stream_pair link(ctx.get_executor());
    tls::stream client(std::move(link.a), client_of(trusting_config()), "api.test");
    diagnostics why;
    spawned<result<void>> hand(ctx, net::with_deadline(client.handshake(why), std::chrono::milliseconds(1)));
    ctx.restart();
    while (!hand.done() && ctx.run_one() != 0) {}
    CHECK(hand.error() == errc::timed_out);
}
