#ifndef PODPROXY_WAKE_FIRST_BYTES_HPP
#define PODPROXY_WAKE_FIRST_BYTES_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/http/parser.hpp>
#include <podproxy/wake/settings.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace podproxy::wake {

/// What a connection begins with.
enum class first_bytes_kind : std::uint8_t {
    other, ///< Anything, or nothing.
    tls,   ///< A ClientHello.
    http,  ///< The head of an HTTP/1 request.
};

/// What the first bytes of a connection tell about what its client wants.
struct first_bytes {
    first_bytes_kind kind = first_bytes_kind::other;
    std::string name;   ///< SNI, or the host of the request: small letters, no port, no dot at the end. Empty where none is told.
    std::string method; ///< HTTP only, as the next ones.
    std::string path;   ///< As sent, without the query.
    std::string agent;  ///< User-Agent.
    bool wants_html = false; ///< A browser that loads a page: GET, and `text/html` in Accept.

    friend bool operator==(first_bytes const&, first_bytes const&) = default;
};

/// What is looked at; whoever has not told by then is `other`.
inline constexpr std::size_t most_first_bytes = 16 * 1024;

/** Finds out what a connection is for, from as few of its first bytes as possible.

    Bytes are given again with those that have come since; nothing is looked at twice but the records of a ClientHello, and those
    once per record at most. What can't become TLS or HTTP/1 is `other` with its first byte or shortly after.

        first_bytes_decoder d;
        while (!d.next(buffer.data()) && read_more(buffer)) {}
        route(d.get());

    HTTP/2 without TLS is `other`: the host is in a compressed block behind the preface. */
class first_bytes_decoder {
public:
    /// @param all  Everything that has come so far. @return whether it is decided.
    bool next(bytes_view all);

    bool decided() const noexcept { return decided_; }
    /// `other` as long as nothing is decided.
    first_bytes const& get() const noexcept { return found_; }

private:
    bool read_tls(bytes_view all);
    bool read_http(bytes_view all);
    bool decide_other();

    enum class guess : std::uint8_t { none, tls, http };

    first_bytes found_;
    http::request_decoder request_{http::head_limits{most_first_bytes, most_first_bytes, 128}};
    std::size_t seen_ = 0;   ///< Bytes that `request_` has.
    std::size_t needed_ = 0; ///< Bytes without which another look at a ClientHello is in vain.
    guess guess_ = guess::none;
    bool decided_ = false;
};

/** Whether a connection begins with the complete line of an HTTP/1 request, so that an answer in HTTP will be understood.
    @param head_only  Set to whether it is a HEAD request, whose answer has no content. */
bool begins_with_http(bytes_view all, bool& head_only) noexcept;

/** Whether a pattern stands for a name, in letters of any case: `shop.example.com` for itself, `*.example.com` for all names below
    `example.com` at any depth but not for that itself, `*` for every name. No pattern stands for an empty name. */
bool name_matches(std::string_view pattern, std::string_view name) noexcept;

/// Whether a pattern stands for a path: for itself, or with a `*` at its end for all that begins so.
bool path_matches(std::string_view pattern, std::string_view path) noexcept;

/// The index of the first target that is for a connection which begins so, or `targets.size()`.
std::size_t choose_target(std::span<target_config const> targets, first_bytes const& first) noexcept;

/// Whether there is more than one way, or one that is not for everybody: then a connection's first bytes decide.
bool chooses_by_name(std::span<target_config const> targets) noexcept;

/// What the rules about first bytes say of a client.
enum class wake_verdict : std::uint8_t {
    wakes,
    does_not_wake,
    undecided, ///< More of its bytes are needed to tell.
};

/** Whether a client may wake the group, by what it has sent. Its address is another matter.
    @param d    Has seen `all`.
    @param more Whether the client may still send something. Without, nothing is undecided. */
wake_verdict judge(client_filter const& filter, first_bytes_decoder const& d, bytes_view all, bool more) noexcept;

} // namespace podproxy::wake

#include <podproxy/wake/impl/first_bytes.ipp>

#endif
