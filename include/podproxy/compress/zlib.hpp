#ifndef PODPROXY_COMPRESS_ZLIB_HPP
#define PODPROXY_COMPRESS_ZLIB_HPP

#include <podproxy/compress/errc.hpp>
#include <podproxy/core/bytes.hpp>
#include <podproxy/core/result.hpp>
#include <zlib.h>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace podproxy::compress {

/** How a `deflater` compresses.

    Its memory is about 2^(window_bits + 2) + 2^(mem_level + 9) bytes and 6 KiB for zlib's own state: 268 KiB with zlib's usual 15 and 8,
    10 KiB with 9 and 1, which is enough for messages of a few hundred bytes. */
struct deflate_config {
    /// 0 (stored, no compression) to 9. Default 6.
    int level = 6;
    /// Two to this power is how far back a repetition may lie: 9 to 15. Default 15.
    int window_bits = 15;
    /// 1 (least memory) to 9. Default 8.
    int mem_level = 8;
    /// Text that both sides know beforehand. Borrowed: it must outlive the deflater. Empty means none.
    bytes_view dictionary{};
};

/// What a `deflater` does when the input has been taken.
enum class flush {
    none,   ///< May keep bytes back for better compression.
    sync,   ///< Everything given so far can be unpacked from what was put out (Z_SYNC_FLUSH).
    finish, ///< End of the stream.
};

/** Compresses one zlib stream (RFC 1950), piece by piece. The state is made when the first piece comes.

    @throws std::bad_alloc where zlib gets no memory. */
class deflater {
public:
    explicit deflater(deflate_config config = {}) noexcept : config_(config) {}

    /// Compress `in` and append the result to `out`. Not after `flush::finish`, until `reset`.
    void write(bytes_view in, std::vector<std::uint8_t>& out, flush mode = flush::sync);

    /// Drop the state and its memory; the next `write` starts a new stream.
    void reset() noexcept { z_.reset(); }

    /// Whether there is a state that holds memory.
    bool active() const noexcept { return z_ != nullptr; }

private:
    struct end {
        void operator()(z_stream* z) const noexcept
        {
            ::deflateEnd(z);
            delete z;
        }
    };
    void open();

    deflate_config config_;
    std::unique_ptr<z_stream, end> z_;
};

/** How an `inflater` unpacks. Its memory is about 7 KiB and 2^window_bits bytes. */
struct inflate_config {
    /// The largest window that the peer may use, 8 to 15. Default 15, which every peer fits.
    int window_bits = 15;
    /// Text that both sides know beforehand. Borrowed: it must outlive the inflater. Empty means none.
    bytes_view dictionary{};
};

/// Where a call of `inflater::next` came to.
struct inflate_step {
    std::size_t consumed = 0; ///< Bytes taken from the input.
    std::size_t produced = 0; ///< Bytes written to the output.
    bool ended = false;       ///< The zlib stream is complete, with a right checksum.
};

/** Unpacks one zlib stream (RFC 1950), piece by piece, into room that the caller bounds. The state is made when the first byte comes.

    @throws std::bad_alloc where zlib gets no memory. */
class inflater {
public:
    explicit inflater(inflate_config config = {}) noexcept : config_(config) {}

    /** Unpack until the input or the room is used up.
        @return how far it came, or `errc::bad_data`, `wrong_dictionary`, `stream_ended`; these repeat until `reset`. */
    result<inflate_step> next(bytes_view in, std::span<std::uint8_t> out);

    /** Unpack all of `in` and append it to `out`, which may grow to at most `max_size` bytes in all.
        @return success, or the errors of `next`, or `errc::too_large` (then the stream can't be continued). */
    result<void> append(bytes_view in, std::vector<std::uint8_t>& out, std::size_t max_size);

    /// Drop the state and its memory; the next byte starts a new stream.
    void reset() noexcept
    {
        z_.reset();
        ended_ = false;
        failure_ = {};
    }

    /// Whether there is a state that holds memory.
    bool active() const noexcept { return z_ != nullptr; }

private:
    struct end {
        void operator()(z_stream* z) const noexcept
        {
            ::inflateEnd(z);
            delete z;
        }
    };
    void open();
    std::error_code fail(errc e);

    inflate_config config_;
    std::unique_ptr<z_stream, end> z_;
    std::error_code failure_;
    bool ended_ = false;
};

} // namespace podproxy::compress

#include <podproxy/compress/impl/zlib.ipp>

#endif
