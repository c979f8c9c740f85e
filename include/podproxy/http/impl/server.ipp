#ifndef PODPROXY_HTTP_IMPL_SERVER_IPP
#define PODPROXY_HTTP_IMPL_SERVER_IPP

#include <podproxy/http/date.hpp>
#include <podproxy/http/serialise.hpp>
#include <podproxy/http/server.hpp>
#include <algorithm>
#include <array>
#include <utility>

namespace podproxy::http {

inline net::awaitable<result<request_head>> server_connection::read_request()
{
    rest_ = {};
    decoder_.reset();
    head_only_ = false;
    responded_ = false;
    continue_expected_ = false;
    if (!std::exchange(first_, false) && in_.buffer().empty()) {
        // Between requests another clock runs; an empty line left over from the last one does not start a request.
        auto const n = co_await detail::read_more(in_.stream(), in_.buffer(), detail::from_now(config_.idle_timeout), detail::message_input::chunk_bytes);
        if (!n) {
            keep_alive_ = false;
            co_return n.error() == podproxy::errc::timed_out ? make_error_code(podproxy::errc::end_of_stream) : n.error();
        }
    }
    auto const read = co_await in_.read_head(decoder_, detail::from_now(config_.header_timeout));
    if (!read) {
        keep_alive_ = false;
        if (read.error() == podproxy::errc::timed_out && !decoder_.started()) co_return podproxy::errc::end_of_stream;
        co_return read.error();
    }
    request_head head = decoder_.take_head();
    in_.begin_body(decoder_.framing(), config_.chunks);
    version_ = head.version;
    head_only_ = head.method == "HEAD";
    keep_alive_ = wants_keep_alive(head);
    continue_expected_ = expects_continue(head) && decoder_.framing().kind != framing_kind::none;
    co_return head;
}

inline net::awaitable<result<void>> server_connection::continue_if_expected()
{
    if (!std::exchange(continue_expected_, false) || responded_ || !in_.buffer().empty()) co_return result<void>{};
    co_return co_await detail::write_all(in_.stream(), as_bytes("HTTP/1.1 100 Continue\r\n\r\n"), config_.transfer_idle);
}

inline net::awaitable<result<bytes_view>> server_connection::read_body_view()
{
    if (!rest_.empty()) co_return std::exchange(rest_, {});
    if (continue_expected_ && config_.send_continue)
        if (auto const sent = co_await continue_if_expected(); !sent) co_return sent.error();
    auto const piece = co_await in_.next(config_.transfer_idle);
    if (!piece && piece.error() != podproxy::errc::end_of_stream && piece.error() != cond::cancelled) keep_alive_ = false;
    co_return piece;
}

inline net::awaitable<result<std::size_t>> server_connection::read_body(std::span<std::uint8_t> out)
{
    auto const piece = co_await read_body_view();
    if (!piece) co_return piece.error();
    std::size_t const n = std::min(out.size(), piece->size());
    std::copy_n(piece->begin(), n, out.begin());
    rest_ = piece->subspan(n);
    co_return n;
}

inline net::awaitable<result<std::string>> server_connection::read_all(std::size_t limit)
{
    std::string out;
    for (;;) {
        auto const piece = co_await read_body_view();
        if (!piece && piece.error() == podproxy::errc::end_of_stream) co_return out;
        if (!piece) co_return piece.error();
        if (out.size() + piece->size() > limit) {
            keep_alive_ = false;
            co_return errc::body_too_large;
        }
        out.append(as_text(*piece));
    }
}

inline bytes_view server_connection::buffered_body()
{
    if (!rest_.empty()) return std::exchange(rest_, {});
    return in_.next_buffered().data;
}

inline net::awaitable<result<void>> server_connection::respond(response_head head, std::string body)
{
    bool const no_content = head.status == 204 || head.status == 304;
    if (!no_content) head.fields.set("Content-Length", std::to_string(body.size()));
    if (no_content) body.clear();
    if (body.size() > detail::message_output::copy_below) {
        if (auto const sent = co_await send_head(std::move(head)); !sent) co_return sent;
        if (auto const sent = co_await write(as_bytes(body)); !sent) co_return sent;
        co_return co_await out_.end(fields(), config_.transfer_idle);
    }
    if (config_.send_date && !head.fields.contains("Date"))
        head.fields.add("Date", format_date(std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now())));
    bool const keep = keep_alive_ && !head.fields.has_token("Connection", "close");
    if (!keep) head.fields.set("Connection", "close");
    else if (version_ == version::http_1_0) head.fields.set("Connection", "keep-alive");
    body_framing framing;
    if (!body.empty() && !head_only_) framing = {framing_kind::length, body.size()};
    co_return co_await send_raw_head(head, framing, framing.kind == framing_kind::none ? bytes_view{} : as_bytes(body), keep);
}

inline net::awaitable<result<void>> server_connection::respond_error(unsigned status, std::string text, fields more)
{
    keep_alive_ = false;
    response_head head(status, std::move(more));
    head.fields.add("Content-Type", "text/plain; charset=utf-8");
    head.fields.add("X-Content-Type-Options", "nosniff");
    co_return co_await respond(std::move(head), std::move(text));
}

inline net::awaitable<result<void>> server_connection::send_head(response_head head)
{
    body_framing framing;
    bool const interim = head.status < 200;
    bool const no_content = interim || head.status == 204 || head.status == 304;
    auto const length = content_length(head.fields);
    if (!length) co_return length.error();
    bool keep = keep_alive_ && !head.fields.has_token("Connection", "close");
    if (!no_content) {
        if (length->has_value()) {
            if (**length != 0) framing = {framing_kind::length, **length};
        } else if (version_ == version::http_1_1) {
            framing.kind = framing_kind::chunked;
            head.fields.set("Transfer-Encoding", "chunked");
        } else {
            framing.kind = framing_kind::until_close;
            keep = false;
        }
        if (head_only_) framing = {};
    }
    if (!interim) {
        if (config_.send_date && !head.fields.contains("Date"))
            head.fields.add("Date", format_date(std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now())));
        if (!keep) head.fields.set("Connection", "close");
        else if (version_ == version::http_1_0) head.fields.set("Connection", "keep-alive");
    }
    co_return co_await send_raw_head(head, framing, {}, keep);
}

inline net::awaitable<result<void>> server_connection::send_raw_head(response_head const& head, body_framing framing, bytes_view first, bool keep_alive)
{
    if (responded_) co_return errc::not_ready;
    std::string wire;
    if (auto const ok = encode_response_head(wire, head); !ok) co_return ok;
    if (head.status < 200 && head.status != 101) {
        if (head.status == 100) continue_expected_ = false;
        if (version_ == version::http_1_0) co_return result<void>{}; // does not know them
        co_return co_await detail::write_all(in_.stream(), as_bytes(wire), config_.transfer_idle);
    }
    responded_ = true;
    keep_alive_ = keep_alive_ && keep_alive;
    co_return co_await out_.begin(std::move(wire), framing, first, config_.transfer_idle);
}

inline net::awaitable<result<void>> server_connection::write(bytes_view content)
{
    if (head_only_) co_return result<void>{};
    co_return co_await out_.write(content, config_.transfer_idle);
}

inline net::awaitable<result<void>> server_connection::end(fields trailers)
{
    auto const done = co_await out_.end(trailers, config_.transfer_idle);
    if (!done) keep_alive_ = false;
    co_return done;
}

inline net::awaitable<result<void>> server_connection::upgrade(fields f)
{
    upgraded_ = true;
    keep_alive_ = false;
    response_head head(101, std::move(f));
    if (!head.fields.contains("Connection")) head.fields.add("Connection", "Upgrade");
    co_return co_await send_raw_head(head, body_framing(), {}, false);
}

inline net::awaitable<bool> server_connection::finish()
{
    if (!keep_alive_ || !response_complete()) co_return false;
    // A client that waits for 100 and got a final answer may send the content or not: nobody can tell what comes next.
    if (continue_expected_ && !body_done()) co_return false;
    std::size_t skipped = 0;
    while (!body_done()) {
        auto const piece = co_await read_body_view();
        if (!piece) co_return piece.error() == podproxy::errc::end_of_stream;
        skipped += piece->size();
        if (skipped > config_.max_skipped_body) co_return false;
    }
    co_return true;
}

namespace detail {

inline net::awaitable<result<void>> drop_input(net::stream& s)
{
    std::array<std::uint8_t, 4096> sink;
    for (std::size_t dropped = 0; dropped < 1024 * 1024;) {
        auto const n = co_await net::read_some(s, sink);
        if (!n) co_return n.error();
        dropped += *n;
    }
    co_return result<void>{};
}

} // namespace detail

inline net::awaitable<void> linger_close(net::stream& s, net::clock::duration limit)
{
    if (limit != net::clock::duration::zero()) {
        auto const shut = co_await net::shutdown_send(s);
        if (shut) (void)co_await net::with_deadline(detail::drop_input(s), limit);
    }
    s.close();
}

inline net::awaitable<void> serve(net::stream& s, flat_buffer& buf, server_config config, request_handler handler)
{
    server_connection c(s, buf, std::move(config));
    for (;;) {
        auto request = co_await c.read_request();
        if (!request) {
            auto const ec = request.error();
            bool const worth_an_answer = ec == cond::malformed || ec == cond::too_large || ec == cond::timed_out;
            if (worth_an_answer) (void)co_await c.respond_error(status_for(ec), ec.message() + "\n");
            if (!worth_an_answer) {
                s.close();
                co_return;
            }
            break;
        }
        auto const handled = co_await handler(c, std::move(*request));
        if (c.upgraded()) co_return;
        if (!handled || !c.responded()) {
            if (!c.responded()) (void)co_await c.respond_error(handled ? 500 : status_for(handled.error()), "the request could not be served\n");
            else if (!c.response_complete()) {
                s.reset(); // the client must see that its answer is not whole
                co_return;
            }
            break;
        }
        if (!co_await c.finish()) break;
    }
    if (c.responded() && !c.response_complete()) s.reset();
    else co_await linger_close(s, c.config().linger);
}

} // namespace podproxy::http

#endif
