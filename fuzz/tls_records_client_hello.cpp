// ClientHellos from any bytes: the answer does not depend on how much is there already, on records being cut, or on moving; waiting for
// what is asked for takes few tries.

#include <podproxy/tls_records/client_hello.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

using namespace podproxy;

namespace {

constexpr std::size_t limit = 20'000;

void add(std::string& out, bytes_view bytes) { out.append(as_text(bytes)).push_back('\n'); }

std::string told(tls_records::client_hello const& h)
{
    std::string out = std::to_string(h.legacy_version) + "\n" + std::string(h.server_name) + "\n";
    add(out, h.random);
    add(out, h.session_id);
    add(out, h.compression_methods);
    add(out, h.point_formats);
    for (auto const* const list : {&h.cipher_suites, &h.supported_versions, &h.groups, &h.signature_algorithms}) {
        for (std::uint16_t const v : *list) out += std::to_string(v) + ' ';
        out += '\n';
    }
    for (auto const name : h.alpn) {
        if (name.empty()) std::abort();
        out.append(name).push_back(' ');
    }
    for (auto const e : h.extensions) {
        out += std::to_string(e.type) + ' ';
        add(out, e.data);
    }
    return out;
}

/// The same message in records of other sizes.
std::vector<std::uint8_t> cut_anew(bytes_view in, std::size_t size)
{
    std::vector<std::uint8_t> message;
    while (!in.empty()) {
        std::size_t const n = static_cast<std::size_t>(in[3] << 8 | in[4]);
        message.insert(message.end(), in.begin() + 5, in.begin() + 5 + static_cast<std::ptrdiff_t>(n));
        in = in.subspan(5 + n);
    }
    std::vector<std::uint8_t> out;
    for (std::size_t at = 0; at < message.size(); at += size) {
        std::size_t const n = std::min(size, message.size() - at);
        byte_writer(out).u8(22).u16(0x0303).u16(static_cast<std::uint16_t>(n)).put(bytes_view(message).subspan(at, n));
    }
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    bytes_view const in(data, size);
    auto whole = tls_records::parse_client_hello(in, limit);
    if (whole.needs_more() && (whole.at_least() <= size || whole.at_least() > limit)) std::abort();
    if (!whole.failed() && !tls_records::is_tls_client_hello_start(in)) std::abort();

    // As whoever reads just what is asked for sees it.
    std::size_t tries = 0;
    for (std::size_t have = 0;; ++tries) {
        auto const part = tls_records::parse_client_hello(in.first(have), limit);
        if (part.failed()) {
            if (!whole.failed()) std::abort();
            break;
        }
        if (part.done()) {
            if (!whole.done() || part.consumed() != have || whole.consumed() != have || told(part.value()) != told(whole.value())) std::abort();
            break;
        }
        if (part.at_least() <= have) std::abort();
        have = part.at_least();
        if (have > size) {
            if (!whole.needs_more() && !whole.failed()) std::abort();
            break;
        }
    }
    if (tries > 100) std::abort();

    if (!whole.done()) return 0;
    std::string const said = told(whole.value());
    tls_records::client_hello const moved = std::move(whole.value());
    if (told(moved) != said) std::abort();
    for (std::size_t const records : {std::size_t{1} + data[size / 2], std::size_t{16384}}) {
        auto const bytes = cut_anew(in.first(whole.consumed()), records);
        auto const r = tls_records::parse_client_hello(bytes, 1 << 20);
        if (!r.done() || r.consumed() != bytes.size() || told(r.value()) != said) std::abort();
    }
    return 0;
}
