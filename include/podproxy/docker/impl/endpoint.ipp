#include <podproxy/core/ascii.hpp>
#include <cstdint>
#include <cstdlib>
#include <utility>

namespace podproxy::docker {

namespace detail {

inline std::optional<std::string> variable(char const* name)
{
    char const* const value = std::getenv(name);
    return value ? std::optional<std::string>(value) : std::nullopt;
}

inline bool is_set(std::optional<std::string> const& v) noexcept { return v && !v->empty(); }

inline result<endpoint> not_an_address(std::string_view address, std::string_view what, diagnostics& why)
{
    why.message = "\"" + std::string(address) + "\" is not the address of a container engine: " + std::string(what);
    return errc::bad_endpoint;
}

} // namespace detail

inline environment process_environment()
{
    environment out;
    out.docker_host = detail::variable("DOCKER_HOST");
    out.tls_verify = detail::variable("DOCKER_TLS_VERIFY");
    out.tls = detail::variable("DOCKER_TLS");
    out.cert_path = detail::variable("DOCKER_CERT_PATH");
    out.runtime_dir = detail::variable("XDG_RUNTIME_DIR");
    out.home = detail::variable("HOME").value_or("");
    return out;
}

inline std::string to_string(endpoint const& e)
{
    if (e.is_unix()) return "unix://" + e.sockets.front();
    return "tcp://" + format_host_port(e.server) + e.base_path;
}

inline result<endpoint> find_endpoint(environment const& env, diagnostics& why)
{
    if (detail::is_set(env.docker_host)) return parse_endpoint(*env.docker_host, env, why);
    endpoint out;
    out.sockets.push_back("/var/run/docker.sock");
    if (detail::is_set(env.runtime_dir)) out.sockets.push_back(*env.runtime_dir + "/docker.sock");
    out.sockets.push_back("/run/podman/podman.sock");
    if (detail::is_set(env.runtime_dir)) out.sockets.push_back(*env.runtime_dir + "/podman/podman.sock");
    return out;
}

inline result<endpoint> parse_endpoint(std::string_view address, environment const& env, diagnostics& why)
{
    std::string_view const text = ascii_trim(address);
    auto const mark = text.find("://");
    std::string const scheme = mark == std::string_view::npos ? std::string() : ascii_lower(text.substr(0, mark));
    std::string_view rest = mark == std::string_view::npos ? text : text.substr(mark + 3);

    endpoint out;
    if (scheme == "unix" || (scheme.empty() && text.starts_with('/'))) {
        if (!rest.starts_with('/') && !rest.starts_with('@')) return detail::not_an_address(text, "a path like unix:///var/run/docker.sock is expected", why);
        if (rest.find('\0') != std::string_view::npos || rest.size() < 2) return detail::not_an_address(text, "the path of a socket is missing", why);
        out.sockets.emplace_back(rest);
        return out;
    }
    if (scheme == "ssh") {
        why.message = "an engine behind ssh:// is not reached from here; forward its socket (ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock HOST) and "
                      "use DOCKER_HOST=unix:///tmp/docker.sock";
        return errc::unsupported_endpoint;
    }
    if (scheme == "npipe" || scheme == "fd") {
        why.message = scheme + ":// is not reached from here; use unix:///path or tcp://host:port";
        return errc::unsupported_endpoint;
    }
    if (scheme != "tcp" && scheme != "http" && scheme != "https")
        return detail::not_an_address(text, "unix:///path or tcp://host:port is expected", why);

    if (scheme != "http") {
        if (detail::is_set(env.tls_verify)) out.tls = endpoint_tls::verified;
        else if (detail::is_set(env.tls)) out.tls = endpoint_tls::unverified;
        else if (scheme == "https") out.tls = endpoint_tls::verified;
    }
    if (out.tls != endpoint_tls::off) out.cert_path = detail::is_set(env.cert_path) ? *env.cert_path : env.home + "/.docker";

    auto const slash = rest.find('/');
    if (slash != std::string_view::npos) {
        std::string_view path = rest.substr(slash);
        rest = rest.substr(0, slash);
        while (path.ends_with('/')) path.remove_suffix(1);
        for (char const c : path)
            if (c <= 0x20 || c >= 0x7f || c == '?' || c == '#') return detail::not_an_address(text, "its path has a character that is not allowed there", why);
        out.base_path = path;
    }
    if (rest.find('@') != std::string_view::npos) return detail::not_an_address(text, "a user is not expected", why);
    std::uint16_t const usual = out.tls == endpoint_tls::off ? 2375 : 2376;
    if (rest.empty()) {
        out.server = host_port("localhost", usual);
        return out;
    }
    host_port_rules rules;
    rules.default_port = usual;
    rules.allow_empty_host = true;
    auto server = parse_host_port(rest, rules);
    if (!server) return detail::not_an_address(text, server.error().message(), why);
    out.server = std::move(*server);
    if (out.server.host.empty()) out.server.host = "localhost";
    return out;
}

} // namespace podproxy::docker
