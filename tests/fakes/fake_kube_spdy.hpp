#ifndef PODPROXY_TESTS_FAKES_FAKE_KUBE_SPDY_HPP
#define PODPROXY_TESTS_FAKES_FAKE_KUBE_SPDY_HPP

#include <fakes/fake_kube_dictionary.hpp>
#include <fakes/fake_kube_io.hpp>
#include <fakes/fake_kube_pod.hpp>
#include <asio/co_spawn.hpp>
#include <zlib.h>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace podproxy::test::fake_kube {

/// One direction's header compression.
class header_zlib {
public:
    enum class direction { pack, unpack };

    explicit header_zlib(direction d) : direction_(d), dictionary_(make_dictionary())
    {
        if (d == direction::pack) {
            deflateInit(&z_, 9);
            deflateSetDictionary(&z_, reinterpret_cast<Bytef const*>(dictionary_.data()), static_cast<uInt>(dictionary_.size()));
        } else {
            inflateInit(&z_);
        }
    }
    ~header_zlib()
    {
        if (direction_ == direction::pack)
            deflateEnd(&z_);
        else
            inflateEnd(&z_);
    }
    header_zlib(header_zlib const&) = delete;
    header_zlib& operator=(header_zlib const&) = delete;

    /// @throws `std::runtime_error` for what is no zlib stream.
    std::string run(std::string_view in)
    {
        std::string out;
        std::array<char, 4096> piece{};
        z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
        z_.avail_in = static_cast<uInt>(in.size());
        do {
            z_.next_out = reinterpret_cast<Bytef*>(piece.data());
            z_.avail_out = static_cast<uInt>(piece.size());
            int rc = direction_ == direction::pack ? deflate(&z_, Z_SYNC_FLUSH) : inflate(&z_, Z_SYNC_FLUSH);
            if (rc == Z_NEED_DICT)
                rc = inflateSetDictionary(&z_, reinterpret_cast<Bytef const*>(dictionary_.data()), static_cast<uInt>(dictionary_.size()));
            else if (rc == Z_BUF_ERROR)
                break;
            if (rc != Z_OK) throw std::runtime_error("fake_kube: headers that can't be unpacked");
            out.append(piece.data(), piece.size() - z_.avail_out);
        } while (z_.avail_in != 0 || z_.avail_out == 0);
        return out;
    }

private:
    direction direction_;
    std::string dictionary_;
    z_stream z_{};
};

inline std::string u32(std::uint32_t v)
{
    return {static_cast<char>(v >> 24), static_cast<char>(v >> 16 & 255), static_cast<char>(v >> 8 & 255), static_cast<char>(v & 255)};
}
inline std::uint32_t u32_at(std::string_view in, std::size_t i)
{
    std::uint32_t v = 0;
    for (std::size_t k = 0; k < 4; ++k) v = v << 8 | static_cast<std::uint8_t>(in.at(i + k));
    return v;
}
/// A whole control frame of version 3.
inline std::string control_frame(std::uint16_t type, std::uint8_t flags, std::string const& payload)
{
    return u32(0x80030000u | type) + u32(static_cast<std::uint32_t>(flags) << 24 | static_cast<std::uint32_t>(payload.size())) + payload;
}
inline std::string data_frame(std::uint32_t stream, bool fin, std::string_view payload)
{
    std::string out = u32(stream) + u32((fin ? 1u << 24 : 0u) | static_cast<std::uint32_t>(payload.size()));
    out.append(payload);
    return out;
}

/// How the container runtime behaves. The defaults are the real one's, but for times.
struct runtime_config {
    std::size_t socket_buffer = 64 * 1024;            ///< Bytes that a connection inside a pod holds in each direction.
    std::chrono::milliseconds linger{50};             ///< How long the other direction may go on after one has ended. Really 1 s.
    std::chrono::milliseconds pair_timeout{30000};    ///< For the second stream of a pair.
    std::chrono::milliseconds idle_timeout{0};        ///< Without a frame: resets, GOAWAY, end. 0: never.
    std::chrono::milliseconds dial_delay{0};          ///< Before a connection in the pod is made or refused.
    std::chrono::milliseconds reply_delay{0};         ///< Before a SYN_REPLY; its worker waits.
};

/// Counted by all sessions of a server.
struct session_counters {
    std::size_t opened = 0;
    std::size_t open = 0;
    std::size_t streams = 0;   ///< SYN_STREAMs, two for every connection
    std::size_t forwards = 0;  ///< pairs
    std::size_t forwarding = 0; ///< pairs now
    std::size_t pings = 0;
    std::size_t data_frames = 0;
    std::size_t resets = 0;    ///< RST_STREAMs that came
    std::size_t goaways = 0;   ///< GOAWAYs that came
    std::size_t deepest_queue = 0; ///< most frames that ever waited for one worker
    std::size_t read_stops = 0; ///< times that the read loop had to wait for a full queue
};

/** The runtime's end of one port-forward session, as moby/spdystream serves it: one read loop that hands frames to five workers
    (stream id % 5, PINGs and unknown frames in turn) with queues of 50 ordered by priority; a worker with DATA waits until the stream's
    reader takes it. No flow control. */
class runtime_session : public std::enable_shared_from_this<runtime_session> {
public:
    enum class carrier { spdy, websocket };
    /// The pod's state now.
    using find_pod = std::function<std::optional<pod_spec>()>;
    /// Runs something with the counters.
    using count = std::function<void(std::function<void(session_counters&)> const&)>;

    runtime_session(std::shared_ptr<wire> w, carrier kind, std::string sandbox, find_pod pod, count counting, runtime_config config)
        : wire_(std::move(w)), kind_(kind), sandbox_(std::move(sandbox)), pod_(std::move(pod)), count_(std::move(counting)), config_(config),
          changed_(wire_->get_executor()), pack_(header_zlib::direction::pack), unpack_(header_zlib::direction::unpack)
    {
    }

    /// Serve until the connection ends. `early` is what came behind the request.
    net::awaitable<void> run(std::string early)
    {
        auto const self = shared_from_this();
        count_([](auto& c) { ++c.opened, ++c.open; });
        for (std::uint32_t i = 0; i < workers; ++i) start(work(self, i));
        if (config_.idle_timeout.count() != 0) start(watch_idle(self));
        try {
            std::string raw = std::move(early);
            for (;;) {
                if (!take_carrier(raw)) break;
                co_await take_frames();
                std::string const more = co_await wire_->read();
                if (more.empty()) break;
                raw += more;
            }
        } catch (std::system_error const&) {
        } catch (std::runtime_error const&) {
            said_garbage_ = true;
        }
        // Garbage: GOAWAY, then the end; inside a WebSocket nothing follows the GOAWAY.
        if (said_garbage_) {
            try {
                co_await goaway();
                if (kind_ == carrier::websocket)
                    for (;;) {
                        auto const ignored = co_await wire_->read();
                        if (ignored.empty()) break;
                    }
            } catch (std::system_error const&) {
            }
        }
        end();
        count_([](auto& c) { --c.open; });
    }

    /// Send GOAWAY; then the connection ends, inside a WebSocket it stays.
    void go_away()
    {
        start(goaway_now(shared_from_this()));
    }
    /// Send these bytes where a frame should begin.
    void send_raw(std::string bytes) { start(send_now(shared_from_this(), std::move(bytes))); }
    /// A frame of the WebSocket's own: ping (9), close (8), text (1).
    void send_websocket(int opcode, std::string payload) { start(send_websocket_now(shared_from_this(), opcode, std::move(payload))); }
    void freeze(bool on) { wire_->freeze(on); }
    /// End without a word. @param rst with a TCP RST.
    void drop(bool rst)
    {
        if (rst)
            wire_->reset();
        else
            wire_->close();
    }

private:
    static constexpr std::uint32_t workers = 5;
    static constexpr std::size_t queue_size = 50;

    struct frame {
        bool is_control = false;
        std::uint16_t type = 0;
        std::uint32_t stream = 0;
        std::uint8_t flags = 0;
        std::string payload;
    };

    struct stream {
        explicit stream(net::executor ex) : changed(ex) {}
        std::uint32_t id = 0;
        std::uint8_t priority = 0;
        std::map<std::string, std::string> headers;
        std::optional<std::string> offered; ///< in the hands of a worker, until the reader takes it
        bool replied = false;
        bool remote_ended = false;
        bool local_ended = false;
        bool dead = false; ///< reset by one side
        event changed;
    };
    using stream_ptr = std::shared_ptr<stream>;

    /// Frames for one worker: by priority, then in order.
    struct queue {
        std::map<std::pair<unsigned, std::uint64_t>, frame> frames;
        std::uint64_t next = 0;
    };

    template <class Work>
    void start(Work work)
    {
        asio::co_spawn(wire_->get_executor(), std::move(work), [](std::exception_ptr) {}); // a lost connection ends them all
    }

    // ---- what comes ----

    /// Take bytes off the carrier. @return false at a WebSocket's end.
    bool take_carrier(std::string& raw)
    {
        if (kind_ == carrier::spdy) {
            in_ += std::exchange(raw, {});
            return true;
        }
        websocket_message m;
        while (take_websocket_frame(raw, m)) {
            if (m.opcode == 2 || m.opcode == 0) {
                in_ += m.payload;
            } else if (m.opcode == 9) {
                start(send_websocket_now(shared_from_this(), 10, m.payload));
            } else if (m.opcode == 8 || m.opcode == 1) {
                start(send_websocket_now(shared_from_this(), 8, std::string("\x03\xe8", 2)));
                return m.opcode != 8;
            }
        }
        return true;
    }

    net::awaitable<void> take_frames()
    {
        while (in_.size() >= 8) {
            std::size_t const size = u32_at(in_, 4) & 0xffffff;
            if ((static_cast<std::uint8_t>(in_[0]) & 0x80) != 0 && (u32_at(in_, 0) >> 16) != 0x8003) throw std::runtime_error("not SPDY/3");
            if (in_.size() < 8 + size) co_return;
            frame f;
            f.is_control = (static_cast<std::uint8_t>(in_[0]) & 0x80) != 0;
            f.flags = static_cast<std::uint8_t>(in_[4]);
            f.payload = in_.substr(8, size);
            if (f.is_control)
                f.type = static_cast<std::uint16_t>(u32_at(in_, 0) & 0xffff);
            else
                f.stream = u32_at(in_, 0);
            in_.erase(0, 8 + size);
            last_frame_ = net::clock::now();
            unsigned priority = 0;
            std::uint32_t to = 0;
            if (!f.is_control) {
                count_([](auto& c) { ++c.data_frames; });
                to = f.stream % workers;
                if (auto const s = find(f.stream)) priority = s->priority;
            } else if (f.type == 1) {
                f.stream = u32_at(f.payload, 0) & 0x7fffffff;
                auto const s = take_syn(f);
                priority = s->priority;
                to = f.stream % workers;
            } else if (f.type == 3) {
                count_([](auto& c) { ++c.resets; });
                f.stream = u32_at(f.payload, 0) & 0x7fffffff;
                to = f.stream % workers;
                if (auto const s = find(f.stream)) priority = s->priority;
            } else if (f.type == 7) {
                count_([](auto& c) { ++c.goaways; });
                continue;
            } else if (f.type >= 1 && f.type <= 9) {
                if (f.type != 6) priority = 7;
                to = turn_++ % workers;
            } else {
                throw std::runtime_error("a frame of an unknown type");
            }
            queue& q = queues_[to];
            if (q.frames.size() >= queue_size) count_([](auto& c) { ++c.read_stops; });
            while (q.frames.size() >= queue_size && !ended_) co_await changed_.wait();
            if (ended_) co_return;
            q.frames.emplace(std::pair(priority, q.next++), std::move(f));
            std::size_t const depth = q.frames.size();
            count_([depth](auto& c) { c.deepest_queue = std::max(c.deepest_queue, depth); });
            changed_.notify();
        }
    }

    /// The headers of every SYN_STREAM are unpacked by the read loop, in order.
    stream_ptr take_syn(frame const& f)
    {
        auto const s = std::make_shared<stream>(wire_->get_executor());
        s->id = f.stream;
        if (s->id % 2 == 0 || s->id <= last_id_) throw std::runtime_error("a stream id that can't be");
        last_id_ = s->id;
        s->priority = static_cast<std::uint8_t>(static_cast<std::uint8_t>(f.payload.at(8)) >> 5);
        s->remote_ended = (f.flags & 1) != 0;
        std::string const block = unpack_.run(std::string_view(f.payload).substr(10));
        std::size_t at = 4;
        for (std::uint32_t n = u32_at(block, 0); n != 0; --n) {
            std::string pair[2];
            for (auto& part : pair) {
                std::uint32_t const size = u32_at(block, at);
                part = block.substr(at + 4, size);
                if (part.size() != size) throw std::runtime_error("a header block that ends early");
                at += 4 + size;
            }
            if (pair[0] != lower(pair[0])) throw std::runtime_error("an upper-case header name");
            s->headers[pair[0]] = pair[1];
        }
        if (at != block.size()) throw std::runtime_error("bytes behind a header block");
        streams_[s->id] = s;
        count_([](auto& c) { ++c.streams; });
        return s;
    }

    stream_ptr find(std::uint32_t id) const
    {
        auto const it = streams_.find(id);
        return it == streams_.end() ? nullptr : it->second;
    }

    static net::awaitable<void> work(std::shared_ptr<runtime_session> self, std::uint32_t which)
    {
        queue& q = self->queues_[which];
        for (;;) {
            while (q.frames.empty()) {
                if (self->ended_) co_return;
                co_await self->changed_.wait();
            }
            frame f = std::move(q.frames.begin()->second);
            q.frames.erase(q.frames.begin());
            self->changed_.notify();
            if (f.is_control && f.type == 6) {
                if (u32_at(f.payload, 0) % 2 == 1) {
                    self->count_([](auto& c) { ++c.pings; });
                    co_await self->send(control_frame(6, 0, f.payload));
                }
            } else if (f.is_control && f.type == 1) {
                co_await self->on_syn(self->find(f.stream));
            } else if (f.is_control && f.type == 3) {
                if (auto const s = self->find(f.stream)) self->kill(*s);
            } else if (!f.is_control) {
                co_await self->on_data(self->find(f.stream), std::move(f));
            }
        }
    }

    net::awaitable<void> on_syn(stream_ptr s)
    {
        if (!s || s->dead) co_return;
        std::string const port = s->headers["port"];
        std::string const kind = s->headers["streamtype"];
        bool good = !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string::npos && std::stoi(port) > 0 &&
                    std::stoi(port) < 65536;
        good = good && (kind == "error" || kind == "data");
        if (!good) {
            kill(*s);
            co_await send(control_frame(3, 0, u32(s->id) + u32(5)));
            co_return;
        }
        if (config_.reply_delay.count() != 0) co_await pause(config_.reply_delay);
        s->replied = true;
        co_await send(control_frame(2, 0, u32(s->id) + pack_.run(u32(0))));
        auto const key = s->headers["requestid"];
        auto& pair = pairs_[key];
        (kind == "error" ? pair.first : pair.second) = s;
        if (pair.first && pair.second) {
            auto const both = std::move(pair);
            pairs_.erase(key);
            start(forward(shared_from_this(), both.first, both.second));
        } else {
            start(expire_pair(shared_from_this(), key, s));
        }
    }

    net::awaitable<void> on_data(stream_ptr s, frame f)
    {
        if (!s || !s->replied || s->dead) co_return; // dropped without a word
        if (!f.payload.empty()) {
            s->offered = std::move(f.payload);
            s->changed.notify();
            while (s->offered && !s->dead && !ended_) co_await s->changed.wait();
        }
        if ((f.flags & 1) != 0) {
            s->remote_ended = true;
            s->changed.notify();
            forget_if_over(*s);
        }
    }

    void kill(stream& s)
    {
        s.dead = true;
        s.offered.reset();
        s.changed.notify();
        streams_.erase(s.id);
    }
    void forget_if_over(stream& s)
    {
        if (s.remote_ended && s.local_ended) streams_.erase(s.id);
    }

    // ---- what goes ----

    /// Frames are put into the carrier in the order of the calls.
    net::awaitable<void> send(std::string bytes)
    {
        last_frame_ = net::clock::now();
        if (kind_ == carrier::websocket) // as the real one does: the end of a message is an empty continuation
            bytes = websocket_frame(2, false, bytes) + websocket_frame(0, true, "");
        return wire_->write(std::move(bytes));
    }
    net::awaitable<void> send_data(stream_ptr s, bool fin, std::string payload)
    {
        if (s->dead || s->local_ended) co_return;
        if (fin) s->local_ended = true;
        co_await send(data_frame(s->id, fin, payload));
        if (fin) forget_if_over(*s);
    }
    net::awaitable<void> goaway() { return send(control_frame(7, 0, u32(last_id_) + u32(0))); }

    static net::awaitable<void> goaway_now(std::shared_ptr<runtime_session> self)
    {
        co_await self->goaway();
        if (self->kind_ == carrier::spdy) self->wire_->close();
    }
    static net::awaitable<void> send_now(std::shared_ptr<runtime_session> self, std::string bytes) { co_await self->send(std::move(bytes)); }
    static net::awaitable<void> send_websocket_now(std::shared_ptr<runtime_session> self, int opcode, std::string payload)
    {
        co_await self->wire_->write(websocket_frame(opcode, true, payload));
    }

    static net::awaitable<void> watch_idle(std::shared_ptr<runtime_session> self)
    {
        for (;;) {
            co_await pause(std::chrono::milliseconds(5));
            if (self->ended_) co_return;
            if (net::clock::now() - self->last_frame_ < self->config_.idle_timeout) continue;
            auto const all = self->streams_;
            for (auto const& [id, s] : all) {
                self->kill(*s);
                co_await self->send(control_frame(3, 0, u32(id) + u32(5)));
            }
            co_await goaway_now(self);
            co_return;
        }
    }

    static net::awaitable<void> expire_pair(std::shared_ptr<runtime_session> self, std::string key, stream_ptr half)
    {
        auto const until = net::clock::now() + self->config_.pair_timeout;
        while (net::clock::now() < until) {
            co_await pause(std::min(self->config_.pair_timeout, std::chrono::milliseconds(20)));
            if (self->ended_ || half->dead || !self->pairs_.contains(key)) co_return;
        }
        self->pairs_.erase(key);
        co_await self->send_data(half, false, "(conn=0xc0, request=" + key + ") timed out waiting for streams");
    }

    // ---- the pod ----

    struct forward_state {
        explicit forward_state(net::executor ex) : changed(ex) {}
        bool up_done = false;
        bool down_done = false;
        event changed;
    };

    static net::awaitable<void> forward(std::shared_ptr<runtime_session> self, stream_ptr error, stream_ptr data)
    {
        auto const ex = co_await asio::this_coro::executor;
        self->count_([](auto& c) { ++c.forwards, ++c.forwarding; });
        std::string const port = data->headers["port"];
        if (self->config_.dial_delay.count() != 0) co_await pause(self->config_.dial_delay);
        std::string text;
        auto const pod = self->pod_();
        std::string const before = "error forwarding port " + port + " to pod " + self->sandbox_ + ", uid : ";
        if (!pod || pod->gone) {
            text = before + "failed to execute portforward in network namespace \"\": network namespace for sandbox \"" + self->sandbox_ + "\" is closed";
            co_await self->finish(error, data, text);
            co_return;
        }
        std::string const where = before + "failed to execute portforward in network namespace \"/var/run/netns/cni-0\": ";
        auto const program = pod->ports.find(static_cast<std::uint16_t>(std::stoi(port)));
        if (program == pod->ports.end()) {
            text = where + "failed to connect to localhost:" + port + " inside namespace \"" + self->sandbox_ + "\", IPv4: dial tcp4 127.0.0.1:" +
                   port + ": connect: connection refused IPv6 dial tcp6: address localhost: no suitable address found";
            co_await self->finish(error, data, text);
            co_return;
        }
        auto const c = std::make_shared<pod_connection>(ex, pod->name, program->first, self->config_.socket_buffer);
        auto const state = std::make_shared<forward_state>(ex);
        asio::co_spawn(ex, program->second(c), [c](std::exception_ptr) { c->program_ended(); });
        self->start(copy_up(self, data, c, state));
        self->start(copy_down(self, data, c, state));
        while (!state->up_done && !state->down_done) co_await state->changed.wait();
        net::timer limit(ex);
        limit.expires_after(self->config_.linger);
        limit.async_wait([state](std::error_code) { state->up_done = state->down_done = true, state->changed.notify(); });
        while (!(state->up_done && state->down_done)) co_await state->changed.wait();
        if (c->was_reset()) text = where + "read tcp4 127.0.0.1:46988->127.0.0.1:" + port + ": read: connection reset by peer";
        c->close();
        co_await self->finish(error, data, text);
    }

    static net::awaitable<void> copy_up(std::shared_ptr<runtime_session> self, stream_ptr data, std::shared_ptr<pod_connection> c,
                                        std::shared_ptr<forward_state> state)
    {
        for (;;) {
            while (!data->offered && !data->remote_ended && !data->dead && !self->ended_) co_await data->changed.wait();
            if (!data->offered) break;
            std::string bytes = std::move(*data->offered);
            data->offered.reset(); // the worker goes on
            data->changed.notify();
            if (!co_await c->put(std::move(bytes))) break;
        }
        state->up_done = true;
        state->changed.notify();
    }

    static net::awaitable<void> copy_down(std::shared_ptr<runtime_session> self, stream_ptr data, std::shared_ptr<pod_connection> c,
                                          std::shared_ptr<forward_state> state)
    {
        for (;;) {
            std::string bytes = co_await c->get(32768);
            if (bytes.empty()) break;
            co_await self->send_data(data, false, std::move(bytes));
        }
        state->down_done = true;
        state->changed.notify();
    }

    net::awaitable<void> finish(stream_ptr error, stream_ptr data, std::string text)
    {
        co_await send_data(data, true, "");
        if (!text.empty()) co_await send_data(error, false, text);
        co_await send_data(error, true, "");
        data->dead = true; // its reader has gone; what still comes is dropped
        data->offered.reset();
        data->changed.notify();
        streams_.erase(data->id);
        streams_.erase(error->id);
        count_([](auto& c) { --c.forwarding; });
    }

    void end()
    {
        ended_ = true;
        for (auto const& [id, s] : std::map(streams_)) kill(*s);
        pairs_.clear();
        changed_.notify();
        wire_->close();
    }

    std::shared_ptr<wire> wire_;
    carrier kind_;
    std::string sandbox_;
    find_pod pod_;
    count count_;
    runtime_config config_;
    event changed_;
    header_zlib pack_;
    header_zlib unpack_;
    std::string in_;
    std::array<queue, workers> queues_;
    std::map<std::uint32_t, stream_ptr> streams_;
    std::map<std::string, std::pair<stream_ptr, stream_ptr>> pairs_;
    std::uint32_t last_id_ = 0;
    std::uint32_t turn_ = 0;
    net::clock::time_point last_frame_ = net::clock::now();
    bool ended_ = false;
    bool said_garbage_ = false;
};

} // namespace podproxy::test::fake_kube

#endif
