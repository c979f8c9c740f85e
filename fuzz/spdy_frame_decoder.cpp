// Frames from any bytes: the events do not depend on how the input is cut, and frames that were understood can be written again.

#include <podproxy/spdy/frame_decoder.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <variant>
#include <vector>

namespace {

using namespace podproxy;

template <class... Numbers>
void add(std::string& out, Numbers... numbers)
{
    ((out += std::to_string(static_cast<std::uint64_t>(numbers)) + ' '), ...);
}

struct writer {
    std::string& text;
    std::vector<std::uint8_t>& again; // the same frames, encoded by us
    std::vector<std::uint8_t> data{};

    void operator()(spdy::data_piece const& p)
    {
        data.insert(data.end(), p.payload.begin(), p.payload.end());
        if (data.size() + p.remaining != p.length) std::abort();
        if (p.remaining != 0) return;
        add(text, 0, p.stream.value, p.length, p.fin);
        text += as_text(data);
        auto const header = spdy::encode_data_header(p.stream, p.length, p.fin ? spdy::data_flags::fin : spdy::data_flags::none);
        again.insert(again.end(), header.begin(), header.end());
        again.insert(again.end(), data.begin(), data.end());
        data.clear();
    }
    void operator()(spdy::syn_stream const& f)
    {
        add(text, 1, f.stream.value, f.associated.value, f.priority, f.slot, f.fin, f.unidirectional);
        text += as_text(f.header_block);
        spdy::encode_syn_stream(again, f);
    }
    void operator()(spdy::syn_reply const& f)
    {
        add(text, 2, f.stream.value, f.fin);
        text += as_text(f.header_block);
        spdy::encode_syn_reply(again, f);
    }
    void operator()(spdy::headers const& f)
    {
        add(text, 8, f.stream.value, f.fin);
        text += as_text(f.header_block);
        spdy::encode_headers(again, f);
    }
    void operator()(spdy::rst_stream const& f)
    {
        add(text, 3, f.stream.value, f.status);
        spdy::encode_rst_stream(again, f);
    }
    void operator()(spdy::settings const& f)
    {
        add(text, 4, f.clear);
        std::vector<spdy::setting> entries;
        for (std::size_t i = 0; i < f.size(); ++i) {
            entries.push_back(f.at(i));
            add(text, entries.back().flags, entries.back().id, entries.back().value);
        }
        spdy::encode_settings(again, entries, f.clear);
    }
    void operator()(spdy::ping const& f)
    {
        add(text, 6, f.id);
        spdy::encode_ping(again, f);
    }
    void operator()(spdy::goaway const& f)
    {
        add(text, 7, f.last_good.value, f.status);
        spdy::encode_goaway(again, f);
    }
    void operator()(spdy::window_update const& f)
    {
        add(text, 9, f.stream.value, f.delta);
        spdy::encode_window_update(again, f);
    }
    void operator()(spdy::unknown_frame const&) {} // not written again
};

struct outcome {
    std::string text;
    std::string tail; // the error, or whether the input ends inside a frame
    std::vector<std::uint8_t> again;
};

outcome decode(std::initializer_list<bytes_view> parts)
{
    outcome out;
    spdy::frame_decoder decoder({.max_control_frame = 300});
    writer w{out.text, out.again};
    for (bytes_view in : parts) {
        for (;;) {
            auto const step = decoder.next(in);
            if (step.consumed > in.size()) std::abort();
            in = in.subspan(step.consumed);
            if (step.status == spdy::step_status::failed) {
                out.tail = step.error.message();
                return out;
            }
            if (step.status == spdy::step_status::need_more) {
                if (!in.empty()) std::abort();
                break;
            }
            std::visit(w, step.event);
        }
    }
    out.tail = decoder.at_boundary() ? "boundary" : "cut";
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    bytes_view const in(data, size);
    outcome const whole = decode({in});
    std::size_t const cut = size != 0 ? data[size / 2] % (size + 1) : 0;
    std::size_t const second = cut + (size - cut) / 2;
    outcome const parts = decode({in.first(cut), in.subspan(cut, second - cut), in.subspan(second)});
    if (whole.text != parts.text || whole.tail != parts.tail) std::abort();

    outcome const again = decode({whole.again});
    if (again.text != whole.text || again.tail != "boundary") std::abort();
    return 0;
}
