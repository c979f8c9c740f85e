#ifndef PODPROXY_COMPRESS_IMPL_ZLIB_IPP
#define PODPROXY_COMPRESS_IMPL_ZLIB_IPP

#include <podproxy/compress/zlib.hpp>
#include <algorithm>
#include <cassert>
#include <limits>
#include <new>

namespace podproxy::compress {

namespace detail {

/// zlib counts in `uInt`: long inputs are given in parts.
inline uInt zlib_size(std::size_t n) noexcept
{
    return static_cast<uInt>(std::min<std::size_t>(n, std::numeric_limits<uInt>::max()));
}

/// zlib's interface is not const-correct, but it does not write to its input.
inline Bytef* zlib_input(bytes_view in) noexcept { return const_cast<Bytef*>(in.data()); }

/// zlib wants a place to point to even where there is no room.
inline Bytef* zlib_output(std::span<std::uint8_t> out, Bytef& nowhere) noexcept { return out.empty() ? &nowhere : out.data(); }

} // namespace detail

inline void deflater::open()
{
    std::unique_ptr<z_stream> z(new z_stream{});
    int const rc = ::deflateInit2(z.get(), config_.level, Z_DEFLATED, config_.window_bits, config_.mem_level, Z_DEFAULT_STRATEGY);
    if (rc == Z_MEM_ERROR) throw std::bad_alloc();
    assert(rc == Z_OK && "level, window_bits or mem_level is out of range");
    z_.reset(z.release());
    if (!config_.dictionary.empty())
        ::deflateSetDictionary(z_.get(), config_.dictionary.data(), detail::zlib_size(config_.dictionary.size()));
}

inline void deflater::write(bytes_view in, std::vector<std::uint8_t>& out, flush mode)
{
    if (!z_) open();
    int const wanted = mode == flush::none ? Z_NO_FLUSH : mode == flush::sync ? Z_SYNC_FLUSH : Z_FINISH;
    for (;;) {
        uInt const part = detail::zlib_size(in.size());
        z_->next_in = detail::zlib_input(in);
        z_->avail_in = part;
        int const step_mode = part == in.size() ? wanted : Z_NO_FLUSH;
        int rc = Z_OK;
        do { // A flush is complete when it leaves room behind; enough at once, since each further call repeats the flush marker.
            std::size_t const used = out.size();
            std::size_t const room = 64 + std::size_t{z_->avail_in} + z_->avail_in / 4;
            out.resize(used + room);
            z_->next_out = out.data() + used;
            z_->avail_out = detail::zlib_size(room);
            rc = ::deflate(z_.get(), step_mode);
            assert(rc != Z_STREAM_ERROR && "write after flush::finish");
            out.erase(out.end() - static_cast<std::ptrdiff_t>(z_->avail_out), out.end());
        } while (z_->avail_out == 0 && rc == Z_OK);
        in = in.subspan(part);
        if (in.empty()) return;
    }
}

inline void inflater::open()
{
    std::unique_ptr<z_stream> z(new z_stream{});
    int const rc = ::inflateInit2(z.get(), config_.window_bits);
    if (rc == Z_MEM_ERROR) throw std::bad_alloc();
    assert(rc == Z_OK && "window_bits is out of range");
    z_.reset(z.release());
}

inline std::error_code inflater::fail(errc e)
{
    z_.reset();
    return failure_ = e;
}

inline result<inflate_step> inflater::next(bytes_view in, std::span<std::uint8_t> out)
{
    if (failure_) return failure_;
    inflate_step step;
    if (ended_) {
        if (!in.empty()) return fail(errc::stream_ended);
        step.ended = true;
        return step;
    }
    if (!z_) {
        if (in.empty()) return step;
        open();
    }
    for (;;) {
        bytes_view const input = in.subspan(step.consumed);
        std::span<std::uint8_t> const room = out.subspan(step.produced);
        uInt const in_part = detail::zlib_size(input.size());
        uInt const out_part = detail::zlib_size(room.size());
        Bytef nowhere = 0;
        z_->next_in = detail::zlib_input(input);
        z_->avail_in = in_part;
        z_->next_out = detail::zlib_output(room, nowhere);
        z_->avail_out = out_part;
        int const rc = ::inflate(z_.get(), Z_SYNC_FLUSH);
        step.consumed += in_part - z_->avail_in;
        step.produced += out_part - z_->avail_out;
        switch (rc) {
        case Z_OK: // a huge input or room is given in parts
            if (z_->avail_in == 0 && in_part != input.size()) continue;
            if (z_->avail_out == 0 && out_part != room.size()) continue;
            return step;
        case Z_BUF_ERROR: return step; // nothing could be done with this input and room
        case Z_STREAM_END:
            ended_ = step.ended = true;
            z_.reset();
            return step;
        case Z_NEED_DICT:
            if (config_.dictionary.empty() ||
                ::inflateSetDictionary(z_.get(), config_.dictionary.data(), detail::zlib_size(config_.dictionary.size())) != Z_OK)
                return fail(errc::wrong_dictionary);
            continue;
        case Z_MEM_ERROR: throw std::bad_alloc();
        default: return fail(errc::bad_data);
        }
    }
}

inline result<void> inflater::append(bytes_view in, std::vector<std::uint8_t>& out, std::size_t max_size)
{
    // Grows with what has come out, so a small block takes little room and a bomb ends at the limit.
    std::size_t chunk = std::max<std::size_t>(256, 4 * std::min<std::size_t>(in.size(), 16 * 1024));
    for (;;) {
        std::size_t const used = out.size();
        std::size_t const room = used < max_size ? std::min(chunk, max_size - used) : 0;
        std::uint8_t probe = 0; // at the limit one more byte tells "just full" from "too large"
        out.resize(used + room);
        auto const step = room != 0 ? next(in, {out.data() + used, room}) : next(in, {&probe, 1});
        if (!step) {
            out.resize(used);
            return step.error();
        }
        if (room == 0 && step->produced != 0) {
            out.resize(used);
            return fail(errc::too_large);
        }
        out.resize(room != 0 ? used + step->produced : used);
        in = in.subspan(step->consumed);
        if (step->ended) {
            if (in.empty()) return {};
            continue; // says `stream_ended`
        }
        if (in.empty() && (room == 0 || step->produced < room)) return {};
        chunk *= 2;
    }
}

} // namespace podproxy::compress

#endif
