#include <podproxy/websocket/frame_encoder.hpp>

#include <catch2/catch_test_macros.hpp>
#include <podproxy/core/bytes.hpp>
#include <cstdint>
#include <string>
#include <vector>

using namespace podproxy;
using bytes = std::vector<std::uint8_t>;

TEST_CASE("websocket encoder: the examples of RFC 6455 section 5.7")
{
    bytes out;
    websocket::encode_frame(out, websocket::opcode::text, as_bytes("Hello"), std::nullopt);
    CHECK(out == bytes{0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f});
    out.clear();
    websocket::encode_frame(out, websocket::opcode::text, as_bytes("Hello"), websocket::mask_key{0x37, 0xfa, 0x21, 0x3d});
    CHECK(out == bytes{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58});
    out.clear();
    websocket::encode_frame(out, websocket::opcode::text, as_bytes("Hel"), std::nullopt, false);
    websocket::encode_frame(out, websocket::opcode::continuation, as_bytes("lo"), std::nullopt);
    CHECK(out == bytes{0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f});
    out.clear();
    websocket::encode_frame(out, websocket::opcode::ping, as_bytes("Hello"), std::nullopt);
    CHECK(out == bytes{0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f});
    out.clear();
    websocket::encode_frame(out, websocket::opcode::pong, as_bytes("Hello"), websocket::mask_key{0x37, 0xfa, 0x21, 0x3d});
    CHECK(out == bytes{0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58});
    out.clear();
    websocket::encode_frame(out, websocket::opcode::binary, bytes(256), std::nullopt);
    CHECK(bytes(out.begin(), out.begin() + 4) == bytes{0x82, 0x7e, 0x01, 0x00});
    CHECK(out.size() == 260);
    out.clear();
    websocket::encode_frame(out, websocket::opcode::binary, bytes(65536), std::nullopt);
    CHECK(bytes(out.begin(), out.begin() + 10) == bytes{0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0});
    CHECK(out.size() == 65546);
}

TEST_CASE("websocket encoder: headers are the shortest ones and are parsed back")
{
    for (std::uint64_t const length : {0ull, 1ull, 125ull, 126ull, 65535ull, 65536ull, 0x7fffffffffffffffull}) {
        for (bool const masked : {false, true}) {
            CAPTURE(length, masked);
            websocket::frame_header h{.kind = websocket::opcode::binary, .fin = false, .length = length};
            if (masked) h.mask = websocket::mask_key{1, 2, 3, 4};
            bytes out(websocket::max_frame_header_bytes);
            std::size_t const n = websocket::encode_frame_header(h, out);
            CHECK(n == websocket::frame_header_size(h));
            auto const back = websocket::parse_frame_header(bytes_view(out).first(n));
            REQUIRE(back.done());
            CHECK(back.consumed() == n);
            CHECK(back.value().length == length);
            CHECK(back.value().mask == h.mask);
            CHECK_FALSE(back.value().fin);
        }
    }
}

TEST_CASE("websocket encoder: a close frame has a code and a reason, cut between characters")
{
    bytes out;
    websocket::encode_close(out, websocket::close_code::normal, "bye", std::nullopt);
    CHECK(out == bytes{0x88, 0x05, 0x03, 0xe8, 'b', 'y', 'e'});
    out.clear();
    websocket::encode_close(out, websocket::close_code::no_status, "", std::nullopt);
    CHECK(out == bytes{0x88, 0x00});
    out.clear();
    std::string const reason = std::string(122, 'a') + "\u20ac"; // the euro sign would begin at byte 122
    websocket::encode_close(out, websocket::close_code::normal, reason, std::nullopt);
    CHECK(out[1] == 2 + 122);
    out.clear();
    websocket::encode_close(out, websocket::close_code::normal, std::string(200, 'a'), std::nullopt);
    CHECK(out[1] == 125);
}
