#ifndef PODPROXY_CORE_DIAGNOSTICS_HPP
#define PODPROXY_CORE_DIAGNOSTICS_HPP

#include <string>
#include <string_view>

namespace podproxy {

/** Text that explains an error code to a person. It travels beside the code, never inside it.

    Credentials, tokens and cookies never enter either part. */
struct diagnostics {
    /// Our own words: what failed, on which object, what to do next.
    std::string message;
    /// What the peer said, already cut and cleaned by `set_server_text`. Not to be trusted.
    std::string server_text;

    static constexpr std::size_t max_server_text = 512;

    /// Keep the peer's text: at most `max_server_text` bytes, control characters replaced by blanks.
    void set_server_text(std::string_view text)
    {
        server_text.assign(text.substr(0, max_server_text));
        for (char& c : server_text)
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
        while (!server_text.empty() && server_text.back() == ' ') server_text.pop_back();
    }

    void clear()
    {
        message.clear();
        server_text.clear();
    }

    bool empty() const noexcept { return message.empty() && server_text.empty(); }

    /// Both parts in one line.
    std::string text() const
    {
        if (server_text.empty()) return message;
        if (message.empty()) return server_text;
        return message + ": " + server_text;
    }
};

} // namespace podproxy

#endif
