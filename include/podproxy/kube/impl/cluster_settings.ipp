namespace podproxy::kube {

inline result<server_url> parse_server_url(std::string_view text)
{
    server_url out;
    if (std::size_t const end = text.find("://"); end != std::string_view::npos) {
        std::string const scheme = ascii_lower(text.substr(0, end));
        if (scheme != "https" && scheme != "http") return errc::bad_context;
        out.tls = scheme == "https";
        text.remove_prefix(end + 3);
    }
    std::size_t const slash = text.find_first_of("/?#");
    std::string_view const authority = text.substr(0, slash);
    std::string_view path = slash == std::string_view::npos ? std::string_view() : text.substr(slash);
    if (authority.find('@') != std::string_view::npos || path.find_first_of("?#") != std::string_view::npos) return errc::bad_context;
    for (char const c : path)
        if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f) return errc::bad_context; // it goes into request lines
    while (path.ends_with('/')) path.remove_suffix(1);
    out.path = path;
    host_port_rules rules;
    rules.default_port = out.tls ? 443 : 80;
    auto address = parse_host_port(authority, rules);
    if (!address) return errc::bad_context;
    out.address = std::move(*address);
    return out;
}

inline result<context_material> read_context_material(cluster_context const& context, config::file_source& files, diagnostics& why)
{
    constexpr std::size_t most = 1024 * 1024;
    auto const read = [&](std::string const& path, char const* what) -> result<std::string> {
        auto text = files.read(path, most);
        if (!text) why.message = std::string(what) + " " + path + ": " + text.error().message();
        return text;
    };
    context_material out;
    out.roots = context.cluster.certificate_authority_data;
    if (out.roots.empty() && !context.cluster.certificate_authority.empty()) {
        auto text = read(context.cluster.certificate_authority, "certificate-authority");
        if (!text) return text.error();
        out.roots = std::move(*text);
    }
    out.certificate = context.user.client_certificate_data;
    if (out.certificate.empty() && !context.user.client_certificate.empty()) {
        auto text = read(context.user.client_certificate, "client-certificate");
        if (!text) return text.error();
        out.certificate = std::move(*text);
    }
    out.key = context.user.client_key_data;
    if (out.key.empty() && !context.user.client_key.empty()) {
        auto text = read(context.user.client_key, "client-key");
        if (!text) return text.error();
        out.key = secret(std::move(*text));
    }
    return out;
}

} // namespace podproxy::kube
