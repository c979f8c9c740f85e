#ifndef PODPROXY_WEBSOCKET_UTF8_HPP
#define PODPROXY_WEBSOCKET_UTF8_HPP

#include <podproxy/core/bytes.hpp>
#include <cstdint>

namespace podproxy::websocket {

/** Checks that text which comes in pieces is UTF-8 as RFC 3629 defines it: shortest forms only, no surrogates, nothing above U+10FFFF. */
class utf8_checker {
public:
    /// Take the next piece. @return false when it can't be the continuation of valid text; so it stays.
    bool next(bytes_view in) noexcept
    {
        for (std::uint8_t const b : in) {
            if (missing_ != 0) {
                if (b < low_ || b > high_) return fail();
                low_ = 0x80;
                high_ = 0xbf;
                --missing_;
            } else if (b >= 0x80) {
                // The first byte tells how many follow, and narrows the second one: that excludes long forms and surrogates.
                low_ = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80;
                high_ = b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf;
                if (b >= 0xc2 && b <= 0xdf)
                    missing_ = 1;
                else if (b >= 0xe0 && b <= 0xef)
                    missing_ = 2;
                else if (b >= 0xf0 && b <= 0xf4)
                    missing_ = 3;
                else
                    return fail();
            }
        }
        return true;
    }

    /// Whether the text so far does not end inside a character.
    bool complete() const noexcept { return missing_ == 0; }

    void reset() noexcept { *this = utf8_checker(); }

private:
    bool fail() noexcept
    {
        missing_ = 1; // no byte is between 0xff and 0x00: everything that follows fails too
        low_ = 0xff;
        high_ = 0x00;
        return false;
    }

    std::uint8_t missing_ = 0;
    std::uint8_t low_ = 0x80;
    std::uint8_t high_ = 0xbf;
};

inline bool is_utf8(bytes_view in) noexcept
{
    utf8_checker c;
    return c.next(in) && c.complete();
}

} // namespace podproxy::websocket

#endif
