// Request targets: the parts lie inside of the text and put together again give the same parts.
#include <podproxy/core/bytes.hpp>
#include <podproxy/http/fields.hpp>
#include <podproxy/http/pac.hpp>
#include <podproxy/http/target.hpp>
#include <cstdlib>
#include <string>
#include <vector>

using namespace podproxy;

namespace {

void demand(bool ok)
{
    if (!ok) std::abort();
}

std::string text_of(http::host_view const& h)
{
    std::string out = h.ipv6 ? "[" + std::string(h.host) + "]" : std::string(h.host);
    if (h.port) out += ":" + std::to_string(*h.port);
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    std::string const text = std::string(as_text({data, size}));
    for (std::string_view const method : {"GET", "OPTIONS", "CONNECT"}) {
        auto const t = http::parse_target(method, text);
        if (!t) continue;
        std::string again;
        switch (t->form) {
        case http::target_form::origin: again = t->path_and_query; break;
        case http::target_form::asterisk: again = "*"; break;
        case http::target_form::authority: again = text_of(t->authority); break;
        case http::target_form::absolute:
            again = std::string(t->scheme) + "://" + text_of(t->authority) + std::string(t->path_and_query);
            break;
        }
        auto const same = http::parse_target(method, again);
        demand(same.has_value() && same->form == t->form && same->scheme == t->scheme && same->authority == t->authority &&
               same->path_and_query == t->path_and_query);
        if (t->form == http::target_form::origin) demand(again == text);
        if (t->form == http::target_form::authority || t->form == http::target_form::absolute) {
            demand(!t->authority.host.empty() && t->authority.host.find_first_of("@/?# \r\n") == std::string_view::npos);
            demand((method == "CONNECT") == (t->form == http::target_form::authority));
        }
    }

    // Whatever a cluster is called, its name stays inside of its string, in printable ASCII.
    std::vector<std::string> const names{text};
    std::string const pac = http::pac_text(names, host_port("proxy", 1));
    std::size_t quotes = 0;
    for (char const c : pac) {
        demand(c == '\n' || (c >= 0x20 && c < 0x7f));
        quotes += c == '"';
    }
    demand(quotes == (text.empty() ? 2 : 6));
    return 0;
}
