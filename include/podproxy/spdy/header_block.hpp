#ifndef PODPROXY_SPDY_HEADER_BLOCK_HPP
#define PODPROXY_SPDY_HEADER_BLOCK_HPP

#include <podproxy/compress/zlib.hpp>
#include <podproxy/core/bytes.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/spdy/detail/header_dictionary.hpp>
#include <podproxy/spdy/errc.hpp>
#include <podproxy/spdy/frame.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace podproxy::spdy {

/// One name/value pair to send. Several values of one name are joined with NUL.
struct header_view {
    std::string_view name; ///< Lower case, not empty.
    std::string_view value;
};

/// One received name/value pair.
struct header {
    std::string name;
    std::string value; ///< May hold several values with a NUL between them.
};

using header_list = std::vector<header>;

/// The value of a name, or nothing. Names are compared as they are: they are lower case on the wire.
inline std::optional<std::string_view> find_header(std::span<header const> list, std::string_view name) noexcept
{
    for (header const& h : list)
        if (h.name == name) return h.value;
    return std::nullopt;
}

struct header_limits {
    /// Bytes of a whole block when unpacked. Default 16 KiB.
    std::size_t max_block = 16 * 1024;
    /// Pairs in one block. Default 100.
    std::size_t max_headers = 100;
};

/** Append the plain form of a header block, section 2.6.10: count (32), then for each pair length (32), name, length (32), value.
    @pre names are not empty, lower case and different. */
inline void encode_header_block(std::vector<std::uint8_t>& out, std::span<header_view const> list);

/** Parse a plain header block that `in` holds exactly.
    @return the pairs, or `errc::bad_header_block`, `too_many_headers`, `bad_header_name`, `duplicate_header`, `bad_header_value`. */
inline result<header_list> parse_header_block(bytes_view in, std::size_t max_headers = header_limits{}.max_headers);

/// Memory and effort of the zlib stream that we send; small by default, since our blocks are few and short.
struct header_encoder_config {
    int level = 1;       ///< 0 (stored) to 9.
    int window_bits = 9; ///< 9 to 15.
    int mem_level = 1;   ///< 1 to 9.
};

/** Makes compressed header blocks for one direction of one connection.

    All blocks of a direction are one zlib stream with the SPDY/3 dictionary, each ended by a flush: so they must be sent in the
    order in which they were made. The state (10 KiB by default) is made with the first block. */
class header_encoder {
public:
    explicit header_encoder(header_encoder_config config = {}) noexcept
        : deflater_({.level = config.level,
                     .window_bits = config.window_bits,
                     .mem_level = config.mem_level,
                     .dictionary = detail::header_dictionary})
    {
    }

    /// Append the compressed block.
    void encode(std::vector<std::uint8_t>& out, std::span<header_view const> list);

    /// Append a whole frame with these headers; the frame's own `header_block` is not used.
    void encode_frame(std::vector<std::uint8_t>& out, syn_stream const& f, std::span<header_view const> list);
    void encode_frame(std::vector<std::uint8_t>& out, syn_reply const& f, std::span<header_view const> list);
    void encode_frame(std::vector<std::uint8_t>& out, headers const& f, std::span<header_view const> list);

    /// Give the memory back. No block can be sent on this connection afterwards.
    void release() noexcept { deflater_.reset(); }

private:
    template <class Frame>
    void put_frame(std::vector<std::uint8_t>& out, Frame const& f, std::span<header_view const> list);

    compress::deflater deflater_;
};

/** Unpacks and parses the header blocks of one direction of one connection.

    Every received block must come through here, in order, also those of refused streams. The state (7 KiB and a window of at
    most 32 KiB, of which only the used part is touched) is made with the first block. */
class header_decoder {
public:
    explicit header_decoder(header_limits limits = {}) noexcept : limits_(limits), inflater_({.dictionary = detail::header_dictionary}) {}

    /** Unpack and parse one block.
        @return the pairs; or an error of `parse_header_block`, which `concerns_stream` only, so that the next block can be
                decoded; or `errc::bad_header_compression`, `header_block_too_large`, after which the connection is not usable. */
    result<header_list> decode(bytes_view block);

    /// Give the memory back. No block can be decoded on this connection afterwards.
    void release() noexcept
    {
        inflater_.reset();
        lost_ = true;
    }

private:
    header_limits limits_;
    compress::inflater inflater_;
    bool lost_ = false;
};

} // namespace podproxy::spdy

#include <podproxy/spdy/impl/header_block.ipp>

#endif
