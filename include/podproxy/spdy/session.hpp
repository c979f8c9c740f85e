#ifndef PODPROXY_SPDY_SESSION_HPP
#define PODPROXY_SPDY_SESSION_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/core/flat_buffer.hpp>
#include <podproxy/core/result.hpp>
#include <podproxy/net/asio.hpp>
#include <podproxy/net/receive_queue.hpp>
#include <podproxy/net/path.hpp>
#include <podproxy/net/ready_socket.hpp>
#include <podproxy/net/stream.hpp>
#include <podproxy/spdy/errc.hpp>
#include <podproxy/spdy/frame.hpp>
#include <podproxy/spdy/frame_decoder.hpp>
#include <podproxy/spdy/header_block.hpp>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

namespace podproxy::spdy {

struct session_config {
    /// Most payload bytes of one DATA frame that we send. Large, since the peer's workers count frames, not bytes.
    std::size_t frame_size = 128 * 1024;
    std::size_t send_buffer = 128 * 1024; ///< Bytes that may wait for the carrier before writers have to wait.
    /// Unread bytes of a stream that is alone on its session: beyond it the session is not read, and TCP slows the peer down.
    std::size_t receive_limit = 512 * 1024;
    /// Unread bytes of a stream that shares its session. There is no flow control in the peer's SPDY, and not reading would stop the
    /// others too: beyond this limit the stream is reset with `errc::reader_too_slow`.
    std::size_t shared_receive_limit = 16 * 1024 * 1024;
    /// DATA frames that may be on their way to one worker of the peer (see `lane_count`) while others send on the session too. Its
    /// queue holds 50 frames, and a full queue stops the whole session; a stream that is alone has TCP to slow it down.
    std::uint32_t window = 32;
    /// While something is expected of the peer (an answer to a stream or a PING, word about data): how often a PING asks whether it is
    /// there. Zero: no PINGs of this kind or the other.
    std::chrono::milliseconds ping_interval{2000};
    /// Silence after a PING that ends the session with `errc::no_answer`, found with the next look after `ping_interval`. A PING that may
    /// wait behind data for a slow reader is not counted; then the system tells whether the peer's TCP is there.
    std::chrono::milliseconds ping_timeout{6000};
    /// While nothing is expected: between PINGs, with and without streams, so that nothing on the way forgets the connection. Zero: none.
    std::chrono::milliseconds keep_alive{30'000};
};

/** How the peer's SPDY implementation (moby/spdystream, which kubelet's runtimes use) spreads its work: five workers with a queue of 50
    frames each. A frame of a stream goes to worker `stream id % 5`, PINGs go round robin; a worker blocks on DATA until the stream's
    reader takes it. So a stream has a *lane*, streams of different lanes can't block each other while no queue is full, and the
    reply to a PING says that its worker has handled all that came before. */
inline constexpr std::uint32_t lane_count = 5;

class session;

/** One stream of a session, as its owner sees it. Destroying it resets what has not ended.

    @par Lifetime Keeps the session's inner state alive, not its carrier: after `session::close` every call says why. */
class session_stream {
public:
    ~session_stream();
    session_stream(session_stream const&) = delete;
    session_stream& operator=(session_stream const&) = delete;

    std::uint32_t id() const noexcept { return id_; }

    /// Called from the session's read and write steps after anything about this stream has changed: answered, data, ended, failed,
    /// room to write. It must not destroy the stream or the session (post instead).
    std::function<void()> on_change;

    bool replied() const noexcept { return replied_; }             ///< A SYN_REPLY has come.
    bool remote_ended() const noexcept { return remote_ended_; }   ///< FIN or RST_STREAM has come; unread data may be left.
    bool was_reset() const noexcept { return reset_; }             ///< ... and it was RST_STREAM.
    std::error_code error() const noexcept { return error_; }      ///< Why the stream failed, if it did.
    std::uint64_t received() const noexcept { return received_; }  ///< Payload bytes that have come, read or not.
    bool delivered() const noexcept;                               ///< The peer's reader has taken data of ours.

    /// The oldest unread bytes. @return a view, valid until the next `consume`; or `would_block`, `end_of_stream`, the failure.
    result<bytes_view> view() const;
    void consume(std::size_t n);
    result<std::size_t> try_read(std::span<std::uint8_t> out);

    /// @return bytes taken, or `would_block` (an `on_change` follows when there is room), or the failure.
    result<std::size_t> try_write(bytes_view in);

    /// The last `try_write` found no room.
    bool waits_for_room() const noexcept { return wants_room_ && !error_; }

    /// Send FIN behind what was written.
    void finish();
    /// Send RST_STREAM(CANCEL); the stream has failed with `errc::stream_cancelled` afterwards.
    void reset();

private:
    friend class session;
    explicit session_stream(std::shared_ptr<session> owner, std::uint32_t id, std::uint32_t lane);

    void changed()
    {
        if (on_change) on_change();
    }

    std::shared_ptr<session> owner_;
    std::uint32_t id_;
    std::uint32_t lane_;
    std::uint64_t first_frame_ = 0; ///< `sent` of the lane when the stream began
    bool replied_ = false;
    bool remote_ended_ = false;
    bool local_ended_ = false;
    bool reset_ = false;
    bool wants_room_ = false;
    bool holds_lane_ = false;
    std::error_code error_;
    std::uint64_t received_ = 0;
    net::receive_queue in_;
};

/** The client's end of a SPDY/3.1 connection: many streams over one carrier.

    Reads as long as streams take what comes, answers PINGs, watches the path with PINGs of its own, and keeps to what the server's
    workers can hold (`session_config::window`).

    @par Source   SPDY/3.1 draft, sections 2.2 to 2.6; the peer's behaviour as named at `lane_count`
    @par Lifetime Shared: streams and pending waits keep it. `close` ends it; the last stream to go does not. */
class session : public std::enable_shared_from_this<session> {
public:
    /// @param early Bytes that followed the upgrade's response head.
    static std::shared_ptr<session> start(net::any_stream carrier, bytes_view early, session_config config = {});

    ~session();

    /// Nothing has failed, no GOAWAY has come, stream ids are left.
    bool usable() const noexcept { return !error_ && !going_away_ && next_id_ < 0x7fffff00u; }
    std::error_code error() const noexcept { return error_; }
    std::size_t streams() const noexcept { return streams_.size(); }
    bool fresh() const noexcept { return next_id_ == 1; } ///< No stream has been opened yet.

    /// Streams on which we may still send data. Those that have only their end to come stop nobody.
    std::size_t busy() const noexcept
    {
        std::size_t n = 0;
        for (auto const& lane : lanes_) n += lane.streams;
        return n;
    }

    /// No stream that may still send holds this lane, and its worker has handled everything in it.
    bool lane_free(std::uint32_t lane) const noexcept { return lanes_[lane].streams == 0 && lanes_[lane].acked == lanes_[lane].sent; }

    /// Every worker of the peer has less than a window of frames before it, so that one more sender can't be stopped by another's.
    bool shareable() const noexcept
    {
        for (auto const& lane : lanes_)
            if (lane.sent - lane.acked >= config_.window) return false;
        return true;
    }

    /// A worker of the peer has not answered a PING for longer than `ping_timeout`: most likely it waits for a reader that has stopped.
    /// Other lanes go on; new streams are better off elsewhere.
    bool stuck() const noexcept { return !pings_.empty() && net::clock::now() - pings_.front().at > config_.ping_timeout; }

    /// Whether we shall send data on a stream. One without takes no place in its lane, and our direction of it ends at once.
    enum class upload { yes, none };

    /** Open a stream: SYN_STREAM with `fields` goes out at once (`none`: with the next thing that is sent), data may follow without
        waiting for the reply.
        @param lane The lane that the stream shall have, `lane_count` for any.
        @return null when the session is not usable. */
    std::unique_ptr<session_stream> open(std::span<header_view const> fields, std::uint32_t lane, upload kind);

    /// Called after the session became unusable, or a stream or lane became free. It may be replaced, and may close the session.
    std::function<void()> on_change;

    /// End the session: GOAWAY if the carrier takes it at once, then the carrier closes; streams fail with `reason`.
    void close(std::error_code reason = errc::session_closed);

private:
    friend class session_stream;

    struct lane_state {
        std::uint64_t sent = 0;   ///< DATA frames handed to the carrier
        std::uint64_t acked = 0;  ///< ... that the peer's worker has handled
        std::uint64_t asked = 0;  ///< `sent` when the last PING went to this worker
        std::uint32_t pings = 0;  ///< PINGs to this worker without an answer
        std::uint32_t streams = 0; ///< that may still send
    };
    struct ping_record {
        std::uint32_t id;
        std::uint32_t lane;
        std::uint64_t sent;
        net::clock::time_point at;
    };

    /// PINGs that may wait for one worker. They wait in the same queue as DATA frames; a stuck worker's must not fill up.
    static constexpr std::uint32_t most_pings = 12;
    /// Frames in a worker's queue from which on it may be full, so that the peer reads nothing more of the session.
    static constexpr std::uint64_t safe_queue = 48;

    session(net::any_stream carrier, session_config config);

    void begin(bytes_view early);
    void wait_read();
    void wait_write();
    void read_turn();
    void decode(net::receive_queue::block const& owner, bytes_view in);
    void on_event(net::receive_queue::block const& owner, frame_event const& event);
    void on_data(net::receive_queue::block const& owner, data_piece const& data);
    void end_remote(session_stream& s, bool reset, std::error_code why);
    void flush();
    void room();
    void die(std::error_code why);
    void forget(session_stream& s);
    void leave_lane(session_stream& s);
    bool alone() const noexcept;
    bool may_send(std::uint32_t lane) const noexcept;
    void resume_reading();
    void ping();
    void ask(std::uint32_t lane);
    void expect();
    void watch();
    void look();
    void ask_whether_alive();
    bool path_is_dead() const;
    void changed();

    session_config config_;
    net::any_stream carrier_;
    net::executor executor_;
    net::timer watch_timer_;
    frame_decoder decoder_;
    header_encoder encoder_;
    header_decoder decoder_of_headers_;
    flat_buffer out_;
    std::vector<std::uint8_t> frame_;
    std::map<std::uint32_t, session_stream*> streams_;
    std::array<lane_state, lane_count> lanes_{};
    std::vector<ping_record> pings_; ///< without an answer, oldest first
    std::uint32_t next_id_ = 1;
    std::uint32_t next_ping_ = 1;
    std::uint32_t pings_sent_ = 0;
    net::clock::time_point heard_ = net::clock::now(); ///< when something came last, or reading went on
    std::error_code error_;
    bool going_away_ = false;
    bool reading_ = false;
    bool writing_ = false;
    bool paused_ = false;
    bool expecting_ = false; ///< something was sent since the last look
    bool resting_ = true;    ///< the watch waits for `keep_alive`, or not at all
};

} // namespace podproxy::spdy

#include <podproxy/spdy/impl/session.ipp>

#endif
