#include <podproxy/websocket/frame_decoder.hpp>

#include <catch2/catch_test_macros.hpp>
#include <podproxy/core/bytes.hpp>
#include <podproxy/websocket/frame_encoder.hpp>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>
#include <unit/support/splits.hpp>

using namespace podproxy;
using websocket::role;
using bytes = std::vector<std::uint8_t>;

namespace {

/// Whole messages and control frames as text; a message that is cut by the end or an error is not told.
struct transcript {
    std::string text;
    std::string message;

    void operator()(websocket::message_piece const& p)
    {
        if (p.first != message.empty()) text += "wrong first mark!";
        if (p.first) message = p.kind == websocket::opcode::text ? "text:" : "binary:";
        message += as_text(p.payload);
        if (p.last) text += message + "\n";
        if (p.last) message.clear();
    }
    void operator()(websocket::ping_received const& p) { text += "ping:" + std::string(as_text(p.payload)) + "\n"; }
    void operator()(websocket::pong_received const& p) { text += "pong:" + std::string(as_text(p.payload)) + "\n"; }
    void operator()(websocket::close_received const& c)
    {
        text += "close " + std::to_string(static_cast<unsigned>(c.code)) + ":" + std::string(c.reason) + "\n";
    }
};

std::string decode(role own, std::span<bytes_view const> parts, websocket::frame_decoder_config config = {})
{
    websocket::frame_decoder decoder(own, config);
    transcript t;
    for (bytes_view const part : parts) {
        bytes owned(part.begin(), part.end());
        std::span<std::uint8_t> in = owned;
        for (;;) {
            auto const step = decoder.next(in);
            REQUIRE(step.consumed <= in.size());
            in = in.subspan(step.consumed);
            if (step.status == websocket::step_status::failed) return t.text + "error " + step.error.message();
            if (step.status == websocket::step_status::need_more) {
                REQUIRE(in.empty());
                break;
            }
            std::visit(t, step.event);
        }
    }
    return t.text;
}

std::string decode_everywhere(role own, bytes const& in, websocket::frame_decoder_config config = {})
{
    return test::check_all_splits(in, [=](std::span<bytes_view const> parts) { return decode(own, parts, config); });
}

std::string failure(websocket::errc e) { return "error " + std::string(describe(e)); }

} // namespace

TEST_CASE("websocket decoder: the examples of RFC 6455 section 5.7, at every split")
{
    CHECK(decode_everywhere(role::client, {0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}) == "text:Hello\n");
    CHECK(decode_everywhere(role::server, {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}) == "text:Hello\n");
    CHECK(decode_everywhere(role::client, {0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f}) == "text:Hello\n");
    CHECK(decode_everywhere(role::client, {0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}) == "ping:Hello\n");
    CHECK(decode_everywhere(role::server, {0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}) == "pong:Hello\n");
    bytes in{0x82, 0x7e, 0x01, 0x00};
    in.insert(in.end(), 256, 'x');
    CHECK(decode_everywhere(role::client, in) == "binary:" + std::string(256, 'x') + "\n");
    in = {0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0};
    in.insert(in.end(), 65536, 'x');
    test::pieces cut(in);
    cut.cut(5).cut(20'000).cut_rest();
    CHECK(decode(role::client, cut.views()) == "binary:" + std::string(65536, 'x') + "\n");
}

TEST_CASE("websocket decoder: a fragmented message with empty fragments and control frames between")
{
    // The shape in which Go servers send: a frame without FIN, then an empty continuation with it.
    CHECK(decode_everywhere(role::client, {0x02, 0x02, 'a', 'b',            // binary, not FIN
                                           0x89, 0x01, 'p',                 // ping
                                           0x00, 0x00,                      // continuation, empty
                                           0x8a, 0x00,                      // pong, empty
                                           0x00, 0x01, 'c',                 // continuation
                                           0x80, 0x00,                      // continuation, empty, FIN
                                           0x82, 0x00,                      // binary, empty
                                           0x88, 0x05, 0x03, 0xe9, 'b', 'y', 'e'}) // close 1001
          == "ping:p\npong:\nbinary:abc\nbinary:\nclose 1001:bye\n");
}

TEST_CASE("websocket decoder: masked frames are unmasked across every cut")
{
    bytes in;
    std::string const text = "a masked message that is longer than eight bytes";
    websocket::encode_frame(in, websocket::opcode::binary, as_bytes(text), websocket::mask_key{0xde, 0xad, 0xbe, 0xef}, false);
    websocket::encode_frame(in, websocket::opcode::ping, as_bytes("are you there"), websocket::mask_key{1, 2, 3, 4});
    websocket::encode_frame(in, websocket::opcode::continuation, as_bytes("!"), websocket::mask_key{9, 8, 7, 6});
    websocket::encode_close(in, websocket::close_code::normal, "done", websocket::mask_key{5, 5, 5, 5});
    CHECK(decode_everywhere(role::server, in) == "ping:are you there\nbinary:" + text + "!\nclose 1000:done\n");
}

TEST_CASE("websocket decoder: what the RFC forbids is refused, at every split")
{
    struct named_case {
        char const* name;
        role own;
        bytes in;
        websocket::errc expected;
    };
    named_case const cases[] = {
        {"RSV1", role::client, {0xc2, 0x00}, websocket::errc::reserved_bits},
        {"opcode 3", role::client, {0x83, 0x00}, websocket::errc::bad_opcode},
        {"a masked frame from a server", role::client, {0x82, 0x80, 1, 2, 3, 4}, websocket::errc::bad_mask},
        {"an unmasked frame from a client", role::server, {0x82, 0x00}, websocket::errc::bad_mask},
        {"an unmasked ping from a client", role::server, {0x89, 0x00}, websocket::errc::bad_mask},
        {"a long form of a short length", role::client, {0x82, 0x7e, 0x00, 0x05}, websocket::errc::bad_length},
        {"a long form of a middle length", role::client, {0x82, 0x7f, 0, 0, 0, 0, 0, 0, 1, 0}, websocket::errc::bad_length},
        {"a negative length", role::client, {0x82, 0x7f, 0xff, 0, 0, 0, 0, 0, 0, 0}, websocket::errc::bad_length},
        {"a ping of 126 bytes", role::client, {0x89, 0x7e, 0x00, 0x7e}, websocket::errc::control_too_long},
        {"a fragmented ping", role::client, {0x09, 0x00}, websocket::errc::control_fragmented},
        {"a continuation at the start", role::client, {0x80, 0x00}, websocket::errc::unexpected_continuation},
        {"a continuation behind the end", role::client, {0x82, 0x00, 0x80, 0x00}, websocket::errc::unexpected_continuation},
        {"a start inside a message", role::client, {0x02, 0x00, 0x82, 0x00}, websocket::errc::unexpected_start},
        {"text that is no UTF-8", role::client, {0x81, 0x02, 0xc3, 0x28}, websocket::errc::bad_utf8},
        {"text that ends inside a character", role::client, {0x81, 0x01, 0xc3}, websocket::errc::bad_utf8},
        {"bad text in the second fragment", role::client, {0x01, 0x01, 0xc3, 0x80, 0x01, 0x28}, websocket::errc::bad_utf8},
        {"a close frame of one byte", role::client, {0x88, 0x01, 0x03}, websocket::errc::bad_close_frame},
        {"close 1005", role::client, {0x88, 0x02, 0x03, 0xed}, websocket::errc::bad_close_frame},
        {"close 1006", role::client, {0x88, 0x02, 0x03, 0xee}, websocket::errc::bad_close_frame},
        {"close 999", role::client, {0x88, 0x02, 0x03, 0xe7}, websocket::errc::bad_close_frame},
        {"close 0", role::client, {0x88, 0x02, 0x00, 0x00}, websocket::errc::bad_close_frame},
        {"a close reason that is no UTF-8", role::client, {0x88, 0x03, 0x03, 0xe8, 0xff}, websocket::errc::bad_utf8},
    };
    for (named_case const& c : cases) {
        INFO(c.name);
        auto const seen = decode_everywhere(c.own, c.in);
        CHECK(seen.substr(seen.find("error")) == failure(c.expected));
    }
    CHECK(decode_everywhere(role::client, {0x88, 0x00, 0x82, 0x00}) == "close 1005:\n" + failure(websocket::errc::after_close));
}

TEST_CASE("websocket decoder: text may be cut inside a character")
{
    CHECK(decode_everywhere(role::client, {0x01, 0x02, 0xe2, 0x82, 0x80, 0x01, 0xac}) == "text:\u20ac\n");
}

TEST_CASE("websocket decoder: a message may be as long as the limit and no longer, in one frame or in many")
{
    for (unsigned const length : {9u, 10u, 11u}) {
        CAPTURE(length);
        bytes whole{0x82, static_cast<std::uint8_t>(length)};
        whole.insert(whole.end(), length, 'x');
        bytes parts{0x02, 4, 'x', 'x', 'x', 'x', 0x80, static_cast<std::uint8_t>(length - 4)};
        parts.insert(parts.end(), length - 4u, 'x');
        std::string const good = "binary:" + std::string(length, 'x') + "\n";
        std::string const expected = length <= 10 ? good : failure(websocket::errc::message_too_large);
        CHECK(decode_everywhere(role::client, whole, {.max_message = 10}) == expected);
        CHECK(decode_everywhere(role::client, parts, {.max_message = 10}) == expected);
    }
    // Lengths of fragments can't overflow the sum.
    CHECK(decode_everywhere(role::client, {0x02, 0x01, 'x', 0x00, 0x7f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {.max_message = 100}) ==
          failure(websocket::errc::message_too_large));
}

TEST_CASE("websocket decoder: pieces are views into the input, unmasked in place")
{
    bytes in;
    websocket::encode_frame(in, websocket::opcode::binary, as_bytes("hello"), websocket::mask_key{1, 2, 3, 4});
    websocket::frame_decoder decoder(role::server);
    auto const step = decoder.next(std::span(in).first(8));
    auto const piece = std::get<websocket::message_piece>(step.event);
    CHECK(piece.payload.data() == in.data() + 6);
    CHECK(as_text(piece.payload) == "he");
    CHECK(piece.first);
    CHECK_FALSE(piece.last);
    CHECK_FALSE(decoder.at_frame_boundary());
    decoder.next(std::span(in).subspan(8));
    CHECK(decoder.at_message_boundary());
    CHECK(as_text(in).ends_with("hello"));
}

TEST_CASE("websocket decoder: boundaries of frames and messages are told apart, errors stay, and reset starts over")
{
    websocket::frame_decoder decoder(role::client);
    bytes fragment{0x02, 0x01, 'x'};
    CHECK(decoder.at_message_boundary());
    decoder.next(std::span(fragment).first(1));
    CHECK_FALSE(decoder.at_frame_boundary());
    decoder.next(std::span(fragment).subspan(1));
    CHECK(decoder.at_frame_boundary());
    CHECK_FALSE(decoder.at_message_boundary());
    bytes bad{0x83, 0x00};
    bytes good{0x82, 0x00};
    CHECK(decoder.next(bad).error == websocket::errc::bad_opcode);
    CHECK(decoder.next(good).error == websocket::errc::bad_opcode);
    CHECK(decoder.next(good).consumed == 0);
    decoder.reset();
    CHECK(decoder.next(good).status == websocket::step_status::event);
}
