#include <podproxy/websocket/handshake.hpp>

#include <catch2/catch_test_macros.hpp>
#include <podproxy/core/bytes.hpp>
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

using namespace podproxy;
using fields = std::vector<websocket::handshake_field>;

namespace {

fields good_answer()
{
    return {{"upgrade", "WebSocket"},
            {"connection", "keep-alive, upgrade"},
            {"sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
            {"sec-websocket-protocol", "SPDY/3.1+portforward.k8s.io"}};
}

websocket::client_handshake const asked{.key = "dGhlIHNhbXBsZSBub25jZQ==", .subprotocols = {"SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io"}};

fields without(fields list, std::string_view name)
{
    std::erase_if(list, [&](auto const& f) { return ascii_iequals(f.name, name); });
    return list;
}

fields with(fields list, std::string name, std::string value)
{
    list = without(std::move(list), name);
    list.push_back({std::move(name), std::move(value)});
    return list;
}

std::string all(fields const& list)
{
    std::string out;
    for (auto const& f : list) out += f.name + ": " + f.value + "\n";
    return out;
}

} // namespace

TEST_CASE("websocket handshake: the example of RFC 6455 section 1.3")
{
    std::array<std::uint8_t, 16> nonce{};
    auto const text = as_bytes("the sample nonce");
    std::copy(text.begin(), text.end(), nonce.begin());
    CHECK(websocket::make_key(nonce) == "dGhlIHNhbXBsZSBub25jZQ==");
    CHECK(websocket::accept_for("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST_CASE("websocket handshake: a client's fields name the key, the version and the subprotocols in order")
{
    CHECK(all(websocket::request_fields(asked)) == "Upgrade: websocket\n"
                                                   "Connection: Upgrade\n"
                                                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n"
                                                   "Sec-WebSocket-Version: 13\n"
                                                   "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io, v4.channel.k8s.io\n");
    CHECK(websocket::request_fields({.key = "k"}).size() == 4);
}

TEST_CASE("websocket handshake: a good answer gives the chosen subprotocol")
{
    auto const chosen = websocket::check_response(101, good_answer(), asked);
    REQUIRE(chosen);
    CHECK(*chosen == "SPDY/3.1+portforward.k8s.io");
    auto const none = websocket::check_response(101, without(good_answer(), "Sec-WebSocket-Protocol"), asked);
    REQUIRE(none);
    CHECK(none->empty());
}

TEST_CASE("websocket handshake: an answer that is not ours is refused")
{
    auto const error = [](int status, fields const& answer, websocket::client_handshake const& h = asked) {
        return websocket::check_response(status, answer, h).error();
    };
    auto const good = good_answer();
    CHECK(error(400, good) == websocket::errc::upgrade_refused);
    CHECK(error(400, good) == cond::refused);
    CHECK(error(200, {}) == websocket::errc::upgrade_refused);
    CHECK(error(101, without(good, "Upgrade")) == websocket::errc::bad_upgrade);
    CHECK(error(101, with(good, "Upgrade", "SPDY/3.1")) == websocket::errc::bad_upgrade);
    CHECK(error(101, without(good, "Connection")) == websocket::errc::bad_upgrade);
    CHECK(error(101, with(good, "Connection", "close")) == websocket::errc::bad_upgrade);
    CHECK(error(101, without(good, "Sec-WebSocket-Accept")) == websocket::errc::bad_accept);
    CHECK(error(101, with(good, "Sec-WebSocket-Accept", "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) == websocket::errc::bad_accept);
    auto twice = good;
    twice.push_back({"Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="});
    CHECK(error(101, twice) == websocket::errc::bad_accept);
    CHECK(error(101, with(good, "Sec-WebSocket-Extensions", "permessage-deflate")) == websocket::errc::unexpected_extension);
    CHECK(error(101, with(good, "Sec-WebSocket-Protocol", "v5.channel.k8s.io")) == websocket::errc::bad_subprotocol);
    CHECK(error(101, with(good, "Sec-WebSocket-Protocol", "spdy/3.1+portforward.k8s.io")) == websocket::errc::bad_subprotocol);
    CHECK(error(101, with(good, "Sec-WebSocket-Protocol", "SPDY/3.1+portforward.k8s.io, v4.channel.k8s.io")) == websocket::errc::bad_subprotocol);
    auto strict = asked;
    strict.need_subprotocol = true;
    CHECK(error(101, without(good, "Sec-WebSocket-Protocol"), strict) == websocket::errc::bad_subprotocol);
}

TEST_CASE("websocket handshake: a server reads a client's offer and answers it")
{
    auto const offer = websocket::check_request(websocket::request_fields(asked));
    REQUIRE(offer);
    CHECK(offer->key == asked.key);
    CHECK(offer->subprotocols == asked.subprotocols);
    std::array<std::string_view, 2> const have{"v4.channel.k8s.io", "SPDY/3.1+portforward.k8s.io"};
    auto const protocol = websocket::select_subprotocol(*offer, have);
    CHECK(protocol == "SPDY/3.1+portforward.k8s.io"); // the client's order decides
    CHECK(websocket::select_subprotocol(*offer, {}).empty());
    auto const answer = websocket::response_fields(*offer, protocol);
    CHECK(websocket::check_response(101, answer, asked));
    CHECK(websocket::response_fields(*offer).size() == 3);
}

TEST_CASE("websocket handshake: subprotocols may come in several fields")
{
    auto request = websocket::request_fields({.key = asked.key});
    request.push_back({"Sec-WebSocket-Protocol", "a,, b ,"});
    request.push_back({"sec-websocket-protocol", "c"});
    auto const offer = websocket::check_request(request);
    REQUIRE(offer);
    CHECK(offer->subprotocols == std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE("websocket handshake: a request that is no upgrade is refused")
{
    auto const error = [](fields const& request) { return websocket::check_request(request).error(); };
    auto const good = websocket::request_fields(asked);
    CHECK(error({}) == websocket::errc::bad_upgrade);
    CHECK(error(with(good, "Upgrade", "h2c")) == websocket::errc::bad_upgrade);
    CHECK(error(with(good, "Connection", "keep-alive")) == websocket::errc::bad_upgrade);
    CHECK(error(without(good, "Sec-WebSocket-Version")) == websocket::errc::bad_version);
    CHECK(error(with(good, "Sec-WebSocket-Version", "8")) == websocket::errc::bad_version);
    CHECK(error(without(good, "Sec-WebSocket-Key")) == websocket::errc::bad_key);
    CHECK(error(with(good, "Sec-WebSocket-Key", "AAAA")) == websocket::errc::bad_key);
    CHECK(error(with(good, "Sec-WebSocket-Key", "not base64 at all, no")) == websocket::errc::bad_key);
    auto twice = good;
    twice.push_back({"Sec-WebSocket-Key", asked.key});
    CHECK(error(twice) == websocket::errc::bad_key);
}
