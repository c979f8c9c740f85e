#ifndef PODPROXY_SPDY_IMPL_HEADER_BLOCK_IPP
#define PODPROXY_SPDY_IMPL_HEADER_BLOCK_IPP

#include <podproxy/spdy/header_block.hpp>
#include <algorithm>
#include <cassert>
#include <utility>

namespace podproxy::spdy {

namespace detail {

/// Names are what HTTP calls a token, in lower case, with the colon that SPDY's own names (":status") begin with.
inline bool is_header_name(std::string_view name) noexcept
{
    if (name.starts_with(':')) name.remove_prefix(1);
    if (name.empty()) return false;
    return std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    });
}

/// Either empty, or values that are not empty with one NUL between them.
inline bool is_header_value(std::string_view value) noexcept
{
    using namespace std::string_view_literals;
    if (value.empty()) return true;
    return value.front() != '\0' && value.back() != '\0' && value.find("\0\0"sv) == std::string_view::npos;
}

} // namespace detail

inline void encode_header_block(std::vector<std::uint8_t>& out, std::span<header_view const> list)
{
    byte_writer w(out);
    w.u32(static_cast<std::uint32_t>(list.size()));
    for (header_view const& h : list) {
        assert(detail::is_header_name(h.name) && detail::is_header_value(h.value));
        w.u32(static_cast<std::uint32_t>(h.name.size())).put(h.name);
        w.u32(static_cast<std::uint32_t>(h.value.size())).put(h.value);
    }
}

inline result<header_list> parse_header_block(bytes_view in, std::size_t max_headers)
{
    byte_reader r(in);
    std::uint32_t const count = r.u32();
    if (!r.ok()) return errc::bad_header_block;
    if (count > max_headers) return errc::too_many_headers;
    if (count > r.remaining() / 8) return errc::bad_header_block; // a pair has two lengths
    header_list list;
    list.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        std::string_view const name = as_text(r.take(r.u32()));
        std::string_view const value = as_text(r.take(r.u32()));
        if (!r.ok()) return errc::bad_header_block;
        if (!detail::is_header_name(name)) return errc::bad_header_name;
        if (!detail::is_header_value(value)) return errc::bad_header_value;
        if (find_header(list, name)) return errc::duplicate_header;
        list.push_back({std::string(name), std::string(value)});
    }
    if (r.remaining() != 0) return errc::bad_header_block;
    return list;
}

inline void header_encoder::encode(std::vector<std::uint8_t>& out, std::span<header_view const> list)
{
    std::vector<std::uint8_t> plain;
    encode_header_block(plain, list);
    deflater_.write(plain, out, compress::flush::sync);
}

template <class Frame>
inline void header_encoder::put_frame(std::vector<std::uint8_t>& out, Frame const& f, std::span<header_view const> list)
{
    std::size_t const start = out.size();
    detail::put_before_block(out, f, 0);
    encode(out, list);
    std::size_t const length = out.size() - start - frame_header_bytes;
    assert(length <= max_frame_length);
    for (std::size_t i = 0; i < 3; ++i) out[start + 5 + i] = static_cast<std::uint8_t>(length >> (16 - 8 * i));
}

inline void header_encoder::encode_frame(std::vector<std::uint8_t>& out, syn_stream const& f, std::span<header_view const> list)
{
    put_frame(out, f, list);
}
inline void header_encoder::encode_frame(std::vector<std::uint8_t>& out, syn_reply const& f, std::span<header_view const> list)
{
    put_frame(out, f, list);
}
inline void header_encoder::encode_frame(std::vector<std::uint8_t>& out, headers const& f, std::span<header_view const> list)
{
    put_frame(out, f, list);
}

inline result<header_list> header_decoder::decode(bytes_view block)
{
    if (lost_) return errc::bad_header_compression;
    std::vector<std::uint8_t> plain;
    auto const done = inflater_.append(block, plain, limits_.max_block);
    // A zlib stream that ends can't carry the next block: the flush must leave it open.
    if (!done || !inflater_.active()) {
        lost_ = true;
        inflater_.reset();
        return done.error() == compress::errc::too_large ? errc::header_block_too_large : errc::bad_header_compression;
    }
    return parse_header_block(plain, limits_.max_headers);
}

} // namespace podproxy::spdy

#endif
