#include <podproxy/http/connect_request.hpp>
#include <podproxy/net/tcp_stream.hpp>
#include <podproxy/net/timeout.hpp>
#include <podproxy/socks4/server.hpp>
#include <asio/error.hpp>
#include <asio/post.hpp>
#include <algorithm>
#include <system_error>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/resource.h>
#endif

namespace podproxy::proxy {

namespace detail {

/// What a client speaks that waits for its connection.
enum class spoken : std::uint8_t { socks4, socks5, connect };

/// How a client is told that its connection is there.
inline bytes_view accepted(spoken by)
{
    static constexpr auto granted = socks4::encode_reply(socks4::reply_code::granted);
    static auto const succeeded = socks5::encode_reply(socks5::reply_code::succeeded);
    return by == spoken::socks4 ? bytes_view(granted) : by == spoken::socks5 ? succeeded.view() : as_bytes(http::connect_accepted);
}

inline std::string_view name_of(spoken by) noexcept { return by == spoken::socks4 ? "socks4" : by == spoken::socks5 ? "socks5" : "http"; }

/// How long a client that was refused is given to take the answer.
inline constexpr std::chrono::milliseconds farewell{1000};

/// Between two lines about clients whose address is not allowed.
inline constexpr std::chrono::seconds quiet{10};

/// Clients accepted before everybody else on the thread gets a turn.
inline constexpr int accepts_per_turn = 32;

} // namespace detail

/// Counts a client as long as it is here, whichever part of the server has it.
class server::presence {
public:
    explicit presence(server& s) noexcept : server_(&s) { ++s.clients_; }
    presence(presence&& o) noexcept : server_(std::exchange(o.server_, nullptr)) {}
    presence(presence const&) = delete;
    presence& operator=(presence const&) = delete;
    ~presence()
    {
        if (server_) server_->left();
    }
    /// Hand the counting over to whoever calls `left`.
    void keep() noexcept { server_ = nullptr; }

private:
    server* server_;
};

inline server::server(net::executor ex, net::dialer& out, logger log, server_config config)
    : executor_(ex), out_(out), log_(log), config_(std::move(config)), limit_(client_limit()), relays_(ex, config_.relay), tasks_(ex),
      changed_(ex, net::clock::time_point::max())
{
    if (config_.access)
        socks_with_password_.check_credentials = [access = config_.access](std::string_view user, std::string_view password) { return access->check(user, password); };
}

inline bool server::is_admitted(net::ready_socket const& client)
{
    if (!config_.access || !config_.access->is_limited()) return true;
    auto const from = client.remote_endpoint().address();
    if (config_.access->admits(from)) return true;
    ++turned_away_;
    auto const now = net::clock::now();
    if (now >= next_turned_away_line_) {
        next_turned_away_line_ = now + detail::quiet;
        log_.warn("clients were turned away: their address is not in 'allow'", {{"client", from.to_string()}, {"count", std::exchange(turned_away_, 0)}});
    }
    return false;
}

/// Two descriptors each; some are kept back for listeners, log files, pipes, watches and sessions.
inline std::size_t server::client_limit() const
{
    if (config_.most_clients != 0) return config_.most_clients;
    std::size_t descriptors = 1024;
#if defined(__unix__) || defined(__APPLE__)
    rlimit now{};
    if (::getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur != RLIM_INFINITY) descriptors = static_cast<std::size_t>(now.rlim_cur);
#endif
    std::size_t const reserve = std::min<std::size_t>(descriptors / 4, 100);
    return std::max<std::size_t>((descriptors - reserve) / 2, 1);
}

inline void server::left()
{
    --clients_;
    changed_.cancel();
}

inline net::awaitable<std::error_code> server::serve(net::listener& from, port_kind kind)
{
    from.on_exhausted([this](std::error_code ec) { log_.warn("no new clients for a moment: out of descriptors", {{"error", ec}}); });
    bool said = false;
    for (int accepts = 1;; ++accepts) {
        while (clients_ >= limit_) {
            if (!std::exchange(said, true)) log_.warn("no new clients until some have left", {{"clients", clients_}});
            co_await changed_.async_wait(asio::as_tuple(net::use_awaitable));
        }
        said = said && clients_ > limit_ / 2;
        auto accepted = co_await from.accept();
        if (!accepted) co_return accepted.error();
        if (is_admitted(*accepted)) tasks_.spawn(client(std::move(*accepted), kind), config_.handshake_limit);
        if (accepts % detail::accepts_per_turn == 0) { // a crowd at the door never makes us wait
            accepts = 0;
            co_await asio::post(executor_, net::use_awaitable);
        }
    }
}

inline net::awaitable<void> server::client(net::ready_socket socket, port_kind kind)
{
    presence here(*this);
    // The handshake limit cancels this coroutine; what follows a cancelled wait here only looks at its error and answers.
    co_await asio::this_coro::throw_if_cancelled(false);
    net::any_stream client = std::make_unique<net::tcp_stream>(std::move(socket));
    flat_buffer in(64 * 1024);
    for (;;) {
        auto const n = client->try_read(in.prepare(socks5::max_message_bytes));
        if (n) {
            in.commit(*n);
            break;
        }
        if (n.error() != podproxy::errc::would_block) co_return;
        auto [ec] = co_await net::async_wait(*client, net::wait_kind::read, asio::as_tuple(net::use_awaitable));
        if (ec) co_return; // said nothing
    }
    std::uint8_t const first = in.data()[0];
    auto by = detail::spoken::connect;
    host_port destination;
    bool limited = false; // its own limit for dialing ends before ours
    if (kind == port_kind::mixed && first == 4) {
        by = detail::spoken::socks4;
        if (asks_for_password()) {
            static constexpr auto refused = socks4::encode_reply(socks4::reply_code::wrong_user);
            (void)client->try_write(refused);
            log_.info("a SOCKS4 client was refused: it can't send a password; use SOCKS5 (curl --socks5-hostname)");
            co_await http::linger_close(*client, detail::farewell);
            co_return;
        }
        auto request = co_await socks4::accept_request(*client, in);
        if (!request) {
            if (request.error() != podproxy::errc::end_of_stream) log_.debug("socks4 handshake failed", {{"error", request.error()}});
            if (request.error().category() == category_of<socks4::errc>()) co_await http::linger_close(*client, detail::farewell); // it was told so
            co_return;
        }
        destination = std::move(request->destination);
    } else if (kind == port_kind::mixed && first == 5) {
        by = detail::spoken::socks5;
        auto request = co_await socks5::accept_request(*client, in, asks_for_password() ? socks_with_password_ : socks_open_);
        if (!request) {
            if (request.error() != podproxy::errc::end_of_stream) log_.debug("socks5 handshake failed", {{"error", request.error()}});
            if (request.error().category() == category_of<socks5::errc>()) co_await http::linger_close(*client, detail::farewell); // it was told so
            co_return;
        }
        destination = std::move(request->destination);
    } else if (auto asked = kind != port_kind::pac ? take_connect(in) : std::nullopt) {
        destination = *std::move(asked);
        limited = config_.dial_limit < config_.handshake_limit;
    } else {
        if (first < 0x21 || first > 0x7e) {
            log_.info("a client speaks neither SOCKS nor HTTP; if it speaks TLS, give it an http:// proxy address");
            client->reset();
        } else {
            tasks_.spawn(serve_http(std::move(client), std::move(in), kind, std::move(here)));
        }
        co_return;
    }

    diagnostics why;
    result<net::any_stream> upstream;
    auto dialing = out_.dial(destination, why);
    if (limited) dialing = net::with_deadline(std::move(dialing), config_.dial_limit);
    try {
        upstream = co_await std::move(dialing);
    } catch (std::system_error const& e) {
        if (e.code() != asio::error::operation_aborted) throw;
        upstream = std::error_code(asio::error::operation_aborted); // cut short: the client gets an answer all the same
    }
    bool const late = (co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none;
    if (!upstream || late) { // who was cancelled must not begin to relay: nobody would end it
        std::error_code const ec = late ? make_error_code(podproxy::errc::timed_out) : upstream.error();
        auto const linger = late ? std::chrono::milliseconds(0) : detail::farewell;
        report_failure(detail::name_of(by), destination, ec, why);
        if (by != detail::spoken::connect) {
            static constexpr auto rejected = socks4::encode_reply(socks4::reply_code::rejected);
            if (by == detail::spoken::socks4) (void)client->try_write(rejected);
            else (void)client->try_write(socks5::encode_reply(socks5::reply_code_for(ec)).view());
            // Closed with unread input, the connection would be reset, and the reset could overtake the reply.
            co_await http::linger_close(*client, linger);
        } else {
            co_await refuse_connect(*client, ec, std::move(destination), std::move(why), linger);
        }
        co_return;
    }
    bytes_view const answer = detail::accepted(by);
    auto const n = client->try_write(answer);
    if (!n || *n != answer.size()) co_return; // so few bytes that don't fit: nobody reads
    relay(std::move(client), std::move(*upstream), in.data(), std::move(destination), std::move(why.message), std::move(here));
}

/// The destination of a CONNECT that has arrived whole, whose bytes are taken out of `in`. Not when it might need more time than
/// the handshake has: then it takes the long way, with a limit of its own.
inline std::optional<host_port> server::take_connect(flat_buffer& in) const
{
    if (config_.dial_limit.count() == 0 || config_.dial_limit > config_.handshake_limit) return std::nullopt;
    auto request = http::parse_connect_request(in.data());
    if (!request) return std::nullopt;
    if (config_.access && !config_.access->check_basic(request->authorization)) return std::nullopt; // who takes the long way learns why
    in.consume(request->head_bytes);
    return std::move(request->destination);
}

inline net::awaitable<void> server::refuse_connect(net::stream& client, std::error_code ec, host_port destination, diagnostics why,
                                                   std::chrono::milliseconds linger)
{
    flat_buffer none(0);
    http::proxy_config settings;
    settings.server.linger = linger;
    http::proxy_server proxy(client, none, out_, std::move(settings));
    co_await proxy.refuse_connect(ec, std::move(destination), std::move(why));
}

inline void server::relay(net::any_stream client, net::any_stream upstream, bytes_view early, host_port destination, std::string via, presence here)
{
    here.keep();
    bool const notable = !via.empty();
    if (log_.wants(notable ? log_level::info : log_level::debug)) {
        log_.log(notable ? log_level::info : log_level::debug, "connect",
                 std::initializer_list<log_field>{{"addr", format_host_port(destination)}, {"target", via}});
        relays_.start(std::move(client), std::move(upstream), early,
                      [this, destination = std::move(destination), via = std::move(via), notable](net::relay_end const& end) {
                          auto const took = std::chrono::duration_cast<std::chrono::milliseconds>(end.duration);
                          log_.log(notable ? log_level::info : log_level::debug, "closed",
                                   std::initializer_list<log_field>{{"addr", format_host_port(destination)},
                                                                    {"target", via},
                                                                    {"duration", took},
                                                                    {"rx", end.to_client},
                                                                    {"tx", end.to_server},
                                                                    {"error", end.error ? end.error.message() : std::string("none")}});
                          left();
                      });
    } else {
        relays_.start(std::move(client), std::move(upstream), early, [this](net::relay_end const&) { left(); });
    }
}

inline void server::report_failure(std::string_view protocol, host_port const& destination, std::error_code ec, diagnostics const& why) const
{
    std::string const text = why.empty() ? ec.message() : why.text();
    log_.warn("failed to connect", {{"addr", format_host_port(destination)}, {"protocol", protocol}, {"error", text}});
}

inline net::awaitable<void> server::serve_http(net::any_stream client, flat_buffer early, port_kind kind, presence here)
{
    if (kind == port_kind::pac) {
        http::request_handler const page = [this, kind](http::server_connection& c, http::request_head request) -> net::awaitable<result<void>> {
            auto answer = answer_locally(request, kind);
            return c.respond(std::move(answer->head), std::move(answer->body));
        };
        co_await http::serve(*client, early, http::server_config{}, page);
        client->close();
        co_return;
    }
    http::proxy_config settings;
    settings.dial_timeout = config_.dial_limit;
    if (config_.access) settings.authorize = [access = config_.access](std::string_view field) { return access->check_basic(field); };
    settings.local = [this, kind](http::request_head const& request) { return answer_locally(request, kind); };
    settings.on_exchange = [this](http::exchange_record const& r) {
        log_.debug("forwarded", {{"method", r.method}, {"addr", format_host_port(r.destination)}, {"status", r.status}, {"rx", r.response_bytes}, {"tx", r.request_bytes}});
        if (r.error && r.status >= 500) log_.warn("forwarding failed", {{"addr", format_host_port(r.destination)}, {"error", r.why.empty() ? r.error.message() : r.why.text()}});
    };
    std::optional<http::proxy_server> proxy(std::in_place, *client, early, out_, std::move(settings));
    auto outcome = co_await proxy->run();
    if (outcome.event == http::proxy_event::closed) co_return;
    if (outcome.event == http::proxy_event::upgraded) {
        proxy.reset();
        if (!co_await net::write_all(*client, outcome.upstream_early.data())) co_return;
        relay(std::move(client), std::move(outcome.upstream), early.data(), outcome.destination, "upgraded", std::move(here));
        co_return;
    }
    diagnostics why;
    auto upstream = co_await net::with_deadline(out_.dial(outcome.destination, why), config_.dial_limit);
    if (!upstream) {
        report_failure("http", outcome.destination, upstream.error(), why);
        co_await proxy->refuse_connect(upstream.error(), outcome.destination, why);
        co_return;
    }
    if (!co_await proxy->accept_connect()) co_return;
    proxy.reset();
    relay(std::move(client), std::move(*upstream), early.data(), outcome.destination, std::move(why.message), std::move(here));
}

/// The PAC file. It names us by the address that the client has used to reach us, for that is one that works.
inline std::optional<http::local_answer> server::answer_locally(http::request_head const& request, port_kind kind) const
{
    std::string_view path = request.target;
    path = path.substr(0, path.find('?'));
    if (kind != port_kind::pac && path != "/proxy.pac" && path != "/wpad.dat") return std::nullopt;
    host_port_rules rules;
    rules.default_port = 80;
    auto const us = parse_host_port(request.fields.get("Host"), rules);
    http::pac_addresses where;
    // Nothing but a plain host goes into the text: a `;` would be the end of a directive.
    bool const plain = us && us->host.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:_") == std::string::npos;
    if (plain) {
        if (kind == port_kind::mixed) {
            where = {*us, *us};
        } else {
            if (config_.mixed_port) where.socks = host_port(us->host, *config_.mixed_port);
            where.http = kind == port_kind::http ? us.value() : host_port(us->host, config_.http_port.value_or(config_.mixed_port.value_or(0)));
            if (where.http->port == 0) where.http.reset();
        }
    }
    std::vector<std::string> const names = config_.cluster_names ? config_.cluster_names() : std::vector<std::string>();
    http::local_answer answer;
    answer.head = http::response_head(200);
    answer.head.fields.add("Content-Type", "application/x-ns-proxy-autoconfig");
    answer.head.fields.add("Content-Disposition", "inline; filename=\"proxy.pac\"");
    answer.head.fields.add("Cache-Control", "no-cache");
    answer.head.fields.add("X-Content-Type-Options", "nosniff"); // no page may run it as a script and learn the clusters' names
    answer.body = http::pac_text(names, where);
    return answer;
}

inline net::awaitable<void> server::drain(std::chrono::milliseconds limit)
{
    auto const until = net::clock::now() + limit;
    while (clients_ != 0 && net::clock::now() < until) {
        changed_.expires_at(until);
        co_await changed_.async_wait(asio::as_tuple(net::use_awaitable));
    }
    relays_.cancel();
    tasks_.cancel();
    co_await tasks_.join();
    changed_.expires_at(net::clock::time_point::max());
    while (clients_ != 0) co_await changed_.async_wait(asio::as_tuple(net::use_awaitable)); // the ends of relays are told a little later
}

} // namespace podproxy::proxy
