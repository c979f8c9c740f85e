#ifndef PODPROXY_JSON_DOCUMENT_HPP
#define PODPROXY_JSON_DOCUMENT_HPP

#include <podproxy/core/result.hpp>
#include <podproxy/json/errc.hpp>
#include <simdjson.h>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>

namespace podproxy::json {

class items_range;
class members_range;

/** A value of a parsed document, or none. Asking never fails: what is not there, or of another type, is an empty answer, so that a
    path can be followed without a check at each step:

        for (json::value const slice : root["items"].items())
            if (auto const name = slice["metadata"]["name"].text()) use(*name);

    @par Lifetime  A view into the `parser`: valid until its next `parse`. Texts are too. */
class value {
public:
    value() = default; ///< None.
    explicit value(simdjson::dom::element element) noexcept : element_(element), exists_(true) {}

    /// Is there a value? `null` is one.
    explicit operator bool() const noexcept { return exists_; }
    bool is_null() const noexcept { return exists_ && element_.is_null(); }
    bool is_object() const noexcept { return exists_ && element_.is_object(); }
    bool is_array() const noexcept { return exists_ && element_.is_array(); }

    /// The first member of that name; none if this is no object.
    value operator[](std::string_view key) const noexcept
    {
        simdjson::dom::object object;
        simdjson::dom::element found;
        if (!exists_ || element_.get(object) || object.at_key(key).get(found)) return {};
        return value(found);
    }

    /// A string with its escapes undone. It is UTF-8 and may hold any character, also NUL.
    std::optional<std::string_view> text() const noexcept { return get<std::string_view>(); }
    std::string_view text_or(std::string_view otherwise) const noexcept { return text().value_or(otherwise); }
    /// A whole number that fits, written without fraction and exponent.
    std::optional<std::int64_t> integer() const noexcept { return get<std::int64_t>(); }
    /// Any number.
    std::optional<double> number() const noexcept { return get<double>(); }
    std::optional<bool> boolean() const noexcept { return get<bool>(); }

    /// The values of an array, nothing if this is none.
    items_range items() const noexcept;
    /// Names and values of an object, nothing if this is none.
    members_range members() const noexcept;

private:
    template <class T>
    std::optional<T> get() const noexcept
    {
        T out{};
        if (!exists_ || element_.get(out)) return std::nullopt;
        return out;
    }

    simdjson::dom::element element_;
    bool exists_ = false;
};

/// One name of an object with its value.
struct member {
    std::string_view key;
    json::value value;
};

/// For `for (json::value item : v.items())`.
class items_range {
public:
    class iterator {
    public:
        using value_type = json::value;
        using difference_type = std::ptrdiff_t;
        using iterator_category = std::input_iterator_tag;
        using pointer = void;
        using reference = json::value;

        explicit iterator(simdjson::dom::array::iterator at) noexcept : at_(at) {}
        json::value operator*() const noexcept { return json::value(*at_); }
        iterator& operator++() noexcept
        {
            ++at_;
            return *this;
        }
        bool operator!=(iterator const& other) const noexcept { return at_ != other.at_; }
        bool operator==(iterator const& other) const noexcept { return !(at_ != other.at_); }

    private:
        simdjson::dom::array::iterator at_;
    };

    items_range() = default;
    explicit items_range(simdjson::dom::array array) noexcept : array_(array) {}
    // Without an array both ends are the same empty iterator.
    iterator begin() const noexcept { return iterator(array_ ? array_->begin() : simdjson::dom::array::iterator{}); }
    iterator end() const noexcept { return iterator(array_ ? array_->end() : simdjson::dom::array::iterator{}); }
    std::size_t size() const noexcept { return static_cast<std::size_t>(std::distance(begin(), end())); }
    bool empty() const noexcept { return begin() == end(); }

private:
    std::optional<simdjson::dom::array> array_;
};

/// For `for (auto [key, value] : v.members())`.
class members_range {
public:
    class iterator {
    public:
        using value_type = member;
        using difference_type = std::ptrdiff_t;
        using iterator_category = std::input_iterator_tag;
        using pointer = void;
        using reference = member;

        explicit iterator(simdjson::dom::object::iterator at) noexcept : at_(at) {}
        member operator*() const noexcept { return {at_.key(), json::value(at_.value())}; }
        iterator& operator++() noexcept
        {
            ++at_;
            return *this;
        }
        bool operator!=(iterator const& other) const noexcept { return at_ != other.at_; }
        bool operator==(iterator const& other) const noexcept { return !(at_ != other.at_); }

    private:
        simdjson::dom::object::iterator at_;
    };

    members_range() = default;
    explicit members_range(simdjson::dom::object object) noexcept : object_(object) {}
    iterator begin() const noexcept { return iterator(object_ ? object_->begin() : simdjson::dom::object::iterator{}); }
    iterator end() const noexcept { return iterator(object_ ? object_->end() : simdjson::dom::object::iterator{}); }
    std::size_t size() const noexcept { return static_cast<std::size_t>(std::distance(begin(), end())); }
    bool empty() const noexcept { return begin() == end(); }

private:
    std::optional<simdjson::dom::object> object_;
};

inline items_range value::items() const noexcept
{
    simdjson::dom::array array;
    if (!exists_ || element_.get(array)) return {};
    return items_range(array);
}

inline members_range value::members() const noexcept
{
    simdjson::dom::object object;
    if (!exists_ || element_.get(object)) return {};
    return members_range(object);
}

/** Reads whole JSON documents, one after the other, and keeps its memory between them: one for each connection.
    Takes a few times the text's size while a document is kept. */
class parser {
public:
    /// For the answers of an API server with thousands of objects.
    static constexpr std::size_t default_max_bytes = 64 * 1024 * 1024;

    explicit parser(std::size_t max_bytes = default_max_bytes) : max_bytes_(max_bytes) {}

    /** Read one document; the whole of it is checked now. Views into the last one become invalid.
        @param text  Copied: it need not outlive the call. */
    result<value> parse(std::string_view text)
    {
        if (text.empty()) return errc::empty; // simdjson 3.0 would copy from null
        if (text.size() > max_bytes_) return errc::too_large;
        simdjson::dom::element root;
        switch (parser_.parse(text.data(), text.size(), true).get(root)) {
        case simdjson::SUCCESS: return value(root);
        case simdjson::EMPTY: return errc::empty;
        case simdjson::CAPACITY: return errc::too_large;
        case simdjson::DEPTH_ERROR: return errc::too_deep;
        case simdjson::MEMALLOC: return std::make_error_code(std::errc::not_enough_memory);
        default: return errc::malformed;
        }
    }

private:
    std::size_t max_bytes_;
    simdjson::dom::parser parser_;
};

} // namespace podproxy::json

#endif
