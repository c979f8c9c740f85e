#ifndef PODPROXY_CONFIG_USERS_FILE_HPP
#define PODPROXY_CONFIG_USERS_FILE_HPP

#include <podproxy/auth/password_hash.hpp>
#include <podproxy/auth/verifier.hpp>
#include <podproxy/config/files.hpp>
#include <podproxy/config/problem.hpp>
#include <podproxy/core/ascii.hpp>
#include <podproxy/core/secret.hpp>
#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <sys/stat.h>

namespace podproxy::config {

/// Users with longer names can't log in through SOCKS5. RFC 1929 section 2
inline constexpr std::size_t max_user_bytes = 255;

/** Read a text with a user in each line, as `htpasswd -B` writes it: `name:hash`. Empty lines and those that begin with `#` are passed over.
    @param file  Its name, for the problems, which never hold a part of a hash.
    @return nothing when a problem of severity `error` was added. */
inline std::optional<auth::user_table> parse_users(std::string_view text, std::string const& file, problem_list& problems)
{
    auth::user_table out;
    bool fine = true;
    for (std::size_t line = 1; !text.empty(); ++line) {
        std::size_t const end = text.find('\n');
        std::string_view const entry = ascii_trim(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (entry.empty() || entry.front() == '#') continue;
        auto const complain = [&](std::string message) {
            problems.push_back({severity::error, file, {line, 1}, std::move(message)});
            fine = false;
        };
        std::size_t const colon = entry.find(':');
        std::string_view const name = entry.substr(0, colon);
        if (colon == std::string_view::npos) {
            complain("a line of the form name:hash is expected, as 'htpasswd -B' writes it");
            continue;
        }
        bool const plain = std::ranges::all_of(name, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
        if (name.empty() || name.size() > max_user_bytes || !plain) {
            complain("the name of a user has from 1 to 255 bytes, and no control characters");
            continue;
        }
        secret hash{std::string(entry.substr(colon + 1))};
        switch (auth::look_at_hash(hash.reveal())) {
        case auth::hash_form::usable: break;
        case auth::hash_form::unknown: complain("what stands behind " + quoted(name) + " is no hash; write the line with 'htpasswd -B'"); continue;
        case auth::hash_form::weak: complain("the hash of " + quoted(name) + " is of a kind that is broken quickly; make it with 'htpasswd -B'"); continue;
        case auth::hash_form::too_costly: complain("the hash of " + quoted(name) + " costs seconds to check; make it with 'htpasswd -B -C 10'"); continue;
        case auth::hash_form::broken: complain("the hash of " + quoted(name) + " is damaged: it has the wrong length, or a character that can't be in it"); continue;
        }
        if (!out.emplace(std::string(name), std::move(hash)).second) complain("the user " + quoted(name) + " is there twice");
    }
    if (fine && out.empty()) {
        problems.push_back({severity::error, file, {}, "holds no user, so nobody could log in"});
        fine = false;
    }
    if (!fine) return std::nullopt;
    return out;
}

/** Read the file of users. One that others on this machine may read is a problem of severity `warning`.
    @return as `parse_users`. */
inline std::optional<auth::user_table> load_users(std::string const& path, file_source& files, problem_list& problems)
{
    constexpr std::size_t most = 1024 * 1024;
    auto text = files.read(path, most);
    if (!text) {
        problems.push_back({severity::error, path, {}, "the file of 'users' can't be read: " + text.error().message()});
        return std::nullopt;
    }
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & S_IROTH) != 0)
        problems.push_back({severity::warning, path, {}, "everybody on this machine can read these hashes and try passwords: chmod 600"});
    secret const all(*std::move(text)); // wiped at the end
    return parse_users(all.reveal(), path, problems);
}

} // namespace podproxy::config

#endif
