#include <podproxy/http/message.hpp>

#include <catch2/catch_test_macros.hpp>
#include <utility>

namespace podproxy::http {

TEST_CASE("http message: who wants what", "[http]")
{
    auto req = [](fields f, version v = version::http_1_1) {
        request_head h;
        h.version = v;
        h.fields = std::move(f);
        return h;
    };
    CHECK(wants_keep_alive(req({})));
    CHECK_FALSE(wants_keep_alive(req({{"Connection", "x, Close"}})));
    CHECK_FALSE(wants_keep_alive(req({}, version::http_1_0)));
    CHECK(wants_keep_alive(req({{"Connection", "Keep-Alive"}}, version::http_1_0)));
    CHECK_FALSE(wants_keep_alive(req({{"Connection", "Keep-Alive, close"}}, version::http_1_0)));
    CHECK(wants_upgrade(req({{"Connection", "keep-alive, Upgrade"}, {"Upgrade", "websocket"}})));
    CHECK_FALSE(wants_upgrade(req({{"Upgrade", "websocket"}})));
    CHECK_FALSE(wants_upgrade(req({{"Connection", "Upgrade"}})));
    CHECK_FALSE(wants_upgrade(req({{"Connection", "Upgrade"}, {"Upgrade", "websocket"}}, version::http_1_0)));
    CHECK(expects_continue(req({{"Expect", "100-Continue"}})));
    CHECK_FALSE(expects_continue(req({{"Expect", "100-continue"}}, version::http_1_0)));
    CHECK(is_idempotent("PUT"));
    CHECK_FALSE(is_idempotent("POST"));
    CHECK_FALSE(is_idempotent("PATCH"));
    CHECK(reason_phrase(404) == "Not Found");
    CHECK(reason_phrase(299).empty());
}

} // namespace podproxy::http
