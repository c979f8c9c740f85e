#include <podproxy/config/files.hpp>
#include <podproxy/core/duration.hpp>
#include <podproxy/core/percent.hpp>
#include <podproxy/docker/detail/dialer.hpp>
#include <podproxy/net/timeout.hpp>
#include <podproxy/tls/stream.hpp>
#include <nlohmann/json.hpp>
#include <asio/error.hpp>
#include <algorithm>

namespace podproxy::docker {

namespace detail {

/// The client's certificates, as Docker's programs lay them out in a folder.
inline result<tls::client_config> read_certificates(endpoint const& where, diagnostics& why)
{
    constexpr std::size_t most = 1024 * 1024;
    config::disk_files files;
    tls::client_config out;
    out.alpn = {"http/1.1"};
    bool const verified = where.tls == endpoint_tls::verified;
    if (!verified) out.verify = tls::verification::insecure_skip;
    struct part {
        char const* name;
        std::string tls::client_config::*into;
        bool needed;
    };
    for (part const& p : {part{"ca.pem", &tls::client_config::roots_pem, verified}, part{"cert.pem", &tls::client_config::certificate_pem, false},
                          part{"key.pem", &tls::client_config::key_pem, false}}) {
        std::string const path = where.cert_path + "/" + p.name;
        auto text = files.read(path, most);
        if (text) {
            out.*p.into = std::move(*text);
        } else if (p.needed || text.error() != cond::not_found) {
            why.message = "can't read " + path + ": " + text.error().message();
            return errc::bad_certificates;
        }
    }
    if (!verified) out.roots_pem.clear();
    return out;
}

} // namespace detail

inline std::optional<event> event_stream::next_buffered()
{
    for (;;) {
        auto const step = decoder_.next(rest_);
        rest_ = rest_.subspan(step.consumed);
        if (step.status == json::object_status::failed) return std::nullopt; // stays so, and `next` tells it
        if (step.status == json::object_status::object) {
            auto e = parse_event(parser_, step.text);
            if (e) return std::move(*e);
            continue;
        }
        rest_ = connection_->buffered_body();
        if (rest_.empty()) return std::nullopt;
    }
}

inline net::awaitable<result<event>> event_stream::next()
{
    for (;;) {
        if (auto e = next_buffered()) co_return std::move(*e);
        if (auto const failed = decoder_.next({}); failed.status == json::object_status::failed) co_return failed.error;
        auto const piece = co_await connection_->read_body_view();
        if (!piece) {
            bool const cut = piece.error() == podproxy::errc::end_of_stream && decoder_.inside();
            co_return cut ? make_error_code(podproxy::errc::truncated) : piece.error();
        }
        rest_ = *piece;
    }
}

inline result<std::unique_ptr<client>> client::create(net::executor ex, endpoint where, diagnostics& why, client_config config,
                                                      std::unique_ptr<net::dialer> out)
{
    std::unique_ptr<client> c(new client(ex, std::move(where), config));
    if (c->where_.tls != endpoint_tls::off) {
        auto settings = detail::read_certificates(c->where_, why);
        if (!settings) return settings.error();
        auto context = tls::client_context::create(std::move(*settings), why);
        if (!context) {
            why.message = "the certificates in " + c->where_.cert_path + " can't be used: " + why.message;
            return errc::bad_certificates;
        }
        c->tls_.emplace(std::move(*context));
    }
    if (out) c->out_ = std::move(out);
    else if (c->where_.is_unix()) c->out_ = std::make_unique<detail::socket_dialer>(c->where_.sockets);
    else c->out_ = std::make_unique<detail::tcp_dialer>();
    return c;
}

inline net::awaitable<result<client::connection>> client::open(diagnostics& why)
{
    auto c = co_await net::with_deadline(open_without_limit(why), config_.connect_limit);
    if (c || c.error() == asio::error::operation_aborted) co_return c;
    std::error_code const ec = c.error();
    if (ec == podproxy::errc::timed_out) why.message = "no connection within " + std::to_string(config_.connect_limit.count()) + " ms";
    if (why.message.empty()) why.message = ec.message();
    bool const denied = is_from_system(ec) && ec == cond::unauthorized;
    std::string hint;
    if (denied && where_.is_unix()) hint = "; add the user to the group docker, or run with access to the socket " + where_.sockets.front();
    if (is_from_system(ec) && ec == cond::not_found && where_.is_unix()) hint = "; is the engine running? DOCKER_HOST says where it is";
    why.message = "can't reach the container engine at " + to_string(where_) + ": " + why.message + hint;
    if (denied) co_return errc::permission_denied;
    if (ec.category() == category_of<tls::errc>()) co_return ec;
    co_return ec == podproxy::errc::timed_out ? ec : make_error_code(errc::unreachable);
}

inline net::awaitable<result<client::connection>> client::open_without_limit(diagnostics& why)
{
    auto lower = co_await out_->dial(where_.server, why);
    if (!lower) co_return lower.error();
    net::any_stream stream = std::move(*lower);
    if (tls_) {
        auto secured = std::make_unique<tls::stream>(std::move(stream), *tls_, where_.server.host);
        auto const done = co_await secured->handshake(why);
        if (!done) co_return done.error();
        stream = std::move(secured);
    }
    http::client_config settings;
    settings.host = where_.is_unix() ? std::string("localhost") : format_host_port(where_.server);
    co_return result<connection>(std::make_unique<http::client>(std::move(stream), std::move(settings)));
}

inline client::connection client::take_idle()
{
    while (!idle_.empty()) {
        auto c = std::move(idle_.back());
        idle_.pop_back();
        if (c->looks_alive()) return c;
    }
    return nullptr;
}

inline void client::keep(connection c)
{
    if (c->reusable() && idle_.size() < config_.keep_idle) idle_.push_back(std::move(c));
}

inline std::string client::path_of(std::string const& id, std::string_view rest) const
{
    return "/containers/" + encode_percent(id) + std::string(rest);
}

/// Send a request and read the head of its answer; anything but success becomes an error.
inline net::awaitable<result<client::answered>> client::send(call c, diagnostics& why)
{
    why.clear();
    if (c.path.starts_with("/containers//")) {
        why.message = "a container has no id";
        co_return errc::not_found;
    }
    std::string const target = where_.base_path + (version_.empty() || c.path == "/_ping" ? std::string() : "/v" + version_) + c.path;
    for (;;) {
        answered a;
        a.from = take_idle();
        bool const kept = a.from != nullptr;
        if (!kept) {
            auto fresh = co_await open(why);
            if (!fresh) co_return fresh.error();
            a.from = std::move(*fresh);
        }
        http::fields f;
        if (!c.body.empty()) f.add("Content-Type", "application/json");
        auto head = co_await a.from->request(c.method, target, std::move(f), c.body);
        if (!head) {
            if (head.error() == asio::error::operation_aborted) co_return head.error();
            // A kept connection may have been closed just now. Sent twice, all of these do what they do once.
            if (kept && !a.from->response_started()) continue;
            why.message = "no answer from the container engine at " + to_string(where_) + ": " + head.error().message();
            co_return head.error();
        }
        a.head = std::move(*head);
        // 304: it is in that state already.
        if (a.head.status / 100 == 2 || a.head.status == 304) co_return result<answered>(std::move(a));
        co_return co_await refusal(a, why);
    }
}

inline net::awaitable<std::error_code> client::refusal(answered& a, diagnostics& why)
{
    auto const body = co_await a.from->read_all(64 * 1024);
    if (!body && body.error() == asio::error::operation_aborted) co_return body.error();
    if (body) why.set_server_text(parse_error_message(*body));
    keep(std::move(a.from));
    switch (a.head.status) {
    case 401:
    case 403:
        why.message = "the container engine at " + to_string(where_) + " does not allow it (" + std::to_string(a.head.status) + ")";
        co_return errc::forbidden;
    case 404: why.message = "the container engine does not know it"; co_return errc::not_found;
    case 409: why.message = "the container engine refuses it now"; co_return errc::conflict;
    default: why.message = "the container engine answered " + std::to_string(a.head.status); co_return errc::engine_error;
    }
}

inline net::awaitable<result<std::string>> client::ask_without_limit(call c, diagnostics& why)
{
    std::size_t const most = c.most_bytes;
    auto a = co_await send(std::move(c), why);
    if (!a) co_return a.error();
    auto body = co_await a->from->read_all(most);
    if (body) keep(std::move(a->from));
    else if (body.error() != asio::error::operation_aborted)
        why.message = "the answer of the container engine at " + to_string(where_) + " can't be read: " + body.error().message();
    co_return body;
}

inline net::awaitable<result<std::string>> client::ask(call c, std::chrono::milliseconds limit, diagnostics& why)
{
    auto body = co_await net::with_deadline(ask_without_limit(std::move(c), why), limit);
    if (!body && body.error() == podproxy::errc::timed_out && why.message.empty())
        why.message = "no answer from the container engine at " + to_string(where_) + " within " + format_duration(limit);
    co_return body;
}

inline net::awaitable<result<void>> client::command(call c, std::chrono::milliseconds limit, diagnostics& why)
{
    auto const body = co_await ask(std::move(c), limit, why);
    co_return body ? result<void>() : result<void>(body.error());
}

inline net::awaitable<result<void>> client::ping(diagnostics& why)
{
    call c("GET", "/_ping");
    auto a = co_await send(std::move(c), why);
    if (!a) co_return a.error();
    std::string_view const version = a->head.fields.get("Api-Version");
    bool const plausible = !version.empty() && version.size() < 16 &&
                           std::ranges::all_of(version, [](char ch) { return (ch >= '0' && ch <= '9') || ch == '.'; });
    version_ = plausible ? version : std::string_view();
    engine_ = a->head.fields.contains("Libpod-Api-Version") ? "podman" : "docker";
    if (auto const body = co_await a->from->read_all(1024)) keep(std::move(a->from));
    co_return result<void>{};
}

inline net::awaitable<result<void>> client::connect(diagnostics& why)
{
    auto const done = co_await net::with_deadline(ping(why), config_.answer_limit);
    // Who answers is there, whatever it allows.
    if (!done && (done.error() == errc::forbidden || done.error() == errc::not_found || done.error() == errc::engine_error)) {
        version_.clear();
        why.clear();
        co_return result<void>{};
    }
    if (!done && done.error() == podproxy::errc::timed_out && why.message.empty())
        why.message = "no answer from the container engine at " + to_string(where_) + " within " + format_duration(config_.answer_limit);
    co_return done;
}

inline net::awaitable<result<std::unique_ptr<event_stream>>> client::events(diagnostics& why)
{
    static constexpr std::string_view filters = R"({"type":["container","network"]})";
    call c("GET", "/events?filters=" + encode_percent(filters));
    auto a = co_await net::with_deadline(send(std::move(c), why), config_.answer_limit);
    if (!a) co_return a.error();
    co_return result<std::unique_ptr<event_stream>>(std::make_unique<event_stream>(std::move(a->from), max_event_bytes));
}

inline net::awaitable<result<std::vector<container>>> client::list(diagnostics& why)
{
    call c("GET", "/containers/json?all=1");
    c.most_bytes = max_list_bytes;
    auto const body = co_await ask(std::move(c), config_.answer_limit, why);
    if (!body) co_return body.error();
    auto all = parse_container_list(*body);
    if (!all) why.message = "the container engine's list of containers can't be understood";
    co_return all;
}

inline net::awaitable<result<container>> client::inspect(std::string id, diagnostics& why)
{
    call c("GET", path_of(id, "/json"));
    c.most_bytes = max_inspect_bytes;
    auto const body = co_await ask(std::move(c), config_.answer_limit, why);
    if (!body) co_return body.error();
    auto one = parse_container(*body);
    if (!one) why.message = "what the container engine says of " + id + " can't be understood";
    co_return one;
}

inline net::awaitable<result<void>> client::start(std::string id, diagnostics& why)
{
    call c("POST", path_of(id, "/start"));
    co_return co_await command(std::move(c), config_.command_limit, why);
}

inline net::awaitable<result<void>> client::stop(std::string id, std::optional<std::chrono::seconds> timeout, diagnostics& why)
{
    call c("POST", path_of(id, timeout ? "/stop?t=" + std::to_string(timeout->count()) : std::string("/stop")));
    co_return co_await command(std::move(c), timeout ? config_.command_limit + *timeout : config_.stop_limit, why);
}

inline net::awaitable<result<void>> client::pause(std::string id, diagnostics& why)
{
    call c("POST", path_of(id, "/pause"));
    auto const done = co_await command(std::move(c), config_.command_limit, why);
    if (!done && co_await is(std::move(id), container_status::paused, done.error())) co_return result<void>{};
    co_return done;
}

inline net::awaitable<result<void>> client::unpause(std::string id, diagnostics& why)
{
    call c("POST", path_of(id, "/unpause"));
    auto const done = co_await command(std::move(c), config_.command_limit, why);
    if (!done && co_await is(std::move(id), container_status::running, done.error())) co_return result<void>{};
    co_return done;
}

/// Engines refuse to pause what is paused, each with an error of its own: is it as it was to be?
inline net::awaitable<bool> client::is(std::string id, container_status wanted, std::error_code refused)
{
    if (refused != errc::conflict && refused != errc::engine_error) co_return false;
    diagnostics ignored;
    auto const c = co_await inspect(std::move(id), ignored);
    co_return c && c->status == wanted;
}

inline net::awaitable<result<void>> client::update(std::string id, limits l, diagnostics& why)
{
    nlohmann::json body = nlohmann::json::object();
    if (l.nano_cpus != 0) body["NanoCpus"] = l.nano_cpus;
    if (l.memory_bytes != 0) {
        body["Memory"] = l.memory_bytes;
        body["MemorySwap"] = -1;
    }
    if (body.empty()) co_return result<void>{};
    call c("POST", path_of(id, "/update"));
    c.body = body.dump();
    auto const done = co_await command(std::move(c), config_.command_limit, why);
    // Podman before 5.0 has no such request.
    if (!done && done.error() == errc::not_found && why.server_text.find("container") == std::string::npos) {
        why.message = "this container engine can't change limits";
        co_return podproxy::errc::unavailable;
    }
    co_return done;
}

inline net::awaitable<std::string> client::last_line(std::string id)
{
    diagnostics ignored;
    call c("GET", path_of(id, "/logs?stdout=1&stderr=1&tail=1"));
    c.most_bytes = max_log_bytes;
    auto const log = co_await ask(std::move(c), config_.answer_limit, ignored);
    co_return log ? last_log_line(as_bytes(*log)) : std::string();
}

} // namespace podproxy::docker
