// What a container engine may answer: an inspection, a list, an event, an error, a log. What is read is complete and within its limits.
#include <podproxy/core/bytes.hpp>
#include <podproxy/core/utf8.hpp>
#include <podproxy/docker/objects.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace podproxy;
using namespace podproxy::docker;

namespace {

void check(bool ok)
{
    if (!ok) std::abort();
}

void check_container(container const& c)
{
    check(!c.id.empty());
    check(!c.name.starts_with('/') || c.name.size() > 1);
    bool const ended = c.status == container_status::exited || c.status == container_status::dead;
    check(ended || !c.exit_code);
    check(to_string(c.status).size() > 3);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    bytes_view const in(data, size);
    std::string_view const text = as_text(in);

    auto const one = parse_container(text);
    check(one || one.error() == docker::errc::bad_answer);
    if (one) check_container(*one);
    auto const all = parse_container_list(text);
    check(all || all.error() == docker::errc::bad_answer);
    if (all)
        for (auto const& c : *all) check_container(c);

    json::parser parser;
    auto const e = parse_event(parser, text);
    check(e || e.error() == docker::errc::bad_answer);
    if (e) {
        check(!e->action.empty());
        check(e->kind == event_kind::other || !e->id.empty());
    }
    (void)parse_error_message(text);

    std::string const line = last_log_line(in);
    check(line.size() <= max_log_line);
    check(line.find('\n') == std::string::npos && line.find('\0') == std::string::npos);
    for (std::string_view rest = line; !rest.empty();) {
        auto const c = first_utf8(rest);
        check(c.valid);
        rest.remove_prefix(c.size);
    }
    return 0;
}
