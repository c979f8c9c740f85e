#include <asio/error.hpp>
#include <asio/post.hpp>
#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>
#include <variant>

namespace podproxy::spdy {

// ---- session_stream

inline session_stream::session_stream(std::shared_ptr<session> owner, std::uint32_t id, std::uint32_t lane)
    : owner_(std::move(owner)), id_(id), lane_(lane)
{
}

inline session_stream::~session_stream()
{
    on_change = nullptr;
    reset();
    owner_->forget(*this);
}

inline bool session_stream::delivered() const noexcept
{
    return lane_ != lane_count && owner_->lanes_[lane_].acked > first_frame_;
}

inline result<bytes_view> session_stream::view() const
{
    if (!in_.empty()) return in_.front();
    if (error_) return error_;
    if (remote_ended_) return podproxy::errc::end_of_stream;
    return podproxy::errc::would_block;
}

inline void session_stream::consume(std::size_t n)
{
    in_.consume(n);
    if (in_.size() < owner_->config_.receive_limit / 2) owner_->resume_reading();
}

inline result<std::size_t> session_stream::try_read(std::span<std::uint8_t> out)
{
    auto const oldest = view();
    if (!oldest) return oldest.error();
    std::size_t const n = in_.read(out);
    consume(0);
    return n;
}

inline result<std::size_t> session_stream::try_write(bytes_view in)
{
    if (error_) return error_;
    if (owner_->error_) return owner_->error_;
    if (local_ended_) return std::make_error_code(std::errc::broken_pipe);
    session& s = *owner_;
    auto& lane = s.lanes_[lane_];
    std::size_t taken = 0;
    while (taken < in.size()) {
        if (s.out_.size() >= s.config_.send_buffer) break;
        if (!s.may_send(lane_)) {
            if (lane.asked != lane.sent) s.ask(lane_); // it could not be asked when that was due
            break;
        }
        std::size_t const n = std::min(in.size() - taken, s.config_.frame_size);
        auto const header = encode_data_header(stream_id{id_}, static_cast<std::uint32_t>(n), data_flags::none);
        auto room = s.out_.prepare(header.size() + n);
        std::memcpy(room.data(), header.data(), header.size());
        std::memcpy(room.data() + header.size(), in.data() + taken, n);
        s.out_.commit(header.size() + n);
        taken += n;
        ++lane.sent;
        if (lane.sent - lane.asked >= std::max(1u, s.config_.window / 4)) s.ask(lane_);
        if (s.out_.size() >= s.config_.send_buffer / 2) s.flush();
        if (error_) return error_;
    }
    wants_room_ = taken == 0;
    s.expect();
    s.flush();
    if (error_) return error_;
    if (taken == 0) return podproxy::errc::would_block;
    return taken;
}

inline void session_stream::finish()
{
    if (local_ended_ || error_ || owner_->error_) return;
    local_ended_ = true;
    auto const header = encode_data_header(stream_id{id_}, 0, data_flags::fin);
    auto room = owner_->out_.prepare(header.size());
    std::memcpy(room.data(), header.data(), header.size());
    owner_->out_.commit(header.size());
    owner_->leave_lane(*this);
    owner_->flush();
}

inline void session_stream::reset()
{
    if (error_ || (local_ended_ && remote_ended_)) return;
    error_ = errc::stream_cancelled;
    in_.clear();
    consume(0);
    auto& s = *owner_;
    if (s.error_) return;
    s.frame_.clear();
    encode_rst_stream(s.frame_, {stream_id{id_}, rst_status::cancel});
    if (s.out_.append(s.frame_))
        s.flush();
    else
        s.die(errc::session_closed);
}

// ---- session

inline std::shared_ptr<session> session::start(net::any_stream carrier, bytes_view early, session_config config)
{
    std::shared_ptr<session> s(new session(std::move(carrier), config));
    s->begin(early);
    return s;
}

inline session::session(net::any_stream carrier, session_config config)
    : config_(config), carrier_(std::move(carrier)), executor_(carrier_->get_executor()), watch_timer_(executor_),
      out_(config.send_buffer + 2 * (config.frame_size + 64 * 1024))
{
}

inline session::~session()
{
    carrier_->close();
}

inline void session::begin(bytes_view early)
{
    if (!early.empty()) {
        auto block = std::make_shared_for_overwrite<std::uint8_t[]>(early.size());
        std::memcpy(block.get(), early.data(), early.size());
        decode(block, {block.get(), early.size()});
    }
    if (error_) return;
    wait_read();
    watch();
}

inline void session::wait_read()
{
    if (reading_ || paused_ || error_) return;
    reading_ = true;
    carrier_->async_wait(net::wait_kind::read, [weak = weak_from_this()](std::error_code) {
        if (auto self = weak.lock()) {
            self->reading_ = false;
            self->read_turn();
        }
    });
}

/// A reader has taken something, or is not alone any more.
inline void session::resume_reading()
{
    if (!paused_) return;
    paused_ = false;
    heard_ = net::clock::now(); // the answer to the last PING may still lie in the carrier
    wait_read();
}

inline void session::wait_write()
{
    if (writing_ || error_) return;
    writing_ = true;
    carrier_->async_wait(net::wait_kind::write, [weak = weak_from_this()](std::error_code) {
        if (auto self = weak.lock()) {
            self->writing_ = false;
            self->flush();
        }
    });
}

inline void session::read_turn()
{
    constexpr std::size_t block_size = 64 * 1024;
    constexpr int turns = 8;
    net::receive_queue::block block;
    for (int turn = 0; turn < turns; ++turn) {
        if (paused_ || error_) return;
        if (!block || block.use_count() != 1) block = std::make_shared_for_overwrite<std::uint8_t[]>(block_size);
        auto const n = carrier_->try_read({block.get(), block_size});
        if (!n) {
            if (n.error() == podproxy::errc::would_block) break;
            return die(n.error() == podproxy::errc::end_of_stream ? make_error_code(errc::session_closed) : n.error());
        }
        if (turn == 0) heard_ = net::clock::now();
        decode(block, {block.get(), *n});
    }
    wait_read();
}

inline void session::decode(net::receive_queue::block const& owner, bytes_view in)
{
    while (!in.empty() && !error_) {
        auto const step = decoder_.next(in);
        in = in.subspan(step.consumed);
        if (step.status == step_status::failed) return die(step.error);
        if (step.status == step_status::event) on_event(owner, step.event);
    }
}

inline void session::on_event(net::receive_queue::block const& owner, frame_event const& event)
{
    auto const stream_of = [this](stream_id id) -> session_stream* {
        auto const it = streams_.find(id.value);
        return it == streams_.end() ? nullptr : it->second;
    };
    if (auto const* data = std::get_if<data_piece>(&event)) return on_data(owner, *data);
    if (auto const* reply = std::get_if<syn_reply>(&event)) {
        // Every block passes the decompressor, whoever it is for: there is one state for the whole connection.
        auto const fields = decoder_of_headers_.decode(reply->header_block);
        if (!fields && !concerns_stream(fields.error())) return die(fields.error());
        if (auto* s = stream_of(reply->stream)) {
            s->replied_ = true;
            if (reply->fin) end_remote(*s, false, {});
            s->changed();
        }
    } else if (auto const* more = std::get_if<headers>(&event)) {
        auto const fields = decoder_of_headers_.decode(more->header_block);
        if (!fields && !concerns_stream(fields.error())) return die(fields.error());
        if (auto* s = stream_of(more->stream); s && more->fin) {
            end_remote(*s, false, {});
            s->changed();
        }
    } else if (auto const* rst = std::get_if<rst_stream>(&event)) {
        if (auto* s = stream_of(rst->stream)) {
            end_remote(*s, true, errc::stream_reset);
            s->changed();
        }
    } else if (auto const* p = std::get_if<spdy::ping>(&event)) {
        if (p->id % 2 == 0) { // the server's: send it back
            frame_.clear();
            encode_ping(frame_, {p->id});
            if (!out_.append(frame_)) return die(errc::session_closed);
            return flush();
        }
        auto const it = std::find_if(pings_.begin(), pings_.end(), [&](auto const& r) { return r.id == p->id; });
        if (it == pings_.end()) return;
        auto& lane = lanes_[it->lane];
        std::uint32_t const number = it->lane;
        bool const was_free = lane_free(number);
        lane.acked = std::max(lane.acked, it->sent);
        --lane.pings;
        pings_.erase(it);
        if (!may_send(number) && lane.asked != lane.sent) { // it could not be asked when that was due
            ask(number);
            flush();
        }
        room();
        if (!was_free && lane_free(number)) changed();
    } else if (auto const* away = std::get_if<goaway>(&event)) {
        going_away_ = true;
        for (auto const& [id, s] : std::vector<std::pair<std::uint32_t, session_stream*>>(streams_.begin(), streams_.end()))
            if (id > away->last_good.value && !s->replied_) {
                end_remote(*s, true, errc::going_away);
                s->changed();
            }
        if (streams_.empty()) return die(errc::session_closed); // inside a WebSocket the peer would leave it open
        changed();
    } else if (auto const* syn = std::get_if<syn_stream>(&event)) {
        // Port-forwarding servers open no streams. Keep the decompressor in step and say no.
        auto const fields = decoder_of_headers_.decode(syn->header_block);
        if (!fields && !concerns_stream(fields.error())) return die(fields.error());
        frame_.clear();
        encode_rst_stream(frame_, {syn->stream, rst_status::refused_stream});
        if (out_.append(frame_)) flush();
    }
    // SETTINGS and WINDOW_UPDATE carry nothing that this peer honours.
}

inline void session::on_data(net::receive_queue::block const& owner, data_piece const& data)
{
    auto const it = streams_.find(data.stream.value);
    if (it == streams_.end()) return; // reset by us, still on its way
    session_stream& s = *it->second;
    if (!s.error_ && !s.remote_ended_) {
        s.in_.push(owner, data.payload);
        s.received_ += data.payload.size();
        if (s.in_.size() >= config_.receive_limit && alone()) {
            paused_ = true;
        } else if (s.in_.size() >= config_.shared_receive_limit) {
            s.reset();
            s.error_ = errc::reader_too_slow;
        }
    }
    if (data.fin) end_remote(s, false, {});
    s.changed();
}

inline void session::end_remote(session_stream& s, bool reset, std::error_code why)
{
    s.remote_ended_ = true;
    if (reset) {
        s.reset_ = true;
        s.local_ended_ = true;
        if (!s.error_) s.error_ = why;
    }
}

inline void session::flush()
{
    while (!out_.empty() && !error_) {
        auto const n = carrier_->try_write(out_.data());
        if (!n) {
            if (n.error() == podproxy::errc::would_block) {
                wait_write();
                break;
            }
            return die(n.error());
        }
        out_.consume(*n);
    }
    if (out_.empty() && busy() == 0) out_.release();
    room();
}

/// Tell writers that wait.
inline void session::room()
{
    if (error_ || out_.size() >= config_.send_buffer) return;
    for (auto const& [id, s] : streams_)
        if (s->wants_room_ && may_send(s->lane_)) {
            s->wants_room_ = false;
            s->changed();
        }
}

/// Whether one more DATA frame may go to a worker of the peer.
inline bool session::may_send(std::uint32_t lane) const noexcept
{
    if (lanes_[lane].sent - lanes_[lane].acked < config_.window || busy() <= 1) return true;
    // A worker that does not answer its PINGs is stuck with somebody else's data; then nobody can be asked any more, and
    // the other lanes trust the carrier's own flow control.
    for (std::uint32_t other = 0; other < lane_count; ++other)
        if (other != lane && lanes_[other].pings > most_pings) return true;
    return false;
}

inline std::unique_ptr<session_stream> session::open(std::span<header_view const> fields, std::uint32_t lane, upload kind)
{
    if (!usable()) return nullptr;
    std::uint32_t id = next_id_;
    while (lane != lane_count && id % lane_count != lane) id += 2;
    next_id_ = id + 2;
    lane = id % lane_count;

    frame_.clear();
    syn_stream frame;
    frame.stream = stream_id{id};
    frame.fin = kind == upload::none;
    encoder_.encode_frame(frame_, frame, fields);
    std::unique_ptr<session_stream> s(new session_stream(shared_from_this(), id, kind == upload::yes ? lane : lane_count));
    streams_.emplace(id, s.get());
    if (kind == upload::yes) {
        ++lanes_[lane].streams;
        s->holds_lane_ = true;
        s->first_frame_ = lanes_[lane].sent;
        if (!alone()) resume_reading();
    }
    if (!out_.append(frame_)) {
        die(errc::session_closed);
        return nullptr;
    }
    if (kind == upload::none)
        s->local_ended_ = true; // said with the frame itself; it leaves with what comes next
    else
        flush();
    expect();
    return s;
}

inline void session::forget(session_stream& s)
{
    if (streams_.erase(s.id_) == 0) return;
    leave_lane(s);
    if (error_) return;
    flush();
    if (going_away_ && streams_.empty()) die(errc::session_closed);
    changed();
}

/// The stream sends no more data. Its lane is free when the peer's worker has handled what was sent.
inline void session::leave_lane(session_stream& s)
{
    if (!std::exchange(s.holds_lane_, false)) return;
    auto& lane = lanes_[s.lane_];
    --lane.streams;
    if (error_) return;
    if (lane.acked != lane.sent && lane.asked != lane.sent) ask(s.lane_);
    room(); // who is alone now has no window
    if (lane_free(s.lane_)) changed();
}

/// At most one stream carries data towards us.
inline bool session::alone() const noexcept
{
    std::size_t n = 0;
    for (auto const& [id, s] : streams_) n += s->lane_ != lane_count && !s->remote_ended_;
    return n <= 1;
}

/// Send one PING; the peer gives it to the next worker in turn.
inline void session::ping()
{
    std::uint32_t const worker = pings_sent_++ % lane_count;
    auto& lane = lanes_[worker];
    pings_.push_back({next_ping_, worker, lane.sent, net::clock::now()});
    lane.asked = lane.sent;
    ++lane.pings;
    frame_.clear();
    encode_ping(frame_, {next_ping_});
    next_ping_ = next_ping_ >= 0x7ffffffdu ? 1 : next_ping_ + 2;
    if (!out_.append(frame_)) die(errc::session_closed);
}

/// Let the worker of `lane` tell when it has handled what was sent so far.
inline void session::ask(std::uint32_t lane)
{
    for (auto const& l : lanes_)
        if (l.pings > most_pings) return;
    for (;;) {
        bool const last = pings_sent_ % lane_count == lane;
        ping();
        if (last || error_) return;
    }
}

/// Something went out that has an answer: look soon whether it comes.
inline void session::expect()
{
    expecting_ = true;
    if (resting_) watch();
}

inline void session::watch()
{
    if (config_.ping_interval.count() == 0 || error_) return;
    bool const expecting = expecting_ || !pings_.empty() || std::any_of(lanes_.begin(), lanes_.end(), [](auto const& l) { return l.acked != l.sent; });
    resting_ = !expecting;
    if (resting_ && config_.keep_alive.count() == 0) return;
    watch_timer_.expires_after(expecting ? config_.ping_interval : config_.keep_alive);
    watch_timer_.async_wait([weak = weak_from_this()](std::error_code ec) {
        auto const self = weak.lock();
        if (!ec && self && !self->error_) self->look();
    });
}

inline void session::look()
{
    if (path_is_dead()) {
        read_turn(); // we may have slept: what it has sent counts
        if (error_) return;
        if (path_is_dead()) return die(errc::no_answer);
    }
    expecting_ = false;
    ask_whether_alive();
    if (error_) return;
    if (out_.empty()) out_.release(); // a session that is only kept holds no buffer
    watch();
}

/// Send PINGs up to one whose worker has nothing else to do, unless such a one is on its way.
inline void session::ask_whether_alive()
{
    auto const idle = [this](ping_record const& r) { return r.sent == lanes_[r.lane].acked; };
    auto const recently = net::clock::now() - config_.ping_timeout;
    if (std::any_of(pings_.begin(), pings_.end(), [&](auto const& r) { return idle(r) && r.at > recently; })) return;
    for (std::uint32_t n = 0; n < lane_count && !error_; ++n) {
        if (std::any_of(lanes_.begin(), lanes_.end(), [](auto const& l) { return l.pings > most_pings; })) break;
        ping();
        if (!error_ && idle(pings_.back())) break;
    }
    if (!error_) flush();
}

inline bool session::path_is_dead() const
{
    if (paused_) return false;
    auto const now = net::clock::now();
    if (now - heard_ < config_.ping_timeout) return false;
    bool const read_by_peer = out_.empty() && std::none_of(lanes_.begin(), lanes_.end(), [](auto const& l) { return l.sent - l.acked + l.pings >= safe_queue; });
    if (read_by_peer)
        for (auto const& r : pings_)
            if (r.sent == lanes_[r.lane].acked && now - r.at >= config_.ping_timeout && r.at >= heard_) return true;
    auto* const socket = carrier_->transport();
    return socket && net::path_is_silent(socket->native_handle(), config_.ping_timeout);
}

inline void session::die(std::error_code why)
{
    if (error_) return;
    error_ = why;
    auto const keep = shared_from_this();
    watch_timer_.cancel();
    out_.release();
    for (auto const& [id, s] : std::vector<std::pair<std::uint32_t, session_stream*>>(streams_.begin(), streams_.end())) {
        if (!s->error_ && !s->remote_ended_) s->error_ = why; // what has ended before has ended well
        s->changed();
    }
    carrier_->close();
    changed();
}

inline void session::close(std::error_code reason)
{
    if (error_) return;
    frame_.clear();
    encode_goaway(frame_, {stream_id{0}, goaway_status::ok});
    if (out_.append(frame_)) flush();
    die(reason);
}

inline void session::changed()
{
    if (!on_change) return;
    asio::post(executor_, [weak = weak_from_this()] {
        auto self = weak.lock();
        if (!self || !self->on_change) return;
        auto const call = self->on_change; // it may be replaced from inside
        call();
    });
}

} // namespace podproxy::spdy
