// Frames from any bytes, for a client or a server (first byte even or odd): messages do not depend on how the input is cut, and
// those that were understood can be written again.

#include <podproxy/websocket/frame_decoder.hpp>
#include <podproxy/websocket/frame_encoder.hpp>
#include <podproxy/websocket/handshake.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace {

using namespace podproxy;

constexpr std::uint64_t message_limit = 1000;

struct outcome {
    std::string text; // whole messages and control frames
    std::string tail; // the error, or where the input ends
    std::vector<std::uint8_t> again;
};

struct writer {
    outcome& out;
    std::optional<websocket::mask_key> mask;
    bool inside = false;
    std::string message{};

    void operator()(websocket::message_piece const& p)
    {
        if (p.first == inside) std::abort();
        inside = !p.last;
        message += as_text(p.payload);
        if (message.size() > message_limit) std::abort();
        if (!p.last) return;
        if (p.kind == websocket::opcode::text && !websocket::is_utf8(as_bytes(message))) std::abort();
        put(p.kind, as_bytes(message));
        message.clear();
    }
    void operator()(websocket::ping_received const& p) { put(websocket::opcode::ping, p.payload); }
    void operator()(websocket::pong_received const& p) { put(websocket::opcode::pong, p.payload); }
    void operator()(websocket::close_received const& c)
    {
        out.text += "close " + std::to_string(static_cast<unsigned>(c.code)) + std::string(c.reason) + "\n";
        websocket::encode_close(out.again, c.code, c.reason, mask);
    }
    void put(websocket::opcode kind, bytes_view payload)
    {
        out.text += std::to_string(static_cast<unsigned>(kind)) + " " + std::string(as_text(payload)) + "\n";
        websocket::encode_frame(out.again, kind, payload, mask);
    }
};

outcome decode(websocket::role own, std::initializer_list<bytes_view> parts)
{
    outcome out;
    websocket::frame_decoder decoder(own, {.max_message = message_limit});
    writer w{.out = out, .mask = own == websocket::role::server ? std::optional<websocket::mask_key>({7, 1, 5, 3}) : std::nullopt};
    for (bytes_view const part : parts) {
        std::vector<std::uint8_t> owned(part.begin(), part.end()); // it is unmasked in place
        std::span<std::uint8_t> in = owned;
        for (;;) {
            auto const step = decoder.next(in);
            if (step.consumed > in.size()) std::abort();
            in = in.subspan(step.consumed);
            if (step.status == websocket::step_status::failed) {
                out.tail = step.error.message();
                return out;
            }
            if (step.status == websocket::step_status::need_more) {
                if (!in.empty()) std::abort();
                break;
            }
            std::visit(w, step.event);
        }
    }
    out.tail = decoder.at_message_boundary() ? "message" : decoder.at_frame_boundary() ? "frame" : "cut";
    return out;
}

/// The handshake's checkers read text of a peer too.
void handshake(bytes_view in)
{
    std::vector<websocket::handshake_field> fields;
    std::string_view rest = as_text(in);
    while (!rest.empty() && fields.size() < 20) {
        std::size_t const end = rest.find('\n');
        std::string_view const line = rest.substr(0, end);
        std::size_t const colon = line.find(':');
        if (colon != std::string_view::npos) fields.push_back({std::string(line.substr(0, colon)), std::string(line.substr(colon + 1))});
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    }
    if (auto const offer = websocket::check_request(fields)) {
        websocket::client_handshake const asked{.key = offer->key, .subprotocols = offer->subprotocols};
        if (!websocket::check_response(101, websocket::response_fields(*offer), asked)) std::abort();
    }
    (void)websocket::check_response(101, fields, {.key = "dGhlIHNhbXBsZSBub25jZQ==", .subprotocols = {"a"}});
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    if (size == 0) return 0;
    auto const own = (data[0] & 1) != 0 ? websocket::role::server : websocket::role::client;
    bytes_view const in(data + 1, size - 1);
    outcome const whole = decode(own, {in});
    std::size_t const cut = data[size / 2] % (in.size() + 1);
    std::size_t const second = cut + (in.size() - cut) / 2;
    outcome const parts = decode(own, {in.first(cut), in.subspan(cut, second - cut), in.subspan(second)});
    if (whole.text != parts.text || whole.tail != parts.tail) std::abort();
    outcome const again = decode(own, {whole.again});
    if (again.text != whole.text) std::abort();
    handshake(in);
    return 0;
}
