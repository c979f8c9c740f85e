#include <podproxy/core/base64.hpp>
#include <podproxy/core/percent.hpp>
#include <podproxy/net/timeout.hpp>
#include <podproxy/tls/stream.hpp>
#include <fstream>
#include <iterator>

namespace podproxy::kube {

inline result<std::unique_ptr<api_client>> api_client::create(net::executor ex, net::dialer& out, api_config config, diagnostics& why)
{
    std::unique_ptr<api_client> c(new api_client(ex, out, std::move(config)));
    c->config_.tls_settings.alpn = {"http/1.1"}; // over HTTP/2 the API server upgrades nothing
    if (c->config_.proxy) {
        tls::client_config of_proxy;
        of_proxy.roots_pem = c->config_.tls_settings.roots_pem;
        of_proxy.verify = c->config_.tls_settings.verify;
        auto proxy = upstream::dialer::create(out, *c->config_.proxy, std::move(of_proxy), why);
        if (!proxy) return proxy.error();
        c->proxy_ = std::move(*proxy);
    }
    auto const ready = c->use_certificate({}, {}, why);
    if (!ready) return ready.error();
    if (c->config_.plugin) c->plugin_.emplace(ex, *c->config_.plugin);
    return c;
}

/// @param certificate An exec plugin's; empty: that of the settings.
inline result<void> api_client::use_certificate(std::string certificate, secret key, diagnostics& why)
{
    if (!config_.tls) return {};
    // Only a plugin's certificate makes another context necessary; without one no copy of the key stays here.
    auto settings = config_.plugin ? config_.tls_settings : std::move(config_.tls_settings);
    if (!certificate.empty()) {
        settings.certificate_pem = certificate;
        settings.key_pem = key.reveal();
    }
    auto context = tls::client_context::create(std::move(settings), why);
    if (!context) return context.error();
    tls_.emplace(std::move(*context));
    plugin_certificate_ = std::move(certificate);
    idle_.clear(); // they are known under the certificate of before
    return {};
}

inline net::awaitable<result<void>> api_client::renew_credentials(diagnostics& why)
{
    if (!plugin_) co_return result<void>{};
    auto const got = co_await plugin_->credential(why);
    if (got && plugin_->age() != plugin_age_) {
        auto const used = (*got)->certificate == plugin_certificate_ ? result<void>{} : use_certificate((*got)->certificate, (*got)->key, why);
        if (used) {
            plugin_token_ = (*got)->token;
            plugin_age_ = plugin_->age();
            co_return used;
        }
        why.message = "the program " + config_.plugin->plugin.command + " gave a client certificate that can't be used: " + why.message;
        plugin_->refused(plugin_->age());
        co_return errc::bad_credential;
    }
    if (got) co_return result<void>{};
    if (got.error() != asio::error::operation_aborted) why.message = "cluster " + config_.name + ": " + why.message;
    co_return got.error();
}

inline net::awaitable<result<std::unique_ptr<http::client>>> api_client::connect(diagnostics& why)
{
    auto c = co_await net::with_deadline(connect_without_limit(why), config_.connect_limit);
    if (!c) {
        std::string const server = format_host_port(config_.server);
        if (c.error() == podproxy::errc::timed_out) why.message = "no connection within " + std::to_string(config_.connect_limit.count()) + " ms";
        if (why.message.empty()) why.message = c.error().message();
        why.message = "can't reach the API server of cluster " + config_.name + " at " + server + ": " + why.message;
    }
    co_return c;
}

inline net::awaitable<result<std::unique_ptr<http::client>>> api_client::connect_without_limit(diagnostics& why)
{
    net::dialer& way = proxy_ ? static_cast<net::dialer&>(*proxy_) : out_;
    auto lower = co_await way.dial(config_.server, why);
    if (!lower) { // its error is not the destination's: a client must not take it for a closed port of the pod
        if (lower.error() == asio::error::operation_aborted) co_return lower.error();
        co_return errc::unreachable;
    }
    net::any_stream stream = std::move(*lower);
    if (tls_) {
        auto secured = std::make_unique<tls::stream>(std::move(stream), *tls_, config_.server.host);
        auto const done = co_await secured->handshake(why);
        if (!done) co_return done.error();
        stream = std::move(secured);
    }
    http::client_config settings;
    settings.host = format_host_port(config_.server);
    co_return result<std::unique_ptr<http::client>>(std::make_unique<http::client>(std::move(stream), std::move(settings)));
}

inline void api_client::add_credentials(http::fields& f)
{
    auto const& who = config_.credentials;
    if (!who.token_file.empty() && (file_token_.empty() || net::clock::now() - file_token_read_ > std::chrono::minutes(1))) {
        std::ifstream in(who.token_file, std::ios::binary);
        std::string text{std::istreambuf_iterator<char>(in), {}};
        while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
        if (!text.empty()) file_token_ = secret(std::move(text));
        file_token_read_ = net::clock::now();
    }
    secret const& token = plugin_token_ ? plugin_token_ : file_token_ ? file_token_ : who.token;
    if (token)
        f.add("Authorization", "Bearer " + std::string(token.reveal()));
    else if (!who.username.empty())
        f.add("Authorization", "Basic " + encode_base64(as_bytes(who.username + ":" + std::string(who.password.reveal()))));
    if (!who.impersonate_user.empty()) f.add("Impersonate-User", who.impersonate_user);
    if (!who.impersonate_uid.empty()) f.add("Impersonate-Uid", who.impersonate_uid);
    for (auto const& group : who.impersonate_groups) f.add("Impersonate-Group", group);
    for (auto const& [key, values] : who.impersonate_extra)
        for (auto const& value : values) f.add("Impersonate-Extra-" + encode_percent(key), value);
}

inline std::unique_ptr<http::client> api_client::take_idle()
{
    while (!idle_.empty()) {
        auto c = std::move(idle_.back());
        idle_.pop_back();
        if (c->looks_alive()) return c;
    }
    return nullptr;
}

inline void api_client::keep(std::unique_ptr<http::client> c)
{
    if (c->reusable() && idle_.size() < config_.keep_idle) idle_.push_back(std::move(c));
}

/// What an answer other than the wanted one means.
inline net::awaitable<std::error_code> api_client::refusal(http::client& c, http::response_head const& head, diagnostics& why)
{
    constexpr std::size_t most = 64 * 1024;
    auto const body = co_await net::with_deadline(c.read_all(most), config_.answer_limit);
    std::string said = body ? parse_status_message(*body) : std::string();
    if (said.empty() && body) said = *body; // the kubelet and the runtime answer with plain text
    why.set_server_text(said);
    why.message = "the API server of cluster " + config_.name + " answered " + std::to_string(head.status);
    switch (head.status) {
    case 401:
        file_token_ = secret(); // read the file again next time
        if (plugin_) plugin_->refused(plugin_age_);
        why.message += " (not authorized: the credentials are missing, wrong or expired; log in again)";
        co_return errc::unauthorized;
    case 403: co_return errc::forbidden;
    case 404: co_return errc::not_found;
    case 409: co_return errc::conflict;
    case 410: co_return errc::resource_expired;
    default: co_return errc::api_error;
    }
}

inline net::awaitable<result<std::string>> api_client::get(std::string path, diagnostics& why)
{
    http::request_head request("GET", std::move(path));
    co_return co_await exchange(std::move(request), std::string(), repetition::harmless, why);
}

inline net::awaitable<result<std::string>> api_client::send(std::string method, std::string path, std::string content_type, std::string body,
                                                            repetition again, diagnostics& why)
{
    http::request_head request(std::move(method), std::move(path));
    if (!content_type.empty()) request.fields.add("Content-Type", content_type);
    co_return co_await exchange(std::move(request), std::move(body), again, why);
}

inline net::awaitable<result<std::string>> api_client::exchange(http::request_head request, std::string body, repetition again,
                                                               diagnostics& why)
{
    auto const limit = config_.answer_limit + config_.connect_limit; // a plugin has its own: somebody may have to log in
    auto ready = co_await renew_credentials(why);
    if (!ready) co_return ready.error();
    auto text = co_await net::with_deadline(exchange_once(request, body, again, why), limit);
    if (!text && may_know_better(text.error())) { // a 401 has done nothing
        ready = co_await renew_credentials(why);
        if (!ready) co_return ready.error();
        text = co_await net::with_deadline(exchange_once(std::move(request), std::move(body), again, why), limit);
    }
    if (!text && why.empty()) why.message = "no answer from the API server of cluster " + config_.name + ": " + text.error().message();
    co_return text;
}

inline net::awaitable<result<std::string>> api_client::exchange_once(http::request_head request, std::string body, repetition again,
                                                                    diagnostics& why)
{
    why.clear();
    for (;;) {
        // A kept connection may have been closed just now, and then nobody knows whether the request was seen.
        auto c = again == repetition::harmless ? take_idle() : nullptr;
        bool const kept = c != nullptr;
        if (!c) {
            auto fresh = co_await connect(why);
            if (!fresh) co_return fresh.error();
            c = std::move(*fresh);
        }
        http::fields f = request.fields;
        f.add("Accept", "application/json");
        add_credentials(f);
        auto head = co_await c->request(request.method, config_.base_path + request.target, std::move(f), body);
        if (!head) {
            if (kept && !c->response_started()) continue;
            co_return head.error();
        }
        if (head->status < 200 || head->status > 202) {
            auto const ec = co_await refusal(*c, *head, why);
            keep(std::move(c));
            co_return ec;
        }
        auto text = co_await c->read_all(max_answer_bytes);
        if (text) keep(std::move(c));
        co_return text;
    }
}

inline net::awaitable<result<std::unique_ptr<http::client>>> api_client::watch(std::string path, diagnostics& why)
{
    auto c = co_await watch_once(path, why);
    if (!c && may_know_better(c.error())) c = co_await watch_once(path, why);
    co_return c;
}

inline net::awaitable<result<std::unique_ptr<http::client>>> api_client::watch_once(std::string path, diagnostics& why)
{
    why.clear();
    auto const ready = co_await renew_credentials(why);
    if (!ready) co_return ready.error();
    auto c = co_await connect(why);
    if (!c) co_return c.error();
    http::fields f;
    f.add("Accept", "application/json");
    add_credentials(f);
    auto head = co_await net::with_deadline((*c)->request("GET", config_.base_path + path, std::move(f)), config_.answer_limit);
    if (!head) co_return head.error();
    if (head->status != 200) co_return co_await refusal(**c, *head, why);
    co_return c;
}

inline net::awaitable<result<api_client::switched>> api_client::upgrade(std::string method, std::string path, http::fields fields, diagnostics& why)
{
    auto s = co_await upgrade_once(method, path, fields, why);
    if (!s && may_know_better(s.error())) s = co_await upgrade_once(method, path, fields, why);
    co_return s;
}

inline net::awaitable<result<api_client::switched>> api_client::upgrade_once(std::string method, std::string path, http::fields fields, diagnostics& why)
{
    why.clear();
    auto const ready = co_await renew_credentials(why);
    if (!ready) co_return ready.error();
    auto c = co_await connect(why);
    if (!c) co_return c.error();
    add_credentials(fields);
    auto head = co_await net::with_deadline((*c)->request(std::move(method), config_.base_path + path, std::move(fields)), config_.answer_limit);
    if (!head) co_return head.error();
    if (head->status != 101) {
        auto const ec = co_await refusal(**c, *head, why);
        if (head->status < 400) co_return errc::not_upgraded;
        co_return ec;
    }
    co_return result<switched>(switched(std::move(*head), (*c)->take_stream()));
}

} // namespace podproxy::kube
