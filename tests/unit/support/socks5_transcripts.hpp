#ifndef PODPROXY_TESTS_UNIT_SUPPORT_SOCKS5_TRANSCRIPTS_HPP
#define PODPROXY_TESTS_UNIT_SUPPORT_SOCKS5_TRANSCRIPTS_HPP

#include <podproxy/socks5/client_fsm.hpp>
#include <podproxy/socks5/server_fsm.hpp>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The SOCKS5 machines played with given input, as one text that must not depend on how the input was cut. For tests and fuzzers.
namespace podproxy::test {

/// What a machine promises to its driver.
inline void contract(bool kept)
{
    if (!kept) std::abort();
}

inline std::string hex(bytes_view bytes)
{
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (std::uint8_t const b : bytes) {
        if (!out.empty()) out += ' ';
        out += digits[b >> 4];
        out += digits[b & 15];
    }
    return out;
}

inline std::string server_transcript(std::span<bytes_view const> parts, socks5::server_config const& config)
{
    using kind = socks5::server_action::kind_type;
    socks5::server_fsm fsm(config);
    std::vector<std::uint8_t> pending;
    std::string log;
    bool ended = false;
    bool failed = false;
    for (bytes_view const part : parts) {
        pending.insert(pending.end(), part.begin(), part.end());
        for (bool starving = false; !ended && !starving;) {
            auto const action = fsm.resume(pending);
            contract(action.consumed <= pending.size());
            pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(action.consumed));
            if (!action.out.empty()) log += "> " + hex(action.out) + '\n';
            switch (action.kind) {
            case kind::read:
                contract(action.at_least > pending.size() && action.at_least <= socks5::max_message_bytes && action.consumed == 0);
                starving = true;
                break;
            case kind::write: contract(!action.out.empty() && action.consumed != 0); break;
            case kind::ready: {
                auto const& r = fsm.request();
                contract(is_host(r.destination.host) && r.destination.port != 0);
                log += "ready " + format_host_port(r.destination) + " user '" + r.user + "'\n";
                ended = true;
                break;
            }
            case kind::failed:
                contract(static_cast<bool>(action.error));
                log += "failed: " + action.error.message() + '\n';
                ended = failed = true;
                break;
            }
        }
    }
    if (!ended) log += "reading\n";
    if (ended && !failed) log += "early " + hex(pending) + '\n';
    return log;
}

inline std::string client_transcript(std::span<bytes_view const> parts, host_port const& destination,
                                     std::optional<socks5::credentials> const& creds)
{
    using kind = socks5::client_action::kind_type;
    socks5::client_fsm fsm(destination, creds);
    std::vector<std::uint8_t> pending;
    std::string log;
    bool ended = false;
    bool failed = false;
    auto const run = [&] {
        while (!ended) {
            auto const action = fsm.resume(pending);
            contract(action.consumed <= pending.size());
            pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(action.consumed));
            switch (action.kind) {
            case kind::read: contract(action.at_least > pending.size() && action.at_least <= socks5::max_reply_bytes && action.consumed == 0); return;
            case kind::write:
                contract(!action.out.empty());
                log += "> " + hex(action.out) + '\n';
                break;
            case kind::done:
                log += "done, bound " + format_host_port(fsm.bound()) + '\n';
                ended = true;
                break;
            case kind::failed:
                contract(static_cast<bool>(action.error));
                log += "failed: " + action.error.message() + '\n';
                ended = failed = true;
                break;
            }
        }
    };
    run();
    for (bytes_view const part : parts) {
        pending.insert(pending.end(), part.begin(), part.end());
        run();
    }
    if (!ended) log += "reading\n";
    if (ended && !failed) log += "early " + hex(pending) + '\n';
    return log;
}

} // namespace podproxy::test

#endif
