#ifndef PODPROXY_CORE_SECRET_HPP
#define PODPROXY_CORE_SECRET_HPP

#include <cstddef>
#include <iosfwd>
#include <string>
#include <string_view>
#include <utility>

namespace podproxy {

/** A token, a password or a private key: text that must not reach a log, an error text or a page by accident.

    It can't be streamed, compared for order or turned into a string; who needs it says `reveal()`. The memory is overwritten
    when it goes away. */
class secret {
public:
    secret() = default;
    explicit secret(std::string text) noexcept : text_(std::move(text)) {}

    secret(secret const&) = default;
    secret(secret&& other) noexcept : text_(std::move(other.text_)) { other.wipe(); }
    secret& operator=(secret const& other)
    {
        if (this != &other) *this = secret(other);
        return *this;
    }
    secret& operator=(secret&& other) noexcept
    {
        if (this != &other) {
            wipe();
            text_ = std::move(other.text_);
            other.wipe();
        }
        return *this;
    }
    ~secret() { wipe(); }

    /// The text itself. Valid until the secret is assigned to or goes away.
    std::string_view reveal() const noexcept { return text_; }
    bool empty() const noexcept { return text_.empty(); }
    explicit operator bool() const noexcept { return !empty(); }

    /// Not in constant time: for tests and for "has it changed?", never for checking what a peer sent.
    friend bool operator==(secret const&, secret const&) = default;

    template <class Char, class Traits>
    friend std::basic_ostream<Char, Traits>& operator<<(std::basic_ostream<Char, Traits>&, secret const&) = delete;

private:
    void wipe() noexcept
    {
        text_.resize(text_.capacity()); // never allocates: bytes behind the end may be remains of a longer text
        char volatile* p = text_.data();
        for (std::size_t i = 0; i < text_.size(); ++i) p[i] = 0;
        text_.clear();
    }

    std::string text_;
};

} // namespace podproxy

#endif
