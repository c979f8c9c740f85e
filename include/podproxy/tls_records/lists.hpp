#ifndef PODPROXY_TLS_RECORDS_LISTS_HPP
#define PODPROXY_TLS_RECORDS_LISTS_HPP

#include <podproxy/core/bytes.hpp>
#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace podproxy::tls_records {

/// Numbers of 16 bits one behind the other: cipher suites, versions, groups, signature algorithms. A view, in the order sent.
class u16_list {
public:
    class iterator {
    public:
        using value_type = std::uint16_t;
        using difference_type = std::ptrdiff_t;
        using iterator_category = std::input_iterator_tag;

        iterator() = default;
        explicit iterator(std::uint8_t const* at) noexcept : at_(at) {}
        std::uint16_t operator*() const noexcept { return static_cast<std::uint16_t>(at_[0] << 8 | at_[1]); }
        iterator& operator++() noexcept
        {
            at_ += 2;
            return *this;
        }
        iterator operator++(int) noexcept
        {
            iterator const before = *this;
            at_ += 2;
            return before;
        }
        friend bool operator==(iterator const&, iterator const&) = default;

    private:
        std::uint8_t const* at_ = nullptr;
    };

    u16_list() = default;
    /// @pre an even number of bytes
    explicit u16_list(bytes_view raw) noexcept : raw_(raw) { assert(raw.size() % 2 == 0); }

    std::size_t size() const noexcept { return raw_.size() / 2; }
    bool empty() const noexcept { return raw_.empty(); }
    std::uint16_t operator[](std::size_t i) const noexcept
    {
        assert(i < size());
        return *iterator(raw_.data() + 2 * i);
    }
    iterator begin() const noexcept { return iterator(raw_.data()); }
    iterator end() const noexcept { return iterator(raw_.data() + raw_.size()); }
    bool contains(std::uint16_t wanted) const noexcept { return std::find(begin(), end(), wanted) != end(); }

private:
    bytes_view raw_;
};

/// Names with a length of 8 bits before each: the protocols of ALPN. A view, in the order sent; names may hold any byte.
class name_list {
public:
    class iterator {
    public:
        using value_type = std::string_view;
        using difference_type = std::ptrdiff_t;
        using iterator_category = std::input_iterator_tag;

        iterator() = default;
        explicit iterator(std::uint8_t const* at) noexcept : at_(at) {}
        std::string_view operator*() const noexcept { return as_text({at_ + 1, *at_}); }
        iterator& operator++() noexcept
        {
            at_ += 1 + *at_;
            return *this;
        }
        iterator operator++(int) noexcept
        {
            iterator const before = *this;
            ++*this;
            return before;
        }
        friend bool operator==(iterator const&, iterator const&) = default;

    private:
        std::uint8_t const* at_ = nullptr;
    };

    name_list() = default;
    /// @pre lengths that fit, as `parse_client_hello` makes sure
    explicit name_list(bytes_view raw) noexcept : raw_(raw) {}

    bool empty() const noexcept { return raw_.empty(); }
    iterator begin() const noexcept { return iterator(raw_.data()); }
    iterator end() const noexcept { return iterator(raw_.data() + raw_.size()); }
    bool contains(std::string_view wanted) const noexcept { return std::find(begin(), end(), wanted) != end(); }

private:
    bytes_view raw_;
};

/// One extension of a hello. RFC 8446 section 4.2
struct extension {
    std::uint16_t type = 0;
    bytes_view data;
};

/// The extensions of a hello, in the order sent. A view.
class extension_list {
public:
    class iterator {
    public:
        using value_type = extension;
        using difference_type = std::ptrdiff_t;
        using iterator_category = std::input_iterator_tag;

        iterator() = default;
        explicit iterator(std::uint8_t const* at) noexcept : at_(at) {}
        extension operator*() const noexcept { return {static_cast<std::uint16_t>(at_[0] << 8 | at_[1]), {at_ + 4, length()}}; }
        iterator& operator++() noexcept
        {
            at_ += 4 + length();
            return *this;
        }
        iterator operator++(int) noexcept
        {
            iterator const before = *this;
            ++*this;
            return before;
        }
        friend bool operator==(iterator const&, iterator const&) = default;

    private:
        std::size_t length() const noexcept { return static_cast<std::size_t>(at_[2] << 8 | at_[3]); }

        std::uint8_t const* at_ = nullptr;
    };

    extension_list() = default;
    /// @pre lengths that fit, as `parse_client_hello` makes sure
    explicit extension_list(bytes_view raw) noexcept : raw_(raw) {}

    bool empty() const noexcept { return raw_.empty(); }
    iterator begin() const noexcept { return iterator(raw_.data()); }
    iterator end() const noexcept { return iterator(raw_.data() + raw_.size()); }
    std::size_t size() const noexcept { return static_cast<std::size_t>(std::distance(begin(), end())); }
    bool contains(std::uint16_t type) const noexcept
    {
        return std::any_of(begin(), end(), [type](extension const& e) { return e.type == type; });
    }

private:
    bytes_view raw_;
};

} // namespace podproxy::tls_records

#endif
