#ifndef PODPROXY_HTTP_IMPL_CLIENT_IPP
#define PODPROXY_HTTP_IMPL_CLIENT_IPP

#include <podproxy/http/client.hpp>
#include <podproxy/http/serialise.hpp>
#include <algorithm>
#include <cassert>
#include <cstring>

namespace podproxy::http {

inline net::awaitable<result<response_head>> client::request(std::string method, std::string target, fields f, std::string body)
{
    bool const usually_has_content = method == "POST" || method == "PUT" || method == "PATCH";
    bool const framed = f.contains("Content-Length") || f.contains("Transfer-Encoding");
    if (!framed && (!body.empty() || usually_has_content)) f.add("Content-Length", std::to_string(body.size()));
    request_head head(std::move(method), std::move(target), std::move(f));
    bool const in_one = body.size() <= detail::message_output::copy_below;
    std::string first;
    if (in_one) first.swap(body);
    auto sent = co_await send_head(std::move(head), std::move(first));
    if (sent && !in_one) sent = co_await send_body(as_bytes(body));
    if (sent) {
        fields const none;
        sent = co_await out_.end(none, config_.idle);
    }
    if (!sent && (sent.error() == errc::unsafe_head || sent.error() == errc::not_ready)) co_return sent.error();
    auto answer = co_await read_response();
    if (!answer && !sent) co_return sent.error(); // what failed first says more
    co_return answer;
}

inline net::awaitable<result<void>> client::send_head(request_head head, std::string first)
{
    if (!stream_ || broken_ || awaiting_response_ || !in_.body_done() || !out_.complete() || !keep_alive_) co_return errc::not_ready;
    if (!config_.host.empty() && !head.fields.contains("Host")) {
        fields with_host;
        with_host.add("Host", config_.host);
        for (field const f : head.fields) with_host.add(f.name, f.value);
        head.fields = std::move(with_host);
    }
    std::string wire;
    if (auto const ok = encode_request_head(wire, head); !ok) co_return ok;
    auto const framing = request_framing(head);
    if (!framing) co_return framing.error();
    method_ = head.method;
    upgrade_asked_ = wants_upgrade(head);
    keep_alive_ = wants_keep_alive(head) || upgrade_asked_;
    awaiting_response_ = true;
    got_bytes_ = false;
    interim_ = 0;
    line_.clear();
    rest_ = {};
    co_return co_await out_.begin(std::move(wire), *framing, as_bytes(first), config_.idle);
}

inline net::awaitable<result<void>> client::end_body(fields trailers)
{
    co_return co_await out_.end(trailers, config_.idle);
}

inline net::awaitable<result<response_head>> client::read_response()
{
    for (;;) {
        auto head = co_await read_any_response();
        if (!head || head->status >= 200 || head->status == 101) co_return head;
    }
}

inline net::awaitable<result<response_head>> client::read_any_response()
{
    if (!stream_ || !awaiting_response_) co_return errc::not_ready;
    auto const read = co_await in_.read_head(decoder_, detail::from_now(config_.idle));
    got_bytes_ = got_bytes_ || decoder_.started();
    if (!read) {
        broken_ = broken_ || read.error() != cond::cancelled;
        co_return read.error();
    }
    response_head head = decoder_.take_head();
    decoder_.reset();
    if (head.status == 101 && !upgrade_asked_) {
        broken_ = true;
        co_return errc::unexpected_upgrade;
    }
    if (head.status < 200 && head.status != 101) {
        if (++interim_ > config_.max_interim_responses) {
            broken_ = true;
            co_return errc::loop_limit;
        }
        co_return head;
    }
    auto const framing = response_framing(head, method_);
    if (!framing) {
        broken_ = true;
        co_return framing.error();
    }
    in_.begin_body(*framing, config_.chunks);
    awaiting_response_ = false;
    bool const switched = head.status == 101 || (method_ == "CONNECT" && head.status < 300);
    keep_alive_ = keep_alive_ && wants_keep_alive(head) && framing->kind != framing_kind::until_close && !switched;
    co_return head;
}

inline net::awaitable<result<bytes_view>> client::read_body_view()
{
    if (!rest_.empty()) co_return std::exchange(rest_, {});
    if (!stream_ || awaiting_response_) co_return errc::not_ready;
    auto const piece = co_await in_.next(config_.idle);
    if (!piece && piece.error() != podproxy::errc::end_of_stream && piece.error() != cond::cancelled) broken_ = true;
    co_return piece;
}

inline bytes_view client::buffered_body()
{
    if (!rest_.empty()) return std::exchange(rest_, {});
    if (!stream_ || awaiting_response_ || broken_) return {};
    // `failed` stays so, and the next read that waits reports it.
    return in_.next_buffered().data;
}

inline net::awaitable<result<std::size_t>> client::read_body(std::span<std::uint8_t> out)
{
    auto const piece = co_await read_body_view();
    if (!piece) co_return piece.error();
    std::size_t const n = std::min(out.size(), piece->size());
    std::copy_n(piece->begin(), n, out.begin());
    rest_ = piece->subspan(n);
    co_return n;
}

inline net::awaitable<result<std::string>> client::read_line(std::size_t limit)
{
    for (;;) {
        auto const piece = co_await read_body_view();
        if (!piece && piece.error() == podproxy::errc::end_of_stream && !line_.empty()) break;
        if (!piece) co_return piece.error();
        auto const* const lf = static_cast<std::uint8_t const*>(std::memchr(piece->data(), '\n', piece->size()));
        std::size_t const n = lf ? static_cast<std::size_t>(lf - piece->data()) : piece->size();
        if (line_.size() + n > limit) {
            broken_ = true;
            co_return errc::body_too_large;
        }
        line_.append(as_text(piece->first(n)));
        if (!lf) continue;
        rest_ = piece->subspan(n + 1);
        break;
    }
    if (line_.ends_with('\r')) line_.pop_back();
    co_return std::exchange(line_, {});
}

inline net::awaitable<result<std::string>> client::read_all(std::size_t limit)
{
    std::string out;
    for (;;) {
        auto const piece = co_await read_body_view();
        if (!piece && piece.error() == podproxy::errc::end_of_stream) co_return out;
        if (!piece) co_return piece.error();
        if (out.size() + piece->size() > limit) {
            broken_ = true;
            co_return errc::body_too_large;
        }
        out.append(as_text(*piece));
    }
}

inline bool client::looks_alive()
{
    if (!reusable() || !in_.buffer().empty()) return false;
    std::uint8_t byte[1];
    auto const n = stream_->try_read(byte);
    if (!n && n.error() == podproxy::errc::would_block) return true;
    broken_ = true;
    return false;
}

inline upgraded_stream client::take_stream()
{
    assert(rest_.empty());
    (void)in_.buffer(); // gives back what was lent
    return {std::move(stream_), std::move(buf_)};
}

} // namespace podproxy::http

#endif
