#include <podproxy/spdy/frame.hpp>

#include <catch2/catch_test_macros.hpp>
#include <podproxy/core/bytes.hpp>
#include <array>
#include <cstdint>
#include <unordered_set>
#include <vector>

using namespace podproxy;
using bytes = std::vector<std::uint8_t>;

TEST_CASE("spdy frames: a data header is the stream, the flags and the length")
{
    auto const plain = spdy::encode_data_header({0x01020304}, 0x00abcdef, spdy::data_flags::none);
    CHECK(plain == std::array<std::uint8_t, 8>{0x01, 0x02, 0x03, 0x04, // Stream: 0x01020304
                                               0x00,                   // Flags
                                               0xab, 0xcd, 0xef});     // Length
    auto const last = spdy::encode_data_header({1}, 0, spdy::data_flags::fin);
    CHECK(last == std::array<std::uint8_t, 8>{0, 0, 0, 1, 0x01 /* FIN */, 0, 0, 0});
    auto const largest = spdy::encode_data_header({spdy::max_31_bits}, spdy::max_frame_length, spdy::data_flags::none);
    CHECK(largest == std::array<std::uint8_t, 8>{0x7f, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff});
}

TEST_CASE("spdy frames: SYN_STREAM carries both stream ids, priority, slot and the block as it is")
{
    std::uint8_t const block[] = {0xaa, 0xbb};
    bytes out{0xee};
    spdy::encode_syn_stream(out, {.stream = {5}, .associated = {3}, .priority = 7, .slot = 2, .fin = true, .unidirectional = true, .header_block = block});
    CHECK(out == bytes{0xee,                   // what was there before
                       0x80, 0x03, 0x00, 0x01, // Control, version 3, SYN_STREAM
                       0x03,                   // Flags: FIN, UNIDIRECTIONAL
                       0x00, 0x00, 0x0c,       // Length: 10 + 2
                       0x00, 0x00, 0x00, 0x05, // Stream: 5
                       0x00, 0x00, 0x00, 0x03, // Associated: 3
                       0xe0,                   // Priority 7 in the upper three bits
                       0x02,                   // Slot
                       0xaa, 0xbb});           // Header block
}

TEST_CASE("spdy frames: SYN_REPLY and HEADERS carry the stream and the block")
{
    std::uint8_t const block[] = {0xaa};
    bytes out;
    spdy::encode_syn_reply(out, {.stream = {1}, .header_block = block});
    CHECK(out == bytes{0x80, 0x03, 0x00, 0x02, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x01, 0xaa});
    out.clear();
    spdy::encode_headers(out, {.stream = {1}, .fin = true, .header_block = block});
    CHECK(out == bytes{0x80, 0x03, 0x00, 0x08, 0x01, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x01, 0xaa});
}

TEST_CASE("spdy frames: the small control frames have fixed lengths")
{
    bytes out;
    spdy::encode_rst_stream(out, {{3}, spdy::rst_status::cancel});
    CHECK(out == bytes{0x80, 0x03, 0x00, 0x03, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x05});
    out.clear();
    spdy::encode_ping(out, {1});
    CHECK(out == bytes{0x80, 0x03, 0x00, 0x06, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x01});
    out.clear();
    spdy::encode_goaway(out, {{9}, spdy::goaway_status::protocol_error});
    CHECK(out == bytes{0x80, 0x03, 0x00, 0x07, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00, 0x01});
    out.clear();
    spdy::encode_window_update(out, {{3}, 1000});
    CHECK(out == bytes{0x80, 0x03, 0x00, 0x09, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0xe8});
}

TEST_CASE("spdy frames: SETTINGS has a count and 8 bytes per entry")
{
    std::array<spdy::setting, 2> const entries{{{spdy::setting_id::max_concurrent_streams, 100, 1}, {spdy::setting_id::initial_window_size, 65536, 0}}};
    bytes out;
    spdy::encode_settings(out, entries, true);
    CHECK(out == bytes{0x80, 0x03, 0x00, 0x04, 0x01, 0x00, 0x00, 0x14, // Control, SETTINGS, CLEAR_SETTINGS, length 20
                       0x00, 0x00, 0x00, 0x02,                         // Count: 2
                       0x01, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x64, // Flags 1, id 4, value 100
                       0x00, 0x00, 0x00, 0x07, 0x00, 0x01, 0x00, 0x00}); // Flags 0, id 7, value 65536
}

TEST_CASE("spdy frames: stream ids compare, hash and know their side")
{
    CHECK(spdy::stream_id{1} < spdy::stream_id{3});
    CHECK(spdy::stream_id{1}.from_client());
    CHECK_FALSE(spdy::stream_id{2}.from_client());
    std::unordered_set<spdy::stream_id> seen{{1}, {3}, {1}};
    CHECK(seen.size() == 2);
}
