#include <podproxy/websocket/frame.hpp>

#include <catch2/catch_test_macros.hpp>
#include <podproxy/core/bytes.hpp>
#include <cstdint>
#include <vector>
#include <unit/support/splits.hpp>

using namespace podproxy;
using bytes = std::vector<std::uint8_t>;

namespace {

auto parse(bytes const& in)
{
    return test::check_all_prefixes(in, [](bytes_view b) { return websocket::parse_frame_header(b); });
}

} // namespace

TEST_CASE("websocket header: the three forms of a length")
{
    auto r = parse({0x82, 0x7d}); // FIN binary, 125
    CHECK(r.value().kind == websocket::opcode::binary);
    CHECK(r.value().fin);
    CHECK(r.value().length == 125);
    CHECK_FALSE(r.value().mask);

    CHECK(parse({0x02, 0x7e, 0x00, 0x7e}).value().length == 126);
    CHECK_FALSE(parse({0x02, 0x7e, 0x00, 0x7e}).value().fin);
    CHECK(parse({0x82, 0x7e, 0xff, 0xff}).value().length == 65535);
    CHECK(parse({0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0}).value().length == 65536);
    CHECK(parse({0x82, 0x7f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}).value().length == 0x7fff'ffff'ffff'ffffu);

    r = parse({0x80, 0xfe, 0x01, 0x00, 1, 2, 3, 4}); // continuation, masked, 256
    CHECK(r.value().kind == websocket::opcode::continuation);
    CHECK(r.value().length == 256);
    CHECK(r.value().mask == websocket::mask_key{1, 2, 3, 4});
}

TEST_CASE("websocket header: what the RFC forbids is refused, as soon as it can be seen")
{
    auto const error = [](bytes const& in) { return websocket::parse_frame_header(in).error(); };
    CHECK(error({0xc2, 0x00}) == websocket::errc::reserved_bits);
    CHECK(error({0xa2, 0x00}) == websocket::errc::reserved_bits);
    CHECK(error({0x92, 0x00}) == websocket::errc::reserved_bits);
    for (int const opcode : {3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf})
        CHECK(error({static_cast<std::uint8_t>(0x80 | opcode), 0x00}) == websocket::errc::bad_opcode);
    CHECK(error({0x09, 0x00}) == websocket::errc::control_fragmented);
    CHECK(error({0x89, 0x7e}) == websocket::errc::control_too_long);
    CHECK(error({0x88, 0xff}) == websocket::errc::control_too_long);
    CHECK(error({0x82, 0x7e, 0x00, 0x7d}) == websocket::errc::bad_length);
    CHECK(error({0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff}) == websocket::errc::bad_length);
    CHECK(error({0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0}) == websocket::errc::bad_length);
}

TEST_CASE("websocket mask: every length and position gives what the RFC's byte loop gives, in place and from elsewhere")
{
    websocket::mask_key const key{0x37, 0xfa, 0x21, 0x3d};
    for (std::size_t size = 0; size < 40; ++size) {
        for (std::size_t at = 0; at < 5; ++at) {
            bytes from(size);
            for (std::size_t i = 0; i < size; ++i) from[i] = static_cast<std::uint8_t>(i * 7);
            bytes expected(size);
            for (std::size_t i = 0; i < size; ++i) expected[i] = static_cast<std::uint8_t>(from[i] ^ key[(i + at) % 4]);
            bytes to(size);
            websocket::apply_mask(from.data(), to, key, at);
            CHECK(to == expected);
            websocket::apply_mask(from, key, at);
            CHECK(from == expected);
        }
    }
}

TEST_CASE("websocket codes: only those for the wire may be sent")
{
    auto const ok = [](unsigned code) { return websocket::may_be_sent(static_cast<websocket::close_code>(code)); };
    for (unsigned const good : {1000u, 1001u, 1002u, 1003u, 1007u, 1011u, 1014u, 3000u, 4999u}) CHECK(ok(good));
    for (unsigned const bad : {0u, 999u, 1004u, 1005u, 1006u, 1015u, 1016u, 2999u, 5000u, 65535u}) CHECK_FALSE(ok(bad));
    CHECK(websocket::close_code_for(websocket::errc::bad_opcode) == websocket::close_code::protocol_error);
    CHECK(websocket::close_code_for(websocket::errc::bad_utf8) == websocket::close_code::invalid_payload);
    CHECK(websocket::close_code_for(websocket::errc::message_too_large) == websocket::close_code::message_too_big);
    CHECK(websocket::close_code_for(websocket::errc::unexpected_text) == websocket::close_code::unsupported_data);
    CHECK(websocket::close_code_for(errc::timed_out) == websocket::close_code::internal_error);
}
