#ifndef PODPROXY_HTTP_IMPL_PROXY_SERVER_IPP
#define PODPROXY_HTTP_IMPL_PROXY_SERVER_IPP

#include <podproxy/http/connect_request.hpp>
#include <podproxy/http/proxy_server.hpp>
#include <podproxy/net/first_of.hpp>
#include <podproxy/net/timeout.hpp>
#include <utility>
#include <variant>

namespace podproxy::http {

/// One request on its way; lives in the frame of `forward`.
struct proxy_server::exchange {
    forward_request request;
    exchange_record record;
    version client_version = version::http_1_1;
    bool content_taken = false;   ///< bytes of the request's content have left our hands
    bool request_sent = false;    ///< with all its content
    bool answered = false;        ///< the final head has arrived
    bool switched = false;        ///< it was 101
    bool client_failed = false;   ///< writing to the client failed
    std::uint64_t progress = 0;   ///< counts pieces of the answer
    std::error_code content_error;
};

inline net::awaitable<proxy_outcome> proxy_server::run()
{
    for (;;) {
        auto request = co_await client_.read_request();
        if (!request) {
            auto const ec = request.error();
            if (ec == cond::malformed || ec == cond::too_large || ec == cond::timed_out) {
                std::string const text = "podproxy can't read this request: " + ec.message() + ".\n";
                (void)co_await client_.respond_error(status_for(ec), text);
                co_await close();
            } else {
                client_.stream().close();
            }
            co_return proxy_outcome();
        }
        auto const target = parse_target(request->method, request->target);
        if (!target) {
            std::string const text = "podproxy can't serve " + request->method + " " + request->target + ": " + target.error().message() + ".\n";
            (void)co_await client_.respond_error(status_for(target.error()), text);
            co_await close();
            co_return proxy_outcome();
        }
        bool const for_us = target->form != target_form::authority && target->form != target_form::absolute;
        if (!for_us && config_.authorize && !config_.authorize(request->fields.get("Proxy-Authorization"))) {
            response_head head(407);
            head.fields.add("Proxy-Authenticate", "Basic realm=\"" + config_.pseudonym + "\", charset=\"UTF-8\"");
            head.fields.add("Content-Type", "text/plain; charset=utf-8");
            auto const sent = co_await client_.respond(std::move(head), "podproxy needs a user name and a password.\n");
            bool const more = co_await client_.finish();
            if (sent && more) continue;
            co_await close();
            co_return proxy_outcome();
        }
        if (target->form == target_form::authority) {
            proxy_outcome out;
            out.event = proxy_event::connect;
            out.destination = target->authority.with_default_port(443);
            co_return out;
        }
        if (target->form == target_form::absolute) {
            auto done = co_await forward(std::move(*request));
            if (done) co_return std::move(*done);
            continue;
        }
        bool const more = co_await serve_locally(std::move(*request));
        if (!more) co_return proxy_outcome();
    }
}

/// A request for us, not for somebody behind us. @return whether the connection goes on.
inline net::awaitable<bool> proxy_server::serve_locally(request_head head)
{
    std::optional<local_answer> answer;
    if (config_.local) answer = config_.local(head);
    if (answer) {
        (void)co_await client_.respond(std::move(answer->head), std::move(answer->body));
    } else {
        std::string const text = "This is a proxy (podproxy), not a web server: " + head.method + " " + head.target +
                                 " is not a request to a proxy.\n"
                                 "Set it as the HTTP or SOCKS5 proxy of your program, for example: curl --proxy http://<this address> http://web.shop.demo/\n";
        (void)co_await client_.respond_error(400, text);
    }
    bool const more = co_await client_.finish();
    if (!more) co_await close();
    co_return more;
}

inline net::awaitable<result<void>> proxy_server::accept_connect()
{
    co_return co_await detail::write_all(client_.stream(), as_bytes(connect_accepted), config_.server.transfer_idle);
}

inline net::awaitable<void> proxy_server::refuse_connect(std::error_code ec, host_port destination, diagnostics why)
{
    co_await fail(ec, std::move(destination), std::move(why));
}

inline net::awaitable<void> proxy_server::fail(std::error_code ec, host_port destination, diagnostics why)
{
    gateway_error const kind = classify_gateway_error(ec);
    fields more;
    more.add("Proxy-Status", config_.pseudonym + "; error=" + std::string(kind.error));
    std::string const text = gateway_error_text(ec, destination, why);
    (void)co_await client_.respond_error(kind.status, text, std::move(more));
    co_await close();
}

inline net::awaitable<void> proxy_server::close()
{
    upstream_.reset();
    if (client_.responded() && !client_.response_complete()) client_.stream().reset(); // the client must see that the answer is not whole
    else co_await linger_close(client_.stream(), config_.server.linger);
}

inline void proxy_server::report(exchange& x, std::error_code ec)
{
    x.record.error = ec;
    if (config_.on_exchange) config_.on_exchange(x.record);
}

/// @return nothing when the next request may come.
inline net::awaitable<std::optional<proxy_outcome>> proxy_server::forward(request_head head)
{
    exchange x;
    x.client_version = head.version;
    x.record.method = head.method;
    bool const waits_for_continue = expects_continue(head);
    auto plan = make_upstream_request(std::move(head), client_.request_body(), config_.pseudonym);
    if (!plan) {
        std::string const text = "podproxy can't forward this request: " + plan.error().message() + ".\n";
        (void)co_await client_.respond_error(status_for(plan.error()), text);
        co_await close();
        co_return proxy_outcome();
    }
    x.request = std::move(*plan);
    x.record.destination = x.request.destination;
    if (x.request.answer_here) {
        local_answer own = answer_max_forwards(x.request);
        (void)co_await client_.respond(std::move(own.head), std::move(own.body));
        bool const more = co_await client_.finish();
        if (more) co_return std::nullopt;
        co_await close();
        co_return proxy_outcome();
    }

    std::error_code failure;
    for (int attempt = 0;; ++attempt) {
        bool const kept = attempt == 0 && upstream_ && upstream_for_.port == x.request.destination.port &&
                          iequals(upstream_for_.host, x.request.destination.host) && upstream_->looks_alive();
        x.record.reused = kept;
        if (!kept) {
            bool const opened = co_await open_upstream(x);
            if (!opened) co_return proxy_outcome();
        }
        // What has arrived of the content goes out with the head.
        std::string first;
        if (!waits_for_continue && attempt == 0) {
            first = as_text(client_.buffered_body());
            x.content_taken = !first.empty();
            x.record.request_bytes += first.size();
        }
        auto const sent = co_await upstream_->send_head(x.request.head, std::move(first));
        failure = sent.error();
        if (sent) {
            auto const end = co_await net::first_of(answer(x), pump(x));
            if (end.index() == 1) { // the client has had enough, or sent nonsense
                upstream_.reset();
                report(x, x.content_error);
                bool const explain = std::get<1>(end) == pump_end::bad_content && !client_.responded();
                if (explain) {
                    std::string const text = "podproxy can't read the content of this request: " + x.content_error.message() + ".\n";
                    (void)co_await client_.respond_error(status_for(x.content_error), text);
                    co_await close();
                } else {
                    client_.stream().reset();
                }
                co_return proxy_outcome();
            }
            failure = std::get<0>(end).error();
        }
        if (!failure || x.answered || x.client_failed) break;
        bool const again = kept && is_idempotent(x.record.method) && !x.content_taken && !upstream_->response_started() &&
                           failure != cond::timed_out && failure != cond::cancelled;
        if (!again) break;
    }

    if (failure && !client_.responded() && !x.client_failed) {
        upstream_.reset();
        x.record.status = classify_gateway_error(failure).status;
        report(x, failure);
        co_await fail(failure, x.request.destination, diagnostics());
        co_return proxy_outcome();
    }
    report(x, failure);
    if (failure) {
        upstream_.reset();
        client_.stream().reset();
        co_return proxy_outcome();
    }
    if (x.switched) {
        proxy_outcome out;
        out.event = proxy_event::upgraded;
        out.destination = x.request.destination;
        upgraded_stream taken = upstream_->take_stream();
        out.upstream = std::move(taken.stream);
        out.upstream_early = std::move(taken.early);
        upstream_.reset();
        co_return out;
    }
    if (!upstream_->reusable()) upstream_.reset();
    bool const more = co_await client_.finish();
    if (more) co_return std::nullopt;
    co_await close();
    co_return proxy_outcome();
}

/// Connect to the destination, or tell the client why not. @return whether there is a connection.
inline net::awaitable<bool> proxy_server::open_upstream(exchange& x)
{
    upstream_.reset();
    diagnostics why;
    host_port destination = x.request.destination;
    auto stream = co_await net::with_deadline(dialer_.dial(std::move(destination), why), config_.dial_timeout);
    if (!stream) {
        x.record.status = classify_gateway_error(stream.error()).status;
        x.record.why = why;
        report(x, stream.error());
        co_await fail(stream.error(), x.request.destination, std::move(why));
        co_return false;
    }
    upstream_ = std::make_unique<http::client>(std::move(*stream), config_.upstream);
    upstream_for_ = x.request.destination;
    co_return true;
}

/// Carry the answer to the client. @return an error of the destination, or of the client where `client_failed`.
inline net::awaitable<result<void>> proxy_server::answer(exchange& x)
{
    for (;;) {
        auto head = co_await upstream_->read_any_response();
        if (!head) co_return head.error();
        unsigned const status = head->status;
        bool const interim = status < 200 && status != 101;
        if (status == 101 && !x.request_sent && x.request.framing.kind != framing_kind::none) co_return errc::unexpected_upgrade;
        x.answered = !interim;
        body_framing const framing = interim ? body_framing() : upstream_->response_body();
        forward_response down = make_downstream_response(std::move(*head), framing, x.record.method, x.client_version,
                                                         client_.keep_alive(), config_.pseudonym);
        bytes_view const first = interim ? bytes_view() : upstream_->buffered_body();
        if (!interim) x.record.status = status;
        x.record.response_bytes += first.size();
        ++x.progress;
        auto const sent = co_await client_.send_raw_head(down.head, down.framing, first, down.keep_alive);
        if (!sent) {
            // A head that can't be written is the destination's fault: `fail` tells the client.
            x.client_failed = sent.error() != errc::unsafe_head;
            co_return sent;
        }
        if (interim) continue;
        x.switched = status == 101;
        if (x.switched) co_return result<void>{};
        break;
    }
    for (;;) {
        auto const piece = co_await upstream_->read_body_view();
        if (!piece && piece.error() == podproxy::errc::end_of_stream) break;
        if (!piece) co_return piece.error();
        ++x.progress;
        // Many small pieces that are there together go out together; none waits for one that has yet to come.
        result<void> sent;
        for (bytes_view more = *piece; !more.empty(); more = upstream_->buffered_body()) {
            x.record.response_bytes += more.size();
            if (client_.gather(more)) continue;
            sent = co_await client_.write(more);
            if (!sent) break;
        }
        if (sent) sent = co_await client_.flush();
        if (!sent) {
            x.client_failed = true;
            co_return sent;
        }
    }
    fields trailers = forward_trailers(upstream_->trailers());
    auto const ended = co_await client_.end(std::move(trailers));
    x.client_failed = !ended;
    co_return ended;
}

/// Carry the content of the request, then see whether the client is still there. Ends only for a reason to give up.
inline net::awaitable<proxy_server::pump_end> proxy_server::pump(exchange& x)
{
    for (;;) {
        auto const piece = co_await client_.read_body_view();
        if (!piece && piece.error() == podproxy::errc::end_of_stream) break;
        if (!piece) {
            x.content_error = piece.error();
            bool const nonsense = piece.error() == cond::malformed || piece.error() == cond::too_large || piece.error() == cond::timed_out;
            co_return nonsense && piece.error() != podproxy::errc::truncated ? pump_end::bad_content : pump_end::client_gone;
        }
        x.content_taken = true;
        result<void> sent;
        for (bytes_view more = *piece; !more.empty(); more = client_.buffered_body()) {
            x.record.request_bytes += more.size();
            if (upstream_->gather_body(more)) continue;
            sent = co_await upstream_->send_body(more);
            if (!sent) break;
        }
        if (sent) sent = co_await upstream_->flush_body();
        if (!sent) {
            // The destination takes no more; perhaps its answer says why. `answer` waits for it.
            stall_.expires_at(net::clock::time_point::max());
            co_await stall_.async_wait(net::use_awaitable);
        }
    }
    fields trailers = forward_trailers(client_.trailers());
    auto const ended = co_await upstream_->end_body(std::move(trailers));
    x.request_sent = ended.has_value();
    co_return co_await watch_client(x);
}

/// Notice that the client has gone while the destination is silent. What it sends meanwhile is kept for the next request.
inline net::awaitable<proxy_server::pump_end> proxy_server::watch_client(exchange& x)
{
    flat_buffer& early = client_.buffer();
    while (early.empty()) {
        auto const n = co_await detail::read_more(client_.stream(), early, net::clock::time_point::max(), 4096);
        if (n) continue;
        if (n.error() != podproxy::errc::end_of_stream) {
            x.content_error = n.error();
            co_return pump_end::client_gone;
        }
        // It has ended its direction, or all: as long as the answer makes progress, writing will tell.
        client_.close_after();
        for (std::uint64_t seen = x.progress; config_.half_closed_timeout != net::clock::duration::zero(); seen = x.progress) {
            stall_.expires_after(config_.half_closed_timeout);
            co_await stall_.async_wait(net::use_awaitable);
            if (seen != x.progress) continue;
            x.content_error = podproxy::errc::timed_out;
            co_return pump_end::client_gone;
        }
        break;
    }
    stall_.expires_at(net::clock::time_point::max());
    co_await stall_.async_wait(net::use_awaitable);
    co_return pump_end::client_gone;
}

} // namespace podproxy::http

#endif
