#ifndef PODPROXY_JSON_OBJECT_DECODER_HPP
#define PODPROXY_JSON_OBJECT_DECODER_HPP

#include <podproxy/core/bytes.hpp>
#include <podproxy/json/errc.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

namespace podproxy::json {

enum class object_status {
    need_more, ///< All input is consumed; more is needed.
    object,    ///< `text` is one object; input after `consumed` is what follows it.
    failed,    ///< `error` says why; nothing more can be read from this stream.
};

struct object_step {
    object_status status = object_status::need_more;
    std::size_t consumed = 0;
    std::string_view text; ///< A view into the input or the decoder, valid until the next `next` or `reset`.
    std::error_code error;
};

/** Cuts a stream of JSON objects, one behind the other, into its objects: events of a container engine, lines of JSON.

    Between objects may stand blanks, line ends, the record separators of RFC 7464, or nothing. Only braces, brackets and strings are
    looked at: whether an object is JSON is told by whoever parses it. Anything but an object is `errc::malformed`, an object of more than
    `max_bytes` is `errc::too_large`. No more than one object is kept, and none while nothing is cut. */
class object_decoder {
public:
    explicit object_decoder(std::size_t max_bytes) noexcept : max_bytes_(max_bytes) {}

    object_step next(bytes_view in)
    {
        if (error_) return {object_status::failed, 0, {}, error_};
        if (given_) {
            text_.clear();
            given_ = false;
        }
        std::size_t start = 0; // of the object, in this input
        for (std::size_t i = 0; i < in.size(); ++i) {
            auto const c = static_cast<char>(in[i]);
            if (depth_ == 0) {
                if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\x1e') continue;
                if (c != '{') return fail(errc::malformed);
                start = i;
                size_ = 0;
            }
            if (++size_ > max_bytes_) return fail(errc::too_large);
            if (in_string_) {
                if (escaped_) escaped_ = false;
                else if (c == '\\') escaped_ = true;
                else if (c == '"') in_string_ = false;
            } else if (c == '"') {
                in_string_ = true;
            } else if (c == '{' || c == '[') {
                ++depth_;
            } else if ((c == '}' || c == ']') && --depth_ == 0) {
                return {object_status::object, i + 1, finish(in.subspan(start, i + 1 - start)), {}};
            }
        }
        if (depth_ != 0) text_.append(as_text(in.subspan(start)));
        return {object_status::need_more, in.size(), {}, {}};
    }

    /// Whether the input ended inside of an object.
    bool inside() const noexcept { return depth_ != 0; }

    void reset()
    {
        text_.clear();
        depth_ = size_ = 0;
        in_string_ = escaped_ = given_ = false;
        error_ = {};
    }

private:
    object_step fail(errc e)
    {
        error_ = e;
        text_ = {};
        return {object_status::failed, 0, {}, error_};
    }

    std::string_view finish(bytes_view last)
    {
        if (text_.empty()) return as_text(last);
        text_.append(as_text(last));
        given_ = true;
        return text_;
    }

    std::size_t max_bytes_;
    std::string text_; ///< what earlier inputs had of this object
    std::size_t depth_ = 0;
    std::size_t size_ = 0;
    bool in_string_ = false;
    bool escaped_ = false;
    bool given_ = false; ///< `text_` was lent out and is of no more use
    std::error_code error_;
};

} // namespace podproxy::json

#endif
