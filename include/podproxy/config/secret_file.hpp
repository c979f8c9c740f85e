#ifndef PODPROXY_CONFIG_SECRET_FILE_HPP
#define PODPROXY_CONFIG_SECRET_FILE_HPP

#include <podproxy/config/files.hpp>
#include <podproxy/core/ascii.hpp>
#include <podproxy/core/error.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/core/secret.hpp>
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace podproxy::config {

/** Read a secret that is all of a file: one line of visible characters, blanks and line ends around it left out, as secrets of Docker and
    Kubernetes are mounted.
    @return the secret; the error of reading; `errc::malformed` when the file is empty, or holds several lines or control characters. */
inline result<secret> read_secret_file(file_source& files, std::string const& path)
{
    constexpr std::size_t most = 4096;
    auto text = files.read(path, most);
    if (!text) return text.error();
    secret const all(std::move(*text)); // wiped at the end
    std::string_view const line = ascii_trim(all.reveal());
    bool const plain = std::all_of(line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
    if (line.empty() || !plain) return podproxy::errc::malformed;
    return secret(std::string(line));
}

} // namespace podproxy::config

#endif
